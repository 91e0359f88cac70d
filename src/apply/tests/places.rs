//! Devices behind shares wait for most of their time: they have places of their own.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::model::device::TransportKind;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_behind_a_share_holds_up_nobody_who_is_reached_directly() {
    let policy = "policies:\n  P:\n    targets: ['*']\n    remediate: true\n    settings:\n      Steps: {'{{ vars.dir }}/1': done}\n";
    let house = House::new(&[("a-far", ""), ("b", ""), ("c", "")], policy);
    steps(&house, &["b/1", "c/1"]);
    let plan = house.plan().await;
    let mut set = (*house.set).clone();
    let mut far = (*set.devices["a-far"]).clone();
    far.connection.transport = Some(TransportKind::Share);
    set.devices.insert("a-far".into(), Arc::new(far));
    let house = House { set: Arc::new(set), ..house };
    // It comes first, and keeps its place until both others are done. Were there one place for all, they would wait for it.
    let (done, waits) = mpsc::channel();
    let waits = Mutex::new(waits);
    let both = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&both);
    let on: Box<OnEvent> = Box::new(move |event| match event {
        Event::Device { device, .. } if device == "a-far" => {
            let waits = waits.lock().unwrap();
            seen.store((0..2).all(|_| waits.recv_timeout(Duration::from_secs(30)).is_ok()), Ordering::SeqCst);
        }
        Event::Change { state: ChangeState::Done, .. } => done.send(()).unwrap(),
        _ => {}
    });
    let (run, _) = house.apply(&plan, ApplyOptions { concurrency: 1, ..options() }, on).await;
    assert!(both.load(Ordering::SeqCst), "they waited for the device behind the share");
    assert_eq!(house.states(&run)[1..], ["1 done", "1 done"]);
    assert_eq!((house.ran("b/1"), house.ran("c/1")), (1, 1));
}
