//! Settings of a device with Windows, from the plan to the device and back: what is asked of it is what the plan showed. No PowerShell runs:
//! the device is played, and knows what the parameters of the scripts mean.

use serde_json::{Value, json};

use super::{Fleet, ended, rmm};
use crate::winrm::endpoint::{Endpoint, Given, PASSWORD};

const POLICIES: &str = r#"policies:
  P:
    targets: ['*']
    remediate: true
    settings:
      PasswordMinLength: 16
      LockoutThreshold: 3
      GuestAccount: {name: "it's $(x) `y`"}
      LLMNR: Disabled
      SMBv1: Disabled
      UserAccountControl: Enabled
      ScreenLockTimeout: 900
      UserRights: {SeDebugPrivilege: [Administrators], SeTcbPrivilege: []}
      AuditPolicy: {Logon: Success and Failure, Process Creation: Success and Failure}
      RegistryValues:
        'HKLM\SOFTWARE\Example!A': "'; Remove-Item C:\\ -Recurse # $(whoami) `n \n"
        'HKLM\SOFTWARE\Example!B': {type: string, atMost: 4}
        'HKLM\SOFTWARE\Example!C': [a, "b\"c"]
      Services:
        spooler: {state: stopped, startup: disabled}
        RemoteRegistry: {state: running, startup: manual}
      ScheduledTasks:
        '\Backup': {command: 'C:\tools\backup.exe', arguments: /all, schedule: daily, at: "04:00"}
        '\New': {command: 'C:\a.exe', schedule: weekly, day: friday}
        '\Microsoft\Windows\Defrag\ScheduledDefrag': Disabled
      FirewallRules:
        Only us: {direction: in, action: allow, protocol: tcp, localPorts: [8080, 443], remoteAddresses: [10.0.0.0/8]}
        RemoteDesktop-UserMode-In-TCP: Enabled
"#;

/// The parameters of the scripts in a plan, in order.
fn shown(plan: &Value) -> Vec<Value> {
    let changes = plan["devices"][0]["changes"].as_array().unwrap().iter();
    let lines = changes.flat_map(|change| change["commands"].as_array().unwrap()).map(|command| command["line"].as_str().unwrap());
    let params = |line: &str| {
        let first = line.lines().next().unwrap();
        serde_json::from_str(first.split_once(" with $p = ").unwrap_or_else(|| panic!("{line}")).1).unwrap()
    };
    lines.map(params).collect()
}

#[test]
fn what_a_plan_showed_of_windows_is_what_the_device_is_asked_for_and_then_nothing_more() {
    let endpoint = Endpoint::start_with(Given::default(), json!({"changes": true}), &[]);
    let fleet = Fleet::nothing();
    fleet.write("rmm.toml", "[limits]\nmax_percent = 100\n");
    let connection = format!("user: EXAMPLE\\kim, password: {{secret: win}}, scheme: http, port: {}", endpoint.port);
    fleet.write("devices.yaml", &format!("devices:\n  ws-1: {{os: windows, address: 127.0.0.1, connection: {{{connection}}}}}\n"));
    fleet.write("policies/p.yaml", POLICIES);
    let run = |args: &[&str]| {
        let mut command = rmm(fleet.dir.path(), args);
        command.env("RMM_SECRET_WIN", PASSWORD);
        ended(command)
    };
    let asked = || endpoint.log().named("job").map(|one| one["params"].clone()).collect::<Vec<_>>();

    run(&["collect", "ws-1"]).code(0);
    let plan = run(&["plan", "--commands", "--output", "json"]).json();
    let shown = shown(&plan);
    assert!(shown.len() >= 18, "{shown:?}");
    assert_eq!(asked(), Vec::<Value>::new(), "a plan changes nothing");
    let ended = run(&["apply", "--yes"]).code(0);
    assert!(!ended.out.contains("failed") && !ended.out.contains("rolled back"), "{}", ended.out);
    assert_eq!(asked(), shown);

    let after = run(&["plan", "--output", "json"]).json();
    let left: Vec<&Value> = after["devices"].as_array().unwrap().iter().filter(|device| device["changes"] != json!([])).collect();
    assert_eq!(left, Vec::<&Value>::new());
    run(&["apply", "--yes"]).code(0);
    assert_eq!(asked().len(), shown.len(), "what is compliant is left alone");
    endpoint.log().assert_no_shell_is_left();
}
