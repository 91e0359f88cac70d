//! Who can be reached when: people, rotas, business hours, quiet hours and maintenance windows.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Serialize, Serializer};

use super::notification::SeverityRule;
use super::{Place, Selector};
use crate::time::{Schedule, Span, Window, local_moment};

/// How a person is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// As rotas and tiers call them.
    pub name: Arc<str>,
    /// Address of mail.
    pub email: Option<String>,
    /// Number in the international form.
    pub phone: Option<String>,
    /// Member or channel of Slack.
    pub slack: Option<String>,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

impl Person {
    /// Whether a text says itself how somebody is reached: an address, a number, a channel.
    pub fn is_address(text: &str) -> bool {
        text.contains('@') || text.starts_with('#') || text.starts_with('+')
    }
}

/// Who is on duty.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rota {
    /// Unique name.
    pub name: Arc<str>,
    /// One after another, in a circle.
    pub people: Vec<String>,
    /// The first day of the first of them.
    pub start: NaiveDate,
    /// How long each is on duty.
    pub turn: Span,
    /// Time of the day at which a turn begins.
    pub hand_over: NaiveTime,
    /// In which time zone.
    #[serde(serialize_with = "zone_name")]
    pub timezone: Tz,
    /// Who stands in for whoever it would be. Of several at a moment the last counts.
    pub overrides: Vec<StandIn>,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

/// Somebody who is on duty out of turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StandIn {
    /// Who.
    pub person: String,
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn zone_name<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

const DAY: u64 = 86_400;

impl Rota {
    /// Who is on duty at this moment; nobody where nobody is listed.
    pub fn on_duty(&self, now: DateTime<Utc>) -> Option<&str> {
        if let Some(stand_in) = self.overrides.iter().rev().find(|o| o.from <= now && now < o.until) {
            return Some(&stand_in.person);
        }
        let turn = self.turn.as_seconds().max(1);
        // Turns of whole days change at the same time of the day, also where daylight saving makes a day shorter.
        let turns = if turn.is_multiple_of(DAY) {
            let local = now.with_timezone(&self.timezone);
            let days = (local.date_naive() - self.start).num_days() - i64::from(local.time() < self.hand_over);
            days.div_euclid((turn / DAY) as i64)
        } else {
            let start = local_moment(self.start.and_time(self.hand_over), self.timezone);
            (now - start).num_seconds().div_euclid(turn as i64)
        };
        let count = i64::try_from(self.people.len()).ok().filter(|n| *n > 0)?;
        self.people.get(turns.rem_euclid(count) as usize).map(String::as_str)
    }
}

/// A day on which nobody is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holiday {
    /// This very day.
    Date(NaiveDate),
    /// This day of every year.
    Yearly {
        /// 1 to 12.
        month: u32,
        /// 1 to 31.
        day: u32,
    },
}

impl std::fmt::Display for Holiday {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Date(day) => write!(f, "{day}"),
            Self::Yearly { month, day } => write!(f, "{month:02}-{day:02}"),
        }
    }
}

impl Holiday {
    /// Whether it is this day.
    pub fn is(self, date: NaiveDate) -> bool {
        match self {
            Self::Date(day) => day == date,
            Self::Yearly { month, day } => date.month() == month && date.day() == day,
        }
    }
}

/// Hours on some days of the week. Hours that cross midnight belong to the day on which they begin.
#[derive(Debug, Clone, PartialEq)]
pub struct BusinessHours {
    /// Days of the week.
    pub days: Vec<Weekday>,
    /// Time of the day, in its time zone.
    pub hours: Window,
    /// Days that do not count.
    pub holidays: Vec<Holiday>,
    /// Where it is declared.
    pub place: Place,
}

impl std::fmt::Display for BusinessHours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days: Vec<String> = self.days.iter().map(ToString::to_string).collect();
        write!(f, "{} {}", days.join(", "), self.hours)?;
        let holidays: Vec<String> = self.holidays.iter().map(ToString::to_string).collect();
        if holidays.is_empty() { Ok(()) } else { write!(f, " but {}", holidays.join(", ")) }
    }
}

/// Edges that are looked at for the next one: two years of days with two edges each.
const MOST_EDGES: usize = 1500;

impl BusinessHours {
    /// Whether it is one of these hours.
    pub fn contains(&self, now: DateTime<Utc>) -> bool {
        let Some(day) = self.hours.began_on(now) else { return false };
        self.days.contains(&day.weekday()) && !self.holidays.iter().any(|holiday| holiday.is(day))
    }

    /// The next moment after `now` at which they begin or end; absent where that is years away.
    pub fn next_edge(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let inside = self.contains(now);
        let mut at = now;
        for _ in 0..MOST_EDGES {
            at = self.hours.next_edge(at);
            if self.contains(at) != inside {
                return Some(at);
            }
        }
        None
    }
}

/// Hours in which nobody is told; what happened is summed up at their end.
#[derive(Debug, Clone, PartialEq)]
pub struct QuietHours {
    /// When.
    pub hours: BusinessHours,
    /// What is told all the same.
    pub except: Option<SeverityRule>,
}

/// A time in which problems of some devices are expected: they are recorded and nobody is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Maintenance {
    /// Unique name.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Devices; all of them where empty.
    pub targets: Vec<Selector>,
    /// Types of alerts; all of them where empty.
    pub types: Vec<String>,
    /// When.
    pub when: MaintenanceTime,
    /// Where it is declared.
    pub place: Place,
}

/// When maintenance is.
#[derive(Debug, Clone, PartialEq)]
pub enum MaintenanceTime {
    /// On some days of the week.
    Weekly(BusinessHours),
    /// From each moment of a schedule on, for so long.
    Scheduled(Schedule, Span),
    /// Once.
    Once {
        /// From then on.
        from: DateTime<Utc>,
        /// Until then.
        until: DateTime<Utc>,
    },
}

impl std::fmt::Display for MaintenanceTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Weekly(hours) => write!(f, "{hours}"),
            Self::Scheduled(schedule, lasts) => write!(f, "{schedule} ({}) for {lasts}", schedule.zone().name()),
            Self::Once { from, until } => write!(f, "{from} to {until}"),
        }
    }
}

impl MaintenanceTime {
    /// Whether it is now.
    pub fn contains(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Weekly(hours) => hours.contains(now),
            Self::Scheduled(schedule, lasts) => schedule.next(now - lasts.delta()).is_some_and(|start| start <= now),
            Self::Once { from, until } => *from <= now && now < *until,
        }
    }

    /// The next moment after `now` at which it begins or ends.
    pub fn next_edge(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Weekly(hours) => hours.next_edge(now),
            Self::Scheduled(schedule, lasts) => {
                let ends = schedule.next(now - lasts.delta()).map(|start| start + lasts.delta());
                ends.into_iter().chain(schedule.next(now)).filter(|at| *at > now).min()
            }
            Self::Once { from, until } => [*from, *until].into_iter().filter(|at| *at > now).min(),
        }
    }
}

/// How findings become alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertOptions {
    /// The same thing again within this time after it was over is the same alert.
    pub deduplicate: Span,
    /// What happened without an end of its own is over after this.
    pub occurred_for: Span,
    /// What is over for so long moves to the archive.
    pub archive_after: Span,
    /// More than so many comings within `flapping_within` are flapping.
    pub flapping_times: u32,
    /// See `flapping_times`.
    pub flapping_within: Span,
    /// For how long nothing may change until it counts as calm.
    pub flapping_calm: Span,
    /// From so many devices on, all of which are offline, the site is unreachable.
    pub site_devices: u32,
    /// Which share of the devices is enough for that, in per cent.
    pub site_percent: u32,
    /// How long an offline device waits for a larger problem that it may be a part of.
    pub wait: Span,
    /// How long after a larger problem is over its parts have time to recover.
    pub recovery: Span,
}

impl Default for AlertOptions {
    fn default() -> Self {
        Self {
            deduplicate: Span::seconds(300),
            occurred_for: Span::seconds(4 * 3600),
            archive_after: Span::seconds(30 * DAY),
            flapping_times: 4,
            flapping_within: Span::seconds(1800),
            flapping_calm: Span::seconds(1800),
            site_devices: 3,
            site_percent: 100,
            wait: Span::seconds(30),
            recovery: Span::seconds(600),
        }
    }
}
