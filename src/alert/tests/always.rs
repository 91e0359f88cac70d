//! What holds whatever happens: no illegal step, nothing decided twice, and a restart at any moment changes nothing.

use proptest::prelude::*;

use super::super::hand::Act;
use super::*;
use crate::model::alert::Suppression;

const RULES: &str = "
rules:
  Critical: {condition: {severity: Critical}, channels: [pager, sms], repeat: 20m, escalation: E}
  High: {condition: {severity: '>= High'}, channels: [team], delay: 5m, suppressDuplicates: true}
escalation: {E: {tiers: [{after: 10m, onCall: R}, {after: 10m, channels: [mail]}]}}
onCall: {R: {people: ['+491701111111'], start: 2026-11-16}}
quietHours: {hours: \"13:00-13:40\", except: Critical}
maintenance: {M: {targets: [Web], hours: \"12:20-12:50\"}}
alerts: {flapping: {times: 3, within: 20m, calm: 20m}, occurredFor: 25m}
";
const THRESHOLDS: &str =
    "CPU: {warning: 80, critical: 95, clear: 70, for: 4m, remediate: ClearTemp}\nDiskSpace: {warning: 20, critical: 10}\n";
const DEVICES: [&str; 5] = ["web-1", "web-2", "db-1", "host-1", "vm-1"];
const KINDS: [&str; 3] = ["Offline", "Service", "Raid"];

#[derive(Debug, Clone)]
enum Step {
    Wait(u32),
    Raise(usize, usize, bool),
    Occur(usize),
    Clear(usize, usize),
    Value(usize, bool, f64),
    ByHand(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u32..600).prop_map(Step::Wait),
        5 => (0..5_usize, 0..3_usize, any::<bool>()).prop_map(|(device, kind, critical)| Step::Raise(device, kind, critical)),
        1 => (0..5_usize).prop_map(Step::Occur),
        4 => (0..5_usize, 0..3_usize).prop_map(|(device, kind)| Step::Clear(device, kind)),
        4 => (0..5_usize, any::<bool>(), prop_oneof![Just(5.0), Just(15.0), Just(75.0), Just(90.0), Just(99.0)]).prop_map(|(device, cpu, value)| Step::Value(device, cpu, value)),
        2 => (0..30_usize, 0..3_u8).prop_map(|(alert, act)| Step::ByHand(alert, act)),
    ]
}

/// Plays the steps; says what was told, what was asked for, and how the alerts stand.
fn play(steps: &[Step], restarts: bool) -> (String, usize, Vec<Alert>) {
    let mut room = Room::new(set(RULES, THRESHOLDS), "12:00");
    room.restarts = restarts;
    let mut told = String::new();
    for step in steps {
        let severity = |critical: bool| if critical { Severity::Critical } else { Severity::High };
        told += &match step {
            Step::Wait(seconds) => {
                let next = room.now + TimeDelta::seconds(i64::from(*seconds));
                room.until(&next.to_rfc3339())
            }
            Step::Raise(device, kind, critical) => room.raise(DEVICES[*device], KINDS[*kind], severity(*critical)),
            Step::Occur(device) => {
                let finding = finding(DEVICES[*device], "LogError", Severity::Critical, room.now);
                room.signal(Signal::Occurred(finding))
            }
            Step::Clear(device, kind) => room.clear(DEVICES[*device], KINDS[*kind]),
            Step::Value(device, cpu, value) => {
                // A series has one value at a moment; the database keeps no more.
                let next = room.now + TimeDelta::seconds(1);
                let (metric, instance) = if *cpu { ("CPU", "") } else { ("DiskSpace", "/") };
                let before = room.until(&next.to_rfc3339());
                let after = room.measure(DEVICES[*device], metric, instance, *value);
                before + after.as_str()
            }
            Step::ByHand(alert, act) => {
                let open: Vec<Alert> = room.alerts().into_iter().filter(|alert| alert.state.is_open()).collect();
                match open.get(*alert % open.len().max(1)) {
                    None => String::new(),
                    Some(alert) => {
                        let act = match act {
                            0 => Act::Acknowledge { take_over: true },
                            1 if alert.state == AlertState::Acknowledged => Act::GiveBack,
                            1 => Act::Note,
                            _ => Act::Resolve,
                        };
                        let id = alert.id.clone();
                        room.hand(&id, act)
                    }
                }
            }
        };
        consistent(&room);
    }
    let end = room.now + TimeDelta::hours(3);
    told += &room.until(&end.to_rfc3339());
    (told, room.remedies.len(), room.alerts())
}

/// What holds at every moment.
fn consistent(room: &Room) {
    let alerts = room.alerts();
    for alert in &alerts {
        let hidden = alert.suppressed.as_ref().is_some_and(|suppressed| *suppressed != Suppression::Flapping);
        match alert.state {
            AlertState::Triggered => assert!(hidden, "recorded alone, and nothing says why: {alert:?}"),
            AlertState::Active => assert!(!hidden, "told although it is suppressed: {alert:?}"),
            _ => {}
        }
        if let Some(Suppression::PartOf(id)) = &alert.suppressed {
            assert!(alerts.iter().any(|other| other.id == *id), "a part of nothing: {alert:?}");
        }
    }
    let mut open: Vec<&AlertKey> = alerts.iter().filter(|alert| alert.state.is_open()).map(|alert| &alert.key).collect();
    let count = open.len();
    open.sort();
    open.dedup();
    assert_eq!(open.len(), count, "two open alerts of one key");
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

proptest! {
    // Each case is two databases; PROPTEST_CASES asks for more of them.
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_step_is_illegal_and_a_restart_changes_nothing(steps in proptest::collection::vec(step(), 1..40)) {
        let whole = play(&steps, false);
        let restarted = play(&steps, true);
        prop_assert_eq!(&whole.0, &restarted.0);
        prop_assert_eq!(whole.1, restarted.1);
        prop_assert_eq!(whole.2, restarted.2);
    }
}
