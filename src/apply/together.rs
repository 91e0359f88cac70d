//! Actions that are carried out once for all devices of a step, or that act on none.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::act::{parameters, recorded};
use super::engine_actions::{Errand, engine_action};
use super::permit::forbidden;
use super::{Acted, Ask, Part, Parts};
use crate::model::action::By;
use crate::store::StoreError;

/// Carries out an action for all of `devices` together. `about` is what is said where the action says nothing of its own.
pub async fn act_together(
    parts: &Parts,
    ask: &Ask<'_>,
    devices: &[String],
    about: &str,
    cancel: &CancellationToken,
) -> Result<Acted, StoreError> {
    let acted = attempt(parts, ask, devices, about, cancel).await?;
    recorded(parts, ask, acted).await
}

async fn attempt(parts: &Parts, ask: &Ask<'_>, devices: &[String], about: &str, cancel: &CancellationToken) -> Result<Acted, StoreError> {
    let name = &*ask.call.action;
    let refused = |why: &str| Ok(Acted::refused(name, why));
    let Some(def) = parts.set.catalog.actions.get(name) else { return refused("there is no such action") };
    let Some(action) = engine_action(name).filter(|action| action.whole() && def.by == By::Engine) else {
        return refused("it is not carried out for several devices together");
    };
    if ask.part != Part::Run {
        return refused("it cannot be undone");
    }
    if let Some(why) = forbidden(parts, def, ask.allowed) {
        return refused(why);
    }
    let given = Value::Object(ask.call.with.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
    if let Some((pointer, why)) = def.check(&given).into_iter().next() {
        return refused(format!("{} {why}", pointer.trim_start_matches('/')).trim());
    }
    let params = match parameters(parts, def, given) {
        Ok((params, _)) => params,
        Err(why) => return refused(&why),
    };
    let devices: Vec<_> = devices.iter().filter_map(|name| parts.set.devices.get(name)).map(Arc::clone).collect();
    let about = Some(about).filter(|about| !about.is_empty());
    let errand = Errand { summary: about, ..Errand::of(parts, ask, &devices, &params) };
    errand.within(action, def.timeout, ask, cancel).await
}
