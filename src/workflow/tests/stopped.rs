//! What becomes of jobs when whoever drives their run is stopped, once and twice; and in which order results are written down.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::model::job::JobPart;
use crate::store::{JobChange, Owner, StoreError};
use crate::workflow::drive::{Flight, State};
use crate::workflow::led::{Aside, Led};

/// Goes on once there is a file `go`.
const GATE: &str = r#"//! action: Gate
//! summary: Waits for a file.
//! platforms: [linux]
//! parameters: {type: object, required: [dir], properties: {dir: {type: string}}}
//! risk: low
//! idempotent: true
//! examples: [{dir: /tmp}]
fn run(device, params) { device.run(["sh", "-c", "until [ -e \"$1/go\" ]; do sleep 0.01; done; echo ran >>\"$1/log\"", "sh", params.dir]); }
"#;

/// Two devices that have their turn one after the other, and a run of the gate on them.
fn gate() -> (House, String) {
    let house = House::new(2, "");
    let text = "W:\n  steps:\n    - {name: One, action: Gate, on: All, with: {dir: '{{ vars.dir }}'}, maxParallel: 1}\n";
    let house = House { set: House::load(&house.folder, &house.devices, text, "", GATE), ..house };
    crate::apply::declare(&house.set, &house.store).unwrap();
    let run = house.by_hand("W");
    (house, run)
}

fn is_running(event: &Event) -> bool {
    matches!(event, Event::Job(job) if job.state == JobState::Running)
}

fn states(jobs: [JobState; 2]) -> Vec<(String, JobState)> {
    ["d1".to_owned(), "d2".to_owned()].into_iter().zip(jobs).collect()
}

#[tokio::test]
async fn what_is_under_way_when_somebody_stops_a_run_ends_and_nothing_else_begins() {
    let (house, run) = gate();
    house
        .drive(Which::One(run.clone()), |event| {
            if is_running(event) {
                // The first Ctrl-C; only then the device goes on.
                house.store.ask_to_cancel(&run, "stopped by hand", &kim()).unwrap();
                std::fs::write(house.path("d1/go"), "").unwrap();
            }
            false
        })
        .await;
    ended(&house.store.workflow_run(&run).unwrap().unwrap(), WorkflowState::Cancelled, "stopped by hand");
    assert_eq!(house.jobs(&run), states([JobState::Succeeded, JobState::Cancelled]));
    assert_eq!((house.log("d1").len(), house.log("d2").len()), (1, 0));
}

#[tokio::test]
async fn what_is_ended_at_once_may_be_half_done_and_nobody_goes_on_with_it() {
    let (house, run) = gate();
    let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
    let (parts, first, second) = (house.parts(), stop.clone(), abort.clone());
    let driver = Driver {
        parts: Box::new(move || parts.clone()),
        which: Which::One(run.clone()),
        stop,
        abort,
        on: Box::new(move |event| {
            if is_running(&event) {
                first.cancel();
                second.cancel();
            }
        }),
    };
    Arc::new(driver).run().await.unwrap();
    // As after the end of a process: whoever comes next would go on with it.
    assert_eq!(house.jobs(&run), states([JobState::Running, JobState::Pending]));
    assert_eq!(house.store.leases().unwrap(), []);
    house.store.ask_to_cancel(&run, "stopped by hand", &kim()).unwrap();
    ended(&house.to_the_end(&run).await, WorkflowState::Cancelled, "stopped by hand");
    assert_eq!(house.jobs(&run), states([JobState::Interrupted, JobState::Cancelled]));
    for device in ["d1", "d2"] {
        std::fs::write(house.path(device).join("go"), "").unwrap();
    }
    house.drive(Which::Due, |_| false).await;
    assert_eq!((house.log("d1").len(), house.log("d2").len()), (0, 0));
}

#[test]
fn results_are_written_as_they_came_and_all_of_them_before_an_error_ends_the_driver() {
    let one = count("one", "All");
    let house = House::new(4, &format!("W:\n  steps:\n    - {{name: One, {one}}}\n"));
    let run = house.by_hand("W");
    let parts = house.parts();
    let mut led = Led::read(&house.store, &run).unwrap().unwrap();
    led.advance(&parts, &|_| {}, &mut Aside::default()).unwrap();
    let jobs = house.store.jobs(&JobFilter { run: Some(run.clone()), ..JobFilter::default() }).unwrap();
    let ids: Vec<String> = jobs.into_iter().map(|job| job.id).collect();
    let owner = Owner::this_process();
    let begins = |id: &String| JobChange { attempt: Some(1), ..JobChange::to(id, JobState::Running) };
    house.store.move_jobs(&ids.iter().map(begins).collect::<Vec<_>>(), &owner, &kim()).unwrap();
    // Of the last one somebody else has written down already what came of it.
    house.store.move_jobs(&[JobChange::to(&ids[3], JobState::Succeeded)], &owner, &kim()).unwrap();

    let told: Arc<Mutex<Vec<(String, JobState)>>> = Arc::default();
    let (of, hears) = (parts.clone(), Arc::clone(&told));
    let driver = Driver {
        parts: Box::new(move || of.clone()),
        which: Which::All,
        stop: CancellationToken::new(),
        abort: CancellationToken::new(),
        on: Box::new(move |event| {
            if let Event::Job(job) = event {
                hears.lock().unwrap().push((job.device.to_string(), job.state));
            }
        }),
    };
    let flight = || Flight {
        run: run.clone(),
        step: 0,
        part: JobPart::Run,
        site: String::new(),
        behind_share: false,
        cancel: CancellationToken::new(),
    };
    let mut state = State {
        owner,
        led: BTreeMap::from([(run.clone(), led)]),
        flights: ids.iter().map(|id| (id.clone(), flight())).collect(),
        revision: None,
        beaten: tokio::time::Instant::now(),
        wake: None,
        begun: Vec::new(),
        served: 0,
        moving: Arc::default(),
        read: false,
        over: false,
    };
    let to = |id: &str, state| Ok(Some(JobChange::to(id, state)));
    let results = vec![
        (ids[2].clone(), to(&ids[2], JobState::Succeeded)),
        (ids[0].clone(), Err(StoreError::Missing { what: "job", name: "x".into() })),
        (ids[3].clone(), to(&ids[3], JobState::Failed)),
        ("nobody".to_owned(), to("nobody", JobState::Failed)),
        (ids[1].clone(), to(&ids[1], JobState::Failed)),
    ];
    let kept = driver.keep(&parts, &mut state, results);
    assert!(matches!(kept, Err(StoreError::Missing { .. })), "{kept:?}");
    assert_eq!(*told.lock().unwrap(), [("d3".to_owned(), JobState::Succeeded), ("d2".to_owned(), JobState::Failed)]);
    let states: Vec<JobState> = house.jobs(&run).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [JobState::Running, JobState::Failed, JobState::Succeeded, JobState::Succeeded]);
    assert!(state.flights.is_empty() && state.led[&run].dirty);
}
