//! Values that want to be commands, in every field of every setting: refused by the schema, or literally data.

use std::process::Command;

use super::*;
use crate::model::Operation;

const HOSTILE: [&str; 10] =
    ["'; rm -rf / #", "$(reboot)", "`reboot`", "a\nb", "-Rx", "--help", "\"; reboot; \"", "$HOME", "a && b | c > d", "${x}\\"];

/// The value with every text in it replaced, one at a time.
fn poisoned(value: &Value, poison: &str) -> Vec<Value> {
    match value {
        Value::Array(list) => (0..list.len())
            .flat_map(|i| {
                poisoned(&list[i], poison).into_iter().map(move |new| {
                    let mut list = list.clone();
                    list[i] = new;
                    Value::Array(list)
                })
            })
            .collect(),
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, member)| {
                poisoned(member, poison).into_iter().map(move |new| {
                    let mut map = map.clone();
                    map.insert(key.clone(), new);
                    Value::Object(map)
                })
            })
            .collect(),
        _ => vec![json!(poison)],
    }
}

/// The words that sh makes of a line: its own parsing, with a program that prints its arguments instead of the command.
fn words(line: &str) -> Vec<String> {
    let output = Command::new("sh").arg("-c").arg(format!("printf '%s\\0' {line}")).output().unwrap();
    let mut words: Vec<String> = String::from_utf8(output.stdout).unwrap().split('\0').map(str::to_owned).collect();
    words.pop();
    words
}

/// Asserts that a shell reads each operation as the same words, and that no script text was composed from a value.
fn assert_literal(label: &str, poison: &str, operations: &[Operation]) {
    for operation in operations {
        match operation {
            Operation::Run { argv, .. } => {
                assert_eq!(&words(&render(operation).line), argv, "{label}");
                if let Some(at) = argv.iter().position(|word| word == "-c").filter(|_| matches!(argv[0].as_str(), "sh" | "su")) {
                    assert!(!argv[at + 1].contains(poison), "{label}: the value stands in a script: {}", argv[at + 1]);
                }
                // A value that looks like an option stands after `--`, or belongs to the option before it.
                if let Some(at) = argv.iter().position(|word| word == poison && poison.starts_with('-')) {
                    let guarded = argv[..at].iter().any(|word| word == "--") || argv[at - 1].starts_with('-') || argv[0] == "sh";
                    assert!(guarded, "{label}: {argv:?}");
                }
            }
            // The line is constant; the script may not hold the value, whose place is among the parameters.
            Operation::PowerShell { script, .. } => assert!(!script.contains(poison), "{label}: the value stands in a script: {script}"),
            Operation::WriteFile { path, .. } => assert!(path.starts_with('/') && !path.contains('\n'), "{label}: {path}"),
        }
    }
}

#[test]
fn hostile_values_are_refused_or_stay_data() {
    let (mut refused, mut literal) = (0, 0);
    for setting in Catalog::builtin().settings.values().filter(|setting| setting.remediable()) {
        for (key, value) in examples(setting) {
            for poison in HOSTILE {
                let mut cases: Vec<(Option<String>, Value)> = poisoned(&value, poison).into_iter().map(|new| (key.clone(), new)).collect();
                if key.is_some() {
                    cases.push((Some(poison.to_owned()), value.clone()));
                    cases.push((Some(format!("/{poison}")), value.clone()));
                }
                for (key, value) in cases {
                    let label = format!("{} {key:?} {value}", setting.name);
                    if !setting.check(key.as_deref(), &value).is_empty() {
                        refused += 1;
                        continue;
                    }
                    for os in [debian(), alpine(), fedora(), windows()] {
                        if os.platform().is_some_and(|platform| !setting.platforms.contains(&platform)) {
                            continue;
                        }
                        let recorder = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(os))));
                        let host: SharedHost = recorder.clone();
                        match setting.program.apply(&host, key.as_deref(), &value, None) {
                            Ok(()) | Err(ScriptError::Runtime { .. }) => {}
                            Err(error) => panic!("{label}: {error:?}"),
                        }
                        assert_literal(&label, poison, &recorder.lock().unwrap().operations);
                        literal += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 100 && literal > 100, "{refused} refused, {literal} literal");
}

/// Every parameter of every action, on every platform; a template is checked only when it is resolved, so that the scripts see what the
/// schema would refuse: they too have to treat it as data.
#[test]
fn hostile_parameters_of_actions_are_refused_or_stay_data() {
    let (mut refused, mut literal) = (0, 0);
    for action in Catalog::builtin().actions.values().filter(|action| action.by == crate::model::action::By::Script) {
        for example in &action.examples {
            for poison in HOSTILE {
                for parameters in poisoned(example, poison) {
                    let label = format!("{} {parameters}", action.name);
                    if !action.check(&parameters).is_empty() {
                        refused += 1;
                        // Words that look like options are the schema's to refuse; quoting has to hold without it.
                        if poison.starts_with('-') {
                            continue;
                        }
                    }
                    for os in [debian(), alpine(), fedora(), windows(), macos()] {
                        let recorder = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(os))));
                        let host: SharedHost = recorder.clone();
                        // A script may say that the value is wrong; what it did before counts nevertheless.
                        let _ = action.program.run(&host, &parameters);
                        assert_literal(&label, poison, &recorder.lock().unwrap().operations);
                        literal += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 100 && literal > 100, "{refused} refused, {literal} literal");
}

/// A secret's value is not known to the schema: the scripts themselves have to refuse what would become a second line.
#[test]
fn a_line_break_in_a_line_oriented_file_is_refused_by_the_script_too() {
    let evil = "x\n* * * * * root reboot";
    for (name, key, desired) in [
        ("CronJobs", "job", json!({"schedule": "@daily", "command": evil})),
        ("CronJobs", "job", json!({"schedule": evil, "command": "x"})),
        ("CronJobs", "job", json!({"schedule": "@daily", "user": evil, "command": "x"})),
        ("SshdConfig", "Banner", json!(evil)),
        ("LineInFile", "x", json!({"path": "/tmp/x", "line": evil})),
        ("LineInFile", "x", json!({"path": "/tmp/x", "line": "x", "match": evil})),
        ("AuthorizedKeys", "kim", json!({"keys": [evil]})),
        ("Limits", "* hard core", json!(evil)),
        ("Users", "kim", json!({"comment": evil})),
        ("MountOptions", "/tmp", json!({"options": [evil]})),
    ] {
        let recorder = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(debian()))));
        let host: SharedHost = recorder.clone();
        let seen = json!({"fs": "tmpfs", "options": []});
        let observed = (name == "MountOptions").then_some(&seen);
        let error = setting(name).program.apply(&host, Some(key), &desired, observed).expect_err(name);
        assert!(matches!(error, ScriptError::Runtime { .. }), "{name}: {error:?}");
        for operation in &recorder.lock().unwrap().operations {
            assert!(!serde_json::to_string(operation).unwrap().contains("reboot"), "{name}: {operation:?}");
        }
    }
    let recorder = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(debian()))));
    let host: SharedHost = recorder.clone();
    let sysctl = setting("Sysctl").program.apply(&host, Some("kernel.x"), &json!("1\nkernel.y = 2"), None);
    let text = rendered(&recorder).join("|");
    assert!(sysctl.is_err() || text.contains("kernel.x = 1 kernel.y = 2\n"), "{text}");
}
