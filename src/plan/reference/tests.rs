use serde_json::json;

use super::*;
use crate::repo::{LoadOptions, World, compile};

fn now() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn repository(policies: &str) -> PolicySet {
    let options = LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: now() };
    let devices = "devices:\n  ws-1: {address: 192.0.2.7}\n";
    let files =
        vec![("rmm.toml".into(), String::new()), ("devices.yaml".into(), devices.into()), ("policies/a.yaml".into(), policies.to_owned())];
    let loaded = compile(files, &options, World::default());
    loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.problems))
}

/// What comes of these facts, with the baseline and what is included.
fn made(facts: Value, include: &[&str]) -> Reference {
    let baseline = repository("import: [linux-baseline]\n");
    let set = repository("");
    let mut document = facts.as_object().unwrap().clone();
    let os = json!({"family": "linux", "hostname": "ws-1", "init": "systemd"});
    document.entry("software").or_insert_with(|| json!({})).as_object_mut().unwrap().insert("os".into(), os);
    let facts = Facts::from_value(&document, now());
    let include: Vec<String> = include.iter().map(|s| (*s).to_owned()).collect();
    let list = wanted(&set, &baseline.policies, &include).unwrap();
    reference(&set, &set.devices["ws-1"], &facts, &list, now())
}

fn value(reference: &Reference, label: &str) -> Option<Value> {
    reference.settings.iter().find(|taken| taken.label() == label).map(|taken| taken.value.clone())
}

fn why(reference: &Reference, label: &str) -> String {
    reference.left_out.iter().find(|(name, _)| name == label).map(|(_, why)| why.clone()).unwrap_or_default()
}

#[test]
fn a_number_is_the_observed_one_and_not_that_of_the_baseline() {
    let policy = json!({"min_length": 16, "max_age_days": 90, "min_age_days": 0, "warn_age_days": 7, "history": null});
    let made = made(json!({"security": {"password_policy": policy}}), &[]);
    assert_eq!(value(&made, "PasswordMinLength"), Some(json!(16)));
    assert_eq!(value(&made, "PasswordMaxAge"), Some(json!(90)));
    assert_eq!(value(&made, "PasswordWarnAge"), Some(json!(7)));
    assert_eq!(made.settings.iter().find(|t| &*t.name == "PasswordMinLength").unwrap().model.as_deref(), Some(&json!(12)));
    // Zero days at least is what every device has.
    assert_eq!(value(&made, "PasswordMinAge"), None);
    assert_eq!(value(&made, "PasswordHistory"), None);
}

#[test]
fn what_was_never_observed_is_in_no_policy() {
    let made = made(json!({}), &["Packages", "Services.ssh"]);
    assert_eq!(made.settings, []);
    assert_eq!(why(&made, "Services.ssh"), "nothing was observed");
    assert_eq!(why(&made, "Services.cups"), "not collected yet");
}

#[test]
fn a_switch_that_is_off_is_only_taken_over_where_it_was_asked_for() {
    let facts = || json!({"security": {"firewall": {"enabled": false, "backend": "nftables"}}});
    let without = made(facts(), &[]);
    assert_eq!(value(&without, "Firewall"), None);
    assert!(!why(&without, "Firewall").is_empty());
    assert_eq!(value(&made(facts(), &["Firewall"]), "Firewall"), Some(json!("Disabled")));
}

#[test]
fn keys_are_taken_over_one_by_one_or_all_that_were_observed() {
    let services = json!({
        "nginx": {"state": "running", "startup": "enabled"},
        "oneshot": {"state": "stopped", "startup": "static"},
        "odd": {"state": "failed", "startup": "disabled"},
    });
    let facts = || json!({"software": {"services": services.clone(), "packages": {"curl": "8.0"}}});
    let one = made(facts(), &["Services.nginx", "Packages.curl", "Packages.telnet"]);
    assert_eq!(value(&one, "Services.nginx"), Some(json!({"state": "running", "startup": "enabled"})));
    assert_eq!(value(&one, "Packages.curl"), Some(json!("present")));
    assert_eq!(value(&one, "Packages.telnet"), Some(json!("absent")));
    assert_eq!(value(&one, "Services.odd"), None);
    let all = made(facts(), &["Services"]);
    assert!(value(&all, "Services.nginx").is_some());
    assert_eq!(value(&all, "Services.odd"), Some(json!({"startup": "disabled"})));
    assert_eq!(why(&all, "Services.oneshot"), "it does not start by itself");
}

#[test]
fn options_of_the_ssh_server_keep_the_spelling_of_the_baseline_and_name_nobody() {
    let sshd = json!({"permitrootlogin": "prohibit-password", "maxauthtries": "3", "allowusers": "kim", "banner": "welcome to ws-1"});
    let made = made(json!({"security": {"sshd": sshd}}), &["SshdConfig"]);
    assert_eq!(value(&made, "SshdConfig.PermitRootLogin"), Some(json!("prohibit-password")));
    assert_eq!(value(&made, "SshdConfig.permitrootlogin"), None);
    assert_eq!(value(&made, "SshdConfig.MaxAuthTries"), Some(json!(3)));
    assert_eq!(value(&made, "SshdConfig.allowusers"), None);
    assert_eq!(value(&made, "SshdConfig.Banner"), None);
    assert!(!made.settings.iter().any(|t| t.value.to_string().contains("kim") || t.value.to_string().contains("ws-1")));
}

#[test]
fn users_are_named_only_where_they_were_asked_for() {
    let user = |uid: u32| json!({"uid": uid, "gid": uid, "home": "/home/x", "shell": "/bin/sh", "comment": "Kim K.", "locked": true, "groups": []});
    let facts = || json!({"security": {"users": {"root": user(0), "toor": user(0), "kim": user(1000)}}});
    let without = made(facts(), &[]);
    assert_eq!(value(&without, "RootAccounts"), None);
    assert!(!format!("{:?}", without.settings).contains("kim"));
    let with = made(facts(), &["RootAccounts", "Users.kim"]);
    assert_eq!(value(&with, "RootAccounts"), Some(json!(["root", "toor"])));
    let kim = value(&with, "Users.kim").unwrap();
    assert_eq!(kim["shell"], "/bin/sh");
    assert!(kim.get("comment").is_none() && kim.get("uid").is_none(), "{kim}");
}

#[test]
fn a_text_that_a_policy_would_fill_in_is_left_out() {
    let made = made(json!({"security": {"sshd": {"banner": "{{ vars.secret }}", "loglevel": "INFO"}}}), &[]);
    assert_eq!(value(&made, "SshdConfig.Banner"), None);
    assert_eq!(value(&made, "SshdConfig.LogLevel"), Some(json!("INFO")));
}

#[test]
fn files_are_kept_in_mode_and_owner_and_never_in_content() {
    let file = json!({"type": "file", "mode": "0600", "owner": "root", "group": "root", "size": 9, "sha256": "00"});
    let gone = json!({"type": "absent"});
    let made = made(
        json!({"files": {"/etc/passwd": file, "/etc/hosts.equiv": gone, "/etc/sudoers": gone, "/etc/motd": file}}),
        &["Files./etc/motd"],
    );
    let kept = json!({"mode": "0600", "owner": "root", "group": "root"});
    assert_eq!(value(&made, "Files./etc/passwd"), Some(kept.clone()));
    assert_eq!(value(&made, "Files./etc/motd"), Some(kept));
    assert_eq!(value(&made, "Files./etc/hosts.equiv"), Some(json!("absent")));
    // Nothing is there whose mode could be kept.
    assert_eq!(value(&made, "Files./etc/sudoers"), None);
}

#[test]
fn what_cannot_be_taken_over_is_refused_with_its_reason() {
    let set = repository("");
    let refused = |name: &str| wanted(&set, &[], &[name.to_owned()]).unwrap_err().to_string();
    assert!(refused("Sevices").contains("no setting 'Sevices'"));
    assert!(refused("AuthorizedKeys.kim").contains("a key belongs to a person"));
    assert!(refused("Hostname").contains("name of one device"));
    assert!(refused("Files").contains("where a key is named"));
    assert!(refused("Timezone.x").contains("no keys"));
}

#[test]
fn the_repository_that_is_observed_for_asks_for_its_own_policies_too() {
    let set = repository("policies:\n  Own:\n    targets: ['*']\n    settings: {Files: {/etc/motd: absent}}\n");
    let list = wanted(&set, &[], &["Files./etc/issue".into(), "Packages".into()]).unwrap();
    let device = Arc::clone(&set.devices["ws-1"]);
    let trial = observing(&set, &device, &list);
    let none = |_: &str| None;
    let facts = Facts::from_value(json!({"software": {"os": {"family": "linux"}}}).as_object().unwrap(), now());
    let needs = Planner::new(&trial, &none).needs(&device, &facts);
    let files: Vec<&str> = needs.probes["files"].iter().map(|args| args[0].as_str()).collect();
    assert_eq!(files, ["/etc/issue", "/etc/motd"]);
    assert!(needs.paths.contains("software.packages"));
    assert_ne!(trial.hash, set.hash);
}
