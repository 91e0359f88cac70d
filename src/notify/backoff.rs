//! When a message is tried again: twice as long after each try, spread a little, and never sooner than asked.

use std::time::Duration;

use chrono::TimeDelta;
use sha2::{Digest, Sha256};

const FIRST: u64 = 10;
const LONGEST: u64 = 3600;

/// No message waits longer for its next try.
pub(super) const MOST: TimeDelta = TimeDelta::seconds(LONGEST as i64);

/// How long to wait after try number `attempts` (the first is 1). The spread comes from the id, so that what fails together is
/// not tried together, and the same day plays the same way twice.
pub(super) fn pause(id: &str, attempts: u32, asked: Option<Duration>) -> TimeDelta {
    let nominal = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(LONGEST) * 1000;
    let mut hash = Sha256::new();
    hash.update(id.as_bytes());
    hash.update(attempts.to_le_bytes());
    let digest = hash.finalize();
    // Up to a fifth more or less.
    let spread = u64::from(u16::from_le_bytes([digest[0], digest[1]]));
    let millis = (nominal * 4 / 5 + nominal * 2 * spread / 5 / u64::from(u16::MAX)).min(LONGEST * 1000);
    let asked = asked.map_or(0, |asked| u64::try_from(asked.as_millis()).unwrap_or(u64::MAX)).min(LONGEST * 1000);
    TimeDelta::milliseconds(i64::try_from(millis.max(asked)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour_within_their_spread() {
        for attempts in 1..=30 {
            let nominal = (10_000_i64 << (attempts - 1).min(12)).min(3_600_000);
            let pause = pause("d-1", attempts, None).num_milliseconds();
            assert!(pause >= nominal * 4 / 5 && pause <= (nominal * 6 / 5).min(3_600_000), "{attempts}: {pause}");
        }
    }

    #[test]
    fn two_messages_that_fail_together_are_not_tried_together_and_each_always_at_the_same_time() {
        assert_ne!(pause("a", 3, None), pause("b", 3, None));
        assert_eq!(pause("a", 3, None), pause("a", 3, None));
    }

    #[test]
    fn who_asks_for_more_time_gets_it_up_to_an_hour() {
        assert_eq!(pause("a", 1, Some(Duration::from_mins(5))), TimeDelta::seconds(300));
        assert_eq!(pause("a", 1, Some(Duration::from_secs(u64::MAX))), TimeDelta::seconds(3600));
        assert!(pause("a", 1, Some(Duration::from_secs(1))) >= TimeDelta::seconds(8));
    }
}
