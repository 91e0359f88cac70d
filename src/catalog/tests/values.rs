//! What `check` says of right and wrong values, and what a team's own scripts may get wrong.

use super::*;

fn messages(name: &str, key: Option<&str>, value: Value) -> Vec<String> {
    setting(name).check(key, &value).into_iter().map(|(pointer, message)| format!("{pointer}: {message}")).collect()
}

#[test]
fn a_wrong_value_is_explained_in_words() {
    assert_eq!(messages("Firewall", None, json!("Enabld")), [": 'Enabld' is not one of Enabled, Disabled; did you mean 'Enabled'?"]);
    assert_eq!(messages("PasswordMinLength", None, json!("twelve")), [": expected a whole number, found 'twelve'"]);
    assert_eq!(messages("PasswordMinLength", None, json!(2)), [": 2 is below the least possible value 4"]);
    assert_eq!(messages("Services", Some("ssh"), json!({"stat": "running"})), [": unknown member 'stat'; did you mean 'state'?"]);
    assert_eq!(messages("Services", Some("ssh"), json!({"state": "runing"})), ["/state: 'runing' is not one of running, stopped; did you mean 'running'?"]);
    assert_eq!(messages("Packages", Some("curl"), json!("presnt")), [": 'presnt' is not one of present, absent; did you mean 'present'?"]);
    assert_eq!(messages("Packages", Some("curl"), json!(7)), [": expected a map or \"present\" or \"absent\", found 7"].map(|s| s.replace('"', "'")));
    assert_eq!(messages("Files", Some("/etc/x"), json!({"mode": "rw"})), ["/mode: 'rw' is not possible here: expected an octal mode such as \"0644\""]);
    assert_eq!(messages("LineInFile", Some("x"), json!({"path": "/x"})), [": 'line' is missing"]);
    assert_eq!(messages("Files", Some("etc/x"), json!("absent")), [": 'etc/x' cannot be a path of Files"]);
}

#[test]
fn a_secret_is_accepted_where_a_text_is_and_nowhere_else() {
    assert!(messages("Files", Some("/etc/x"), json!({"content": {"secret": "tls-key"}})).is_empty());
    assert!(messages("SshdConfig", Some("Banner"), json!({"secret": "banner"})).is_empty());
    assert!(messages("AuthorizedKeys", Some("kim"), json!({"keys": [{"secret": "key"}]})).is_empty());
    assert!(!messages("PasswordMinLength", None, json!({"secret": "x"})).is_empty());
    assert!(!messages("Files", Some("/etc/x"), json!({"content": {"secret": "x", "more": 1}})).is_empty());
}

#[test]
fn a_team_script_replaces_a_built_in_setting_and_adds_new_ones() {
    let own = |name: &str| format!("//! setting: {name}\n//! summary: Ours.\n//! platforms: [linux]\n//! value: {{type: string}}\n//! observe: software.os.id\nfn apply(device, desired) {{}}\n");
    let (catalog, problems) = Catalog::with_scripts(&[("scripts/a.rhai".into(), own("Timezone")), ("scripts/b.rhai".into(), own("Motd"))]);
    assert_eq!(problems, []);
    assert_eq!((catalog.settings["Timezone"].summary.as_str(), &*catalog.settings["Motd"].file), ("Ours.", "scripts/b.rhai"));
    let (_, problems) = Catalog::with_scripts(&[("scripts/a.rhai".into(), own("Motd")), ("scripts/b.rhai".into(), own("Motd"))]);
    assert_eq!(problems.iter().map(|p| p.code.as_str()).collect::<Vec<_>>(), ["RMM0606"]);
}

#[test]
fn problems_of_a_team_script_are_found_with_their_places() {
    let head = "//! setting: Motd\n//! summary: Ours.\n//! platforms: [linux]\n//! value: {type: string}\n//! observe: software.os.id\n";
    let first = |text: String| {
        let (catalog, problems) = Catalog::with_scripts(&[("scripts/x.rhai".into(), text)]);
        assert!(!catalog.settings.contains_key("Motd"));
        problems.first().map(ToString::to_string).unwrap_or_default()
    };
    assert_eq!(first(format!("{head}fn apply(device, desired) {{ let = 1; }}\n")), "scripts/x.rhai:6:33: error[RMM0601]: Expecting name of a variable");
    assert_eq!(first(head.replace("summary", "sumary")), "scripts/x.rhai:2:5: error[RMM0605]: unknown key 'sumary' in the head of the script");
    assert_eq!(first("fn apply(device, desired) {}\n".into()), "scripts/x.rhai:1: error[RMM0605]: the script has no head");
    assert_eq!(first(format!("{head}fn apply(device) {{}}\n")), "scripts/x.rhai:1: error[RMM0607]: the function apply has to take 2 or 3 parameters");
    assert!(first(format!("{head}//! compare: script\n")).contains("RMM0607"));
    assert!(first(head.replace("{type: string}", "{type: text}")).contains("RMM0608"));
    assert!(first(format!("{head}//! examples: [7]\n")).contains("RMM0609"));
}
