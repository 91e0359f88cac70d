//! How many messages a channel may still send in its minute.

use chrono::{DateTime, TimeDelta, Utc};

/// A minute begins with the first message that is sent in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Minute {
    since: Option<DateTime<Utc>>,
    sent: u32,
}

impl Minute {
    /// How many more may be sent now, where at most `rate` may.
    pub(super) fn left(&self, rate: u32, now: DateTime<Utc>) -> u32 {
        if self.runs(now) { rate.saturating_sub(self.sent) } else { rate }
    }

    /// When the next one begins.
    pub(super) fn ends(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.since.filter(|_| self.runs(now)).map_or(now, |since| since + TimeDelta::seconds(60))
    }

    /// One was sent.
    pub(super) fn count(&mut self, now: DateTime<Utc>) {
        if !self.runs(now) {
            *self = Self { since: Some(now), sent: 0 };
        }
        self.sent += 1;
    }

    /// A clock that was set back does not lengthen it.
    fn runs(&self, now: DateTime<Utc>) -> bool {
        self.since.is_some_and(|since| now >= since && now < since + TimeDelta::seconds(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_number_and_the_next_one_again() {
        let at = |seconds: i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let mut minute = Minute::default();
        assert_eq!(minute.left(2, at(100)), 2);
        minute.count(at(100));
        minute.count(at(110));
        assert_eq!((minute.left(2, at(159)), minute.ends(at(159))), (0, at(160)));
        assert_eq!(minute.left(2, at(160)), 2);
        // Set back by an hour: nobody waits for an hour.
        assert_eq!(minute.left(2, at(-3500)), 2);
    }
}
