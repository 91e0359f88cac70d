//! Why nobody is told of an alert: silences, maintenance, a larger problem, something above that is down, quiet hours.

use chrono::{DateTime, Utc};

use super::correlate::{exhaustion_of, offline_of, outage_of};
use super::engine::Engine;
use super::entry::Entry;
use super::kind::{OFFLINE, RESOURCE_EXHAUSTION, SITE_UNREACHABLE};
use super::silences;
use crate::model::alert::{Subject, Suppression};
use crate::model::{AlertKey, Severity};

/// A reason, and when it may end by the clock alone.
pub(super) type Reason = (Suppression, Option<DateTime<Utc>>);

impl Engine {
    /// Why nobody is told of an alert now. The first of several reasons counts: what people said, then what is larger,
    /// then what is above, then the hour.
    pub(super) fn suppression(&self, entry: &Entry, now: DateTime<Utc>) -> Option<Reason> {
        let said = || silences::covering(&entry.alert, &self.fleet, &self.silences, now).map(|suppression| (suppression, None));
        let quiet = || self.is_quiet(entry.alert.severity, now).then_some((Suppression::QuietHours, None));
        let flapping = || entry.progress.flapping.then_some((Suppression::Flapping, None));
        said().or_else(|| self.part_of(entry, now)).or_else(|| self.parent(entry, now)).or_else(quiet).or_else(flapping)
    }

    /// Whether quiet hours hold something of this severity back.
    pub(super) fn is_quiet(&self, severity: Severity, now: DateTime<Utc>) -> bool {
        let passes = |quiet: &crate::model::duty::QuietHours| quiet.except.as_ref().is_some_and(|rule| rule.covers(severity));
        self.set().quiet_hours.as_ref().is_some_and(|quiet| quiet.hours.contains(now) && !passes(quiet))
    }

    fn part_of(&self, entry: &Entry, now: DateTime<Utc>) -> Option<Reason> {
        let Subject::Device(device) = &entry.alert.key.subject else { return None };
        let kind = &*entry.alert.key.kind;
        if kind == OFFLINE {
            let key = outage_of(&self.fleet.site_of(&entry.alert.key.subject)?);
            let outage = self.latest(&key)?;
            return self.holds(entry, &key, Suppression::PartOf(outage.alert.id.clone()), now);
        }
        if kind == RESOURCE_EXHAUSTION || self.resource(entry).is_none() {
            return None;
        }
        let larger = self.open(&exhaustion_of(device)).filter(|larger| larger.progress.present)?;
        Some((Suppression::PartOf(larger.alert.id.clone()), None))
    }

    fn parent(&self, entry: &Entry, now: DateTime<Utc>) -> Option<Reason> {
        let Subject::Device(device) = &entry.alert.key.subject else { return None };
        let is_offline = &*entry.alert.key.kind == OFFLINE;
        let site = self.fleet.site_of(&entry.alert.key.subject).filter(|_| !is_offline);
        let above = self.fleet.above(device).iter().map(|other| (offline_of(other), other));
        let own = (!is_offline).then(|| (offline_of(device), device));
        let mut found =
            own.into_iter().chain(above).filter_map(|(key, name)| self.holds(entry, &key, Suppression::Parent(name.to_string()), now));
        let first = found.next();
        drop(found);
        first.or_else(|| {
            let site = site?;
            self.holds(entry, &outage_of(&site), Suppression::Parent(site.to_string()), now)
        })
    }

    /// Whether what is above holds: while it is down, and for some time after for what it held already, to recover.
    fn holds(&self, entry: &Entry, key: &AlertKey, suppression: Suppression, now: DateTime<Utc>) -> Option<Reason> {
        debug_assert!([OFFLINE, SITE_UNREACHABLE].contains(&&*key.kind));
        let above = self.latest(key)?;
        if above.is_present() {
            return Some((suppression, None));
        }
        let back = if above.is_open() { above.progress.changed_at } else { above.alert.resolved_at }?;
        let until = back + self.options().recovery.delta();
        (entry.is_hidden_by(&suppression) && now < until).then_some((suppression, Some(until)))
    }
}
