//! Runs, their journal and leases.

use proptest::prelude::*;

use super::*;
use crate::store::{AuditFilter, Owner, Step, StoreError};

const ALL: [ChangeState; 10] = [
    ChangeState::Pending,
    ChangeState::Started,
    ChangeState::Done,
    ChangeState::Skipped,
    ChangeState::Failed,
    ChangeState::RolledBack,
    ChangeState::Cancelled,
    ChangeState::Queued,
    ChangeState::Stale,
    ChangeState::Interrupted,
];

fn with_run() -> House {
    let house = house();
    house.store.create_run(&run("r-1"), &[run_change("r-1", 1, "a"), run_change("r-1", 2, "b")]).unwrap();
    house
}

#[test]
fn a_run_is_read_back_as_it_was_created() {
    let house = with_run();
    assert_eq!(house.store.run("r-1").unwrap(), Some(run("r-1")));
    assert_eq!(house.store.run("r-2").unwrap(), None);
    assert_eq!(house.store.run_changes("r-1").unwrap(), [run_change("r-1", 1, "a"), run_change("r-1", 2, "b")]);
    assert_eq!(house.store.audit_list(&AuditFilter::default()).unwrap()[0].event.action, "run.started");
}

#[test]
fn a_run_that_exists_is_not_created_again() {
    let house = with_run();
    assert!(house.store.create_run(&run("r-1"), &[run_change("r-1", 3, "c")]).is_err());
    assert_eq!(house.store.run_changes("r-1").unwrap().len(), 2);
    assert_eq!(house.store.audit_verify(None).unwrap().unwrap().rows, 1);
}

#[test]
fn a_step_is_recorded_with_what_was_seen_and_with_its_audit_row() {
    let house = with_run();
    house.clock.set(minutes(1));
    let started =
        house.store.transition("r-1", 1, ChangeState::Started, &Step { before: Some(json!("off")), ..Step::default() }, &actor()).unwrap();
    assert_eq!((started.attempts, started.started_at, started.finished_at), (1, Some(minutes(1)), None));
    house.clock.set(minutes(2));
    let step = Step { error: Some("expected on, saw off".into()), after: Some(json!("off")), before: None };
    let failed = house.store.transition("r-1", 1, ChangeState::Failed, &step, &actor()).unwrap();
    assert_eq!(house.store.run_changes("r-1").unwrap()[0], failed);
    assert_eq!((failed.before, failed.after, failed.finished_at), (Some(json!("off")), Some(json!("off")), Some(minutes(2))));
    let audit = house.store.audit_list(&AuditFilter { action: Some("change".into()), ..Default::default() }).unwrap();
    assert_eq!(
        audit.iter().map(|r| (r.event.action.as_str(), r.event.success)).collect::<Vec<_>>(),
        [("change.started", true), ("change.failed", false)]
    );
    assert_eq!(audit[1].event.target.as_deref(), Some("a"));
    let status: String =
        stranger(&house.path).query_row("SELECT Status FROM Actions WHERE ActionId = 'r-1/1'", [], |row| row.get(0)).unwrap();
    assert_eq!(status, "Failed");
}

#[test]
fn a_refused_step_leaves_no_trace() {
    let house = with_run();
    let before = (house.store.run_changes("r-1").unwrap(), house.store.audit_verify(None).unwrap());
    let error = house.store.transition("r-1", 1, ChangeState::Done, &Step::default(), &actor()).unwrap_err();
    assert!(matches!(error, StoreError::Transition { from: ChangeState::Pending, to: ChangeState::Done, .. }));
    assert_eq!((house.store.run_changes("r-1").unwrap(), house.store.audit_verify(None).unwrap()), before);
    assert_eq!(code(house.store.transition("r-1", 9, ChangeState::Started, &Step::default(), &actor())), "RMM0510");
}

#[test]
fn a_run_ends_once_and_only_an_interrupted_one_is_resumed() {
    let house = with_run();
    assert_eq!(house.store.unfinished_runs().unwrap().len(), 1);
    house.store.set_run_state("r-1", RunState::Interrupted, &actor()).unwrap();
    house.store.set_run_state("r-1", RunState::Running, &actor()).unwrap();
    assert_eq!(house.store.run("r-1").unwrap().unwrap().finished_at, None);
    house.store.set_run_state("r-1", RunState::Done, &actor()).unwrap();
    assert_eq!(code(house.store.set_run_state("r-1", RunState::Running, &actor())), "RMM0508");
    assert_eq!(house.store.unfinished_runs().unwrap(), []);
    assert_eq!(house.store.runs(10).unwrap()[0].state, RunState::Done);
}

#[test]
fn a_device_is_leased_to_one_run_until_it_is_given_back_or_the_time_is_up() {
    let house = house();
    let (one, two, ttl) = (Owner::this_process(), Owner::this_process(), TimeDelta::seconds(30));
    house.store.lease_device("a", "r-1", &one, ttl).unwrap();
    house.store.lease_device("a", "r-1", &one, ttl).unwrap();
    let error = house.store.lease_device("a", "r-2", &two, ttl).unwrap_err();
    assert!(error.to_string().contains("device a is being changed by run r-1"), "{error}");
    house.store.lease_device("b", "r-2", &two, ttl).unwrap();
    house.store.release_all(&Owner::this_process()).unwrap();
    assert_eq!(house.store.leases().unwrap().len(), 2, "only the holder gives back");
    house.clock.set(noon() + TimeDelta::seconds(20));
    assert_eq!(house.store.heartbeat(&one, ttl).unwrap(), 1);
    house.clock.set(noon() + TimeDelta::seconds(40));
    assert_eq!(code(house.store.lease_device("a", "r-2", &two, ttl)), "RMM0509");
    house.clock.set(noon() + TimeDelta::seconds(51));
    house.store.lease_device("a", "r-2", &two, ttl).unwrap();
    assert_eq!(house.store.heartbeat(&one, ttl).unwrap(), 0, "the first learns that it has lost it");
    assert_eq!(house.store.release_all(&two).unwrap(), 2);
}

#[test]
fn a_lease_of_a_process_that_is_gone_is_taken_over_at_once() {
    let house = house();
    let here = Owner::this_process();
    assert!(!here.is_gone());
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id().to_string();
    child.wait().unwrap();
    let gone = Owner::named(here.as_str().replacen(&format!("/{}/", std::process::id()), &format!("/{pid}/"), 1));
    house.store.lease_run("r-1", &gone, TimeDelta::hours(1)).unwrap();
    house.store.lease_run("r-1", &here, TimeDelta::hours(1)).unwrap();
}

#[test]
fn of_a_process_elsewhere_the_time_alone_decides() {
    let house = house();
    house.store.lease_run("r-1", &Owner::named("other-boot:1:0/1/1/1/0"), TimeDelta::hours(1)).unwrap();
    assert_eq!(code(house.store.lease_run("r-1", &Owner::this_process(), TimeDelta::hours(1))), "RMM0509");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_asked_the_journal_takes_only_steps_that_the_model_allows(steps in proptest::collection::vec(0..ALL.len(), 1..25)) {
        let house = with_run();
        let (mut state, mut attempts, mut taken) = (ChangeState::Pending, 0, 1);
        for step in steps {
            let next = ALL[step];
            let result = house.store.transition("r-1", 1, next, &Step::default(), &actor());
            let never_begun = state == ChangeState::Pending && next == ChangeState::Done && attempts == 0;
            prop_assert_eq!(result.is_ok(), state.may_become(next) && !never_begun);
            if let Ok(change) = result {
                state = next;
                taken += 1;
                attempts += u32::from(next == ChangeState::Started);
                prop_assert_eq!(change.attempts, attempts);
                prop_assert_eq!(change.finished_at.is_some(), next.is_final());
            }
            prop_assert_eq!(house.store.run_changes("r-1").unwrap()[0].state, state);
        }
        prop_assert_eq!(house.store.audit_verify(None).unwrap().unwrap().rows, taken);
    }
}
