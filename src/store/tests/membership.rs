//! Who came into a group: once, and not who was there.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::store::Belongs;

fn came(house: &House) -> Vec<String> {
    house.store.came_in().unwrap().into_iter().map(|came| came.device.to_string()).collect()
}

#[test]
fn who_is_there_at_the_first_look_has_not_come_in_and_who_comes_later_has_once() {
    let house = house();
    let look = |seen: &[(&'static str, Belongs)], whole: bool| {
        house.store.note_members("New", &seen.iter().copied().collect::<BTreeMap<_, _>>(), whole).unwrap();
        came(&house)
    };
    assert!(look(&[("a", Belongs::Yes), ("b", Belongs::No), ("c", Belongs::Unknown)], true).is_empty());
    // It was there, only nobody knew.
    assert!(look(&[("c", Belongs::Yes)], false).is_empty());
    assert_eq!(look(&[("b", Belongs::Yes), ("d", Belongs::Unknown)], false), ["b"]);
    assert_eq!(look(&[("d", Belongs::Yes)], false), ["b", "d"], "it came after the first look");
    let all = house.store.came_in().unwrap();
    house.store.welcomed(&all).unwrap();
    let four = [("a", Belongs::Yes), ("b", Belongs::Unknown), ("c", Belongs::Yes), ("d", Belongs::Yes)];
    assert!(look(&four, true).is_empty(), "who is not known to have left is there");
    // Gone, and here again: declared no more, or no more meant.
    assert!(look(&[("a", Belongs::Yes), ("b", Belongs::Yes), ("d", Belongs::No)], true).is_empty());
    house.clock.set(minutes(1));
    assert_eq!(look(&four, true), ["c", "d"]);
    assert!(house.store.came_in().unwrap().iter().all(|came| came.since == minutes(1)));
    // Nobody asks for the group any more: the next look is a first one.
    house.store.watch_groups(&BTreeSet::from(["Other"])).unwrap();
    assert!(came(&house).is_empty());
    assert!(look(&four, true).is_empty());
}

#[test]
fn how_far_alerts_were_looked_at_is_kept_until_nobody_looks_any_more() {
    let house = house();
    assert_eq!(house.store.alerts_looked_at().unwrap(), None);
    for revision in [Some(0), Some(7), None] {
        house.store.note_alerts_looked_at(revision).unwrap();
        assert_eq!(house.store.alerts_looked_at().unwrap(), revision);
    }
}
