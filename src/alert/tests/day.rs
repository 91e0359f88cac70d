//! A whole day on a simulated clock. The table was written from the rules by hand, minute by minute, before it was ever run.

use super::super::hand::Act;
use super::*;
use crate::model::alert::{Silence, Suppression};
use crate::store::AuditEvent;

const RULES: &str = "
rules:
  Critical to On-Call: {condition: {severity: Critical}, channels: [pager, sms], repeat: 2h, escalation: Duty}
  High to Team: {condition: {severity: High}, channels: [team, mail], delay: 5m, suppressDuplicates: true}
escalation:
  Duty:
    tiers: [{after: 15m, onCall: Weekly}, {after: 30m, channels: [team]}]
    manager: dana
    timeout: 30m
onCall: {Weekly: {people: [kim, ada], start: 2026-11-16, handOver: \"12:00\"}}
people:
  kim: {email: kim@example.com}
  ada: {email: ada@example.com, phone: \"+491701111111\"}
  dana: {phone: \"+491702222222\"}
quietHours: {hours: \"22:00-06:00\", except: Critical}
maintenance: {Patches: {targets: [Web], days: [Tue], hours: \"03:00-04:00\"}}
";
const THRESHOLDS: &str = "CPU: {warning: 80, critical: 95, clear: 70, for: 10m}\nDiskSpace: {warning: 20, critical: 10}\n";

/// Everything that is told on Tuesday, 24 November 2026.
const EXPECTED: &str = "\
04:00 raised pager web-1/ResourceExhaustion
04:00 raised sms web-1/ResourceExhaustion
04:15 escalated mail>ada@example.com web-1/ResourceExhaustion
04:15 escalated sms>+491701111111 web-1/ResourceExhaustion
04:20 acknowledged mail>ada@example.com web-1/ResourceExhaustion
04:20 acknowledged pager web-1/ResourceExhaustion
04:20 acknowledged sms web-1/ResourceExhaustion
04:20 acknowledged sms>+491701111111 web-1/ResourceExhaustion
04:40 resolved mail>ada@example.com web-1/ResourceExhaustion
04:40 resolved pager web-1/ResourceExhaustion
04:40 resolved sms web-1/ResourceExhaustion
04:40 resolved sms>+491701111111 web-1/ResourceExhaustion
06:00 summary mail web-1/DiskSpace=active db-1/Offline=resolved
06:00 summary team web-1/DiskSpace=active db-1/Offline=resolved
06:30 resolved mail web-1/DiskSpace
06:30 resolved team web-1/DiskSpace
08:00 raised pager Berlin/SiteUnreachable
08:00 raised sms Berlin/SiteUnreachable
08:15 escalated mail>ada@example.com Berlin/SiteUnreachable
08:15 escalated sms>+491701111111 Berlin/SiteUnreachable
08:45 escalated team Berlin/SiteUnreachable
09:15 escalated sms>+491702222222 Berlin/SiteUnreachable
10:00 repeated pager Berlin/SiteUnreachable
10:00 repeated sms Berlin/SiteUnreachable
10:30 resolved mail>ada@example.com Berlin/SiteUnreachable
10:30 resolved pager Berlin/SiteUnreachable
10:30 resolved sms Berlin/SiteUnreachable
10:30 resolved sms>+491701111111 Berlin/SiteUnreachable
10:30 resolved sms>+491702222222 Berlin/SiteUnreachable
10:30 resolved team Berlin/SiteUnreachable
10:40 raised mail db-1/Offline
10:40 raised team db-1/Offline
11:00 resolved mail db-1/Offline
11:00 resolved team db-1/Offline
12:00 raised pager web-2/Website
12:00 raised sms web-2/Website
12:02 resolved pager web-2/Website
12:02 resolved sms web-2/Website
12:04 raised pager web-2/Website
12:04 raised sms web-2/Website
12:06 resolved pager web-2/Website
12:06 resolved sms web-2/Website
12:08 raised pager web-2/Website
12:08 raised sms web-2/Website
12:10 resolved pager web-2/Website
12:10 resolved sms web-2/Website
12:12 raised pager web-2/Website
12:12 raised sms web-2/Website
12:14 resolved pager web-2/Website
12:14 resolved sms web-2/Website
12:16 raised pager web-2/Website
12:16 raised sms web-2/Website
12:31 escalated mail>ada@example.com web-2/Website
12:31 escalated sms>+491701111111 web-2/Website
12:56 resolved mail>ada@example.com web-2/Website
12:56 resolved pager web-2/Website
12:56 resolved sms web-2/Website
12:56 resolved sms>+491701111111 web-2/Website
14:15 raised mail db-1/CPU
14:15 raised team db-1/CPU
14:30 raised pager db-1/CPU
14:30 raised sms db-1/CPU
14:30 worsened mail db-1/CPU
14:30 worsened team db-1/CPU
14:40 resolved mail db-1/CPU
14:40 resolved pager db-1/CPU
14:40 resolved sms db-1/CPU
14:40 resolved team db-1/CPU
16:30 raised pager db-1/CPU
16:30 raised sms db-1/CPU
16:31 acknowledged pager db-1/CPU
16:31 acknowledged sms db-1/CPU
16:35 resolved pager db-1/CPU
16:35 resolved sms db-1/CPU
19:00 raised mail db-1/Backup
19:00 raised team db-1/Backup
19:30 resolved mail db-1/Backup
19:30 resolved team db-1/Backup
20:05 raised mail host-1/Offline
20:05 raised team host-1/Offline
20:30 resolved mail host-1/Offline
20:30 resolved team host-1/Offline
22:30 raised pager db-1/Raid
22:30 raised sms db-1/Raid
22:45 escalated mail>ada@example.com db-1/Raid
22:45 escalated sms>+491701111111 db-1/Raid
22:50 acknowledged mail>ada@example.com db-1/Raid
22:50 acknowledged pager db-1/Raid
22:50 acknowledged sms db-1/Raid
22:50 acknowledged sms>+491701111111 db-1/Raid
";

/// Something that happens; says what is told at once.
type Happens = Box<dyn Fn(&mut Room) -> String>;

/// What happens, in the order of time.
fn script() -> Vec<(&'static str, Happens)> {
    fn raise(device: &'static str, kind: &'static str, severity: Severity) -> Happens {
        Box::new(move |room| room.raise(device, kind, severity))
    }
    fn clear(device: &'static str, kind: &'static str) -> Happens {
        Box::new(move |room| room.clear(device, kind))
    }
    fn value(device: &'static str, metric: &'static str, instance: &'static str, value: f64) -> Happens {
        Box::new(move |room| room.measure(device, metric, instance, value))
    }
    fn acknowledge(device: &'static str, kind: &'static str) -> Happens {
        Box::new(move |room| {
            let open = room.alerts().into_iter().rfind(|a| a.key.subject.to_string() == device && &*a.key.kind == kind).unwrap();
            room.hand(&open.id, Act::Acknowledge { take_over: false })
        })
    }
    use Severity::{Critical, High};
    let mut script = vec![
        // In the quiet hours: what lasts, what lasted longer than its delay, what did not.
        ("00:30", value("web-1", "DiskSpace", "/", 15.0)),
        ("01:00", raise("db-1", "Offline", High)),
        ("01:40", clear("db-1", "Offline")),
        ("02:00", raise("db-1", "Network", High)),
        ("02:03", clear("db-1", "Network")),
        // In the maintenance.
        ("03:10", raise("web-2", "Offline", High)),
        ("03:20", value("web-1", "DiskSpace", "/", 15.0)),
        ("03:20", value("web-1", "CPU", "", 97.0)),
        ("03:25", value("web-1", "DiskSpace", "/", 15.0)),
        ("03:25", value("web-1", "CPU", "", 97.0)),
        ("03:30", value("web-1", "DiskSpace", "/", 15.0)),
        ("03:30", value("web-1", "CPU", "", 97.0)),
        ("03:40", clear("web-2", "Offline")),
        ("04:20", acknowledge("web-1", "ResourceExhaustion")),
        ("04:40", value("web-1", "DiskSpace", "/", 15.0)),
        ("04:40", value("web-1", "CPU", "", 60.0)),
        ("06:30", value("web-1", "DiskSpace", "/", 25.0)),
        // Nothing at Berlin answers; then most of it does again.
        ("08:00:00", raise("web-1", "Offline", High)),
        ("08:00:05", raise("web-2", "Offline", High)),
        ("08:00:10", raise("db-1", "Offline", High)),
        ("10:30", clear("web-1", "Offline")),
        ("10:31", clear("web-2", "Offline")),
        ("11:00", clear("db-1", "Offline")),
    ];
    // Coming and going.
    for (raised, cleared) in [
        ("12:00", "12:02"),
        ("12:04", "12:06"),
        ("12:08", "12:10"),
        ("12:12", "12:14"),
        ("12:16", "12:18"),
        ("12:20", "12:22"),
        ("12:24", "12:26"),
    ] {
        script.push((raised, raise("web-2", "Website", Critical)));
        script.push((cleared, clear("web-2", "Website")));
    }
    // Hold time, hysteresis, worse; then a gap.
    for (time, measured) in [
        ("14:00", 85.0),
        ("14:05", 85.0),
        ("14:10", 85.0),
        ("14:15", 78.0),
        ("14:20", 96.0),
        ("14:25", 96.0),
        ("14:30", 96.0),
        ("14:35", 90.0),
        ("14:40", 69.0),
        ("16:00", 99.0),
        ("16:20", 99.0),
        ("16:25", 99.0),
        ("16:30", 99.0),
    ] {
        script.push((time, value("db-1", "CPU", "", measured)));
    }
    script.push(("16:31", acknowledge("db-1", "CPU")));
    script.push(("16:35", value("db-1", "CPU", "", 10.0)));
    // A silence from the command line.
    script.push(("18:00", Box::new(silence)));
    script.push(("18:10", raise("db-1", "Backup", High)));
    script.push(("19:30", clear("db-1", "Backup")));
    // A host with its guest, found in the wrong order.
    script.push(("20:00:00", raise("vm-1", "Offline", High)));
    script.push(("20:00:10", raise("host-1", "Offline", High)));
    script.push(("20:30", clear("host-1", "Offline")));
    script.push(("20:35", clear("vm-1", "Offline")));
    // Into the night: one is held, the other is not.
    script.push(("21:58", raise("web-1", "Fan", High)));
    script.push(("22:30", raise("db-1", "Raid", Critical)));
    script.push(("22:50", acknowledge("db-1", "Raid")));
    script
}

fn silence(room: &mut Room) -> String {
    let other = Store::open(&room.dir.path().join("rmm.db"), Arc::new(FixedClock::new(room.now))).unwrap();
    let silence = Silence {
        id: "s-1".into(),
        targets: vec!["db-1".into()],
        kinds: Vec::new(),
        starts_at: room.now,
        ends_at: room.now + minutes(60),
        reason: "backup is moved".into(),
        by: "kim".into(),
    };
    let event = AuditEvent {
        at: room.now,
        user: Some("kim".into()),
        action: "silence.created".into(),
        target: None,
        details: serde_json::Value::Null,
        ip: None,
        success: true,
    };
    other.put_silence(&silence, event.clone()).unwrap();
    room.call(|desk, now| desk.external(now).unwrap());
    room.said()
}

/// The day, with a new desk before every call or with one for all of it.
fn play(restarts: bool) -> (String, Vec<Alert>) {
    let tuesday = |time: &str| if time.len() == 5 { format!("2026-11-24T{time}:00Z") } else { format!("2026-11-24T{time}Z") };
    let mut room = Room::new(set(RULES, THRESHOLDS), &tuesday("00:00"));
    room.restarts = restarts;
    let mut told = String::new();
    for (time, happens) in script() {
        told += &room.until(&tuesday(time));
        told += &happens(&mut room);
    }
    told += &room.until("2026-11-25T00:00:00Z");
    // Messages of one minute in a fixed order.
    let mut lines: Vec<&str> = told.lines().collect();
    lines.sort_unstable();
    (lines.iter().map(|line| format!("{line}\n")).collect(), room.alerts())
}

#[test]
fn a_day_goes_as_the_rules_say_minute_by_minute() {
    let (told, alerts) = play(false);
    pretty(&told);
    let still: Vec<String> = alerts
        .iter()
        .filter(|alert| alert.state.is_open())
        .map(|alert| format!("{}/{} {} {:?}", alert.key.subject, alert.key.kind, alert.state, alert.suppressed))
        .collect();
    assert_eq!(still, ["web-1/Fan triggered Some(QuietHours)", "db-1/Raid acknowledged None"]);
    let patched = alerts.iter().find(|alert| alert.key.subject.to_string() == "web-2" && &*alert.key.kind == "Offline").unwrap();
    assert_eq!((patched.state, patched.count), (AlertState::Resolved, 1));
    assert_ne!(patched.suppressed, Some(Suppression::Flapping));
}

#[test]
fn a_day_is_the_same_every_time_and_with_a_restart_before_every_step() {
    let first = play(false);
    assert_eq!(first, play(false));
    let (told, alerts) = play(true);
    pretty(&told);
    assert_eq!(alerts, first.1);
}

/// The first line that differs says more than two long texts.
fn pretty(told: &str) {
    for (n, (found, expected)) in told.lines().zip(EXPECTED.lines()).enumerate() {
        assert_eq!(found, expected, "line {}; all of it:\n{told}", n + 1);
    }
    assert_eq!(told, EXPECTED);
}
