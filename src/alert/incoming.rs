//! What findings do to alerts: a new one, the same one again, one that comes back, one that is over.

use chrono::{DateTime, Utc};

use super::engine::Engine;
use super::entry::{ENGINE, Entry, MOST_MESSAGE, MOST_TITLE, clip, millis};
use super::kind::SITE_UNREACHABLE;
use super::outbox;
use super::progress::Progress;
use crate::model::alert::Subject;
use crate::model::{Alert, AlertKey, AlertState, Finding};

impl Engine {
    /// Something is wrong.
    pub(super) fn raise(&mut self, finding: Finding, occurred: bool, now: DateTime<Utc>) {
        let at = millis(finding.at).min(now);
        let key = finding.key.clone();
        let options = self.options();
        let window = options.flapping_within.delta();
        let known = self.latest(&key).map(|entry| {
            let resolved = entry.alert.resolved_at;
            let shortly = resolved.is_some_and(|resolved| at - resolved <= options.deduplicate.delta());
            (entry.alert.id.clone(), entry.is_open(), shortly, entry.progress.comes.clone())
        });
        let (id, mut comes) = match known {
            Some((id, true, ..)) => {
                self.change(&id, |_, entry| again(entry, finding, at, now));
                (id, None)
            }
            Some((id, false, true, comes)) => {
                self.change(&id, |_, entry| reopen(entry, finding, now));
                (id, Some(comes))
            }
            other => {
                let id = outbox::alert_id(&key, now, |id| self.alerts.contains_key(id));
                self.create(id.clone(), finding, occurred, at);
                (id, Some(other.map(|(.., comes)| comes).unwrap_or_default()))
            }
        };
        if let Some(comes) = comes.as_mut() {
            comes.retain(|come| at - *come < window);
        }
        let fresh = comes.is_some();
        self.change(&id, |_, entry| {
            let progress = &mut entry.progress;
            // What can be measured has an end, also where a log record spoke of it too.
            progress.occurred = occurred && (comes.is_some() || progress.occurred);
            if let Some(comes) = comes {
                progress.comes = comes;
                progress.since = Some(now);
            }
            if !progress.present {
                progress.came(at);
                progress.comes.retain(|come| at - *come < window);
                if progress.comes.len() > options.flapping_times as usize && !progress.flapping && !progress.occurred {
                    progress.flapping = true;
                    let text = format!("comes and goes: {} times within {}", entry.progress.comes.len(), options.flapping_within);
                    entry.note(now, ENGINE, text);
                }
            }
        });
        self.attach(&id);
        self.touched.insert(id);
        self.index(&key);
        if fresh {
            self.ripple(&key);
        } else {
            self.touch_subject_for_correlation(&key.subject);
        }
    }

    /// What else may be told differently now that this began or is over.
    pub(super) fn ripple(&mut self, key: &AlertKey) {
        self.touch_subject(&key.subject);
        self.touch_subject_for_correlation(&key.subject);
        if let (Subject::Site(site), SITE_UNREACHABLE) = (&key.subject, &*key.kind) {
            for device in self.fleet.devices_at(site).to_vec() {
                self.touch_subject(&Subject::Device(device));
            }
        }
    }

    fn create(&mut self, id: String, finding: Finding, occurred: bool, at: DateTime<Utc>) {
        let progress = Progress { occurred, ..Progress::default() };
        let alert = Alert {
            id: id.clone(),
            key: finding.key,
            severity: finding.severity,
            title: clip(&finding.title, MOST_TITLE),
            message: clip(&finding.message, MOST_MESSAGE),
            source: finding.source,
            value: finding.value.filter(|value| value.is_finite()),
            unit: finding.unit,
            state: AlertState::Triggered,
            suppressed: None,
            count: 1,
            created_at: at,
            last_at: at,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
            notes: Vec::new(),
            progress: serde_json::Value::Null,
        };
        self.latest.insert(alert.key.clone(), id.clone());
        self.put(Entry { alert, progress, stored: None });
        self.changed.insert(id);
    }

    /// It is over, unless it comes and goes: then it goes for now.
    pub(super) fn clear(&mut self, key: &AlertKey, reason: &str, at: DateTime<Utc>, now: DateTime<Utc>) {
        let Some((id, flapping, present)) = self.open(key).map(|e| (e.alert.id.clone(), e.progress.flapping, e.progress.present)) else {
            return;
        };
        if !flapping {
            self.over(key, reason, at, now);
        } else if present {
            self.change(&id, |_, entry| entry.progress.went(at));
            self.touched.insert(id);
            self.index(key);
            self.ripple(key);
        }
    }

    /// It is over.
    pub(super) fn over(&mut self, key: &AlertKey, reason: &str, at: DateTime<Utc>, now: DateTime<Utc>) {
        let Some(id) = self.open(key).map(|entry| entry.alert.id.clone()) else { return };
        self.change(&id, |_, entry| {
            entry.alert.state = AlertState::Resolved;
            entry.alert.resolved_at = Some(at.max(entry.alert.created_at));
            entry.alert.resolved_by = None;
            if !reason.is_empty() {
                entry.note(now, ENGINE, reason);
            }
        });
        self.touched.insert(id);
        self.index(key);
        self.ripple(key);
    }
}

/// The same thing, while it lasts.
fn again(entry: &mut Entry, finding: Finding, at: DateTime<Utc>, now: DateTime<Utc>) {
    let worse = finding.severity > entry.alert.severity;
    refresh(entry, finding, at);
    let alert = &mut entry.alert;
    if worse && alert.state == AlertState::Acknowledged {
        let by = alert.acknowledged_by.take().unwrap_or_default();
        alert.acknowledged_at = None;
        alert.state = AlertState::Active;
        entry.progress.acknowledged = None;
        entry.note(now, ENGINE, format!("got worse after {by} had acknowledged it"));
    }
}

/// The same thing, shortly after it was over.
fn reopen(entry: &mut Entry, finding: Finding, now: DateTime<Utc>) {
    let at = millis(finding.at).min(now);
    let away = entry.alert.resolved_at.map(|over| at - over);
    refresh(entry, finding, at);
    let alert = &mut entry.alert;
    alert.state = AlertState::Triggered;
    alert.suppressed = None;
    (alert.acknowledged_at, alert.acknowledged_by, alert.resolved_at, alert.resolved_by) = (None, None, None, None);
    let progress = &mut entry.progress;
    progress.rules.clear();
    progress.acknowledged = None;
    progress.worst = None;
    super::remedy::came_back(progress, away);
    entry.note(now, ENGINE, "again");
}

fn refresh(entry: &mut Entry, finding: Finding, at: DateTime<Utc>) {
    entry.say(finding.message);
    let alert = &mut entry.alert;
    alert.count = alert.count.saturating_add(1);
    alert.last_at = alert.last_at.max(at);
    alert.severity = finding.severity;
    alert.title = clip(&finding.title, MOST_TITLE);
    alert.source = finding.source;
    alert.value = finding.value.filter(|value| value.is_finite());
    alert.unit = finding.unit;
}
