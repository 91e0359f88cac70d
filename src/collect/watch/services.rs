//! Services: whether those that matter run, and which are to be started again. The device's own list is judged, so that
//! watching costs nothing beyond the observation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Outcome, Probed, Restart, Watch};
use crate::model::facts::Status;
use crate::model::monitor::{Check, Monitor, Service};
use crate::model::{ActionCall, Section, Severity};

/// What did not help so often, one time after another, does not help.
const IN_VAIN: usize = 2;

/// Starts of a service by its monitor.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// When, within the last 24 hours.
    at: Vec<DateTime<Utc>>,
    /// How many of the last ones it was not seen running after.
    in_vain: usize,
}

impl Watch {
    /// Judges the services of a device by what was observed; says nothing where they were not.
    pub(super) fn judge_services(
        &mut self,
        device: &Arc<str>,
        sections: &BTreeMap<Arc<str>, Section>,
        at: DateTime<Utc>,
        outcome: &mut Outcome,
    ) {
        let Some(section) = sections.get("software.services").filter(|section| section.status == Status::Ok) else { return };
        let monitors: Vec<Arc<Monitor>> =
            self.of_device.get(device).into_iter().flatten().map(|i| Arc::clone(&self.assigned[*i].monitor)).collect();
        for monitor in monitors {
            let Check::Services(services) = &monitor.check else { continue };
            let mut broken = BTreeSet::new();
            for (name, service) in services {
                let key = (Arc::clone(device), Arc::clone(&monitor.name), Arc::from(name.as_str()));
                if state(name, &section.data) == Some("running")
                    && let Some(starts) = self.restarted.get_mut(&key)
                {
                    starts.in_vain = 0;
                }
                let (ok, reason) = judge(name, service, &section.data);
                let Some(ok) = ok else { continue };
                let probed = Probed { ok, reason, ..Probed::default() };
                self.turn(&key, monitor.confirm, monitor.severity, "monitor", &probed, at, outcome);
                if !ok && is_dead(name, &section.data) && self.standing.get(&key).is_some_and(|standing| !standing.up) {
                    broken.insert(name.as_str());
                }
            }
            self.restarts(device, &monitor, services, &broken, &section.data, at, outcome);
        }
    }

    /// Which of the broken services are started again now: those that may, within their limit, and whose dependencies run.
    #[allow(clippy::too_many_arguments)] // the one caller stands above
    fn restarts(
        &mut self,
        device: &Arc<str>,
        monitor: &Arc<Monitor>,
        services: &BTreeMap<String, Service>,
        broken: &BTreeSet<&str>,
        observed: &Value,
        at: DateTime<Utc>,
        outcome: &mut Outcome,
    ) {
        for name in broken {
            let Some(service) = services.get(*name).filter(|service| service.restarts_per_day > 0) else { continue };
            // Those that it depends on come first: it has its turn when they run.
            let waits = service.depends_on.iter().find(|wanted| state(wanted, observed) != Some("running"));
            if waits.is_some() {
                continue;
            }
            let key = (Arc::clone(device), Arc::clone(&monitor.name), Arc::from(*name));
            let starts = self.restarted.entry(key.clone()).or_default();
            starts.at.retain(|start| *start > at - TimeDelta::hours(24) && *start <= at);
            if starts.at.is_empty() {
                starts.in_vain = 0;
            }
            let over = if starts.in_vain >= IN_VAIN {
                Some(format!("{name} was started {} times in a row and did not come up", starts.in_vain))
            } else if starts.at.len() >= service.restarts_per_day as usize {
                Some(format!("{name} was started {} times within 24 hours and does not stay up", starts.at.len()))
            } else {
                None
            };
            if let Some(text) = over {
                let mut finding =
                    super::finding(&key, monitor.severity.max(Severity::High), format!("{}: {text}", monitor.name), "monitor", at);
                finding.message = "It is not started again until it has been seen running, or a day has passed since these starts.".into();
                outcome.signals.push(crate::model::Signal::Raised(finding));
                continue;
            }
            starts.at.push(at);
            starts.in_vain += 1;
            let with = BTreeMap::from([("name".to_owned(), json!(name)), ("state".to_owned(), json!("restart"))]);
            outcome.restarts.push(Restart {
                device: Arc::clone(device),
                service: (*name).into(),
                monitor: Arc::clone(&monitor.name),
                call: ActionCall { action: "ServiceControl".into(), with, on: Vec::new() },
            });
        }
    }
}

/// State of a service, where it is installed and known.
fn state<'a>(name: &str, observed: &'a Value) -> Option<&'a str> {
    observed.get(name)?.get("state")?.as_str()
}

/// Whether it does not run although it could: masked ones and those that are not installed cannot be started.
fn is_dead(name: &str, observed: &Value) -> bool {
    matches!(state(name, observed), Some("stopped" | "failed"))
        && observed.get(name).and_then(|s| s.get("startup")).and_then(Value::as_str) != Some("masked")
}

/// Whether a service is as it should be, and in words; `None` where its state cannot be told.
fn judge(name: &str, service: &Service, observed: &Value) -> (Option<bool>, String) {
    let Some(found) = observed.get(name) else { return (Some(false), "it is not installed".into()) };
    let startup = found.get("startup").and_then(Value::as_str);
    match found.get("state").and_then(Value::as_str) {
        Some("running") => match (service.startup.map(|wanted| wanted.to_string()), startup) {
            (Some(wanted), Some(found)) if wanted != found && found != "unknown" => {
                (Some(false), format!("it runs, yet its start-up is {found}, not {wanted}"))
            }
            _ => (Some(true), "it runs".into()),
        },
        Some(other) => (Some(false), format!("it is {other}")),
        None => (None, String::new()),
    }
}
