//! What follows from a try: sent, tried again or given up, also for each recipient by itself; the log, the figures and the
//! alert about the channel.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::channel::{self, Missed};
use super::worker::{Tried, Worker};
use super::{SendError, backoff, text};
use crate::diagnose::Diagnose as _;
use crate::model::alert::Subject;
use crate::model::{AlertKey, Delivery, DeliveryState, Finding, Severity, Signal};
use crate::store::DeliveryResult;

/// Kind of the alert about a channel that does not take messages.
pub const ALERT_KIND: &str = "Notification";

impl Worker {
    /// What follows from a try.
    pub(super) fn judge(&self, tried: &Tried) -> DeliveryResult {
        let now = self.parts.clock.now();
        let delivery = &tried.delivery;
        match &tried.result {
            Ok(answer) => {
                let rest: Vec<Delivery> = answer.missed.iter().map(|missed| self.rest(delivery, missed, now)).collect();
                let without: Vec<&str> = answer.missed.iter().map(|missed| missed.recipient.as_str()).collect();
                let error = (!rest.is_empty()).then(|| text::line(&format!("not taken for {}", without.join(", ")), 1000));
                let receipt = answer.receipt.clone();
                DeliveryResult { state: DeliveryState::Sent, error, receipt, due_at: None, sent_at: Some(now), rest }
            }
            Err(error) => {
                let (state, due_at, said) = self.after(delivery, error, now);
                DeliveryResult { state, error: Some(said), receipt: None, due_at, sent_at: None, rest: Vec::new() }
            }
        }
    }

    /// What is left to be done for a recipient whom it did not reach while others got it: nobody is sent it twice.
    fn rest(&self, delivery: &Delivery, missed: &Missed, now: DateTime<Utc>) -> Delivery {
        let (state, due_at, said) = self.after(delivery, &missed.error, now);
        Delivery {
            id: format!("{}.{}", delivery.id, &channel::digest(&missed.recipient)[..12]),
            recipient: Some(missed.recipient.clone()),
            state,
            attempts: delivery.attempts + 1,
            due_at: due_at.unwrap_or(now),
            error: Some(said),
            receipt: None,
            sent_at: None,
            ..delivery.clone()
        }
    }

    /// Whether it is tried again after an error, when, and what is noted about it.
    fn after(&self, delivery: &Delivery, error: &SendError, now: DateTime<Utc>) -> (DeliveryState, Option<DateTime<Utc>>, String) {
        let said = text::line(&self.parts.redactor.redact(&format!("{}: {error}", error.code())), 1000);
        let attempts = delivery.attempts + 1;
        let (tries, longest) = {
            let mut lanes = self.lanes();
            let common = lanes.of(&delivery.channel).options().map(|options| options.common().clone()).unwrap_or_default();
            (common.tries, common.give_up_after.delta())
        };
        let too_old = attempts > 1 && now - delivery.created_at >= longest;
        if !error.may_pass() || attempts >= tries || too_old {
            return (DeliveryState::Dead, None, said);
        }
        let due = now + backoff::pause(&delivery.id, attempts, error.retry_after());
        (DeliveryState::Pending, Some(due), said)
    }

    /// Log, figures, and the alert about the channel.
    pub(super) fn tell(&self, tried: &Tried, outcome: &DeliveryResult) {
        let delivery = &tried.delivery;
        let channel = &delivery.channel;
        let now = self.parts.clock.now();
        let key = AlertKey { subject: Subject::System, kind: ALERT_KIND.into(), instance: Arc::clone(channel) };
        let error = outcome.error.clone().unwrap_or_default();
        let given_up: Vec<&Delivery> = outcome.rest.iter().filter(|rest| rest.state == DeliveryState::Dead).collect();
        // A message about this channel that does not get through this channel says nothing new.
        let itself = delivery.message.alerts.iter().any(|alert| alert.key == key);
        let signal = {
            let mut lanes = self.lanes();
            let lane = lanes.of(channel);
            lane.counts.last_error.clone_from(&outcome.error);
            match outcome.state {
                DeliveryState::Sent => {
                    lane.counts.sent += 1;
                    lane.took(now - delivery.created_at);
                    lane.counts.last_sent_at = Some(now);
                    lane.counts.failed += outcome.rest.len() as u64;
                    lane.counts.dead += given_up.len() as u64;
                    lane.alarmed |= !given_up.is_empty();
                    let clear = given_up.is_empty() && std::mem::take(&mut lane.alarmed);
                    let raised = given_up.first().filter(|_| !itself);
                    let raised = raised.map(|rest| Signal::Raised(dead(key.clone(), rest, rest.error.as_deref().unwrap_or_default(), now)));
                    raised.or_else(|| clear.then(|| Signal::Cleared { key, at: now, reason: "it takes messages again".into() }))
                }
                DeliveryState::Dead => {
                    lane.counts.failed += 1;
                    lane.counts.dead += 1;
                    lane.alarmed = true;
                    (!itself).then(|| Signal::Raised(dead(key, delivery, &error, now)))
                }
                _ => {
                    lane.counts.failed += 1;
                    None
                }
            }
        };
        match outcome.state {
            DeliveryState::Sent => {
                tracing::info!(delivery = %delivery.id, channel = %channel, "sent");
                for rest in &outcome.rest {
                    let (to, error) = (rest.recipient.as_deref().unwrap_or_default(), rest.error.as_deref().unwrap_or_default());
                    tracing::warn!(delivery = %rest.id, channel = %channel, state = %rest.state, "not taken for {to}: {error}");
                }
            }
            DeliveryState::Dead => tracing::error!(delivery = %delivery.id, channel = %channel, "given up: {error}"),
            _ => tracing::warn!(delivery = %delivery.id, channel = %channel, again = ?outcome.due_at, "not sent: {error}"),
        }
        if let Some(signal) = signal {
            (self.parts.signals)(signal);
        }
    }
}

/// The alert about a channel that did not take a message.
fn dead(key: AlertKey, delivery: &Delivery, error: &str, at: DateTime<Utc>) -> Finding {
    Finding {
        title: text::line(&format!("a notification to {} was given up: {error}", key.instance), 300),
        message: format!("`rmm notify list --state dead` shows it, `rmm notify retry {}` has it tried again.", delivery.id),
        source: "notify".into(),
        severity: Severity::High,
        value: None,
        unit: None,
        key,
        at,
    }
}
