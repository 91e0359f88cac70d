//! What is approved is decided as a step begins, for all of its devices, and holds whenever each has its turn.

use serde_json::json;

use super::*;
use crate::model::facts::{Section, Status};
use crate::model::update::{Decided, Ruling, SECTION};
use crate::store::{AuditEvent, Merge, Observation};

/// Writes down what it is given.
const PATCH: &str = r#"//! action: Patch
//! summary: Writes down what is approved.
//! platforms: [linux]
//! parameters:
//!   type: object
//!   required: [dir]
//!   properties:
//!     dir: {type: string}
//!     packages: {type: array, x-fills: approvedUpdates, items: {type: object}}
//! risk: low
//! idempotent: true
//! examples: [{dir: /tmp}]
fn run(device, params) {
    for one in params.packages { device.run(["sh", "-c", "echo \"$2\" >>\"$1/log\"", "sh", params.dir, one.name + " " + one.version]); }
}
"#;

fn offers(house: &House, device: &str, version: &str) {
    use crate::time::Clock as _;
    let data = json!({"nginx": {"installed": "1", "offered": version}});
    let section = Section::new(data, Status::Ok, house.clock.now());
    let sections = [(Arc::from(SECTION), section)].into();
    house.store.put_observations(&[Observation { device: device.into(), sections, merge: Merge::Replace }]).unwrap();
}

/// Kim decides about an update, on all devices.
fn says(house: &House, ruling: Ruling, name: &str) {
    let decided = Decided {
        ruling,
        name: name.into(),
        version: None,
        targets: Vec::new(),
        until: None,
        reason: "breaks".into(),
        by: "kim".into(),
        at: noon(),
    };
    let event = AuditEvent {
        at: noon(),
        user: Some("kim".into()),
        action: "updates.deny".into(),
        target: Some(name.into()),
        details: json!({}),
        ip: None,
        success: true,
    };
    house.store.decide_update(&decided, event).unwrap();
}

#[tokio::test]
async fn what_is_denied_or_deferred_before_a_device_has_its_turn_is_left_out_there() {
    let text = "W:\n  steps:\n    - {name: One, action: Patch, on: All, with: {dir: '{{ vars.dir }}'}, stagger: 90m}\n";
    let house = House::new(3, &text.replace("Patch", "Again"));
    let house = House { set: House::load(&house.folder, &house.devices, text, "", PATCH), ..house };
    crate::apply::declare(&house.set, &house.store).unwrap();
    for device in ["d1", "d2", "d3"] {
        offers(&house, device, "2");
    }
    let run = house.by_hand("W");
    let done = |event: &Event| matches!(event, Event::Job(job) if job.state == JobState::Succeeded);
    house.drive(Which::One(run.clone()), done).await;
    says(&house, Ruling::Defer, "nginx");
    house.later(TimeDelta::minutes(30));
    house.drive(Which::One(run.clone()), done).await;
    says(&house, Ruling::Deny, "ngin*");
    // Nobody offers it any more: what is decided by its name holds all the same.
    offers(&house, "d3", "4");
    house.later(TimeDelta::minutes(30));
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!(["d1", "d2", "d3"].map(|device| house.log(device).concat()), ["nginx 2", "", ""]);
    let jobs = house.store.jobs(&JobFilter { run: Some(run), ..JobFilter::default() }).unwrap();
    let left = |n: usize| jobs[n].result["left"][0]["reason"].as_str().unwrap_or_default().to_owned();
    assert_eq!(["", "deferred by now: kim by hand: breaks", "denied by now: kim by hand: breaks"], [left(0), left(1), left(2)]);
}

#[tokio::test]
async fn what_is_offered_after_a_step_has_begun_is_not_installed_by_it() {
    let text = "W:\n  steps:\n    - {name: One, action: Patch, on: All, with: {dir: '{{ vars.dir }}'}, maxParallel: 1, maxFailures: 1}\n";
    let house = House::new(3, &text.replace("Patch", "Again"));
    let house = House { set: House::load(&house.folder, &house.devices, text, "", PATCH), ..house };
    crate::apply::declare(&house.set, &house.store).unwrap();
    for device in ["d1", "d2"] {
        offers(&house, device, "2");
    }
    let run = house.by_hand("W");
    house
        .drive(Which::One(run.clone()), |event| {
            if matches!(event, Event::Job(job) if &*job.device == "d1" && job.state == JobState::Running) {
                offers(&house, "d2", "3");
            }
            false
        })
        .await;
    assert_eq!((house.log("d1"), house.log("d2")), (vec!["nginx 2".to_owned()], vec!["nginx 2".to_owned()]));
    // Of the third one nobody knows anything: nothing is approved there.
    let jobs = house.store.jobs(&JobFilter { run: Some(run.clone()), ..JobFilter::default() }).unwrap();
    assert_eq!(jobs.iter().map(|job| job.state).collect::<Vec<_>>(), [JobState::Succeeded, JobState::Succeeded, JobState::Failed]);
    assert!(jobs[2].reason.as_deref().unwrap().contains("nobody has looked yet"), "{:?}", jobs[2]);
    assert_eq!(jobs[0].with["packages"], json!([{"name": "nginx", "version": "2", "from": "1"}]));
    // The next run goes by what is offered now.
    offers(&house, "d3", "4");
    ended(&house.to_the_end(&house.by_hand("W")).await, WorkflowState::Succeeded, "");
    assert_eq!((house.log("d2").last().unwrap().as_str(), house.log("d3").concat()), ("nginx 3", "nginx 4".to_owned()));
}
