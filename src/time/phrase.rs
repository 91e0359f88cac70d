//! Schedules as people say them: `Daily 02:00`, `Weekly Sun 6AM`, `Second Tuesday 10PM`, `Last Friday`, `every 5 min`.

use super::window::time_of_day;

/// What a phrase comes to.
pub(super) struct Recurrence {
    /// A cron expression of six fields.
    pub cron: String,
    /// Only in the last seven days of a month, which cron cannot say.
    pub last_week: bool,
}

/// The days of the week as cron names them.
pub(super) const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FULL: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const ORDINALS: [[&str; 2]; 4] = [["first", "1st"], ["second", "2nd"], ["third", "3rd"], ["fourth", "4th"]];

/// A day of the week by its name in lower case or the beginning of it.
pub(super) fn weekday(word: &str) -> Option<usize> {
    let singular = if word.len() > 5 { word.strip_suffix('s').unwrap_or(word) } else { word };
    FULL.iter().position(|day| word.len() >= 3 && (day.starts_with(word) || *day == singular))
}

/// Reads a phrase; `None` where it is none.
pub(super) fn read(text: &str) -> Option<Recurrence> {
    let lower = text.to_ascii_lowercase();
    let words: Vec<&str> = lower.split_whitespace().filter(|word| *word != "at").collect();
    let time = |words: &[&str]| -> Option<(u32, u32)> {
        use chrono::Timelike;
        if words.is_empty() {
            return Some((0, 0));
        }
        let time = time_of_day(&words.concat())?;
        Some((time.hour(), time.minute()))
    };
    let on = |days: &str, rest: &[&str]| time(rest).map(|(h, m)| format!("0 {m} {h} * * {days}"));
    let mut last_week = false;
    let cron = match words.as_slice() {
        ["hourly"] | ["every", "hour"] => "0 0 * * * *".to_owned(),
        ["daily", rest @ ..] | ["every", "day", rest @ ..] => on("*", rest)?,
        ["weekdays", rest @ ..] => on("mon-fri", rest)?,
        ["weekends", rest @ ..] => on("sat,sun", rest)?,
        ["weekly"] => on("sun", &[])?,
        ["weekly", day, rest @ ..] => match weekday(day) {
            Some(day) => on(DAYS[day], rest)?,
            None => on("sun", &words[1..])?,
        },
        ["monthly", rest @ ..] => time(rest).map(|(h, m)| format!("0 {m} {h} 1 * *"))?,
        ["every", unit] if unit.starts_with("min") => "0 * * * * *".to_owned(),
        ["every", number, unit] if number.parse::<u32>().is_ok() => {
            let n: u32 = number.parse().ok().filter(|n| *n > 0)?;
            match *unit {
                "m" | "min" | "mins" | "minute" | "minutes" if n < 60 && 60 % n == 0 => format!("0 */{n} * * * *"),
                "h" | "hour" | "hours" if n < 24 && 24 % n == 0 => format!("0 0 */{n} * * *"),
                _ => return None,
            }
        }
        ["every", day, rest @ ..] => on(DAYS[weekday(day)?], rest)?,
        ["last", day, rest @ ..] => {
            last_week = true;
            let (h, m) = time(rest)?;
            format!("0 {m} {h} 22-31 * {}", DAYS[weekday(day)?])
        }
        [ordinal, day, rest @ ..] if ORDINALS.iter().any(|words| words.contains(ordinal)) => {
            let nth = ORDINALS.iter().position(|words| words.contains(ordinal))?;
            let (h, m) = time(rest)?;
            format!("0 {m} {h} {}-{} * {}", nth * 7 + 1, nth * 7 + 7, DAYS[weekday(day)?])
        }
        [day, rest @ ..] => on(DAYS[weekday(day)?], rest)?,
        [] => return None,
    };
    Some(Recurrence { cron, last_week })
}
