//! The queue: order on a device, devices that are away, cancelling, runs of one workflow beside each other.

use std::collections::BTreeSet;

use super::*;
use crate::model::device::TransportKind;
use crate::model::job::WaitsFor;
use crate::store::{Among, JobChange, Owner};
use crate::transport::SessionOptions;

fn cause(kind: &str, key: Option<&str>, device: Option<&str>) -> Cause {
    Cause { kind: kind.into(), key: key.map(str::to_owned), device: device.map(Into::into), ..Cause::default() }
}

#[test]
fn what_is_seen_twice_starts_one_run() {
    let one = count("one", "All");
    let house = House::new(1, &format!("W:\n  concurrency: parallel\n  steps:\n    - {{name: One, {one}}}\n"));
    let (first, started) = house.start("W", cause("alert", Some("alert:a-1"), None));
    assert_eq!(started, Started::Begun(WorkflowState::Running));
    assert_eq!(house.start("W", cause("alert", Some("alert:a-1"), None)).1, Started::Known(first));
    assert_eq!(house.start("W", cause("alert", Some("alert:a-2"), None)).1, Started::Begun(WorkflowState::Running));
}

#[tokio::test]
async fn a_second_start_is_left_out_queued_or_replaces_as_the_workflow_says() {
    let one = count("one", "All");
    let flow =
        |name: &str, more: &str| format!("{name}:\n  {more}steps:\n    - {{name: Sign-off, approval: {{}}}}\n    - {{name: One, {one}}}\n");
    let text = ["Skip", "Queue", "Replace"].map(|name| flow(name, &format!("concurrency: {}\n  ", name.to_lowercase()))).concat();
    let house = House::new(1, &text);
    let manual = || cause("manual", None, None);

    let (first, _) = house.start("Skip", manual());
    assert_eq!(house.start("Skip", manual()).1, Started::Skipped(first));
    assert_eq!(
        house.start("Skip", cause("manual", None, Some("d1"))).1,
        Started::Begun(WorkflowState::Running),
        "it is about another device"
    );

    let (first, _) = house.start("Queue", manual());
    let (second, started) = house.start("Queue", manual());
    assert_eq!(started, Started::Begun(WorkflowState::Queued));
    house.drive(Which::One(first.clone()), waits).await;
    house.store.decide_step(&first, 0, true, "", &kim()).unwrap();
    house.to_the_end(&first).await;
    assert_eq!(house.store.workflow_run(&second).unwrap().unwrap().state, WorkflowState::Running);

    let (first, _) = house.start("Replace", manual());
    let (second, started) = house.start("Replace", manual());
    assert_eq!(started, Started::Begun(WorkflowState::Queued));
    ended(&house.to_the_end(&first).await, WorkflowState::Cancelled, "replaced by run");
    assert_eq!(house.store.workflow_run(&second).unwrap().unwrap().state, WorkflowState::Running);
}

#[tokio::test]
async fn what_is_cancelled_never_runs() {
    let (one, two) = (count("one", "All"), count("two", "All"));
    let house = House::new(2, &format!("W:\n  steps:\n    - {{name: One, {one}}}\n    - {{name: Two, {two}, delay: 1h}}\n"));
    let run = house.by_hand("W");
    house.drive(Which::One(run.clone()), waits).await;
    house.store.ask_to_cancel(&run, "wrong workflow", &kim()).unwrap();
    house.later(TimeDelta::hours(2));
    ended(&house.to_the_end(&run).await, WorkflowState::Cancelled, "wrong workflow");
    assert_eq!(house.states(&run), [StepState::Succeeded, StepState::Cancelled]);
    assert_eq!(house.log("d1"), ["one"]);
    assert!(house.store.ask_to_cancel(&run, "again", &kim()).is_err(), "it has ended");
    // Resumed, it goes on.
    house.store.resume_workflow(&run, &kim()).unwrap();
    house.drive(Which::One(run.clone()), waits).await;
    house.later(TimeDelta::hours(1));
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!(house.log("d1"), ["one", "two"]);
}

#[test]
fn jobs_of_a_device_keep_their_order_and_the_more_important_come_first() {
    let one = count("one", "All");
    let house = House::new(1, &format!("W:\n  concurrency: parallel\n  steps:\n    - {{name: One, {one}}}\n"));
    let parts = house.parts();
    let begin = |priority: u8| {
        let workflow = &house.set.workflows["W"];
        let mut run = new_run(&house.set, workflow, cause("manual", None, None), &kim(), noon(), rand::random());
        run.priority = priority;
        house.store.start_workflow(&run, rule(workflow, &run.cause)).unwrap();
        let mut led = super::super::led::Led::read(&house.store, &run.id).unwrap().unwrap();
        led.advance(&parts, &|_| {}, &mut super::super::led::Aside::default()).unwrap();
        run.id
    };
    let (first, second, urgent) = (begin(5), begin(5), begin(1));
    let due = |run: &str| house.store.due_jobs((run, 0, crate::model::job::JobPart::Run), noon(), Among::All, 10).unwrap();
    assert_eq!((due(&first).len(), due(&second).len(), due(&urgent).len()), (0, 0, 1));
    let owner = Owner::this_process();
    let job = due(&urgent).remove(0);
    let step = |id: &str, state| house.store.move_jobs(&[JobChange::to(id, state)], &owner, &kim()).unwrap();
    step(&job.id, JobState::Running);
    assert_eq!(due(&first).len(), 0, "a device does one thing at a time");
    // It waits for its window: whoever comes later need not.
    let waits = JobChange {
        waits_for: Some(WaitsFor::Window),
        wake_at: Some(noon() + TimeDelta::hours(9)),
        ..JobChange::to(&job.id, JobState::Waiting)
    };
    house.store.move_jobs(&[waits], &owner, &kim()).unwrap();
    assert_eq!((due(&first).len(), due(&second).len()), (1, 0));
    // It waits for its device: so does everything after it.
    let job = due(&first).remove(0);
    step(&job.id, JobState::Running);
    let away = JobChange {
        waits_for: Some(WaitsFor::Device),
        wake_at: Some(noon() + TimeDelta::hours(1)),
        ..JobChange::to(&job.id, JobState::Waiting)
    };
    house.store.move_jobs(&[away], &owner, &kim()).unwrap();
    assert_eq!(due(&second).len(), 0);
    // It is back.
    house.store.wake_jobs("d1").unwrap();
    assert_eq!((due(&first).len(), due(&second).len()), (1, 0));
}

#[tokio::test]
async fn a_device_that_another_run_changes_is_waited_for() {
    let one = count("one", "All");
    let house = House::new(1, &format!("W:\n  steps:\n    - {{name: One, {one}}}\n"));
    let other = Owner::this_process();
    house.store.lease_device("d1", "r-1", &other, TimeDelta::hours(1)).unwrap();
    let run = house.by_hand("W");
    let events = house.drive(Which::One(run.clone()), job_waits).await;
    assert!(events.iter().any(|event| matches!(event, Event::Job(job) if job.waits_for == Some(WaitsFor::Busy))));
    assert_eq!(house.log("d1"), Vec::<String>::new());
    house.store.release_all(&other).unwrap();
    house.later(TimeDelta::minutes(1));
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
}

#[tokio::test]
async fn what_stands_behind_a_job_that_waits_for_its_device_is_not_waited_for() {
    let (one, two) = (count("one", "All"), count("two", "All"));
    let house = House::new(2, &format!("W:\n  steps:\n    - {{name: One, {one}}}\n    - {{name: Two, {two}}}\n"));
    // Nobody reaches the first device.
    let mut set = (*house.set).clone();
    let mut away = (*set.devices["d1"]).clone();
    away.address = Some("127.0.0.1".into());
    away.connection.transport = Some(crate::model::device::TransportKind::Ssh);
    away.connection.port = Some(1);
    set.devices.insert("d1".into(), Arc::new(away));
    let house = House { set: Arc::new(set), ..house };
    let run = house.by_hand("W");
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!((house.log("d1").len(), house.log("d2")), (0, vec!["one".to_owned(), "two".to_owned()]));
    let states: Vec<_> = house.jobs(&run).into_iter().filter(|(device, _)| device == "d1").map(|(_, state)| state).collect();
    assert_eq!(states, [JobState::Waiting, JobState::Pending], "it has its turn when it returns");
}

/// The key that signs jobs for shares, whatever is asked for.
struct OneKey(secrecy::SecretString);

impl crate::access::Secrets for OneKey {
    fn resolve(&self, _: &str) -> Result<secrecy::SecretString, crate::access::SecretError> {
        Ok(self.0.clone())
    }
}

/// Moves devices behind a share into which nobody looks.
fn behind_a_share(house: &mut House, names: &[&str], options: SessionOptions) -> Parts {
    let share = house.path("share");
    std::fs::create_dir_all(share.join("devices")).unwrap();
    let set = Arc::get_mut(&mut house.set).unwrap();
    for name in names {
        let device = Arc::make_mut(set.devices.get_mut(*name).unwrap());
        device.connection.transport = Some(TransportKind::Share);
        device.connection.share = Some(share.display().to_string());
    }
    let key = OneKey(crate::transport::share::SigningKey::generate().unwrap());
    Parts { sessions: Arc::new(crate::transport::Sessions::new(options, Arc::new(key))), ..house.parts() }
}

#[tokio::test]
async fn a_device_behind_a_share_that_is_off_keeps_its_turn() {
    let one = count("one", "All");
    let mut house = House::new(2, &format!("W:\n  steps:\n    - {{name: One, {one}}}\n"));
    let options = SessionOptions { share_timeout: std::time::Duration::from_millis(20), ..SessionOptions::default() };
    let parts = behind_a_share(&mut house, &["d1"], options);
    let run = house.by_hand("W");
    House::drive_with(parts, Which::One(run.clone()), |_| false).await;
    let job = house.store.jobs(&JobFilter { run: Some(run), ..JobFilter::default() }).unwrap().remove(0);
    assert_eq!((&*job.device, job.state, job.waits_for), ("d1", JobState::Waiting, Some(WaitsFor::Device)), "{:?}", job.reason);
    assert_eq!(house.log("d2"), ["one"]);
}

#[tokio::test]
async fn devices_behind_a_share_that_are_off_hold_up_nobody_who_is_reached_directly() {
    let one = count("one", "All");
    let mut house = House::new(6, &format!("W:\n  steps:\n    - {{name: One, {one}}}\n"));
    // These come first in the queue, and there is one place.
    Arc::get_mut(&mut house.set).unwrap().config.connections.max_concurrent = 1;
    let parts = behind_a_share(&mut house, &["d1", "d2", "d3", "d4"], SessionOptions::default());
    let run = house.by_hand("W");
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    let driver = Driver {
        parts: Box::new(move || parts.clone()),
        which: Which::One(run.clone()),
        stop: stop.clone(),
        abort: abort.clone(),
        on: Box::new(move |event| drop(sender.send(event))),
    };
    let driving = tokio::spawn(Arc::new(driver).run());
    let mut done = Vec::new();
    while let Some(event) = receiver.recv().await {
        if let Event::Job(job) = event
            && !matches!(job.state, JobState::Pending | JobState::Running)
        {
            done.push((job.device.to_string(), job.state));
            if done.len() == 2 {
                stop.cancel();
                abort.cancel();
            }
        }
    }
    driving.await.unwrap().unwrap();
    let direct = ["d5", "d6"].map(|name| (name.to_owned(), JobState::Succeeded));
    assert_eq!(done[..2], direct);
    assert_eq!((house.log("d5"), house.log("d6")), (vec!["one".to_owned()], vec!["one".to_owned()]));
    let waiting = house.jobs(&run).into_iter().filter(|(_, state)| *state == JobState::Pending).count();
    assert_eq!(waiting, 3, "one of those behind the share has the one place that there is for them");
}

#[tokio::test]
async fn runs_of_one_priority_share_the_places_and_a_higher_one_goes_first() {
    let one = count("one", "All");
    let first = count("first", "First");
    let workflows =
        format!("Fleet:\n  steps:\n    - {{name: One, {one}}}\nUrgent:\n  concurrency: parallel\n  steps:\n    - {{name: One, {first}}}\n");
    let mut house = House::new(8, &workflows);
    Arc::get_mut(&mut house.set).unwrap().config.connections.max_concurrent = 1;
    let begin = |workflow: &str, priority: u8| {
        let workflow = &house.set.workflows[workflow];
        let mut run = new_run(&house.set, workflow, cause("manual", None, None), &kim(), noon(), rand::random());
        run.priority = priority;
        house.store.start_workflow(&run, rule(workflow, &run.cause)).unwrap();
        run.id
    };
    let fleet = begin("Fleet", 5);
    let begun = |events: &[Event]| -> Vec<String> {
        let running = events.iter().filter_map(|event| match event {
            Event::Job(job) if job.state == JobState::Running => Some(job.run.clone()),
            _ => None,
        });
        running.collect()
    };
    // The run over the whole fleet is under way when the others come.
    house.drive(Which::All, |event| matches!(event, Event::Job(job) if job.state == JobState::Running)).await;
    let (equal, urgent) = (begin("Urgent", 5), begin("Urgent", 1));
    let ended = std::cell::RefCell::new(BTreeSet::new());
    let over = |event: &Event| {
        if let Event::Run { run, state, .. } = event
            && state.is_final()
        {
            ended.borrow_mut().insert(run.clone());
        }
        ended.borrow().len() == 3
    };
    let events = house.drive(Which::All, over).await;
    let order = begun(&events);
    assert_eq!(order.len(), 9, "{order:?}");
    // The one on `d1` that waits for the urgent one on the same device is the next to have a place there.
    assert_eq!(order[0], urgent, "{order:?}");
    let place = order.iter().position(|run| *run == equal).unwrap();
    assert!(place <= 3, "a run on one device waits for the whole fleet: {order:?} ({fleet})");
}

/// A clock with both hands, and where they stand.
struct Hands(DateTime<Utc>, u64);

impl crate::time::Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    fn steady(&self) -> Option<std::time::Duration> {
        Some(std::time::Duration::from_secs(self.1))
    }
}

#[test]
fn a_job_takes_its_device_by_the_clock_that_nobody_sets() {
    let one = count("one", "All");
    let house = House::new(1, &format!("W:\n  steps:\n    - {{name: One, {one}}}\n"));
    let run = house.by_hand("W");
    let mut led = super::super::led::Led::read(&house.store, &run).unwrap().unwrap();
    led.advance(&house.parts(), &|_| {}, &mut super::super::led::Aside::default()).unwrap();
    let id = house.store.jobs(&JobFilter { run: Some(run), ..JobFilter::default() }).unwrap().remove(0).id;
    let at = |minutes: i64, steady: u64| {
        let hands = Hands(noon() + TimeDelta::minutes(minutes), steady);
        Store::open(&house.path(".rmm/rmm.db"), Arc::new(hands)).unwrap()
    };
    let (apply, daemon, other) = (Owner::this_process(), Owner::this_process(), Owner::this_process());
    let ttl = TimeDelta::minutes(2);
    at(0, 1000).lease_device("d1", "r-1", &apply, ttl).unwrap();
    // The clock was set forward: whoever holds the device lives.
    let begin = [JobChange::to(&id, JobState::Running)];
    assert_eq!(at(60, 1060).move_jobs(&begin, &daemon, &kim()).unwrap().busy.len(), 1);
    // It is over by both clocks. From then on the time of the job counts, and not the one of whoever held it before.
    let later = at(3, 1180);
    assert_eq!(later.move_jobs(&begin, &daemon, &kim()).unwrap().changed.len(), 1);
    assert!(matches!(later.lease_device("d1", "r-2", &other, ttl), Err(crate::store::StoreError::Leased { .. })));
}
