//! Thresholds, workflows and notifications: what is accepted, and where mistakes are found.

use super::*;
use crate::model::notification::SeverityRule;
use crate::model::threshold::Worse;
use crate::model::workflow::{OnFailure, Work};
use crate::model::{Selector, Severity, Trigger, fingerprint};

/// Groups and channels that the files of these tests may name.
const FLEET: &str = "
groups: {All Workstations: {}, Production Servers: {}, New Devices: {}, Pilot: {}, Production: {}, Database Servers: {}}
";
const CHANNELS: &str = "
[notifications.channels.teams]
type = \"teams\"
url = { secret = \"TEAMS\" }
[notifications.channels.ops-mail]
type = \"email\"
server = \"mail.example.com\"
from = \"rmm@example.com\"
to = \"ops@example.com\"
[notifications.channels.on-call]
type = \"pagerduty\"
routing_key = { secret = \"PAGERDUTY\" }
[notifications.channels.sms]
type = \"sms\"
account = \"AC1\"
token = { secret = \"TWILIO\" }
from = \"+4930123456\"
to = \"+4915123456\"
";

fn compiled(files: &[(&str, &str)]) -> Loaded {
    let mut all: Vec<(Arc<str>, String)> = vec![("rmm.toml".into(), CHANNELS.into()), ("devices.yaml".into(), FLEET.into())];
    all.extend(files.iter().map(|(path, text)| (Arc::from(*path), (*text).to_owned())));
    compile(all, &options(), World::default())
}

fn accepted(files: &[(&str, &str)]) -> PolicySet {
    let loaded = compiled(files);
    assert_eq!(loaded.problems, Vec::new());
    loaded.set.unwrap()
}

/// The only problem: its spot, and its message with the advice behind it.
fn mistake(path: &str, text: &str) -> (String, String) {
    let loaded = compiled(&[(path, text)]);
    let all = spots(&loaded);
    assert_eq!(all.len(), 1, "{text}: {:#?}", loaded.problems);
    let problem = &loaded.problems[0];
    let spot = all[0].replace(&format!(" {path}:"), " ");
    (spot, format!("{}; {}", problem.message, problem.advice.clone().unwrap_or_default()))
}

fn workflow(text: &str) -> (String, String) {
    mistake("workflows/w.yaml", text)
}

/// A workflow of one scheduled step that does this.
fn action(step: &str) -> Arc<crate::model::Workflow> {
    let text = format!("W:\n  trigger: Manual\n  steps:\n    - {{name: A, {step}}}\n");
    Arc::clone(&accepted(&[("workflows/w.yaml", &text)]).workflows["W"])
}

#[test]
fn every_fixture_loads_unchanged_from_a_folder_and_says_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("rmm.toml", CHANNELS);
    write("devices.yaml", FLEET);
    write("policies/seed.json", include_str!("fixtures/all/policies/seed.json"));
    write("thresholds/seed.json", include_str!("fixtures/all/thresholds/seed.json"));
    write("workflows/seed.yaml", include_str!("fixtures/all/workflows/seed.yaml"));
    write("notifications.json", include_str!("fixtures/all/notifications.json"));
    write("sites.json", include_str!("fixtures/all/sites.json"));
    let loaded = load(&LoadOptions { root: dir.path().into(), ..options() });
    assert_eq!(loaded.problems, Vec::new());
    let set = loaded.set.unwrap();
    assert_eq!((set.policies.len(), set.thresholds.len(), set.workflows.len(), set.notifications.len(), set.sites.len()), (2, 5, 2, 2, 2));

    let disk = &set.thresholds["DiskSpace"];
    assert_eq!((disk.metric, disk.limits.warning, disk.limits.critical), ("DiskSpace", Some(20.0), Some(10.0)));
    assert_eq!((disk.limits.worse, set.thresholds["CPU"].limits.worse), (Worse::Lower, Worse::Higher));

    let patch = &set.workflows["PatchTuesday"];
    let [Trigger::Schedule(schedule)] = patch.triggers.as_slice() else { panic!("{:?}", patch.triggers) };
    let next = schedule.next("2026-11-21T12:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(next.to_rfc3339(), "2026-12-08T22:00:00+00:00");
    let call = |i: usize| if let Work::Action(call) = &patch.steps[i].work { call } else { panic!("{i}") };
    assert_eq!((&*call(0).action, call(0).on.as_slice()), ("InvokeUpdateScan", [Selector::Name("*".into())].as_slice()));
    assert_eq!((&*call(1).action, call(1).on.as_slice()), ("InstallUpdates", [Selector::Name("Pilot".into())].as_slice()));
    assert!(patch.steps[0].parallel && patch.steps[1].wait_for_reboot);
    assert_eq!(patch.steps[2].on_failure, OnFailure::RollbackAndNotify);
    assert_eq!(patch.steps[3].delay.unwrap().as_seconds(), 86_400);
    assert_eq!(set.workflows["OnboardNewDevice"].triggers, [Trigger::DeviceAdded { group: "New Devices".into() }]);

    let critical = &set.notifications["Critical to On-Call"];
    assert_eq!(critical.severity, Some(SeverityRule::Any(vec![Severity::Critical])));
    assert_eq!(critical.channels.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["on-call", "sms"]);
    let high = &set.notifications["High to Team"];
    assert_eq!(high.channels.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["ops-mail", "teams"]);
    assert!(high.suppress_duplicates && high.delay.as_seconds() == 300);
}

#[test]
fn the_cmdlet_spelling_and_the_structured_one_are_the_same() {
    for (line, structured) in [
        ("action: Install-Updates -Group Pilot -Full", "action: InstallUpdates, on: {group: Pilot}, with: {full: true}"),
        ("action: Install-Updates -Group Pilot", "action: install-updates, on: Pilot"),
        ("action: Invoke-UpdateScan -All", "action: InvokeUpdateScan, on: '*'"),
        ("action: \"Set-DeviceGroup -Group 'New Devices'\"", "action: SetDeviceGroup, with: {group: New Devices}"),
        ("action: Test-GroupHealth -MinScore 90 -Group Pilot", "action: TestGroupHealth, on: [{group: Pilot}], with: {minScore: 90}"),
        ("action: 'Reboot -Delay:5 -Tag kiosk'", "action: Reboot, on: {tag: kiosk}, with: {delay: 5}"),
        ("action: Service-Control -Name nginx -State Restart", "action: ServiceControl, with: {name: nginx, state: restart}"),
    ] {
        assert_eq!(action(line).steps, action(structured).steps, "{line}");
        assert_eq!(fingerprint(&*action(line)), fingerprint(&*action(structured)), "{line}");
    }
    assert_ne!(fingerprint(&*action("action: Reboot, on: Pilot")), fingerprint(&*action("action: Reboot, on: Production")));
}

#[test]
fn triggers_have_a_text_form_and_a_structured_one() {
    let trigger = |trigger: &str| {
        let text = format!("W:\n  timezone: Europe/Berlin\n  trigger: {trigger}\n  steps: [{{name: A, action: Reboot, on: Pilot}}]\n");
        accepted(&[("workflows/w.yaml", &text)]).workflows["W"].triggers.clone()
    };
    for (text, structured) in [
        ("'Schedule: Second Tuesday 10PM'", "{schedule: Second Tuesday 10PM}"),
        ("'schedule: 0 0 22 8-14 * Tue'", "{schedule: {cron: 0 0 22 8-14 * Tue, timezone: Europe/Berlin}}"),
        ("Device added to group 'New Devices'", "{deviceAdded: {group: New Devices}}"),
        ("'Alert: DiskSpace [severity >= High]'", "{alert: {type: DiskSpace, severity: '>= High'}}"),
        ("'Alert: DiskSpace severity = critical'", "{alert: {type: DiskSpace, severity: Critical}}"),
        ("'Alert: severity >= low'", "{alert: {severity: '>= Low'}}"),
        ("'Webhook: build-done'", "{webhook: build-done}"),
        ("Manual", "{manual: true}"),
    ] {
        assert_eq!(trigger(text), trigger(structured), "{text}");
    }
    assert_eq!(trigger("[Manual, 'Webhook: x']").len(), 2);
}

#[test]
fn thresholds_may_be_wrapped_and_have_overrides_and_remedies() {
    let text = "
thresholds:
  Memory:
    warning: 85%
    Critical: 95
    clear: 80
    for: 10m
    overrides:
      - {targets: [Database Servers], Warning: 95, critical: 98}
  RootDisk: {metric: DiskSpace, warning: 20, critical: 10, clear: 25, remediate: Clear-Temp -Days 3}
  Swap: {critical: 50, remediate: {action: ClearTemp, with: {days: 3}}}
";
    let set = accepted(&[("thresholds/t.yaml", text)]);
    let memory = &set.thresholds["Memory"];
    assert_eq!(memory.overrides[0].limits.warning, Some(95.0));
    assert_eq!((memory.overrides[0].limits.clear, memory.overrides[0].limits.hold.as_seconds()), (Some(80.0), 600));
    assert_eq!(set.thresholds["RootDisk"].remediate, set.thresholds["Swap"].remediate);
}

#[test]
fn mistakes_in_thresholds_are_found_where_they_stand() {
    let mut wrong = Vec::new();
    for (text, spot, words) in [
        ("CPUs: {warning: 80}", "RMM0108 1:1", "did you mean 'CPU'?"),
        ("X: {metric: Memroy, warning: 80}", "RMM0108 1:13", "did you mean 'Memory'?"),
        ("CPU: {warnung: 80}", "RMM0102 1:7", "did you mean 'warning'?"),
        ("CPU: {warning: high}", "RMM0103 1:16", "expected a number"),
        ("CPU: {warning: 80, critical: 80}", "RMM0140 1:30", "both 80"),
        ("CPU: {warning: 80, critical: 95, clear: 90}", "RMM0141 1:41", "at or below warning"),
        ("DiskSpace: {warning: 20, critical: 10, clear: 15}", "RMM0141 1:47", "at or above warning"),
        ("DiskSpace: {warning: 80, critical: 90}", "RMM0142 1:36", "less of it is worse"),
        ("CPU: {warning: 80, critical: 950}", "RMM0142 1:30", "from 0 to 100"),
        ("CPU: {for: 5m}", "RMM0113 1:1", "neither"),
        ("CPU: {warning: 80, remediate: ClaerTemp}", "RMM0131 1:31", "did you mean 'ClearTemp'?"),
        ("CPU: {warning: 80, remediate: {action: ClearTemp, with: {days: many}}}", "RMM0132 1:64", "days of ClearTemp"),
        ("CPU: {warning: 80, overrides: [{targets: [Pilto], warning: 90}]}", "RMM0108 1:43", "did you mean 'Pilot'?"),
        ("CPU: {warning: 80, critical: 95, overrides: [{targets: [Pilot], warning: 95}]}", "RMM0140 1:74", "both 95"),
        ("thresholds: 5", "RMM0103 1:13", "map from name to threshold"),
        ("threshold: {CPU: {warning: 80}}", "RMM0102 1:1", "did you mean 'thresholds'?"),
        ("CPU: 80", "RMM0103 1:6", "describes the threshold 'CPU'"),
    ] {
        let (at, message) = mistake("thresholds/t.yaml", text);
        if at != spot || !message.contains(words) {
            wrong.push(format!("{text}: at {at} rather than {spot}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_in_workflows_are_found_where_they_stand() {
    let mut wrong = Vec::new();
    let w = |trigger: &str, steps: &str| format!("W:\n  trigger: {trigger}\n  steps:\n{steps}");
    let step = |step: &str| w("Manual", &format!("    - {{name: A, {step}}}\n"));
    for (text, spot, words) in [
        (step("action: Reboott"), "RMM0131 4:25", "did you mean 'Reboot'?"),
        (step("action: Instal-Updates -Group Pilot"), "RMM0131 4:25", "did you mean 'Install-Updates'?"),
        (step("action: Install-Updates -Group Pilt"), "RMM0108 4:48", "did you mean 'Pilot'?"),
        (step("action: Install-Updates -Ful"), "RMM0132 4:41", "did you mean 'full'?"),
        (step("action: Reboot, with: {dely: 5}"), "RMM0132 4:40", "did you mean 'delay'?"),
        (step("action: Reboot -Delay soon"), "RMM0132 4:39", "whole number"),
        (step("action: Apply-Policy -Name Basline"), "RMM0108 4:44", "no policy 'Basline'"),
        (step("action: Apply-Policy"), "RMM0132 4:25", "'name' is missing"),
        (step("action: Send-Notification -Channel Slack"), "RMM0143 4:52", "channels are"),
        (step("action: Send-Notification -Channel Team"), "RMM0143 4:52", "did you mean 'teams'?"),
        (step("action: Set-DeviceGroup -Group Nowhere"), "RMM0108 4:48", "no group 'Nowhere'"),
        (step("action: Reboot, onFailure: rolback"), "RMM0133 4:44", "did you mean 'rollback'?"),
        (step("action: Reboot, onFailure: 'run: Othr'"), "RMM0108 4:50", "no workflow 'Othr'"),
        (step("action: Reboot, retries: -1"), "RMM0103 4:42", "at least 0"),
        (step("action: Reboot, timeout: soon"), "RMM0103 4:42", "How long"),
        (step("action: Reboot, wen: x"), "RMM0102 4:33", "did you mean 'when'?"),
        (step("action: Reboot, approval: {}"), "RMM0133 4:33", "both 'action' and 'approval'"),
        (step("approval: {role: Boss}"), "RMM0103 4:34", "'Operator'"),
        (step("approval: {}, retries: 2"), "RMM0133 4:31", "belongs to an action"),
        (step("delay: 5m"), "RMM0133 4:14", "does nothing"),
        (step("action: Reboot, when: 'steps['"), "RMM0112 4:46", "does not compile"),
        (step("action: Reboot, when: '1 > 2'"), "RMM0135 4:39", "always false"),
        (step("action: Reboot, when: steps.Scan.failed == 0"), "RMM0136 4:45", "does not exist"),
        (
            w("Manual", "    - {name: A, action: Reboot, when: 'steps[\"B\"].failed == 0'}\n    - {name: B, action: Reboot}\n"),
            "RMM0136 4:46",
            "comes later",
        ),
        (w("Manual", "    - {name: A, action: Reboot}\n    - {name: A, action: Reboot}\n"), "RMM0134 5:14", "two steps"),
        (w("Manual", "    - {name: A, end: succeeded}\n    - {name: B, action: Reboot}\n"), "RMM0135 5:14", "'A' always ends"),
        (w("'Schedule: Daily'", "    - {name: A, action: Reboot}\n"), "RMM0138 4:25", "-Group NAME"),
        (w("'Schedule: now and then'", "    - {name: A, action: Reboot -All}\n"), "RMM0115 2:23", "not a schedule"),
        (w("'Schedule: 0 0 30 2 *'", "    - {name: A, action: Reboot -All}\n"), "RMM0130 2:23", "never happens"),
        (w("{schedule: {cron: 0 0 0 1 1 * 2020}}", "    - {name: A, action: Reboot -All}\n"), "RMM0130 2:30", "never happens"),
        (
            w("{schedule: {cron: 0 2 * * *, timezone: Europe/Berln}}", "    - {name: A, action: Reboot -All}\n"),
            "RMM0115 2:51",
            "Europe/Berlin",
        ),
        (w("Device added to group 'Nwe Devices'", "    - {name: A, action: Reboot}\n"), "RMM0108 2:35", "did you mean 'New Devices'?"),
        (w("'Alert: X severity >= Hihg'", "    - {name: A, action: Reboot}\n"), "RMM0144 2:12", "did you mean 'High'?"),
        (w("'Sched: Daily'", "    - {name: A, action: Reboot}\n"), "RMM0139 2:12", "did you mean 'Schedule'?"),
        (w("{webhok: x}", "    - {name: A, action: Reboot}\n"), "RMM0102 2:13", "did you mean 'webhook'?"),
        ("W:\n  trigger: Manual\n  steps: []\n".to_owned(), "RMM0133 3:10", "no steps"),
        ("W:\n  trigger: Manual\n".to_owned(), "RMM0113 2:3", "'steps' is missing"),
        (
            "A:\n  steps: [{name: x, action: Reboot, onFailure: 'run: B'}]\nB:\n  steps: [{name: x, action: Reboot, onFailure: {run: A}}]\n"
                .to_owned(),
            "RMM0137 4:54",
            "A > B > A",
        ),
    ] {
        let (at, message) = workflow(&text);
        if at != spot || !message.contains(words) {
            wrong.push(format!("{text}: at {at} rather than {spot}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_in_notifications_are_found_where_they_stand() {
    let mut wrong = Vec::new();
    for (text, spot, words) in [
        ("rules: [{name: A, condition: {severity: Critcal}, channels: [teams]}]", "RMM0144 1:41", "did you mean 'Critical'?"),
        ("rules: [{name: A, channels: [Slack]}]", "RMM0143 1:30", "channels are"),
        ("rules: [{name: A, channels: []}]", "RMM0103 1:29", "at least 1"),
        ("rules: [{channels: [teams]}]", "RMM0113 1:9", "'name'"),
        ("rules: {A: {channels: [teams], escalation: Night}}", "RMM0108 1:44", "no escalation 'Night'"),
        ("rules: {A: {channels: [teams], during: businessHours}}", "RMM0145 1:40", "none are declared"),
        ("rulez: []", "RMM0102 1:1", "did you mean 'rules'?"),
        ("escalation: {Night: {tiers: [{after: 15m}]}}", "RMM0145 1:30", "nobody hears"),
        ("escalation: {Night: {tiers: [{after: 15m, onCall: Nobody}]}}", "RMM0108 1:51", "no rota 'Nobody'"),
        ("onCall: {Ops: {people: [kim], start: someday}}", "RMM0103 1:38", "2026-01-05"),
        ("businessHours: {days: [Mo, Funday], hours: '08:00-18:00'}", "RMM0103 1:24", "not a day"),
        ("businessHours: {hours: all day}", "RMM0115 1:24", "not a span"),
    ] {
        let text = text.replace("[Mo, Funday]", "[Funday]");
        let (at, message) = mistake("notifications.yaml", &text);
        if at != spot || !message.contains(words) {
            wrong.push(format!("{text}: at {at} rather than {spot}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn escalation_rotas_and_business_hours_are_read() {
    let text = "
rules:
  Night: {condition: {severity: '>= High', type: DiskSpace, targets: [Pilot]}, channels: [Email], during: outsideBusinessHours, escalation: Ops}
escalation:
  Ops: {tiers: [{after: 15m, onCall: Weekly}, {after: 30m, channels: [SMS]}]}
onCall:
  Weekly: {people: [kim, ada], start: 2026-01-05}
people: {kim: {email: kim@example.com}, ada: {phone: '+491701234567'}}
businessHours: {hours: '08:00-18:00', timezone: Europe/Berlin}
";
    let set = accepted(&[("notifications.yaml", text)]);
    assert_eq!(set.escalations["Ops"].tiers[1].channels, ["sms".into()]);
    assert_eq!(set.rotas["Weekly"].turn.as_seconds(), 7 * 86_400);
    assert_eq!(set.business_hours.as_ref().unwrap().days.len(), 5);
}

#[test]
fn selectors_that_mean_no_device_are_warned_of() {
    let devices = "groups: {Empty: {}, Ruled: {match: {where: 'facts.hardware.cpu.cores == 1'}}, Child: {parent: Empty2}, Empty2: {}}\n\
                   devices: {ws-1: {tags: [a], os: linux, groups: [Child]}}\n";
    let spots_of = |targets: &str| {
        let text = format!("P:\n  targets: {targets}\n  settings: {{AllowReboots: false}}\n");
        spots(&compile(
            vec![("rmm.toml".into(), String::new()), ("devices.yaml".into(), devices.into()), ("policies/p.yaml".into(), text)],
            &options(),
            World::default(),
        ))
    };
    for (targets, found) in [
        ("[Empty]", vec!["RMM0150 policies/p.yaml:2:13"]),
        ("[{tag: b}]", vec!["RMM0150 policies/p.yaml:2:13"]),
        ("{os: windows}", vec!["RMM0150 policies/p.yaml:2:12"]),
        ("[Ruled, Empty2, {tag: a, os: linux}, '*', {tag: a, where: 'facts.hardware.cpu.cores == 1'}]", vec![]),
    ] {
        assert_eq!(spots_of(targets), found, "{targets}");
    }
}

#[test]
fn policies_that_disagree_on_a_device_are_warned_of() {
    let found = |a: &str, b: &str| {
        let text = format!("A:\n  targets: '*'\n  {a}\nB:\n  targets: {{tag: a}}\n  {b}\n");
        let devices = "devices: {ws-1: {tags: [a]}, ws-2: {}}\n";
        spots(&compile(
            vec![("rmm.toml".into(), String::new()), ("devices.yaml".into(), devices.into()), ("policies/p.yaml".into(), text)],
            &options(),
            World::default(),
        ))
    };
    let utc = "settings: {Timezone: UTC}";
    let berlin = "settings: {Timezone: Europe/Berlin}";
    assert_eq!(found(utc, berlin), ["RMM0151 policies/p.yaml:6:14"]);
    assert_eq!(found(utc, utc), Vec::<String>::new());
    assert_eq!(found(utc, &format!("{berlin}\n  priority: 1")), Vec::<String>::new());
    assert_eq!(found(&format!("{utc}\n  exclude: [{{tag: a}}]"), berlin), Vec::<String>::new());
    assert_eq!(
        found(&format!("{utc}\n  activeHours: 06:00-07:00"), &format!("{berlin}\n  activeHours: 08:00-09:00")),
        Vec::<String>::new()
    );
}
