//! `InvokeInventory`: observes a device now.

use std::sync::{Mutex, PoisonError};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{EngineAction, Errand, cancelled, done, of_transport};
use crate::apply::Acted;
use crate::apply::survey::{Ask, Observed};
use crate::model::selector::Match;
use crate::model::{Category, Device, Selector};
use crate::plan::Scope;
use crate::store::StoreError;
use crate::transport::TransportError;

pub(super) struct InvokeInventory;

/// A scope of these devices alone.
pub(super) fn scope_of<'a>(devices: impl IntoIterator<Item = &'a std::sync::Arc<Device>>) -> Scope {
    let named = |device: &std::sync::Arc<Device>| Selector::Match(Match { device: Some(device.name.clone()), ..Match::default() });
    Scope { selectors: devices.into_iter().map(named).collect(), targets: Vec::new() }
}

/// What a category is called in the parameters.
fn categories(name: Option<&str>) -> Vec<Category> {
    let known = [Category::Hardware, Category::Software, Category::Security, Category::Network, Category::Performance];
    known.into_iter().filter(|category| name.is_some_and(|name| category.to_string() == name)).collect()
}

#[async_trait::async_trait]
impl EngineAction for InvokeInventory {
    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        let what = errand.text("category").unwrap_or("everything");
        let which = if errand.params["full"] == true { "" } else { " that is due" };
        errand.devices.iter().map(|device| format!("observe {what}{which} on {}", device.name)).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
        let device = match errand.device() {
            Ok(device) => device,
            Err(refused) => return Ok(*refused),
        };
        let parts = errand.parts;
        let scope = scope_of([device]);
        let categories = categories(errand.text("category"));
        let error: Mutex<Option<TransportError>> = Mutex::default();
        let note = |observed: Observed| {
            if let Some(reason) = observed.error {
                *error.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
            }
        };
        let survey = parts.survey();
        let outcome = if errand.params["full"] == true {
            survey.inventory(&scope, &categories, Ask::Everything, None, cancel, &note).await?
        } else if categories.is_empty() {
            survey.everything_due(&scope, None, cancel, &note).await?
        } else {
            survey.inventory(&scope, &categories, Ask::Due, None, cancel, &note).await?
        };
        if let Some(error) = error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(of_transport(parts, &error));
        }
        if outcome.cancelled {
            return Ok(cancelled());
        }
        let value = json!({ "observed": outcome.observed, "changed": outcome.changed });
        Ok(match outcome.observed {
            0 => done("nothing was due", value),
            _ => done(format!("observed; {} sections are new or differ", outcome.changed), value),
        })
    }
}
