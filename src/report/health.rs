//! Health: 0 to 100 from availability, performance, security and compliance, 25 points each, and why points are missing.
//! Pure, but for [`of_fleet`], which gathers, and [`current`], which reads what the daemon keeps. What is not known neither gives nor takes points: it is named, and the score
//! is that of the rest.

mod gather;
mod kept;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::plan::{DevicePlan, State};
use crate::model::{Alert, Facts, Severity};
pub use gather::{SECTIONS, of_fleet};
pub use kept::{current, row};

/// Points of each part.
const WHOLE: u8 = 25;
/// Measured values that are older say nothing about now.
const STALE: TimeDelta = TimeDelta::hours(1);

/// How a device is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// 80 points and more, and nothing critical.
    Healthy,
    /// 60 points and more, and nothing critical.
    Warning,
    /// Less, or something critical is open.
    Critical,
    /// It cannot be reached.
    Offline,
    /// Nothing is known.
    Unknown,
}

impl Condition {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Healthy, Self::Warning, Self::Critical, Self::Offline, Self::Unknown];
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        })
    }
}

/// One of the four parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// `availability`, `performance`, `security`, `compliance`.
    pub name: String,
    /// Points, of 25; absent where nothing is known.
    pub points: Option<u8>,
    /// What costs points, and how many, the dearest first.
    pub missing: Vec<Missing>,
    /// What is not known.
    pub unknown: Vec<String>,
}

/// Why points are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// How many; together never more than 25.
    pub points: u8,
    /// Why.
    pub reason: String,
}

/// How a device is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// 0 to 100; absent where nothing is known.
    pub score: Option<u8>,
    /// In a word.
    pub condition: Condition,
    /// Availability, performance, security, compliance.
    pub parts: Vec<Part>,
}

/// What a device is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Whether it can be reached.
    pub up: Option<bool>,
    /// Share of the last day in which it could be, 0 to 1.
    pub availability: Option<f64>,
    /// Open alerts about it.
    pub alerts: &'a [&'a Alert],
    /// When it was measured last.
    pub measured_at: Option<DateTime<Utc>>,
    /// What was observed.
    pub facts: &'a Facts,
    /// What its policies say.
    pub plan: Option<&'a DevicePlan>,
}

/// Judges a device.
pub fn judge(known: &Known<'_>, now: DateTime<Utc>) -> Health {
    let parts = vec![availability(known), performance(known, now), security(known.facts), compliance(known.plan)];
    let points: Vec<u32> = parts.iter().filter_map(|part| part.points.map(u32::from)).collect();
    let of = points.len() as u32 * u32::from(WHOLE);
    let score = (of > 0).then(|| ((points.iter().sum::<u32>() * 100 + of / 2) / of) as u8);
    let critical = known.alerts.iter().any(|alert| alert.severity == Severity::Critical);
    let condition = match score {
        _ if known.up == Some(false) => Condition::Offline,
        None => Condition::Unknown,
        Some(_) if critical => Condition::Critical,
        Some(80..) => Condition::Healthy,
        Some(60..) => Condition::Warning,
        Some(_) => Condition::Critical,
    };
    Health { score, condition, parts }
}

/// A part in the making.
struct Tally {
    part: Part,
    known: bool,
}

impl Tally {
    fn new(name: &str) -> Self {
        Self { part: Part { name: name.to_owned(), points: None, missing: Vec::new(), unknown: Vec::new() }, known: false }
    }

    fn takes(&mut self, points: u8, reason: impl Into<String>) {
        self.known = true;
        if points > 0 {
            self.part.missing.push(Missing { points, reason: reason.into() });
        }
    }

    fn fine(&mut self) {
        self.known = true;
    }

    fn unknown(&mut self, what: impl Into<String>) {
        self.part.unknown.push(what.into());
    }

    fn done(mut self) -> Part {
        self.part.missing.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.reason.cmp(&b.reason)));
        let mut left = WHOLE;
        for missing in &mut self.part.missing {
            missing.points = missing.points.min(left);
            left -= missing.points;
        }
        // What would cost points that are gone already is still said.
        self.part.points = self.known.then_some(left);
        self.part
    }
}

/// What an open alert costs.
const fn cost(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 15,
        Severity::High => 10,
        Severity::Medium => 5,
        Severity::Low => 2,
        Severity::Info => 0,
    }
}

fn is_threshold(alert: &Alert) -> bool {
    alert.source.starts_with("threshold ")
}

fn availability(known: &Known<'_>) -> Part {
    let mut tally = Tally::new("availability");
    match known.up {
        Some(true) => tally.fine(),
        Some(false) => tally.takes(WHOLE, "it cannot be reached"),
        None => tally.unknown("whether it can be reached"),
    }
    match known.availability {
        // From 99.9 % on nothing is missing; at 90 % and below everything is.
        Some(share) if known.up.is_some() => {
            let lost = ((0.999 - share.clamp(0.0, 1.0)) / 0.099 * f64::from(WHOLE)).ceil().clamp(0.0, f64::from(WHOLE));
            tally.takes(lost as u8, format!("it could be reached {:.1} % of the last day", share * 100.0));
        }
        _ => {}
    }
    for alert in known.alerts.iter().filter(|alert| !is_threshold(alert) && &*alert.key.kind != "Offline") {
        tally.takes(cost(alert.severity), alert.title.clone());
    }
    tally.done()
}

fn performance(known: &Known<'_>, now: DateTime<Utc>) -> Part {
    let mut tally = Tally::new("performance");
    match known.measured_at {
        Some(at) if now - at <= STALE => tally.fine(),
        Some(_) => tally.unknown("how busy it is: it was measured more than an hour ago"),
        None => tally.unknown("how busy it is: it was never measured"),
    }
    for alert in known.alerts.iter().filter(|alert| is_threshold(alert)) {
        tally.takes(cost(alert.severity), alert.title.clone());
    }
    tally.done()
}

fn security(facts: &Facts) -> Part {
    let mut tally = Tally::new("security");
    let flag = |path: &str| facts.value(path).and_then(Value::as_bool);
    let checks = [
        ("security.firewall.enabled", true, 10, "the firewall is off", "whether the firewall is on"),
        ("software.pending_reboot.required", false, 4, "it waits for a restart", "whether it waits for a restart"),
        (
            "software.automatic_updates.enabled",
            true,
            3,
            "updates are not installed by themselves",
            "whether updates are installed by themselves",
        ),
        ("security.time_sync.enabled", true, 2, "its clock is not synchronised", "whether its clock is synchronised"),
    ];
    for (path, right, points, wrong, unknown) in checks {
        match flag(path) {
            Some(found) if found == right => tally.fine(),
            Some(_) => tally.takes(points, wrong),
            None => tally.unknown(unknown),
        }
    }
    match facts.value("software.updates.security").and_then(Value::as_u64) {
        Some(0) => tally.fine(),
        Some(n) => tally.takes(u8::try_from(n.min(8)).unwrap_or(8), format!("security updates that are not installed: {n}")),
        None => tally.unknown("which security updates are missing"),
    }
    if facts.value("security.sshd.permitrootlogin").and_then(Value::as_str) == Some("yes")
        && facts.value("security.sshd.passwordauthentication").and_then(Value::as_str) != Some("no")
    {
        tally.takes(6, "root may sign in over SSH with a password");
    }
    if flag("security.antivirus.running") == Some(false) {
        tally.takes(6, "the antivirus software does not run");
    }
    tally.done()
}

fn compliance(plan: Option<&DevicePlan>) -> Part {
    let mut tally = Tally::new("compliance");
    let Some(plan) = plan else {
        tally.unknown("what its policies say");
        return tally.done();
    };
    let n = |states: &[State]| plan.changes.iter().filter(|change| states.contains(&change.state)).count();
    let different = n(&[State::Change, State::Report, State::Held, State::Conflict]);
    let unknown = n(&[State::Unknown]);
    let judged = plan.compliant as usize + different;
    if judged > 0 {
        let points = (different * usize::from(WHOLE)).div_ceil(judged);
        tally.takes(u8::try_from(points).unwrap_or(WHOLE), format!("{different} of {judged} settings differ"));
    } else if unknown == 0 {
        tally.unknown("no policy is for it");
    }
    if unknown > 0 {
        tally.unknown(format!("{unknown} settings could not be compared"));
    }
    tally.done()
}
