//! `InstallRequiredApps`: what the policies of a device say under `Packages`, at once, and nothing else of them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{EngineAction, Errand, Leasing, done, narrowed};
use crate::apply::Acted;
use crate::model::policy::Remediate;
use crate::model::{Device, Policy};
use crate::store::StoreError;

/// The setting that names packages.
const PACKAGES: &str = "Packages";

pub(super) struct InstallRequiredApps;

/// The policies that remediate, with their packages alone.
fn wanted(errand: &Errand<'_>) -> Vec<Policy> {
    let policies = errand.parts.set.policies.iter().filter(|policy| policy.remediate != Remediate::Report);
    let mut wanted: Vec<Policy> = policies
        .map(|policy| {
            let settings = policy.settings.iter().filter(|setting| &*setting.name == PACKAGES).cloned().collect();
            Policy { settings, schedule: None, ..(**policy).clone() }
        })
        .collect();
    wanted.retain(|policy| !policy.settings.is_empty());
    wanted
}

#[async_trait::async_trait]
impl EngineAction for InstallRequiredApps {
    fn leasing(&self) -> Leasing {
        Leasing::Own
    }

    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        errand.devices.iter().flat_map(|device: &Arc<Device>| narrowed::preview(errand, device, wanted(errand))).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
        let device = match errand.device() {
            Ok(device) => device,
            Err(refused) => return Ok(*refused),
        };
        let wanted = wanted(errand);
        if wanted.is_empty() {
            return Ok(done("no policy that remediates asks for a package", serde_json::json!({ "done": 0 })));
        }
        narrowed::enforce(errand, device, wanted, cancel).await
    }
}
