//! Schedules of workflows. A moment is claimed before its run is started, as those of policies are; one that was claimed and whose
//! run was not started is made up for.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, SubsecRound as _, TimeDelta, Utc};
use serde_json::json;

use super::Triggers;
use crate::model::workflow_run::Cause;
use crate::model::{Trigger, Workflow};
use crate::reconcile::blocking::audit;
use crate::store::StoreError;
use crate::time::{Ran, Schedule};

/// Beginning of the names of schedules.
const WORKFLOW: &str = "workflow ";

/// The schedules of a workflow by their names: `workflow NAME`, and `workflow NAME #2` for the second one.
fn schedules(workflow: &Workflow) -> impl Iterator<Item = (String, &Schedule)> {
    let schedules = workflow.triggers.iter().filter_map(|trigger| match trigger {
        Trigger::Schedule(schedule) => Some(schedule),
        _ => None,
    });
    schedules.enumerate().map(|(n, schedule)| {
        let number = if n == 0 { String::new() } else { format!(" #{}", n + 1) };
        (format!("{WORKFLOW}{}{number}", workflow.name), schedule)
    })
}

impl Triggers {
    pub(super) fn set_timers(&mut self) -> Result<(), StoreError> {
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        let wanted: BTreeMap<String, Schedule> = { self.parts.set.workflows.values() }
            .flat_map(|workflow| schedules(workflow).map(|(name, schedule)| (name, schedule.clone())))
            .collect();
        let mut claimed: BTreeMap<String, Ran> = store.schedules()?.into_iter().map(|row| (row.name, row.ran)).collect();
        for name in wanted.keys().filter(|name| !claimed.contains_key(*name)).cloned().collect::<Vec<_>>() {
            // From here on moments are missed, also while nothing runs.
            let begins = now.trunc_subsecs(0);
            store.claim_schedule(&name, begins, None, now)?;
            store.finish_schedule(&name, begins, "seen for the first time")?;
            claimed.insert(name, Ran::up_to(begins));
        }
        self.timers.set(wanted, &claimed, now);
        Ok(())
    }

    /// Moments that have come.
    pub(super) fn fire(&mut self) -> Result<(), StoreError> {
        let now = self.parts.clock.now();
        for due in self.timers.due(now) {
            if self.parts.store.claim_schedule(&due.name, due.at, due.follows, now)? {
                self.begin_moment(&due.name, due.at)?;
            } else {
                tracing::info!(schedule = due.name, due = %due.at, "has run already");
            }
        }
        Ok(())
    }

    /// Moments that a process before this one had claimed and not ended.
    pub(super) fn make_up(&self) -> Result<(), StoreError> {
        for row in self.parts.store.schedules()? {
            if row.finished_at.is_none() && row.name.starts_with(WORKFLOW) {
                self.begin_moment(&row.name, row.due)?;
            }
        }
        Ok(())
    }

    fn begin_moment(&self, name: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        let workflow = self.parts.set.workflows.values().find(|workflow| schedules(workflow).any(|(known, _)| known == name));
        // What was claimed when the schedule was first seen, or by a schedule that has changed since, is none of its moments.
        let is_moment = |schedule: &Schedule| schedule.next(at - TimeDelta::seconds(1)) == Some(at);
        let outcome = match workflow {
            Some(workflow) if !schedules(workflow).any(|(known, schedule)| known == name && is_moment(schedule)) => "not of this schedule",
            Some(workflow) if workflow.start_within.is_some_and(|within| self.parts.clock.now() - at > within.delta()) => {
                let within = workflow.start_within.map(|within| within.to_string());
                let details = json!({ "at": at, "startWithin": within, "because": "its moment was missed" });
                tracing::warn!(workflow = &*workflow.name, at = %at, "a moment was missed, and it is too late to make up for it");
                self.parts.store.audit(&audit(&self.parts.actor, self.parts.clock.now(), "workflow.missed", &workflow.name, details))?;
                "missed"
            }
            Some(workflow) => {
                let moment = at.to_rfc3339_opts(SecondsFormat::Secs, true);
                let data = json!({ "at": moment });
                self.start(workflow, Cause { kind: "schedule".into(), key: Some(format!("schedule:{moment}")), data, ..Cause::default() })?;
                "started"
            }
            None => "no longer declared",
        };
        self.parts.store.finish_schedule(name, at, outcome)
    }
}
