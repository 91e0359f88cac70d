//! One alert, looked at: where it stands, who has to hear of it now, and when it wants to be looked at again.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::engine::Engine;
use super::entry::{ENGINE, Entry};
use super::outbox::{Saying, keeps_incidents};
use super::progress::Address;
use super::silences;
use crate::model::alert::{Subject, Suppression};
use crate::model::delivery::Occasion;
use crate::model::notification::NotificationRule;
use crate::model::{Alert, AlertState};
use crate::plan::Targeting;

impl Engine {
    /// Looks at an alert.
    pub(super) fn settle(&mut self, id: &str, now: DateTime<Utc>) {
        let Some(entry) = self.alerts.get(id) else { return };
        if !entry.is_open() {
            self.wake(id, None);
            self.change(id, |engine, entry| engine.is_over(entry, now));
            return;
        }
        let options = self.options();
        let ends = entry.progress.occurred.then(|| entry.alert.last_at + options.occurred_for.delta());
        let calm = entry.progress.changed_at.filter(|_| entry.progress.flapping).map(|at| at + options.flapping_calm.delta());
        let key = entry.alert.key.clone();
        if ends.is_some_and(|ends| ends <= now) {
            self.over(&key, &format!("not again for {}", options.occurred_for), now, now);
            return;
        }
        if calm.is_some_and(|calm| calm <= now) {
            let present = entry.progress.present;
            self.change(id, |_, entry| {
                entry.progress.flapping = false;
                entry.progress.comes.clear();
                entry.note(now, ENGINE, format!("calm for {}", options.flapping_calm));
            });
            if !present {
                self.over(&key, "", now, now);
                return;
            }
        }
        let Some(entry) = self.alerts.get(id) else { return };
        let reason = self.suppression(entry, now);
        let until = reason.as_ref().and_then(|(_, until)| *until);
        let calm = calm.filter(|calm| *calm > now);
        let spoken = self.change(id, |engine, entry| engine.stand(entry, reason.map(|(suppression, _)| suppression), now)).flatten();
        let remedy = self.remedy(id, now);
        self.wake(id, [ends, calm, until, spoken, remedy].into_iter().flatten().min());
    }

    /// The state of an open alert, and what follows from it. Says when something is due.
    fn stand(&mut self, entry: &mut Entry, reason: Option<Suppression>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let flapping = entry.progress.flapping.then_some(Suppression::Flapping);
        if entry.alert.state == AlertState::Acknowledged {
            entry.alert.suppressed = flapping;
            if entry.progress.acknowledged != entry.alert.acknowledged_at {
                entry.progress.acknowledged = entry.alert.acknowledged_at;
                self.outbox.cancel.append(&mut entry.progress.urging);
                let quiet = self.is_quiet(entry.alert.severity, now);
                self.tell_listeners(entry, Occasion::Acknowledged, now, |engine, to| !quiet || keeps_incidents(engine.set(), to));
            }
            return None;
        }
        let hidden = reason.as_ref().is_some_and(|reason| *reason != Suppression::Flapping);
        let was_quiet = entry.is_hidden_by(&Suppression::QuietHours);
        let again = entry.alert.state == AlertState::Triggered || entry.progress.acknowledged.take().is_some();
        entry.alert.suppressed = reason;
        if hidden {
            entry.alert.state = AlertState::Triggered;
            self.outbox.cancel.append(&mut entry.progress.urging);
            return None;
        }
        entry.alert.state = AlertState::Active;
        if again {
            // Who was to hear of it next waits from now on.
            entry.progress.rules.values_mut().for_each(|rule| rule.tier_from = now);
        }
        let sum_up = was_quiet && !self.is_quiet(entry.alert.severity, now);
        self.speak(entry, sum_up, now)
    }

    /// It is over: who has heard of it hears that too, once.
    fn is_over(&mut self, entry: &mut Entry, now: DateTime<Utc>) {
        let by_time = entry.progress.occurred && entry.alert.resolved_by.is_none();
        let quiet = self.is_quiet(entry.alert.severity, now);
        if entry.progress.present {
            entry.progress.went(entry.alert.resolved_at.unwrap_or(now));
        }
        entry.progress.flapping = false;
        self.outbox.cancel.append(&mut entry.progress.urging);
        if entry.alert.suppressed.take() == Some(Suppression::QuietHours) {
            self.hold(entry, now);
        }
        if quiet && !by_time {
            let held: Vec<Address> = entry.progress.listeners().into_iter().map(|(to, _)| to).collect();
            for to in held.into_iter().filter(|to| !keeps_incidents(self.set(), to)) {
                if !entry.progress.held.contains(&to) {
                    entry.progress.held.push(to);
                }
            }
        }
        // Where it ended by time alone nothing was put right; only who keeps incidents has to close one.
        let direct = |engine: &Self, to: &Address| !(quiet || by_time) || keeps_incidents(engine.set(), to);
        self.tell_listeners(entry, Occasion::Resolved, now, direct);
        entry.progress.told.iter_mut().for_each(|told| told.open = false);
        if !quiet {
            for to in std::mem::take(&mut entry.progress.held) {
                self.outbox.collect(&to, entry);
            }
        }
    }

    /// Notes who would have heard of it, had it not been in the quiet hours.
    fn hold(&mut self, entry: &mut Entry, now: DateTime<Utc>) {
        let since = entry.progress.since.unwrap_or(entry.alert.created_at);
        let set = Arc::clone(self.set());
        let over = entry.alert.resolved_at.unwrap_or(now).max(since);
        for rule in set.notifications.values().filter(|rule| over - since >= rule.delay.delta() && self.is_about(rule, &entry.alert)) {
            for channel in &rule.channels {
                let to = Address { channel: Arc::clone(channel), recipient: None };
                if !keeps_incidents(&set, &to) && !entry.progress.held.contains(&to) {
                    entry.progress.held.push(to);
                }
            }
        }
    }

    /// Tells those who have heard of it.
    fn tell_listeners(&mut self, entry: &mut Entry, occasion: Occasion, now: DateTime<Utc>, whom: impl Fn(&Self, &Address) -> bool) {
        for (to, because) in entry.progress.listeners() {
            if whom(self, &to) {
                self.tell(entry, occasion, &to, &because, now);
            }
        }
    }

    /// Tells somebody now.
    pub(super) fn tell(&mut self, entry: &mut Entry, occasion: Occasion, to: &Address, because: &str, now: DateTime<Utc>) {
        let set = Arc::clone(self.set());
        let site = self.fleet.site_of(&entry.alert.key.subject);
        self.outbox.say(&set, entry, &Saying { occasion, to, because, site, now });
    }

    /// Whether a rule is about an alert. Where it is not known whether a device is meant, it is: better told than not.
    pub(super) fn is_about(&self, rule: &NotificationRule, alert: &Alert) -> bool {
        let means = |device: &str| self.fleet.any(&rule.targets, device) != Targeting::No;
        rule.severity.as_ref().is_none_or(|severity| severity.covers(alert.severity))
            && silences::types(&rule.types, alert, &self.fleet)
            && (rule.targets.is_empty()
                || match &alert.key.subject {
                    Subject::Device(name) => means(name),
                    Subject::Site(name) => self.fleet.devices_at(name).iter().any(|device| means(device)),
                    Subject::System => false,
                })
    }
}
