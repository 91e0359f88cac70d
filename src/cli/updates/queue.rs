//! `rmm updates install --expires`: what devices that cannot be reached have installed when they return. Exactly what was shown stands in
//! the queue of jobs, as with `rmm run`; whoever drives it then leaves out what is denied or deferred by that time.

use serde_json::json;

use super::carry::Outcome;
use crate::apply::End;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::run_later;
use crate::model::selector::Match;
use crate::model::workflow::{Concurrency, OnFailure};
use crate::model::{ActionCall, Selector};
use crate::store::Store;
use crate::time::Span;
use crate::workflow::{Options, by_hand, start};

/// Devices that could not be reached.
pub(super) fn away(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().filter(|one| one.acted.end == End::Unreachable).map(|one| one.device.clone()).collect()
}

/// Puts what these devices were to do into the queue, in one run. Returns the run. Where somebody
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
    // One step for all, so that its limits hold for all; what each device is to do goes with its job.
    let mut with = serde_json::Map::new();
    let mut call: Option<ActionCall> = None;
    for one in outcomes.iter().filter(|one| one.acted.end == End::Unreachable) {
        with.insert(one.device.clone(), json!(one.call.with));
        let call = call.get_or_insert_with(|| one.call.clone());
        call.on.push(Selector::Match(Match { device: Some(one.device.clone()), ..Match::default() }));
    }
    let Some(call) = call else { return Ok(None) };
    let parts = context.parts(store);
    let options = Options { expires: Some(expires), max_parallel: concurrency, ..Options::default() };
    let mut run = by_hand(&parts.set, call, &options, &parts.actor, parts.clock.now(), rand::random());
    run.cause.data = json!({ "with": with });
    for step in &mut run.steps {
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
