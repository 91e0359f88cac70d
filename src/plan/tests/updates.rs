//! Which updates are approved, and because of what.

use super::*;
use crate::model::update::{Decided, Offer, Ruling};
use crate::plan::{Approval, Approver};

fn offered() -> Facts {
    facts(&[(
        "software.available_updates",
        json!({
            "openssl": {"installed": "1", "offered": "2", "source": "stable-security", "classification": "security", "severity": "high"},
            "linux-image": {"installed": "6.1", "offered": "6.2", "source": "stable", "classification": "other"},
            "nginx": {"installed": "1", "offered": "2", "source": "vendor", "classification": "bugfix", "released": "2026-11-01T00:00:00Z"},
        }),
    )])
}

fn by_hand(ruling: Ruling, name: &str, targets: &[&str], hours_ago: i64, until: Option<&str>) -> Decided {
    Decided {
        ruling,
        name: name.into(),
        version: None,
        targets: targets.iter().map(|t| (*t).to_owned()).collect(),
        until: until.map(at),
        reason: String::new(),
        by: "kim".into(),
        at: at(NOON) - chrono::TimeDelta::hours(hours_ago),
    }
}

/// `name state` of everything that web-1 offers, first seen two days ago.
fn decided(policies: &str, hands: Vec<Decided>) -> Vec<String> {
    let set = fleet(policies);
    let planner = Planner::new(&set, &no_secrets);
    let seen = |_: &Offer| Some(at("2026-11-19T12:00:00Z"));
    let all = Approver::new(&planner, hands).decisions(&set.devices["web-1"], &offered(), &seen, at(NOON)).unwrap();
    let until = |until: Option<DateTime<Utc>>| until.map(|until| format!(" until {}", until.format("%F"))).unwrap_or_default();
    all.iter().map(|(offer, decision)| format!("{} {}{}", offer.name, decision.state, until(decision.until))).collect()
}

fn rules(text: &str) -> String {
    format!("Rules:\n  targets: [Servers]\n  settings:\n    Updates: {text}\n")
}

#[test]
fn where_nobody_says_anything_everything_is_approved() {
    let all = ["openssl approved", "linux-image approved", "nginx approved"];
    assert_eq!(decided("{}", Vec::new()), all);
    assert_eq!(decided("Other:\n  targets: [Small]\n  exclude: [Servers]\n  settings: {Updates: {approve: []}}\n", Vec::new()), all);
}

#[test]
fn only_what_a_rule_approves_is_approved_once_it_is_old_enough() {
    for (text, expected) in [
        ("{approve: [{classification: security}]}", ["openssl approved", "linux-image not approved", "nginx not approved"]),
        ("{approve: [{olderThan: 7d}]}", ["openssl waiting until 2026-11-26", "linux-image waiting until 2026-11-26", "nginx approved"]),
        ("{approve: ['linux-*', {severity: high}]}", ["openssl approved", "linux-image approved", "nginx not approved"]),
        ("{approve: [{severity: critical}]}", ["openssl not approved", "linux-image not approved", "nginx not approved"]),
        ("{approve: [{source: vendor, classification: [bugfix]}]}", ["openssl not approved", "linux-image not approved", "nginx approved"]),
        ("{deny: [nginx], defer: {'linux-*': 14d}}", ["openssl approved", "linux-image deferred until 2026-12-03", "nginx denied"]),
        ("{defer: {'*': 1d}}", ["openssl approved", "linux-image approved", "nginx approved"]),
    ] {
        assert_eq!(decided(&rules(text), Vec::new()), expected, "{text}");
    }
}

#[test]
fn denied_beats_everything_and_a_person_beats_the_other_rules() {
    let text = rules("{approve: [{classification: security}], deny: [openssl], defer: {'linux-*': 14d}}");
    let everything = by_hand(Ruling::Approve, "*", &[], 1, None);
    assert_eq!(decided(&text, vec![everything.clone()]), ["openssl denied", "linux-image approved", "nginx approved"]);
    let deny = by_hand(Ruling::Deny, "NGINX", &["tag=lab"], 5, None);
    assert_eq!(decided("{}", vec![everything.clone(), deny])[2], "nginx denied");
    // Of two people the later one; what is over no longer holds; what is about other devices does not either.
    let later = by_hand(Ruling::Defer, "linux-*", &[], 0, Some("2026-12-24T00:00:00Z"));
    assert_eq!(decided("{}", vec![everything, later])[1], "linux-image deferred until 2026-12-24");
    let over = by_hand(Ruling::Deny, "*", &[], 50, Some("2026-11-21T11:00:00Z"));
    let elsewhere = by_hand(Ruling::Deny, "*", &["db-1"], 1, None);
    assert_eq!(decided("{}", vec![over, elsewhere])[1], "linux-image approved");
    // A group that is gone: what was forbidden stays so.
    let gone = [by_hand(Ruling::Deny, "nginx", &["Gone"], 1, None), by_hand(Ruling::Approve, "openssl", &["Gone"], 1, None)];
    assert_eq!(decided(&rules("{approve: []}"), gone.to_vec()), ["openssl not approved", "linux-image not approved", "nginx denied"]);
}

#[test]
fn a_policy_that_may_be_for_a_device_forbids_and_approves_nothing() {
    // How much memory there is, nobody has observed.
    let maybe = |text: &str| format!("Maybe:\n  targets: [Small]\n  settings:\n    Updates: {text}\n");
    assert_eq!(decided(&maybe("{deny: [nginx]}"), Vec::new())[2], "nginx denied");
    assert_eq!(decided(&maybe("{approve: ['*']}"), Vec::new())[0], "openssl not approved");
}

#[test]
fn an_exception_frees_a_device_and_a_decision_names_its_line() {
    let text = rules("{approve: []}") + "  exceptions: [{device: web-1, setting: Updates, reason: lab}]\n";
    assert_eq!(decided(&text, Vec::new())[0], "openssl approved");
    let set = fleet(&rules("{approve: [{classification: security}]}"));
    let planner = Planner::new(&set, &no_secrets);
    let all = Approver::new(&planner, Vec::new()).decisions(&set.devices["web-1"], &offered(), &|_| None, at(NOON)).unwrap();
    let told = |i: usize| format!("{} {}", all[i].1.because, all[i].1.place.as_ref().unwrap());
    assert_eq!((told(0), told(1)), ("policy Rules policies/p.yaml:4".to_owned(), "policy Rules policies/p.yaml:4".to_owned()));
    assert_eq!(all[0].1.state, Approval::Approved);
    // Nobody has looked: that is no empty list.
    let why = Approver::new(&planner, Vec::new()).decisions(&set.devices["web-1"], &facts(&[]), &|_| None, at(NOON)).unwrap_err();
    assert_eq!(why, "nobody has looked yet");
}
