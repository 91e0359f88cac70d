//! The life of one alert: who hears of it, when, and how often.

use super::super::hand::Act;
use super::*;

const RULES: &str = "
rules:
  Critical: {condition: {severity: Critical}, channels: [pager, sms]}
  High: {condition: {severity: High}, channels: [team], delay: 5m, suppressDuplicates: true}
";

fn room(rules: &str) -> Room {
    Room::new(set(rules, ""), "12:00")
}

#[test]
fn who_was_told_that_it_is_wrong_is_told_that_it_is_over() {
    for restarts in [false, true] {
        let mut room = if restarts { room(RULES).restarting() } else { room(RULES) };
        let said = room.raise("web-1", "Disk", Severity::Critical);
        assert_eq!(said, "12:00 raised pager web-1/Disk\n12:00 raised sms web-1/Disk\n");
        assert_eq!(room.raise("web-1", "Disk", Severity::Critical), "");
        assert_eq!(room.alert("web-1", "Disk").count, 2);
        assert_eq!(room.until("12:10"), "");
        assert_eq!(room.clear("web-1", "Disk"), "12:10 resolved pager web-1/Disk\n12:10 resolved sms web-1/Disk\n");
        assert_eq!(room.clear("web-1", "Disk"), "");
        assert_eq!(room.state("web-1", "Disk"), AlertState::Resolved);
        assert_eq!(room.alert("web-1", "Disk").resolved_by, None);
    }
}

#[test]
fn what_is_over_before_its_delay_is_never_told_and_neither_is_its_end() {
    for restarts in [false, true] {
        let mut room = if restarts { room(RULES).restarting() } else { room(RULES) };
        assert_eq!(room.raise("web-1", "Disk", Severity::High), "");
        assert_eq!(room.until("12:04"), "");
        assert_eq!(room.clear("web-1", "Disk"), "");
        assert_eq!(room.until("12:30"), "");
        assert_eq!(room.raise("web-1", "Disk", Severity::High), "");
        assert_eq!(room.until("12:40"), "12:35 raised team web-1/Disk\n");
    }
}

#[test]
fn the_same_type_on_the_same_device_is_told_once_where_duplicates_are_suppressed() {
    let mut room = room(RULES);
    room.raise("web-1", "Disk@/", Severity::High);
    room.raise("web-1", "Disk@/var", Severity::High);
    room.raise("web-2", "Disk@/", Severity::High);
    assert_eq!(room.until("12:30"), "12:05 raised team web-1/Disk\n12:05 raised team web-2/Disk\n");
    // The one that was told is over, the other lasts: now that one is told.
    let said = room.clear("web-1", "Disk@/");
    assert_eq!(said, "12:30 raised team web-1/Disk\n12:30 resolved team web-1/Disk\n");
}

#[test]
fn what_gets_worse_is_told_to_whoever_knows_of_it_and_to_new_rules() {
    let mut room = room(RULES);
    room.raise("web-1", "Disk", Severity::High);
    room.until("12:06");
    let said = room.raise("web-1", "Disk", Severity::Critical);
    assert_eq!(said, "12:06 raised pager web-1/Disk\n12:06 raised sms web-1/Disk\n12:06 worsened team web-1/Disk\n");
    // Milder is not told, and worse again neither: that is known.
    assert_eq!(room.raise("web-1", "Disk", Severity::High), "");
    assert_eq!(room.raise("web-1", "Disk", Severity::Critical), "");
    let said = room.clear("web-1", "Disk");
    assert_eq!(said, "12:06 resolved pager web-1/Disk\n12:06 resolved sms web-1/Disk\n12:06 resolved team web-1/Disk\n");
}

#[test]
fn the_same_thing_shortly_after_is_the_same_alert_and_later_it_is_another() {
    for restarts in [false, true] {
        let mut room = if restarts { room(RULES).restarting() } else { room(RULES) };
        room.raise("web-1", "Disk", Severity::Critical);
        room.until("12:01");
        room.clear("web-1", "Disk");
        room.until("12:05");
        let said = room.raise("web-1", "Disk", Severity::Critical);
        assert_eq!(said, "12:05 raised pager web-1/Disk\n12:05 raised sms web-1/Disk\n");
        assert_eq!((room.alert("web-1", "Disk").count, room.state("web-1", "Disk")), (2, AlertState::Active));
        room.clear("web-1", "Disk");
        room.until("12:11");
        room.raise("web-1", "Disk", Severity::Critical);
        assert_eq!(room.alerts().len(), 2);
    }
}

#[test]
fn it_is_repeated_until_somebody_looks_after_it() {
    for restarts in [false, true] {
        let rules = "rules: {All: {channels: [team], repeat: 30m}}";
        let mut room = if restarts { room(rules).restarting() } else { room(rules) };
        assert_eq!(room.raise("web-1", "Disk", Severity::Low), "12:00 raised team web-1/Disk\n");
        assert_eq!(room.until("13:10"), "12:30 repeated team web-1/Disk\n13:00 repeated team web-1/Disk\n");
        assert_eq!(room.by_hand("web-1", "Disk", Act::Acknowledge { take_over: false }), "13:10 acknowledged team web-1/Disk\n");
        assert_eq!(room.until("14:00"), "");
        // Given back: it goes on.
        assert_eq!(room.by_hand("web-1", "Disk", Act::GiveBack), "14:00 repeated team web-1/Disk\n");
        assert_eq!(room.by_hand("web-1", "Disk", Act::Resolve), "14:00 resolved team web-1/Disk\n");
        assert_eq!(room.until("18:00"), "");
        assert_eq!(room.alert("web-1", "Disk").resolved_by.as_deref(), Some("kim"));
    }
}

#[test]
fn what_gets_worse_although_somebody_looks_after_it_is_told_again() {
    let mut room = room(RULES);
    room.raise("web-1", "Disk", Severity::High);
    room.until("12:05");
    room.by_hand("web-1", "Disk", Act::Acknowledge { take_over: false });
    let said = room.raise("web-1", "Disk", Severity::Critical);
    assert_eq!(said, "12:05 raised pager web-1/Disk\n12:05 raised sms web-1/Disk\n12:05 worsened team web-1/Disk\n");
    assert_eq!(room.state("web-1", "Disk"), AlertState::Active);
}

#[test]
fn what_happened_is_over_after_some_time_and_that_is_told_only_where_incidents_are_kept() {
    let mut room = room(RULES);
    let finding = finding("web-1", "LogError", Severity::Critical, room.now);
    let said = room.signal(Signal::Occurred(finding));
    assert_eq!(said, "12:00 raised pager web-1/LogError\n12:00 raised sms web-1/LogError\n");
    assert_eq!(room.until("17:00"), "16:00 resolved pager web-1/LogError\n");
    assert_eq!(room.state("web-1", "LogError"), AlertState::Resolved);
}

#[test]
fn coming_and_going_becomes_one_alert_until_it_is_calm() {
    for restarts in [false, true] {
        let mut room = if restarts { room(RULES).restarting() } else { room(RULES) };
        let mut said = String::new();
        for _ in 0..12 {
            said += &room.raise("web-1", "Disk", Severity::Critical);
            let next = room.now + minutes(1);
            said += &room.until(&next.to_rfc3339());
            said += &room.clear("web-1", "Disk");
            let next = room.now + minutes(1);
            said += &room.until(&next.to_rfc3339());
        }
        // Four times it is told and over; the fifth coming is flapping, told once, and not over until it is calm.
        let times = |what: &str| said.lines().filter(|line| line.contains(what)).count();
        assert_eq!((times("raised sms"), times("resolved sms")), (5, 4), "{said}");
        assert_eq!(room.alert("web-1", "Disk").suppressed, Some(crate::model::alert::Suppression::Flapping));
        assert_eq!(room.state("web-1", "Disk"), AlertState::Active);
        // The last going was at 12:23.
        assert_eq!(room.until("13:30"), "12:53 resolved pager web-1/Disk\n12:53 resolved sms web-1/Disk\n");
    }
}

#[test]
fn rules_are_about_types_targets_and_the_product_itself() {
    let mut room = room(
        "rules:
  Web: {condition: {targets: [Web], type: [Disk, Offline]}, channels: [team]}
  All: {condition: {type: Repository}, channels: [mail]}
",
    );
    assert_eq!(room.raise("db-1", "Disk", Severity::High), "");
    assert_eq!(room.raise("web-1", "CPU", Severity::High), "");
    assert_eq!(room.raise("web-1", "disk", Severity::High), "12:00 raised team web-1/disk\n");
    assert_eq!(room.raise("rmm", "Repository", Severity::High), "12:00 raised mail rmm/Repository\n");
}

#[test]
fn a_clock_that_is_set_back_by_an_hour_puts_nothing_off_and_repeats_nothing() {
    let rules = "rules:\n  Soon: {channels: [team]}\n  Later: {channels: [mail], delay: 10m}\n";
    let mut room = Room::new(set(rules, ""), "12:00");
    assert_eq!(room.raise("db-1", "A", Severity::High), "12:00 raised team db-1/A\n");
    room.now = at("11:00");
    // The daemon calls the desk again and again, whatever it wants.
    room.call(|desk, now| desk.external(now).unwrap());
    assert_eq!(room.said(), "");
    assert_eq!(room.until("11:30"), "11:10 raised mail db-1/A\n");
}

#[test]
fn what_is_over_for_long_moves_to_the_archive_and_goes_with_the_history() {
    for restarts in [false, true] {
        let rules = "rules: {All: {channels: [team]}}\nalerts: {archiveAfter: 2d}";
        let mut room = if restarts { room(rules).restarting() } else { room(rules) };
        room.raise("web-1", "Disk", Severity::Low);
        room.raise("web-2", "Disk", Severity::Low);
        room.until("12:10");
        assert_eq!(room.clear("web-1", "Disk"), "12:10 resolved team web-1/Disk\n");
        room.until("2026-11-23T12:00:00Z");
        assert_eq!(room.state("web-1", "Disk"), AlertState::Resolved);
        assert_eq!(room.until("2026-11-23T19:00:00Z"), "", "nobody is told");
        let id = room.alert("web-1", "Disk").id;
        assert_eq!((room.state("web-1", "Disk"), room.state("web-2", "Disk")), (AlertState::Archived, AlertState::Active));
        // It is over for good: the same thing again is another one.
        assert!(super::super::hand::act(&room.store, &id, Act::Acknowledge { take_over: false }, None, &kim(), room.now).is_err());
        assert_eq!(room.raise("web-1", "Disk", Severity::Low), "19:00 raised team web-1/Disk\n");
        assert_eq!(room.alerts().len(), 3);
        let later = FixedClock::new(at("2026-11-21T12:10:00Z") + TimeDelta::days(91));
        let later = Store::open(&room.dir.path().join("rmm.db"), Arc::new(later)).unwrap();
        later.forget(&crate::store::Retention::default()).unwrap();
        let left = room.alerts();
        assert_eq!((left.len(), left.iter().any(|alert| alert.id == id)), (2, false), "what lasts stays, however old");
    }
}

#[test]
fn what_may_still_come_back_as_the_same_alert_is_not_archived() {
    let mut room = room("rules: {All: {channels: [team]}}\nalerts: {archiveAfter: 1h, deduplicate: 12h}");
    room.raise("web-1", "Disk", Severity::Low);
    room.clear("web-1", "Disk");
    room.until("20:00");
    assert_eq!(room.state("web-1", "Disk"), AlertState::Resolved);
    room.raise("web-1", "Disk", Severity::Low);
    assert_eq!((room.alert("web-1", "Disk").count, room.state("web-1", "Disk")), (2, AlertState::Active));
}
