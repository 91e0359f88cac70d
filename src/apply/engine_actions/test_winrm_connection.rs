//! `TestWinRMConnection`: connects and signs in the way the device is managed, whatever that is, and runs nothing.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{EngineAction, Errand, done, of_transport};
use crate::apply::survey::target;
use crate::apply::{Acted, End};
use crate::store::{Status, StoreError};

pub(super) struct TestConnection;

#[async_trait::async_trait]
impl EngineAction for TestConnection {
    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        errand.devices.iter().map(|device| format!("connect to {} and sign in", target(&errand.parts.set, device).address)).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
        let device = match errand.device() {
            Ok(device) => device,
            Err(refused) => return Ok(*refused),
        };
        let parts = errand.parts;
        let target = target(&parts.set, device);
        let opened = parts.sessions.open(&target, cancel).await;
        let (status, reason, acted) = match opened {
            Ok(_) => (Status::Online, None, done(format!("{} answers and lets us in", target.address), json!({ "reachable": true }))),
            Err(error) => {
                let acted = of_transport(parts, &error);
                let status = if acted.end == End::Failed { Status::Error } else { Status::Offline };
                (status, Some(acted.message.clone()), acted)
            }
        };
        if acted.end != End::Cancelled {
            parts.store.set_status(&device.name, status, reason.as_deref(), parts.clock.now())?;
        }
        Ok(acted)
    }
}
