//! What begins: within the connections, the sites, and what each step allows. Called by `drive` at every turn.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use super::drive::{Driver, Event, State, Which};
use crate::apply::Parts;
use crate::model::device::TransportKind;
use crate::model::job::{JobPart, WaitsFor};
use crate::model::{Job, JobState, WorkflowState};
use crate::repo::PolicySet;
use crate::store::{Among, JobChange, StoreError};

/// How soon a device is tried again that another run holds.
const BUSY: TimeDelta = TimeDelta::seconds(15);

/// Places that are free.
struct Free {
    direct: usize,
    behind_shares: usize,
}

impl Free {
    fn of(&self, behind_share: bool) -> usize {
        if behind_share { self.behind_shares } else { self.direct }
    }

    fn take(&mut self, behind_share: bool, n: usize) {
        let places = if behind_share { &mut self.behind_shares } else { &mut self.direct };
        *places = places.saturating_sub(n);
    }
}

impl Driver {
    /// Chooses what begins: within the connections, the sites, and what each step allows. Devices behind shares have as many places of their
    /// own as there are for all others: one that is off waits for long, and holds up nobody who is reached directly.
    pub(super) fn choose(&self, parts: &Parts, state: &mut State, now: DateTime<Utc>) -> Result<(), StoreError> {
        let config = &parts.set.config;
        let most = self.most(parts, state);
        let mut free = Free { direct: most, behind_shares: most };
        let mut at_site: HashMap<&str, usize> = HashMap::new();
        let mut in_step: HashMap<(&str, u32, JobPart), usize> = HashMap::new();
        for flight in state.flights.values() {
            free.take(flight.behind_share, 1);
            *at_site.entry(&flight.site).or_default() += 1;
            *in_step.entry((&flight.run, flight.step, flight.part)).or_default() += 1;
        }
        let mut at_site: HashMap<String, usize> = at_site.into_iter().map(|(site, n)| (site.to_owned(), n)).collect();
        let in_step: HashMap<(String, u32, JobPart), usize> =
            in_step.into_iter().map(|((run, step, part), n)| ((run.to_owned(), step, part), n)).collect();
        let shares = if parts.set.has_shares() { behind_shares(&parts.set) } else { BTreeSet::new() };
        let names = serde_json::json!(shares).to_string();
        let both = [(true, Among::These(&names)), (false, Among::AllBut(&names))];
        let kinds: &[(bool, Among<'_>)] = if shares.is_empty() { &[(false, Among::All)] } else { &both };
        let mut chosen: Vec<Job> = Vec::new();
        let mut lost: Vec<JobChange> = Vec::new();
        for led in state.led.values_mut() {
            let orphans = std::mem::take(&mut led.orphans);
            // What is undone is undone to its end.
            if led.run.cancel.is_some() && led.run.state != WorkflowState::Undoing {
                lost.extend(orphans.iter().map(half_done));
                led.dirty |= !orphans.is_empty();
                continue;
            }
            for job in &orphans {
                free.take(shares.contains(&*job.device), 1);
            }
            chosen.extend(orphans);
            let open = [(JobPart::Run, &led.jobs), (JobPart::Rollback, &led.undone)];
            for (part, counts) in open {
                for (&step, counts) in counts {
                    let waits = counts.pending + counts.waiting + counts.offline;
                    let most = led.run.steps.get(step as usize).and_then(|step| step.max_parallel).map_or(usize::MAX, |n| n as usize);
                    let running = in_step.get(&(led.run.id.clone(), step, part)).copied().unwrap_or(0);
                    let mut in_this_step = most.saturating_sub(running);
                    for &(behind_share, among) in kinds {
                        let places = free.of(behind_share).min(in_this_step);
                        if waits == 0 || places == 0 {
                            continue;
                        }
                        // Sites may be full: more are looked at than there are places.
                        let per_site = config.limits.max_per_site;
                        let looked_at = if per_site.is_some() { places.saturating_mul(8).max(100) } else { places };
                        let mut begun = 0;
                        for job in parts.store.due_jobs((&led.run.id, step, part), now, among, looked_at)? {
                            if begun == places {
                                break;
                            }
                            let site = parts.set.devices.get(&*job.device).and_then(|d| d.site.clone()).unwrap_or_default();
                            let here = at_site.entry(site).or_default();
                            if per_site.is_some_and(|most| *here >= most as usize) {
                                continue;
                            }
                            *here += 1;
                            begun += 1;
                            chosen.push(job);
                        }
                        free.take(behind_share, begun);
                        in_this_step -= begun;
                    }
                }
            }
        }
        for job in parts.store.move_jobs(&lost, &state.owner, &parts.actor)?.changed {
            (self.on)(Event::Job(Box::new(job)));
        }
        self.claim(parts, state, &chosen, now)
    }

    /// Devices at once: as the configuration says, unless the person whose action this is has asked for another number.
    fn most(&self, parts: &Parts, state: &State) -> usize {
        let Which::One(id) = &self.which else { return parts.set.config.connections.max_concurrent as usize };
        let by_hand = state.led.get(id).filter(|led| led.run.cause.kind == "hand");
        let asked = by_hand.and_then(|led| led.run.steps.iter().filter_map(|step| step.max_parallel).max());
        asked.unwrap_or(parts.set.config.connections.max_concurrent) as usize
    }

    /// Writes down that jobs begin, before they do.
    fn claim(&self, parts: &Parts, state: &mut State, chosen: &[Job], now: DateTime<Utc>) -> Result<(), StoreError> {
        let starts: Vec<JobChange> =
            chosen.iter().map(|job| JobChange { attempt: Some(job.attempt.max(1)), ..JobChange::to(&job.id, JobState::Running) }).collect();
        let batch = parts.store.move_jobs(&starts, &state.owner, &parts.actor)?;
        let late: Vec<JobChange> = batch
            .busy
            .iter()
            .filter(|(job, _)| job.state != JobState::Running)
            .map(|(job, run)| JobChange {
                waits_for: Some(WaitsFor::Busy),
                wake_at: Some(now + BUSY),
                reason: Some(format!("run {run} is at work on the device")),
                ..JobChange::to(&job.id, JobState::Waiting)
            })
            .collect();
        for job in parts.store.move_jobs(&late, &state.owner, &parts.actor)?.changed {
            (self.on)(Event::Job(Box::new(job)));
        }
        for job in batch.changed.iter().chain(batch.busy.iter().map(|(job, _)| job)) {
            if let Some(led) = state.led.get_mut(&job.run) {
                led.dirty = true;
            }
        }
        // One that was under way when its process ended, and whose device somebody else holds now, is tried again.
        for (job, _) in batch.busy.into_iter().filter(|(job, _)| job.state == JobState::Running) {
            if let Some(led) = state.led.get_mut(&job.run) {
                led.orphans.push(job);
            }
        }
        for job in &batch.changed {
            (self.on)(Event::Job(Box::new(job.clone())));
        }
        state.begun = batch.changed;
        Ok(())
    }
}

/// A job that was under way as its process ended, of a run that nobody wants any more: it is not begun again to find out.
fn half_done(job: &Job) -> JobChange {
    let reason = "ended at once while it was under way: it may be half done";
    JobChange { reason: Some(reason.into()), ..JobChange::to(&job.id, JobState::Interrupted) }
}

/// Names of the devices that are reached through a file share.
fn behind_shares(set: &PolicySet) -> BTreeSet<&str> {
    set.devices.iter().filter(|(_, device)| set.transport(device) == TransportKind::Share).map(|(name, _)| &**name).collect()
}
