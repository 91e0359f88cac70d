use super::*;

const TWO: &str = "    settings:\n      Steps:\n        'DIR/d/1': done\n        'DIR/d/2': done\n        'DIR/d/3': done\n";

/// Carries out three changes; when the first is done it is this time.
async fn later(policies: &str, time: DateTime<Utc>) -> (House, String, Finished) {
    let house = House::new(&[("d", "")], policies);
    steps(&house, &["d/1", "d/2", "d/3"]);
    let plan = house.plan().await;
    let clock = Arc::clone(&house.clock);
    let (run, finished) = house.apply(&plan, options(), when("/1", ChangeState::Done, move || clock.set(time))).await;
    (house, run, finished)
}

#[tokio::test]
async fn changes_that_remain_are_held_when_the_active_hours_end_during_a_run() {
    let policies =
        format!("policies:\n  P:\n    targets: ['*']\n    remediate: true\n    activeHours: '11:00-13:00'\n    timezone: UTC\n{TWO}");
    let (house, run, finished) = later(&policies, minutes(60)).await;
    assert_eq!(house.states(&run), ["1 done", "2 cancelled", "3 cancelled"]);
    assert_eq!(house.error(&run, 3), "held: active hours until 2026-11-22 11:00 (UTC)");
    assert_eq!((house.ran("d/2"), finished.failed), (0, Vec::<String>::new()));
    // They wait for the next hours, and the run can be resumed then.
    assert_eq!(house.store.run(&run).unwrap().unwrap().state, RunState::Interrupted);
    house.clock.set(minutes(24 * 60));
    house.resume(&run).await;
    assert_eq!(house.states(&run), ["1 done", "2 done", "3 done"]);

    let (house, run, _) = later(&policies, minutes(59)).await;
    assert_eq!(house.states(&run), ["1 done", "2 done", "3 done"]);
}

#[tokio::test]
async fn changes_that_remain_are_held_when_a_guard_begins_during_a_run() {
    let policies = format!(
        "policies:\n  Frozen: {{targets: ['*'], settings: {{AllowChanges: false}}, activeHours: '13:00-14:00', timezone: UTC}}\n  P:\n    targets: ['*']\n    remediate: true\n{TWO}"
    );
    let (house, run, _) = later(&policies, minutes(60)).await;
    assert_eq!(house.states(&run), ["1 done", "2 cancelled", "3 cancelled"]);
    assert!(house.error(&run, 2).starts_with("held: Frozen until 14:00"), "{}", house.error(&run, 2));
}

#[tokio::test]
async fn a_change_that_was_begun_is_finished_also_after_the_active_hours() {
    let policies =
        format!("policies:\n  P:\n    targets: ['*']\n    remediate: true\n    activeHours: '11:00-13:00'\n    timezone: UTC\n{TWO}");
    let house = House::new(&[("d", "")], &policies);
    steps(&house, &["d/1", "d/2", "d/3"]);
    let run = house.died(&house.plan().await, &[&[ChangeState::Started]]);
    house.clock.set(minutes(90));
    house.resume(&run).await;
    assert_eq!(house.states(&run), ["1 done", "2 cancelled", "3 cancelled"]);
}
