//! Times of day at which something is in force: `06:00-22:00` in a time zone.

use std::fmt;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// A daily window in a time zone. The end is exclusive; an end at or before the start is on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    start: NaiveTime,
    end: NaiveTime,
    zone: Tz,
}

/// Reads an IANA time zone name; the error suggests what was meant.
pub fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let near = chrono_tz::TZ_VARIANTS
            .iter()
            .map(|tz| (strsim::jaro_winkler(&tz.name().to_lowercase(), &name.to_lowercase()), tz.name()))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match near {
            Some((score, near)) if score > 0.85 => format!("'{name}' is not a time zone; did you mean '{near}'?"),
            _ => format!("'{name}' is not a time zone; write an IANA name such as Europe/Berlin"),
        }
    })
}

/// Reads a time of day: `22:00`, `22:00:30`, `10PM`, `10:30 pm`.
pub(crate) fn time_of_day(text: &str) -> Option<NaiveTime> {
    let text = text.trim().to_ascii_lowercase();
    let (digits, half) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(rest), _) => (rest.trim(), Some(false)),
        (_, Some(rest)) => (rest.trim(), Some(true)),
        _ => (text.as_str(), None),
    };
    let mut parts = digits.split(':');
    let hour: u32 = parts.next()?.parse().ok()?;
    let minute: Option<u32> = parts.next().map(str::parse).transpose().ok()?;
    let second: u32 = parts.next().map_or(Ok(0), str::parse).ok()?;
    if parts.next().is_some() || (minute.is_none() && half.is_none()) {
        return None;
    }
    let hour = match half {
        Some(_) if hour == 0 || hour > 12 => return None,
        Some(pm) => hour % 12 + if pm { 12 } else { 0 },
        None => hour,
    };
    let (hour, last) = if hour == 24 && minute == Some(0) { (0, true) } else { (hour, false) };
    NaiveTime::from_hms_opt(hour, minute.unwrap_or(0), second).filter(|_| !last || second == 0)
}

impl Window {
    /// Reads `06:00-22:00` or `10PM-6AM`.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, String> {
        let bad = || format!("'{text}' is not a span of the day; write 06:00-22:00 or 10PM-6AM");
        let (start, end) = text.split_once(['-', '\u{2013}']).ok_or_else(bad)?;
        Ok(Self { start: time_of_day(start).ok_or_else(bad)?, end: time_of_day(end).ok_or_else(bad)?, zone })
    }

    /// Its time zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Whether it is open at this moment.
    pub fn contains(&self, now: DateTime<Utc>) -> bool {
        let local = now.with_timezone(&self.zone).time();
        if self.start < self.end { local >= self.start && local < self.end } else { local >= self.start || local < self.end }
    }

    /// The local date on which the span that is open at this moment began; none where it is closed.
    pub fn began_on(&self, now: DateTime<Utc>) -> Option<NaiveDate> {
        let local = now.with_timezone(&self.zone);
        let crossed = self.start >= self.end && local.time() < self.start;
        let today = local.date_naive();
        self.contains(now).then(|| if crossed { today.pred_opt().unwrap_or(today) } else { today })
    }

    /// The next moment after `now` at which it opens or closes.
    ///
    /// A local time that daylight saving skips counts as the first moment after the gap; one that it repeats
    /// counts the first time.
    pub fn next_edge(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let edge = if self.contains(now) { self.end } else { self.start };
        let today = now.with_timezone(&self.zone).date_naive();
        (0..3)
            .filter_map(|days| today.checked_add_days(Days::new(days)))
            .map(|day| local_moment(day.and_time(edge), self.zone))
            .find(|moment| *moment > now)
            .unwrap_or(now + TimeDelta::days(1))
    }
}

/// `2026-12-24`. Only of years with which can be calculated without coming to the end of the calendar.
pub(crate) fn day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|day| is_usable(*day))
}

/// Whether a day is far enough from the ends of the calendar.
pub(crate) fn is_usable(day: NaiveDate) -> bool {
    (1..=9999).contains(&day.year())
}

/// The moment of a local date and time: skipped times move past the gap, repeated ones take the first.
pub(crate) fn local_moment(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let mut at = local;
    for _ in 0..(24 * 4) {
        if let Some(moment) = zone.from_local_datetime(&at).earliest() {
            return moment.with_timezone(&Utc);
        }
        at += TimeDelta::minutes(15);
    }
    Utc.from_utc_datetime(&local)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} ({})", self.start.format("%H:%M"), self.end.format("%H:%M"), self.zone.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_is_read_in_its_own_time_zone() {
        let window = Window::parse("06:00-22:00", chrono_tz::America::New_York).unwrap();
        assert!(window.contains(at("2026-11-10T17:00:00Z")));
        assert!(!window.contains(at("2026-11-10T10:59:59Z")));
        assert!(window.contains(at("2026-11-10T11:00:00Z")));
        assert_eq!(window.next_edge(at("2026-11-10T17:00:00Z")), at("2026-11-11T03:00:00Z"));
    }

    #[test]
    fn a_window_may_cross_midnight() {
        let window = Window::parse("10PM-6AM", chrono_tz::UTC).unwrap();
        assert!(window.contains(at("2026-11-10T23:00:00Z")));
        assert!(window.contains(at("2026-11-10T05:59:00Z")));
        assert!(!window.contains(at("2026-11-10T06:00:00Z")));
        assert_eq!(window.next_edge(at("2026-11-10T12:00:00Z")), at("2026-11-10T22:00:00Z"));
    }

    #[test]
    fn a_time_that_daylight_saving_skips_moves_past_the_gap() {
        let window = Window::parse("02:30-04:00", chrono_tz::Europe::Berlin).unwrap();
        assert_eq!(window.next_edge(at("2026-03-29T00:00:00Z")), at("2026-03-29T01:00:00Z"));
    }

    #[test]
    fn nonsense_is_refused_and_a_near_zone_is_suggested() {
        for text in ["", "6-22", "25:00-26:00", "06:00", "13PM-2PM", "06:00:00:00-07:00"] {
            assert!(Window::parse(text, chrono_tz::UTC).is_err(), "{text}");
        }
        assert!(zone("Europe/Berln").unwrap_err().contains("Europe/Berlin"));
    }
}
