//! Steps: order, conditions, failures, rollback, workflows within workflows.

use super::*;

#[tokio::test]
async fn steps_follow_each_other_on_all_of_their_devices_and_each_effect_happens_once() {
    let (one, two) = (count("one", "All"), count("two", "First"));
    let house = House::new(3, &format!("W:\n  steps:\n    - {{name: One, {one}}}\n    - {{name: Two, {two}}}\n"));
    let run = house.by_hand("W");
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!(house.log("d1"), ["one", "two"]);
    assert_eq!((house.log("d2"), house.log("d3")), (vec!["one".to_owned()], vec!["one".to_owned()]));
    assert_eq!(house.result(&run, 0)["succeeded"], 3);
    assert_eq!(house.result(&run, 1)["word"], "two", "what the action of one device returned is seen by later steps");
    let printed = house.store.jobs(&JobFilter { printed: Some("did two".into()), ..JobFilter::default() }).unwrap();
    assert_eq!(printed.len(), 1, "what commands printed can be searched");
    assert_eq!(house.store.leases().unwrap(), []);
    assert!(house.store.audit_verify(None).unwrap().is_ok());
}

#[tokio::test]
async fn a_condition_decides_by_what_the_steps_before_have_come_to() {
    let (one, two, three) = (count("one", "All"), count("two", "All"), count("three", "All"));
    let house = House::new(
        2,
        &format!(
            "W:\n  steps:\n    - {{name: One, {one}}}\n    - {{name: Two, {two}, when: 'steps.One.succeeded > 2'}}\n    - {{name: Three, {three}, when: 'steps.One.ok && steps.Two.state == \"skipped\"'}}\n"
        ),
    );
    let run = house.by_hand("W");
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!(house.states(&run), [StepState::Succeeded, StepState::Skipped, StepState::Succeeded]);
    assert_eq!(house.log("d1"), ["one", "three"]);
}

#[tokio::test]
async fn a_failed_device_fails_its_step_and_nothing_further_begins() {
    let (one, two) = (count("one", "All"), count("two", "All"));
    let house = House::new(4, &format!("W:\n  steps:\n    - {{name: One, {one}, maxParallel: 1}}\n    - {{name: Two, {two}}}\n"));
    std::fs::write(house.path("d2/fail"), "").unwrap();
    let run = house.by_hand("W");
    ended(&house.to_the_end(&run).await, WorkflowState::Failed, "One: 1 of 4 devices failed");
    assert_eq!(house.states(&run), [StepState::Failed, StepState::Cancelled]);
    let states: Vec<JobState> = house.jobs(&run).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [JobState::Succeeded, JobState::Failed, JobState::Cancelled, JobState::Cancelled]);
    assert_eq!(house.log("d3"), Vec::<String>::new(), "what was cancelled never runs");
}

#[tokio::test]
async fn so_many_may_fail_and_the_run_goes_on() {
    let (one, two) = (count("one", "All"), count("two", "First"));
    let house = House::new(4, &format!("W:\n  steps:\n    - {{name: One, {one}, maxFailures: 25%}}\n    - {{name: Two, {two}}}\n"));
    std::fs::write(house.path("d2/fail"), "").unwrap();
    let run = house.by_hand("W");
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!(house.result(&run, 0)["failedDevices"], serde_json::json!(["d2"]));
}

#[tokio::test]
async fn what_was_done_is_undone_in_reverse_order() {
    let (one, two, three) = (count("one", "All"), count("two", "First"), count("three", "All"));
    let house = House::new(
        2,
        &format!(
            "W:\n  steps:\n    - {{name: One, {one}}}\n    - {{name: Two, {two}}}\n    - {{name: Three, {three}, onFailure: rollback-and-notify, when: 'true'}}\n"
        ),
    );
    let run = house.by_hand("W");
    // The third step fails on d2, and is not begun on d1 before that is known.
    let events = house
        .drive(Which::One(run.clone()), |event| {
            if matches!(event, Event::Step { step: 1, state: StepState::Succeeded, .. }) {
                std::fs::write(house.path("d2/fail"), "").unwrap();
            }
            false
        })
        .await;
    let run_row = house.store.workflow_run(&run).unwrap().unwrap();
    ended(&run_row, WorkflowState::Failed, "Three: 1 of 2 devices failed");
    assert!(run_row.error.as_deref().unwrap().contains(" undone"), "{run_row:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Run { state: WorkflowState::Undoing, .. })));
    let log = house.log("d1");
    let undone: Vec<&str> = log.iter().map(String::as_str).filter(|line| line.starts_with("undid")).collect();
    let expected: &[&str] =
        if log.contains(&"three".to_owned()) { &["undid three", "undid two", "undid one"] } else { &["undid two", "undid one"] };
    assert_eq!(undone, expected);
    assert_eq!(house.log("d2"), ["one", "undid one"]);
    let alerts = house.store.open_alerts().unwrap();
    assert_eq!(alerts.len(), 1, "the administrators are told: {alerts:#?}");
    assert_eq!(&*alerts[0].key.kind, "WorkflowFailed");
}

#[tokio::test]
async fn a_failure_may_be_let_pass_or_start_another_workflow() {
    let (one, two) = (count("one", "First"), count("two", "All"));
    let house = House::new(
        2,
        &format!(
            "W:\n  steps:\n    - {{name: One, {one}, onFailure: continue}}\n    - {{name: Two, {two}, onFailure: 'run: V'}}\nV:\n  steps:\n    - {{name: Mend, action: Count, on: {{device: d2}}, with: {{dir: '{{{{ vars.dir }}}}', word: mended}}}}\n"
        ),
    );
    std::fs::write(house.path("d1/fail"), "").unwrap();
    let run = house.by_hand("W");
    ended(&house.to_the_end(&run).await, WorkflowState::Failed, "Two:");
    assert_eq!(house.states(&run), [StepState::Failed, StepState::Failed]);
    let started = house.store.runs_to_drive().unwrap();
    assert_eq!(started.len(), 1, "{started:?}");
    ended(&house.to_the_end(&started[0]).await, WorkflowState::Succeeded, "");
    assert_eq!(house.log("d2").last().map(String::as_str), Some("mended"));
}

#[tokio::test]
async fn a_step_can_be_a_workflow_and_waits_for_it() {
    let (one, two) = (count("inner", "All"), count("outer", "All"));
    let house = House::new(
        2,
        &format!(
            "W:\n  steps:\n    - {{name: Inner, workflow: V}}\n    - {{name: Outer, {two}}}\nV:\n  steps:\n    - {{name: One, {one}}}\n"
        ),
    );
    let run = house.by_hand("W");
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!(house.log("d2"), ["inner", "outer"]);
    // And fails with it.
    std::fs::write(house.path("d2/fail"), "").unwrap();
    let run = house.by_hand("W");
    ended(&house.to_the_end(&run).await, WorkflowState::Failed, "Inner: V failed: One: 1 of 2 devices failed");
    // Resumed, the inner one goes on where it failed.
    std::fs::remove_file(house.path("d2/fail")).unwrap();
    house.store.resume_workflow(&run, &kim()).unwrap();
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!(house.log("d1"), ["inner", "outer", "inner", "outer"]);
}

#[tokio::test]
async fn parallel_steps_begin_together_and_the_next_one_waits_for_all() {
    let (one, two, three) = (count("one", "First"), count("two", "All"), count("three", "All"));
    let house = House::new(
        2,
        &format!(
            "W:\n  steps:\n    - {{name: One, {one}, parallel: true}}\n    - {{name: Two, {two}, parallel: true}}\n    - {{name: Three, {three}}}\n"
        ),
    );
    let run = house.by_hand("W");
    let events = house.drive(Which::One(run.clone()), |_| false).await;
    let order: Vec<(u32, StepState)> =
        events.iter().filter_map(|event| if let Event::Step { step, state, .. } = event { Some((*step, *state)) } else { None }).collect();
    assert_eq!(order[..2], [(0, StepState::Running), (1, StepState::Running)]);
    assert_eq!(order.last(), Some(&(2, StepState::Succeeded)));
    assert_eq!(house.log("d1").last().map(String::as_str), Some("three"));
}

#[tokio::test]
async fn an_end_step_ends_the_run_as_it_says() {
    let one = count("one", "All");
    let house = House::new(
        1,
        &format!(
            "W:\n  steps:\n    - {{name: One, {one}}}\n    - {{name: Enough, end: failed, when: 'steps.One.succeeded == 1'}}\n    - {{name: Two, {one}}}\n"
        ),
    );
    let run = house.by_hand("W");
    ended(&house.to_the_end(&run).await, WorkflowState::Failed, "ended by the step 'Enough'");
    assert_eq!(house.states(&run), [StepState::Succeeded, StepState::Succeeded, StepState::Cancelled]);
}

#[tokio::test]
async fn a_run_goes_on_with_the_steps_and_scripts_with_which_it_began() {
    let (one, two) = (count("one", "All"), count("two", "All"));
    let workflows = format!("W:\n  steps:\n    - {{name: One, {one}}}\n    - {{name: Two, {two}, delay: 1h}}\n");
    let mut house = House::new(1, &workflows);
    let (first, second) = (house.by_hand("W"), String::new());
    assert!(second.is_empty());
    house.drive(Which::One(first.clone()), waits).await;
    // The workflow is another one by now: the run does not care.
    house.set = House::load(&house.folder, &house.devices, &format!("W:\n  steps:\n    - {{name: Other, {one}}}\n"), "", COUNT);
    house.later(TimeDelta::hours(1));
    ended(&house.to_the_end(&first).await, WorkflowState::Succeeded, "");
    assert_eq!(house.log("d1"), ["one", "two"]);
    // The script of its action is another one: that is not what was shown.
    house.set = House::load(&house.folder, &house.devices, &workflows, "", COUNT);
    let run = house.by_hand("W");
    house.drive(Which::One(run.clone()), waits).await;
    house.set = House::load(&house.folder, &house.devices, &workflows, "", &COUNT.replace("did $2", "done $2"));
    house.later(TimeDelta::hours(1));
    ended(&house.to_the_end(&run).await, WorkflowState::Failed, "Two:");
    let job = house.store.jobs(&JobFilter { run: Some(run), step: Some(1), ..JobFilter::default() }).unwrap().remove(0);
    assert!(job.reason.as_deref().unwrap().contains("has changed since the run began"), "{job:?}");
}

#[tokio::test]
async fn what_is_done_once_for_all_devices_knows_them_also_when_it_is_resumed() {
    // Nobody has as many points as that where something is not as it should be.
    let house = House::with(
        1,
        "W:\n  steps:\n    - {name: Gate, action: TestGroupHealth, on: All, with: {minScore: 100}}\n",
        "policies:\n  P: {targets: ['*'], settings: {Files: {/nowhere/at/all: {content: x}}}}\n",
    );
    let run = house.by_hand("W");
    for _ in 0..2 {
        ended(&house.to_the_end(&run).await, WorkflowState::Failed, "1 of 1 settings differ");
        assert_eq!(house.result(&run, 0)["devices"], 1);
        house.store.resume_workflow(&run, &kim()).unwrap();
    }
}
