//! Lists and documents of our own, each a case.

use serde_json::json;

use super::*;

const HEAD: &str = "ID,Category,Name,Method,MethodArgument,RegistryPath,RegistryItem,ClassName,Namespace,Property,DefaultValue,RecommendedValue,Operator,Severity\n";

fn list(lines: &[&str]) -> Imported {
    hardeningkitty::read("list.csv", &format!("{HEAD}{}\n", lines.join("\n"))).unwrap()
}

fn one(imported: &Imported) -> (String, Option<String>, Value) {
    assert_eq!(imported.left_out, Vec::new());
    let all: Vec<_> = imported.draft.entries().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    (all[0].0.to_owned(), all[0].1.map(str::to_owned), all[0].2.clone())
}

fn registry(item: &str, default: &str, wanted: &str, operator: &str) -> Value {
    let line = format!("1,C,N,Registry,,HKLM:\\Software\\X,{item},,,,{default},{wanted},{operator},Medium");
    let (setting, key, value) = one(&list(&[&line]));
    assert_eq!((setting.as_str(), key.as_deref()), ("RegistryValues", Some(format!("HKLM\\SOFTWARE\\X!{item}").as_str())));
    value
}

#[test]
fn operators_and_what_windows_does_without_the_value_are_kept() {
    assert_eq!(registry("A", "0", "1", "="), json!(1));
    assert_eq!(registry("A", "1", "1", "="), json!({"value": 1, "whenAbsent": "compliant"}));
    assert_eq!(registry("A", "", "Block", "="), json!("Block"));
    assert_eq!(registry("A", "-NODATA-", "1", "="), json!(1));
    assert_eq!(registry("A", "", "4", "=|0"), json!({"value": 4, "whenAbsent": "compliant"}));
    assert_eq!(registry("A", "2", "4", "=|0"), json!(4), "the default of Windows is neither");
    assert_eq!(registry("A", "5", "10", ">="), json!({"atLeast": 10}));
    assert_eq!(registry("A", "", "3", ">"), json!({"atLeast": 4}));
    assert_eq!(registry("A", "10", "14", "<="), json!({"atMost": 14, "whenAbsent": "compliant"}));
    assert_eq!(registry("A", "0", "30", "<=!0"), json!({"atMost": 30, "not": 0}));
    assert_eq!(registry("A", "", "", "!="), json!({"not": ""}));
    assert_eq!(registry("AutoAdminLogon", "1", "0", "="), json!("0"));
    assert_eq!(registry("autoadminlogon", "1", "0", "="), json!("0"), "PowerShell does not tell letters apart");
    assert_eq!(registry("Machine", "", "a\\b;c", "="), json!(["a\\b", "c"]));
    assert_eq!(registry("NullSessionShares", "", "", "="), json!({"value": [], "whenAbsent": "compliant"}));
    assert_eq!(registry("ScreenSaverIsSecure", "", "1", "="), json!("1"));
    assert_eq!(registry("ScreenSaveTimeOut", "", "900", "<=!0"), json!({"atMost": 900, "not": 0, "type": "string"}));
    let laps = json!({"oneOf": ["C:\\Program Files\\LAPS\\CSE\\AdmPwd.dll", "%ProgramFiles%\\LAPS\\CSE\\AdmPwd.dll"]});
    assert_eq!(registry("DllName", "", "C:\\Program Files\\LAPS\\CSE\\AdmPwd.dll", "="), laps);
    assert_eq!(registry("A", "1", "-NODATA-", "="), json!({"state": "absent"}));
    assert_eq!(registry("A", "-NODATA-", "x", "!="), json!({"not": "x", "whenAbsent": "compliant"}));
    assert_eq!(registry("A", "", "007", "="), json!("007"), "no zero is lost");
    assert_eq!(registry("A", "", "10000000000", "="), json!("10000000000"));
    assert_eq!(registry("A", "", "absent", "="), json!({"value": "absent"}), "a text and not a state");
}

#[test]
fn two_lines_about_one_value_are_one_wish_where_both_can_hold() {
    let path = "HKLM:\\Software\\X";
    let imported = list(&[
        &format!("1,C,N,Registry,,{path},Warn,,,,5,14,<=,Low"),
        &format!("2,C,N,Registry,,{path},WARN,,,,5,5,>=,Low"),
        &format!("3,C,N,Registry,aa,{path},ASRRules,,,,0,1,=,Low"),
        &format!("4,C,N,Registry,bb,{path},ASRRules,,,,0,2,=,Low"),
        &format!("5,C,Member,Registry,,{path},Flags,,,,0,1,=,Low"),
        &format!("6,C,Controller,Registry,,{path},Flags,,,,0,0,=,Low"),
    ]);
    let values: Vec<Value> = imported.draft.entries().map(|(_, _, value)| value.clone()).collect();
    let range = json!({"atMost": 14, "whenAbsent": "compliant", "atLeast": 5});
    assert_eq!(values, [range, json!({"contains": ["aa=1", "bb=2"]}), json!(1)]);
    assert_eq!((imported.controls, imported.expressed), (6, 5));
    let left = &imported.left_out[0];
    assert_eq!((left.code.as_str(), left.place.as_ref().map(|place| place.line)), ("RMM0571", Some(7)));
    assert_eq!(left.message, "6 Controller: it contradicts '5 Member'");
}

/// A value for domain controllers and another one for members are two policies, each for its devices.
#[test]
fn lines_for_controllers_and_for_members_do_not_contradict_each_other() {
    let imported = list(&[
        "1,C,Guests (DC),accesschk,SeDenyNetworkLogonRight,,,,,,,BUILTIN\\Guests,=,Low",
        "2,C,Guests (Member),accesschk,SeDenyNetworkLogonRight,,,,,,,BUILTIN\\Guests;NT AUTHORITY\\Local account,=,Low",
        "3,C,Symbolic links,accesschk,SeCreateSymbolicLinkPrivilege,,,,,,,BUILTIN\\Administrators,=,Low",
        "4,C,\"Symbolic links (Member, Hyper-V)\",accesschk,SeCreateSymbolicLinkPrivilege,,,,,,,NT VIRTUAL MACHINE\\Virtual Machines,=,Low",
    ]);
    assert_eq!((imported.controls, imported.expressed, imported.draft.len()), (4, 3, 3));
    let text = imported.draft.yaml("L", "d", "o", &json!(["Servers"]));
    let read: Value = serde_yaml::from_str(&text).unwrap();
    let names: Vec<&String> = read["policies"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["L", "L domain controllers", "L members"]);
    let members = &read["policies"]["L members"];
    assert_eq!(members["targets"], json!([{"group": "Servers", "where": "facts.software.os.role != \"domain controller\""}]));
    assert_eq!((&members["priority"], &members["remediate"]), (&json!(10), &json!(false)));
}

#[test]
fn every_method_has_its_setting() {
    for (line, setting, key, value) in [
        (
            "accesschk,SeDebugPrivilege,,,,,,,BUILTIN\\Administrators,=",
            "UserRights",
            Some("SeDebugPrivilege"),
            json!(["BUILTIN\\Administrators"]),
        ),
        ("accesschk,SeTcbPrivilege,,,,,,x,,=", "UserRights", Some("SeTcbPrivilege"), json!([])),
        (
            "accesschk,SeDenyNetworkLogonRight,,,,,,,Guest;Domain Admins,contains",
            "UserRights",
            Some("SeDenyNetworkLogonRight"),
            json!({"includes": ["Guest", "Domain Admins"]}),
        ),
        (
            "auditpol,{0cce9248-69ae-11d9-bed3-505054503030},,,,,,,Success,contains",
            "AuditPolicy",
            Some("Plug and Play Events"),
            json!({"success": true}),
        ),
        (
            "auditpol,{0CCE923F-69AE-11D9-BED3-505054503030},,,,,,,Success and Failure,=",
            "AuditPolicy",
            Some("Credential Validation"),
            json!("Success and Failure"),
        ),
        ("secedit,System Access\\PasswordComplexity,,,,,,0,1,=", "PasswordComplexity", None, json!("Required")),
        ("secedit,System Access\\ClearTextPassword,,,,,,0,0,=", "PasswordReversibleEncryption", None, json!("Disabled")),
        ("service,XblGameSave,,,,,,Manual,Disabled,=|0", "Services", Some("XblGameSave"), json!({"startup": "disabled"})),
        ("WindowsOptionalFeature,smb1protocol,,,,,,Enabled,Disabled,contains", "WindowsFeatures", Some("SMB1Protocol"), json!("Disabled")),
        (
            "ScheduledTask,XblGameSaveTask,,,,,,Ready,Disabled,=",
            "ScheduledTasks",
            Some("\\Microsoft\\XblGameSave\\XblGameSaveTask"),
            json!("Disabled"),
        ),
        ("FirewallRule,Any|Inbound|Block|TCP|137;138||,,,,,,False,False,=", "FirewallRules", Some("N"), json!("Disabled")),
        (
            "FirewallRule,Any|Outbound|Block|||%SystemRoot%\\System32\\calc.exe|,,,,,,False,True,=",
            "FirewallRules",
            Some("N"),
            json!({"direction": "out", "action": "block", "program": "%SystemRoot%\\System32\\calc.exe"}),
        ),
        (
            "CimInstance,,,,Win32_DeviceGuard,root\\Microsoft\\Windows\\DeviceGuard,SecurityServicesRunning,x,1,=",
            "CimValues",
            Some("root\\Microsoft\\Windows\\DeviceGuard:Win32_DeviceGuard.SecurityServicesRunning"),
            json!({"contains": [1]}),
        ),
        (
            "BitLockerVolume,EncryptionMethod,,,,,,None,XtsAes256,=",
            "BitLocker",
            None,
            json!({"volumes": "system", "method": "xts-aes-256"}),
        ),
        ("MpComputerStatus,IsTamperProtected,,,,,,,True,=", "Antivirus", None, json!({"tamperProtection": true})),
        ("MpPreference,PUAProtection,,,,,,0,1,=", "DefenderPreferences", Some("PUAProtection"), json!(1)),
        ("MpPreferenceExclusion,ExclusionPath,,,,,,,,=", "DefenderPreferences", Some("ExclusionPath"), json!([])),
        (
            "MpPreferenceAsr,9E6C4E1F-7D60-472f-ba1a-a39ef669e4b2,,,,,,0,1,=",
            "AttackSurfaceReduction",
            Some("9e6c4e1f-7d60-472f-ba1a-a39ef669e4b2"),
            json!("Block"),
        ),
        ("Processmitigation,DEP.Enable,,,,,,On,ON,=", "ProcessMitigations", Some("System"), json!({"DEP.Enable": "ON"})),
        (
            "ProcessmitigationApplication,a.exe/DEP/OverrideDEP,,,,,,x,False,=",
            "ProcessMitigations",
            Some("a.exe"),
            json!({"DEP.OverrideDEP": false}),
        ),
        ("bcdedit,nx,,,,,,OptIn,AlwaysOn,=", "DataExecutionPrevention", None, json!("AlwaysOn")),
        (
            "RegistryList,,HKLM:\\Software\\X,PCI\\CC_0C0A,,,,0,PCI\\CC_0C0A,=",
            "RegistryLists",
            Some("HKLM\\SOFTWARE\\X"),
            json!(["PCI\\CC_0C0A"]),
        ),
        ("Registry,,HKCU:\\Software\\X,A,,,,0,1,=", "UserRegistryValues", Some("HKCU\\SOFTWARE\\X!A"), json!(1)),
        ("Registry,,HKLM:\\\\SOFTWARE\\\\X\\,A,,,,0,1,=", "RegistryValues", Some("HKLM\\SOFTWARE\\X!A"), json!(1)),
    ] {
        let found = one(&list(&[&format!("1,C,N,{line},Medium")]));
        assert_eq!(found, (setting.to_owned(), key.map(str::to_owned), value), "{line}");
    }
}

#[test]
fn the_parts_of_an_account_are_one_setting() {
    let imported = list(&[
        "1,C,Accounts: Guest account status,localaccount,501,,,,,,True,False,=,Medium",
        "2,C,Accounts: Rename guest account,localaccount,501,,,,,,Guest,Guest,!=,Medium",
    ]);
    assert_eq!(one(&imported), ("GuestAccount".to_owned(), None, json!({"state": "Disabled", "notNamed": "Guest"})));
    let imported = list(&["1,C,Account lockout threshold,accountpolicy,,,,,,,Never,5,<=!0,Low"]);
    assert_eq!(one(&imported), ("LockoutThreshold".to_owned(), None, json!(5)));
}

#[test]
fn what_has_no_setting_is_named_with_its_line() {
    let imported = list(&[
        "1,C,N,LanguageMode,,,,,,,FullLanguage,ConstrainedLanguage,=,Medium",
        "2,C,N,accesschk,SeDebugPrivilege,,,,,,,NT AUTHORITY\\EXCHANGE SERVERS,=,Medium",
        "3,C,N,Telepathy,,,,,,,,1,=,Medium",
        "4,C,N,Registry,,HKLM:\\Software\\X,A,,,,,,,Medium",
        "5,C,N,service,Spooler,,,,,,x,Sometimes,=,Medium",
    ]);
    assert_eq!((imported.controls, imported.expressed, imported.left_out.len()), (5, 0, 5));
    let lines = |imported: &Imported| -> Vec<u32> {
        imported.left_out.iter().filter_map(|problem| problem.place.as_ref()).map(|place| place.line).collect()
    };
    assert_eq!(lines(&imported), [2, 3, 4, 5, 6]);
    let windows = format!("{}1,C,N,Telepathy,,,,,,,,1,=,Low\r\n2,C,N,Telepathy,,,,,,,,1,=,Low\r\n", HEAD.replace('\n', "\r\n"));
    assert_eq!(lines(&hardeningkitty::read("list.csv", &windows).unwrap()), [2, 3], "where lines end as Windows ends them");
    assert_eq!(imported.left_out[1].message, "2 N: 'NT AUTHORITY\\EXCHANGE SERVERS' has no number that is the same everywhere");
}

#[test]
fn something_else_is_no_list() {
    for text in ["", "a,b\n1,2\n", "ID,Name,Method,RecommendedValue,Operator\n", HEAD, &format!("{HEAD}1,2\n")] {
        let problems = hardeningkitty::read("x.csv", text).expect_err(text);
        assert_eq!(problems[0].code, "RMM0570", "{text}");
    }
    let semicolons = hardeningkitty::read("x.csv", &HEAD.replace(',', ";")).expect_err("not separated by commas");
    assert!(semicolons[0].advice.as_deref().unwrap().contains("it has semicolons between its fields"), "{semicolons:?}");
    // Without the default it would be guessed what Windows does without the value.
    let without = hardeningkitty::read("x.csv", &HEAD.replace("DefaultValue,", "")).expect_err("a column is missing");
    assert_eq!(without[0].message, "this is no list of HardeningKitty: it has no column DefaultValue");
}

/// The lines behind it would be a part of the last field, and be lost without a word.
#[test]
fn a_quotation_mark_that_is_not_closed_is_found() {
    let line = |severity: &str| format!("1,C,N,Registry,,HKLM:\\Software\\X,A,,,,0,1,=,{severity}");
    for end in ["", "\n", "\r\n", "\n\n"] {
        let whole = format!("{HEAD}{}\r\n{}{end}", line("\"Low\""), line("Low"));
        assert_eq!(hardeningkitty::read("x.csv", &whole).unwrap().controls, 2, "{whole:?}");
        let open = format!("{HEAD}{}\n{}\n{}{end}", line("Low"), line("\"Low"), line("Low"));
        let problem = &hardeningkitty::read("x.csv", &open.replace('\n', "\r\n")).expect_err("not closed")[0];
        assert_eq!(problem.place.as_ref().map(|place| place.line), Some(3), "{open:?}");
        assert_eq!(problem.message, "a quotation mark of this line is not closed");
    }
}

#[test]
fn a_file_in_another_encoding_is_refused_with_what_to_do() {
    let utf16 = |mark: &[u8]| mark.iter().copied().chain(HEAD.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<u8>>();
    for (bytes, message, line) in [
        (utf16(b"\xff\xfe"), "the file is written in UTF-16", 0),
        (utf16(b""), "the file is written in UTF-16", 0),
        (b"PK\x03\x04\0".to_vec(), "this is a ZIP archive", 0),
        (b"ID\0\0".to_vec(), "this is not a text", 0),
        (b"ID\n1\n2,G\xe4ste\n".to_vec(), "the line holds characters that are not UTF-8", 3),
    ] {
        let problem = &text("x.csv", "RMM0570", bytes).expect_err(message)[0];
        assert_eq!((problem.message.as_str(), problem.place.as_ref().map(|place| place.line)), (message, Some(line)));
        assert!(problem.advice.is_some(), "{message}");
    }
    assert_eq!(text("x.csv", "RMM0570", b"\xef\xbb\xbfID,G\xc3\xa4ste".to_vec()).unwrap(), "\u{feff}ID,G\u{e4}ste");
}

/// Names that want to be something else stay what they are, on their line.
#[test]
fn hostile_names_stay_data_in_the_file() {
    let imported = list(&["1,C,\"N\n    remediate: true # \",Registry,,HKLM:\\Software\\X,\"a: b\n\"\"'{}\",,,,0,\"x\n  y: z\",=,Medium"]);
    let text = imported.draft.yaml("A: b", "d\n  e", "o\n  f", &json!([{"os": "windows"}]));
    let read: Value = serde_yaml::from_str(&text).unwrap();
    let policy = &read["policies"]["A: b"];
    assert_eq!(policy["remediate"], json!(false), "{text}");
    assert_eq!(policy["settings"]["RegistryValues"]["HKLM\\SOFTWARE\\X!a: b\n\"'{}"], json!("x\n  y: z"), "{text}");
}

fn document(resources: &str) -> Imported {
    dsc::read("a.dsc.yaml", &format!("$schema: https://aka.ms/dsc/schemas/v3/bundled/config/document.json\nresources:\n{resources}"))
        .unwrap()
}

#[test]
fn resources_of_dsc_have_their_settings() {
    for (kind, properties, setting, key, value) in [
        (
            "Microsoft.Windows/Registry",
            "{keyPath: 'HKLM\\Software\\X', valueName: A, valueData: {DWord: 1}}",
            "RegistryValues",
            Some("HKLM\\SOFTWARE\\X!A"),
            json!({"type": "dword", "value": 1}),
        ),
        (
            "Microsoft.Windows/Registry",
            "{keyPath: 'HKLM\\Software\\X', valueName: A, _exist: false}",
            "RegistryValues",
            Some("HKLM\\SOFTWARE\\X!A"),
            json!({"state": "absent"}),
        ),
        (
            "Microsoft.Windows/Registry",
            "{keyPath: 'HKCU\\X', valueName: A, valueData: {Binary: [1, 255]}}",
            "UserRegistryValues",
            Some("HKCU\\X!A"),
            json!({"type": "binary", "value": "01FF"}),
        ),
        (
            "PSDesiredStateConfiguration/Registry",
            "{Key: 'HKEY_LOCAL_MACHINE\\Software\\X', ValueName: A, ValueData: ['10'], ValueType: Dword, Hex: true}",
            "RegistryValues",
            Some("HKLM\\SOFTWARE\\X!A"),
            json!({"type": "dword", "value": 16}),
        ),
        (
            "Microsoft.Windows/Service",
            "{name: Spooler, status: Stopped, startType: Manual}",
            "Services",
            Some("Spooler"),
            json!({"state": "stopped", "startup": "manual"}),
        ),
        (
            "PSDesiredStateConfiguration/Service",
            "{Name: W32Time, State: Running, StartupType: Automatic}",
            "Services",
            Some("W32Time"),
            json!({"state": "running", "startup": "enabled"}),
        ),
        (
            "PSDesiredStateConfiguration/WindowsFeature",
            "{Name: Web-Server, Ensure: Absent}",
            "WindowsFeatures",
            Some("Web-Server"),
            json!("Disabled"),
        ),
        (
            "Microsoft.Windows/OptionalFeatureList",
            "{features: [{featureName: TelnetClient, state: Installed}]}",
            "WindowsFeatures",
            Some("TelnetClient"),
            json!("Enabled"),
        ),
        ("Microsoft.WinGet.DSC/WinGetPackage", "{Id: 7zip.7zip, Ensure: Absent}", "Packages", Some("7zip.7zip"), json!("absent")),
        ("Microsoft.WinGet/Package", "{id: 7zip.7zip, version: '24.08'}", "Packages", Some("7zip.7zip"), json!({"version": "=24.08"})),
        ("Microsoft.Windows/RebootPending", "{rebootPending: false}", "PendingReboot", None, json!(false)),
        (
            "Microsoft.Windows/FirewallRuleList",
            "{rules: [{name: A, direction: Inbound, action: Block, protocol: 6, localPorts: '445', profiles: [All]}]}",
            "FirewallRules",
            Some("A"),
            json!({"direction": "in", "action": "block", "protocol": "tcp", "localPorts": ["445"]}),
        ),
        ("PSDscResources/Environment", "{Name: A, Value: x}", "Environment", Some("A"), json!({"value": "x"})),
        ("PSDesiredStateConfiguration/User", "{UserName: guest2, Ensure: Absent}", "Users", Some("guest2"), json!("absent")),
        (
            "AuditPolicyDsc/AuditPolicySubcategory",
            "{Name: Logon, AuditFlag: Success, Ensure: Present}",
            "AuditPolicy",
            Some("Logon"),
            json!({"success": true}),
        ),
    ] {
        let imported = document(&format!("- {{name: a, type: {kind}, properties: {properties}}}\n"));
        assert_eq!(one(&imported), (setting.to_owned(), key.map(str::to_owned), value), "{kind}");
    }
}

#[test]
fn groups_adapters_parameters_and_variables_are_followed() {
    let imported = dsc::read(
        "a.dsc.yaml",
        r#"
parameters: {port: {type: int, defaultValue: 3390}}
variables: {service: Spooler}
resources:
- name: checks
  type: Microsoft.DSC/Assertion
  properties:
    resources:
    - {name: os, type: Microsoft/OSInfo, properties: {family: Windows}}
- name: group
  type: Microsoft.DSC/Group
  properties:
    resources:
    - name: adapted
      type: Microsoft.Windows/WindowsPowerShell
      properties:
        resources:
        - {name: s, type: PSDesiredStateConfiguration/Service, properties: {Name: "[variables('service')]", State: Stopped}}
    - name: port
      type: Microsoft.Windows/Registry
      properties: {keyPath: 'HKLM\SYSTEM\X', valueName: PortNumber, valueData: {DWord: "[parameters('port')]"}}
    - name: computed
      type: Microsoft.Windows/Registry
      properties: {keyPath: "[concat('HKLM', 'X')]", valueName: A, valueData: {DWord: 1}}
- {name: echo, type: Microsoft.DSC.Debug/Echo, properties: {output: hello}}
"#,
    )
    .unwrap();
    assert_eq!((imported.controls, imported.expressed), (5, 3));
    let entries: Vec<_> =
        imported.draft.entries().map(|(setting, key, value)| format!("{setting} {} {value}", key.unwrap_or_default())).collect();
    assert_eq!(
        entries,
        ["Services Spooler {\"state\":\"stopped\"}", "RegistryValues HKLM\\SYSTEM\\X!PortNumber {\"type\":\"dword\",\"value\":3390}"]
    );
    assert!(!imported.draft.yaml("D", "d", "o", &json!([{"os": "windows"}])).contains("assertions"), "nothing asserted is a setting");
    let left: Vec<_> = imported.left_out.iter().map(|p| (p.place.as_ref().map(|place| place.line), p.message.clone())).collect();
    assert_eq!(left[0], (Some(22), "computed (Microsoft.Windows/Registry): the expression 'concat('HKLM', 'X')' is not computed".into()));
    assert_eq!(left[1], (Some(25), "echo (Microsoft.DSC.Debug/Echo): the resource Microsoft.DSC.Debug/Echo has no setting".into()));
}

#[test]
fn a_resource_that_asks_for_more_than_can_be_kept_is_left_out_whole() {
    let imported =
        document("- {name: a, type: Microsoft.Windows/Service, properties: {name: X, status: Stopped, logonAccount: LocalSystem}}\n");
    assert_eq!(imported.left_out[0].message, "a (Microsoft.Windows/Service): 'logonAccount' of it has no counterpart here");
    assert!(imported.draft.is_empty());
    for (kind, properties, why) in [
        (
            "Microsoft.Windows/Registry",
            "{keyPath: 'HKLM\\X', valueName: A, valueData: {DWord: '1'}}",
            "what the value is to be is no dword",
        ),
        ("Microsoft.Windows/Registry", "{keyPath: 'HKLM\\X', valueName: A, valueData: {DWord: 4294967296}}", "is no dword"),
        ("Microsoft.Windows/Registry", "{keyPath: 'HKLM\\X', valueName: A, valueData: {DWord: 1, String: a}}", "what the value is to be"),
        ("Microsoft.Windows/Registry", "{keyPath: 'HKLM\\X', valueName: A, valueData: {MultiString: [1]}}", "is no multiString"),
        ("Microsoft.Windows/Registry", "{keyPath: 'HKLM\\X', valueName: A, registryFilePath: 'C:\\a.dat'}", "'registryFilePath'"),
        ("Microsoft.Windows/RegistryList", "{registryEntries: [{keyPath: 'HKLM\\X'}], _purge: true}", "'_purge'"),
        ("PSDesiredStateConfiguration/Registry", "{Key: 'HKLM:\\X', ValueName: '', Ensure: Absent}", "a key as a whole"),
        ("PSDesiredStateConfiguration/WindowsFeature", "{Name: A, IncludeAllSubFeature: true}", "'IncludeAllSubFeature'"),
        ("Microsoft.Windows/OptionalFeatureList", "{features: [{featureName: A, state: Installed, limitAccess: true}]}", "'limitAccess'"),
        (
            "Microsoft.Windows/FirewallRuleList",
            "{rules: [{name: A, enabled: false}], unspecifiedRules: {action: disable}}",
            "rules that it does not name",
        ),
        ("Microsoft.WinGet/Package", "{id: 7zip.7zip, useLatest: true}", "the newest version"),
    ] {
        let imported = document(&format!("- {{name: a, type: {kind}, properties: {properties}}}\n"));
        assert!(imported.draft.is_empty(), "{properties}");
        assert!(imported.left_out[0].message.contains(why), "{}", imported.left_out[0].message);
    }
    let nameless = document("- {name: a, type: [x]}\n- 7\n");
    let why: Vec<&str> = nameless.left_out.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(why, ["a: it does not say its type", "?: it does not say its type"]);
    for text in ["a: 1\n", "resources: []\n", ""] {
        assert_eq!(dsc::read("x.yaml", text).expect_err(text)[0].code, "RMM0572", "{text}");
    }
}

/// DSC never sets what an assertion looks at: it has a policy of its own, which has to go on reporting.
#[test]
fn what_is_asserted_is_a_policy_of_its_own() {
    let value = |n: u32| format!("{{keyPath: 'HKLM\\X', valueName: A, valueData: {{DWord: {n}}}}}");
    let imported = document(&format!(
        "- name: before\n  type: Microsoft.DSC/Assertion\n  properties:\n    resources:\n    - {{name: a, type: Microsoft.Windows/Registry, properties: {}}}\n\
         - {{name: b, type: Microsoft.Windows/Registry, properties: {}, dependsOn: [\"[resourceId('Microsoft.DSC/Assertion', 'before')]\"]}}\n",
        value(1),
        value(2),
    ));
    assert_eq!((imported.controls, imported.expressed, imported.draft.len()), (2, 2, 2));
    let read: Value = serde_yaml::from_str(&imported.draft.yaml("D", "d", "o", &json!([{"os": "windows"}]))).unwrap();
    let of = |policy: &str| read["policies"][policy]["settings"]["RegistryValues"]["HKLM\\X!A"]["value"].clone();
    assert_eq!((of("D"), of("D assertions")), (json!(2), json!(1)));
    let asserted = &read["policies"]["D assertions"];
    assert_eq!((&asserted["priority"], &asserted["remediate"]), (&json!(-10), &json!(false)));
}

#[test]
fn a_group_with_a_condition_and_a_secret_are_not_followed() {
    let imported = dsc::read(
        "a.dsc.yaml",
        r#"
parameters: {word: {type: secureString, defaultValue: hunter2}}
resources:
- name: group
  type: Microsoft.DSC/Group
  condition: "[equals(1, 2)]"
  properties:
    resources:
    - {name: s, type: Microsoft.Windows/Service, properties: {name: Spooler, status: Stopped}}
- {name: r, type: Microsoft.Windows/Registry, properties: {keyPath: 'HKLM\X', valueName: A, valueData: {String: "[parameters('word')]"}}}
"#,
    )
    .unwrap();
    assert!(imported.draft.is_empty());
    let left: Vec<&str> = imported.left_out.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(left[0], "group (Microsoft.DSC/Group): it has a condition, which is not computed");
    assert_eq!(left[1], "r (Microsoft.Windows/Registry): the expression 'parameters('word')' is not computed");
}

/// Complete lists of others: nearly all of each is expressed, and the policy that comes of it loads without a problem.
#[test]
fn complete_lists_become_policies_that_load() {
    use crate::repo::{LoadOptions, World, compile, fmt};
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/hardening");
    let mut lists = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        lists += 1;
        let imported = hardeningkitty::read(&name, &std::fs::read_to_string(entry.path()).unwrap()).unwrap();
        assert_eq!(imported.controls, imported.expressed + imported.left_out.len());
        assert!(imported.expressed * 100 >= imported.controls * 95, "{name}: {} of {}", imported.expressed, imported.controls);
        let text = imported.draft.yaml("List", "As it is.", &name, &json!([{"os": "windows"}]));
        let path: Arc<str> = "policies/list.yaml".into();
        let text = fmt::format(&path, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let options =
            LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: "2026-11-21T12:00:00Z".parse().unwrap() };
        let loaded = compile(vec![("rmm.toml".into(), String::new()), (path, text)], &options, World::default());
        assert_eq!(loaded.problems, Vec::new(), "{name}");
        let set = loaded.set.unwrap();
        assert_eq!(set.policies.iter().map(|policy| policy.settings.len()).sum::<usize>(), imported.draft.len(), "{name}");
    }
    assert!(lists >= 3, "{lists} lists");
}

#[test]
fn variables_of_dsc_that_grow_without_end_are_not_followed() {
    let ten = |name: &str| vec![format!("\"[variables('{name}')]\""); 10].join(", ");
    let mut text = String::from("$schema: https://aka.ms/dsc/schemas/v3/bundled/config/document.json\nvariables:\n  v0: x\n");
    for level in 1..=10 {
        text.push_str(&format!("  v{level}: [{}]\n", ten(&format!("v{}", level - 1))));
    }
    text.push_str("resources:\n- {name: A, type: Microsoft.Windows/Registry, properties: {keyPath: \"[variables('v10')]\"}}\n");
    let imported = dsc::read("a.dsc.yaml", &text).unwrap();
    assert_eq!(imported.left_out.len(), 1);
}
