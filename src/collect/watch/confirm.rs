//! Confirmation: one lost packet alarms nobody. A state changes after so many results in a row, and only then.

use chrono::{DateTime, Utc};

use crate::model::monitor::Confirm;

/// How a check stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is up. Until the first result it counts as up, so that a first failure has to be confirmed too.
    pub up: bool,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether anything is known at all.
    known: bool,
    /// Results in a row that say the contrary.
    streak: u32,
    /// When the first of them came.
    from: DateTime<Utc>,
}

/// What one result changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    Same,
    /// It is down now.
    Down,
    /// It is up again.
    Up,
    /// It is known for the first time, and up.
    First,
    /// It says the contrary, not often enough yet.
    Early,
}

impl Standing {
    /// Of a check that nobody has carried out yet.
    pub const fn first(at: DateTime<Utc>) -> Self {
        Self { up: true, since: at, known: false, streak: 0, from: at }
    }

    /// Of one that is known from before.
    pub const fn known(up: bool, since: DateTime<Utc>) -> Self {
        Self { up, since, known: true, streak: 0, from: since }
    }

    /// Takes one result. A change counts from the first of the results that led to it.
    pub fn take(&mut self, ok: bool, confirm: Confirm, at: DateTime<Utc>) -> Turn {
        if ok == self.up {
            self.streak = 0;
            return if std::mem::replace(&mut self.known, true) { Turn::Same } else { Turn::First };
        }
        if self.streak == 0 {
            self.from = at;
        }
        self.streak += 1;
        let needed = if ok { confirm.successes } else { confirm.failures };
        if self.streak < needed {
            return Turn::Early;
        }
        (self.up, self.since, self.known, self.streak) = (ok, self.from, true, 0);
        if ok { Turn::Up } else { Turn::Down }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn play(results: &[bool], confirm: Confirm) -> Vec<Turn> {
        let mut standing = Standing::first(at(0));
        results.iter().zip(0..).map(|(ok, i)| standing.take(*ok, confirm, at(i))).collect()
    }

    #[test]
    fn one_failure_alarms_nobody() {
        use Turn::{Down, Early, First, Same, Up};
        let confirm = Confirm { failures: 3, successes: 2 };
        let turns = play(&[true, false, false, true, false, false, false, true, false, true, true], confirm);
        assert_eq!(turns, [First, Early, Early, Same, Early, Early, Down, Early, Same, Early, Up]);
    }

    #[test]
    fn what_was_never_up_is_confirmed_too_and_down_since_its_first_failure() {
        let mut standing = Standing::first(at(0));
        assert_eq!(standing.take(false, Confirm::default(), at(10)), Turn::Early);
        assert_eq!(standing.take(false, Confirm::default(), at(20)), Turn::Down);
        assert_eq!((standing.up, standing.since), (false, at(10)));
    }

    proptest! {
        #[test]
        fn ups_and_downs_alternate_and_each_has_its_streak(results in prop::collection::vec(any::<bool>(), 0..60), failures in 1u32..5, successes in 1u32..5) {
            let turns = play(&results, Confirm { failures, successes });
            let mut up = true;
            for (i, turn) in turns.iter().enumerate() {
                let streak = |wanted: bool, n: u32| i + 1 >= n as usize && results[i + 1 - n as usize..=i].iter().all(|ok| *ok == wanted);
                match turn {
                    Turn::Down => { prop_assert!(up && streak(false, failures)); up = false; }
                    Turn::Up => { prop_assert!(!up && streak(true, successes)); up = true; }
                    Turn::Same | Turn::First => prop_assert_eq!(results[i], up),
                    Turn::Early => prop_assert_ne!(results[i], up),
                }
            }
        }
    }
}
