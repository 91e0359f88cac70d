//! What one apply may touch at most: decided before anything is done, for the whole plan.

use crate::diagnose::{Category, Diagnose};
use crate::model::config::{Amount, Limits};
use crate::model::plan::{Plan, State};
use crate::model::{Reboot, Risk};

/// Why a plan is not carried out. Nothing has been done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More devices than one apply may change.
    #[error("the plan changes {devices} of {fleet} devices; one apply may change {allowed} ({limit})")]
    TooManyDevices {
        /// Devices with changes.
        devices: usize,
        /// Devices in the repository.
        fleet: usize,
        /// How many are allowed.
        allowed: usize,
        /// Which limit says so: `limits.max_percent = 20`.
        limit: String,
    },
    /// Changes that destroy data or restart devices, without being allowed.
    #[error("{changes} of the changes destroy data or restart the device: {first}")]
    Destructive {
        /// How many.
        changes: usize,
        /// The first few, `ws-017: Files./srv/old`.
        first: String,
    },
    /// The policy set is not the one that the plan was made from.
    #[error("stale plan: it was made from policy set {planned}, the repository is at {current}")]
    PolicySetChanged {
        /// Hash in the plan, shortened.
        planned: String,
        /// Hash now, shortened.
        current: String,
    },
    /// The plan is too old.
    #[error("stale plan: it expired at {at}")]
    Expired {
        /// When.
        at: String,
    },
    /// The saved plan asks for something that the policy set does not ask for.
    #[error("the saved plan asks for {setting} on {device}, and the policy set does not")]
    Altered {
        /// The device.
        device: String,
        /// The setting.
        setting: String,
    },
    /// A device is being changed by another run.
    #[error("{device} is being changed by run {run}")]
    Leased {
        /// The device.
        device: String,
        /// The other run.
        run: String,
    },
    /// Everything that is left of a run is held back now.
    #[error("everything that is left of run {run} is held: {reason}")]
    Held {
        /// The run.
        run: String,
        /// By what, and until when.
        reason: String,
    },
    /// A stage that is not a group.
    #[error("'{stage}' is not a group, so it cannot be a stage")]
    UnknownStage {
        /// As given.
        stage: String,
    },
    /// A run that cannot be resumed.
    #[error("run {run} cannot be resumed: {why}")]
    NotResumable {
        /// The run.
        run: String,
        /// Why.
        why: String,
    },
}

impl Diagnose for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::PolicySetChanged { .. } | Self::Expired { .. } => "RMM0301",
            Self::TooManyDevices { .. } => "RMM0302",
            Self::Destructive { .. } => "RMM0303",
            Self::Leased { .. } => "RMM0305",
            Self::Altered { .. } => "RMM0309",
            Self::UnknownStage { .. } => "RMM0306",
            Self::NotResumable { .. } => "RMM0307",
            Self::Held { .. } => "RMM0304",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Leased { .. } | Self::Held { .. } => Category::Transient,
            _ => Category::Configuration,
        }
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::TooManyDevices { devices, fleet, .. } => {
                format!(
                    "name fewer devices, go in stages (--stage GROUP), or allow it: --max-devices {devices} --max-percent {}",
                    (devices * 100).div_ceil((*fleet).max(1)).min(100)
                )
            }
            Self::Destructive { .. } => "look at them with `rmm plan --commands`, then allow them with --allow-destructive".into(),
            Self::PolicySetChanged { .. } | Self::Expired { .. } | Self::Altered { .. } => "make a new plan: rmm plan --out FILE".into(),
            Self::Leased { run, .. } => {
                format!("wait for it, or leave the device out; if its process is gone: rmm apply --resume {run}")
            }
            Self::UnknownStage { .. } => "`rmm devices groups` lists the groups".into(),
            Self::NotResumable { .. } => "make a new plan: rmm plan".into(),
            Self::Held { run, .. } => format!("go on once it is over: rmm apply --resume {run}"),
        })
    }
}

/// Whether a change destroys data or always restarts the device.
pub fn needs_permission(risk: Risk, reboot: Reboot) -> bool {
    risk == Risk::Destructive || reboot == Reboot::Always
}

/// Checks a plan against the limits. `fleet` is the number of devices in the repository.
pub fn check(plan: &Plan, limits: &Limits, fleet: usize, allow_destructive: bool) -> Result<(), Refused> {
    let devices = plan.summary.devices_changing as usize;
    let by_percent = Amount::Percent(limits.max_percent).of(fleet).max(1);
    let (allowed, limit) = match limits.max_devices {
        Some(n) if (n as usize) < by_percent => (n as usize, format!("limits.max_devices = {n}")),
        _ => (by_percent, format!("limits.max_percent = {}", limits.max_percent)),
    };
    if devices > allowed {
        return Err(Refused::TooManyDevices { devices, fleet, allowed, limit });
    }
    if !allow_destructive {
        let dangerous: Vec<String> = plan
            .devices
            .iter()
            .flat_map(|d| {
                let dangerous = d.changes.iter().filter(|c| c.state == State::Change && needs_permission(c.risk, c.reboot));
                dangerous.map(move |c| format!("{}: {}", d.device, c.label()))
            })
            .collect();
        if !dangerous.is_empty() {
            let more = if dangerous.len() > 3 { ", ..." } else { "" };
            let first = dangerous.iter().take(3).cloned().collect::<Vec<_>>().join(", ") + more;
            return Err(Refused::Destructive { changes: dangerous.len(), first });
        }
    }
    Ok(())
}
