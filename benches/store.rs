//! The database at 10,000 devices: what writing samples costs, how long a value, a week and a quarter take to read, and how long others
//! wait while hours are summed up and old rows forgotten.
//!
//! `cargo bench --bench store`; DEVICES and WEEKS (of the seven days of samples: 1 is all) make it smaller.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a measurement: it prints, and what goes wrong ends it

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rmm::store::{DeviceRow, DeviceSamples, Retention, SeriesName, Status, Store};
use rmm::time::{Clock, FixedClock};

const METRICS: [&str; 10] =
    ["CPU", "Memory", "Swap", "Load", "DiskLatency", "DiskQueue", "Temperature", "NetworkErrors", "Latency", "PacketLoss"];
const HOUR: i64 = 3_600_000;

fn number(name: &str, default: i64) -> i64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn measured(device: i64, at: DateTime<Utc>) -> DeviceSamples {
    let values = METRICS.iter().enumerate().map(|(i, metric)| {
        let name = SeriesName { metric: (*metric).into(), instance: "".into(), unit: Some("%".into()) };
        (name, ((device * 31 + i as i64 * 17 + at.timestamp() / 60) % 9973) as f64 / 99.73)
    });
    DeviceSamples { device: format!("device-{device:05}").into(), at, values: values.collect() }
}

/// Time that this process has been given by the processors.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> = text.rsplit_once(')').unwrap().1.split_ascii_whitespace().skip(11).take(2).map(|f| f.parse().unwrap()).collect();
    Duration::from_millis((fields[0] + fields[1]) * 10)
}

fn timed(what: &str, limit: f64, mut work: impl FnMut(i64) -> usize) {
    let mut took: Vec<f64> = Vec::new();
    let mut found = 0;
    for i in 0..50 {
        let begun = Instant::now();
        found = work(i);
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    took.sort_by(f64::total_cmp);
    println!("{what:<44} {found:>6} points   median {:>7.2} ms   most {:>7.2} ms   (promised: {limit} ms)", took[25], took[49]);
}

/// Does something while another writer writes small rows all the time. Returns how long the longest of them took.
fn others_wait(path: &std::path::Path, clock: &Arc<FixedClock>, work: impl FnOnce()) -> Duration {
    let other = Store::open(path, clock.clone()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let begun = Instant::now();
                other.set_status("device-00001", Status::Online, None, clock.now()).unwrap();
                longest = longest.max(begun.elapsed());
                std::thread::sleep(Duration::from_millis(5));
            }
            longest
        });
        work();
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    })
}

fn main() {
    let (devices, week) = (number("DEVICES", 10_000), number("WEEKS", 1).clamp(0, 1));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rmm.db");
    let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
    let clock = Arc::new(FixedClock::new(now));
    let store = Store::open(&path, clock.clone()).unwrap();
    let rows: Vec<_> = (1..=devices).map(|i| DeviceRow { name: format!("device-{i:05}"), ..DeviceRow::default() }).collect();
    store.sync_devices(&rows).unwrap();
    store.put_samples(&[measured(1, now - TimeDelta::days(8))]).unwrap();
    store.roll_up(TimeDelta::days(9)).unwrap();
    fill(&path, now, if week == 1 { 7 * 288 } else { 288 });
    let size = || std::fs::metadata(&path).unwrap().len() as f64 / 1e9;
    println!("{devices} devices, {} metrics: {:.2} GB\n", METRICS.len(), size());

    // An hour as it comes: batches of 33 devices, one a second.
    let (begun, before, mut batches) = (Instant::now(), cpu(), 0);
    for round in 0..12 {
        let all: Vec<_> = (1..=devices).map(|i| measured(i, now + TimeDelta::seconds(round * 300 + i * 300 / devices))).collect();
        for batch in all.chunks(33) {
            store.put_samples(batch).unwrap();
            batches += 1;
        }
    }
    let (wall, busy) = (begun.elapsed().as_secs_f64() * 1000.0, cpu().saturating_sub(before).as_secs_f64() * 1000.0);
    let n = f64::from(batches);
    println!("a batch of 33 devices (one a second): {:.2} ms, {:.2} ms of a core = {:.2} %", wall / n, busy / n, busy / n / 10.0);

    clock.set(now + TimeDelta::minutes(59));
    timed("latest of a device", 10.0, |i| store.latest_metrics(&format!("device-{:05}", 1 + i * 199 % devices)).unwrap().len());
    let (begun, before) = (Instant::now(), cpu());
    clock.set(now + TimeDelta::minutes(61));
    let longest = others_wait(&path, &clock, || {
        store.roll_up(TimeDelta::days(7)).unwrap();
    });
    let (wall, busy) = (begun.elapsed().as_secs_f64(), cpu().saturating_sub(before).as_secs_f64());
    println!("summing up an hour: {wall:.1} s, {busy:.1} s of a core; others waited {:.0} ms at most", longest.as_secs_f64() * 1000.0);

    let series = |i: i64, from: DateTime<Utc>| {
        let device = format!("device-{:05}", 1 + i * 199 % devices);
        store.metric_samples(&device, "CPU", "", from, now + TimeDelta::hours(1), 100_000).unwrap().len()
    };
    timed("a day of one series", 100.0, |i| series(i, now - TimeDelta::days(1)));
    timed("a week of one series", 100.0, |i| series(i, now - TimeDelta::days(7)));
    timed("90 days of one series", 1000.0, |i| series(i, now - TimeDelta::days(90)));
    timed("90 days of hours: least, average, most", 1000.0, |i| {
        let device = format!("device-{:05}", 1 + i * 199 % devices);
        store.metric_rollups(&device, "CPU", "", now - TimeDelta::days(90), now).unwrap().len()
    });

    // A day later: what is a day older goes.
    clock.set(now + TimeDelta::days(1));
    let begun = Instant::now();
    let mut removed = 0;
    let longest = others_wait(&path, &clock, || removed = store.forget(&Retention::default()).unwrap());
    println!(
        "forgetting a day: {removed} rows, {:.1} s; others waited {:.0} ms at most",
        begun.elapsed().as_secs_f64(),
        longest.as_secs_f64() * 1000.0
    );
    let begun = Instant::now();
    let mut files = 0;
    let longest = others_wait(&path, &clock, || files = store.archive_rollups(clock.now() - TimeDelta::days(90)).unwrap());
    let (wall, others) = (begun.elapsed().as_secs_f64(), longest.as_secs_f64() * 1000.0);
    let archived: u64 = store.archive_days().unwrap().iter().map(|(_, path)| std::fs::metadata(path).unwrap().len()).sum();
    println!("archiving: {files} files, {:.1} MB, {wall:.1} s; others waited {others:.0} ms at most", archived as f64 / 1e6);
    timed("a day of one series from the archive", 1000.0, |i| {
        let device = format!("device-{:05}", 1 + i * 199 % devices);
        let from = now - TimeDelta::days(90);
        store.metric_rollups(&device, "CPU", "", from, from + TimeDelta::hours(11)).unwrap().len()
    });
    let begun = Instant::now();
    let longest = others_wait(&path, &clock, || store.backup(&directory.path().join("copy.db")).unwrap());
    println!("backup: {:.1} s; others waited {:.0} ms at most", begun.elapsed().as_secs_f64(), longest.as_secs_f64() * 1000.0);
    println!("{:.2} GB", size());
}

/// Seven days of samples and ninety of hours, as rolling up leaves them; by SQL, since it takes a week otherwise.
fn fill(path: &std::path::Path, now: DateTime<Utc>, moments: i64) {
    let db = rusqlite::Connection::open(path).unwrap();
    let value = |i: i64| format!("{:.4}", (i * 7919 % 9973) as f64 / 99.73);
    db.execute_batch("PRAGMA synchronous = OFF; CREATE TEMP TABLE Texts (Id INTEGER PRIMARY KEY, Vals TEXT, Hour TEXT)").unwrap();
    for i in 0..500 {
        let list = |from: i64| (0..10).map(|j| value(i * 40 + j + from)).collect::<Vec<_>>().join(",");
        let counts = ["12"; 10].join(",");
        let hour = format!("[[{}],[{}],[{}],[{counts}]]", list(0), list(10), list(20));
        db.execute("INSERT INTO Texts VALUES (?1, ?2, ?3)", rusqlite::params![i, format!("[{}]", list(0)), hour]).unwrap();
    }
    let hour = now.timestamp_millis() / HOUR;
    db.execute(
        "WITH RECURSIVE t(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM t WHERE i + 1 < ?2)
         INSERT OR IGNORE INTO MetricSamples SELECT d.Id, ?1 - (?2 - t.i) * 300000 + d.Id * 29, (SELECT max(Id) FROM MetricLayouts), x.Vals
         FROM Devices d CROSS JOIN t CROSS JOIN Texts x ON x.Id = (d.Id * 7 + t.i) % 500",
        [now.timestamp_millis(), moments],
    )
    .unwrap();
    db.execute(
        "WITH RECURSIVE t(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM t WHERE i + 1 < 2160)
         INSERT OR IGNORE INTO MetricHours SELECT d.Id, ?1 - 2160 + t.i, (SELECT max(Id) FROM MetricLayouts), x.Hour
         FROM Devices d CROSS JOIN t CROSS JOIN Texts x ON x.Id = (d.Id * 7 + t.i) % 500",
        [hour],
    )
    .unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}
