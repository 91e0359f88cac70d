//! When something happens again, in a time zone: cron expressions and phrases.

use std::fmt;

use chrono::{DateTime, Datelike, Days, Offset, Utc};
use chrono_tz::Tz;
use cron::TimeUnitSpec;
use serde::{Serialize, Serializer};

use super::phrase::{self, Recurrence};
use super::window::local_moment;

/// A recurring moment, from a cron expression (5 or 6 fields) or a phrase such as `Daily 02:00` or `Second Tuesday 10PM`.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    zone: Tz,
    cron: Box<cron::Schedule>,
    /// Only in the last seven days of a month.
    last_week: bool,
}

/// Why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It cannot be understood.
    #[error("'{0}' is not a schedule; write Daily 02:00, Weekly Sun 6AM, Second Tuesday 10PM, every 5 min, or a cron expression")]
    Unclear(String),
    /// It is understood, and no moment fits it: 30 February.
    #[error("'{0}' never happens: no date fits it")]
    Never(String),
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

/// Moments that are looked at before a schedule is said to have ended.
const MOST_CANDIDATES: usize = 10_000;

impl Schedule {
    /// Reads a schedule, to be understood in this time zone.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let unclear = || ScheduleError::Unclear(text.to_owned());
        if text.len() > 200 {
            return Err(ScheduleError::Unclear(format!("{}...", text.chars().take(40).collect::<String>())));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let recurrence = match phrase::read(text) {
            Some(recurrence) => recurrence,
            None => Recurrence { cron: expression(&fields).ok_or_else(unclear)?, last_week: false },
        };
        let cron: cron::Schedule = recurrence.cron.parse().map_err(|_| unclear())?;
        let schedule = Self { text: text.to_owned(), zone, cron: Box::new(cron), last_week: recurrence.last_week };
        if schedule.cron.after(&DateTime::<Utc>::UNIX_EPOCH).next().is_none() {
            return Err(ScheduleError::Never(text.to_owned()));
        }
        Ok(schedule)
    }

    /// What was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The time zone in which it is understood.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first moment after `after`; `None` where it does not happen again (a year that has passed).
    ///
    /// A time of day that daylight saving skips counts as the first moment after the gap, one that it repeats counts the
    /// first time. What happens in every hour (`every 5 min`) goes on through both.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let here = after.with_timezone(&self.zone);
        if self.cron.hours().is_all() {
            let fixed = here.with_timezone(&here.offset().fix());
            let mut candidates = self.cron.after(&fixed).take(MOST_CANDIDATES);
            return candidates.find(|at| self.fits(at.date_naive())).map(|at| at.with_timezone(&Utc));
        }
        // Cron is followed on the wall clock, as if it were UTC; a day is taken off so that no repeated hour is missed.
        let wall = here.naive_local();
        let start = wall.checked_sub_days(Days::new(1)).unwrap_or(wall).and_utc();
        let candidates = self.cron.after(&start).take(MOST_CANDIDATES + 86_400);
        let moments = candidates.filter(|at| self.fits(at.date_naive())).map(|at| local_moment(at.naive_utc(), self.zone));
        { moments }.find(|moment| *moment > after)
    }

    fn fits(&self, date: chrono::NaiveDate) -> bool {
        !self.last_week || date.checked_add_days(Days::new(7)).is_none_or(|later| later.month() != date.month())
    }
}

/// A cron expression of five fields (without seconds), six or seven (with years), the days of the week made into names:
/// numbers mean what they mean to cron, 0 and 7 Sunday, 1 Monday.
fn expression(fields: &[&str]) -> Option<String> {
    let (seconds, rest) = match fields.len() {
        5 => ("0", fields),
        6 | 7 => (fields[0], &fields[1..]),
        _ => return None,
    };
    let days = days_of_week(rest[4])?;
    let year = rest.get(5).map(|year| format!(" {year}")).unwrap_or_default();
    Some(format!("{seconds} {} {} {} {} {days}{year}", rest[0], rest[1], rest[2], rest[3]))
}

fn days_of_week(field: &str) -> Option<String> {
    if !field.contains(|c: char| c.is_ascii_digit()) {
        return Some(field.to_owned());
    }
    let mut days = Vec::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, "1"), |(range, step)| (range, step));
        let step: usize = step.parse().ok().filter(|step| (1..=7).contains(step))?;
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (day(from)?, day(to)?),
            None if range == "*" => (0, 6),
            None if step > 1 => (day(range)?, 6),
            None => (day(range)?, day(range)?),
        };
        let to = if to < from { to + 7 } else { to };
        days.extend((from..=to).step_by(step).map(|day| phrase::DAYS[day % 7]));
    }
    Some(days.join(","))
}

/// A day of the week by number or name, Sunday first.
fn day(text: &str) -> Option<usize> {
    match text.parse::<usize>() {
        Ok(number) => (number <= 7).then_some(number),
        Err(_) => phrase::weekday(&text.to_ascii_lowercase()),
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{} ({})", self.text, self.zone.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str, zone: Tz) -> String {
        let next = Schedule::parse(schedule, zone).unwrap().next(after.parse().unwrap()).unwrap();
        next.with_timezone(&zone).format("%a %F %R").to_string()
    }

    #[test]
    fn phrases_mean_what_they_say() {
        let after = "2026-11-21T12:00:00Z";
        for (phrase, expected) in [
            ("Daily", "Sun 2026-11-22 00:00"),
            ("Daily 02:00", "Sun 2026-11-22 02:00"),
            ("daily at 10 PM", "Sat 2026-11-21 22:00"),
            ("Hourly", "Sat 2026-11-21 13:00"),
            ("Weekly", "Sun 2026-11-22 00:00"),
            ("Weekly Sun 6AM", "Sun 2026-11-22 06:00"),
            ("Weekdays 08:30", "Mon 2026-11-23 08:30"),
            ("Monthly 02:00", "Tue 2026-12-01 02:00"),
            ("Second Tuesday 10PM", "Tue 2026-12-08 22:00"),
            ("2nd Tuesday 10:30PM", "Tue 2026-12-08 22:30"),
            ("Last Friday 18:00", "Fri 2026-11-27 18:00"),
            ("every 5 min", "Sat 2026-11-21 12:05"),
            ("every 15 minutes", "Sat 2026-11-21 12:15"),
            ("every 6 hours", "Sat 2026-11-21 18:00"),
            ("Sunday 06:00", "Sun 2026-11-22 06:00"),
            ("30 2 * * *", "Sun 2026-11-22 02:30"),
            ("0 0 22 8-14 * Tue", "Tue 2026-12-08 22:00"),
        ] {
            assert_eq!(next(phrase, after, chrono_tz::UTC), expected, "{phrase}");
        }
    }

    #[test]
    fn days_of_the_week_have_the_numbers_of_cron() {
        let after = "2026-11-21T12:00:00Z";
        for (cron, expected) in [
            ("0 2 * * 1", "Mon 2026-11-23 02:00"),
            ("0 2 * * 0", "Sun 2026-11-22 02:00"),
            ("0 2 * * 7", "Sun 2026-11-22 02:00"),
            ("0 2 * * 5-7", "Sun 2026-11-22 02:00"),
            ("0 2 * * 1-5", "Mon 2026-11-23 02:00"),
            ("0 2 * * */2", "Sun 2026-11-22 02:00"),
            ("0 2 * * tue,4", "Tue 2026-11-24 02:00"),
        ] {
            assert_eq!(next(cron, after, chrono_tz::UTC), expected, "{cron}");
        }
    }

    #[test]
    fn the_last_friday_is_that_of_every_month() {
        let schedule = Schedule::parse("Last Friday 18:00", chrono_tz::UTC).unwrap();
        let mut at: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut days = Vec::new();
        for _ in 0..6 {
            at = schedule.next(at).unwrap();
            days.push(at.format("%m-%d").to_string());
        }
        assert_eq!(days, ["01-30", "02-27", "03-27", "04-24", "05-29", "06-26"]);
    }

    #[test]
    fn nonsense_and_what_never_happens_are_told_apart() {
        for text in
            ["", "sometimes", "Daily 25:00", "every 7 min", "Fifth Tuesday 10PM", "* * * *", "0 2 * * 8", "\u{1F4A5}", &"9".repeat(5000)]
        {
            assert!(matches!(Schedule::parse(text, Tz::UTC), Err(ScheduleError::Unclear(_))), "{text}");
        }
        for text in ["0 0 0 30 2 *", "0 0 31 4 *"] {
            assert!(matches!(Schedule::parse(text, Tz::UTC), Err(ScheduleError::Never(_))), "{text}");
        }
    }

    #[test]
    fn daylight_saving_skips_and_repeats_nothing() {
        let berlin = chrono_tz::Europe::Berlin;
        // 02:30 does not exist on 29 March: it happens at 03:00, and once.
        let daily = Schedule::parse("Daily 02:30", berlin).unwrap();
        let gap = daily.next("2026-03-28T12:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(gap.to_rfc3339(), "2026-03-29T01:00:00+00:00");
        assert_eq!(daily.next(gap).unwrap().to_rfc3339(), "2026-03-30T00:30:00+00:00");
        // 02:30 exists twice on 25 October: the first counts.
        let first = daily.next("2026-10-24T12:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(first.to_rfc3339(), "2026-10-25T00:30:00+00:00");
        assert_eq!(daily.next(first).unwrap().to_rfc3339(), "2026-10-26T01:30:00+00:00");
        // What happens in every hour does not pause.
        let often = Schedule::parse("every 30 min", berlin).unwrap();
        assert_eq!(often.next("2026-10-25T00:30:00Z".parse().unwrap()).unwrap().to_rfc3339(), "2026-10-25T01:00:00+00:00");
        assert_eq!(often.next("2026-10-25T01:00:00Z".parse().unwrap()).unwrap().to_rfc3339(), "2026-10-25T01:30:00+00:00");
    }
}
