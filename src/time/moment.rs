//! A moment that a person names for something that happens once: `22:00`, `Sat 22:00`, `2026-11-28 22:00`.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::Tz;

use super::window::{is_usable, local_moment, time_of_day};
use super::{Schedule, zone};

/// Why a text is not a moment that comes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// It cannot be understood.
    #[error("'{0}' is not a moment; write 22:00, tomorrow 6AM, Sat 22:00, 2026-11-28 22:00, or 2026-11-28T22:00:00Z")]
    Unclear(String),
    /// It is over.
    #[error("{0} is over")]
    Past(String),
}

/// Most characters of a text.
const MOST: usize = 100;

/// The next moment after `now` that a text means. A time zone may stand at its end (`Sat 22:00 Europe/Berlin`); without one `zone`
/// counts. A time of day that daylight saving skips counts as the first moment after the gap, one that it repeats the first time.
pub fn moment(text: &str, now: DateTime<Utc>, usual: Tz) -> Result<DateTime<Utc>, MomentError> {
    let unclear = || MomentError::Unclear(text.chars().take(MOST).collect());
    if text.chars().count() > MOST {
        return Err(unclear());
    }
    let at = match DateTime::parse_from_rfc3339(text.trim()) {
        Ok(at) => at.with_timezone(&Utc),
        Err(_) => local(text.trim(), now, usual).ok_or_else(unclear)?,
    };
    if !is_usable(at.date_naive()) {
        return Err(unclear());
    }
    if at <= now { Err(MomentError::Past(at.format("%F %H:%M UTC").to_string())) } else { Ok(at) }
}

fn local(text: &str, now: DateTime<Utc>, usual: Tz) -> Option<DateTime<Utc>> {
    let (text, zone) = match text.rsplit_once(char::is_whitespace) {
        // A word that is a zone, and not one half of a day.
        Some((rest, last)) if time_of_day(last).is_none() && zone(last).is_ok() => (rest.trim(), zone(last).ok()?),
        _ => (text, usual),
    };
    let here = now.with_timezone(&zone).date_naive();
    let on = |day: NaiveDate, time: &str| Some(local_moment(NaiveDateTime::new(day, time_of_day(time)?), zone));
    if time_of_day(text).is_some() {
        return on(here, text).filter(|at| *at > now).or_else(|| on(here.checked_add_days(Days::new(1))?, text));
    }
    let (first, rest) = text.split_once(char::is_whitespace).or_else(|| text.split_once('T'))?;
    let rest = rest.trim();
    let rest = rest.strip_prefix("at ").unwrap_or(rest);
    if first.eq_ignore_ascii_case("tomorrow") {
        return on(here.checked_add_days(Days::new(1))?, rest);
    }
    if first.eq_ignore_ascii_case("today") {
        return on(here, rest);
    }
    if let Ok(day) = first.parse::<NaiveDate>() {
        return on(day, rest);
    }
    // What only schedules can say: the first time that it comes. What comes every hour or day is none.
    let once = !["every", "daily", "hourly", "weekdays", "weekends"].iter().any(|word| first.eq_ignore_ascii_case(word));
    Schedule::parse(text, zone)
        .ok()
        .filter(|_| once && first.chars().all(char::is_alphanumeric) && !first.starts_with(|c: char| c.is_ascii_digit()))?
        .next(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Saturday.
    fn now() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn at(text: &str) -> String {
        match moment(text, now(), Tz::UTC) {
            Ok(at) => at.format("%a %F %H:%M").to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn people_name_moments_in_many_ways() {
        for (text, expected) in [
            ("22:00", "Sat 2026-11-21 22:00"),
            ("6AM", "Sun 2026-11-22 06:00"),
            ("today 22:00", "Sat 2026-11-21 22:00"),
            ("tomorrow at 6AM", "Sun 2026-11-22 06:00"),
            ("Sat 22:00", "Sat 2026-11-21 22:00"),
            ("sat 11:00", "Sat 2026-11-28 11:00"),
            ("Tue 22:00", "Tue 2026-11-24 22:00"),
            ("Tomorrow 22:00", "Sun 2026-11-22 22:00"),
            ("Friday 10PM", "Fri 2026-11-27 22:00"),
            ("Second Tuesday 10PM", "Tue 2026-12-08 22:00"),
            ("2026-11-28 22:00", "Sat 2026-11-28 22:00"),
            ("2026-11-28T22:00", "Sat 2026-11-28 22:00"),
            ("2026-11-28T22:00:00+01:00", "Sat 2026-11-28 21:00"),
            ("Sat 22:00 Europe/Berlin", "Sat 2026-11-21 21:00"),
            ("22:00 America/New_York", "Sun 2026-11-22 03:00"),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_over_and_what_comes_again_and_again_is_refused() {
        for text in ["today 11:00", "2026-11-20 22:00", "2026-11-21T12:00:00Z"] {
            assert!(at(text).ends_with("is over"), "{text}: {}", at(text));
        }
        for text in
            ["", "soon", "every 5 min", "Daily 22:00", "* * * * *", "0 22 * * 6", "2026-13-01 22:00", "22:00 Europe/Berln", "2026-11-28"]
        {
            assert!(at(text).contains("is not a moment"), "{text}: {}", at(text));
        }
        assert!(at(&"x".repeat(5000)).len() < 300);
    }

    #[test]
    fn a_time_that_daylight_saving_skips_is_the_first_moment_after_the_gap() {
        let before = "2026-03-28T12:00:00Z".parse().unwrap();
        assert_eq!(moment("Sun 02:30", before, Tz::Europe__Berlin).unwrap().to_rfc3339(), "2026-03-29T01:00:00+00:00");
    }
}
