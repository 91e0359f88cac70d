//! What settings do on Windows: the calls of every example, and what counts as compliant.

use super::*;
use crate::model::Platform;

/// What a setting would ask of a Windows device, each call on one line: the script is the same for every value.
fn calls(name: &str, key: Option<&str>, desired: Value, observed: Option<Value>) -> Vec<String> {
    let lines = commands(windows(), name, key, desired, observed);
    lines.iter().map(|line| line.lines().next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_every_example_runs_on_windows() {
    let mut text = String::new();
    for setting in Catalog::builtin().settings.values() {
        if !setting.platforms.contains(&Platform::Windows) || !setting.remediable_on(Some(Platform::Windows)) {
            continue;
        }
        for (key, value) in examples(setting) {
            let recorder = Arc::new(Mutex::new(Recorder::new("ws-1", Arc::new(windows()))));
            let host: SharedHost = recorder.clone();
            let end = setting.program.apply(&host, key.as_deref(), &value, None);
            text += &format!("{} {} {value}\n", setting.name, key.unwrap_or_default());
            for line in rendered(&recorder) {
                text += &format!("    {}\n", line.lines().next().unwrap_or_default());
            }
            if let Err(error) = end {
                text += &format!("    ! {error}\n");
            }
        }
    }
    insta::assert_snapshot!("settings_on_windows", text);
}

/// Setting, key, what is desired, what was observed, whether that is compliant.
#[test]
fn what_counts_as_compliant() {
    let there = |kind: &str, value: Value| json!({"exists": true, "kind": kind, "value": value});
    let gone = || json!({"exists": false, "kind": null, "value": null});
    let one = |n: i64| there("dword", json!(n));
    let user = |seen: Value| json!({"users": {"S-1-5-21-1-2-3-1001": seen}});
    let both = |a: Value, b: Value| json!({"users": {"S-1-5-21-1-2-3-1001": a, "S-1-5-21-1-2-3-1002": b}});
    let rights = |sids: Value| json!({"right": "x", "accounts": sids});
    let feature = |state: &str| json!({"name": "x", "state": state, "kind": "feature"});
    let task = |enabled: bool| json!({"enabled": enabled, "command": "C:\\a.exe", "arguments": "--all", "user": "NT AUTHORITY\\SYSTEM"});
    let timed = |when: &str| json!({"enabled": true, "command": "C:\\a.exe", "user": "SYSTEM", "schedule": [when]});
    let profile = |on: bool| json!({"enabled": on, "inbound": "block", "outbound": "allow", "log_dropped": false, "log_max_kb": 4096});
    let firewall = |on: bool| json!({"enabled": on, "backend": "windows", "profiles": {"domain": profile(on), "private": profile(on), "public": profile(true)}});
    let volume = |kind: &str, on: &str, method: &str| json!({"mount": "C:", "kind": kind, "protection": on, "method": method});
    let rule = json!({"enabled": true, "direction": "in", "action": "block", "protocol": "tcp", "local_ports": "445,139", "remote_addresses": "any", "profile": "any"});
    let cases: Vec<(&str, Value, Value, bool)> = vec![
        ("RegistryValues", json!(1), one(1), true),
        ("RegistryValues", json!(1), gone(), false),
        ("RegistryValues", json!("absent"), gone(), true),
        ("UserRegistryValues", json!(1), user(one(1)), true),
        ("UserRegistryValues", json!(1), both(one(1), gone()), false),
        (
            "RegistryLists",
            json!(["PCI\\CC_0C0A"]),
            json!({"exists": true, "values": {"3": {"kind": "string", "value": "pci\\cc_0c0a"}}}),
            true,
        ),
        ("RegistryLists", json!(["x"]), json!({"exists": false, "values": {}}), false),
        ("UserRights", json!(["Administrators"]), rights(json!(["S-1-5-32-544"])), true),
        ("UserRights", json!(["Administrators"]), rights(json!(["S-1-5-32-544", "S-1-1-0"])), false),
        ("UserRights", json!(["Guest"]), rights(json!(["S-1-5-21-7-8-9-501"])), true),
        ("UserRights", json!({"includes": ["Guests"]}), rights(json!(["S-1-5-32-546", "S-1-5-113"])), true),
        ("UserRights", json!({"excludes": ["Everyone"]}), rights(json!(["S-1-1-0"])), false),
        ("AuditPolicy", json!("Success"), json!({"success": true, "failure": false}), true),
        ("AuditPolicy", json!("Success"), json!({"success": true, "failure": true}), false),
        ("AuditPolicy", json!({"success": true}), json!({"success": true, "failure": true}), true),
        ("AuditPolicy", json!("No Auditing"), json!({"success": false, "failure": true}), false),
        ("PasswordComplexity", json!("Required"), json!(true), true),
        ("LockoutThreshold", json!(5), json!(0), false),
        ("LockoutThreshold", json!(5), json!(3), true),
        ("LockoutThreshold", json!(5), json!(6), false),
        ("LockoutDuration", json!(15), json!(0), true),
        ("LockoutDuration", json!(15), json!(14), false),
        ("GuestAccount", json!("Disabled"), json!({"guest_enabled": false, "guest_name": "Gast"}), true),
        ("GuestAccount", json!({"notNamed": "Guest"}), json!({"guest_enabled": true, "guest_name": "guest"}), false),
        (
            "AdministratorAccount",
            json!({"state": "Disabled", "name": "rootless"}),
            json!({"admin_enabled": false, "admin_name": "rootless"}),
            true,
        ),
        ("AnonymousNameLookup", json!("Disabled"), json!(false), true),
        ("LLMNR", json!("Disabled"), json!([one(0), gone()]), true),
        ("LLMNR", json!("Disabled"), json!([gone(), gone()]), false),
        ("LLMNR", json!("Enabled"), json!([gone(), gone()]), true),
        ("SMBv1", json!("Disabled"), json!([gone(), gone()]), true),
        ("SMBv1", json!("Disabled"), json!([one(3), one(0)]), false),
        ("SMBv1", json!("Disabled"), json!([one(4), one(0)]), true),
        ("SMBv1", json!("Disabled"), json!([one(4), gone()]), false),
        ("SMBv1", json!("Disabled"), json!([gone(), gone(), gone()]), true),
        ("SMBv1", json!("Disabled"), json!([gone(), gone(), one(3)]), false),
        ("SMBv1", json!("Disabled"), json!([gone(), one(0), one(3)]), true),
        ("UserAccountControl", json!("Enabled"), json!([one(1), one(5), one(3), one(1), gone(), gone(), gone(), gone()]), true),
        ("UserAccountControl", json!("Enabled"), json!([one(1), one(0), one(3), one(1), gone(), gone(), gone(), gone()]), false),
        (
            "UserAccountControl",
            json!({"builtinAdministrator": true}),
            json!([one(1), one(5), one(3), one(1), gone(), gone(), gone(), gone()]),
            false,
        ),
        ("RemoteDesktop", json!("Disabled"), json!([one(1), one(1), gone(), gone(), gone()]), true),
        ("RemoteDesktop", json!("Disabled"), json!([one(1), one(1), gone(), gone(), one(0)]), false),
        ("RemoteDesktop", json!("Enabled"), json!([one(0), one(0), gone(), gone(), gone()]), false),
        ("PowerShellLogging", json!("Enabled"), json!([one(1), gone(), gone(), gone(), gone(), gone()]), true),
        ("PowerShellLogging", json!("Disabled"), json!([gone(), gone(), gone(), gone(), gone(), gone()]), true),
        ("WindowsFeatures", json!("Disabled"), feature("DisabledWithPayloadRemoved"), true),
        ("WindowsFeatures", json!("Disabled"), feature("Enabled"), false),
        ("ScheduledTasks", json!("Disabled"), task(false), true),
        ("ScheduledTasks", json!("Enabled"), task(false), false),
        ("ScheduledTasks", json!({"command": "c:\\A.exe", "arguments": "--all", "schedule": "daily"}), task(true), true),
        ("ScheduledTasks", json!({"command": "c:\\A.exe", "schedule": "daily"}), task(true), false),
        ("ScheduledTasks", json!({"command": "c:\\A.exe", "arguments": " --all ", "schedule": "daily"}), task(true), true),
        ("ScheduledTasks", json!({"command": "c:\\a.exe", "schedule": "daily", "at": "02:30"}), timed("daily 02:30"), true),
        ("ScheduledTasks", json!({"command": "c:\\a.exe", "schedule": "daily", "at": "04:00"}), timed("daily 02:30"), false),
        ("ScheduledTasks", json!({"command": "c:\\a.exe", "schedule": "weekly", "day": "friday"}), timed("weekly 03:00 friday"), true),
        ("ScheduledTasks", json!({"command": "c:\\a.exe", "schedule": "weekly"}), timed("weekly 03:00 friday"), false),
        ("ScheduledTasks", json!({"command": "c:\\a.exe", "schedule": "start"}), timed("boot"), true),
        ("ScheduledTasks", json!({"command": "c:\\a.exe", "schedule": "start"}), timed("logon"), false),
        ("Shares", json!({"path": "D:\\Data"}), json!({"name": "data", "path": "d:\\data\\", "description": ""}), true),
        ("Shares", json!("absent"), json!({"name": "data", "path": "D:\\data"}), false),
        ("Environment", json!("x"), json!({"name": "A", "value": "x", "expand": false}), true),
        ("FirewallRules", json!({"direction": "in", "action": "block", "protocol": "tcp", "localPorts": [139, 445]}), rule.clone(), true),
        ("FirewallRules", json!({"direction": "in", "action": "block", "localPorts": [139]}), rule.clone(), false),
        ("FirewallRules", json!({"direction": "in", "action": "block", "profiles": ["public"]}), rule.clone(), false),
        ("FirewallRules", json!({"direction": "in", "action": "block", "profiles": ["public", "domain", "private"]}), rule.clone(), true),
        ("FirewallRules", json!("Disabled"), rule, false),
        (
            "FirewallRules",
            json!({"direction": "in", "action": "allow", "remoteAddresses": ["10.0.0.0/255.0.0.0", "192.0.2.1/255.255.255.255", "198.51.100.0/255.255.254.0"]}),
            json!({"enabled": true, "direction": "in", "action": "allow", "remote_addresses": "10.0.0.0/8,192.0.2.1,198.51.100.0/23"}),
            true,
        ),
        (
            "FirewallRules",
            json!({"direction": "in", "action": "allow", "remoteAddresses": ["10.0.0.0/255.0.255.0"]}),
            json!({"enabled": true, "direction": "in", "action": "allow", "remote_addresses": "10.0.0.0/16"}),
            false,
        ),
        (
            "FirewallRules",
            json!({"direction": "in", "action": "allow", "protocol": "6", "localPorts": ["RPCEPMap"], "remoteAddresses": ["10.0.0.0/8", "192.0.2.1/32"], "program": "C:\\Program Files\\x.exe"}),
            json!({"enabled": true, "direction": "in", "action": "allow", "protocol": "tcp", "local_ports": "RPC-EPMap", "remote_addresses": "192.0.2.1,10.0.0.0/8", "program": "%ProgramFiles%\\x.exe"}),
            true,
        ),
        ("WindowsFirewall", json!("Enabled"), firewall(true), true),
        ("WindowsFirewall", json!("Enabled"), firewall(false), false),
        ("WindowsFirewall", json!({"state": "Enabled", "profiles": ["public"]}), firewall(false), true),
        ("WindowsFirewall", json!({"inbound": "block", "logMaxKb": 16384}), firewall(true), false),
        ("WindowsFirewall", json!("Enabled"), json!({"enabled": true}), true),
        ("BitLocker", json!("Required"), json!([volume("system", "on", "xts-aes-128"), volume("removable", "off", "")]), true),
        ("BitLocker", json!({"method": "xts-aes-256"}), json!([volume("system", "on", "xts-aes-128")]), false),
        (
            "BitLocker",
            json!("Required"),
            json!([{"mount": "E:", "kind": "fixed", "protection": "off", "status": "encrypting"}, volume("fixed", "off", "")]),
            false,
        ),
        ("BitLocker", json!({"volumes": "system"}), json!([volume("system", "on", "aes-256"), volume("fixed", "off", "")]), true),
        ("PowerPlan", json!("balanced"), json!({"plan_guid": "381B4222-F694-41F0-9685-FF5BB260DF2E"}), true),
        ("PowerPlan", json!({"sleepAcMinutes": 0}), json!({"plan_guid": "x", "sleep_ac_minutes": 30}), false),
        ("CertificateExpiry", json!(30), json!({"A": {"subject": "CN=a", "days_left": 10, "has_private_key": true}}), false),
        ("CertificateExpiry", json!(30), json!({"A": {"subject": "CN=a", "days_left": 10, "has_private_key": false}}), true),
        (
            "CertificateExpiry",
            json!({"days": 30, "ignore": ["CN=a"]}),
            json!({"A": {"subject": "CN=a", "days_left": -1, "has_private_key": true}}),
            true,
        ),
        ("Antivirus", json!("Enabled"), json!({"name": "Microsoft Defender", "enabled": true, "real_time": true}), true),
        ("Antivirus", json!("Enabled"), json!({"name": "Microsoft Defender", "enabled": true, "real_time": false}), false),
        (
            "Antivirus",
            json!({"tamperProtection": true}),
            json!({"name": "Microsoft Defender", "enabled": true, "tamper_protection": false}),
            false,
        ),
        ("Antivirus", json!("Enabled"), json!({"name": "ClamAV", "running": true}), true),
        ("AntivirusSignatureAge", json!(3), json!(4), false),
        ("DefenderPreferences", json!(true), json!({"exists": true, "value": 1}), true),
        ("DefenderPreferences", json!([]), json!({"exists": true, "value": ["C:\\x"]}), false),
        ("DefenderPreferences", json!([]), json!({"exists": true, "value": null}), true),
        ("AttackSurfaceReduction", json!("Block"), json!({"exists": true, "value": 1}), true),
        ("AttackSurfaceReduction", json!("Block"), json!({"exists": true, "value": null}), false),
        (
            "ProcessMitigations",
            json!({"DEP.Enable": "ON", "DEP.OverrideDEP": false}),
            json!({"exists": true, "values": {"dep.enable": "ON", "dep.overridedep": "False"}}),
            true,
        ),
        ("ProcessMitigations", json!({"DEP.Enable": "ON"}), json!({"exists": false, "values": {}}), false),
        ("CimValues", json!({"contains": [1]}), json!({"exists": true, "values": [1, 2]}), true),
        ("CimValues", json!({"equals": 2}), json!({"exists": true, "values": [1, 2]}), false),
        ("DataExecutionPrevention", json!("OptOut"), json!({"exists": true, "values": [1]}), true),
        ("DataExecutionPrevention", json!("AlwaysOn"), json!({"exists": true, "values": [2]}), false),
        ("Services", json!({"startup": "manual"}), json!({"state": "stopped", "startup": "enabled"}), false),
        ("Services", json!({"startup": "disabled"}), json!({"state": "stopped", "startup": "manual"}), false),
        ("Packages", json!({"version": ">=24"}), json!({"name": "7-Zip", "version": "24.08"}), true),
        ("Packages", json!("absent"), json!({"name": "7-Zip", "version": "24.08"}), false),
        ("LocalAdmins", json!(["administrator", "EXAMPLE\\Domain Admins"]), json!(["Administrator"]), true),
        ("LocalAdmins", json!(["Administrator"]), json!(["Administrator", "kim"]), false),
        ("ScreenLockTimeout", json!(900), json!(0), false),
    ];
    for (name, desired, observed, right) in cases {
        let setting = setting(name);
        assert_eq!(setting.check(setting.keyed.as_ref().map(|_| sample(name)), &desired), Vec::new(), "{name}");
        assert_eq!(setting.program.compliant(Some(&observed), &desired), Ok(right), "{name} {desired} {observed}");
        if setting.program.has("describe") {
            let (from, to) = setting.program.describe(Some(&observed), &desired).unwrap().unwrap();
            assert!(right || from != to, "{name} {desired}: from {from} to {to}");
        }
    }
}

/// A key that the setting takes.
fn sample(name: &str) -> &'static str {
    match name {
        "RegistryValues" => "HKLM\\SOFTWARE\\X!A",
        "UserRegistryValues" => "HKCU\\SOFTWARE\\X!A",
        "RegistryLists" => "HKLM\\SOFTWARE\\X",
        "UserRights" => "SeDebugPrivilege",
        "AuditPolicy" => "Logon",
        "ScheduledTasks" => "\\X\\Y",
        "AttackSurfaceReduction" => "9e6c4e1f-7d60-472f-ba1a-a39ef669e4b2",
        "CimValues" => "root\\cimv2:Win32_X.Y",
        _ => "Example",
    }
}

#[test]
fn what_could_not_be_seen_is_neither_right_nor_wrong() {
    for (name, desired, observed) in [
        ("UserRegistryValues", json!(1), json!({"users": {}})),
        ("DefenderPreferences", json!(true), json!({"exists": false, "value": null})),
        ("AntivirusSignatureAge", json!(3), Value::Null),
        ("DataExecutionPrevention", json!("OptIn"), json!({"exists": false, "values": []})),
        ("PowerPlan", json!({"sleepAcMinutes": 0}), json!({"plan_guid": "x", "sleep_ac_minutes": null})),
        ("GuestAccount", json!("Disabled"), json!({"guest_enabled": null, "guest_name": null})),
        ("AdministratorLockout", json!("Enabled"), Value::Null),
        ("AuditPolicy", json!("No Auditing"), Value::Null),
        ("PasswordComplexity", json!("Required"), Value::Null),
        ("LockoutThreshold", json!(5), Value::Null),
        ("WindowsFirewall", json!("Enabled"), json!({"backend": "windows"})),
        ("WindowsFirewall", json!({"state": "Enabled", "profiles": ["public"]}), json!({"enabled": true, "profiles": {}})),
        ("BitLocker", json!("Required"), json!([{"mount": "C:", "kind": "system", "protection": "unknown"}])),
        ("Antivirus", json!({"realTime": true}), json!({"name": "Other", "enabled": true, "real_time": null})),
        ("Antivirus", json!({"tamperProtection": true}), json!({"name": "Other", "enabled": true, "tamper_protection": null})),
    ] {
        let error = setting(name).program.compliant(Some(&observed), &desired).expect_err(name);
        assert!(error.to_string().starts_with("cannot be observed"), "{name}: {error}");
    }
}

#[test]
fn only_what_differs_is_changed() {
    let seen = |n: i64| json!({"exists": true, "kind": "dword", "value": n});
    let gone = json!({"exists": false, "kind": null, "value": null});
    let uac = json!([seen(1), seen(0), seen(3), seen(1), gone, gone, gone, gone]);
    let lines = calls("UserAccountControl", None, json!("Enabled"), Some(uac));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("ConsentPromptBehaviorAdmin") && lines[0].contains("\"value\":2"), "{lines:?}");
    let observed = json!({"right": "SeDebugPrivilege", "accounts": ["S-1-5-32-544", "S-1-1-0", "gone"]});
    let lines = calls("UserRights", Some("SeDebugPrivilege"), json!({"excludes": ["Everyone"]}), Some(observed));
    assert!(lines[0].ends_with("\"accounts\":[\"S-1-5-32-544\"]}]}"), "{lines:?}");
    let users = json!({"users": {"S-1-5-21-1-2-3-1001": seen(1), "S-1-5-21-1-2-3-1002": seen(0)}});
    let lines = calls("UserRegistryValues", Some("HKCU\\SOFTWARE\\X!A"), json!(1), Some(users));
    assert!(lines.len() == 1 && lines[0].contains("S-1-5-21-1-2-3-1002"), "{lines:?}");
}

#[test]
fn what_was_there_comes_back() {
    let before = json!({"exists": true, "kind": "expandString", "value": "%A%"});
    let lines = undoing(windows(), "RegistryValues", Some("HKLM\\SOFTWARE\\X!A"), Some(before));
    assert!(lines[0].contains("\"kind\":\"expandString\",\"value\":\"%A%\""), "{lines:?}");
    let lines = undoing(windows(), "RegistryValues", Some("HKLM\\SOFTWARE\\X!A"), Some(json!({"exists": false})));
    assert!(lines[0].contains("\"absent\":true"), "{lines:?}");
    let lines = undoing(windows(), "AuditPolicy", Some("Logon"), Some(json!({"success": true, "failure": false})));
    assert!(lines[0].contains("\"success\":\"enable\"") && lines[0].contains("\"failure\":\"disable\""), "{lines:?}");
    let lines = undoing(windows(), "GuestAccount", None, Some(json!({"guest_enabled": false, "guest_name": "Gast"})));
    assert!(lines[0].contains("EnableGuestAccount") && lines[0].contains("\\\"Gast\\\""), "{lines:?}");
}

#[test]
fn a_volume_that_is_being_encrypted_is_left_alone_and_waited_for() {
    let seen = json!([{"mount": "C:", "kind": "system", "protection": "off", "status": "encrypting"}]);
    let error = setting("BitLocker").program.compliant(Some(&seen), &json!("Required")).unwrap_err();
    assert_eq!(error.to_string(), "under way: C: is being encrypted");
    assert_eq!(calls("BitLocker", None, json!("Required"), Some(seen)), Vec::<String>::new());
    let feature = json!({"name": "SMB1Protocol", "state": null, "kind": "feature"});
    let error = setting("WindowsFeatures").program.compliant(Some(&feature), &json!("Disabled")).unwrap_err();
    assert!(error.to_string().starts_with("under way: "), "{error}");
    // Of the others nothing can be begun before the system volume is through, and what comes first is begun alone.
    let both = |first: &str, second: &str| {
        json!([
            {"mount": "C:", "kind": "system", "protection": "off", "status": first},
            {"mount": "D:", "kind": "fixed", "protection": second, "status": "decrypted"}
        ])
    };
    for second in ["off", "unknown"] {
        let error = setting("BitLocker").program.compliant(Some(&both("encrypting", second)), &json!("Required")).unwrap_err();
        assert_eq!(error.to_string(), "under way: C: is being encrypted");
        assert_eq!(calls("BitLocker", None, json!("Required"), Some(both("encrypting", second))), Vec::<String>::new());
    }
    let lines = calls("BitLocker", None, json!("Required"), Some(both("decrypted", "off")));
    assert!(lines.len() == 1 && lines[0].contains("\"C:\""), "{lines:?}");
    // One that was only suspended protects at once.
    let lines = calls("BitLocker", None, json!("Required"), Some(both("encrypted", "off")));
    assert!(lines.len() == 2 && lines[1].contains("\"D:\""), "{lines:?}");
}

#[test]
fn a_disabled_service_is_made_startable_before_it_is_started() {
    let disabled = || Some(json!({"state": "stopped", "startup": "disabled"}));
    let lines = calls("Services", Some("Spooler"), json!({"state": "running", "startup": "manual"}), disabled());
    assert!(lines.len() == 2 && lines[0].contains("\"Manual\"") && lines[1].contains("\"start\""), "{lines:?}");
    let before = json!({"state": "running", "startup": "disabled"});
    let lines = undoing(windows(), "Services", Some("Spooler"), Some(before));
    assert!(lines.len() == 2 && lines[0].contains("\"Manual\"") && lines[1].contains("\"Disabled\""), "{lines:?}");
}

#[test]
fn undone_is_what_was_there_or_it_is_said_that_it_is_not() {
    let lines = undoing(windows(), "ScreenLockTimeout", None, None);
    assert!(lines[0].contains("\"absent\":true"), "{lines:?}");
    let lines = undoing(windows(), "Environment", Some("A"), Some(json!({"name": "A", "value": "100%", "expand": false})));
    assert!(lines[0].contains("\"kind\":\"string\""), "{lines:?}");
    let undo = |name: &str, key: &str, section: &str, now: Value, before: Value| {
        let mut facts = windows();
        facts.sections.insert(section.into(), Section::new(now, Status::Ok, chrono::DateTime::UNIX_EPOCH));
        let host: SharedHost = Arc::new(Mutex::new(Recorder::new("ws-1", Arc::new(facts))));
        setting(name).program.rollback(&host, Some(key), Some(&before)).map_err(|error| error.to_string())
    };
    let task =
        |schedule: &str, enabled: bool| json!({"enabled": enabled, "command": "C:\\a.exe", "user": "SYSTEM", "schedule": [schedule]});
    let now = json!({"cron": null, "timers": [], "tasks": {"\\X\\Y": task("daily 02:30", false)}});
    assert_eq!(undo("ScheduledTasks", "\\x\\y", "software.scheduled", now.clone(), task("daily 02:30", true)), Ok(()));
    assert!(undo("ScheduledTasks", "\\x\\y", "software.scheduled", now, task("daily 04:00", true)).is_err());
    let rule = |ports: &str, enabled: bool| json!({"enabled": enabled, "direction": "in", "action": "block", "local_ports": ports});
    let now = json!({"A": rule("80", false)});
    assert_eq!(undo("FirewallRules", "a", "network.firewall_rules", now.clone(), rule("80", true)), Ok(()));
    assert!(undo("FirewallRules", "a", "network.firewall_rules", now, rule("443", true)).is_err());
}

#[test]
fn groups_of_an_account_are_the_same_in_any_case() {
    let seen = json!({"sid": "S-1-5-21-1-2-3-1001", "groups": ["Remote Desktop Users", "Users"]});
    let users = setting("Users");
    assert_eq!(users.program.compliant(Some(&seen), &json!({"groups": ["users", "remote desktop users"]})), Ok(true));
    let lines = calls("Users", Some("kim"), json!({"groups": ["users", "Ops"]}), Some(seen));
    assert!(lines[0].contains(r#""groups":["Ops"],"leave":["Remote Desktop Users"]"#), "{lines:?}");
}

#[test]
fn who_stays_and_who_goes_is_told_where_administrators_are_taken_out() {
    let lines = calls(
        "LocalAdmins",
        None,
        json!(["administrator", "EXAMPLE\\Ops"]),
        Some(json!(["Administrator", "EXAMPLE\\Domain Admins", "kim"])),
    );
    assert!(lines[0].contains(r#""names":["EXAMPLE\\Domain Admins","kim"],"stay":["Administrator"]"#), "{lines:?}");
}
