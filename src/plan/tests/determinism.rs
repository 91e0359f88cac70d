use super::*;

const POLICIES: &str = "policies:
  Clock: {targets: '*', remediate: true, settings: {Timezone: Europe/Berlin}}
  Ssh: {targets: [Servers], remediate: approve, settings: {SshdConfig: {PermitRootLogin: 'no', MaxAuthTries: 4}}}
  Kernel: {targets: [Small], settings: {Sysctl: {vm.swappiness: 10}}}
  Software: {targets: '*', remediate: true, activeHours: '20:00-06:00', settings: {Packages: {curl: present, telnet: absent}}}
";

fn whole(set: &PolicySet, devices: &[&str]) -> String {
    let planner = Planner::new(set, &no_secrets);
    let facts = facts(&[("security.sshd", json!({"permitrootlogin": "yes"})), ("software.packages", json!({"telnet": "1"}))]);
    let options = PlanOptions::default();
    let one = |name: &&str| {
        let device = &set.devices[*name];
        planner.decide(device, planner.evaluate(device, &facts, &options, at(NOON)), &options, at(NOON))
    };
    let plan = planner.assemble(devices.iter().map(one).collect(), &Scope::default(), at(NOON));
    serde_json::to_string(&plan).unwrap()
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let first = whole(&fleet(POLICIES), &["web-1", "db-1", "laptop-1"]);
    assert!(first.contains("\"state\":\"held\"") && first.contains("\"state\":\"unknown\""), "{first}");
    for _ in 0..5 {
        assert_eq!(whole(&fleet(POLICIES), &["web-1", "db-1", "laptop-1"]), first);
    }
}

#[test]
fn the_order_in_which_devices_are_judged_does_not_show() {
    let set = fleet(POLICIES);
    assert_eq!(whole(&set, &["laptop-1", "web-1", "db-1"]), whole(&set, &["db-1", "laptop-1", "web-1"]));
}

#[test]
fn changes_stand_in_the_order_of_carrying_out() {
    let set = fleet(POLICIES);
    let plan = plan(&set, "web-1", &facts(&[("security.sshd", json!({})), ("software.packages", json!({"telnet": "1"}))]));
    let phases: Vec<_> = plan.changes.iter().map(|c| c.phase).collect();
    assert!(phases.is_sorted(), "{:?}", states(&plan));
    assert!(plan.changes.len() >= 5);
}

#[test]
fn a_plan_that_is_limited_to_a_setting_shows_no_other() {
    let set = fleet(POLICIES);
    let planner = Planner::new(&set, &no_secrets);
    let scope = Scope::parse(&set, &[], &["Timezone".to_owned()]).unwrap();
    let whole = planner.assemble(vec![plan(&set, "web-1", &facts(&[]))], &scope, at(NOON));
    assert_eq!(states(&whole.devices[0]), ["Timezone change"]);
    assert_eq!(whole.scope.as_deref(), Some("only Timezone"));
    assert_eq!(whole.summary.count(State::Change), 1);
}
