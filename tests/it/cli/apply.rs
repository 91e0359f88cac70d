use super::Fleet;

#[test]
fn what_was_planned_is_carried_out_once() {
    let fleet = Fleet::small();
    let done = fleet.rmm(&["apply", "--auto-approve"]).code(0).says("Apply: 1 done.").complains("done         here  Files.");
    assert!(done.out.contains("Plan: 1 change on 1 device"), "{}", done.out);
    assert_eq!(fleet.read("wanted.txt"), "hello\n");
    fleet.rmm(&["apply", "--auto-approve"]).code(0).says("nothing to do");
}

#[test]
fn without_a_terminal_nothing_is_done_unless_told() {
    let fleet = Fleet::small();
    fleet.rmm(&["apply"]).code(6).complains("carry out 1 change on 1 device").complains("--auto-approve");
    assert!(!fleet.path("wanted.txt").exists());
}

#[test]
fn a_saved_plan_is_carried_out_exactly_or_refused_as_stale() {
    let fleet = Fleet::small();
    fleet.rmm(&["plan", "--out", "friday.plan"]).code(0).complains("rmm apply friday.plan");
    let policy = fleet.read("policies/a.yaml");
    fleet.write("policies/a.yaml", &policy.replace("0640", "0600"));
    fleet.rmm(&["apply", "friday.plan", "--auto-approve"]).code(7).complains("RMM0301");
    assert!(!fleet.path("wanted.txt").exists());
    fleet.write("policies/a.yaml", &policy);
    fleet.rmm(&["apply", "friday.plan", "--auto-approve"]).code(0).says("1 done");
    fleet.rmm(&["apply", "rmm.toml"]).code(1).complains("is not a saved plan");
}

#[test]
fn a_limit_refuses_the_whole_run() {
    let fleet = Fleet::small();
    fleet.rmm(&["apply", "--auto-approve", "--max-devices", "0"]).code(6);
    fleet.rmm(&["apply", "--auto-approve", "--stage", "Nobody"]).code(6).complains("Nobody");
    assert!(!fleet.path("wanted.txt").exists());
}

#[test]
fn a_change_that_fails_is_exit_code_8_and_said() {
    let fleet = Fleet::small();
    let policy = fleet.read("policies/a.yaml").replace("wanted.txt", "rmm.toml/wanted.txt");
    fleet.write("policies/a.yaml", &policy);
    fleet.rmm(&["apply", "--auto-approve"]).code(8).says("1 failed and rolled back").complains("rolled back  here");
}

#[test]
fn events_are_one_json_document_a_line() {
    let fleet = Fleet::small();
    let events = fleet.rmm(&["apply", "--auto-approve", "--output", "jsonl"]).code(0).out;
    let lines: Vec<serde_json::Value> = events.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines[0]["schema"].as_str().unwrap().starts_with("rmm."), "{events}");
    assert_eq!(lines.last().unwrap()["event"], "finished");
}

#[test]
fn only_an_unfinished_run_can_be_resumed() {
    let fleet = Fleet::small();
    fleet.rmm(&["apply", "--resume", "last"]).code(6).complains("no run is unfinished");
    fleet.rmm(&["apply", "--resume", "r-1"]).code(6).complains("there is no such run");
    fleet.rmm(&["apply", "--resume", "last", "here"]).code(3);
}
