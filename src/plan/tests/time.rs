use super::*;

fn held_until(plan: &DevicePlan) -> (String, Option<DateTime<Utc>>) {
    let held = only(plan).held.clone().unwrap_or_else(|| panic!("{:?}", states(plan)));
    assert_eq!(only(plan).state, State::Held);
    (held.by, held.until)
}

fn default_plan(set: &PolicySet, time: &str) -> DevicePlan {
    plan_at(set, "web-1", &facts(&[]), time, &PlanOptions::default())
}

#[test]
fn an_exception_holds_until_its_last_day_is_over_where_the_policy_lives() {
    let set = fleet(
        "policies:
  Clock:
    targets: '*'
    remediate: true
    timezone: America/New_York
    activeHours: '00:00-24:00'
    settings: {Timezone: Europe/Berlin}
    exceptions: [{device: web-1, setting: Timezone, until: 2026-11-21, reason: moving}]
",
    );
    // Midnight in New York is five hours after midnight in UTC.
    let end = at("2026-11-22T05:00:00Z");
    assert_eq!(held_until(&default_plan(&set, "2026-11-22T04:59:59Z")), ("exception".into(), Some(end)));
    assert_eq!(states(&default_plan(&set, "2026-11-22T05:00:00Z")), ["Timezone change"]);
}

#[test]
fn an_exception_is_for_its_device_and_setting_alone() {
    let set = fleet(
        "policies:
  P:
    targets: '*'
    remediate: true
    settings: {Timezone: Europe/Berlin, Packages: {curl: present, rsync: present}}
    exceptions: [{device: web-1, setting: Packages.curl, reason: broken}]
",
    );
    let facts = facts(&[("software.packages", json!({}))]);
    assert_eq!(states(&plan(&set, "web-1", &facts)), ["Packages.curl held", "Packages.rsync change", "Timezone change"]);
    assert_eq!(states(&plan(&set, "db-1", &facts)), ["Packages.curl change", "Packages.rsync change", "Timezone change"]);
}

#[test]
fn an_exception_covers_what_is_only_reported_too() {
    let set = fleet("policies:\n  P: {targets: '*', settings: {Timezone: Europe/Berlin}, exceptions: [{device: web-1, reason: moving}]}\n");
    assert_eq!(held_until(&default_plan(&set, NOON)), ("exception".into(), None));
}

#[test]
fn outside_the_active_hours_changes_wait_for_their_beginning() {
    let set = fleet(
        "policies:\n  P: {targets: '*', remediate: true, activeHours: '20:00-06:00', timezone: Europe/Berlin, settings: {Timezone: Europe/Berlin}}\n",
    );
    let plan = default_plan(&set, NOON);
    assert_eq!(held_until(&plan), ("activeHours".into(), Some(at("2026-11-21T19:00:00Z"))));
    assert_eq!(only(&plan).held.as_ref().unwrap().reason, "active hours until 20:00 (Europe/Berlin)");
    assert_eq!(states(&default_plan(&set, "2026-11-21T19:00:00Z")), ["Timezone change"]);
    assert_eq!(states(&default_plan(&set, "2026-11-22T04:59:59Z")), ["Timezone change"]);
    assert_eq!(states(&default_plan(&set, "2026-11-22T05:00:00Z")), ["Timezone held"]);
}

const GUARDED: &str = "policies:
  Office:
    targets: [Servers]
    settings: {AllowUpdates: false}
    activeHours: '06:00-22:00'
    timezone: America/New_York
  P: {targets: '*', remediate: true, settings: {Timezone: Europe/Berlin, Packages: {curl: present}}}
";

#[test]
fn a_guard_holds_what_it_forbids_and_nothing_else() {
    let facts = facts(&[("software.packages", json!({}))]);
    let plan = plan_at(&fleet(GUARDED), "web-1", &facts, NOON, &PlanOptions::default());
    assert_eq!(states(&plan), ["Packages.curl held", "Timezone change"]);
    let held = plan.changes[0].held.clone().unwrap();
    assert_eq!((&*held.by, held.until), ("Office", Some(at("2026-11-22T03:00:00Z"))));
    assert_eq!(held.reason, "Office until 22:00 (America/New_York)");
}

#[test]
fn a_guard_rests_outside_its_hours_and_elsewhere() {
    let facts = facts(&[("software.packages", json!({}))]);
    let night = plan_at(&fleet(GUARDED), "web-1", &facts, "2026-11-22T03:00:00Z", &PlanOptions::default());
    assert_eq!(states(&night), ["Packages.curl change", "Timezone change"]);
    assert_eq!(states(&plan(&fleet(GUARDED), "laptop-1", &facts)), ["Packages.curl change", "Timezone change"]);
}

#[test]
fn a_change_that_needs_approval_waits_unless_the_person_approves() {
    let set = fleet("policies:\n  P: {targets: '*', remediate: approve, settings: {Timezone: Europe/Berlin}}\n");
    assert_eq!(held_until(&default_plan(&set, NOON)), ("approval".into(), None));
    let approved = PlanOptions { approve: true, ..PlanOptions::default() };
    assert_eq!(states(&plan_at(&set, "web-1", &facts(&[]), NOON, &approved)), ["Timezone change"]);
}

#[test]
fn kept_verdicts_are_decided_anew_at_another_time() {
    let set = fleet(GUARDED);
    let planner = Planner::new(&set, &no_secrets);
    let (device, options) = (&set.devices["web-1"], PlanOptions::default());
    let evaluated = planner.evaluate(device, &facts(&[("software.packages", json!({}))]), &options, at(NOON));
    let kept: crate::plan::Evaluated = serde_json::from_slice(&serde_json::to_vec(&evaluated).unwrap()).unwrap();
    assert_eq!(kept, evaluated);
    let night = at("2026-11-22T03:00:00Z");
    assert_eq!(states(&planner.decide(device, kept, &options, night)), ["Packages.curl change", "Timezone change"]);
}

const RESTART: &str = "policies:
  P:
    targets: '*'
    remediate: true
    settings:
      Files: {/etc/app.conf: {mode: '0600'}}
      Services: {app: {state: running, restartOn: [Files./etc/app.conf]}}
";

fn app(mode: &str) -> Facts {
    facts(&[
        ("files", json!({"/etc/app.conf": {"type": "file", "mode": mode, "owner": "root", "group": "root", "size": 1}})),
        ("software.services", json!({"app": {"state": "running", "startup": "enabled"}})),
    ])
}

#[test]
fn a_service_is_restarted_after_what_it_depends_on_has_changed() {
    let plan = plan(&fleet(RESTART), "web-1", &app("0644"));
    assert_eq!(states(&plan), ["Files./etc/app.conf change", "Services.app change"]);
    assert_eq!((plan.changes[1].restart, plan.compliant), (true, 0));
    assert_eq!(plan.changes[1].reason.as_deref(), Some("restart after Files./etc/app.conf"));
}

#[test]
fn a_service_is_left_alone_where_nothing_that_it_depends_on_changes() {
    let plan = plan(&fleet(RESTART), "web-1", &app("0600"));
    assert_eq!((states(&plan), plan.compliant), (vec![], 2));
}

#[test]
fn a_service_is_not_restarted_where_its_cause_is_held() {
    let set = fleet(&(RESTART.to_owned() + "    exceptions: [{device: web-1, setting: Files, reason: frozen}]\n"));
    let plan = plan(&set, "web-1", &app("0644"));
    assert_eq!((states(&plan), plan.compliant), (vec!["Files./etc/app.conf held".to_owned()], 1));
}
