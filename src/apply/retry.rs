//! Back-off between tries: exponential, bounded, with jitter so that devices do not come back all at once.

use std::time::Duration;

/// Tries of one change before it counts as failed.
pub(super) const TRIES: u32 = 3;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait before try number `next` (2, 3, ...). `random` is in 0..1.
pub(super) fn delay(next: u32, random: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << next.saturating_sub(2).min(16)).min(LONGEST);
    doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        assert_eq!(delay(2, 1.0), Duration::from_millis(500));
        assert_eq!(delay(3, 1.0), Duration::from_secs(1));
        assert_eq!(delay(99, 1.0), LONGEST);
        assert!(delay(2, 0.0) >= Duration::from_millis(250));
    }
}
