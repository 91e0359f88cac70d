use super::Fleet;

#[test]
fn a_plan_names_the_change_its_line_and_its_command() {
    let fleet = Fleet::small();
    fleet.write("policies/c.yaml", "Checks: {targets: [All Servers], settings: {Packages: {no-such-package: {version: \">=1\"}}}}\n");
    let plan = fleet.rmm(&["plan", "--target", "Files"]).code(0);
    let os = |text: &str| regex_lite::Regex::new(r"(?m)^  here  .*$").unwrap().replace(text, "  here  SYSTEM").into_owned();
    insta::assert_snapshot!(os(&fleet.stable(&plan.out)));
    fleet.rmm(&["plan", "--commands"]).code(0).says("        $ ").says("< 6 bytes on its standard input");
    fleet.rmm(&["plan"]).code(0).says("report only");
    assert!(!fleet.path("wanted.txt").exists());
}

#[test]
fn pending_changes_are_an_exit_code_only_where_asked_for() {
    let fleet = Fleet::small();
    fleet.rmm(&["plan"]).code(0);
    fleet.rmm(&["plan", "--detailed-exitcode"]).code(2);
    fleet.rmm(&["apply", "--auto-approve"]).code(0);
    fleet.rmm(&["plan", "--detailed-exitcode"]).code(0).says("nothing to do");
}

#[test]
fn programs_get_the_plan_in_their_form() {
    let fleet = Fleet::small();
    let json = fleet.rmm(&["plan", "--output", "json"]).code(0).json();
    assert_eq!(json["schema"], "rmm.plan/1");
    assert_eq!(json["devices"][0]["changes"][0]["state"], "change");
    let yaml: serde_json::Value = serde_yaml::from_str(&fleet.rmm(&["plan", "--output", "yaml"]).code(0).out).unwrap();
    assert_eq!(yaml["schema"], "rmm.plan/1");
    assert_eq!(fleet.rmm(&["plan", "--output", "jsonl"]).code(0).out.lines().count(), 2);
    assert_eq!(fleet.rmm(&["plan", "--output", "csv"]).code(0).out.lines().count(), 2);
}

#[test]
fn a_plan_that_cannot_be_saved_is_an_error() {
    let fleet = Fleet::small();
    fleet.rmm(&["plan", "--out", "no/such/folder/x.plan"]).code(1).complains("x.plan");
}

#[test]
fn a_fleet_that_was_never_observed_is_a_few_lines() {
    let fleet = Fleet::small();
    let devices: String = (1..=40).map(|n| format!("  web-{n}: {{groups: [All Servers], os: linux}}\n")).collect();
    fleet.write("devices/web.yaml", &format!("devices:\n{devices}"));
    fleet.write("policies/d.yaml", "D: {targets: [All Servers], settings: {PasswordMaxAge: 9, PasswordMinAge: 1, PasswordMinLength: 8}}\n");
    let plan = fleet.rmm(&["plan", "--refresh", "never"]).code(0).says("41 devices").says("and 36 more");
    assert!(plan.out.lines().count() < 10, "{}", plan.out);
    let verbose = fleet.rmm(&["plan", "--refresh", "never", "-v"]).code(0);
    assert!(verbose.out.lines().count() > 120, "{}", verbose.out);
}

#[test]
fn evidence_that_was_seen_again_is_as_old_as_the_last_look() {
    let fleet = Fleet::small();
    let age = |fleet: &Fleet| -> chrono::DateTime<chrono::Utc> {
        let out = fleet.rmm(&["plan", "--refresh", "always", "--output", "json"]).out;
        let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
        plan["devices"][0]["factsAt"].as_str().unwrap().parse().unwrap()
    };
    let first = age(&fleet);
    assert!(age(&fleet) > first, "nothing changed, and yet it was looked at again");
}
