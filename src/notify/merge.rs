//! What is more than a channel may send in its minute becomes one summary for each recipient.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::model::delivery::{Message, Occasion};
use crate::model::{Alert, Delivery, DeliveryState, Severity};
use crate::store::AlertBatch;

/// Most alerts that one summary holds.
const MOST_ALERTS: usize = 200;
/// So much of the text of an alert it holds.
const LISTED: usize = 1000;

/// The summaries and what they stand for, as one transaction; `None` where there is nothing to merge. Only what was never
/// tried is merged: of the rest nobody knows whether it has arrived.
///
/// What is less severe than `least` is left out: the channel does not take it.
pub(super) fn summaries(waiting: &[Delivery], rate: u32, least: Severity, now: DateTime<Utc>) -> Option<AlertBatch> {
    let mut by_recipient: BTreeMap<Option<&str>, Vec<&Delivery>> = BTreeMap::new();
    let wanted = |delivery: &Delivery| delivery.message.alerts.iter().map(|alert| alert.severity).max().is_none_or(|worst| worst >= least);
    for delivery in waiting.iter().filter(|delivery| delivery.attempts == 0 && wanted(delivery)) {
        by_recipient.entry(delivery.recipient.as_deref()).or_default().push(delivery);
    }
    let mut batch = AlertBatch::default();
    for (recipient, merged) in by_recipient {
        if merged.len() < 2 {
            continue;
        }
        batch.deliveries.push(summary(recipient, &merged, rate, now));
        batch.cancel.extend(merged.iter().map(|delivery| delivery.id.clone()));
    }
    (!batch.deliveries.is_empty()).then_some(batch)
}

fn summary(recipient: Option<&str>, merged: &[&Delivery], rate: u32, now: DateTime<Utc>) -> Delivery {
    let first = merged[0];
    let mut hash = Sha256::new();
    // As each alert stood when the last message about it was decided.
    let mut alerts: BTreeMap<&str, &Alert> = BTreeMap::new();
    for delivery in merged {
        hash.update(delivery.id.as_bytes());
        hash.update([0]);
        alerts.extend(delivery.message.alerts.iter().map(|alert| (alert.id.as_str(), alert)));
    }
    // Without what a list has no room for: together it would be too much to be written.
    let listed = |alert: &Alert| Alert { notes: Vec::new(), message: super::text::clip(alert.message.clone(), LISTED), ..alert.clone() };
    let mut alerts: Vec<Alert> = alerts.into_values().map(listed).collect();
    alerts.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
    let left = alerts.len().saturating_sub(MOST_ALERTS);
    alerts.truncate(MOST_ALERTS);
    let more = if left > 0 { format!(" {left} more alerts are not in it: `rmm alerts list` has them.") } else { String::new() };
    Delivery {
        id: format!("merged-{}", hex::encode(&hash.finalize()[..12])),
        channel: first.channel.clone(),
        recipient: recipient.map(str::to_owned),
        alert: None,
        message: Message {
            occasion: Occasion::Summary,
            organization: first.message.organization.clone(),
            alerts,
            site: None,
            because: format!("more than {rate} messages in a minute"),
            note: format!("{} messages were merged into this one.{more}", merged.len()),
        },
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: now,
        created_at: now,
        sent_at: None,
        error: None,
        receipt: None,
    }
}
