//! When each device is to be asked for what comes again and again (status, metrics). Pure: moments go in, devices come out.
//!
//! The devices of a fleet are spread over the period by a hash of their names: the same device always has the same
//! place, so that a restart changes nothing and no two daemons differ. Moments are counted on a clock that only goes forward.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// The devices of one period.
#[derive(Debug, Default)]
pub(super) struct Wheel {
    period: Duration,
    /// Next moment, device.
    queue: BTreeSet<(Duration, Arc<str>)>,
    known: HashMap<Arc<str>, Duration>,
}

/// Where in a span a name has its place: the same for the same name, evenly spread over many.
pub(super) fn place(name: &str, span: Duration) -> Duration {
    let hash: [u8; 32] = Sha256::digest(name).into();
    let share = u64::from_le_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]]);
    let nanos = u128::from(share) * span.as_nanos() / (u128::from(u64::MAX) + 1);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

impl Wheel {
    /// A wheel that turns once in a period.
    pub(super) fn new(period: Duration) -> Self {
        Self { period: period.max(Duration::from_secs(1)), ..Self::default() }
    }

    /// These devices and no others. Those that are new have their first moment within one period from `now`.
    pub(super) fn set<'a>(&mut self, devices: impl IntoIterator<Item = &'a str>, now: Duration) {
        let wanted: BTreeSet<&str> = devices.into_iter().collect();
        let queue = &mut self.queue;
        self.known.retain(|name, at| {
            let keep = wanted.contains(&**name);
            if !keep {
                queue.remove(&(*at, Arc::clone(name)));
            }
            keep
        });
        for name in wanted {
            if !self.known.contains_key(name) {
                let name: Arc<str> = name.into();
                let at = self.first(&name, now);
                self.queue.insert((at, Arc::clone(&name)));
                self.known.insert(name, at);
            }
        }
    }

    /// The first moment of a device that is not before `now`.
    fn first(&self, name: &str, now: Duration) -> Duration {
        let place = place(name, self.period);
        let turns = now.as_nanos() / self.period.as_nanos();
        let begun = self.period * u32::try_from(turns).unwrap_or(u32::MAX);
        if begun + place >= now { begun + place } else { begun + place + self.period }
    }

    /// The devices whose moment has come, at most so many. Each has its next one afterwards; what was missed comes once.
    pub(super) fn due(&mut self, now: Duration, most: usize) -> Vec<Arc<str>> {
        let mut found = Vec::new();
        while found.len() < most
            && let Some((at, _)) = self.queue.first()
            && *at <= now
            && let Some((_, name)) = self.queue.pop_first()
        {
            let next = self.first(&name, now + Duration::from_nanos(1));
            self.queue.insert((next, Arc::clone(&name)));
            self.known.insert(Arc::clone(&name), next);
            found.push(name);
        }
        found
    }

    /// When the next device has its moment.
    pub(super) fn next(&self) -> Option<Duration> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// How long one turn is.
    pub(super) fn period(&self) -> Duration {
        self.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_mins(5);

    fn wheel(devices: usize) -> Wheel {
        let mut wheel = Wheel::new(PERIOD);
        let names: Vec<String> = (0..devices).map(|i| format!("ws-{i:05}")).collect();
        wheel.set(names.iter().map(String::as_str), Duration::ZERO);
        wheel
    }

    #[test]
    fn ten_thousand_devices_are_never_asked_in_the_same_second() {
        let mut wheel = wheel(10_000);
        let most = (1..=300).map(|second| wheel.due(Duration::from_secs(second), usize::MAX).len()).max().unwrap();
        assert!(most < 70, "{most} in one second; 33 on average");
    }

    #[test]
    fn each_device_comes_once_per_period_and_what_was_missed_comes_once() {
        let mut wheel = wheel(100);
        let mut seen: HashMap<Arc<str>, usize> = HashMap::new();
        for second in 1..=900 {
            for name in wheel.due(Duration::from_secs(second), usize::MAX) {
                *seen.entry(name).or_default() += 1;
            }
        }
        assert!(seen.values().all(|n| *n == 3), "{seen:?}");
        // Asleep for an hour.
        assert_eq!(wheel.due(Duration::from_mins(75), usize::MAX).len(), 100);
        assert!(wheel.due(Duration::from_mins(75), usize::MAX).is_empty());
    }

    #[test]
    fn the_place_of_a_device_does_not_depend_on_the_others_or_on_when_it_came() {
        let mut one = Wheel::new(PERIOD);
        one.set(["ws-00042"], Duration::from_secs(12_345));
        let mut many = wheel(10_000);
        many.due(Duration::from_secs(12_345), usize::MAX);
        assert_eq!(Some(one.next().unwrap()), many.known.get("ws-00042").copied());
    }

    #[test]
    fn devices_that_are_gone_are_not_asked_any_more() {
        let mut wheel = wheel(10);
        wheel.set(["ws-00003"], Duration::ZERO);
        assert_eq!(wheel.due(PERIOD, usize::MAX), [Arc::from("ws-00003")]);
    }
}
