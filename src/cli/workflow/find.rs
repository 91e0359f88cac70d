//! Workflows and runs by what a person writes.

use std::sync::Arc;

use super::problem::Problem;
use crate::cli::failure::Failure;
use crate::cli::style::clean;
use crate::diagnose::did_you_mean;
use crate::model::{Workflow, WorkflowRun};
use crate::repo::PolicySet;
use crate::store::{RunFilter, Store};

/// Fewer letters of an id name nothing.
const SHORTEST: usize = 4;

/// A workflow by its name.
pub(super) fn workflow(set: &PolicySet, name: &str) -> Result<Arc<Workflow>, Failure> {
    let unknown = || {
        let near = did_you_mean(name, set.workflows.keys().map(|name| &**name)).map(str::to_owned);
        Problem::Unknown { what: "workflow", name: clean(name), near }
    };
    Ok(set.workflows.get(name).cloned().ok_or_else(unknown)?)
}

/// A run by its id, by the end of it, or the `last` one.
pub(super) fn run(store: &Store, text: &str) -> Result<WorkflowRun, Failure> {
    if let Some(run) = store.workflow_run(text)? {
        return Ok(run);
    }
    let unknown = Problem::Unknown { what: "run", name: clean(text), near: None };
    if text == "last" {
        let newest = store.workflow_runs(&RunFilter { limit: 100, ..RunFilter::default() })?;
        // What another run has started stands within that one.
        return Ok(newest.into_iter().find(|run| run.parent.is_none()).ok_or(unknown)?);
    }
    let mut found = store.workflow_runs(&RunFilter::default())?;
    found.retain(|run| text.len() >= SHORTEST && run.id.ends_with(text));
    match found.len() {
        0 => Err(unknown.into()),
        1 => Ok(found.swap_remove(0)),
        n => Err(Failure::usage(format!("'{}' is the end of {n} runs", clean(text)), "give more of the id")),
    }
}
