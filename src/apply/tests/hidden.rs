//! Secrets among the values of settings.

use super::*;

/// Hands its token on, where its key says so as an argument that everybody could read.
const TOKENS: &str = r#"//! setting: Tokens
//! summary: Keeps a token in a file.
//! platforms: [linux]
//! keyed: {name: path, pattern: '^/.+$'}
//! value: {type: string}
//! probe: files
//! compare: script
//! phase: files
//! risk: low
//! secrets: true
//! examples:
//!   - {/tmp/x: x}
fn probes(key, desired) { [[key]] }
fn compliant(observed, desired) { observed != () && observed.type == "file" && observed.sha256 == sha256(desired) }
fn apply(device, key, desired) {
    if key.ends_with("open") {
        device.run(["sh", "-c", "printf %s \"$2\" >\"$1\"", "sh", key, desired]);
    } else {
        device.run_input(["sh", "-c", "cat >\"$1\"", "sh", key], desired);
    }
}
"#;

#[tokio::test]
async fn a_secret_of_a_setting_stands_among_the_arguments_of_no_program() {
    let house = House::scripted(
        &[("scripts/tokens.rhai", TOKENS)],
        "  P:\n    targets: ['*']\n    remediate: true\n    settings:\n      Tokens:\n        '{{ vars.dir }}/hidden': {secret: app}\n        '{{ vars.dir }}/open': {secret: app}\n",
    );
    house.secrets.keep_here("app", &"hunter2".into()).unwrap();
    let plan = house.plan().await;
    let (run, _) = house.apply(&plan, options(), nothing()).await;
    assert_eq!(house.states(&run), ["hidden done", "open failed"]);
    assert_eq!((house.read("d/hidden").as_deref(), house.read("d/open")), (Some("hunter2"), None));
    let error = house.error(&run, 2);
    assert!(error.contains("a secret would stand among the arguments") && !error.contains("hunter2"), "{error}");
}

/// What is kept and planned by is without secrets, what the device gives again is not: that is no difference.
#[tokio::test]
async fn what_holds_a_secret_on_the_device_is_changed_as_planned() {
    let house = House::one("      LineInFile:\n        token: {path: 'DIR/d/conf', match: '^token=', line: 'token=none'}\n");
    house.secrets.redactor().learn("app", &"a-long-enough-secret".into());
    house.write("d/conf", "token=a-long-enough-secret\n");
    let plan = house.plan().await;
    let planned = serde_json::to_string(&plan.devices).unwrap();
    assert!(planned.contains("token=(secret app)") && !planned.contains("a-long-enough-secret"), "{planned}");
    let (run, _) = house.apply(&plan, options(), nothing()).await;
    assert_eq!((house.states(&run), house.error(&run, 1)), (vec!["token done".to_owned()], String::new()));
    assert_eq!(house.read("d/conf").as_deref(), Some("token=none\n"));
    let journal = serde_json::to_string(&house.store.run_changes(&run).unwrap()).unwrap();
    assert!(journal.contains("token=(secret app)") && !journal.contains("a-long-enough-secret"), "{journal}");
}

/// Spoils its file, and undoes that.
const SPOILER: &str = r#"//! setting: Spoiler
//! summary: Spoils a file.
//! platforms: [linux]
//! keyed: {name: path, pattern: '^/.+$'}
//! value: {type: string}
//! probe: lines
//! compare: script
//! phase: files
//! risk: low
//! examples:
//!   - {/tmp/x: x}
fn probes(key, desired) { [[key, "^token=", desired]] }
fn compliant(observed, desired) { observed != () && observed.line == desired }
fn apply(device, key, desired) { device.run(["sh", "-c", "echo spoiled >\"$1\"; exit 3", "sh", key]); }
fn rollback(device, key, before) { device.run_input(["sh", "-c", "cat >\"$1\"", "sh", key], before.line + "\n"); }
"#;

#[tokio::test]
async fn what_is_undone_is_put_back_with_the_secret_in_it() {
    let settings = "  P: {targets: ['*'], remediate: true, settings: {Spoiler: {'DIR/d/conf': token=none}}}\n";
    let house = House::scripted(&[("scripts/spoiler.rhai", SPOILER)], settings);
    house.secrets.redactor().learn("app", &"a-long-enough-secret".into());
    house.write("d/conf", "token=a-long-enough-secret\n");
    let plan = house.plan().await;
    let (run, _) = house.apply(&plan, options(), nothing()).await;
    assert_eq!(house.read("d/conf").as_deref(), Some("token=a-long-enough-secret\n"), "{}", house.error(&run, 1));
    let changes = house.store.run_changes(&run).unwrap();
    assert_eq!(changes[0].state, ChangeState::RolledBack);
    assert!(!serde_json::to_string(&changes).unwrap().contains("a-long-enough-secret"));
}
