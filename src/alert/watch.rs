//! One threshold on one instance of one device: from values to levels, with hold time and hysteresis. Pure arithmetic.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::Severity;
use crate::model::threshold::{Limits, Worse};

/// How bad a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Warning,
    Critical,
}

impl Level {
    /// A warning is High, so that the usual rules (Critical to whoever is on call, High to the team) cover both.
    pub(super) const fn severity(self) -> Severity {
        match self {
            Self::Warning => Severity::High,
            Self::Critical => Severity::Critical,
        }
    }
}

/// How bad a value is by the limits alone.
pub(super) fn level(limits: &Limits, value: f64) -> Option<Level> {
    let beyond = |limit: Option<f64>| {
        limit.is_some_and(|limit| match limits.worse {
            Worse::Higher => value >= limit,
            Worse::Lower => value <= limit,
        })
    };
    if beyond(limits.critical) {
        Some(Level::Critical)
    } else if beyond(limits.warning) {
        Some(Level::Warning)
    } else {
        None
    }
}

/// Whether it is over at this value.
fn over(limits: &Limits, value: f64) -> bool {
    match (limits.clear, limits.worse) {
        (Some(clear), Worse::Higher) => value <= clear,
        (Some(clear), Worse::Lower) => value >= clear,
        (None, _) => level(limits, value).is_none(),
    }
}

/// What a value led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is wrong, and nothing needs to be remembered.
    Forget,
    /// It is beyond a limit, and has not lasted long enough.
    Pending,
    /// It is so.
    Raised(Level),
    /// It is over.
    Cleared,
}

/// What is remembered while a value is, or was, beyond a limit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Watch {
    /// What has been said.
    pub raised: Option<Level>,
    /// Since when it is beyond the first limit.
    bad_since: Option<DateTime<Utc>>,
    /// Since when it is beyond the critical one.
    critical_since: Option<DateTime<Utc>>,
    /// Since when it is no longer, although that has been said.
    milder_since: Option<DateTime<Utc>>,
    /// The last value was measured at.
    pub last_at: DateTime<Utc>,
}

impl Watch {
    /// Nothing has been said yet.
    pub(super) fn new(at: DateTime<Utc>) -> Self {
        Self { raised: None, bad_since: None, critical_since: None, milder_since: None, last_at: at }
    }

    /// It was said before a restart.
    pub(super) fn said(level: Level, at: DateTime<Utc>) -> Self {
        Self { raised: Some(level), ..Self::new(at) }
    }

    /// Takes the next value in. Values come in the order of time; an older one says nothing. After a `gap` without values the
    /// hold time starts again, and so it does where the clock was set back by more than that.
    pub(super) fn take(&mut self, limits: &Limits, value: f64, at: DateTime<Utc>, gap: TimeDelta) -> Step {
        if at < self.last_at && self.last_at - at <= gap {
            return self.raised.map_or(Step::Pending, Step::Raised);
        }
        if (at - self.last_at).abs() > gap {
            (self.bad_since, self.critical_since, self.milder_since) = (None, None, None);
        }
        self.last_at = at;
        let now = level(limits, value);
        let since = |holds: bool, since: Option<DateTime<Utc>>| if holds { since.or(Some(at)) } else { None };
        self.bad_since = since(now.is_some(), self.bad_since);
        self.critical_since = since(now == Some(Level::Critical), self.critical_since);
        let milder = self.raised == Some(Level::Critical) && now != Some(Level::Critical) && limits.warning.is_some();
        self.milder_since = since(milder, self.milder_since);
        let lasted = |since: Option<DateTime<Utc>>| since.is_some_and(|since| at - since >= limits.hold.delta());
        let reached = if lasted(self.critical_since) {
            Some(Level::Critical)
        } else if lasted(self.bad_since) {
            // Only a critical limit: beyond it nothing is a warning.
            Some(if limits.warning.is_some() { Level::Warning } else { Level::Critical })
        } else {
            None
        };
        match self.raised {
            Some(_) if over(limits, value) => return Step::Cleared,
            Some(said) => {
                self.raised = Some(reached.map_or(said, |reached| reached.max(said)));
                if lasted(self.milder_since) && self.critical_since.is_none() {
                    self.raised = Some(Level::Warning);
                    self.milder_since = None;
                }
            }
            None => self.raised = reached,
        }
        match (self.raised, now) {
            (Some(level), _) => Step::Raised(level),
            (None, Some(_)) => Step::Pending,
            (None, None) => Step::Forget,
        }
    }
}
