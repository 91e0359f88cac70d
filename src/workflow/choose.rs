//! What begins: within the connections, the sites, and what each step allows. Called by `drive` at every turn.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::drive::{Driver, Event, State, Which};
use super::led::Led;
use crate::apply::Parts;
use crate::model::device::TransportKind;
use crate::model::job::{JobPart, WaitsFor};
use crate::model::{Job, JobState, WorkflowState};
use crate::repo::PolicySet;
use crate::store::{Among, JobChange, StoreError};

/// How soon a device is tried again that another run holds.
const BUSY: TimeDelta = TimeDelta::seconds(15);

/// A job whose turn has come, if there is a place for it.
struct Candidate {
    job: Job,
    behind_share: bool,
    site: String,
}

/// Places, and what takes them.
struct Places {
    direct: usize,
    behind_shares: usize,
    /// Jobs under way of a site, apart by how their devices are reached.
    at_site: HashMap<(String, bool), usize>,
    in_step: HashMap<(String, u32, JobPart), usize>,
    in_run: HashMap<String, usize>,
    most_at_site: usize,
}

impl Places {
    /// Devices behind shares have as many places of their own as there are for all others: one that is off waits for long, and holds up
    /// nobody who is reached directly.
    fn new(parts: &Parts, most: usize) -> Self {
        let most_at_site = parts.set.config.limits.max_per_site.map_or(usize::MAX, |most| most as usize);
        let (at_site, in_step, in_run) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { direct: most, behind_shares: most, at_site, in_step, in_run, most_at_site }
    }

    fn free(&self, behind_share: bool) -> usize {
        if behind_share { self.behind_shares } else { self.direct }
    }

    fn in_step(&self, run: &str, step: u32, part: JobPart) -> usize {
        self.in_step.get(&(run.to_owned(), step, part)).copied().unwrap_or(0)
    }

    fn take(&mut self, (run, step, part): (&str, u32, JobPart), site: &str, behind_share: bool) {
        let free = if behind_share { &mut self.behind_shares } else { &mut self.direct };
        *free = free.saturating_sub(1);
        *self.at_site.entry((site.to_owned(), behind_share)).or_default() += 1;
        *self.in_step.entry((run.to_owned(), step, part)).or_default() += 1;
        *self.in_run.entry(run.to_owned()).or_default() += 1;
    }

    /// Takes a place for a job of a step of which so many may be under way. Whether there was one.
    fn offer(&mut self, Candidate { job, behind_share, site }: &Candidate, most_in_step: usize) -> bool {
        let here = self.at_site.get(&(site.clone(), *behind_share)).copied().unwrap_or(0);
        let there_is =
            self.free(*behind_share) > 0 && here < self.most_at_site && self.in_step(&job.run, job.step, job.part) < most_in_step;
        if there_is {
            self.take((&job.run, job.step, job.part), site, *behind_share);
        }
        there_is
    }
}

impl Driver {
    /// Chooses what begins. Runs of a higher priority go first; of those of the same one, the run that has fewest jobs under way and has
    /// waited longest: one over the whole fleet does not keep all others waiting to its end.
    pub(super) fn choose(&self, parts: &Parts, state: &mut State, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut places = Places::new(parts, self.most(parts, state));
        for flight in state.flights.values() {
            places.take((&flight.run, flight.step, flight.part), &flight.site, flight.behind_share);
        }
        let shares = if parts.set.has_shares() { behind_shares(&parts.set) } else { BTreeSet::new() };
        let mut chosen: Vec<Job> = Vec::new();
        let mut lost: Vec<JobChange> = Vec::new();
        let mut turns = BinaryHeap::new();
        let mut waiting: HashMap<String, VecDeque<Candidate>> = HashMap::new();
        for led in state.led.values_mut() {
            let orphans = std::mem::take(&mut led.orphans);
            // What is undone is undone to its end.
            if led.run.cancel.is_some() && led.run.state != WorkflowState::Undoing {
                lost.extend(orphans.iter().map(half_done));
                led.dirty |= !orphans.is_empty();
                continue;
            }
            for job in &orphans {
                places.take((&job.run, job.step, job.part), &site(parts, job), shares.contains(&*job.device));
            }
            chosen.extend(orphans);
        }
        for (id, led) in &state.led {
            if led.run.cancel.is_some() && led.run.state != WorkflowState::Undoing {
                continue;
            }
            let candidates = candidates(parts, led, &places, &shares, now)?;
            if !candidates.is_empty() {
                let under_way = places.in_run.get(id).copied().unwrap_or(0);
                turns.push(Reverse((led.run.priority, under_way, led.served, id.clone())));
                waiting.insert(id.clone(), candidates);
            }
        }
        while let Some(Reverse((priority, under_way, _, id))) = turns.pop() {
            let (Some(queue), Some(led)) = (waiting.get_mut(&id), state.led.get_mut(&id)) else { continue };
            // Who has no place now has none later in this turn.
            while let Some(candidate) = queue.pop_front() {
                if places.offer(&candidate, most_in_step(led, candidate.job.step)) {
                    chosen.push(candidate.job);
                    state.served += 1;
                    led.served = state.served;
                    turns.push(Reverse((priority, under_way + 1, led.served, id)));
                    break;
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

/// Jobs of a run whose turn has come, no more than there can be places for.
fn candidates(
    parts: &Parts,
    led: &Led,
    places: &Places,
    shares: &BTreeSet<&str>,
    now: DateTime<Utc>,
) -> Result<VecDeque<Candidate>, StoreError> {
    let mut found = VecDeque::new();
    let names = serde_json::json!(shares).to_string();
    let both = [(false, Among::AllBut(&names)), (true, Among::These(&names))];
    let kinds: &[(bool, Among<'_>)] = if shares.is_empty() { &[(false, Among::All)] } else { &both };
    for (part, counts) in [(JobPart::Run, &led.jobs), (JobPart::Rollback, &led.undone)] {
        for (&step, counts) in counts {
            if counts.pending + counts.waiting + counts.offline == 0 {
                continue;
            }
            let in_step = most_in_step(led, step).saturating_sub(places.in_step(&led.run.id, step, part));
            for &(behind_share, among) in kinds {
                let most = places.free(behind_share).min(in_step);
                if most == 0 {
                    continue;
                }
                // Sites may be full: more are looked at than there are places.
                let looked_at = if places.most_at_site < usize::MAX { most.saturating_mul(8).max(100) } else { most };
                let due = parts.store.due_jobs((&led.run.id, step, part), now, among, looked_at)?;
                found.extend(due.into_iter().map(|job| Candidate { behind_share, site: site(parts, &job), job }));
            }
        }
    }
    Ok(found)
}

/// How many jobs of a step may be under way at once.
fn most_in_step(led: &Led, step: u32) -> usize {
    led.run.steps.get(step as usize).and_then(|step| step.max_parallel).map_or(usize::MAX, |most| most as usize)
}

/// The site of a job's device.
fn site(parts: &Parts, job: &Job) -> String {
    parts.set.devices.get(&*job.device).and_then(|device| device.site.clone()).unwrap_or_default()
}
