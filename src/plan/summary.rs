//! Counting a plan.

use crate::model::plan::{DevicePlan, State, Summary};
use crate::model::{Reboot, Risk};

/// Counts states, risks and restarts over all devices, compliant ones included.
pub fn summarize(devices: &[DevicePlan]) -> Summary {
    let mut summary = Summary { devices: u32::try_from(devices.len()).unwrap_or(u32::MAX), ..Summary::default() };
    for device in devices {
        let mut changing = false;
        *summary.states.entry(State::Compliant).or_default() += device.compliant;
        for change in &device.changes {
            if change.state != State::Compliant {
                *summary.states.entry(change.state).or_default() += 1;
            }
            if change.state == State::Change {
                changing = true;
                *summary.risks.entry(change.risk).or_insert(0) += 1;
                summary.reboots += u32::from(change.reboot == Reboot::Always);
            }
        }
        summary.devices_changing += u32::from(changing);
    }
    summary
}

impl Summary {
    /// How many verdicts of a state.
    pub fn count(&self, state: State) -> u32 {
        self.states.get(&state).copied().unwrap_or(0)
    }

    /// How many changes of a risk.
    pub fn risk(&self, risk: Risk) -> u32 {
        self.risks.get(&risk).copied().unwrap_or(0)
    }
}
