use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::access::{Redactor, SecretStore};
use crate::alert::Desk;
use crate::model::alert::Subject;
use crate::model::run::Actor;
use crate::model::{AlertKey, Finding, Severity, Signal};
use crate::repo::{LoadOptions, World, compile};
use crate::store::{Owner, Status, Store};
use crate::time::FixedClock;

fn now() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn parts(folder: &std::path::Path) -> Parts {
    let clock = Arc::new(FixedClock::new(now()));
    let options = LoadOptions { root: folder.into(), env: None, environment: Vec::new(), now: now() };
    let files = [("rmm.toml", ""), ("devices.yaml", "devices: {a: {os: linux}, b: {os: linux}, c: {os: linux}}\n")];
    let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
    let set = Arc::new(compile(files, &options, World::default()).set.unwrap());
    let secrets = Arc::new(SecretStore::new(folder, Redactor::new()));
    Parts {
        sessions: crate::apply::sessions(&set, &secrets),
        store: Store::open(&folder.join("rmm.db"), clock.clone()).unwrap(),
        redactor: Redactor::new(),
        actor: Actor { user: "kim".into(), from: "test".into() },
        set,
        secrets,
        clock,
    }
}

fn marked(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

#[test]
fn what_changes_several_times_is_judged_once_and_nothing_is_left_out() {
    let marks = Marks::default();
    marks.put(marked(&["c", "a", "b"]));
    marks.put(marked(&["a", "b"]));
    assert_eq!(marks.take(2).into_iter().collect::<Vec<_>>(), marked(&["a", "b"]));
    assert_eq!(marks.take(2).into_iter().collect::<Vec<_>>(), marked(&["c"]));
    assert!(marks.take(2).is_empty());
}

#[tokio::test]
async fn what_has_changed_is_judged_soon_the_rest_in_turn_and_commands_read_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(folder.path());
    crate::apply::declare(&parts.set, &parts.store).unwrap();
    for device in ["a", "b"] {
        parts.store.set_status(device, Status::Online, None, now()).unwrap();
    }
    let (marks, vitals) = (Marks::default(), Arc::new(Vitals::default()));
    let mut judge = Judge::new(parts.clone(), marks.clone(), Arc::clone(&vitals));
    let scores = || -> Vec<(Arc<str>, u8)> { parts.store.health(None).unwrap().into_iter().map(|(name, row)| (name, row.score)).collect() };
    marks.put(marked(&["a", "gone"]));
    judge.step(Duration::ZERO).await;
    assert_eq!(scores(), [("a".into(), 100)]);
    // A third of the round: one more device; the whole of it: all. Of c nothing is known.
    judge.step(ROUND / 3).await;
    judge.step(ROUND / 3).await;
    assert_eq!(scores(), [("a".into(), 100), ("b".into(), 100)]);

    let mut desk = Desk::new(Arc::clone(&parts.set), parts.store.clone(), now()).unwrap();
    let finding = Finding {
        key: AlertKey { subject: Subject::Device("b".into()), kind: "Shop".into(), instance: "".into() },
        severity: Severity::Critical,
        title: "the shop is closed".into(),
        message: String::new(),
        source: "monitor Shop".into(),
        value: None,
        unit: None,
        at: now(),
    };
    desk.signals(vec![Signal::Raised(finding)], now()).unwrap();
    let touched = desk.take_written();
    assert_eq!(touched.iter().cloned().collect::<Vec<_>>(), marked(&["b"]));
    assert!(desk.take_written().is_empty());
    // Without a daemon whoever asks judges; with one, what it keeps is read. Both say the same.
    let devices: Vec<_> = parts.set.devices.values().cloned().collect();
    let ask = || health::current(&parts.store, &devices, |devices| parts.survey().verdicts(devices), now()).unwrap();
    let without = ask();
    parts.store.lease_daemon(&Owner::named("elsewhere/1/1/1/1"), TimeDelta::seconds(15)).unwrap();
    assert_eq!(ask()["b"].score, Some(100), "it has not been judged again yet");
    marks.put(touched);
    judge.step(Duration::ZERO).await;
    assert_eq!(ask(), without);
    assert_eq!((without["b"].score, without["b"].condition), (Some(40), Condition::Critical));
    assert_eq!(without["c"].condition, Condition::Unknown);
    let figures = vitals.metrics();
    for line in ["rmm_devices_health{health=\"healthy\"} 1", "rmm_devices_health{health=\"critical\"} 1"] {
        assert!(figures.contains(line), "{figures}");
    }
}
