//! What the log of a device says is named in its alerts: by the same thing, near in time, and for good.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::collect::events::{Wanted, fetch};
use crate::model::event::EventRecord;
use crate::model::monitor::{Check, Confirm, Events, Monitor, Priority};
use crate::model::{Device, Place};
use crate::time::Span;
use crate::transport::{Command, Output, Session, TransportError};

const RULES: &str = "rules: {All: {channels: [team], repeat: 30m}}";
const SPACE: &str = "DiskSpace: {warning: 20, critical: 10}";
/// As `journalctl` printed it; between 11:50 and 12:01.
const JOURNAL: &str = include_str!("../../collect/samples/journal.jsonl");

/// A device whose journal was recorded.
struct Recorded;

#[async_trait::async_trait]
impl Session for Recorded {
    async fn run(&self, _: Command, _: &CancellationToken) -> Result<Output, TransportError> {
        let (first, last) = (JOURNAL.lines().next().unwrap(), JOURNAL.lines().last().unwrap());
        Ok(Output { stdout: format!("{last}\n#\n{first}\n#\n{JOURNAL}").into_bytes(), ..Output::default() })
    }
}

/// The records of a device, read as the daemon reads them.
fn journal(device: &str) -> Vec<EventRecord> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let device = Device { name: device.to_owned(), ..Device::default() };
    let events = Events { priority: Priority::Debug, ..Events::default() };
    let monitor = Monitor {
        name: "Log".into(),
        description: None,
        targets: Vec::new(),
        exclude: Vec::new(),
        check: Check::Events(events),
        every: Span::seconds(60),
        timeout: Span::seconds(5),
        confirm: Confirm::default(),
        severity: Severity::High,
        place: Place::default(),
    };
    let wanted = Wanted::of([&monitor]).unwrap();
    let cursors = BTreeMap::from([("journal", "s=a;i=1;t=5e0be100".to_owned())]);
    let fetched = runtime.block_on(fetch(&Recorded, &device, &wanted, &cursors, &CancellationToken::new())).unwrap();
    let records: Vec<EventRecord> = fetched.records().cloned().collect();
    assert_eq!(records.len(), 8);
    records
}

impl Room {
    fn log(&mut self, records: &[EventRecord]) -> String {
        self.call(|desk, now| desk.records(records, now).unwrap());
        self.said()
    }

    fn message(&self, device: &str, kind: &str) -> String {
        self.alert(device, kind).message
    }
}

#[test]
fn an_alert_names_what_the_log_of_its_device_said_about_the_same_thing_before_and_after() {
    for restarts in [false, true] {
        let mut room = Room::new(set(RULES, SPACE), "12:00");
        room.restarts = restarts;
        let records = journal("web-1");
        let before: Vec<EventRecord> = records.iter().filter(|record| record.at < room.now).cloned().collect();
        // Kept as the daemon keeps them: another desk finds them there.
        room.log(&before);
        room.store.put_events("web-1", "journal", &before, None).unwrap();
        room.measure("web-1", "DiskSpace", "/data", 5.0);
        let first = room.message("web-1", "DiskSpace");
        let lines: Vec<&str> = first.lines().collect();
        assert_eq!(lines[0], "From its log:", "{first}");
        assert_eq!(lines.len(), 3, "the disk's own records, not those of memory, of logins or of cron: {first}");
        assert!(lines[1].starts_with("11:54:00 kernel (warning): EXT4-fs warning (device sda1)"), "{first}");
        assert!(lines[2].contains("11:55:00 postgresql (error): could not write"), "{first}");
        // The channels hear of it with the first message.
        let told = room.store.deliveries(&DeliveryFilter::default()).unwrap();
        assert_eq!(told[0].message.alerts[0].message, first);

        // Written shortly after.
        room.until("12:02");
        assert_eq!(room.log(&records), "", "nobody is called again because of it");
        let second = room.message("web-1", "DiskSpace");
        assert!(second.ends_with("open() \"/var/log/nginx/error.log\" failed (28: No space left on device)"), "{second}");
        assert!(second.starts_with(&first), "{second}");

        // Raised again: what is named stays, and is named once.
        room.until("12:05");
        room.measure("web-1", "DiskSpace", "/data", 4.0);
        room.log(&records);
        assert_eq!(room.message("web-1", "DiskSpace"), second);
        // And whoever hears of it later hears all of it.
        let said = room.until("12:31");
        assert_eq!(said, "12:30 repeated team web-1/DiskSpace\n");
        let told = room.store.deliveries(&DeliveryFilter { limit: 1, ..DeliveryFilter::default() }).unwrap();
        assert_eq!(told[0].message.alerts[0].message, second);
        room.measure("web-1", "DiskSpace", "/data", 50.0);
        assert_eq!(room.message("web-1", "DiskSpace"), second, "also when it is over");
    }
}

#[test]
fn what_is_about_something_else_or_another_device_is_not_named() {
    let mut room = Room::new(set(RULES, SPACE), "12:00");
    room.log(&journal("web-2"));
    room.measure("web-1", "DiskSpace", "/", 5.0);
    assert_eq!(room.message("web-1", "DiskSpace"), "");
    room.log(&journal("web-1"));
    room.raise("web-1", "Battery@BAT0", Severity::High);
    assert_eq!(room.message("web-1", "Battery"), "");
}

#[test]
fn a_service_names_its_unit_a_login_who_was_refused_and_an_offline_device_its_errors() {
    let mut room = Room::new(set(RULES, ""), "12:00");
    room.log(&journal("web-1"));
    room.raise("web-1", "Shop@nginx", Severity::High);
    let service = room.message("web-1", "Shop");
    assert!(service.contains("nginx (error): worker process 813") && service.contains("kernel (error): Out of memory"), "{service}");
    assert!(!service.contains("postgresql") && !service.contains("sshd"), "{service}");
    room.raise("web-1", "Failed logins", Severity::High);
    let login = room.message("web-1", "Failed logins");
    assert_eq!(login, "From its log:\n11:52:00 ssh (info): Failed password for root from 192.0.2.7 port 52114 ssh2");
    room.raise("web-1", kind::OFFLINE, Severity::High);
    let offline = room.message("web-1", kind::OFFLINE);
    assert!(offline.contains("Out of memory") && offline.contains("pgsql_tmp") && !offline.contains("CRON"), "{offline}");
}

#[test]
fn the_message_of_a_finding_changes_and_what_its_device_said_stays() {
    let mut room = Room::new(set(RULES, ""), "12:00");
    let mut disk = finding("web-1", "Disk", Severity::High, room.now);
    disk.message = "5 % free".into();
    room.signal(Signal::Raised(disk.clone()));
    room.log(&journal("web-1")[4..5]);
    let said = "From its log:\n11:55:00 postgresql (error): could not write to file \"base/pgsql_tmp\": No space left on device";
    assert_eq!(room.message("web-1", "Disk"), format!("5 % free\n\n{said}"));
    disk.message = "4 % free".into();
    room.signal(Signal::Raised(disk.clone()));
    assert_eq!(room.message("web-1", "Disk"), format!("4 % free\n\n{said}"));
    // Over, and shortly after again: the same alert.
    room.clear("web-1", "Disk");
    room.until("12:02");
    disk.at = room.now;
    room.signal(Signal::Raised(disk.clone()));
    assert_eq!(room.message("web-1", "Disk"), format!("4 % free\n\n{said}"));
    // It quotes a record itself.
    disk.message = "no more".into();
    room.signal(Signal::Raised(disk));
    assert_eq!(room.message("web-1", "Disk"), format!("no more\n\n{said}"));
}

#[test]
fn a_log_that_never_ends_costs_so_much_memory_and_an_alert_so_many_lines() {
    let mut room = Room::new(set(RULES, SPACE), "12:00");
    room.measure("web-1", "DiskSpace", "/", 5.0);
    let one = &journal("web-1")[4];
    for minute in 0..6 {
        let records: Vec<EventRecord> = (0..5000_u32)
            .map(|n| EventRecord {
                device: format!("d-{}", n % 100).into(),
                at: one.at + minutes(minute),
                message: format!("I/O error {n}: {}", "x".repeat(4000)),
                ..one.clone()
            })
            .chain((0..50).map(|n| EventRecord { message: format!("I/O error {minute}-{n}"), at: room.now, ..one.clone() }))
            .collect();
        room.log(&records);
    }
    let message = room.message("web-1", "DiskSpace");
    assert_eq!(message.lines().count(), 11, "{message}");
    assert!(room.desk.remembered() <= 20_000, "{}", room.desk.remembered());
}

#[test]
fn a_record_that_a_finding_quotes_is_not_said_twice() {
    let mut room = Room::new(set(RULES, ""), "12:00");
    let records = journal("web-1");
    room.log(&records);
    let mut logged = finding("web-1", "Errors@postgresql", Severity::High, room.now);
    logged.message = format!("11:55:00 {}\n", records[4].message);
    room.signal(Signal::Occurred(logged));
    assert_eq!(room.message("web-1", "Errors"), format!("11:55:00 {}\n", records[4].message));
}
