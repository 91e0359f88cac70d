//! When something happens again: cron expressions and phrases.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;

/// A recurring moment, from a cron expression (5 or 6 fields) or a phrase such as `Daily 02:00` or `Second Tuesday 10PM`.
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    cron: Box<cron::Schedule>,
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const ORDINALS: [&str; 4] = ["first", "second", "third", "fourth"];

/// `Daily 02:00` and its like as a cron expression of six fields.
fn phrase(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let day = |word: &str| DAYS.iter().position(|d| word.len() >= 3 && word.starts_with(d)).map(|i| DAYS[i].to_owned());
    let time = |words: &[&str]| -> Option<(u32, u32)> {
        use chrono::Timelike;
        if words.is_empty() {
            return Some((0, 0));
        }
        let joined = words.concat();
        let parsed = ["%H:%M", "%I:%M%P"].iter().find_map(|f| NaiveTime::parse_from_str(&joined, f).ok());
        let parsed = parsed.or_else(|| {
            let (number, pm) = joined.strip_suffix("am").map(|n| (n, false)).or_else(|| joined.strip_suffix("pm").map(|n| (n, true)))?;
            let hour: u32 = number.parse().ok().filter(|h| (1..=12).contains(h))?;
            NaiveTime::from_hms_opt(hour % 12 + if pm { 12 } else { 0 }, 0, 0)
        })?;
        Some((parsed.hour(), parsed.minute()))
    };
    match words.as_slice() {
        ["hourly"] => Some("0 0 * * * *".into()),
        ["daily", rest @ ..] => time(rest).map(|(h, m)| format!("0 {m} {h} * * *")),
        ["weekly"] => Some("0 0 0 * * sun".into()),
        ["weekly", weekday, rest @ ..] => {
            let (h, m) = time(rest)?;
            Some(format!("0 {m} {h} * * {}", day(weekday)?))
        }
        ["monthly", rest @ ..] => time(rest).map(|(h, m)| format!("0 {m} {h} 1 * *")),
        ["every", number, unit] => {
            let n: u32 = number.parse().ok().filter(|n| *n > 0)?;
            match *unit {
                u if u.starts_with("min") && n < 60 && 60 % n == 0 => Some(format!("0 */{n} * * * *")),
                u if u.starts_with("hour") && n < 24 && 24 % n == 0 => Some(format!("0 0 */{n} * * *")),
                _ => None,
            }
        }
        [ordinal, weekday, rest @ ..] if ORDINALS.contains(ordinal) => {
            let nth = ORDINALS.iter().position(|o| o == ordinal)? as u32;
            let (h, m) = time(rest)?;
            Some(format!("0 {m} {h} {}-{} * {}", nth * 7 + 1, nth * 7 + 7, day(weekday)?))
        }
        [weekday, rest @ ..] => {
            let weekday = day(weekday)?;
            let (h, m) = time(rest)?;
            Some(format!("0 {m} {h} * * {weekday}"))
        }
        [] => None,
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bad = || {
            format!("'{text}' is not a schedule; write Daily 02:00, Weekly Sun 6AM, Second Tuesday 10PM, every 5 min, or a cron expression")
        };
        let fields = text.split_whitespace().count();
        let expression = match phrase(text) {
            Some(expression) => expression,
            None if fields == 5 => format!("0 {text}"),
            None if fields == 6 || fields == 7 => text.to_owned(),
            None => return Err(bad()),
        };
        let cron = cron::Schedule::from_str(&expression).map_err(|_| bad())?;
        if cron.after(&DateTime::<Utc>::UNIX_EPOCH).next().is_none() {
            return Err(format!("'{text}' never happens"));
        }
        Ok(Self { text: text.to_owned(), cron: Box::new(cron) })
    }
}

impl Schedule {
    /// The first moment after `after`, read in `zone`.
    pub fn next(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        self.cron.after(&after.with_timezone(&zone)).next().map(|t| t.with_timezone(&Utc))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str, zone: Tz) -> String {
        let next = schedule.parse::<Schedule>().unwrap().next(after.parse().unwrap(), zone).unwrap();
        next.with_timezone(&zone).format("%a %F %R").to_string()
    }

    #[test]
    fn phrases_mean_what_they_say() {
        let after = "2026-11-21T12:00:00Z";
        for (phrase, expected) in [
            ("Daily", "Sun 2026-11-22 00:00"),
            ("Daily 02:00", "Sun 2026-11-22 02:00"),
            ("Hourly", "Sat 2026-11-21 13:00"),
            ("Weekly Sun 6AM", "Sun 2026-11-22 06:00"),
            ("Second Tuesday 10PM", "Tue 2026-12-08 22:00"),
            ("every 5 min", "Sat 2026-11-21 12:05"),
            ("Sunday 06:00", "Sun 2026-11-22 06:00"),
            ("30 2 * * *", "Sun 2026-11-22 02:30"),
        ] {
            assert_eq!(next(phrase, after, chrono_tz::UTC), expected, "{phrase}");
        }
    }

    #[test]
    fn nonsense_and_what_never_happens_are_refused() {
        for text in ["", "sometimes", "Daily 25:00", "every 7 min", "Fifth Tuesday 10PM", "0 0 0 30 2 *"] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }
}
