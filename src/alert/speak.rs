//! Rules, repetition and escalation: who hears of an active alert, and when next.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::engine::Engine;
use super::entry::Entry;
use super::kind::OFFLINE;
use super::outbox::keeps_incidents;
use super::people;
use super::progress::{Address, RuleProgress};
use crate::model::Escalation;
use crate::model::alert::Subject;
use crate::model::delivery::Occasion;
use crate::model::notification::{During, NotificationRule, Tier};

impl Engine {
    /// Says what is due about an active alert; returns when something is due next. `sum_up`: what is due goes into the summary
    /// that is made as the quiet hours end.
    pub(super) fn speak(&mut self, entry: &mut Entry, sum_up: bool, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let set = Arc::clone(self.set());
        // A clock that was set back puts nothing off: what lies ahead began now.
        let progress = &mut entry.progress;
        progress.since = progress.since.map(|since| since.min(now));
        for rule in progress.rules.values_mut() {
            (rule.last, rule.tier_from) = (rule.last.min(now), rule.tier_from.min(now));
        }
        let since = progress.since.unwrap_or(entry.alert.created_at.min(now));
        let mut next: Option<DateTime<Utc>> = None;
        let mut later = |at: Option<DateTime<Utc>>| next = next.into_iter().chain(at).min();
        if entry.progress.worst.is_some_and(|worst| entry.alert.severity > worst) {
            for (to, because) in entry.progress.listeners() {
                self.heard(entry, Occasion::Worsened, &to, &because, sum_up, now);
            }
        }
        for rule in set.notifications.values() {
            if !self.is_about(rule, &entry.alert) {
                continue;
            }
            let (in_time, edge) = self.during(rule.during, now);
            let because = format!("rule {}", rule.name);
            if !entry.progress.rules.contains_key(&*rule.name) {
                let due = since + rule.delay.max(self.waits(entry)).delta();
                if now < due {
                    later(Some(due));
                    continue;
                }
                if !in_time {
                    later(edge);
                    continue;
                }
                if rule.suppress_duplicates && self.told_already(rule, entry) {
                    continue;
                }
                for channel in &rule.channels {
                    let to = Address { channel: Arc::clone(channel), recipient: None };
                    if !entry.progress.told_mut(&to).open {
                        self.heard(entry, Occasion::Raised, &to, &because, sum_up, now);
                    }
                }
                let progress = RuleProgress { last: now, tier: 0, tier_from: now };
                entry.progress.rules.insert(rule.name.to_string(), progress);
            }
            if let (Some(repeat), Some(progress)) = (rule.repeat, entry.progress.rules.get_mut(&*rule.name)) {
                let due = progress.last + repeat.delta();
                if now < due {
                    later(Some(due));
                } else if in_time {
                    progress.last = now;
                    later(Some(now + repeat.delta()));
                    for channel in &rule.channels {
                        let to = Address { channel: Arc::clone(channel), recipient: None };
                        self.heard(entry, Occasion::Repeated, &to, &because, sum_up, now);
                    }
                } else {
                    later(edge);
                }
            }
            if let Some(escalation) = rule.escalation.as_ref().and_then(|name| set.escalations.get(&**name)) {
                later(self.escalate(entry, rule, escalation, sum_up, now));
            }
        }
        next
    }

    /// Goes on to the tiers whose time has come; returns when that of the next one does.
    fn escalate(
        &mut self,
        entry: &mut Entry,
        rule: &NotificationRule,
        escalation: &Escalation,
        sum_up: bool,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let set = Arc::clone(self.set());
        loop {
            let progress = entry.progress.rules.get_mut(&*rule.name)?;
            let (number, from) = (progress.tier, progress.tier_from);
            let (tier, which) = tier(escalation, number)?;
            let due = from + tier.after.delta();
            if now < due {
                return Some(due);
            }
            progress.tier += 1;
            progress.tier_from = now;
            if !self.during(tier.during, now).0 {
                continue;
            }
            let (addresses, people) = people::of_tier(&set, &tier, &rule.channels, now);
            let because = format!("escalation {}, {which}{people}", escalation.name);
            for to in addresses {
                self.heard(entry, Occasion::Escalated, &to, &because, sum_up, now);
            }
        }
    }

    /// Tells somebody, and remembers that they have heard of it.
    fn heard(&mut self, entry: &mut Entry, occasion: Occasion, to: &Address, because: &str, sum_up: bool, now: DateTime<Utc>) {
        if sum_up && !keeps_incidents(self.set(), to) {
            self.outbox.collect(to, entry);
        } else {
            self.tell(entry, occasion, to, because, now);
        }
        entry.progress.worst = entry.progress.worst.max(Some(entry.alert.severity));
        let told = entry.progress.told_mut(to);
        if !told.open {
            told.open = true;
            because.clone_into(&mut told.because);
        }
    }

    /// Whether a time of the day is now, and when that changes.
    fn during(&self, during: During, now: DateTime<Utc>) -> (bool, Option<DateTime<Utc>>) {
        let Some(hours) = self.set().business_hours.as_ref().filter(|_| during != During::Always) else { return (true, None) };
        (hours.contains(now) == (during == During::BusinessHours), hours.next_edge(now))
    }

    /// How long a device that is offline waits for a larger problem that it may be a part of.
    fn waits(&self, entry: &Entry) -> crate::time::Span {
        let Subject::Device(device) = &entry.alert.key.subject else { return crate::time::Span::default() };
        let options = self.options();
        let at_site = || self.fleet.site_of(&entry.alert.key.subject).map_or(0, |site| self.fleet.devices_at(&site).len());
        let is_part =
            &*entry.alert.key.kind == OFFLINE && (!self.fleet.above(device).is_empty() || at_site() >= options.site_devices as usize);
        if is_part { options.wait } else { crate::time::Span::default() }
    }

    /// Whether a rule has spoken of the same type on the same device, and that still lasts.
    fn told_already(&self, rule: &NotificationRule, entry: &Entry) -> bool {
        let key = &entry.alert.key;
        self.about(&key.subject).any(|other| {
            other.is_open()
                && other.alert.key.kind == key.kind
                && other.alert.id != entry.alert.id
                && other.progress.rules.contains_key(&*rule.name)
        })
    }
}

/// A tier by its number, and what it is called. Behind the last one stands the manager.
fn tier(escalation: &Escalation, number: usize) -> Option<(Cow<'_, Tier>, String)> {
    if let Some(tier) = escalation.tiers.get(number) {
        return Some((Cow::Borrowed(tier), format!("tier {}", number + 1)));
    }
    let manager = escalation.manager.as_ref().filter(|_| number == escalation.tiers.len())?;
    let people = vec![Arc::clone(manager)];
    let tier = Tier { after: escalation.timeout, channels: Vec::new(), on_call: None, people, during: During::Always };
    Some((Cow::Owned(tier), "manager".to_owned()))
}
