//! `rmm updates install --expires`: what devices that cannot be reached have installed when they return. Exactly what was shown stands in
//! the queue of jobs, as with `rmm run`; whoever drives it then leaves out what is denied or deferred by that time.

use std::collections::BTreeMap;

use serde_json::json;

use super::carry::Outcome;
use crate::apply::End;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::run_later;
use crate::model::selector::Match;
use crate::model::workflow::{Concurrency, OnFailure, Work};
use crate::model::{ActionCall, Selector, Step};
use crate::store::Store;
use crate::time::Span;
use crate::workflow::{Options, by_hand, start};

/// Devices that could not be reached.
pub(super) fn away(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().filter(|one| one.acted.end == End::Unreachable).map(|one| one.device.clone()).collect()
}

/// Puts what these devices were to do into the queue, in one run with a step for all that are to do the same. Returns the run. Where somebody
/// has stopped the command nothing is left behind.
pub(super) fn queue(
    context: &Context,
    store: &Store,
    outcomes: &mut [Outcome],
    (expires, concurrency): (Span, Option<u32>),
) -> Result<Option<String>, Failure> {
    if outcomes.iter().any(|one| one.acted.end == End::Cancelled) {
        return Ok(None);
    }
    let mut alike: BTreeMap<String, ActionCall> = BTreeMap::new();
    for one in outcomes.iter().filter(|one| one.acted.end == End::Unreachable) {
        let call = alike.entry(json!(one.call.with).to_string()).or_insert_with(|| one.call.clone());
        call.on.push(Selector::Match(Match { device: Some(one.device.clone()), ..Match::default() }));
    }
    let mut calls = alike.into_values();
    let Some(first) = calls.next() else { return Ok(None) };
    let parts = context.parts(store);
    let options = Options { expires: Some(expires), max_parallel: concurrency, ..Options::default() };
    let mut run = by_hand(&parts.set, first, &options, &parts.actor, parts.clock.now(), rand::random());
    if let Some(step) = run.steps.first().cloned() {
        let more = (2..).zip(calls).map(|(n, call): (usize, ActionCall)| Step {
            name: format!("{} {n}", call.action).into(),
            work: Work::Action(call),
            ..step.clone()
        });
        run.steps.extend(more);
    }
    // None waits for another one's devices, or ends with them.
    for step in &mut run.steps {
        step.parallel = true;
        step.on_failure = OnFailure::Continue;
    }
    start(store, &run, Concurrency::Parallel)?;
    if run_later::hand_over(&parts, &run.id)? {
        crate::cli::say(run_later::taken_back(store, &run.id)?);
        return Ok(None);
    }
    for one in outcomes.iter_mut().filter(|one| one.acted.end == End::Unreachable) {
        one.acted.message += &format!("; it has its turn when the device returns ({})", run.id);
    }
    Ok(Some(run.id))
}
