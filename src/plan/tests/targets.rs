use super::*;
use crate::plan::Targeting;

#[test]
fn the_higher_priority_wins() {
    let set = fleet(
        "policies:\n  Low: {targets: '*', priority: 1, settings: {Timezone: Europe/Berlin}}\n  High: {targets: [Web], priority: 2, settings: {Timezone: UTC}}\n",
    );
    assert_eq!(plan(&set, "web-1", &facts(&[])).compliant, 1);
    assert_eq!(states(&plan(&set, "db-1", &facts(&[]))), ["Timezone report"]);
}

#[test]
fn a_higher_priority_ends_a_conflict_below_it() {
    let set = fleet(
        "policies:\n  A: {targets: '*', settings: {Timezone: Europe/Berlin}}\n  B: {targets: '*', settings: {Timezone: Europe/Oslo}}\n  C: {targets: '*', priority: 5, settings: {Timezone: UTC}}\n",
    );
    assert_eq!(plan(&set, "web-1", &facts(&[])).compliant, 1);
}

#[test]
fn keys_of_a_map_are_won_one_by_one() {
    let set = fleet(
        "policies:\n  Low: {targets: '*', settings: {Packages: {curl: present, telnet: present}}}\n  High: {targets: '*', priority: 9, settings: {Packages: {telnet: absent}}}\n",
    );
    let plan = plan(&set, "web-1", &facts(&[("software.packages", json!({"telnet": "1"}))]));
    assert_eq!(states(&plan), ["Packages.curl report", "Packages.telnet report"]);
    assert_eq!(&*plan.changes[1].policy, "High");
}

#[test]
fn a_group_means_its_children_too() {
    let set = fleet("policies:\n  P: {targets: [Servers], settings: {Timezone: Europe/Berlin}}\n");
    let reached = |device: &str| states(&plan(&set, device, &facts(&[]))).len();
    assert_eq!((reached("web-1"), reached("db-1"), reached("laptop-1")), (1, 1, 0));
}

#[test]
fn an_exclusion_wins_over_a_target() {
    let set = fleet("policies:\n  P: {targets: '*', exclude: [{tag: lab}], settings: {Timezone: Europe/Berlin}}\n");
    assert_eq!(states(&plan(&set, "web-1", &facts(&[]))), Vec::<String>::new());
    assert_eq!(states(&plan(&set, "db-1", &facts(&[]))), ["Timezone report"]);
}

const SMALL: &str = "policies:\n  P: {targets: [Small], remediate: true, settings: {Timezone: Europe/Berlin}}\n";

#[test]
fn a_rule_over_facts_decides_where_the_fact_is_known() {
    let set = fleet(SMALL);
    let gb = |gb: f64| facts(&[("hardware.memory", json!({"total_gb": gb}))]);
    assert_eq!(states(&plan(&set, "web-1", &gb(4.0))), ["Timezone change"]);
    assert_eq!(states(&plan(&set, "web-1", &gb(16.0))), Vec::<String>::new());
}

#[test]
fn a_rule_over_a_fact_that_is_not_known_makes_the_settings_unknown_not_absent() {
    let set = fleet(SMALL);
    let plan = plan(&set, "web-1", &facts(&[]));
    assert_eq!(only(&plan).state, State::Unknown);
    assert!(only(&plan).reason.as_deref().unwrap().starts_with("not known to be for this device: "));
}

#[test]
fn what_another_policy_decides_is_not_unknown_because_of_an_uncertain_one() {
    let set = fleet(&(SMALL.to_owned() + "  Q: {targets: '*', settings: {Timezone: UTC}}\n"));
    let plan = plan(&set, "web-1", &facts(&[]));
    assert_eq!((plan.compliant, states(&plan)), (1, vec![]));
}

#[test]
fn what_an_uncertain_policy_needs_is_observed_all_the_same() {
    let set = fleet("policies:\n  P: {targets: [Small], settings: {Sysctl: {vm.swappiness: 10}}}\n");
    let planner = Planner::new(&set, &no_secrets);
    let needs = planner.needs(&set.devices["web-1"], &facts(&[]));
    assert!(needs.probes["sysctl"].contains(&vec!["vm.swappiness".to_owned()]));
}

#[test]
fn the_sections_that_are_read_are_those_that_matter() {
    let set = fleet("policies:\n  P: {targets: [Small], settings: {SshdConfig: {Port: 22}, Sysctl: {vm.swappiness: 10}}}\n");
    assert_eq!(Planner::new(&set, &no_secrets).sections(), ["hardware.memory", "security.sshd", "software.os", "sysctl"]);
}

#[test]
fn a_scope_means_what_it_selects() {
    let set = fleet(SMALL);
    let planner = Planner::new(&set, &no_secrets);
    let means = |selector: &str, facts: &Facts| {
        let scope = Scope::parse(&set, &[selector.to_owned()], &[]).unwrap();
        planner.scope(&scope).means(&set.devices["web-1"], facts)
    };
    assert_eq!(means("Servers", &facts(&[])), Targeting::Yes);
    assert_eq!(means("db-1", &facts(&[])), Targeting::No);
    assert_eq!(means("tag=lab,os=linux", &facts(&[])), Targeting::Yes);
    assert!(matches!(means("where=facts.hardware.memory.total_gb < 8", &facts(&[])), Targeting::Unknown(_)));
}

#[test]
fn only_the_members_that_policies_ask_for_are_read() {
    let set = fleet(
        "policies:
  P:
    targets: [Servers]
    settings:
      Packages: {curl: present}
      SshdConfig: {PermitRootLogin: 'no'}
      Firewall: Enabled
      Timezone: UTC
      Services: {'{{ vars.slot }}': {state: running}}
",
    );
    let members = Planner::new(&set, &no_secrets).members();
    let read: Vec<(&str, Vec<&str>)> = members.iter().map(|(s, m)| (&**s, m.iter().map(String::as_str).collect())).collect();
    // What is looked at as a whole, tells the platform, or depends on a template is read whole.
    assert_eq!(read, [("security.sshd", vec!["permitrootlogin"]), ("software.packages", vec!["curl"])]);
}

#[test]
fn a_script_that_judges_the_device_sees_more_than_the_members() {
    let set = fleet("policies:\n  P: {targets: '*', remediate: true, settings: {SshdConfig: {PermitRootLogin: 'no'}}}\n");
    let planner = Planner::new(&set, &no_secrets);
    let judged = |members: Value, whole: Value| {
        let whole = facts(&[("security.sshd", whole)]);
        let ask = || Some(whole.clone());
        let facts = facts(&[("security.sshd", members)]);
        planner.evaluate_members(&set.devices["web-1"], &facts, &ask, &PlanOptions::default(), at(NOON)).changes[0].state
    };
    // Without a single option there is no SSH server at all; with another one there is.
    assert_eq!(judged(json!({}), json!({"port": "22"})), State::Change);
    assert_eq!(judged(json!({}), json!({})), State::Unsupported);
}
