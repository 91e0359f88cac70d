//! Sixty and more kinds of mistake, one at a time, in the good repository: each gives one problem, where it stands, in a useful sentence.

use std::collections::BTreeSet;

use super::good::{Files, files, problems};

const RMM: &str = "rmm.toml";
const FLEET: &str = "devices.yaml";
const OFFICE: &str = "devices/office.yaml";
const POLICIES: &str = "policies/baseline.yaml";
const THRESHOLDS: &str = "thresholds/load.yaml";
const WORKFLOWS: &str = "workflows/patch.yaml";
const NOTIFICATIONS: &str = "notifications.yaml";
const SETTING: &str = "scripts/login-banner.rhai";
const ACTION: &str = "scripts/check-door.rhai";
const TESTS: &str = "tests/baseline.yaml";

/// A kind of mistake: what stands in the file, what is put there instead, and what is said of it.
struct Mistake {
    name: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
    code: &'static str,
    /// `line:column`, of the file unless another one is named before it.
    at: &'static str,
    /// What message and advice hold.
    words: &'static [&'static str],
}

macro_rules! mistakes {
    ($($name:literal: $file:ident, $old:literal => $new:literal, $code:ident $at:literal, $($words:literal),+;)+) => {
        &[$(Mistake { name: $name, file: $file, old: $old, new: $new, code: stringify!($code), at: $at, words: &[$($words),+] }),+]
    };
}

const MISTAKES: &[Mistake] = mistakes! {
    // rmm.toml
    "a section of the configuration that does not exist": RMM, "[connections]" => "[conections]", RMM0102 "8:2", "did you mean 'connections'?";
    "a key of the configuration that does not exist": RMM, "organization" => "organisation", RMM0102 "3:1", "did you mean 'organization'?";
    "a text without its end": RMM, "\"Example Ltd\"" => "\"Example Ltd", RMM0101 "3:", "quote";
    "two values for one key of the configuration": RMM, "log_level = \"info\"" => "log_level = \"info\"\nlog_level = \"debug\"", RMM0104 "7:1", "twice";
    "a value without quotes": RMM, "log_level = \"info\"" => "log_level = info", RMM0101 "6:13", "in quotes", "\"info\"";
    "a word outside of a closed vocabulary": RMM, "\"info\"" => "\"inf\"", RMM0103 "6:13", "did you mean 'info'?";
    "a number above its maximum": RMM, "max_concurrent = 25" => "max_concurrent = 2500", RMM0103 "10:18", "at most 500";
    "a number below its minimum": RMM, "data_retention_days = 90" => "data_retention_days = -1", RMM0103 "5:23", "at least 0";
    "a duration with an unknown unit": RMM, "ssh_timeout = \"30s\"" => "ssh_timeout = \"30 parsecs\"", RMM0103 "9:15", "duration such as 90s", "30 parsecs";
    "a share that is none": RMM, "max_failures = \"5%\"" => "max_failures = \"few\"", RMM0103 "14:16", "a share such as", "'few'";
    "a share above the whole": RMM, "max_failures = \"5%\"" => "max_failures = \"500%\"", RMM0103 "14:16", "500%", "share";
    "an effect that does not exist": RMM, "\"destructive\"" => "\"destructiv\"", RMM0103 "17:24", "did you mean 'destructive'?";
    "a default site that does not exist": RMM, "default_site = \"Berlin\"" => "default_site = \"Berln\"", RMM0108 "4:", "did you mean 'Berlin'?";
    "a type of channel that does not exist": RMM, "\"pagerduty\"" => "\"pagerdutty\"", RMM0103 "29:8", "did you mean 'pagerduty'?";
    "a channel without a type": RMM, "type = \"pagerduty\"" => "", RMM0113 "28:25", "the channel 'on-call' has no type", "type = \"email\"";
    // Sites, groups and devices
    "a section that does not exist": FLEET, "groups:" => "grups:", RMM0102 "6:1", "did you mean 'groups'?";
    "a time zone that does not exist": FLEET, "Hamburg: {timezone: Europe/Berlin}" => "Hamburg: {timezone: Europe/Hamburg}", RMM0115 "4:23", "Europe/Hamburg";
    "a parent that does not exist": FLEET, "parent: Servers" => "parent: Server", RMM0108 "9:13", "did you mean 'Servers'?";
    "groups in a circle": FLEET, "Servers: {}" => "Servers: {parent: Web}", RMM0111 "7:21", "Servers > Web > Servers";
    "a member that does not exist": FLEET, "members: [ws-1]" => "members: [ws-2]", RMM0108 "12:15", "did you mean 'ws-1'?";
    "a condition that does not compile": FLEET, "total_gb < 8" => "total_gb <", RMM0112 "14:", "does not compile";
    "a list that is not closed": FLEET, "members: [ws-1]" => "members: [ws-1", RMM0101 "13:", "left open";
    "a group that is declared in two files": OFFICE, "devices:\n" => "groups:\n  Web: {}\ndevices:\n", RMM0107 "3:3", "declared twice";
    "a group that does not exist": OFFICE, "groups: [Web]\n    tags" => "groups: [Webb]\n    tags", RMM0108 "7:14", "did you mean 'Web'?";
    "a site that does not exist": OFFICE, "site: Hamburg" => "site: Hamberg", RMM0108 "15:11", "did you mean 'Hamburg'?";
    "a misspelt key of a device": OFFICE, "address:" => "adress:", RMM0102 "4:5", "did you mean 'address'?";
    "an operating system that does not exist": OFFICE, "os: windows" => "os: window", RMM0103 "14:9", "did you mean 'windows'?";
    "a text where a list belongs": OFFICE, "tags: [desk]" => "tags: desk", RMM0103 "16:11", "expected a list", "'desk'";
    "a port that is none": OFFICE, "port: 22" => "port: 70000", RMM0103 "9:35", "at most 65535";
    "a password in plain text": OFFICE, "sudoPassword: {secret: ops-sudo}" => "sudoPassword: hunter2", RMM0103 "9:68", "expected {secret: NAME}";
    "a device that is declared twice": OFFICE, "  ws-1:" => "  web-1: {}\n  ws-1:", RMM0104 "13:3", "stands twice";
    "a device that is no map": OFFICE, "  ws-1:\n    os: windows\n    site: Hamburg\n    tags: [desk]\n" => "  ws-1: windows\n", RMM0103 "13:9", "describes the device 'ws-1'";
    "an address with a space": OFFICE, "address: 192.0.2.1" => "address: 192.0.2.1 port 22", RMM0103 "4:14", "cannot hold spaces";
    "a tab that indents": OFFICE, "    os: windows" => "\tos: windows", RMM0101 "14:", "indent with spaces";
    // Policies
    "a misspelt key of a policy": POLICIES, "targets: [Servers]" => "target: [Servers]", RMM0102 "5:5", "did you mean 'targets'?";
    "a policy without targets": POLICIES, "    targets: [{os: linux}]\n" => "", RMM0113 "25:3", "'targets' is missing", "targets: [Servers]";
    "a target that does not exist": POLICIES, "[Servers]" => "[Server]", RMM0108 "5:15", "did you mean 'Servers'?";
    "a device as a target": POLICIES, "[Servers]" => "[web-1]", RMM0108 "5:15", "{device: web-1}";
    "a selector that means no device": POLICIES, "targets: [{os: linux}]" => "targets: [{os: macos}]", RMM0150 "26:15", "no device fits";
    "a selector without members": POLICIES, "targets: [{os: linux}]" => "targets: [{}]", RMM0103 "26:15", "every device";
    "a setting that does not exist": POLICIES, "PasswordMinLength: 12" => "PasswordMinLenght: 12", RMM0109 "9:7", "did you mean 'PasswordMinLength'?";
    "a value that the setting refuses": POLICIES, "state: running" => "state: runing", RMM0110 "11:23", "Services.sshd", "running";
    "a value of the wrong type": POLICIES, "PasswordMinLength: 12" => "PasswordMinLength: twelve", RMM0110 "9:26", "PasswordMinLength";
    "a value that a setting of the team refuses": POLICIES, "Authorised use only." => "Authorised use only, and nobody else at all.", RMM0110 "16:20", "LoginBanner", "40";
    "a single value where keys belong": POLICIES, "      Packages:\n        curl: present" => "      Packages: curl", RMM0103 "14:17", "map from";
    "a guard that is neither true nor false": POLICIES, "AllowReboots: false" => "AllowReboots: never", RMM0103 "27:30", "true or false";
    "a restart after something that is not set": POLICIES, "\"Files./etc/ssh/sshd_config\"" => "\"Files./etc/ssh/sshd.config\"", RMM0116 "11:62", "did you mean 'Files./etc/ssh/sshd_config'?";
    "an unknown word for remediate": POLICIES, "remediate: approve" => "remediate: aprove", RMM0103 "17:16", "did you mean 'approve'?";
    "a schedule that is none": POLICIES, "schedule: Daily 02:00" => "schedule: whenever", RMM0115 "18:15", "whenever";
    "a schedule that never happens": POLICIES, "schedule: Daily 02:00" => "schedule: 0 0 30 2 *", RMM0130 "18:15", "never";
    "an unknown severity": POLICIES, "severity: high" => "severity: hihg", RMM0103 "19:15", "did you mean 'high'?";
    "an exception for nobody": POLICIES, "device: web-2" => "device: web-3", RMM0108 "23:18", "did you mean";
    "an exception for what is not set": POLICIES, "setting: PasswordMinLength" => "setting: PasswordMaxAge", RMM0109 "23:34", "does not set 'PasswordMaxAge'";
    "an exception that has ended": POLICIES, "2030-12-31" => "2020-12-31", RMM0114 "23:60", "ended on 2020-12-31";
    "an exception without a reason": POLICIES, ", reason: \"legacy\"" => "", RMM0113 "23:9", "'reason' is missing";
    "a date that is none": POLICIES, "2030-12-31" => "soon", RMM0103 "23:60", "a date such as 2026-12-31";
    "a day that does not exist": POLICIES, "2030-12-31" => "2030-02-31", RMM0103 "23:60", "2030-02-31";
    "hours that are none": POLICIES, "\"06:00-22:00\"" => "\"06:00-26:00\"", RMM0115 "28:18", "06:00-26:00";
    "a pack that does not exist": POLICIES, "policies:\n  Base" => "import: [linux-basline]\npolicies:\n  Base", RMM0118 "2:10", "did you mean 'linux-baseline'?";
    "two policies that disagree": POLICIES, "settings: {AllowReboots: false}" => "priority: 10\n    settings: {Timezone: Europe/Berlin}", RMM0151 "28:16", "disagree about Timezone";
    "a private key in plain text": POLICIES, "description: What every server must have." => "description: \"-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\\n-----END PRIVATE KEY-----\"", RMM0152 "4:18", "private key", "secret";
    "an alias of nothing": POLICIES, "[Servers]" => "*servers", RMM0101 "5:14", "no anchor";
    "a second document": POLICIES, "  Quiet:" => "---\n  Quiet:", RMM0101 "25:", "second document";
    // Scripts
    "a script that does not compile": SETTING, "desired, #{mode" => "desired #{mode", RMM0601 "10:45", "Expecting ','";
    "an unknown key in the head of a script": SETTING, "//! risk: low" => "//! risc: low", RMM0605 "7:", "risc";
    "a script without its function": SETTING, "compare: equals" => "compare: script", RMM0607 "", "compliant";
    "a comparison that does not exist": SETTING, "compare: equals" => "compare: equal", RMM0605 "6:", "did you mean 'equals'?";
    "an action without a script": ACTION, "fn run(device, params)" => "fn walk(device, params)", RMM0607 "", "run";
    // Thresholds
    "a metric that does not exist": THRESHOLDS, "metric: DiskSpace" => "metric: DiskSpase", RMM0108 "9:13", "did you mean 'DiskSpace'?";
    "a threshold without limits": THRESHOLDS, "    warning: 80\n    critical: 95\n    clear: 75\n" => "", RMM0113 "3:3", "neither 'warning' nor 'critical'";
    "a limit that is no number": THRESHOLDS, "warning: 80" => "warning: much", RMM0103 "4:14", "a number", "share such as", "'much'";
    "limits that are the same": THRESHOLDS, "critical: 95" => "critical: 80", RMM0140 "5:15", "never a warning";
    "an end above the beginning": THRESHOLDS, "clear: 75" => "clear: 85", RMM0141 "6:12", "at or below warning";
    "a share above 100": THRESHOLDS, "critical: 95" => "critical: 950", RMM0142 "5:15", "0 to 100";
    "limits the wrong way round": THRESHOLDS, "warning: 20" => "warning: 5", RMM0142 "12:15", "less of it is worse";
    "a remedy that does not exist": THRESHOLDS, "Clear-Temp -Days 3" => "Clean-Temp -Days 3", RMM0131 "13:16", "did you mean 'Clear-Temp'?";
    "a remedy with a parameter that does not fit": THRESHOLDS, "-Days 3" => "-Days many", RMM0132 "13:33", "days of ClearTemp";
    "an override for nobody": THRESHOLDS, "targets: [Web]" => "targets: [Wep]", RMM0108 "15:20", "did you mean 'Web'?";
    "an override without targets": THRESHOLDS, "{targets: [Web], warning: 30" => "{warning: 30", RMM0113 "15:9", "'targets' is missing";
    // Workflows
    "a trigger that does not exist": WORKFLOWS, "\"Schedule: Second" => "\"Shedule: Second", RMM0139 "4:14", "did you mean 'Schedule'?";
    "a trigger at no time": WORKFLOWS, "Second Tuesday 10PM" => "Second Tusday 10PM", RMM0115 "4:25", "Tusday";
    "an alert of an unknown severity": WORKFLOWS, "\">= High\"" => "\">= Hihg\"", RMM0144 "34:50", "did you mean 'High'?";
    "a bound within a list of severities": WORKFLOWS, "\">= High\"" => "[\">= High\", Low]", RMM0144 "34:51", "alone";
    "a group that nobody can come into": WORKFLOWS, "group 'Web'" => "group 'Wep'", RMM0108 "26:37", "did you mean 'Web'?";
    "a step that does nothing": WORKFLOWS, "{name: Clean, action: ClearTemp}" => "{name: Clean}", RMM0133 "36:16", "does nothing";
    "a step without a name": WORKFLOWS, "{name: Clean, action: ClearTemp}" => "{action: ClearTemp}", RMM0113 "36:9", "'name' is missing";
    "two steps of one name": WORKFLOWS, "- name: Sign-off" => "- name: Pilot", RMM0134 "14:15", "two steps are named 'Pilot'";
    "a step that is both": WORKFLOWS, "approval: {role: Operator, within: 12h}" => "approval: {role: Operator, within: 12h}\n        action: Reboot", RMM0133 "15:9", "both 'action' and 'approval'";
    "an action that does not exist": WORKFLOWS, "Install-Updates -Group Pilot" => "Instal-Updates -Group Pilot", RMM0131 "8:17", "did you mean 'Install-Updates'?";
    "a parameter that does not exist": WORKFLOWS, "{full: true}" => "{fully: true}", RMM0132 "19:16", "did you mean 'full'?";
    "a parameter that is missing": WORKFLOWS, ", with: {door: north}" => "", RMM0132 "31:31", "'door' is missing";
    "a parameter of the team's own action": WORKFLOWS, "{door: north}" => "{door: nort}", RMM0132 "31:55", "door of CheckDoor", "north";
    "an action on a group that does not exist": WORKFLOWS, "-Group Pilot" => "-Group Pilots", RMM0108 "8:40", "did you mean 'Pilot'?";
    "an action without devices": WORKFLOWS, "-Group Pilot" => "-Full", RMM0138 "8:17", "-Group NAME";
    "a condition on a step that does not exist": WORKFLOWS, "steps[\"Pilot\"]" => "steps[\"Piolt\"]", RMM0136 "21:22", "did you mean 'Pilot'?";
    "a condition with a bracket open": WORKFLOWS, "steps[\"Pilot\"].failed == 0" => "steps[\"Pilot\".failed == 0", RMM0112 "21:", "does not compile";
    "a condition that never holds": WORKFLOWS, "steps[\"Pilot\"].failed == 0" => "1 > 2", RMM0135 "21:15", "always false";
    "an unknown word for a failure": WORKFLOWS, "onFailure: rollback-and-notify" => "onFailure: rollback-and-notifi", RMM0133 "10:20", "did you mean 'rollback-and-notify'?";
    "a workflow that does not exist": WORKFLOWS, "run: PatchTuesday" => "run: PatchTusday", RMM0108 "30:26", "did you mean 'PatchTuesday'?";
    "workflows in a circle": WORKFLOWS, "onFailure: rollback-and-notify" => "onFailure: \"run: Onboard\"", RMM0137 "", "start each other in a circle";
    "a policy that does not exist": WORKFLOWS, "Apply-Policy -Name Baseline" => "Apply-Policy -Name Basline", RMM0108 "29:36", "did you mean 'Baseline'?";
    "a channel that does not exist": WORKFLOWS, "-Channel ops-mail" => "-Channel op-mail", RMM0143 "23:44", "did you mean 'ops-mail'?";
    "a wait without a unit": WORKFLOWS, "timeout: 2h" => "timeout: two hours", RMM0103 "11:18", "duration such as 90s", "'two hours'";
    "a share of failures that is none": WORKFLOWS, "maxFailures: 10%" => "maxFailures: some", RMM0103 "13:22", "a count such as 3", "'some'";
    "a role that does not exist": WORKFLOWS, "role: Operator" => "role: Operater", RMM0103 "15:26", "did you mean 'Operator'?";
    "more attempts than are allowed": WORKFLOWS, "retries: 2" => "retries: 1000", RMM0103 "12:18", "at most 100";
    "a quote that is not closed": WORKFLOWS, "-Message done" => "-Message 'done", RMM0132 "23:62", "not closed";
    // Notifications
    "a misspelt section": NOTIFICATIONS, "escalation:\n  Night" => "escalations:\n  Night", RMM0102 "10:1", "did you mean 'escalation'?";
    "an alert of no severity": NOTIFICATIONS, "severity: Critical" => "severity: Urgent", RMM0144 "4:27", "severities are: Critical";
    "a rule for a group that does not exist": NOTIFICATIONS, "targets: [Servers]" => "targets: [Sevrers]", RMM0108 "4:64", "did you mean 'Servers'?";
    "a rule without channels": NOTIFICATIONS, "    channels: [on-call, Email]\n" => "", RMM0113 "4:5", "'channels' is missing";
    "a rule to a channel that does not exist": NOTIFICATIONS, "on-call, Email" => "on-cal, Email", RMM0143 "5:16", "did you mean 'on-call'?";
    "a time that does not exist": NOTIFICATIONS, "during: outsideBusinessHours" => "during: outsideBusinesHours", RMM0103 "7:13", "did you mean 'outsideBusinessHours'?";
    "an escalation that does not exist": NOTIFICATIONS, "escalation: Night" => "escalation: Nigth", RMM0108 "8:17", "did you mean 'Night'?";
    "a tier that nobody hears of": NOTIFICATIONS, "{after: 30m, channels: [ops-mail]}" => "{after: 30m}", RMM0145 "14:9", "nobody hears";
    "a rota that does not exist": NOTIFICATIONS, "onCall: Weekly" => "onCall: Weeky", RMM0108 "13:30", "did you mean 'Weekly'?";
    "a rota without a beginning": NOTIFICATIONS, ", start: 2026-01-05" => "", RMM0113 "17:11", "'start' is missing", "2026-01-05";
    "a day of the week that does not exist": NOTIFICATIONS, "[Mon, Tue, Wed]" => "[Mon, Wendsday]", RMM0103 "19:29", "did you mean 'Wednesday'?";
    "business hours that are needed and missing": NOTIFICATIONS, "businessHours: {days: [Mon, Tue, Wed], hours: \"08:00-18:00\", timezone: Europe/Berlin}" => "", RMM0145 "7:13", "businessHours: {days";
    // Policy tests
    "a test of a device that does not exist": TESTS, "device: web-1" => "device: web-9", RMM0108 "14:13", "did you mean", "or describe one";
    "a test in a group that does not exist": TESTS, "os: linux, groups: [Servers]" => "os: linux, groups: [Serverz]", RMM0108 "4:51", "did you mean 'Servers'?";
    "a test of a setting that does not exist": TESTS, "setting: Timezone" => "setting: Timezon", RMM0109 "11:21", "did you mean 'Timezone'?";
    "a test of a policy that does not exist": TESTS, "policy: Baseline" => "policy: Baselin", RMM0108 "11:69", "did you mean 'Baseline'?";
    "a test that expects nothing": TESTS, "{held: [Timezone]}" => "{}", RMM0531 "16:13", "cannot fail";
    "a test without facts that it names": TESTS, "samples/web-1.json" => "samples/web-2.json", RMM0532 "15:16", "there is no such file";
    "a test at no moment": TESTS, "2026-11-10T12:00:00Z" => "noon", RMM0103 "7:9", "noon", "2026-";
    "a misspelt key of a test": TESTS, "approve: true" => "aprove: true", RMM0102 "8:5", "did you mean 'approve'?";
    "a test of facts that nobody collects": TESTS, "{os: {timezone" => "{oss: {timezone", RMM0533 "6:18", "did you mean 'software.os'?";
    "two tests of one name": TESTS, "name: A declared device is as its facts say" => "name: A server in another time zone is moved to UTC", RMM0107 "13:11", "declared twice";
};

fn with(mistake: &Mistake) -> Files {
    let mut files = files();
    let (_, text) = files.iter_mut().find(|(path, _)| **path == *mistake.file).expect(mistake.file);
    assert!(text.contains(mistake.old), "{}: {} does not hold {:?}", mistake.name, mistake.file, mistake.old);
    *text = text.replacen(mistake.old, mistake.new, 1);
    files
}

/// What is wrong with the way in which a mistake is reported.
fn judge(mistake: &Mistake) -> Option<String> {
    let found = problems(with(mistake));
    let shown: Vec<String> = found
        .iter()
        .map(|p| {
            let place = p.place.as_ref().map_or_else(String::new, |p| format!("{}:{}:{}", p.file, p.line, p.column));
            format!("    {} {place} {}; {}", p.code, p.message, p.advice.clone().unwrap_or_default())
        })
        .collect();
    let shown = shown.join("\n");
    let wrong = |why: &str| Some(format!("{} ({} {}): {why}\n{shown}", mistake.name, mistake.code, mistake.at));
    let [problem] = found.as_slice() else { return wrong("not one problem") };
    let place = problem.place.as_ref()?;
    let at = format!("{}:{}", place.line, place.column);
    let right_spot = if mistake.at.ends_with(':') || mistake.at.is_empty() { at.starts_with(mistake.at) } else { at == mistake.at };
    if problem.code != mistake.code || &*place.file != mistake.file || !right_spot {
        return wrong("elsewhere");
    }
    let said = format!("{}; {}", problem.message, problem.advice.clone().unwrap_or_default());
    let missing = mistake.words.iter().find(|words| !said.contains(**words));
    missing.and_then(|words| wrong(&format!("does not say {words:?}")))
}

#[test]
fn the_good_repository_has_no_problem() {
    assert_eq!(problems(files()), Vec::new());
}

#[test]
fn each_of_more_than_sixty_kinds_of_mistake_is_found_once_and_where_it_stands() {
    let names: BTreeSet<&str> = MISTAKES.iter().map(|mistake| mistake.name).collect();
    assert!(names.len() == MISTAKES.len() && names.len() >= 60, "{} kinds", names.len());
    let wrong: Vec<String> = MISTAKES.iter().filter_map(judge).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), MISTAKES.len(), wrong.join("\n"));
}
