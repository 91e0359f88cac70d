//! `ApplyPolicy`: carries out one policy on a device, whether it targets the device or not.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{EngineAction, Errand, Leasing, failed, narrowed};
use crate::apply::{Acted, Allowed};
use crate::model::policy::Remediate;
use crate::model::selector::Match;
use crate::model::{Device, Policy, Selector};
use crate::store::StoreError;

pub(super) struct ApplyPolicy;

/// The policy as if it were for this device alone, and now. One that waits for approval goes on waiting for a person.
fn wanted(errand: &Errand<'_>, device: &Arc<Device>) -> Option<Policy> {
    let name = errand.text("name")?;
    let policy = errand.parts.set.policies.iter().find(|policy| &*policy.name == name)?;
    let waits = policy.remediate == Remediate::Approve && errand.allowed != Allowed::Confirmed;
    Some(Policy {
        targets: vec![Selector::Match(Match { device: Some(device.name.clone()), ..Match::default() })],
        exclude: Vec::new(),
        remediate: if waits { Remediate::Approve } else { Remediate::Apply },
        schedule: None,
        ..(**policy).clone()
    })
}

#[async_trait::async_trait]
impl EngineAction for ApplyPolicy {
    fn leasing(&self) -> Leasing {
        Leasing::Own
    }

    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        let of =
            |device: &Arc<Device>| wanted(errand, device).map(|policy| narrowed::preview(errand, device, vec![policy])).unwrap_or_default();
        errand.devices.iter().flat_map(of).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
        let device = match errand.device() {
            Ok(device) => device,
            Err(refused) => return Ok(*refused),
        };
        let Some(policy) = wanted(errand, device) else {
            return Ok(failed(format!("there is no policy '{}'", errand.text("name").unwrap_or_default())));
        };
        narrowed::enforce(errand, device, vec![policy], cancel).await
    }
}
