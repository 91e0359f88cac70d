use super::*;

fn file(content: &str) -> Value {
    use sha2::Digest;
    json!({"type": "file", "mode": "0644", "owner": "root", "group": "root", "size": content.len(), "sha256": hex::encode(sha2::Sha256::digest(content))})
}

#[test]
fn templates_are_filled_in_in_keys_and_values() {
    let set = fleet(
        "policies:\n  P: {targets: [Web], remediate: true, settings: {Files: {'/srv/{{ vars.slot }}.txt': {content: '{{ vars.greeting }} {{ device.hostname }}'}}}}\n",
    );
    let right = facts(&[("files", json!({"/srv/7.txt": file("hello web-1.example.org")}))]);
    assert_eq!(plan(&set, "web-1", &right).compliant, 1);
    let wrong = plan(&set, "web-1", &facts(&[("files", json!({"/srv/7.txt": file("bye")}))]));
    assert_eq!(only(&wrong).label(), "Files./srv/7.txt");
    assert_eq!(only(&wrong).desired, json!({"content": "hello web-1.example.org"}));
}

#[test]
fn what_is_observed_for_a_template_is_what_it_renders_to() {
    let set = fleet("policies:\n  P: {targets: [Web], settings: {Files: {'/srv/{{ vars.slot }}.txt': absent}}}\n");
    let needs = Planner::new(&set, &no_secrets).needs(&set.devices["web-1"], &facts(&[]));
    assert_eq!(needs.probes["files"].iter().collect::<Vec<_>>(), [&vec!["/srv/7.txt".to_owned()]]);
}

#[test]
fn a_variable_that_does_not_exist_makes_the_setting_unknown_and_not_empty() {
    let set = fleet("policies:\n  P: {targets: '*', remediate: true, settings: {Timezone: '{{ vars.zone }}'}}\n");
    let plan = plan(&set, "web-1", &facts(&[]));
    assert_eq!(only(&plan).state, State::Unknown);
    assert!(only(&plan).reason.as_deref().unwrap().starts_with("cannot fill in '{{ vars.zone }}'"), "{:?}", only(&plan).reason);
}

#[test]
fn a_value_that_fits_only_before_it_is_filled_in_is_unknown() {
    let set = with_devices(
        "devices:\n  web-1: {os: linux, vars: {zone: 'no such; zone'}}\n",
        "policies:\n  P: {targets: '*', remediate: true, settings: {Timezone: '{{ vars.zone }}'}}\n",
    );
    let plan = plan(&set, "web-1", &facts(&[]));
    assert_eq!(only(&plan).state, State::Unknown);
    assert!(only(&plan).reason.as_deref().unwrap().starts_with("filled in, "), "{:?}", only(&plan).reason);
}

#[test]
fn devices_with_templates_do_not_share_answers() {
    let set = with_devices(
        "devices:\n  a: {os: linux, vars: {zone: UTC}}\n  b: {os: linux, vars: {zone: Europe/Oslo}}\n",
        "policies:\n  P: {targets: '*', remediate: true, settings: {Timezone: '{{ vars.zone }}'}}\n",
    );
    let planner = Planner::new(&set, &no_secrets);
    let judged = |name: &str| planner.evaluate(&set.devices[name], &facts(&[]), &PlanOptions::default(), at(NOON)).compliant;
    assert_eq!((judged("a"), judged("b"), judged("a")), (1, 0, 1));
}

#[test]
fn an_answer_is_shared_only_by_devices_that_observe_the_same() {
    let set = fleet("policies:\n  P: {targets: '*', remediate: true, settings: {Timezone: Europe/Berlin}}\n");
    let planner = Planner::new(&set, &no_secrets);
    let zone = |zone: &str| facts(&[("software.os", json!({"family": "linux", "timezone": zone}))]);
    let judged = |facts: &Facts| planner.evaluate(&set.devices["web-1"], facts, &PlanOptions::default(), at(NOON)).compliant;
    assert_eq!((judged(&zone("UTC")), judged(&zone("Europe/Berlin")), judged(&zone("UTC"))), (0, 1, 0));
    let nothing = facts(&[("software.os", json!({"family": "linux"}))]);
    assert_eq!(judged(&nothing), 0);
}

const SECRET: &str = "policies:\n  P: {targets: '*', remediate: true, settings: {Files: {/etc/token: {content: {secret: TOKEN}}}}}\n";

#[test]
fn a_secret_is_compared_with_and_never_shown() {
    let set = fleet(SECRET);
    let lookup = |name: &str| (name == "TOKEN").then(|| secrecy::SecretString::from("opensesame"));
    let planner = Planner::new(&set, &lookup);
    let judged = |content: &str| {
        planner.evaluate(
            &set.devices["web-1"],
            &facts(&[("files", json!({"/etc/token": file(content)}))]),
            &PlanOptions::default(),
            at(NOON),
        )
    };
    let (right, wrong) = (judged("opensesame"), judged("another"));
    assert_eq!((right.compliant, right.keep), (1, false));
    assert_eq!(wrong.changes[0].state, State::Change);
    let mut plan = planner.decide(&set.devices["web-1"], wrong, &PlanOptions::default(), at(NOON));
    planner.show_commands(&mut plan, &Arc::new(facts(&[])));
    let text = serde_json::to_string(&plan).unwrap();
    assert!(!text.contains("opensesame") && !text.contains(&hex::encode(<sha2::Sha256 as sha2::Digest>::digest("opensesame"))), "{text}");
    assert!(text.contains("TOKEN"), "{text}");
}

#[test]
fn a_secret_that_is_not_at_hand_makes_the_setting_unknown() {
    let plan = plan(&fleet(SECRET), "web-1", &facts(&[("files", json!({"/etc/token": file("x")}))]));
    assert_eq!((only(&plan).state, only(&plan).reason.as_deref()), (State::Unknown, Some("the secret 'TOKEN' is not at hand")));
}

#[test]
fn the_commands_of_a_change_are_those_of_its_script() {
    let set = fleet("policies:\n  P: {targets: '*', remediate: true, settings: {Timezone: Europe/Berlin}}\n");
    let planner = Planner::new(&set, &no_secrets);
    let mut plan = plan(&set, "web-1", &facts(&[]));
    planner.show_commands(&mut plan, &Arc::new(facts(&[])));
    assert_eq!(only(&plan).commands[0].line, "timedatectl set-timezone Europe/Berlin");
}
