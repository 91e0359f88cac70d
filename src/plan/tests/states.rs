use super::*;

const TIMEZONE: &str = "policies:\n  Clock:\n    targets: '*'\n    remediate: true\n    settings: {Timezone: Europe/Berlin}\n";

#[test]
fn what_is_as_desired_is_counted_and_not_listed() {
    let facts = facts(&[("software.os", json!({"family": "linux", "timezone": "Europe/Berlin"}))]);
    let plan = plan(&fleet(TIMEZONE), "web-1", &facts);
    assert_eq!((plan.compliant, states(&plan)), (1, vec![]));
}

#[test]
fn what_is_as_desired_is_listed_on_request() {
    let facts = facts(&[("software.os", json!({"family": "linux", "timezone": "Europe/Berlin"}))]);
    let options = PlanOptions { compliant: true, ..PlanOptions::default() };
    let plan = plan_at(&fleet(TIMEZONE), "web-1", &facts, NOON, &options);
    assert_eq!((plan.compliant, only(&plan).state), (1, State::Compliant));
}

#[test]
fn a_difference_is_a_change_that_names_its_line_and_both_values() {
    let plan = plan(&fleet(TIMEZONE), "web-1", &facts(&[]));
    let change = only(&plan);
    assert_eq!((change.state, &*change.from, &*change.to), (State::Change, "UTC", "Europe/Berlin"));
    assert_eq!((&*change.policy, change.place.to_string().as_str()), ("Clock", "policies/p.yaml:5"));
    assert_eq!(change.observed, json!("UTC"));
    assert_eq!(change.observed_at, Some(at("2026-11-21T11:00:00Z")));
}

#[test]
fn a_policy_that_does_not_remediate_only_reports() {
    let set = fleet("policies:\n  Clock: {targets: '*', settings: {Timezone: Europe/Berlin}}\n");
    assert_eq!(states(&plan(&set, "web-1", &facts(&[]))), ["Timezone report"]);
}

#[test]
fn a_setting_that_cannot_change_anything_only_reports() {
    let set = fleet("policies:\n  Disks: {targets: '*', remediate: true, settings: {DiskEncryption: Required}}\n");
    let facts = facts(&[("security.disk_encryption", json!({"root_encrypted": false, "volumes": []}))]);
    assert_eq!(states(&plan(&set, "web-1", &facts)), ["DiskEncryption report"]);
}

#[test]
fn what_was_never_observed_is_unknown() {
    let set = fleet("policies:\n  Ssh: {targets: '*', settings: {SshdConfig: {PermitRootLogin: 'no'}}}\n");
    let plan = plan(&set, "web-1", &facts(&[]));
    assert_eq!(only(&plan).state, State::Unknown);
    assert_eq!(only(&plan).reason.as_deref(), Some("not collected yet"));
}

#[test]
fn a_device_that_was_never_collected_is_unknown_as_a_whole() {
    let plan = plan(&fleet(TIMEZONE), "laptop-1", &Facts::default());
    assert_eq!((only(&plan).state, only(&plan).reason.as_deref()), (State::Unknown, Some("never collected")));
    assert_eq!(plan.facts_at, None);
}

#[test]
fn what_could_not_be_observed_is_unknown_and_says_why() {
    let mut facts = facts(&[]);
    failed(&mut facts, "security.firewall", Status::Unknown("needs root".into()));
    let set = fleet("policies:\n  Wall: {targets: '*', remediate: true, settings: {Firewall: Enabled}}\n");
    let plan = plan(&set, "web-1", &facts);
    assert_eq!((only(&plan).state, only(&plan).reason.as_deref()), (State::Unknown, Some("needs root")));
}

#[test]
fn what_the_device_does_not_have_is_unsupported() {
    let mut facts = facts(&[]);
    failed(&mut facts, "security.firewall", Status::Unsupported("no firewall at all".into()));
    let set = fleet("policies:\n  Wall: {targets: '*', remediate: true, settings: {Firewall: Enabled}}\n");
    let plan = plan(&set, "web-1", &facts);
    assert_eq!((only(&plan).state, only(&plan).reason.as_deref()), (State::Unsupported, Some("no firewall at all")));
}

#[test]
fn a_setting_of_another_platform_is_unsupported() {
    let mac = facts(&[("software.os", json!({"family": "macos", "timezone": "UTC"}))]);
    let plan = plan(&fleet(TIMEZONE), "web-1", &mac);
    assert_eq!((only(&plan).state, only(&plan).reason.as_deref()), (State::Unsupported, Some("does not exist on macos")));
}

#[test]
fn a_script_says_itself_where_it_has_no_means() {
    let set = fleet("policies:\n  Wall: {targets: '*', remediate: true, settings: {Firewall: Enabled}}\n");
    let facts = facts(&[("security.firewall", json!({"enabled": false, "backend": "pf"}))]);
    let plan = plan(&set, "web-1", &facts);
    assert_eq!(only(&plan).state, State::Unsupported);
    assert_eq!(only(&plan).reason.as_deref(), Some("no firewall that is known is installed"));
}

#[test]
fn an_observation_that_is_too_old_is_no_evidence_and_not_kept() {
    let set = fleet(TIMEZONE);
    let planner = Planner::new(&set, &no_secrets);
    // Twice the inventory interval of a day later.
    let later = at("2026-11-23T11:00:01Z");
    let evaluated = planner.evaluate(&set.devices["web-1"], &facts(&[]), &PlanOptions::default(), later);
    assert!(!evaluated.keep);
    assert_eq!(evaluated.changes[0].state, State::Unknown);
    assert_eq!(evaluated.changes[0].reason.as_deref(), Some("observed too long ago, 2026-11-21 11:00 UTC"));
}

#[test]
fn a_single_probe_that_failed_is_unknown_alone() {
    let set = fleet(
        "policies:\n  Kernel: {targets: '*', remediate: true, settings: {Sysctl: {net.ipv4.ip_forward: 0, kernel.kptr_restrict: 2}}}\n",
    );
    let facts = facts(&[(
        "sysctl",
        json!({"net.ipv4.ip_forward": {"error": "permission denied"}, "kernel.kptr_restrict": {"runtime": "1", "configured": "1"}}),
    )]);
    let plan = plan(&set, "web-1", &facts);
    assert_eq!(states(&plan), ["Sysctl.kernel.kptr_restrict change", "Sysctl.net.ipv4.ip_forward unknown"]);
}

#[test]
fn a_probe_that_was_not_asked_yet_is_not_taken_for_absence() {
    let set = fleet("policies:\n  Motd: {targets: '*', remediate: true, settings: {Files: {/etc/motd: absent}}}\n");
    let plan = plan(&set, "web-1", &facts(&[("files", json!({}))]));
    assert_eq!((only(&plan).state, only(&plan).reason.as_deref()), (State::Unknown, Some("not collected yet")));
}

#[test]
fn equal_priorities_that_disagree_are_a_conflict_that_names_both() {
    let set = fleet(
        "policies:\n  A: {targets: '*', remediate: true, settings: {Timezone: Europe/Berlin}}\n  B: {targets: [Web], remediate: true, settings: {Timezone: Europe/Oslo}}\n",
    );
    let plan = plan(&set, "web-1", &facts(&[]));
    let change = only(&plan);
    assert_eq!((change.state, &*change.policy), (State::Conflict, "A"));
    assert_eq!(change.other.as_ref().map(|(name, _)| &**name), Some("B"));
    assert_eq!((&*change.from, &*change.to), ("Europe/Berlin", "Europe/Oslo"));
}

#[test]
fn equal_priorities_that_agree_are_no_conflict() {
    let set = fleet("policies:\n  A: {targets: '*', settings: {Timezone: UTC}}\n  B: {targets: [Web], settings: {Timezone: UTC}}\n");
    assert_eq!(plan(&set, "web-1", &facts(&[])).compliant, 1);
}

#[test]
fn verdicts_that_hang_on_facts_that_change_all_the_time_are_not_kept() {
    let keep = |target: &str| {
        let set = fleet(&format!("policies:\n  P: {{targets: [{target}], settings: {{Timezone: UTC}}}}\n"));
        let planner = Planner::new(&set, &no_secrets);
        planner.evaluate(&set.devices["web-1"], &facts(&[]), &PlanOptions::default(), at(NOON)).keep
    };
    assert!(keep("'*'"));
    assert!(keep("{where: 'facts.network.dns.servers.is_empty()'}"));
    for target in [
        "{where: 'facts.performance.cpu.load_1 > 4'}",
        "{where: 'facts.performance[\"cpu\"].load_1 > 4'}",
        "{where: 'facts.network.connections.is_empty()'}",
        "{where: 'facts[\"performance\"].cpu.load_1 > 4'}",
    ] {
        assert!(!keep(target), "{target}");
    }
}
