//! Which moments of a schedule have run. They are kept as stretches, not as the latest one alone: a clock that was ahead for a
//! while has run moments that have not come yet, and those before them have their turn all the same when it is set right.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Most stretches that are kept. There is one more only where moments were missed or the clock was set.
const MOST: usize = 32;

/// Moments that have run: `[first, last]`, in the order of time, in milliseconds since 1970. Every moment of the schedule within
/// a stretch has run, and none outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ran(Vec<(i64, i64)>);

impl Ran {
    /// Everything up to a moment.
    pub fn up_to(at: DateTime<Utc>) -> Self {
        Self(vec![(i64::MIN, at.timestamp_millis())])
    }

    /// The end of the stretch in which a moment lies: whether it has run, and up to where the others have too.
    pub fn end_of(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = at.timestamp_millis();
        self.0.iter().find(|(from, to)| (*from..=*to).contains(&at)).and_then(|(_, to)| moment(*to))
    }

    /// The last end of a stretch before a moment.
    pub fn end_before(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = at.timestamp_millis();
        self.0.iter().rev().find(|(_, to)| *to < at).and_then(|(_, to)| moment(*to))
    }

    /// Up to where, at the latest now, moments have been run.
    pub fn until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = now.timestamp_millis();
        self.0.iter().rev().find(|(from, _)| *from <= at).and_then(|(_, to)| moment((*to).min(at)))
    }

    /// Adds a moment. `follows` is the one of the schedule directly before it, where that has run. False where it has run already.
    pub fn note(&mut self, at: DateTime<Utc>, follows: Option<DateTime<Utc>>) -> bool {
        if self.end_of(at).is_some() {
            return false;
        }
        let millis = at.timestamp_millis();
        let follows = follows.map(|at| at.timestamp_millis());
        match self.0.iter_mut().find(|(_, to)| follows == Some(*to) && *to < millis) {
            Some(stretch) => stretch.1 = millis,
            None => self.0.push((millis, millis)),
        }
        self.0.sort_unstable();
        if self.0.len() > MOST {
            self.0.remove(0);
        }
        true
    }
}

fn moment(millis: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-21T{text}:00Z").parse().unwrap()
    }

    #[test]
    fn moments_that_follow_each_other_are_one_stretch_and_none_runs_twice() {
        let mut ran = Ran::default();
        assert!(ran.note(at("12:00"), None) && ran.note(at("12:20"), Some(at("12:00"))));
        assert_eq!(ran.0.len(), 1);
        for time in ["12:00", "12:10", "12:20"] {
            assert!(!ran.note(at(time), None), "{time}");
        }
        assert_eq!((ran.until(at("12:30")), ran.until(at("12:10")), ran.until(at("11:59"))), (Some(at("12:20")), Some(at("12:10")), None));
    }

    #[test]
    fn what_ran_ahead_of_its_time_leaves_room_for_what_comes_before_it() {
        let mut ran = Ran::up_to(at("12:00"));
        assert!(ran.note(at("13:00"), None) && !ran.note(at("11:00"), None));
        assert!(ran.note(at("12:20"), Some(at("12:00"))) && !ran.note(at("13:00"), Some(at("12:40"))));
        assert_eq!(ran.end_before(at("13:20")), Some(at("13:00")));
        assert_eq!(serde_json::from_str::<Ran>(&serde_json::to_string(&ran).unwrap()).unwrap(), ran);
    }

    #[test]
    fn the_oldest_stretches_are_forgotten() {
        let mut ran = Ran::default();
        for hour in 0..40 {
            ran.note(at("00:00") + chrono::TimeDelta::hours(hour), None);
        }
        assert_eq!((ran.0.len(), ran.end_of(at("07:00")), ran.end_of(at("08:00"))), (MOST, None, Some(at("08:00"))));
    }
}
