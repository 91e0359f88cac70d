//! Schedules by the clock on the wall: which moment of which schedule is due. Each moment is claimed in the database before
//! its work begins, so that neither a restart nor a clock that was set back has it twice; of those missed, the last one comes.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::time::{Ran, Schedule};

/// Most moments that are looked through to find the last one that was missed.
const MOST_MISSED: usize = 20_000;

/// What runs by the wall clock.
#[derive(Debug, Clone, PartialEq)]
struct Timer {
    schedule: Schedule,
    ran: Ran,
    /// Up to here every moment has run or is no longer made up for.
    last: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
}

impl Timer {
    /// The first moment after this one that has not run.
    fn after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut next = self.schedule.next(at)?;
        while let Some(end) = self.ran.end_of(next) {
            next = self.schedule.next(end)?;
        }
        Some(next)
    }
}

/// The timers by name.
#[derive(Debug, Default)]
pub(super) struct Timers {
    all: BTreeMap<String, Timer>,
    /// When it was asked last what is due.
    asked_at: Option<DateTime<Utc>>,
}

/// A moment that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// Name of the schedule.
    pub(super) name: String,
    /// When it was due.
    pub(super) at: DateTime<Utc>,
    /// The moment directly before it, where that has run.
    pub(super) follows: Option<DateTime<Utc>>,
}

impl Timers {
    /// These schedules and no others. `claimed` are the claimed moments as the database has them: of a schedule that is not among
    /// them, nothing has been missed.
    pub(super) fn set(&mut self, wanted: BTreeMap<String, Schedule>, claimed: &BTreeMap<String, Ran>, now: DateTime<Utc>) {
        let mut all = BTreeMap::new();
        for (name, schedule) in wanted {
            let known = self.all.get(&name).filter(|timer| timer.schedule == schedule).map(|timer| timer.last);
            let ran = claimed.get(&name).cloned().unwrap_or_default();
            let last = ran.until(now).max(known.filter(|last| *last <= now)).unwrap_or(now);
            let mut timer = Timer { schedule, ran, last, next: None };
            timer.next = timer.after(last);
            all.insert(name, timer);
        }
        self.all = all;
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What is due now, the last missed moment of each.
    pub(super) fn due(&mut self, now: DateTime<Utc>) -> Vec<Due> {
        let mut found = Vec::new();
        let set_back = self.asked_at.replace(now).is_some_and(|before| now < before);
        for (name, timer) in &mut self.all {
            if set_back && timer.last > now {
                // What has run does not run again; what lies before it and has not, has its turn.
                timer.last = now;
                timer.next = timer.after(now);
            }
            let Some(mut at) = timer.next.filter(|at| *at <= now) else { continue };
            // Where the look ends before now does, the rest is skipped, not gone through again.
            let mut next = None;
            for _ in 0..MOST_MISSED {
                next = timer.after(at);
                match next {
                    Some(later) if later <= now => at = later,
                    _ => break,
                }
            }
            timer.next = if next.is_some_and(|next| next <= now) { timer.after(now) } else { next };
            timer.last = at;
            let follows = timer.ran.end_before(at).filter(|before| timer.schedule.next(*before) == Some(at));
            timer.ran.note(at, follows);
            found.push(Due { name: name.clone(), at, follows });
        }
        found
    }

    /// Whether a schedule is among them and has its next moment only after now.
    pub(super) fn rests(&self, name: &str, now: DateTime<Utc>) -> bool {
        self.all.get(name).is_some_and(|timer| timer.next.is_none_or(|next| next > now))
    }

    /// How long it is, by the wall clock, until the next one.
    pub(super) fn wait(&self, now: DateTime<Utc>) -> Option<Duration> {
        let next = self.all.values().filter_map(|timer| timer.next).min()?;
        Some((next - now).max(TimeDelta::zero()).to_std().unwrap_or_default())
    }
}

/// How long a schedule pauses between two moments, where that is always the same and short: `every 5 min`.
pub(super) fn period(schedule: &Schedule, now: DateTime<Utc>) -> Option<Duration> {
    let moments: Vec<DateTime<Utc>> = std::iter::successors(schedule.next(now), |at| schedule.next(*at)).take(14).collect();
    let gaps: Vec<TimeDelta> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let first = *gaps.first()?;
    (first <= TimeDelta::hours(1) && gaps.iter().all(|gap| *gap == first)).then(|| first.to_std().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn timers(text: &str, zone: chrono_tz::Tz, now: &str, claimed: Option<&str>) -> Timers {
        let mut timers = Timers::default();
        let schedule = Schedule::parse(text, zone).unwrap();
        let claimed = claimed.map(|claimed| ("x".to_owned(), Ran::up_to(at(claimed)))).into_iter().collect();
        timers.set(BTreeMap::from([("x".to_owned(), schedule)]), &claimed, at(now));
        timers
    }

    fn moments(timers: &mut Timers, now: &str) -> Vec<String> {
        timers.due(at(now)).into_iter().map(|due| due.at.format("%d %H:%M").to_string()).collect()
    }

    #[test]
    fn what_was_missed_comes_once() {
        let mut timers = timers("Daily 02:00", chrono_tz::UTC, "2026-11-21T12:00:00Z", Some("2026-11-17T02:00:00Z"));
        assert_eq!(moments(&mut timers, "2026-11-21T12:00:00Z"), ["21 02:00"]);
        assert!(moments(&mut timers, "2026-11-21T12:00:01Z").is_empty());
        assert_eq!(moments(&mut timers, "2026-11-22T02:00:00Z"), ["22 02:00"]);
    }

    #[test]
    fn a_schedule_that_never_ran_has_missed_nothing() {
        let mut timers = timers("Daily 02:00", chrono_tz::UTC, "2026-11-21T12:00:00Z", None);
        assert!(moments(&mut timers, "2026-11-21T12:00:00Z").is_empty());
        assert_eq!(timers.wait(at("2026-11-21T12:00:00Z")), Some(Duration::from_hours(14)));
    }

    #[test]
    fn a_clock_that_is_set_back_or_forward_has_nothing_run_twice() {
        let mut timers = timers("Daily 02:00", chrono_tz::UTC, "2026-11-21T01:30:00Z", None);
        // Forward by an hour: it has come. Back: it does not come again.
        assert_eq!(moments(&mut timers, "2026-11-21T02:30:00Z"), ["21 02:00"]);
        for minute in 30..60 {
            assert!(moments(&mut timers, &format!("2026-11-21T01:{minute}:00Z")).is_empty());
        }
        assert!(moments(&mut timers, "2026-11-21T02:00:00Z").is_empty());
        assert_eq!(moments(&mut timers, "2026-11-22T02:00:00Z"), ["22 02:00"]);
    }

    #[test]
    fn what_ran_while_the_clock_was_ahead_does_not_stand_in_the_way_of_what_comes_before_it() {
        let mut timers = timers("every 20 min", chrono_tz::UTC, "2026-11-21T12:05:00Z", Some("2026-11-21T12:00:00Z"));
        // An hour ahead, then right again: what was passed over comes, what has run does not.
        assert_eq!(moments(&mut timers, "2026-11-21T13:05:00Z"), ["21 13:00"]);
        let mut seen = Vec::new();
        for minute in 0..90 {
            seen.extend(moments(&mut timers, &(at("2026-11-21T12:06:00Z") + TimeDelta::minutes(minute)).to_rfc3339()));
        }
        assert_eq!(seen, ["21 12:20", "21 12:40", "21 13:20"]);
    }

    #[test]
    fn a_clock_that_was_a_year_ahead_in_an_earlier_process_blocks_nothing() {
        let mut ran = Ran::up_to(at("2026-11-20T02:00:00Z"));
        ran.note(at("2027-11-21T02:00:00Z"), None);
        let mut timers = Timers::default();
        let daily = || BTreeMap::from([("x".to_owned(), Schedule::parse("Daily 02:00", chrono_tz::UTC).unwrap())]);
        timers.set(daily(), &BTreeMap::from([("x".to_owned(), ran.clone())]), at("2026-11-21T01:00:00Z"));
        assert_eq!(moments(&mut timers, "2026-11-21T02:00:00Z"), ["21 02:00"]);
        // The year after, that moment has run already.
        timers.set(daily(), &BTreeMap::from([("x".to_owned(), ran)]), at("2027-11-21T01:00:00Z"));
        let late = moments(&mut timers, "2027-11-21T02:00:00Z");
        assert!(late.iter().all(|moment| moment != "21 02:00"), "{late:?}");
    }

    #[test]
    fn a_schedule_that_missed_more_than_is_looked_through_goes_on() {
        let mut timers = timers("every 1 min", chrono_tz::UTC, "2026-01-01T00:00:00Z", None);
        let now = at("2026-11-21T12:00:30Z");
        assert_eq!(timers.due(now).len(), 1);
        assert!(timers.due(now).is_empty(), "it is not gone through again");
        assert_eq!(timers.wait(now), Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_time_that_daylight_saving_skips_or_repeats_comes_once() {
        let berlin = chrono_tz::Europe::Berlin;
        let mut spring = timers("Daily 02:30", berlin, "2026-03-28T12:00:00Z", None);
        let mut autumn = timers("Daily 02:30", berlin, "2026-10-24T12:00:00Z", None);
        let count = |timers: &mut Timers, day: &str| -> usize {
            let start = at(&format!("{day}T12:00:00Z"));
            (0..24 * 60).map(|minute| timers.due(start + TimeDelta::minutes(minute)).len()).sum()
        };
        assert_eq!(count(&mut spring, "2026-03-28"), 1);
        assert_eq!(count(&mut autumn, "2026-10-24"), 1);
    }

    #[test]
    fn only_what_comes_evenly_has_a_period() {
        let of = |text: &str| period(&Schedule::parse(text, chrono_tz::Europe::Berlin).unwrap(), at("2026-03-29T00:00:00Z"));
        assert_eq!(of("every 5 min"), Some(Duration::from_mins(5)));
        assert_eq!(of("Hourly"), Some(Duration::from_hours(1)));
        assert_eq!(of("Daily 02:00"), None);
        assert_eq!(of("0,10,20 * * * *"), None);
    }
}
