//! The first command of the README, run as a user runs it, on this machine.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn rmm() -> &'static str {
    env!("CARGO_BIN_EXE_rmm")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs the script in `work`; it has to end well.
fn quickstart(work: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/run");
    let output = Command::new(script).arg(work).env("RMM", rmm()).output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, text(&output));
    text(&output)
}

fn pending(work: &Path) -> Option<i32> {
    let args = ["plan", "--detailed-exitcode", "--refresh", "always"];
    Command::new(rmm()).arg("-C").arg(work).args(args).output().unwrap().status.code()
}

#[test]
fn the_quick_start_converges_finds_nothing_to_do_and_sees_a_change_made_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    // A name that has to be quoted everywhere.
    let work = folder.path().join("it's a test");

    quickstart(&work);
    let notice = work.join("demo/notice.txt");
    assert!(std::fs::read_to_string(&notice).unwrap().contains("managed from a Git repository"));
    assert_eq!(std::fs::metadata(work.join("demo/conf.d/app.conf")).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(pending(&work), Some(0));

    let again = quickstart(&work);
    assert!(again.contains("nothing to do"), "{again}");

    std::fs::write(&notice, "changed by hand\n").unwrap();
    assert_eq!(pending(&work), Some(2));
}
