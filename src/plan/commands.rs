//! The commands of a plan: every script is run with a host that only writes down what it is asked.

use std::sync::{Arc, Mutex};

use crate::model::Facts;
use crate::model::operation::ShownCommand;
use crate::model::plan::{Change, DevicePlan, State};
use crate::repo::PolicySet;
use crate::script::{Recorder, ScriptError};

/// Fills in the commands of every change that would be carried out, or could be once what holds it is over.
pub(super) fn show(set: &PolicySet, plan: &mut DevicePlan, facts: &Arc<Facts>) {
    for change in &mut plan.changes {
        if matches!(change.state, State::Change | State::Held) {
            change.commands = record(set, change, &plan.device, facts)
                .unwrap_or_else(|error| vec![ShownCommand { line: format!("# cannot be shown: {error}"), input_bytes: None }]);
        }
    }
}

fn record(set: &PolicySet, change: &Change, device: &str, facts: &Arc<Facts>) -> Result<Vec<ShownCommand>, ScriptError> {
    let Some(def) = set.catalog.settings.get(&change.setting) else { return Ok(Vec::new()) };
    let recorder = Arc::new(Mutex::new(Recorder::new(device, Arc::clone(facts))));
    let host: crate::script::SharedHost = recorder.clone();
    let desired = super::placeholders(&change.desired);
    let observed = Some(&change.observed).filter(|v| !v.is_null());
    if change.restart {
        def.program.restart(&host, change.key.as_deref(), &desired)?;
    } else {
        def.program.apply(&host, change.key.as_deref(), &desired, observed)?;
    }
    // Secrets stand in the values as `(secret NAME)` already.
    let recorder = recorder.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(recorder.operations.iter().map(|operation| crate::script::shown(operation, &str::to_owned)).collect())
}
