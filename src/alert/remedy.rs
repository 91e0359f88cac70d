//! What a threshold wants done about a breach: asked for here, carried out elsewhere. What did not help twice, one time after
//! another, is not tried a third time: people hear of it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};

use super::Remediation;
use super::engine::Engine;
use super::entry::{ENGINE, Entry};
use super::kind::REMEDIATION_FAILED;
use super::progress::Tries;
use crate::model::alert::{AlertKey, Subject, Suppression};
use crate::model::{AlertState, Finding, Threshold};

/// How often a remedy is tried: what did not help so often, one time after another, does not help.
const MOST: u32 = 2;
/// How long it has to help.
const PATIENCE: TimeDelta = TimeDelta::minutes(15);
/// What has stayed away for so long has been helped.
const HELPED: TimeDelta = TimeDelta::hours(24);

impl Engine {
    /// Asks for the remedy of an alert where it is due; returns when it is due again.
    pub(super) fn remedy(&mut self, id: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let entry = self.alerts.get(id)?;
        let threshold = Arc::clone(self.set().thresholds.get(&*entry.alert.key.kind)?);
        let call = threshold.remediate.clone()?;
        let Subject::Device(device) = entry.alert.key.subject.clone() else { return None };
        // People at work on a device, or a device that cannot be reached: not now.
        let rests = matches!(entry.alert.suppressed, Some(Suppression::Maintenance(_) | Suppression::Parent(_)));
        if !entry.is_present() || entry.alert.state == AlertState::Acknowledged || rests {
            return None;
        }
        let tries = self.tries(entry, &definition(&threshold), now);
        let patience = PATIENCE.max(threshold.limits.hold.delta());
        // Within this breach; what was tried in an earlier one has not lasted.
        let last = entry.progress.remedies.last().copied().filter(|_| entry.progress.attempts > 0 && tries.count > 0);
        if let Some(due) = last.map(|last| last + patience).filter(|due| now < *due) {
            return Some(due);
        }
        if tries.count >= MOST {
            self.give_up(id, &threshold, &tries, now);
            return None;
        }
        let (name, kind) = (call.action.clone(), entry.alert.key.kind.clone());
        let at_most = threshold.remediate_at_most;
        let today = self.about(&entry.alert.key.subject).filter(|other| other.alert.key.kind == kind);
        let mut today: Vec<DateTime<Utc>> =
            today.flat_map(|other| &other.progress.remedies).copied().filter(|at| now - *at < TimeDelta::hours(24)).collect();
        today.sort_unstable();
        let (attempt, instance) = (tries.count + 1, entry.alert.key.instance.clone());
        if today.len() >= at_most as usize {
            self.change(id, |_, entry| {
                if !std::mem::replace(&mut entry.progress.remedy_over, true) {
                    entry.note(now, ENGINE, format!("{name} is not carried out again: {at_most} times within 24h are enough"));
                }
            });
            return today.first().map(|first| *first + TimeDelta::hours(24));
        }
        self.change(id, |_, entry| {
            entry.progress.attempts += 1;
            entry.progress.given_up = false;
            entry.progress.tries = Tries { count: attempt, last: Some(now), ..tries };
            entry.progress.remedies.push(now);
            let surplus = entry.progress.remedies.len().saturating_sub(100);
            entry.progress.remedies.drain(..surplus);
            entry.note(now, ENGINE, format!("{name} is carried out about it (attempt {attempt} of {MOST})"));
        });
        self.remediations.push(Remediation { alert: id.to_owned(), device, threshold: kind, instance, call });
        Some(now + patience)
    }

    /// How often the remedy was tried for this in vain, by this definition of the threshold: what the alert knows itself, or the one
    /// before it.
    fn tries(&self, entry: &Entry, definition: &str, now: DateTime<Utc>) -> Tries {
        let mine = |tries: &Tries| tries.of == definition;
        let known = &entry.progress.tries;
        let fresh = Tries { of: definition.to_owned(), ..Tries::default() };
        if !known.of.is_empty() {
            return Some(known.clone()).filter(mine).unwrap_or(fresh);
        }
        let (key, begun) = (&entry.alert.key, entry.alert.created_at);
        let before = self.about(&key.subject).filter(|other| other.alert.key == *key && other.alert.id != entry.alert.id);
        let latest = before.filter_map(|other| Some((other.alert.resolved_at?, &other.progress.tries))).max_by_key(|(at, _)| *at);
        latest.filter(|(at, tries)| begun.max(now) - *at < HELPED && mine(tries)).map_or(fresh, |(_, tries)| tries.clone())
    }

    /// Tells people, once while it lasts, that nothing more is tried.
    fn give_up(&mut self, id: &str, threshold: &Threshold, tries: &Tries, now: DateTime<Utc>) {
        let Some(entry) = self.alerts.get(id) else { return };
        if entry.progress.given_up {
            return;
        }
        let (alert, call) = (&entry.alert, threshold.remediate.as_ref());
        let about =
            if alert.key.instance.is_empty() { alert.key.kind.to_string() } else { format!("{} {}", alert.key.kind, alert.key.instance) };
        let with = call.map(|call| serde_json::to_string(&call.with).unwrap_or_default()).filter(|with| with != "{}").unwrap_or_default();
        let name = call.map(|call| call.action.to_string()).unwrap_or_default();
        let last = tries.last.map_or_else(String::new, |at| format!(", last at {}", at.format("%F %H:%M UTC")));
        let said = alert.notes.iter().rev().filter(|note| note.by == ENGINE).take(4).map(|note| format!("  {}", note.text));
        let said: Vec<String> = said.collect::<Vec<_>>().into_iter().rev().collect();
        let finding = Finding {
            key: AlertKey { subject: alert.key.subject.clone(), kind: REMEDIATION_FAILED.into(), instance: about.as_str().into() },
            severity: alert.severity,
            title: format!("{name} does not help against {about}"),
            message: format!(
                "{}\nTried {} times, one after another{last}: {}. It is not tried again until {about} has stayed away for 24 hours, or the threshold {} changes.\n{}",
                alert.title,
                tries.count,
                format!("{name} {with}").trim_end(),
                threshold.name,
                said.join("\n")
            ),
            source: format!("threshold {}", threshold.name).into(),
            value: alert.value,
            unit: alert.unit.clone(),
            at: now,
        };
        self.change(id, |_, entry| {
            entry.progress.given_up = true;
            entry.progress.tries = tries.clone();
            entry.note(now, ENGINE, format!("{name} is not carried out again: {} times in a row it has not helped", tries.count));
        });
        self.raise(finding, true, now);
    }
}

/// Tells one definition of a threshold from another.
fn definition(threshold: &Threshold) -> String {
    let text = serde_json::to_vec(threshold).unwrap_or_default();
    hex::encode(&Sha256::digest(&text)[..8])
}

/// What has stayed away for long enough begins anew.
pub(super) fn came_back(progress: &mut super::progress::Progress, away: Option<TimeDelta>) {
    progress.attempts = 0;
    progress.remedy_over = false;
    progress.given_up = false;
    if away.is_none_or(|away| away >= HELPED) {
        progress.tries = Tries::default();
    }
}
