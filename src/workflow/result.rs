//! What later steps see of one that has ended, and what people read in a line.

use serde_json::{Map, Value, json};

use crate::model::job::JobPart;
use crate::model::workflow_run::JobCounts;
use crate::model::{Job, JobState};

/// Most devices that a result names.
const MOST_NAMED: usize = 100;

/// The result of a step: how many devices are where, and what the action returned, where it was one.
pub(super) fn of_step(counts: JobCounts, jobs: &[Job]) -> Value {
    let mut result = Map::new();
    // One job for all of them: what it returned is what the step has found out.
    if let [only] = jobs
        && let Value::Object(returned) = &only.result
    {
        result.extend(returned.clone());
    }
    let run: Vec<&Job> = jobs.iter().filter(|job| job.part == JobPart::Run).collect();
    let named = |state: fn(&Job) -> bool| -> Vec<&str> {
        run.iter().filter(|job| state(job) && !job.device.is_empty()).take(MOST_NAMED).map(|job| &*job.device).collect()
    };
    let failed = named(|job| matches!(job.state, JobState::Failed | JobState::Interrupted));
    if !failed.is_empty() {
        result.insert("failedDevices".into(), json!(failed));
    }
    for (name, n) in [
        ("devices", counts.total()),
        ("succeeded", counts.succeeded),
        ("failed", counts.failed),
        ("skipped", counts.skipped),
        ("offline", counts.offline + counts.expired),
    ] {
        // What the action itself says wins: a score counts what it counts.
        result.entry(name).or_insert_with(|| n.into());
    }
    Value::Object(result)
}
