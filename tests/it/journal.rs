//! A real journal, read by the real `journalctl`: made of an export file by `systemd-journal-remote`, fetched as from any device,
//! kept in a real database, and named in the alert that it belongs to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rmm::access::{SecretError, Secrets};
use rmm::alert::Desk;
use rmm::collect::events::{Fetched, Wanted, fetch};
use rmm::model::alert::Subject;
use rmm::model::device::{Connection, TransportKind};
use rmm::model::{AlertKey, Device, Finding, Severity, Signal};
use rmm::repo::{LoadOptions, PolicySet, World, compile};
use rmm::store::{EventFilter, Store};
use rmm::time::FixedClock;
use rmm::transport::{Command, Output, Session, SessionOptions, Sessions, Target, TransportError};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";
const MONITORS: &str = "monitors: {Log: {events: {priority: info}}, Errors: {events: {units: [nginx], priority: error}}}";

struct Nothing;

impl Secrets for Nothing {
    fn resolve(&self, name: &str) -> Result<SecretString, SecretError> {
        panic!("nobody asks for {name}")
    }
}

/// This machine, whose journal lies in a folder.
struct Elsewhere {
    session: Arc<dyn Session>,
    folder: PathBuf,
}

#[async_trait::async_trait]
impl Session for Elsewhere {
    async fn run(&self, command: Command, cancel: &CancellationToken) -> Result<Output, TransportError> {
        let folder = self.folder.display();
        let line = format!("journalctl() {{ command journalctl --directory='{folder}' \"$@\"; }}\n{}", command.line);
        self.session.run(Command { line, elevate: false, ..command }, cancel).await
    }
}

/// Where the two programs are not there, says so.
fn is_there() -> bool {
    let found = Path::new(REMOTE).exists() && Process::new("journalctl").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("skipped: systemd-journal-remote is not installed (apt-get install systemd-journal-remote)");
    }
    found
}

/// Puts records into the journal of a folder.
fn write(folder: &Path, name: &str, export: &str) {
    let file = folder.join(format!("{name}.export"));
    std::fs::write(&file, export).unwrap();
    let output = format!("--output={}", folder.join(format!("{name}.journal")).display());
    let done = Process::new(REMOTE).arg(output).arg(&file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn record(at: DateTime<Utc>, unit: &str, priority: u8, message: &str) -> String {
    format!(
        "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=0123456789abcdef0123456789abcdef\nPRIORITY={priority}\n\
         _SYSTEMD_UNIT={unit}.service\nSYSLOG_IDENTIFIER={unit}\nMESSAGE={message}\n\n",
        at.timestamp_micros(),
        at.timestamp_micros() - 1_790_000_000_000_000
    )
}

fn set(root: &Path, now: DateTime<Utc>) -> Arc<PolicySet> {
    let files = [
        ("rmm.toml", "[general]\norganization = \"Example\"\n"),
        ("devices.yaml", "devices: {web-1: {os: linux}}\n"),
        ("monitors/m.yaml", MONITORS),
        ("thresholds/t.yaml", "DiskSpace: {warning: 20, critical: 10}\n"),
    ];
    let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
    let options = LoadOptions { root: root.into(), env: None, environment: Vec::new(), now };
    let loaded = compile(files, &options, World::default());
    Arc::new(loaded.set.unwrap_or_else(|| panic!("{:#?}", loaded.problems)))
}

#[tokio::test]
async fn a_real_journal_is_read_after_its_place_and_named_in_the_alert_that_it_belongs_to() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
    let ago = |minutes: i64| now - TimeDelta::minutes(minutes);
    let set = set(folder.path(), now);
    let store = Store::open(&folder.path().join("rmm.db"), Arc::new(FixedClock::new(now))).unwrap();
    let sessions = Sessions::new(SessionOptions::default(), Arc::new(Nothing));
    let connection = Connection { transport: Some(TransportKind::Local), ..Connection::default() };
    let target = Target { name: "web-1".into(), address: "web-1".into(), connection, platform: None };
    let cancel = CancellationToken::new();
    let session = Elsewhere { session: sessions.open(&target, &cancel).await.unwrap(), folder: journal.clone() };
    let device = Device { name: "web-1".into(), ..Device::default() };
    let wanted = Wanted::of(set.monitors.values().map(|monitor| &**monitor)).unwrap();
    let read = async |store: &Store| -> Fetched {
        let cursor = store.event_cursor("web-1", "journal").unwrap();
        let cursors: BTreeMap<&str, String> = cursor.map(|cursor| ("journal", cursor)).into_iter().collect();
        let fetched = fetch(&session, &device, &wanted, &cursors, &cancel).await.unwrap();
        for part in &fetched.parts {
            store.put_events("web-1", &part.source, &part.records, part.cursor.as_deref()).unwrap();
        }
        fetched
    };

    // The first look notes the place only.
    write(&journal, "a", &record(ago(60), "cron", 6, "long ago"));
    let first = read(&store).await;
    assert_eq!((first.records().count(), first.problem.as_deref()), (0, None), "{first:?}");

    // What came since is read once, in one form, what nobody asked for left out.
    let new = [
        record(ago(6), "nginx", 3, "open() failed (28: No space left on device)"),
        record(ago(5), "sshd", 6, "Failed password for root from 192.0.2.7"),
        record(ago(4), "app", 7, "too talkative"),
    ];
    write(&journal, "b", &new.concat());
    let second = read(&store).await;
    let seen: Vec<_> = second.records().map(|r| (&*r.origin, r.priority, r.at)).collect();
    assert_eq!(seen, [("nginx", 3, ago(6)), ("sshd", 6, ago(5))], "{second:?}");
    assert_eq!(read(&store).await.records().count(), 0);
    // The place is that of a record which nobody asked for: the first one after it is not lost.
    write(&journal, "d", &record(ago(3), "cron", 4, "the next one"));
    assert_eq!(read(&store).await.records().map(|r| &*r.message).collect::<Vec<_>>(), ["the next one"]);
    assert_eq!(store.events(&EventFilter::default()).unwrap().len(), 3);

    // A desk that begins only now knows of it, and names it.
    let mut desk = Desk::new(Arc::clone(&set), store.clone(), now).unwrap();
    let key = AlertKey { subject: Subject::Device("web-1".into()), kind: "DiskSpace".into(), instance: "/".into() };
    let finding = Finding {
        key,
        severity: Severity::High,
        title: "DiskSpace of /: 5 %".into(),
        message: String::new(),
        source: "threshold DiskSpace".into(),
        value: Some(5.0),
        unit: None,
        at: now,
    };
    desk.signals(vec![Signal::Raised(finding)], now).unwrap();
    let alert = store.open_alerts().unwrap().remove(0);
    assert_eq!(alert.message, "From its log:\n11:54:00 nginx (error): open() failed (28: No space left on device)");

    // A journal that is gone: it is gone on by the time, and that is said.
    for name in ["a", "b", "d"] {
        std::fs::remove_file(journal.join(format!("{name}.journal"))).unwrap();
    }
    write(&journal, "c", &record(ago(1), "nginx", 3, "back again"));
    let third = read(&store).await;
    assert_eq!(third.records().map(|r| &*r.message).collect::<Vec<_>>(), ["back again"]);
    assert!(third.problem.is_some(), "{third:?}");
}
