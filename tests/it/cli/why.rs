use std::process::Command;

use super::{Ended, Fleet};

fn git(fleet: &Fleet, args: &[&str]) {
    let ok = Command::new("git")
        .args(["-c", "user.name=Kim Example", "-c", "user.email=kim@example.org", "-c", "commit.gpgsign=false"])
        .args(args)
        .current_dir(fleet.dir.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-03-04T10:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-03-04T10:00:00Z")
        .output()
        .unwrap();
    assert!(ok.status.success(), "{}", String::from_utf8_lossy(&ok.stderr));
}

fn observed() -> Fleet {
    let fleet = Fleet::small();
    fleet.write("devices.yaml", "groups:\n  All Servers: {}\n  Web: {parent: All Servers}\ndevices:\n  here:\n    groups: [Web]\n    connection: {transport: local}\n");
    fleet.write("policies/b.yaml", "Base:\n  targets: [All Servers]\n  priority: -1\n  settings:\n    Timezone: Europe/Berlin\nClock:\n  targets: [All Servers]\n  activeHours: \"00:00-24:00\"\n  settings: {Timezone: Mars/Olympus}\n  exceptions:\n    - {device: here, setting: Timezone, until: 2099-12-31, reason: no such planet, approvedBy: kim}\n");
    fleet.rmm(&["collect"]).code(0);
    fleet
}

fn why(fleet: &Fleet, setting: &str) -> Ended {
    fleet.rmm(&["why", "here", setting])
}

#[test]
fn a_verdict_is_followed_from_the_fact_to_the_person_who_wrote_the_line() {
    let fleet = observed();
    git(&fleet, &["init", "--quiet"]);
    git(&fleet, &["add", "policies", "devices.yaml", "rmm.toml"]);
    git(&fleet, &["commit", "--quiet", "-m", "Ask for another planet"]);
    // The columns are for the eye.
    let said =
        why(&fleet, "Timezone").code(0).out.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect::<String>();
    for part in [
        "Timezone held\n",
        "section software.os, collected 20",
        "desired Mars/Olympus",
        "held by exception until 2099-12-31 (no such planet)",
        "policy Clock, priority 0, only reports",
        "policies/b.yaml:9 ",
        ", Kim Example, 2026-03-04: Ask for another planet",
        "in group All Servers, the parent of Web devices.yaml:3",
        "in group Web, which it names devices.yaml:5",
        "Base says Europe/Berlin: has a lower priority, priority -1",
        "exception no such planet until 2099-12-31, approved by kim policies/b.yaml:11",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let json = fleet.rmm(&["why", "here", "Timezone", "--output", "json"]).code(0).json();
    assert_eq!((json["schema"].as_str(), json["settings"][0]["blame"]["author"].as_str()), (Some("rmm.why/1"), Some("Kim Example")));
    assert_eq!(json["settings"][0]["blame"]["commit"].as_str().unwrap().len(), 40);
    fleet.write("policies/b.yaml", &fleet.read("policies/b.yaml").replace("Mars/Olympus", "Mars/Gale"));
    why(&fleet, "Timezone").code(0).says("policies/b.yaml:9  not committed yet");
}

#[test]
fn outside_git_the_line_is_enough() {
    let fleet = observed();
    let said = why(&fleet, "Timezone").code(0).out;
    assert!(said.contains("policies/b.yaml:9\n"), "{said}");
    why(&fleet, "Files").code(0).says("wanted.txt  change").says("carries out").says("policies/a.yaml:7");
}

#[test]
fn what_nobody_sets_is_an_error_that_says_who_does() {
    let fleet = observed();
    why(&fleet, "Timezon").code(3).complains("did you mean 'Timezone'?");
    why(&fleet, "PendingReboot").code(1).complains("RMM0536").complains("no policy of this repository sets it");
    why(&fleet, "Files./etc/motd").code(1).complains("policies/a.yaml");
    fleet.rmm(&["why", "her", "Timezone"]).code(3).complains("did you mean 'here'?");
}
