//! Thresholds, from values to what is told; and their remedies.

use super::*;

const RULES: &str = "rules: {All: {channels: [team]}}\n";
const CPU: &str = "CPU: {warning: 80, critical: 95, clear: 70, for: 10m}\n";

#[test]
fn a_limit_counts_after_its_hold_time_and_is_over_at_its_clear_value() {
    for restarts in [false, true] {
        let mut room = Room::new(set(RULES, CPU), "12:00");
        room.restarts = restarts;
        // (time, value, what is told)
        for (time, value, told) in [
            ("12:00", 85.0, ""),
            ("12:05", 75.0, ""),
            ("12:10", 85.0, ""),
            ("12:15", 90.0, ""),
            ("12:20", 85.0, "12:20 raised team db-1/CPU\n"),
            ("12:25", 96.0, ""),
            ("12:30", 99.0, ""),
            ("12:35", 99.0, "12:35 worsened team db-1/CPU\n"),
            ("12:40", 75.0, ""),
            ("12:45", 70.0, "12:45 resolved team db-1/CPU\n"),
            ("12:50", 75.0, ""),
        ] {
            assert_eq!(room.until(time), "");
            assert_eq!(room.measure("db-1", "CPU", "", value), told, "{time}, restarts: {restarts}");
        }
        let alert = room.alert("db-1", "CPU");
        assert_eq!((alert.severity, alert.title.as_str()), (Severity::Critical, "CPU: 75 % (critical at 95 %)"));
    }
}

#[test]
fn without_values_for_long_the_hold_time_starts_again() {
    let mut room = Room::new(set(RULES, CPU), "12:00");
    for (time, told) in [("12:00", ""), ("12:20", ""), ("12:25", ""), ("12:30", "12:30 raised team db-1/CPU\n")] {
        room.until(time);
        assert_eq!(room.measure("db-1", "CPU", "", 99.0), told, "{time}");
    }
}

#[test]
fn a_clock_that_is_set_back_by_an_hour_delays_neither_the_end_nor_the_beginning_of_a_problem() {
    let mut room = Room::new(set(RULES, "CPU: {warning: 80}\n"), "12:00");
    room.until("13:00");
    assert_eq!(room.measure("db-1", "CPU", "", 99.0), "13:00 raised team db-1/CPU\n");
    room.now = at("12:01");
    assert_eq!(room.measure("db-1", "CPU", "", 99.0), "");
    room.now = at("12:02");
    assert_eq!(room.measure("db-1", "CPU", "", 20.0), "12:02 resolved team db-1/CPU\n");
}

#[test]
fn less_is_worse_where_it_is_and_each_volume_has_its_own_state() {
    let mut room = Room::new(set(RULES, "DiskSpace: {warning: 20, critical: 10, clear: 25}\n"), "12:00");
    assert_eq!(room.measure("db-1", "DiskSpace", "/", 15.0), "12:00 raised team db-1/DiskSpace\n");
    assert_eq!(room.measure("db-1", "DiskSpace", "/var", 9.0), "12:00 raised team db-1/DiskSpace\n");
    assert_eq!(room.measure("db-1", "DiskSpace", "/", 22.0), "");
    assert_eq!(room.measure("db-1", "DiskSpace", "/", 25.0), "12:00 resolved team db-1/DiskSpace\n");
    let alerts = room.alerts();
    let of = |instance: &str| alerts.iter().find(|alert| &*alert.key.instance == instance).unwrap();
    assert_eq!((of("/").state, of("/").severity), (AlertState::Resolved, Severity::High));
    assert_eq!((of("/var").state, of("/var").severity), (AlertState::Active, Severity::Critical));
}

#[test]
fn a_volume_that_is_gone_is_no_problem_any_more() {
    let mut room = Room::new(set(RULES, "DiskSpace: {warning: 20}\n"), "12:00");
    room.measure("db-1", "DiskSpace", "/mnt/usb", 3.0);
    for time in ["12:05", "12:10", "12:15"] {
        room.until(time);
        assert_eq!(room.measure("db-1", "DiskSpace", "/", 60.0), "");
        // What is measured from outside says nothing about volumes.
        assert_eq!(room.measure("db-1", "Latency", "", 3.0), "");
    }
    room.until("12:20");
    assert_eq!(room.measure("db-1", "Latency", "", 3.0), "");
    assert_eq!(room.measure("db-1", "DiskSpace", "/", 60.0), "12:20 resolved team db-1/DiskSpace\n");
}

#[test]
fn the_first_override_that_means_a_device_counts_and_excluded_devices_are_left_alone() {
    let thresholds = "
CPU:
  warning: 80
  exclude: [{tag: big}]
  overrides:
    - {targets: [Web], warning: 95}
    - {targets: [{device: web-1}], warning: 10}
";
    let mut room = Room::new(set(RULES, thresholds), "12:00");
    assert_eq!(room.measure("web-1", "CPU", "", 90.0), "");
    assert_eq!(room.measure("db-1", "CPU", "", 100.0), "");
    assert_eq!(room.measure("vm-1", "CPU", "", 90.0), "12:00 raised team vm-1/CPU\n");
    assert_eq!(room.measure("unknown", "CPU", "", 90.0), "");
}

/// Measures free space at these moments. What was asked for, and when.
fn asked(room: &mut Room, steps: &[(&str, &str, f64)]) -> Vec<String> {
    let mut asked = Vec::new();
    for (time, volume, value) in steps {
        room.until(time);
        room.measure("db-1", "DiskSpace", volume, *value);
        asked.extend(room.remedies.drain(..).map(|r| format!("{}{} {time}", r.call.action, r.instance)));
    }
    asked
}

/// Titles of alerts that say that a remedy does not help.
fn given_up(room: &Room) -> Vec<String> {
    let alerts = room.alerts().into_iter().filter(|alert| &*alert.key.kind == "RemediationFailed");
    alerts.map(|alert| format!("{} {}", alert.title, alert.count)).collect()
}

#[test]
fn a_remedy_is_carried_out_only_so_often_per_day() {
    let thresholds = "DiskSpace: {warning: 20, remediate: ClearTemp, remediateAtMost: 3}\n";
    for restarts in [false, true] {
        let mut room = Room::new(set(RULES, thresholds), "01:00");
        room.restarts = restarts;
        let steps = [("01:00", "/", 5.0), ("01:20", "/", 5.0), ("02:05", "/", 50.0), ("03:00", "/var", 5.0), ("04:00", "/var", 5.0)];
        assert_eq!(asked(&mut room, &steps), ["ClearTemp/ 01:00", "ClearTemp/ 01:20", "ClearTemp/var 03:00"], "restarts: {restarts}");
        let notes = room.alerts().last().unwrap().notes.clone();
        assert!(notes.iter().any(|note| note.text.contains("3 times within 24h")), "{notes:?}");
    }
}

const DISK: &str = "DiskSpace: {warning: 20, remediate: {action: ClearTemp, with: {days: 3}}, remediateAtMost: 10}\n";

#[test]
fn what_does_not_help_twice_is_not_tried_a_third_time_but_told() {
    for restarts in [false, true] {
        let mut room = Room::new(set(RULES, DISK), "01:00");
        room.restarts = restarts;
        let steps = [("01:00", "/", 5.0), ("01:14", "/", 5.0), ("01:20", "/", 5.0), ("01:25", "/", 5.0)];
        assert_eq!(asked(&mut room, &steps), ["ClearTemp/ 01:00", "ClearTemp/ 01:20"], "restarts: {restarts}");
        assert!(given_up(&room).is_empty());
        room.until("06:00");
        assert_eq!(asked(&mut room, &[("06:00", "/", 5.0)]), [""; 0]);
        assert_eq!(given_up(&room), ["ClearTemp does not help against DiskSpace / 1"], "restarts: {restarts}");
        let message = room.alerts().into_iter().find(|alert| &*alert.key.kind == "RemediationFailed").unwrap().message;
        assert!(message.contains("2 times") && message.contains("\"days\":3"), "{message}");
    }
}

#[test]
fn what_comes_again_after_each_try_is_left_alone_until_it_stays_away_for_a_day_or_the_threshold_changes() {
    for restarts in [false, true] {
        let mut room = Room::new(set(RULES, DISK), "01:00");
        room.restarts = restarts;
        let steps = [
            ("01:00", "/", 5.0),
            ("01:05", "/", 50.0),
            ("03:00", "/", 5.0),
            ("03:05", "/", 50.0),
            ("05:00", "/", 5.0),
            ("05:05", "/", 50.0),
        ];
        assert_eq!(asked(&mut room, &steps), ["ClearTemp/ 01:00", "ClearTemp/ 03:00"], "restarts: {restarts}");
        assert_eq!(given_up(&room).len(), 1, "restarts: {restarts}");
        // A day without it.
        assert_eq!(asked(&mut room, &[("2026-11-22T06:00:00Z", "/", 5.0)]), ["ClearTemp/ 2026-11-22T06:00:00Z"]);
        assert_eq!(asked(&mut room, &[("2026-11-22T06:20:00Z", "/", 5.0)]), ["ClearTemp/ 2026-11-22T06:20:00Z"]);
        room.until("2026-11-22T07:00:00Z");
        assert_eq!(asked(&mut room, &[("2026-11-22T07:00:00Z", "/", 5.0)]), [""; 0]);
        // Another definition is another try.
        let other = set(RULES, &DISK.replace("days: 3", "days: 1"));
        room.set = Arc::clone(&other);
        room.call(|desk, now| desk.reload(Arc::clone(&other), now).unwrap());
        room.call(|desk, now| desk.tick(now).unwrap());
        assert_eq!(asked(&mut room, &[("2026-11-22T07:05:00Z", "/", 5.0)]), ["ClearTemp/ 2026-11-22T07:05:00Z"]);
    }
}

#[test]
fn ten_thousand_devices_cost_next_to_nothing_where_no_limit_is_crossed() {
    let mut devices = String::from("groups: {All: {}}\ndevices:\n");
    for i in 0..10_000 {
        let _ = writeln!(devices, "  d-{i:05}: {{groups: [All]}}");
    }
    let thresholds = "CPU: {warning: 80, critical: 95, for: 10m}\nMemory: {warning: 85}\nDiskSpace: {warning: 20, critical: 10}\n";
    let mut room = Room::new(set_with(&devices, RULES, thresholds), "12:00");
    let series: Vec<SeriesName> = [("CPU", ""), ("Memory", ""), ("Swap", ""), ("DiskSpace", "/"), ("DiskSpace", "/var"), ("Load", "")]
        .into_iter()
        .chain([("Temperature", ""), ("NetworkErrors", "eth0"), ("NetworkDrops", "eth0"), ("Uptime", "")])
        .map(|(metric, instance)| SeriesName { metric: metric.into(), instance: instance.into(), unit: None })
        .collect();
    let samples: Vec<DeviceSamples> = (0..10_000)
        .map(|i| DeviceSamples {
            device: format!("d-{i:05}").into(),
            at: room.now,
            values: series.iter().map(|name| (name.clone(), if &*name.metric == "DiskSpace" { 60.0 } else { 30.0 })).collect(),
        })
        .collect();
    let now = room.now;
    assert_eq!(room.desk.samples(&samples, now).unwrap(), Outcome::default());
    let begin = std::time::Instant::now();
    assert_eq!(room.desk.samples(&samples, now).unwrap(), Outcome::default());
    let took = begin.elapsed();
    println!("100,000 values of 10,000 devices: {took:?}");
    // Unoptimised and on a busy machine; a mistake in the order of magnitude would be seconds.
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    assert_eq!(room.desk.counts(), super::super::Counts::default());
}
