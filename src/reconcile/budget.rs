//! How many devices may be changed within a while: what `[limits]` allows one apply holds for all that the daemon begins
//! within `daemon.limit_window`, however many runs that is. One bad commit cannot take the fleet down device by device.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::model::config::{Amount, Limits};

/// Fewest failed devices that stop everything where the limit is a share: one broken device is none of the others' business.
const FEWEST_FAILURES: usize = 3;

/// What was begun lately, on a clock that only goes forward.
#[derive(Debug, Default)]
pub(super) struct Budget {
    changed: VecDeque<(Duration, String)>,
    failed: VecDeque<(Duration, String)>,
}

/// Why nothing further is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spent {
    /// Too many devices would have been changed.
    Devices { devices: usize, allowed: usize, limit: String },
    /// Too many devices have failed.
    Failures { failed: usize, allowed: usize },
}

impl std::fmt::Display for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Devices { devices, allowed, limit } => {
                write!(f, "{devices} devices would be changed within the limit's window; {allowed} are allowed ({limit})")
            }
            Self::Failures { failed, allowed } => {
                write!(f, "changes failed on {failed} devices within the limit's window; {allowed} stop everything")
            }
        }
    }
}

impl Budget {
    /// Whether these devices may be changed too. All, or none: half a roll-out is not what anybody asked for.
    pub(super) fn allows(
        &mut self,
        devices: &BTreeSet<String>,
        limits: &Limits,
        fleet: usize,
        window: Duration,
        now: Duration,
    ) -> Result<(), Spent> {
        for list in [&mut self.changed, &mut self.failed] {
            while list.front().is_some_and(|(at, _)| *at + window <= now) {
                list.pop_front();
            }
        }
        let failed = self.failed.iter().map(|(_, device)| device).collect::<BTreeSet<_>>().len();
        let most = match limits.max_failures {
            Amount::Count(n) => (n as usize).max(1),
            share @ Amount::Percent(_) => share.of(fleet).max(FEWEST_FAILURES),
        };
        if failed >= most {
            return Err(Spent::Failures { failed, allowed: most });
        }
        let all: BTreeSet<&String> = self.changed.iter().map(|(_, device)| device).chain(devices).collect();
        let by_percent = Amount::Percent(limits.max_percent).of(fleet).max(1);
        let (allowed, limit) = match limits.max_devices {
            Some(n) if (n as usize) < by_percent => (n as usize, format!("limits.max_devices = {n}")),
            _ => (by_percent, format!("limits.max_percent = {}", limits.max_percent)),
        };
        if all.len() > allowed { Err(Spent::Devices { devices: all.len(), allowed, limit }) } else { Ok(()) }
    }

    /// These devices are being changed.
    pub(super) fn begun(&mut self, devices: impl IntoIterator<Item = String>, now: Duration) {
        self.changed.extend(devices.into_iter().map(|device| (now, device)));
    }

    /// Something failed on these.
    pub(super) fn failed(&mut self, devices: impl IntoIterator<Item = String>, now: Duration) {
        self.failed.extend(devices.into_iter().map(|device| (now, device)));
    }

    /// A new policy set: what failed under the old one says nothing. What was changed still counts.
    pub(super) fn forgive(&mut self) {
        self.failed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn devices(range: std::ops::Range<usize>) -> BTreeSet<String> {
        range.map(|i| format!("d{i}")).collect()
    }

    #[test]
    fn many_small_runs_may_not_change_more_than_one_large_one() {
        let (mut budget, limits) = (Budget::default(), Limits::default());
        for i in 0..20 {
            let now = Duration::from_secs(i as u64);
            budget.allows(&devices(i..i + 1), &limits, 100, HOUR, now).unwrap();
            budget.begun(devices(i..i + 1), now);
        }
        let spent = budget.allows(&devices(20..21), &limits, 100, HOUR, Duration::from_secs(30)).unwrap_err();
        assert_eq!(spent, Spent::Devices { devices: 21, allowed: 20, limit: "limits.max_percent = 20".into() });
        // The same devices again are no further ones, and after an hour there is room.
        budget.allows(&devices(0..3), &limits, 100, HOUR, Duration::from_secs(30)).unwrap();
        budget.allows(&devices(20..40), &limits, 100, HOUR, HOUR + Duration::from_secs(20)).unwrap();
    }

    #[test]
    fn failures_on_many_devices_stop_everything_until_the_policies_change() {
        let (mut budget, limits) = (Budget::default(), Limits::default());
        budget.failed(devices(0..2), Duration::ZERO);
        budget.allows(&devices(5..6), &limits, 10, HOUR, Duration::ZERO).unwrap();
        budget.failed(devices(2..3), Duration::ZERO);
        assert_eq!(budget.allows(&devices(5..6), &limits, 10, HOUR, Duration::ZERO), Err(Spent::Failures { failed: 3, allowed: 3 }));
        budget.forgive();
        budget.allows(&devices(5..6), &limits, 10, HOUR, Duration::ZERO).unwrap();
    }
}
