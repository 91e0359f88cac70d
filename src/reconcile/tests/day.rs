//! A whole day of the whole daemon. The tables were written by hand from the rules, minute by minute.
//!
//! Each device is asked every five minutes, at its own place within them: db-3 at 0:11, app-1 at 1:14, pc-2 at 2:17, dns-1 at 3:31,
//! web-2 at 3:47, file-1 at 4:36. In Berlin the clock goes back by an hour in this night, at 01:00 UTC.

use super::played::{Happens, Played, Transcript};
use crate::reconcile::wheel;

use Happens::{Acknowledged, Killed, Orders, Restarted};

const CONFIG: &str = r#"
[general]
organization = "Example"

[limits]
max_percent = 100
max_failures = "10"

[daemon]
watch = "poll"
poll_interval = "1h"

[monitoring.schedules]
timezone = "Europe/Berlin"
status = "every 5 min"
metrics = "every 5 min"
inventory = "Daily 02:30"
updates = "Daily 03:00"
security = "0 4 * * *"
cleanup = "Daily 05:00"
database = "Weekly Sun 3AM"
spread = "10m"

[notifications.channels.pager]
type = "pagerduty"
routing_key = {secret = "pager"}

[notifications.channels.team]
type = "webhook"
url = "https://hooks.example.com/team"

[notifications.channels.mail]
type = "email"
server = "smtp.example.com"
from = "rmm@example.com"
to = ["ops@example.com"]
"#;

const NOTIFICATIONS: &str = "
rules:
  Critical to On-Call: {condition: {severity: Critical}, channels: [pager], repeat: 2h, escalation: Duty}
  High to Team: {condition: {severity: High}, channels: [team, mail], delay: 5m}
escalation:
  Duty: {tiers: [{after: 15m, onCall: Weekly}, {after: 30m, channels: [team]}]}
onCall: {Weekly: {people: [kim, ada], start: 2026-10-18, handOver: \"12:00\"}}
people:
  kim: {email: kim@example.com}
  ada: {email: ada@example.com}
quietHours: {hours: \"22:00-06:00\", timezone: Europe/Berlin, except: Critical}
";

const THRESHOLDS: &str = "thresholds:
  Memory: {warning: 80, critical: 95, clear: 70, for: 10m}
  DiskSpace: {warning: 20, critical: 10}
";

const POLICIES: &str = r#"policies:
  Motd:
    targets: [{device: pc-2}, {device: file-1}]
    remediate: true
    settings: {Files: {/etc/motd: {template: "kept by rmm\n", mode: "0644"}}}
  Web:
    targets: [{device: web-2}]
    remediate: true
    severity: high
    settings: {Services: {nginx: {state: running}}}
  Nightly:
    targets: [{device: web-2}, {device: dns-1}]
    remediate: true
    schedule: "15 7 * * *"
    timezone: America/New_York
    settings: {Files: {/etc/issue: {template: "no trespassing\n", mode: "0644"}}}
  Often:
    targets: [{device: mail-1}]
    remediate: true
    schedule: every 5 min
    settings: {Files: {/etc/often: {template: "often\n", mode: "0644"}}}
"#;

const DEVICES: [&str; 7] = ["db-3", "app-1", "pc-2", "dns-1", "web-2", "file-1", "mail-1"];

/// What happens. Each line of orders holds until the next one.
const SCRIPT: [(&str, Happens); 15] = [
    ("00:00", Orders("file-1 offline")),
    // In the quiet hours: what is over before they end, and what is not held.
    ("02:30", Orders("file-1 offline;db-3 Memory=85")),
    ("03:20", Orders("file-1 offline;db-3 Memory=85;app-1 DiskSpace=5")),
    ("03:40", Acknowledged("app-1", "DiskSpace")),
    ("04:00", Orders("file-1 offline;db-3 Memory=50;app-1 DiskSpace=5")),
    ("04:30", Orders("file-1 offline")),
    // It returns, and what was wanted of it all the time is carried out.
    ("05:40", Orders("# all is well")),
    ("07:00", Orders("web-2 offline")),
    ("08:10", Orders("# all is well")),
    ("08:30", Orders("pc-2 Memory=97")),
    // What does not converge is left alone after the third try.
    ("10:00", Orders("pc-2 Memory=97;web-2 service:nginx=failed")),
    ("13:30", Orders("web-2 service:nginx=failed")),
    // While a channel is out of order.
    ("14:00", Orders("web-2 service:nginx=failed;dns-1 offline")),
    ("15:00", Orders("web-2 service:nginx=failed")),
    // Into the night: one is held, the other is not.
    ("21:30", Orders("web-2 service:nginx=failed;app-1 Memory=85;db-3 DiskSpace=5")),
];

/// Offline counts from the second attempt, half a minute after the first; rules for High wait 5 minutes; what is Critical goes
/// up after 15 minutes and after 30 more, and is told again every 2 hours. Quiet hours end at 05:00 and begin at 21:00 UTC.
const TOLD: &str = "\
03:21 raised pager app-1/DiskSpace
03:36 escalated mail>kim@example.com app-1/DiskSpace
03:40 acknowledged mail>kim@example.com app-1/DiskSpace
03:40 acknowledged pager app-1/DiskSpace
04:31 resolved mail>kim@example.com app-1/DiskSpace
04:31 resolved pager app-1/DiskSpace
05:00 summary mail file-1/Offline=active db-3/Memory=resolved
05:00 summary team file-1/Offline=active db-3/Memory=resolved
05:44 resolved mail file-1/Offline
05:44 resolved team file-1/Offline
07:09 raised mail web-2/Offline
07:09 raised team web-2/Offline
08:13 resolved mail web-2/Offline
08:13 resolved team web-2/Offline
08:42 raised pager pc-2/Memory
08:57 escalated mail>kim@example.com pc-2/Memory
09:27 escalated team pc-2/Memory
10:28 raised mail web-2/Suspended
10:28 raised team web-2/Suspended
10:42 repeated pager pc-2/Memory
12:42 repeated pager pc-2/Memory
13:32 resolved mail>kim@example.com pc-2/Memory
13:32 resolved pager pc-2/Memory
13:32 resolved team pc-2/Memory
14:09 raised mail dns-1/Offline
14:14 raised team dns-1/Offline
15:03 resolved mail dns-1/Offline
15:03 resolved team dns-1/Offline
21:30 raised pager db-3/DiskSpace
21:45 escalated mail>ada@example.com db-3/DiskSpace
22:15 escalated team db-3/DiskSpace
23:30 repeated pager db-3/DiskSpace
";

const CLAIMED: [&str; 6] =
    ["00:30 inventory", "02:00 database", "02:00 updates", "03:00 security", "04:00 cleanup", "11:15 policy Nightly"];

const ALERTS: &str = "\
00:00-05:44 file-1/Offline high
02:40-04:00 db-3/Memory high
03:21-04:31 app-1/DiskSpace critical
07:04-08:13 web-2/Offline high
08:42-13:32 pc-2/Memory critical
10:23------ web-2/Suspended high
14:04-15:03 dns-1/Offline high
21:30------ db-3/DiskSpace critical
21:41------ app-1/Memory high
";

/// A failed device is left alone for 5 minutes, then for 15.
const RUNS: &str = "\
00:00 pc-2:Files./etc/motd=done
00:05 mail-1:Files./etc/often=done
05:44 file-1:Files./etc/motd=done
10:03 web-2:Services.nginx=rolled back
10:08 web-2:Services.nginx=rolled back
10:23 web-2:Services.nginx=rolled back
11:15 dns-1:Files./etc/issue=done web-2:Files./etc/issue=done
";

fn day() -> Played {
    let mut devices = String::from("devices:\n");
    for name in DEVICES {
        devices += &format!(
            "  {name}: {{os: linux, connection: {{transport: simulated, simulation: {{seed: 7, latencyMs: 0, control: 'CONTROL'}}}}}}\n"
        );
    }
    let files = [
        ("rmm.toml", CONFIG),
        ("devices.yaml", &devices),
        ("notifications.yaml", NOTIFICATIONS),
        ("thresholds/t.yaml", THRESHOLDS),
        ("policies/p.yaml", POLICIES),
    ];
    Played::new("2026-10-25T00:00:00Z", &files, ("14:00", "14:12"))
}

/// The script with more that happens.
fn with(more: &[(&'static str, Happens)]) -> Vec<(&'static str, Happens)> {
    let mut script: Vec<_> = SCRIPT.iter().chain(more).copied().collect();
    script.sort_by_key(|(time, _)| *time);
    script
}

/// The day is as expected up to this time.
#[track_caller]
fn is_as_expected(found: &Transcript, until: &str) {
    let before = |text: &str| text.lines().filter(|line| line[..5] < *until).map(|line| format!("{line}\n")).collect::<String>();
    // All at once says more than the first that differs.
    let often: Vec<&String> = found.claimed.iter().filter(|line| line.ends_with("policy Often")).collect();
    let others: Vec<&String> = found.claimed.iter().filter(|line| !line.ends_with("policy Often")).collect();
    assert_eq!(
        (found.told.as_str(), found.alerts.as_str(), found.runs.as_str()),
        (before(TOLD).as_str(), before(ALERTS).as_str(), before(RUNS).as_str()),
        "\n{}\n{}\n{}",
        found.told,
        found.alerts,
        found.runs
    );
    assert_eq!(others, CLAIMED);
    let every: Vec<String> = (1..288).map(|n| format!("{:02}:{:02} policy Often", n * 5 / 60, n * 5 % 60)).collect();
    assert_eq!(often, every.iter().filter(|line| line[..5] < *until).collect::<Vec<_>>());
}

#[test]
fn a_day_of_the_daemon_goes_as_the_rules_say_minute_by_minute() {
    let place = |name: &str| wheel::place(name, std::time::Duration::from_mins(5)).as_secs();
    assert_eq!(["db-3", "app-1", "pc-2", "dns-1", "web-2", "file-1"].map(place), [11, 74, 137, 211, 227, 276]);
    is_as_expected(&day().play(&SCRIPT, "23:59:59"), "24:00");
}

#[test]
fn a_morning_is_the_same_the_second_time_to_the_millisecond() {
    let morning: Vec<_> = SCRIPT.into_iter().filter(|(time, _)| *time < "04:05").collect();
    let first = day().play(&morning, "04:05");
    assert!(!first.moments.is_empty());
    assert_eq!(day().play(&morning, "04:05"), first);
}

#[test]
fn a_day_is_the_same_where_the_daemon_is_restarted_and_killed_in_the_middle_of_it() {
    let day = day();
    // While devices are being asked for their inventory; by hand; while a message waits for its next try.
    let mut script = with(&[("00:33:00", Killed), ("12:01:30", Restarted), ("14:11:30", Killed)]);
    // What comes after the last message that waited is as in the day before.
    script.retain(|(time, _)| *time < "15:08");
    is_as_expected(&day.play(&script, "15:08:30"), "15:08");
    let asked = day.inventories();
    let since = "2026-10-25T00:30:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(asked.len() == DEVICES.len() && asked.iter().all(|(_, at)| *at >= since), "{asked:#?}");
}
