//! What a person asks for ahead of its time, and what becomes of it where nobody is there then; how far transfers have got; what was
//! under way as its run was cancelled.

use super::*;
use crate::model::ActionCall;
use crate::model::Selector;
use crate::model::job::WaitsFor;
use crate::model::selector::Match;
use crate::model::workflow::Concurrency;
use crate::store::{JobChange, Owner};
use crate::workflow::{Options, by_hand, start};

fn call(action: &str, device: &str, with: &[(&str, &str)]) -> ActionCall {
    let on = vec![Selector::Match(Match { device: Some(device.to_owned()), ..Match::default() })];
    ActionCall { action: action.into(), with: with.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(), on }
}

fn ask(house: &House, call: ActionCall, options: &Options) -> String {
    use crate::time::Clock as _;
    let run = by_hand(&house.set, call, options, &kim(), house.clock.now(), rand::random());
    start(&house.store, &run, Concurrency::Parallel).unwrap();
    run.id
}

fn note(word: &str) -> ActionCall {
    call("Count", "d1", &[("dir", "{{ vars.dir }}"), ("word", word)])
}

fn at_ten() -> Options {
    Options { not_before: Some(noon() + TimeDelta::hours(10)), expires: Some("4h".parse().unwrap()), ..Options::default() }
}

fn begins(event: &Event) -> bool {
    matches!(event, Event::Step { state: StepState::Running, .. })
}

#[tokio::test]
async fn what_is_asked_for_ahead_of_its_time_waits_in_the_queue_and_holds_nothing_up() {
    let house = House::new(1, "");
    let later = ask(&house, note("later"), &Options { timeout: Some("1h".parse().unwrap()), ..at_ten() });
    house.drive(Which::One(later.clone()), begins).await;
    let job = house.store.jobs(&JobFilter { run: Some(later.clone()), ..JobFilter::default() }).unwrap().remove(0);
    assert_eq!((job.state, job.wake_at), (JobState::Pending, at_ten().not_before));
    assert_eq!(job.expires_at, noon() + TimeDelta::hours(14));
    // Another one on the same device has its turn before.
    let now = ask(&house, note("now"), &Options::default());
    ended(&house.to_the_end(&now).await, WorkflowState::Succeeded, "");
    assert_eq!(house.log("d1"), ["now"]);
    // A minute early the next process finds nothing to do; its time limit counts from its own moment on.
    house.later(TimeDelta::hours(10) - TimeDelta::minutes(1));
    house.drive(Which::Due, |_| false).await;
    assert_eq!(house.log("d1"), ["now"]);
    house.later(TimeDelta::minutes(1));
    house.drive(Which::Due, |_| false).await;
    assert_eq!(house.log("d1"), ["now", "later"]);
    ended(&house.store.workflow_run(&later).unwrap().unwrap(), WorkflowState::Succeeded, "");
}

#[tokio::test]
async fn what_nobody_carried_out_in_its_time_is_given_up_and_what_is_cancelled_never_begins() {
    let house = House::new(1, "");
    let (missed, cancelled) = (ask(&house, note("missed"), &at_ten()), ask(&house, note("cancelled"), &at_ten()));
    for run in [&missed, &cancelled] {
        house.drive(Which::One(run.clone()), begins).await;
    }
    house.store.ask_to_cancel(&cancelled, "not needed", &kim()).unwrap();
    house.later(TimeDelta::hours(14));
    house.drive(Which::Due, |_| false).await;
    ended(&house.store.workflow_run(&cancelled).unwrap().unwrap(), WorkflowState::Cancelled, "not needed");
    ended(&house.store.workflow_run(&missed).unwrap().unwrap(), WorkflowState::Failed, "none of its 1 device began in time");
    assert_eq!(house.jobs(&missed)[0].1, JobState::Expired);
    assert_eq!(house.log("d1"), Vec::<String>::new());
    // Late, but within its time, it is made up for.
    let late = ask(&house, note("late"), &Options { not_before: Some(noon() + TimeDelta::hours(15)), ..at_ten() });
    house.later(TimeDelta::hours(3));
    ended(&house.to_the_end(&late).await, WorkflowState::Succeeded, "");
    assert_eq!(house.log("d1"), ["late"]);
}

#[tokio::test]
async fn what_was_taken_back_and_is_resumed_keeps_its_moment_and_its_stagger() {
    let house = House::new(2, "");
    let all = ActionCall { on: vec![Selector::Name("*".into())], ..note("one") };
    let run = ask(&house, all, &Options { stagger: Some("2h".parse().unwrap()), ..at_ten() });
    house.drive(Which::One(run.clone()), begins).await;
    let jobs = || house.store.jobs(&JobFilter { run: Some(run.clone()), ..JobFilter::default() }).unwrap();
    let moments = || jobs().iter().map(|job| (job.state, job.wake_at, job.expires_at)).collect::<Vec<_>>();
    let cancelled = || async {
        house.store.ask_to_cancel(&run, "by mistake", &kim()).unwrap();
        ended(&house.to_the_end(&run).await, WorkflowState::Cancelled, "by mistake");
    };
    let hour = |n: i64| noon() + TimeDelta::hours(n);
    cancelled().await;
    house.later(TimeDelta::hours(1));
    assert_eq!(house.store.resume_workflow(&run, &kim()).unwrap(), 2);
    let planned = [(JobState::Pending, Some(hour(10)), hour(14)), (JobState::Pending, Some(hour(11)), hour(15))];
    assert_eq!(moments(), planned);
    house.drive(Which::Due, |_| false).await;
    assert_eq!(moments(), planned, "the step that begins again changes nothing of it");
    // Its moment is over: it begins now, one by one all the same.
    cancelled().await;
    house.later(TimeDelta::hours(19));
    house.store.resume_workflow(&run, &kim()).unwrap();
    assert_eq!(moments(), [(JobState::Pending, Some(hour(20)), hour(24)), (JobState::Pending, Some(hour(21)), hour(25))]);
    house.drive(Which::Due, |_| false).await;
    assert_eq!((house.log("d1"), house.log("d2")), (vec!["one".to_owned()], Vec::new()));
    house.later(TimeDelta::hours(1));
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!(house.log("d2"), ["one"]);
}

#[tokio::test]
async fn what_another_run_held_up_until_its_time_was_over_is_given_up() {
    let house = House::new(1, "");
    let run = ask(&house, note("late"), &at_ten());
    house.drive(Which::One(run.clone()), begins).await;
    house.later(TimeDelta::hours(10));
    let other = Owner::this_process();
    house.store.lease_device("d1", "r-1", &other, TimeDelta::hours(30)).unwrap();
    house.drive(Which::Due, |_| false).await;
    assert_eq!(house.jobs(&run)[0].1, JobState::Waiting);
    assert_eq!(house.store.next_job_at(&run, noon() + TimeDelta::hours(11)).unwrap(), Some(noon() + TimeDelta::hours(14)));
    house.later(TimeDelta::hours(4));
    house.store.release_all(&other).unwrap();
    house.drive(Which::Due, |_| false).await;
    ended(&house.store.workflow_run(&run).unwrap().unwrap(), WorkflowState::Failed, "none of its 1 device began in time");
    assert_eq!((house.jobs(&run)[0].1, house.log("d1")), (JobState::Expired, Vec::new()));
}

#[tokio::test]
async fn what_was_held_until_its_time_was_over_is_not_made_up_for() {
    let policies =
        "policies:\n  Quiet:\n    targets: ['*']\n    settings: {AllowUpdates: false}\n    activeHours: '06:00-22:00'\n    timezone: UTC\n";
    let house = House::with(1, "", policies);
    let expires = Some("11h".parse().unwrap());
    let run = ask(&house, call("Again", "d1", &[("dir", "{{ vars.dir }}")]), &Options { expires, ..Options::default() });
    house.drive(Which::One(run.clone()), |event| matches!(event, Event::Job(job) if job.waits_for == Some(WaitsFor::Window))).await;
    // Nobody was there from before the window until the night after the next.
    house.later(TimeDelta::hours(59));
    house.drive(Which::Due, |_| false).await;
    assert_eq!(house.jobs(&run)[0].1, JobState::Skipped);
    assert!(!house.path("d1/tries").exists());
}

#[tokio::test]
async fn what_is_over_its_time_is_not_due_and_is_looked_at_then() {
    use crate::model::job::JobPart;
    use crate::store::Among;
    let house = House::new(1, "");
    let run = ask(&house, note("one"), &at_ten());
    house.drive(Which::One(run.clone()), begins).await;
    let due = |hours: i64| house.store.due_jobs((&run, 0, JobPart::Run), noon() + TimeDelta::hours(hours), Among::All, 10).unwrap().len();
    assert_eq!((due(9), due(10), due(13), due(14)), (0, 1, 1, 0));
    let next = |hours: i64| house.store.next_job_at(&run, noon() + TimeDelta::hours(hours)).unwrap();
    assert_eq!((next(9), next(10)), (at_ten().not_before, Some(noon() + TimeDelta::hours(14))));
}

#[tokio::test]
async fn what_only_waits_for_its_turn_does_not_expire() {
    let house = House::new(2, "");
    let half_an_hour = Some("30m".parse().unwrap());
    let options = Options { stagger: half_an_hour, expires: half_an_hour, max_parallel: Some(1), ..Options::default() };
    let run = ask(&house, ActionCall { on: vec![Selector::Name("*".into())], ..note("one") }, &options);
    house.drive(Which::One(run.clone()), begins).await;
    let jobs = house.store.jobs(&JobFilter { run: Some(run.clone()), ..JobFilter::default() }).unwrap();
    assert!(jobs.iter().any(|job| job.wake_at.is_some()), "{jobs:#?}");
    // Others took so long.
    house.later(TimeDelta::hours(2));
    ended(&house.to_the_end(&run).await, WorkflowState::Succeeded, "");
    assert_eq!((house.log("d1"), house.log("d2")), (vec!["one".to_owned()], vec!["one".to_owned()]));
}

#[tokio::test]
async fn a_run_within_a_run_has_its_priority() {
    let one = count("one", "All");
    let house = House::new(1, &format!("W:\n  steps:\n    - {{name: Inner, workflow: V}}\nV:\n  steps:\n    - {{name: One, {one}}}\n"));
    let mut run = new_run(&house.set, &house.set.workflows["W"], Cause::default(), &kim(), noon(), 1);
    run.priority = 2;
    house.store.start_workflow(&run, Concurrency::Parallel).unwrap();
    house.to_the_end(&run.id).await;
    let child = house.store.child_run(&run.id, 0).unwrap().unwrap();
    let job = house.store.jobs(&JobFilter { run: Some(child.id), ..JobFilter::default() }).unwrap().remove(0);
    assert_eq!((child.priority, job.priority), (2, 2));
}

#[tokio::test]
async fn a_transfer_tells_how_far_it_has_got_and_its_row_forgets_it_at_the_end() {
    let house = House::new(1, "");
    std::fs::write(house.path("here"), vec![7; 100_000]).unwrap();
    let remote = house.path("d1/there");
    let with = [("direction", "toDevice"), ("local", "here"), ("remote", remote.to_str().unwrap())];
    let run = ask(&house, call("FileTransfer", "d1", &with), &Options::default());
    let events = house.drive(Which::One(run.clone()), |_| false).await;
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| if let Event::Progress { device, progress, .. } = event { Some((&**device, progress.total)) } else { None })
        .collect();
    assert_eq!(told.first(), Some(&("d1", 100_000)), "{events:#?}");
    let job = house.store.jobs(&JobFilter { run: Some(run), ..JobFilter::default() }).unwrap().remove(0);
    assert_eq!((job.state, job.progress(), job.memo), (JobState::Succeeded, None, Value::Null), "{:?}", job.reason);
    assert_eq!(std::fs::metadata(remote).unwrap().len(), 100_000);
}

#[test]
fn how_far_a_job_has_got_stands_in_its_row_while_it_is_under_way() {
    use crate::model::job::JobProgress;
    let house = House::new(1, "");
    let run = ask(&house, note("one"), &Options::default());
    let mut led = super::super::led::Led::read(&house.store, &run).unwrap().unwrap();
    led.advance(&house.parts(), &|_| {}, &mut super::super::led::Aside::default()).unwrap();
    let job = || house.store.jobs(&JobFilter { run: Some(run.clone()), ..JobFilter::default() }).unwrap().remove(0);
    let (id, far) = (job().id, JobProgress { done: 1, total: 3, bytes_per_second: Some(1) });
    house.store.note_progress(&[(&id, far)]).unwrap();
    assert_eq!(job().memo, Value::Null, "it has not begun");
    let to = |change: JobChange| house.store.move_jobs(&[change], &Owner::this_process(), &kim()).unwrap();
    to(JobChange { memo: Some(serde_json::json!({ "kept": true })), ..JobChange::to(&id, JobState::Running) });
    house.store.note_progress(&[(&id, far)]).unwrap();
    let further = JobProgress { done: 2, ..far };
    house.store.note_progress(&[(&id, further)]).unwrap();
    assert_eq!(job().progress(), Some(further));
    to(JobChange { waits_for: Some(WaitsFor::Retry), ..JobChange::to(&id, JobState::Waiting) });
    assert_eq!((job().progress(), job().memo), (None, serde_json::json!({ "kept": true })));
}

#[tokio::test]
async fn what_was_under_way_when_its_process_ended_is_not_begun_again_once_its_run_is_cancelled() {
    let house = House::new(1, "");
    let run = ask(&house, note("one"), &Options::default());
    let mut led = super::super::led::Led::read(&house.store, &run).unwrap().unwrap();
    led.advance(&house.parts(), &|_| {}, &mut super::super::led::Aside::default()).unwrap();
    let id = house.store.jobs(&JobFilter { run: Some(run.clone()), ..JobFilter::default() }).unwrap().remove(0).id;
    let owner = Owner::this_process();
    house.store.move_jobs(&[JobChange { attempt: Some(1), ..JobChange::to(&id, JobState::Running) }], &owner, &kim()).unwrap();
    house.store.release_all(&owner).unwrap();
    house.store.ask_to_cancel(&run, "stopped by hand", &kim()).unwrap();
    ended(&house.to_the_end(&run).await, WorkflowState::Cancelled, "stopped by hand");
    let job = house.store.job(&id).unwrap().unwrap();
    assert_eq!(job.state, JobState::Interrupted);
    assert!(job.reason.unwrap().contains("may be half done"));
    assert_eq!(house.log("d1"), Vec::<String>::new());
}
