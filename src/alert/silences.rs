//! Silences and maintenance: whether an alert is covered by one, and when that changes.

use chrono::{DateTime, Utc};

use super::fleet::Fleet;
use super::kind;
use crate::model::alert::{Silence, Subject, Suppression};
use crate::model::{Alert, Selector};
use crate::plan::{Scope, Targeting};

/// A silence with its selectors read.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub silence: Silence,
    /// None where a text means nothing (any more): it then covers nothing but a device of that very name.
    selectors: Vec<Result<Selector, String>>,
}

/// Reads the selectors of silences.
pub(super) fn read(silences: Vec<Silence>, fleet: &mut Fleet) -> Vec<Ready> {
    let mut ready = Vec::new();
    for silence in silences {
        let selectors = silence.targets.iter().map(|text| {
            let scope = Scope::parse(fleet.set(), std::slice::from_ref(text), &[]);
            scope.ok().and_then(|scope| scope.selectors.into_iter().next()).ok_or_else(|| text.clone())
        });
        let selectors: Vec<_> = selectors.collect();
        selectors.iter().flatten().for_each(|selector| fleet.add(selector));
        ready.push(Ready { silence, selectors });
    }
    ready
}

impl Ready {
    fn covers(&self, alert: &Alert, fleet: &Fleet, now: DateTime<Utc>) -> bool {
        let silence = &self.silence;
        if now < silence.starts_at || now >= silence.ends_at || !types(&silence.kinds, alert, fleet) {
            return false;
        }
        let means = |device: &str| {
            self.selectors.iter().any(|selector| match selector {
                Ok(selector) => fleet.any(std::slice::from_ref(selector), device) == Targeting::Yes,
                Err(name) => name == device,
            })
        };
        silence.targets.is_empty() || of_subject(&alert.key.subject, fleet, means)
    }
}

/// Why nobody is told of an alert now, as far as people have said so.
pub(super) fn covering(alert: &Alert, fleet: &Fleet, silences: &[Ready], now: DateTime<Utc>) -> Option<Suppression> {
    if let Some(ready) = silences.iter().find(|ready| ready.covers(alert, fleet, now)) {
        return Some(Suppression::Silence(ready.silence.id.clone()));
    }
    let maintenance = fleet.set().maintenance.values().find(|maintenance| {
        let means = |device: &str| fleet.any(&maintenance.targets, device) == Targeting::Yes;
        maintenance.when.contains(now)
            && types(&maintenance.types, alert, fleet)
            && (maintenance.targets.is_empty() || of_subject(&alert.key.subject, fleet, means))
    });
    maintenance.map(|maintenance| Suppression::Maintenance(maintenance.name.to_string()))
}

/// A site is covered where all of its devices are; the product itself only by what covers everything.
fn of_subject(subject: &Subject, fleet: &Fleet, means: impl Fn(&str) -> bool) -> bool {
    match subject {
        Subject::Device(name) => means(name),
        Subject::Site(name) => {
            let devices = fleet.devices_at(name);
            !devices.is_empty() && devices.iter().all(|device| means(device))
        }
        Subject::System => false,
    }
}

/// Whether an alert is of one of these types: its own, or the metric of its threshold. All of them where none are named.
pub(super) fn types(wanted: &[String], alert: &Alert, fleet: &Fleet) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| kind::means(wanted, &alert.key.kind, fleet.set()))
}

/// The next moment at which a silence, maintenance or the quiet hours begin or end.
pub(super) fn next_edge(fleet: &Fleet, silences: &[Ready], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let set = fleet.set();
    let silences = silences.iter().flat_map(|ready| [ready.silence.starts_at, ready.silence.ends_at]).filter(|at| *at > now);
    let maintenance = set.maintenance.values().filter_map(|maintenance| maintenance.when.next_edge(now));
    let quiet = set.quiet_hours.iter().filter_map(|quiet| quiet.hours.next_edge(now));
    silences.chain(maintenance).chain(quiet).min()
}
