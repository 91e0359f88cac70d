//! Delays, approvals, time limits: moments in the database, not sleeping tasks.

use super::*;

/// Nothing happens before, at the minute it does: also across a change of daylight saving time, and with a new process.
#[tokio::test]
async fn a_day_of_delay_is_24_hours_whatever_the_clocks_on_the_walls_do() {
    for at in ["2026-11-21T12:00:00Z", "2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z"] {
        let (one, two) = (count("one", "All"), count("two", "All"));
        let house = House::new(
            1,
            &format!("W:\n  timezone: Europe/Berlin\n  steps:\n    - {{name: One, {one}}}\n    - {{name: Two, {two}, delay: 24h}}\n"),
        );
        house.clock.set(at.parse().unwrap());
        let run = house.by_hand("W");
        let events = house.drive(Which::One(run.clone()), waits).await;
        let until = events.iter().find_map(|event| if let Event::Step { until: Some(until), .. } = event { Some(*until) } else { None });
        assert_eq!(until, Some(at.parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(24)));
        // A minute early the next process finds nothing to do: it looks, and would begin in its first turn.
        house.later(TimeDelta::hours(24) - TimeDelta::minutes(1));
        let parts = house.parts();
        let mut led = super::super::led::Led::read(&house.store, &run).unwrap().unwrap();
        led.advance(&parts, &|event| panic!("{event:?}"), &mut super::super::led::Aside::default()).unwrap();
        assert_eq!(led.wake, until);
        house.later(TimeDelta::minutes(1));
        ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
        assert_eq!(house.log("d1"), ["one", "two"]);
    }
}

#[tokio::test]
async fn an_approval_waits_for_a_person_and_then_no_longer() {
    let one = count("one", "All");
    let house = House::new(
        1,
        &format!("W:\n  steps:\n    - {{name: Sign-off, approval: {{role: Operator, within: 12h}}}}\n    - {{name: One, {one}}}\n"),
    );
    let run = house.by_hand("W");
    house.drive(Which::One(run.clone()), waits).await;
    assert!(house.store.decide_step(&run, 1, true, "too early", &kim()).is_err(), "only what waits can be decided");
    house.store.decide_step(&run, 0, true, "looks good", &kim()).unwrap();
    assert!(house.store.decide_step(&run, 0, false, "no", &kim()).is_err(), "and only once");
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!(house.result(&run, 0)["by"], "kim");

    let run = house.by_hand("W");
    house.drive(Which::One(run.clone()), waits).await;
    house.store.decide_step(&run, 0, false, "not today", &kim()).unwrap();
    ended(&house.to_the_end(&run).await, WorkflowState::Failed, "Sign-off: not today");

    let run = house.by_hand("W");
    house.drive(Which::One(run.clone()), waits).await;
    house.later(TimeDelta::hours(12));
    ended(&house.to_the_end(&run).await, WorkflowState::Failed, "nobody approved it in time");
    assert_eq!(house.log("d1"), ["one"]);
}

#[tokio::test]
async fn devices_begin_spread_over_the_time_that_they_are_given() {
    let one = count("one", "All");
    let house = House::new(4, &format!("W:\n  steps:\n    - {{name: One, {one}, stagger: 40m}}\n"));
    let run = house.by_hand("W");
    let succeeded = |house: &House| house.jobs(&run).iter().filter(|(_, state)| *state == JobState::Succeeded).count();
    for n in 1..=3 {
        house.drive(Which::One(run.clone()), |event| matches!(event, Event::Job(job) if job.state == JobState::Succeeded)).await;
        assert_eq!(succeeded(&house), n);
        house.later(TimeDelta::minutes(10));
    }
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
}

#[tokio::test]
async fn a_failed_device_is_tried_again_where_twice_is_as_once() {
    let house = House::new(1, "W:\n  steps:\n    - {name: One, action: Again, on: All, with: {dir: '{{ vars.dir }}'}, retries: 2}\n");
    std::fs::write(house.path("d1/fail"), "").unwrap();
    let run = house.by_hand("W");
    for _ in 0..2 {
        house.drive(Which::One(run.clone()), job_waits).await;
        house.later(TimeDelta::minutes(1));
    }
    ended(&house.to_the_end(&run).await, WorkflowState::Failed, "1 of 1 device failed");
    assert_eq!(std::fs::read_to_string(house.path("d1/tries")).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn a_guard_holds_a_job_until_its_window_opens() {
    let policies =
        "policies:\n  Quiet:\n    targets: ['*']\n    settings: {AllowUpdates: false}\n    activeHours: '06:00-22:00'\n    timezone: UTC\n";
    let house = House::with(1, "W:\n  steps:\n    - {name: One, action: Again, on: All, with: {dir: '{{ vars.dir }}'}}\n", policies);
    let run = house.by_hand("W");
    let events = house.drive(Which::One(run.clone()), job_waits).await;
    let job = events.iter().rev().find_map(|event| if let Event::Job(job) = event { Some(job) } else { None }).unwrap();
    assert_eq!(job.wake_at, Some("2026-11-21T22:00:00Z".parse().unwrap()), "{job:?}");
    assert!(!house.path("d1/tries").exists(), "nothing was begun");
    house.clock.set("2026-11-21T22:00:00Z".parse().unwrap());
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
}

/// Longer than what its head says, and shorter: what the step says counts.
const SLOW: &str = r#"//! action: Slow
//! summary: Takes its time.
//! platforms: [linux]
//! parameters: {type: object, required: [dir, seconds], properties: {dir: {type: string}, seconds: {type: integer}}}
//! risk: low
//! idempotent: true
//! timeout: 1s
//! examples: [{dir: /tmp, seconds: 1}]
fn run(device, params) { device.run(["sh", "-c", "sleep \"$2\" && : >\"$1/made\"", "sh", params.dir, params.seconds]); }
"#;

#[tokio::test]
async fn the_time_of_a_step_counts_for_each_device_in_place_of_what_the_action_says() {
    let step = |seconds: u32, timeout: &str| {
        format!(
            "W:\n  steps:\n    - {{name: One, action: Slow, on: All, with: {{dir: '{{{{ vars.dir }}}}', seconds: {seconds}}}, {timeout}}}\n"
        )
    };
    let mut house = House::new(1, &step(1, "").replace("Slow", "Again").replace(", seconds: 1", ""));
    for (seconds, timeout, made) in [(2, "", false), (30, "timeout: 1s", false), (2, "timeout: 1h", true)] {
        house.set = House::load(&house.folder, &house.devices, &step(seconds, timeout), "", SLOW);
        let run = house.by_hand("W");
        let state = if made { WorkflowState::Succeeded } else { WorkflowState::Failed };
        ended(&house.to_the_end(&run).await, state, if made { "" } else { "1 of 1 device failed" });
        assert_eq!(house.path("d1/made").exists(), made, "{seconds} s, {timeout}");
    }
}

#[tokio::test]
async fn a_step_is_over_when_its_time_is_though_devices_wait() {
    let policies =
        "policies:\n  Quiet:\n    targets: ['*']\n    settings: {AllowUpdates: false}\n    activeHours: '06:00-22:00'\n    timezone: UTC\n";
    let text = "W:\n  steps:\n    - {name: One, action: Again, on: All, with: {dir: '{{ vars.dir }}'}, timeout: 2h}\n";
    let house = House::with(2, text, policies);
    let run = house.by_hand("W");
    house.drive(Which::One(run.clone()), job_waits).await;
    house.later(TimeDelta::hours(2));
    ended(&house.to_the_end(&run).await, WorkflowState::Failed, "it took longer than 2h");
    assert!(house.jobs(&run).iter().all(|(_, state)| *state == JobState::Cancelled) && !house.path("d1/tries").exists());
}
