use super::*;
use crate::apply::{ApplyError, Refused, reassure};
use crate::model::plan::{Change, State};
use crate::model::{Phase, Reboot, Risk};

const POLICIES: &str = "policies:
  P:
    targets: ['*']
    remediate: true
    settings:
      Steps: {'DIR/d/1': one, 'DIR/d/2': two}
      Daemon: {'DIR/d/daemon': {state: running, restartOn: ['Steps.DIR/d/1']}}
  Watch:
    targets: ['*']
    settings:
      Steps: {'DIR/d/seen': only looked at}
  Ask:
    targets: ['*']
    remediate: approve
    settings:
      Steps: {'DIR/d/asked': after a question}
  Spared:
    targets: ['*']
    remediate: true
    settings:
      Steps: {'DIR/d/spared': not now}
    exceptions: [{device: d, setting: Steps, reason: moving}]
  One: {targets: ['*'], remediate: true, settings: {Steps: {'DIR/d/both': one}}}
  Two: {targets: ['*'], remediate: true, settings: {Steps: {'DIR/d/both': two}}}
  Maybe:
    targets: [Big]
    remediate: true
    settings:
      Steps: {'DIR/d/maybe': where it is known}
";

fn house() -> House {
    let house = House::new(&[("d", "")], POLICIES);
    house.write("d/daemon", "running");
    house
}

fn trust(house: &House, plan: Plan) -> Result<Plan, Refused> {
    reassure(plan, &house.set, &house.store, &house.secrets, false, house.clock.now()).map_err(|error| match error {
        ApplyError::Refused(refused) => refused,
        ApplyError::Store(other) => panic!("{other}"),
    })
}

fn find<'a>(plan: &'a mut Plan, file: &str) -> &'a mut Change {
    let found = plan.devices[0].changes.iter_mut().find(|c| c.key.as_deref().is_some_and(|key| key.ends_with(&format!("/{file}"))));
    found.unwrap_or_else(|| panic!("no {file} in the plan"))
}

fn state(plan: &Plan, file: &str) -> State {
    find(&mut plan.clone(), file).state
}

#[track_caller]
fn refused(house: &House, plan: &Plan, file: &str) {
    match trust(house, plan.clone()) {
        Err(Refused::Altered { device, setting }) => {
            assert_eq!(device, "d");
            assert!(setting.ends_with(&format!("/{file}")), "{setting}");
        }
        other => panic!("{other:?}"),
    }
}

/// Also the fact that decides about the group `Big` is asked for: it was not known before.
#[tokio::test]
async fn a_plan_as_it_was_made_comes_back_the_same() {
    let house = house();
    let plan = house.plan().await;
    let states = ["1", "2", "daemon", "seen", "asked", "spared", "both", "maybe"].map(|file| state(&plan, file).to_string());
    assert_eq!(states, ["change", "change", "change", "report", "held", "held", "conflict", "change"]);
    let again = trust(&house, plan.clone()).unwrap();
    assert_eq!(
        from_plan(&again, "r").iter().map(|c| c.change.label()).collect::<Vec<_>>(),
        from_plan(&plan, "r").iter().map(|c| c.change.label()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_entry_that_stands_in_a_plan_twice_is_refused() {
    let house = house();
    let mut plan = house.plan().await;
    let mut twice = find(&mut plan, "2").clone();
    plan.devices[0].changes.push(twice.clone());
    refused(&house, &plan, "2");
    // Also where only one of the two would be carried out.
    plan.devices[0].changes.pop();
    twice.state = State::Report;
    plan.devices[0].changes.push(twice);
    refused(&house, &plan, "2");
}

#[tokio::test]
async fn conflicts_and_targets_that_are_not_certain_are_never_carried_out() {
    let house = house();
    let plan = house.plan().await;
    for file in ["both", "seen"] {
        let mut forged = plan.clone();
        find(&mut forged, file).state = State::Change;
        refused(&house, &forged, file);
    }
    // A target that was certain when the plan was made, and is not any more.
    assert!(trust(&house, plan.clone()).is_ok());
    let mut seen = house.section("d", "hardware.memory", Value::Null);
    seen.sections.insert("hardware.memory".into(), Section::new(Value::Null, Status::Unknown("not to be read".into()), noon()));
    house.store.put_observations(&[seen]).unwrap();
    refused(&house, &plan, "maybe");
}

#[tokio::test]
async fn what_waits_for_an_approval_or_is_excepted_stays_held_whatever_the_file_says() {
    let house = house();
    let mut plan = house.plan().await;
    for file in ["asked", "spared"] {
        let change = find(&mut plan, file);
        (change.state, change.held) = (State::Change, None);
    }
    let trusted = trust(&house, plan).unwrap();
    assert_eq!((state(&trusted, "asked"), state(&trusted, "spared")), (State::Held, State::Held));
}

type Forge = fn(&mut Change);

/// Everything in the file is altered in turn: what is still accepted asks for no more than the policy set does, in its own words.
#[tokio::test]
async fn a_forged_plan_never_does_more_than_the_policy_set_asks_for() {
    let house = house();
    let plan = house.plan().await;
    let honest = trust(&house, plan.clone()).unwrap();
    let forgeries: &[(&str, Forge)] = &[
        ("desired", |c| c.desired = json!("evil")),
        ("desired object", |c| c.desired = json!({"state": "running"})),
        ("key", |c| c.key = Some("/etc/passwd".into())),
        ("no key", |c| c.key = None),
        ("setting", |c| c.setting = "Files".into()),
        ("policy", |c| c.policy = "Two".into()),
        ("change", |c| c.state = State::Change),
        ("compliant", |c| c.state = State::Compliant),
        ("risk", |c| c.risk = Risk::Destructive),
        ("reboot", |c| c.reboot = Reboot::Always),
        ("phase", |c| c.phase = Phase::Reboot),
        ("restart", |c| c.restart = !c.restart),
        ("restart on", |c| c.restart_on = vec!["Steps./etc/passwd".into()]),
        ("place", |c| c.place.line = 9999),
        ("words", |c| (c.from, c.to) = ("nothing".into(), "everything".into())),
        ("observed", |c| c.observed = json!({"type": "file"})),
        ("held", |c| c.held = None),
        ("commands", |c| c.commands.clear()),
    ];
    let mut accepted = 0;
    for (what, forge) in forgeries {
        for i in 0..plan.devices[0].changes.len() {
            let mut forged = plan.clone();
            forge(&mut forged.devices[0].changes[i]);
            let Ok(trusted) = trust(&house, forged) else { continue };
            accepted += 1;
            for change in trusted.devices[0].changes.iter().filter(|c| c.state == State::Change) {
                let ours = honest.devices[0].changes.iter().find(|c| c.label() == change.label()).unwrap();
                assert_eq!(ours.state, State::Change, "{what}: {}", change.label());
                let of =
                    |c: &Change| (c.desired.clone(), c.policy.clone(), c.risk, c.reboot, c.phase, c.restart_on.clone(), c.place.clone());
                assert_eq!(of(change), of(ours), "{what}: {}", change.label());
                if !change.restart {
                    assert_eq!(change.to, ours.to, "{what}: {}", change.label());
                }
            }
            assert_eq!(trusted.summary.states.get(&State::Change).copied().unwrap_or(0) as usize, from_plan(&trusted, "r").len());
        }
    }
    assert!(accepted > 20, "most forgeries change nothing that counts: {accepted}");
}

/// A restart that the file invents needs a cause that the policy set names, changed by the very same run.
#[tokio::test]
async fn a_forged_restart_restarts_nothing() {
    let house = house();
    let mut plan = house.plan().await;
    plan.devices[0].changes.retain(|c| c.restart);
    let change = &mut plan.devices[0].changes[0];
    change.restart_on = vec!["Steps./other".into()];
    let trusted = trust(&house, plan).unwrap();
    let (run, _) = house.apply(&trusted, options(), nothing()).await;
    assert_eq!((house.states(&run), house.ran("d/daemon")), (vec!["daemon skipped".to_owned()], 0));
}
