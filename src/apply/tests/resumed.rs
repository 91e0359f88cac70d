use super::*;
use crate::store::AuditFilter;

const THREE: &str = "      Steps:\n        '{{ vars.dir }}/1': done\n        '{{ vars.dir }}/2': done\n        '{{ vars.dir }}/3': done\n";

fn policy() -> String {
    format!("policies:\n  P:\n    targets: ['*']\n    remediate: true\n    settings:\n{THREE}")
}

fn all(device: &str) -> Vec<String> {
    (1..=3).map(|i| format!("{device}/{i}")).collect()
}

fn go(house: &House, device: &str) {
    for name in all(device) {
        house.write(&format!("{name}.go"), "");
    }
}

#[tokio::test]
async fn after_a_crash_what_had_begun_is_looked_at_again_and_run_only_where_it_was_not_done() {
    let house = House::new(&[("d", "")], &policy());
    go(&house, "d");
    let plan = house.plan().await;
    let run = house.died(&plan, &[&[ChangeState::Started], &[ChangeState::Started]]);
    // The first one's command came to its end before the process died, the second one's did not.
    house.write("d/1", "done");
    house.resume(&run).await;
    assert_eq!(house.states(&run), ["1 done", "2 done", "3 done"]);
    assert_eq!((house.ran("d/1"), house.ran("d/2"), house.ran("d/3")), (0, 1, 1));
    let attempts: Vec<u32> = house.store.run_changes(&run).unwrap().iter().map(|c| c.attempts).collect();
    assert_eq!(attempts, [1, 2, 1]);
}

#[tokio::test]
async fn after_a_crash_devices_that_were_not_begun_leave_out_what_somebody_else_has_changed() {
    let house = House::new(&[("d", ""), ("e", "")], &policy());
    go(&house, "d");
    go(&house, "e");
    let plan = house.plan().await;
    let run = house.died(&plan, &[&[ChangeState::Started, ChangeState::Done], &[ChangeState::Started]]);
    house.write("d/1", "done");
    // On the device where the run was at work it may itself be the reason; on the other one it cannot be.
    house.write("d/3", "by hand");
    house.write("e/2", "by hand");
    house.resume(&run).await;
    assert_eq!(house.states(&run), ["1 done", "2 done", "3 done", "1 done", "2 stale", "3 done"]);
    assert_eq!((house.read("d/3").as_deref(), house.read("e/2").as_deref()), (Some("done"), Some("by hand")));
    assert!(house.error(&run, 5).contains("no longer the one in the plan"));
}

#[tokio::test]
async fn a_run_that_was_stopped_leaves_out_what_changed_while_it_waited_and_keeps_what_it_changed_itself() {
    let house = House::new(&[("d", "")], &policy());
    go(&house, "d");
    let plan = house.plan().await;
    let (run, changes) = house.run(&plan);
    let id = run.id.clone();
    // It is stopped once its first change is done, and that change writes the second one's file as well.
    let stop: Arc<Mutex<Option<CancellationToken>>> = Arc::default();
    let (asked, side) = (Arc::clone(&stop), house.path("d/2"));
    let on = when("/1", ChangeState::Done, move || {
        std::fs::write(&side, "half").unwrap();
        asked.lock().unwrap().as_ref().unwrap().cancel();
    });
    let executor = house.executor(&id, options(), on);
    *stop.lock().unwrap() = Some(executor.stop.clone());
    let task = Task::Begin(Box::new(run), changes);
    let stages = stages_of(&house.set, &house.store, &[], task.changes()).unwrap();
    let finished = executor.carry_out(task, stages).await.unwrap();
    assert_eq!((house.states(&id), finished.interrupted), (vec!["1 done".into(), "2 cancelled".into(), "3 cancelled".into()], true));
    // What the run saw last is what counts: here, what a later observation has kept.
    house.plan().await;
    house.write("d/3", "by hand");
    house.resume(&id).await;
    assert_eq!(house.states(&id), ["1 done", "2 done", "3 stale"]);
    assert_eq!(house.read("d/3").as_deref(), Some("by hand"));
}

#[tokio::test]
async fn resuming_a_run_is_on_record_whether_it_was_stopped_or_its_process_died() {
    let house = House::one("      Steps:\n        'DIR/d/1': done\n");
    house.write("d/1.go", "");
    let run = house.died(&house.plan().await, &[&[ChangeState::Started]]);
    house.resume(&run).await;
    let rows = house.store.audit_list(&AuditFilter { action: Some("run".into()), ..AuditFilter::default() }).unwrap();
    let mut rows: Vec<_> = rows.iter().map(|row| (row.event.action.as_str(), row.event.details["was"].as_str())).collect();
    rows.sort_unstable();
    assert_eq!(rows, [("run.done", Some("running")), ("run.resumed", Some("running")), ("run.started", None)]);
}
