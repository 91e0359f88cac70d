//! `SendNotification`: puts a message into the queue of notifications, which the daemon empties.

use std::sync::Arc;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{EngineAction, Errand, done, failed};
use crate::apply::Acted;
use crate::model::delivery::{Delivery, DeliveryState, Message, Occasion};
use crate::store::{AlertBatch, StoreError};

pub(super) struct SendNotification;

/// The channels that a name means: the one of that name in any case of letters, else all of that type.
fn channels(errand: &Errand<'_>) -> Vec<Arc<str>> {
    let declared = &errand.parts.set.config.notifications.channels;
    let Some(name) = errand.text("channel") else { return Vec::new() };
    if let Some(named) = declared.keys().find(|known| known.eq_ignore_ascii_case(name)) {
        return vec![named.as_str().into()];
    }
    let of_type = |kind: &dyn std::fmt::Display| kind.to_string().eq_ignore_ascii_case(name);
    declared.iter().filter(|(_, channel)| channel.kind.is_some_and(|kind| of_type(&kind))).map(|(name, _)| name.as_str().into()).collect()
}

/// What is said.
fn words(errand: &Errand<'_>) -> String {
    let said = errand.text("message").or(errand.summary).unwrap_or(errand.because);
    match errand.text("severity") {
        None | Some("info") => said.to_owned(),
        Some(severity) => format!("{}: {said}", severity.to_uppercase()),
    }
}

#[async_trait::async_trait]
impl EngineAction for SendNotification {
    fn whole(&self) -> bool {
        true
    }

    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        channels(errand).iter().map(|channel| format!("send to {channel}: {}", words(errand))).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, _: &CancellationToken) -> Result<Acted, StoreError> {
        let parts = errand.parts;
        let channels = channels(errand);
        if channels.is_empty() {
            return Ok(failed(format!("there is no channel '{}' in rmm.toml", errand.text("channel").unwrap_or_default())));
        }
        let now = parts.clock.now();
        let message = Message {
            occasion: Occasion::Summary,
            organization: parts.set.config.general.organization.clone(),
            alerts: Vec::new(),
            site: None,
            because: errand.because.to_owned(),
            note: parts.redactor.redact(&words(errand)).into_owned(),
        };
        let key = errand.once.map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned);
        let id = |channel: &str| {
            let digest = Sha256::new().chain_update(key.as_bytes()).chain_update([0]).chain_update(channel.as_bytes()).finalize();
            format!("n-{}", hex::encode(&digest[..12]))
        };
        let deliveries: Vec<Delivery> = channels
            .iter()
            .map(|channel| Delivery {
                id: id(channel),
                channel: Arc::clone(channel),
                recipient: None,
                alert: None,
                message: message.clone(),
                state: DeliveryState::Pending,
                attempts: 0,
                due_at: now,
                created_at: now,
                sent_at: None,
                error: None,
                receipt: None,
            })
            .collect();
        parts.store.commit_alerts(&AlertBatch { deliveries, ..AlertBatch::default() })?;
        let names: Vec<&str> = channels.iter().map(|channel| &**channel).collect();
        Ok(done(format!("in the queue of {}; the daemon sends it", names.join(", ")), json!({ "channels": names })))
    }
}
