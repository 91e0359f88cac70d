//! What a threshold wants done about a breach: asked for here, carried out elsewhere.

use chrono::{DateTime, TimeDelta, Utc};

use super::Remediation;
use super::engine::Engine;
use super::entry::ENGINE;
use crate::model::AlertState;
use crate::model::alert::{Subject, Suppression};

/// How often a remedy is tried during one breach: what did not help twice does not help.
const PER_BREACH: u32 = 2;
/// How long it has to help.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);

impl Engine {
    /// Asks for the remedy of an alert where it is due; returns when it is due again.
    pub(super) fn remedy(&mut self, id: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let entry = self.alerts.get(id)?;
        let threshold = self.set().thresholds.get(&*entry.alert.key.kind)?;
        let call = threshold.remediate.clone()?;
        let Subject::Device(device) = entry.alert.key.subject.clone() else { return None };
        // People at work on a device, or a device that cannot be reached: not now.
        let rests = matches!(entry.alert.suppressed, Some(Suppression::Maintenance(_) | Suppression::Parent(_)));
        if !entry.is_present() || entry.alert.state == AlertState::Acknowledged || rests || entry.progress.attempts >= PER_BREACH {
            return None;
        }
        let last = entry.progress.remedies.last().copied().filter(|_| entry.progress.attempts > 0);
        if let Some(due) = last.map(|last| last + PATIENCE).filter(|due| now < *due) {
            return Some(due);
        }
        let (name, kind) = (call.action.clone(), entry.alert.key.kind.clone());
        let at_most = threshold.remediate_at_most;
        let today = self.about(&entry.alert.key.subject).filter(|other| other.alert.key.kind == kind);
        let mut today: Vec<DateTime<Utc>> =
            today.flat_map(|other| &other.progress.remedies).copied().filter(|at| now - *at < TimeDelta::hours(24)).collect();
        today.sort_unstable();
        let (attempt, instance) = (entry.progress.attempts + 1, entry.alert.key.instance.clone());
        if today.len() >= at_most as usize {
            self.change(id, |_, entry| {
                if !std::mem::replace(&mut entry.progress.remedy_over, true) {
                    entry.note(now, ENGINE, format!("{name} is not carried out again: {at_most} times within 24h are enough"));
                }
            });
            return today.first().map(|first| *first + TimeDelta::hours(24));
        }
        self.change(id, |_, entry| {
            entry.progress.attempts = attempt;
            entry.progress.remedies.push(now);
            let surplus = entry.progress.remedies.len().saturating_sub(100);
            entry.progress.remedies.drain(..surplus);
            entry.note(now, ENGINE, format!("{name} is carried out about it (attempt {attempt} of {PER_BREACH})"));
        });
        self.remediations.push(Remediation { alert: id.to_owned(), device, threshold: kind, instance, call });
        (attempt < PER_BREACH).then_some(now + PATIENCE)
    }
}
