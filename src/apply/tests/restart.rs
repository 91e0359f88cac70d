use super::*;

const SERVICE: &str =
    "      Steps:\n        'DIR/d/conf': new\n      Daemon:\n        'DIR/d/daemon': {state: running, restartOn: ['Steps.DIR/d/conf']}\n";

#[tokio::test]
async fn a_restart_whose_service_was_stopped_by_somebody_is_stale_where_its_cause_is_gone() {
    let house = House::one(SERVICE);
    house.write("d/conf.go", "");
    house.write("d/daemon", "running");
    let plan = house.plan().await;
    assert_eq!(plan.devices[0].changes.iter().map(|c| c.restart).collect::<Vec<_>>(), [false, true]);
    // Somebody was faster with the file, and stopped the service: starting it was not in the plan.
    house.write("d/conf", "new");
    house.write("d/daemon", "stopped");
    let (run, finished) = house.apply(&plan, options(), nothing()).await;
    assert_eq!(house.states(&run), ["conf skipped", "daemon stale"]);
    assert_eq!((house.ran("d/daemon"), house.read("d/daemon").as_deref()), (0, Some("stopped")));
    assert_eq!(finished.failed, Vec::<String>::new());
}

#[tokio::test]
async fn a_restart_is_skipped_where_nothing_that_it_depends_on_was_changed_and_done_where_it_was() {
    let house = House::one(SERVICE);
    house.write("d/conf.go", "");
    house.write("d/daemon", "running");
    let plan = house.plan().await;
    house.write("d/conf", "new");
    let (run, _) = house.apply(&plan, options(), nothing()).await;
    assert_eq!((house.states(&run), house.ran("d/daemon")), (vec!["conf skipped".to_owned(), "daemon skipped".into()], 0));
    house.write("d/conf", "old");
    let plan = house.plan().await;
    let (run, _) = house.apply(&plan, options(), nothing()).await;
    assert_eq!((house.states(&run), house.ran("d/daemon")), (vec!["conf done".to_owned(), "daemon done".into()], 1));
}
