//! Which of the runs that wait may go on now: within the runs at the same time, and one on a device. The others have their turn
//! when one ends.

use std::collections::BTreeSet;

/// Runs whose turn has come, and devices whose runs are put off.
#[derive(Debug, PartialEq)]
pub(super) struct Turns<T> {
    pub(super) now: Vec<(BTreeSet<String>, T)>,
    pub(super) put_off: BTreeSet<String>,
}

/// Chooses among runs, each with its devices. `running` are devices that a run is at work on, `free` how many more runs there
/// may be.
pub(super) fn choose<T>(runs: Vec<(BTreeSet<String>, T)>, running: &BTreeSet<String>, free: usize) -> Turns<T> {
    let mut turns = Turns { now: Vec::new(), put_off: BTreeSet::new() };
    let mut taken = BTreeSet::new();
    for (devices, run) in runs {
        let busy = devices.iter().any(|device| running.contains(device) || taken.contains(device));
        if busy || turns.now.len() >= free {
            turns.put_off.extend(devices);
        } else {
            taken.extend(devices.iter().cloned());
            turns.now.push((devices, run));
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn no_more_runs_go_on_than_there_may_be_and_none_is_forgotten() {
        let runs: Vec<_> = (0..20).map(|n| (set(&[&format!("d{n:02}")]), n)).collect();
        let turns = choose(runs, &BTreeSet::new(), 8);
        assert_eq!(turns.now.iter().map(|(_, n)| *n).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
        assert_eq!(turns.put_off.len(), 12);
        assert!(turns.put_off.contains("d08") && turns.put_off.contains("d19"));
    }

    #[test]
    fn two_runs_on_one_device_go_one_after_the_other() {
        let turns = choose(vec![(set(&["a", "b"]), 1), (set(&["b"]), 2), (set(&["c"]), 3), (set(&["d"]), 4)], &set(&["c"]), 8);
        assert_eq!(turns.now, [(set(&["a", "b"]), 1), (set(&["d"]), 4)]);
        assert_eq!(turns.put_off, set(&["b", "c"]));
    }
}
