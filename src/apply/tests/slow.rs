use super::*;
use crate::model::plan::State;

/// Begins something that is over much later.
const SLOW: &str = r#"//! setting: Slow
//! summary: Begins to write a file.
//! platforms: [linux]
//! keyed: {name: path, pattern: '^/.+$'}
//! value: {type: string}
//! probe: files
//! compare: script
//! phase: files
//! risk: low
//! examples:
//!   - {/tmp/x: x}
fn probes(key, desired) { [[key]] }
fn compliant(observed, desired) {
    if observed == () || observed.type != "file" { return false; }
    if observed.sha256 == sha256("begun") { throw "under way: it takes hours"; }
    observed.sha256 == sha256(desired)
}
fn apply(device, key, desired) { device.run(["sh", "-c", "echo ran >>\"$1.log\"; printf begun >\"$1\"", "sh", key]); }
"#;

/// Encrypting a disk goes on for hours: to begin it is all that a run can do, and nobody begins it again or takes it for done.
#[tokio::test]
async fn what_goes_on_by_itself_is_done_as_far_as_it_can_be_and_not_compliant_until_it_is_over() {
    let house =
        House::scripted(&[("scripts/slow.rhai", SLOW)], "  P: {targets: ['*'], remediate: true, settings: {Slow: {'DIR/d/1': whole}}}\n");
    let plan = house.plan().await;
    let (run, _) = house.apply(&plan, options(), nothing()).await;
    assert_eq!(house.states(&run), ["1 done"]);
    // A plan of before finds that it was begun meanwhile.
    let (run, _) = house.apply(&plan, options(), nothing()).await;
    assert_eq!(house.states(&run), ["1 skipped"]);
    assert_eq!(house.ran("d/1"), 1);
    let change = house.plan().await.devices.remove(0).changes.remove(0);
    assert_eq!((change.state, change.reason.as_deref()), (State::Unknown, Some("under way: it takes hours")));
    house.write("d/1", "whole");
    assert!(house.plan().await.devices.iter().all(|device| device.changes.is_empty()));
}
