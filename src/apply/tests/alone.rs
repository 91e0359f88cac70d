//! Actions that nobody is at hand to be asked about.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::apply::{Allowed, Ask, End, Part, Parts, act};
use crate::model::ActionCall;
use crate::model::suspension::{Suspension, SuspensionKind};
use crate::store::AuditEvent;

#[tokio::test]
async fn what_is_suspended_by_itself_or_with_its_group_is_left_alone() {
    for (kind, name) in [(SuspensionKind::Device, "d"), (SuspensionKind::Group, "All")] {
        let house = House::one("      Steps: {DIR/d/x: x}\n");
        let parts = Parts {
            set: Arc::clone(&house.set),
            store: house.store.clone(),
            sessions: crate::apply::sessions(&house.set, &house.secrets),
            secrets: Arc::clone(&house.secrets),
            redactor: Redactor::new(),
            clock: house.clock.clone(),
            actor: Actor { user: "kim".into(), from: "test".into() },
        };
        let with = BTreeMap::from([("name".to_owned(), json!("no-such-service")), ("state".to_owned(), json!("restart"))]);
        let call = ActionCall { action: "ServiceControl".into(), with, on: Vec::new() };
        let cancel = CancellationToken::new();
        let said = act(&parts, &Ask::unattended("d", &call, "a test"), &cancel).await.unwrap().message;
        assert!(!said.contains("suspended"), "{said}");
        let suspension = Suspension {
            kind,
            name: name.into(),
            device: None,
            since: noon(),
            by: "kim".into(),
            reason: "on the bench".into(),
            automatic: false,
            policy_set: None,
        };
        let event = AuditEvent {
            at: noon(),
            user: None,
            action: "suspension.added".into(),
            target: None,
            details: json!({}),
            ip: None,
            success: true,
        };
        house.store.suspend(&suspension, event).unwrap();
        let acted = act(&parts, &Ask::unattended("d", &call, "a test"), &cancel).await.unwrap();
        assert!(acted.message.contains("refused: the device is suspended"), "{acted:?}");
        assert_eq!((acted.end, acted.held.map(|held| held.by)), (End::Refused, Some("suspended".to_owned())));
        assert_eq!(house.store.leases().unwrap(), []);
    }
}

/// Says what it does; the second command fails where it is told to.
const DEED: &str = r#"//! action: Deed
//! summary: Leaves lines behind.
//! platforms: [linux]
//! parameters: {type: object, additionalProperties: false, properties: {file: {type: string}, fail: {type: boolean}, long: {type: boolean}}}
//! idempotent: true
//! examples: [{}]
fn before(device, params) { device.run(["sh", "-c", "echo before >>\"$1\"", "sh", params.file]); }
fn run(device, params) {
    if params.long == true { device.run(["sleep", "1000033"]); }
    device.run(["sh", "-c", "echo run >>\"$1\"; echo out; echo err >&2", "sh", params.file]);
    if params.fail == true { device.run(["sh", "-c", "seq 1 100000; exit 4"]); }
    #{left: "a line"}
}
fn after(device, params, result) { device.run(["sh", "-c", "echo \"after $2\" >>\"$1\"", "sh", params.file, if result.ok { result.value.left } else { result.error }]); }
fn rollback(device, params, result) { device.run(["sh", "-c", "echo \"undone $2\" >>\"$1\"", "sh", params.file, result.left]); }
"#;

fn deed(extra: &str) -> (House, Parts) {
    let house = House::scripted(&[("scripts/deed.rhai", DEED)], extra);
    let parts = Parts {
        set: Arc::clone(&house.set),
        store: house.store.clone(),
        sessions: crate::apply::sessions(&house.set, &house.secrets),
        secrets: Arc::clone(&house.secrets),
        redactor: Redactor::new(),
        clock: house.clock.clone(),
        actor: Actor { user: "kim".into(), from: "test".into() },
    };
    (house, parts)
}

#[tokio::test]
async fn an_action_tells_every_command_and_its_hooks_stand_around_it() {
    let (house, parts) = deed("");
    let cancel = CancellationToken::new();
    let call = |fail: bool| {
        let file = json!("{{ vars.dir }}/lines");
        ActionCall {
            action: "Deed".into(),
            with: BTreeMap::from([("file".to_owned(), file), ("fail".into(), json!(fail))]),
            on: Vec::new(),
        }
    };
    let good = call(false);
    let ask = Ask { allowed: Allowed::Confirmed, ..Ask::unattended("d", &good, "a test") };
    let acted = act(&parts, &ask, &cancel).await.unwrap();
    assert_eq!((acted.end, &acted.value), (End::Done, &json!({"left": "a line"})), "{}", acted.message);
    assert_eq!(acted.ran.len(), 3);
    assert_eq!((&*acted.ran[1].stdout, &*acted.ran[1].stderr, acted.ran[1].code), ("out\n", "err\n", 0));
    assert!(acted.ran[1].line.starts_with("sh -c 'echo run"), "{}", acted.ran[1].line);
    let undo = Ask { part: Part::Rollback { result: acted.value }, ..ask };
    let undone = act(&parts, &undo, &cancel).await.unwrap();
    assert_eq!((undone.end, undone.ran.len()), (End::Done, 1));
    assert_eq!(house.read("d/lines").unwrap(), "before\nrun\nafter a line\nundone a line\n");

    let bad = call(true);
    let failed = act(&parts, &Ask::unattended("d", &bad, "a test"), &cancel).await.unwrap();
    assert_eq!((failed.end, failed.ran[2].code), (End::Failed, 4));
    assert!(
        failed.ran[2].stdout.len() < 70_000
            && failed.ran[2].stdout.contains("bytes left out")
            && failed.ran[2].stdout.ends_with("100000\n")
    );
    assert!(house.read("d/lines").unwrap().ends_with("after sh ended with exit code 4\n"));
    assert_eq!(house.store.leases().unwrap(), []);
}

#[tokio::test]
async fn guards_hold_for_actions_by_what_they_do() {
    let guards =
        "  Night: {targets: ['*'], settings: {AllowUpdates: false, AllowReboots: false}, activeHours: '11:00-13:00', timezone: UTC}\n";
    let (house, parts) = deed(guards);
    let cancel = CancellationToken::new();
    let call = |action: &str| ActionCall { action: action.into(), with: BTreeMap::new(), on: Vec::new() };
    for action in ["InstallUpdates", "Reboot"] {
        let call = call(action);
        let ask = Ask { allowed: Allowed::Confirmed, ..Ask::unattended("d", &call, "a test") };
        let acted = act(&parts, &ask, &cancel).await.unwrap();
        let held = acted.held.unwrap();
        assert_eq!((acted.end, &*held.by, held.until), (End::Refused, "Night", Some(noon() + TimeDelta::hours(1))), "{action}");
        assert!(acted.message.contains("held: Night until 13:00 (UTC)"), "{}", acted.message);
    }
    let mut harmless = call("Deed");
    harmless.with.insert("file".into(), json!("{{ vars.dir }}/lines"));
    assert_eq!(act(&parts, &Ask::unattended("d", &harmless, "a test"), &cancel).await.unwrap().end, End::Done);
    house.clock.set(noon() + TimeDelta::hours(2));
    let refused = call("Reboot");
    let acted = act(&parts, &Ask::unattended("d", &refused, "a test"), &cancel).await.unwrap();
    assert_eq!((acted.end, acted.held), (End::Refused, None), "nobody was asked");
}

#[tokio::test]
async fn an_action_has_its_time_and_a_device_that_is_leased_is_left_alone() {
    let (house, parts) = deed("");
    let cancel = CancellationToken::new();
    let mut long = ActionCall { action: "Deed".into(), with: BTreeMap::new(), on: Vec::new() };
    long.with.insert("file".into(), json!("{{ vars.dir }}/lines"));
    long.with.insert("long".into(), json!(true));
    let ask = Ask { timeout: Some(std::time::Duration::from_millis(300)), ..Ask::unattended("d", &long, "a test") };
    let acted = act(&parts, &ask, &cancel).await.unwrap();
    assert_eq!(acted.end, End::TimedOut, "{}", acted.message);
    assert_eq!(house.read("d/lines").unwrap(), "before\n");
    let other = crate::store::Owner::this_process();
    house.store.lease_device("d", "r-1", &other, TimeDelta::minutes(5)).unwrap();
    let acted = act(&parts, &ask, &cancel).await.unwrap();
    assert_eq!((acted.end, acted.ran.len()), (End::Busy, 0), "{}", acted.message);
    let wrong = ActionCall { action: "Deed".into(), with: BTreeMap::from([("fail".to_owned(), json!("yes"))]), on: Vec::new() };
    let acted = act(&parts, &Ask::unattended("d", &wrong, "a test"), &cancel).await.unwrap();
    assert!(acted.end == End::Refused && acted.message.contains("fail expected true or false"), "{}", acted.message);
}
