//! What a call of the engine leads to: messages with ids made from what they are about, and who they go to.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::entry::Entry;
use super::progress::Address;
use crate::model::delivery::{Message, Occasion};
use crate::model::notification::ChannelType;
use crate::model::{Alert, AlertKey, Delivery, DeliveryState};
use crate::repo::PolicySet;

/// Most alerts that one summary shows.
const MOST_IN_SUMMARY: usize = 200;

/// Messages that have been decided and not been written yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub deliveries: Vec<Delivery>,
    pub cancel: Vec<String>,
    /// What is told in a summary at the end of this call, by address.
    collected: BTreeMap<Address, BTreeMap<String, Alert>>,
}

/// What is to be said to whom.
#[derive(Debug)]
pub(super) struct Saying<'a> {
    pub occasion: Occasion,
    pub to: &'a Address,
    pub because: &'a str,
    pub site: Option<Arc<str>>,
    pub now: DateTime<Utc>,
}

impl Outbox {
    /// Adds an alert to the summary that somebody gets.
    pub(super) fn collect(&mut self, to: &Address, entry: &Entry) {
        self.collected.entry(to.clone()).or_default().insert(entry.alert.id.clone(), entry.listed());
    }

    /// Says something about an alert. Counts the message.
    pub(super) fn say(&mut self, set: &PolicySet, entry: &mut Entry, saying: &Saying<'_>) {
        let Saying { occasion, to, because, site, now } = saying;
        let told = entry.progress.told_mut(to);
        told.messages += 1;
        let id =
            format!("d-{}-{}", &entry.alert.id, digest(&[&to.channel, to.recipient.as_deref().unwrap_or(""), &told.messages.to_string()]));
        if matches!(occasion, Occasion::Repeated | Occasion::Escalated) {
            // Only the latest can still be waiting.
            let urging = &mut entry.progress.urging;
            urging.push(id.clone());
            let surplus = urging.len().saturating_sub(50);
            urging.drain(..surplus);
        }
        self.deliveries.push(Delivery {
            id,
            channel: Arc::clone(&to.channel),
            recipient: to.recipient.clone(),
            alert: Some(entry.alert.id.clone()),
            message: Message {
                occasion: *occasion,
                organization: set.config.general.organization.clone(),
                alerts: vec![entry.shown()],
                site: site.as_deref().map(str::to_owned),
                because: (*because).to_owned(),
                note: String::new(),
            },
            state: DeliveryState::Pending,
            attempts: 0,
            due_at: *now,
            created_at: *now,
            sent_at: None,
            error: None,
            receipt: None,
        });
    }

    /// Turns what was collected into one message per address.
    pub(super) fn sum_up(&mut self, set: &PolicySet, now: DateTime<Utc>) {
        for (to, alerts) in std::mem::take(&mut self.collected) {
            let lasting = alerts.values().filter(|alert| alert.state.is_open()).count();
            let total = alerts.len();
            let word = if total == 1 { "alert" } else { "alerts" };
            let mut note = format!("During the quiet hours: {total} {word}, {lasting} of them not over.");
            if total > MOST_IN_SUMMARY {
                note.push_str(&format!(" The first {MOST_IN_SUMMARY} are shown."));
            }
            let mut alerts: Vec<Alert> = alerts.into_values().collect();
            // What lasts first, the worst first; then in the order of time.
            alerts.sort_by(|a, b| {
                let order = |alert: &Alert| (!alert.state.is_open(), std::cmp::Reverse(alert.severity), alert.created_at);
                order(a).cmp(&order(b)).then_with(|| a.id.cmp(&b.id))
            });
            alerts.truncate(MOST_IN_SUMMARY);
            let moment = now.format("%Y%m%d-%H%M%S%3f").to_string();
            self.deliveries.push(Delivery {
                id: format!("d-summary-{moment}-{}", digest(&[&to.channel, to.recipient.as_deref().unwrap_or("")])),
                channel: to.channel,
                recipient: to.recipient,
                alert: None,
                message: Message {
                    occasion: Occasion::Summary,
                    organization: set.config.general.organization.clone(),
                    alerts,
                    site: None,
                    because: "end of the quiet hours".into(),
                    note,
                },
                state: DeliveryState::Pending,
                attempts: 0,
                due_at: now,
                created_at: now,
                sent_at: None,
                error: None,
                receipt: None,
            });
        }
    }
}

/// Whether a channel opens and closes incidents, so that a summary tells it nothing.
pub(super) fn keeps_incidents(set: &PolicySet, to: &Address) -> bool {
    let channel = set.config.notifications.channels.get(&*to.channel);
    channel.is_some_and(|channel| channel.kind == Some(ChannelType::PagerDuty))
}

/// `a-20261121-073012-4f2a91c3`: by time, then by what it is about. `taken` are those that another alert has already.
pub(super) fn alert_id(key: &AlertKey, now: DateTime<Utc>, taken: impl Fn(&str) -> bool) -> String {
    let subject = serde_json::to_string(&key.subject).unwrap_or_default();
    let moment = now.timestamp_millis().to_string();
    for n in 0_u32.. {
        let id =
            format!("a-{}-{}", now.format("%Y%m%d-%H%M%S"), &digest(&[&subject, &key.kind, &key.instance, &moment, &n.to_string()])[..8]);
        if !taken(&id) {
            return id;
        }
    }
    String::new()
}

/// Ten hexadecimal digits of the hash of these parts.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..5])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alert::{Note, Subject};
    use crate::model::{AlertState, Severity};

    #[test]
    fn a_summary_of_the_largest_alerts_and_the_largest_message_can_be_written() {
        let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(crate::time::FixedClock::new(now));
        let store = crate::store::Store::open(&folder.path().join("rmm.db"), clock).unwrap();
        let options = crate::repo::LoadOptions { root: folder.path().into(), env: None, environment: Vec::new(), now };
        let files = [("rmm.toml", "[general]\norganization = \"Example\"\n"), ("devices.yaml", "devices: {a: {os: linux}}\n")];
        let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
        let set = crate::repo::compile(files, &options, crate::repo::World::default()).set.unwrap();
        let mut outbox = Outbox::default();
        let to = Address { channel: "mail".into(), recipient: None };
        for n in 0..300 {
            let note = Note { at: now, by: "kim".into(), text: "\u{1f525}".repeat(1000) };
            let alert = Alert {
                id: format!("a-{n}"),
                key: AlertKey { subject: Subject::System, kind: "Journal".into(), instance: format!("{n}").into() },
                severity: Severity::High,
                title: "\u{1f525}".repeat(super::super::entry::MOST_TITLE),
                message: "\u{1f525}".repeat(super::super::entry::MOST_MESSAGE),
                source: "test".into(),
                value: None,
                unit: None,
                state: AlertState::Triggered,
                suppressed: None,
                count: 1,
                created_at: now,
                last_at: now,
                acknowledged_at: None,
                acknowledged_by: None,
                resolved_at: None,
                resolved_by: None,
                notes: vec![note; 200],
                progress: serde_json::Value::Null,
            };
            let mut entry = Entry::read(alert);
            outbox.collect(&to, &entry);
            if n == 0 {
                outbox.say(&set, &mut entry, &Saying { occasion: Occasion::Raised, to: &to, because: "rule", site: None, now });
            }
        }
        outbox.sum_up(&set, now);
        assert_eq!(outbox.deliveries.len(), 2);
        store.commit_alerts(&crate::store::AlertBatch { deliveries: outbox.deliveries, ..Default::default() }).unwrap();
    }
}
