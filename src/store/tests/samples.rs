//! Samples through all tiers: log, table, hours, archive.

use std::sync::Arc;

use super::*;
use crate::store::{DeviceSamples, Retention, SeriesName};

const WEEK: TimeDelta = TimeDelta::days(7);

fn name(metric: &str, instance: &str) -> SeriesName {
    SeriesName { metric: metric.into(), instance: instance.into(), unit: Some("%".into()) }
}

fn measured(device: &str, at: DateTime<Utc>, cpu: f64) -> DeviceSamples {
    DeviceSamples { device: device.into(), at, values: vec![(name("CPU", ""), cpu), (name("DiskSpace", "/"), 40.0)] }
}

/// An hour of samples, every five minutes: 0, 1, ... 11 plus `base`.
fn hour_of(device: &str, from: i64, base: f64) -> Vec<DeviceSamples> {
    (0..12).map(|i| measured(device, minutes(from + i * 5), base + i as f64)).collect()
}

fn cpu(house: &House, from: i64, to: i64) -> Vec<(i64, f64)> {
    let samples = house.store.metric_samples("a", "CPU", "", minutes(from), minutes(to), 1000).unwrap();
    samples.into_iter().map(|s| ((s.at - noon()).num_minutes(), s.value)).collect()
}

fn rows(house: &House, table: &str) -> i64 {
    stranger(&house.path).query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn what_was_measured_is_read_back_before_and_after_it_is_rolled_up() {
    let house = house();
    house.store.put_samples(&hour_of("a", 0, 10.0)).unwrap();
    house.store.put_samples(&[measured("a", minutes(60), 50.0), measured("b", minutes(1), 7.5)]).unwrap();
    house.clock.set(minutes(62));
    let before = cpu(&house, 0, 90);
    assert_eq!((before.len(), before[11], before[12]), (13, (55, 21.0), (60, 50.0)));
    let view = "SELECT group_concat(MetricType || ' ' || Value || Unit || ' ' || Timestamp || ' ' || Instance)
        FROM (SELECT * FROM Metrics WHERE DeviceId = 'b' ORDER BY Metric)";
    let in_view = || stranger(&house.path).query_row(view, [], |row| row.get::<_, String>(0)).unwrap();
    let all_in_view = || stranger(&house.path).query_row("SELECT count(DISTINCT MetricId) FROM Metrics", [], |row| row.get::<_, i64>(0));
    assert_eq!((in_view(), all_in_view().unwrap()), ("CPU 7.5% 2026-11-21T12:01:00.000Z ,Disk 40% 2026-11-21T12:01:00.000Z /".into(), 28));
    let done = house.store.roll_up(WEEK).unwrap();
    assert_eq!((done.rows, done.hours), (14, 3), "what came before the last of the past hour goes with it");
    assert_eq!(cpu(&house, 0, 90), before);
    assert_eq!((in_view(), all_in_view().unwrap()), ("CPU 7.5% 2026-11-21T12:01:00.000Z ,Disk 40% 2026-11-21T12:01:00.000Z /".into(), 28));
    assert_eq!(house.store.roll_up(WEEK).unwrap(), crate::store::RolledUp::default());
    assert_eq!(cpu(&house, 30, 35), [(30, 16.0), (35, 17.0)]);
    let newest = house.store.metric_samples("a", "CPU", "", noon(), minutes(90), 2).unwrap();
    assert_eq!(newest.iter().map(|s| s.value).collect::<Vec<_>>(), [21.0, 50.0], "the newest, oldest first");
}

#[test]
fn an_hour_is_its_least_average_most_and_count() {
    let house = house();
    house.store.put_samples(&hour_of("a", 0, 10.0)).unwrap();
    let live = house.store.metric_rollups("a", "CPU", "", noon(), minutes(59)).unwrap();
    house.clock.set(minutes(61));
    house.store.roll_up(WEEK).unwrap();
    let stored = house.store.metric_rollups("a", "CPU", "", noon(), minutes(59)).unwrap();
    assert_eq!(live, stored, "the hour under way is summed up as it is read");
    assert_eq!(stored.len(), 1);
    let hour = &stored[0];
    assert_eq!((hour.at, hour.min, hour.avg, hour.max, hour.count), (noon(), 10.0, 15.5, 21.0, 12));
    assert_eq!(hour.unit.as_deref(), Some("%"));
    let row: (f64, f64, f64, i64) = stranger(&house.path)
        .query_row("SELECT Min, Avg, Max, Count FROM MetricRollups WHERE DeviceId = 'a' AND Metric = 'CPU'", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    assert_eq!(row, (10.0, 15.5, 21.0, 12));
}

#[test]
fn rolling_up_again_after_a_crash_in_the_middle_gives_the_same() {
    let house = house();
    for device in ["a", "b", "c"] {
        house.store.put_samples(&hour_of(device, 0, 10.0)).unwrap();
    }
    house.clock.set(minutes(61));
    let log = "CREATE TEMP TABLE Saved AS SELECT * FROM main.MetricLog";
    let other = stranger(&house.path);
    other.execute_batch(log).unwrap();
    house.store.roll_up(WEEK).unwrap();
    let dump = || {
        let db = stranger(&house.path);
        let text = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        let samples = text("SELECT group_concat(Device || ' ' || At || ' ' || Layout || Vals, '|') FROM MetricSamples");
        (samples, text("SELECT group_concat(Device || ' ' || Hour || ' ' || Layout || Vals, '|') FROM MetricHours"))
    };
    let whole = dump();
    // As if it had died: after everything was placed, and after only some of it was.
    for lost in ["DELETE FROM MetricHours WHERE 0", "DELETE FROM MetricHours WHERE Device > 1; DELETE FROM MetricSamples WHERE Device > 1"]
    {
        other.execute_batch(&format!("{lost}; INSERT INTO main.MetricLog SELECT * FROM Saved")).unwrap();
        house.store.roll_up(WEEK).unwrap();
        assert_eq!(dump(), whole);
        assert_eq!(rows(&house, "MetricLog"), 0);
    }
}

#[test]
fn a_late_sample_joins_its_hour_and_one_that_is_too_late_is_dropped() {
    let house = house();
    house.store.put_samples(&hour_of("a", 0, 10.0)).unwrap();
    house.clock.set(minutes(61));
    house.store.roll_up(WEEK).unwrap();
    house.store.put_samples(&[measured("a", minutes(58), 100.0), measured("a", minutes(-8 * 24 * 60), 99.0)]).unwrap();
    house.store.roll_up(WEEK).unwrap();
    let hour = house.store.metric_rollups("a", "CPU", "", noon(), minutes(59)).unwrap().remove(0);
    assert_eq!((hour.max, hour.count), (100.0, 13));
    assert_eq!((rows(&house, "MetricSamples"), rows(&house, "MetricHours"), rows(&house, "MetricLog")), (13, 1, 0));
}

#[test]
fn two_measurements_at_the_same_moment_become_one_row() {
    let house = house();
    let reach = DeviceSamples { device: "a".into(), at: noon(), values: vec![(name("Latency", ""), 1.25)] };
    house.store.put_samples(&[measured("a", noon(), 10.0)]).unwrap();
    house.store.put_samples(&[reach]).unwrap();
    house.clock.set(minutes(61));
    house.store.roll_up(WEEK).unwrap();
    let latest = house.store.latest_metrics("a").unwrap();
    let short: Vec<_> = latest.iter().map(|s| (s.metric.as_str(), s.value)).collect();
    assert_eq!(short, [("CPU", 10.0), ("DiskSpace", 40.0), ("Latency", 1.25)]);
    assert_eq!(rows(&house, "MetricSamples"), 1);
}

#[test]
fn the_latest_value_of_a_device_that_fell_silent_is_still_known() {
    let house = house();
    house.store.put_samples(&hour_of("a", 0, 10.0)).unwrap();
    house.clock.set(minutes(26 * 60));
    house.store.put_samples(&[measured("b", minutes(26 * 60), 1.0)]).unwrap();
    house.store.upkeep(&Retention::default()).unwrap();
    let latest = house.store.latest_metrics("a").unwrap();
    assert_eq!((latest[0].value, latest[0].at), (21.0, minutes(55)));
}

#[test]
fn names_of_series_are_kept_once_for_all_devices_and_a_rolled_back_one_is_not_remembered() {
    let house = house();
    house.store.put_samples(&[measured("a", noon(), 1.0), measured("b", noon(), 2.0)]).unwrap();
    assert_eq!((rows(&house, "MetricSeries"), rows(&house, "MetricLayouts")), (2, 1));
    let other = stranger(&house.path);
    other.execute_batch("CREATE TRIGGER no BEFORE INSERT ON MetricLog BEGIN SELECT RAISE(ABORT, 'no'); END").unwrap();
    let new = DeviceSamples { device: "a".into(), at: noon(), values: vec![(name("Swap", ""), 3.0)] };
    house.store.put_samples(std::slice::from_ref(&new)).unwrap_err();
    assert_eq!(rows(&house, "MetricSeries"), 2);
    other.execute_batch("DROP TRIGGER no").unwrap();
    house.store.put_samples(&[new]).unwrap();
    assert_eq!(rows(&house, "MetricSeries"), 3);
    assert_eq!(house.store.latest_metrics("a").unwrap().len(), 3);
}

#[test]
fn values_that_are_not_finite_are_left_out() {
    let house = house();
    let odd = vec![(name("CPU", ""), f64::NAN), (name("Swap", ""), f64::INFINITY)];
    house.store.put_samples(&[DeviceSamples { device: "a".into(), at: noon(), values: odd }]).unwrap();
    assert_eq!(rows(&house, "MetricLog"), 0);
}

/// A year of one sample an hour, with the upkeep of each day done in time.
#[test]
fn a_year_of_values_goes_through_all_tiers_and_is_read_as_one() {
    let house = house();
    let keep = Retention::default();
    let days = 120;
    for day in 0..days {
        let batch: Vec<_> = (0..24)
            .flat_map(|hour| {
                let at = noon() + TimeDelta::hours(day * 24 + hour);
                let value = (day * 24 + hour) as f64;
                [measured("a", at, value), measured("b", at, -value)]
            })
            .collect();
        house.store.put_samples(&batch).unwrap();
        house.clock.set(noon() + TimeDelta::days(day + 1));
        house.store.upkeep(&keep).unwrap();
    }
    let end = noon() + TimeDelta::days(days);
    let archived = house.store.archive_days().unwrap();
    assert_eq!(archived[0].0.to_string(), "2026-11-21");
    assert_eq!(archived.len(), 30);
    assert!(rows(&house, "MetricSamples") < 2 * 24 * 9);
    assert!(rows(&house, "MetricHours") <= 2 * 24 * 91);
    let all = house.store.metric_samples("a", "CPU", "", noon(), end, 100_000).unwrap();
    let values: Vec<f64> = all.iter().map(|s| s.value).collect();
    assert_eq!(values, (0..days * 24).map(|i| i as f64).collect::<Vec<_>>(), "each hour once, in its order");
    let hours = house.store.metric_rollups("b", "CPU", "", noon(), end).unwrap();
    assert_eq!(hours.len(), all.len());
    assert_eq!((hours[5].at, hours[5].avg, hours[5].count), (noon() + TimeDelta::hours(5), -5.0, 1));
    house.clock.set(noon() + TimeDelta::days(745));
    house.store.upkeep(&keep).unwrap();
    let left = house.store.archive_days().unwrap();
    assert_eq!(left[0].0.to_string(), "2026-12-06", "two years");
    assert_eq!(rows(&house, "MetricHours"), 0);
}

#[test]
fn an_archive_that_a_crash_left_whole_is_not_written_again_and_its_rows_are_forgotten() {
    let house = house();
    house.store.put_samples(&hour_of("a", 0, 10.0)).unwrap();
    house.clock.set(noon() + TimeDelta::days(1));
    house.store.roll_up(WEEK).unwrap();
    let saved = "CREATE TEMP TABLE Saved AS SELECT * FROM main.MetricHours";
    let other = stranger(&house.path);
    other.execute_batch(saved).unwrap();
    assert_eq!(house.store.archive_rollups(noon() + TimeDelta::days(1)).unwrap(), 1);
    assert_eq!(rows(&house, "MetricHours"), 0);
    let path = house.store.archive_days().unwrap().remove(0).1;
    let before = std::fs::read(&path).unwrap();
    other.execute_batch("INSERT INTO main.MetricHours SELECT * FROM Saved").unwrap();
    assert_eq!(house.store.archive_rollups(noon() + TimeDelta::days(1)).unwrap(), 0);
    assert_eq!((std::fs::read(&path).unwrap(), rows(&house, "MetricHours")), (before, 0));
    // And one that is not whole forgets nothing.
    other.execute_batch("INSERT INTO main.MetricHours SELECT * FROM Saved").unwrap();
    std::fs::write(&path, "half").unwrap();
    assert_eq!(code(house.store.archive_rollups(noon() + TimeDelta::days(1))), "RMM0593");
    assert_eq!(rows(&house, "MetricHours"), 1);
}

#[test]
fn what_comes_for_a_day_after_its_file_was_written_joins_it() {
    let house = house();
    // Hours are archived sooner than late samples are refused: a history of one day.
    let keep = Retention { rollups: TimeDelta::days(1), ..Retention::default() };
    house.store.put_samples(&hour_of("a", 0, 10.0)).unwrap();
    house.store.put_samples(&hour_of("c", 0, 30.0)).unwrap();
    house.clock.set(noon() + TimeDelta::days(3));
    assert_eq!(house.store.upkeep(&keep).unwrap().archived, 1);
    let path = house.store.archive_days().unwrap().remove(0).1;
    let rows_of = |device: &str| crate::store::archive_file::read(&path, device, "CPU", "").unwrap();
    assert_eq!((rows_of("a").len(), rows_of("a")[0].count, rows_of("b").len()), (1, 12, 0));
    let untouched = rows_of("c");
    // A relay was cut off, and brings what it has kept: for an hour that is there, for another one, and of another device.
    house
        .store
        .put_samples(&[measured("a", minutes(58), 100.0), measured("a", minutes(180), 5.0), measured("b", minutes(1), 7.5)])
        .unwrap();
    house.clock.set(noon() + TimeDelta::days(4));
    assert_eq!(house.store.upkeep(&keep).unwrap().archived, 1, "the same file, anew");
    let late: Vec<_> = rows_of("a").into_iter().map(|row| (row.hour - noon().timestamp_millis(), row.max, row.count)).collect();
    assert_eq!(late, [(0, 100.0, 13), (3 * 3_600_000, 5.0, 1)]);
    assert_eq!((rows_of("b").len(), rows_of("b")[0].avg), (1, 7.5));
    assert_eq!(rows_of("c"), untouched);
    assert_eq!((rows(&house, "MetricHours"), std::fs::read_dir(house.store.archive_folder()).unwrap().count()), (0, 1));
    let hours = house.store.metric_rollups("a", "CPU", "", noon(), minutes(23 * 60)).unwrap();
    assert_eq!(hours.iter().map(|hour| hour.count).collect::<Vec<_>>(), [13, 1]);
}

#[test]
fn names_that_nothing_refers_to_any_more_are_forgotten_and_others_never() {
    let house = house();
    let keep = Retention::default();
    let disk = |at, mount: &str| DeviceSamples { device: "a".into(), at, values: vec![(name("DiskSpace", mount), 40.0)] };
    house.store.put_samples(&[measured("a", noon(), 10.0), disk(noon(), "/mnt/usb")]).unwrap();
    // Another process remembers them too.
    let other = Store::open(&house.path, house.clock.clone()).unwrap();
    other.put_samples(&[disk(minutes(1), "/mnt/usb")]).unwrap();
    for day in 1..=100 {
        let now = noon() + TimeDelta::days(day);
        house.clock.set(now);
        house.store.put_samples(&[measured("a", now, 10.0)]).unwrap();
        house.store.upkeep(&keep).unwrap();
        if day == 90 {
            assert_eq!((rows(&house, "MetricSeries"), rows(&house, "MetricLayouts")), (3, 3), "hours still refer to them");
        }
    }
    assert_eq!((rows(&house, "MetricSeries"), rows(&house, "MetricLayouts")), (2, 1));
    // Whoever remembers what is gone does not use it.
    let at = noon() + TimeDelta::days(100) + TimeDelta::minutes(1);
    house.store.put_samples(&[disk(at, "/mnt/usb")]).unwrap();
    other.put_samples(&[disk(at + TimeDelta::minutes(1), "/mnt/usb")]).unwrap();
    assert_eq!((rows(&house, "MetricSeries"), rows(&house, "MetricLayouts")), (3, 2));
    let back = house.store.metric_samples("a", "DiskSpace", "/mnt/usb", at, at + TimeDelta::hours(1), 10).unwrap();
    assert_eq!(back.len(), 2);
    let first = house.store.metric_rollups("a", "DiskSpace", "/mnt/usb", noon(), minutes(60)).unwrap();
    assert_eq!((first.len(), first[0].count), (1, 2), "the archive knows it by name");
}

#[test]
fn the_upkeep_is_one_process_s_at_a_time_and_a_dead_one_holds_nobody_up() {
    let house = house();
    house.store.put_samples(&hour_of("a", 0, 10.0)).unwrap();
    house.clock.set(minutes(70));
    let theirs = crate::store::Owner::named("elsewhere/1/1/1/1");
    house.store.lease_upkeep(&theirs, TimeDelta::minutes(5)).unwrap();
    assert_eq!(house.store.upkeep(&Retention::default()).unwrap(), crate::store::Upkept::default());
    house.clock.set(minutes(76));
    assert_eq!(house.store.upkeep(&Retention::default()).unwrap().rolled_up, 1);
    assert!(house.store.leases().unwrap().is_empty());
}

#[test]
fn free_pages_are_given_back_once_a_week() {
    let house = house();
    house.store.upkeep(&Retention::default()).unwrap();
    let batch: Vec<_> = (0..40_000).map(|i| measured("a", noon() - TimeDelta::days(6) + TimeDelta::seconds(i * 10), 1.5)).collect();
    house.store.put_samples(&batch).unwrap();
    house.store.roll_up(WEEK).unwrap();
    house.clock.set(noon() + TimeDelta::days(8));
    let done = house.store.upkeep(&Retention::default()).unwrap();
    assert_eq!(done.removed, 40_000);
    assert!(done.freed > 100, "{done:?}");
    assert_eq!(house.store.integrity_check().unwrap(), Vec::<String>::new());
    assert_eq!(house.store.upkeep(&Retention::default()).unwrap(), crate::store::Upkept::default(), "nothing is due");
}

#[test]
fn while_much_is_forgotten_others_write() {
    let house = house();
    let batch: Vec<_> = (0..200)
        .flat_map(|d| {
            let device: Arc<str> = format!("d{d}").into();
            (0..300).map(move |i| DeviceSamples { device: device.clone(), ..measured("", noon() + TimeDelta::seconds(i * 10), 1.5) })
        })
        .collect();
    house.store.put_samples(&batch).unwrap();
    house.clock.set(noon() + TimeDelta::days(9));
    let other = again(&house.path).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let waited = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut longest = std::time::Duration::ZERO;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let begun = std::time::Instant::now();
                other.set_status("x", super::super::Status::Online, None, noon()).unwrap();
                longest = longest.max(begun.elapsed());
                std::thread::yield_now();
            }
            longest
        });
        house.store.roll_up(TimeDelta::days(30)).unwrap();
        house.store.forget(&Retention::default()).unwrap();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().unwrap()
    });
    // The promise is some 100 ms; a machine under load is given more.
    assert!(waited < std::time::Duration::from_secs(2), "{waited:?}");
    assert_eq!(rows(&house, "MetricSamples"), 0);
}
