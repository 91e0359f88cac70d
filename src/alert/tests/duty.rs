//! Escalation: who hears of what nobody acknowledges, and how they are reached.

use super::super::hand::Act;
use super::*;

const RULES: &str = "
rules: {Critical: {condition: {severity: Critical}, channels: [pager], escalation: Night}}
escalation:
  Night:
    tiers:
      - {after: 15m, onCall: Weekly}
      - {after: 30m, channels: [sms, team], people: [ada]}
    manager: dana
    timeout: 1h
onCall:
  Weekly: {people: [kim, ada], start: 2026-11-16, overrides: [{person: dana, from: 2026-11-22, until: 2026-11-23}]}
people:
  kim: {email: kim@example.com}
  ada: {phone: \"+491701111111\", email: ada@example.com}
  dana: {phone: \"+491702222222\"}
";

fn room() -> Room {
    Room::new(set(RULES, ""), "12:00")
}

#[test]
fn tiers_follow_one_another_and_the_manager_comes_last() {
    for restarts in [false, true] {
        let mut room = if restarts { room().restarting() } else { room() };
        assert_eq!(room.raise("web-1", "Raid", Severity::Critical), "12:00 raised pager web-1/Raid\n");
        assert_eq!(
            room.until("18:00"),
            "12:15 escalated mail>kim@example.com web-1/Raid
12:45 escalated sms>+491701111111 web-1/Raid
12:45 escalated team web-1/Raid
13:45 escalated sms>+491702222222 web-1/Raid
"
        );
        assert_eq!(
            room.clear("web-1", "Raid"),
            "18:00 resolved mail>kim@example.com web-1/Raid
18:00 resolved pager web-1/Raid
18:00 resolved sms>+491701111111 web-1/Raid
18:00 resolved sms>+491702222222 web-1/Raid
18:00 resolved team web-1/Raid
"
        );
    }
}

#[test]
fn an_acknowledgement_stops_it_and_giving_it_back_goes_on() {
    let mut room = room();
    room.raise("web-1", "Raid", Severity::Critical);
    room.until("12:20");
    room.by_hand("web-1", "Raid", Act::Acknowledge { take_over: false });
    assert_eq!(room.until("14:00"), "");
    assert_eq!(room.by_hand("web-1", "Raid", Act::GiveBack), "");
    assert_eq!(room.until("14:40"), "14:30 escalated sms>+491701111111 web-1/Raid\n14:30 escalated team web-1/Raid\n");
}

#[test]
fn who_stands_in_is_called_and_a_tier_outside_its_hours_is_passed_over() {
    let mut room = room();
    room.until("2026-11-22T12:00:00Z");
    room.raise("web-1", "Raid", Severity::Critical);
    assert_eq!(room.until("2026-11-22T12:20:00Z"), "12:15 escalated sms>+491702222222 web-1/Raid\n");

    let rules = RULES.replace("{after: 15m, onCall: Weekly}", "{after: 15m, onCall: Weekly, during: businessHours}");
    let rules = rules + "businessHours: {hours: \"08:00-18:00\"}\n";
    let mut room = Room::new(set(&rules, ""), "12:00");
    room.raise("web-1", "Raid", Severity::Critical);
    let said = room.until("13:00");
    assert_eq!(said, "12:45 escalated sms>+491701111111 web-1/Raid\n12:45 escalated team web-1/Raid\n");
}

#[test]
fn where_nobody_knows_how_to_reach_somebody_the_rule_speaks_again() {
    let rules = "
rules: {All: {channels: [team], escalation: E}}
escalation: {E: {tiers: [{after: 10m, onCall: R}]}}
onCall: {R: {people: [nobody], start: 2026-11-16}}
";
    let mut room = Room::new(set(rules, ""), "12:00");
    room.raise("web-1", "Raid", Severity::Low);
    assert_eq!(room.until("12:20"), "12:10 escalated team web-1/Raid\n");
}

#[test]
fn somebody_else_can_only_take_over_on_purpose() {
    let mut room = room();
    room.raise("web-1", "Raid", Severity::Critical);
    room.by_hand("web-1", "Raid", Act::Acknowledge { take_over: false });
    let id = room.alert("web-1", "Raid").id;
    let manager = Actor { user: "dana".into(), from: "cli@desk".into() };
    let act = |take_over| super::super::hand::act(&room.store, &id, Act::Acknowledge { take_over }, None, &manager, room.now);
    assert!(matches!(act(false), Err(super::super::hand::HandError::Taken { by, .. }) if by == "kim"));
    assert_eq!(act(true).unwrap().acknowledged_by.as_deref(), Some("dana"));
}
