//! What a visit is for, and what is asked of the device then.

use crate::collect::Request;
use crate::model::Category;
use crate::model::config::Schedules;
use crate::time::Recurring;

/// One purpose; several make a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What policies watch.
    Status,
    /// Load, memory, disks, network.
    Metrics,
    /// Hardware, software and network, whole.
    Inventory,
    /// Updates and pending restarts.
    Updates,
    /// Security, whole.
    Security,
}

/// Purposes of one visit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) fn of(kind: Kind) -> Self {
        Self(1 << kind as u8)
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Whether what policies watch is part of it.
    pub(super) fn wants_needs(self) -> bool {
        self.has(Kind::Status)
    }
}

impl Kind {
    /// Those that come again and again.
    pub(super) const SAMPLED: [Self; 2] = [Self::Status, Self::Metrics];
    /// Those that come at times of the day.
    pub(super) const DAILY: [Self; 3] = [Self::Inventory, Self::Updates, Self::Security];

    /// Its name among the schedules, in the configuration and in the database.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Metrics => "metrics",
            Self::Inventory => "inventory",
            Self::Updates => "updates",
            Self::Security => "security",
        }
    }

    /// Its schedule.
    pub(super) fn schedule(self, schedules: &Schedules) -> &Recurring {
        match self {
            Self::Status => &schedules.status,
            Self::Metrics => &schedules.metrics,
            Self::Inventory => &schedules.inventory,
            Self::Updates => &schedules.updates,
            Self::Security => &schedules.security,
        }
    }
}

/// What is asked of a device. `needs` is what its policies look at; none where nothing is known of it yet, and then it is asked
/// for everything.
pub(super) fn request(kinds: Kinds, needs: Option<&Request>) -> Request {
    let Some(needs) = needs else { return Request::full() };
    let mut request = Request::default();
    if kinds.has(Kind::Status) {
        request.merge(needs.clone());
    }
    if kinds.has(Kind::Metrics) {
        request.merge(Request::categories(&[Category::Performance]));
        request.add_path("hardware.battery");
    }
    if kinds.has(Kind::Inventory) {
        request.merge(Request::categories(&[Category::Hardware, Category::Software, Category::Network]));
    }
    if kinds.has(Kind::Updates) {
        for path in ["software.updates", "software.pending_reboot", "software.automatic_updates"] {
            request.add_path(path);
        }
    }
    if kinds.has(Kind::Security) {
        request.merge(Request::categories(&[Category::Security]));
    }
    request
}
