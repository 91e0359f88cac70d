use super::*;
use crate::apply::change::{After, Work};
use crate::transport::{Command, Output, Session, TransportError};

/// A device that takes commands and answers none of them in time.
struct Silent;

#[async_trait::async_trait]
impl Session for Silent {
    async fn run(&self, _: Command, _: &CancellationToken) -> Result<Output, TransportError> {
        Err(TransportError::Timeout { seconds: 1 })
    }
}

#[tokio::test]
async fn a_change_that_was_interrupted_waits_for_its_device_like_any_other() {
    let house = House::one("      Steps:\n        'DIR/d/1': done\n");
    let run = house.died(&house.plan().await, &[&[ChangeState::Started, ChangeState::Interrupted]]);
    let executor = house.executor(&run, options(), nothing());
    let device = Arc::clone(&house.set.devices["d"]);
    let facts = house.store.facts("d", None).unwrap();
    let mut work = Work::new(Arc::clone(&executor), &device, Arc::new(Silent), facts, Vec::new());
    let change = house.store.run_changes(&run).unwrap().remove(0);
    let after = work.carry_out(change).await.unwrap();
    assert!(matches!(after, After::DeviceLost(why) if why.contains("no answer within 1 s")));
    assert_eq!(house.states(&run), ["1 queued"]);
    // It has its turn when the device is back, and is then still known as one that was begun.
    house.write("d/1", "done");
    house.resume(&run).await;
    assert_eq!((house.states(&run), house.ran("d/1")), (vec!["1 done".to_owned()], 0));
}

#[tokio::test]
async fn a_step_that_the_journal_does_not_take_is_the_failure_of_its_device_alone() {
    let house = House::new(
        &[("d", ""), ("e", "")],
        "policies:\n  P:\n    targets: ['*']\n    remediate: true\n    settings:\n      Steps:\n        '{{ vars.dir }}/1': done\n",
    );
    steps(&house, &["d/1", "e/1"]);
    let plan = house.plan().await;
    let (run, changes) = house.run(&plan);
    let id = run.id.clone();
    let (store, of) = (house.store.clone(), id.clone());
    // Something else has ended the first device's change in the journal while it was under way.
    let on = when("d/1", ChangeState::Started, move || {
        store.transition(&of, 1, ChangeState::Failed, &Step::default(), &actor()).unwrap();
    });
    let finished = house.carry_out(&id, Task::Begin(Box::new(run), changes), options(), on).await;
    assert_eq!(finished.failed, ["d"]);
    assert_eq!(house.states(&id), ["1 failed", "1 done"]);
    assert_eq!(house.store.run(&id).unwrap().unwrap().state, RunState::Failed);
    assert_eq!(house.store.leases().unwrap(), []);
}

#[tokio::test]
async fn answers_that_were_given_at_different_times_are_as_old_as_the_oldest_of_them() {
    let house = House::one("      Steps:\n        'DIR/d/1': done\n        'DIR/d/2': done\n");
    steps(&house, &["d/1", "d/2"]);
    let plan = house.plan().await;
    house.clock.set(minutes(1));
    let clock = Arc::clone(&house.clock);
    // Both are looked at when the device begins; the first one again after it was changed, and the second one much later.
    house.apply(&plan, options(), when("/1", ChangeState::Done, move || clock.set(minutes(30)))).await;
    let files = Arc::clone(&house.store.facts("d", None).unwrap().sections["files"].data);
    assert_eq!(files.as_object().unwrap().len(), 2);
    assert_eq!(house.store.facts("d", None).unwrap().sections["files"].collected_at, minutes(1));
    assert_eq!(house.store.section_times("d").unwrap()["files"], minutes(1));

    // Where everything was seen anew, it is as new as that.
    house.clock.set(minutes(40));
    house.plan().await;
    assert_eq!(house.store.facts("d", None).unwrap().sections["files"].collected_at, minutes(40));
}
