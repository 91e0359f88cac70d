use super::*;

/// One at a time at each site: the others of a site wait, and have not begun, when the run is given up.
#[tokio::test]
async fn nobody_begins_at_any_site_once_too_many_have_failed() {
    let devices = [("a1", ", site: A"), ("a2", ", site: A"), ("a3", ", site: A"), ("b1", ", site: B"), ("b2", ", site: B")];
    let policy =
        "policies:\n  P:\n    targets: ['*']\n    remediate: true\n    settings:\n      Steps:\n        '{{ vars.dir }}/x': done\n";
    let house = House::new(&devices, policy);
    steps(&house, &["a1/x", "a2/x", "a3/x", "b2/x"]);
    house.write("a1/x.fail", "");
    let plan = house.plan().await;
    // The one of the other site goes on until it is certain whether the next one of the first site began.
    let go = house.path("b1/x.go");
    let on = move |event: &Event| match event {
        Event::Device { device, .. } | Event::Change { device, state: ChangeState::Cancelled, .. } if device == "a2" => {
            std::fs::write(&go, "").unwrap();
        }
        _ => {}
    };
    let limited = ApplyOptions { per_site: Some(1), max_failures: Amount::Count(1), ..options() };
    let (_, finished) = house.apply(&plan, limited, Box::new(on)).await;
    let mut begun = house.begun();
    begun.sort();
    assert_eq!(begun, ["a1", "b1"]);
    assert_eq!(finished.states, BTreeMap::from([(ChangeState::Done, 1), (ChangeState::Failed, 1), (ChangeState::Cancelled, 3)]));
    assert_eq!((finished.failed, finished.interrupted), (vec!["a1".to_owned()], false));
    assert_eq!(finished.stopped.as_deref(), Some("1 devices failed (max_failures 1)"));
    assert!(!house.path("a2/x").exists() && !house.path("b2/x").exists());
}
