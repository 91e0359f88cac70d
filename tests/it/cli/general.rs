//! What holds for every command.

use std::io::Read as _;
use std::process::Stdio;

use super::{Fleet, rmm};

const COMMANDS: [&str; 38] = [
    "init",
    "uninstall",
    "config",
    "validate",
    "test",
    "fmt",
    "import",
    "collect",
    "plan",
    "review",
    "apply",
    "simulate",
    "reconcile",
    "status",
    "suspend",
    "resume",
    "devices",
    "facts",
    "why",
    "eval",
    "doctor",
    "state",
    "run",
    "exec",
    "workflow",
    "updates",
    "alerts",
    "notify",
    "secrets",
    "share",
    "audit",
    "backup",
    "restore",
    "explain",
    "schema",
    "completions",
    "man",
    "help",
];

#[test]
fn every_command_has_help_with_an_example() {
    let fleet = Fleet::nothing();
    let names = rmm::cli::command_names();
    assert_eq!(names, COMMANDS);
    for name in COMMANDS {
        let help = fleet.rmm(&[name, "--help"]).code(0).says("Example").says(&format!("rmm {name}"));
        assert_eq!(help.err, "", "{name}");
        assert_eq!(fleet.rmm(&["help", name]).code(0).out, help.out, "{name}");
    }
}

#[test]
fn a_typing_error_gets_a_suggestion_and_exit_code_3() {
    let fleet = Fleet::small();
    fleet.rmm(&["plann"]).code(3).complains("'plan'");
    fleet.rmm(&["plan", "--comands"]).code(3).complains("'--commands'");
    fleet.rmm(&["devices", "lst"]).code(3).complains("'list'");
    fleet.rmm(&["help", "plna"]).code(3).complains("did you mean 'plan'?");
    fleet.rmm(&["plan", "hree"]).code(3).complains("did you mean 'here'?");
    fleet.rmm(&["plan", "All Server"]).code(3).complains("did you mean 'All Servers'?");
    fleet.rmm(&["plan", "os=linx"]).code(3).complains("did you mean 'linux'?");
    fleet.rmm(&["plan", "--target", "Flies"]).code(3).complains("did you mean 'Files'?");
    fleet.rmm(&["status", "--output", "jsn"]).code(3).complains("'json'");
}

#[test]
fn outside_of_a_repository_the_error_says_what_to_do() {
    let fleet = Fleet::nothing();
    for command in ["validate", "plan", "status", "collect", "apply"] {
        fleet.rmm(&[command]).code(4).complains("RMM0100").complains("rmm init");
    }
    fleet.rmm(&["-C", "no/such/folder", "status"]).code(4).complains("no/such/folder");
    fleet.rmm(&["explain", "RMM0100"]).code(0);
}

#[test]
fn the_repository_is_found_from_a_folder_within_by_flag_and_by_variable() {
    let fleet = Fleet::small();
    let within = fleet.path("policies");
    let valid = |command: std::process::Command| super::ended(command).code(0).says("Valid:");
    valid(rmm(&within, &["validate"]));
    valid(rmm(std::path::Path::new("/"), &["-C", within.to_str().unwrap(), "validate"]));
    let mut command = rmm(std::path::Path::new("/"), &["validate"]);
    command.env("RMM_REPO", &within);
    valid(command);
}

#[test]
fn every_flag_can_be_a_variable_and_the_flag_wins() {
    let fleet = Fleet::small();
    let json = fleet.rmm_with(&[("RMM_OUTPUT", "json")], &["devices", "list"]).code(0).json();
    assert_eq!(json["schema"], "rmm.devices/1");
    fleet.rmm_with(&[("RMM_OUTPUT", "json")], &["devices", "list", "--output", "csv"]).code(0).says("device,status");
    fleet.rmm_with(&[("RMM_DETAILED_EXITCODE", "1")], &["plan"]).code(2);
    fleet.rmm_with(&[("RMM_DETAILED_EXITCODE", "0")], &["plan"]).code(0);
    fleet.rmm_with(&[("RMM_OUTPUT", "xml")], &["status"]).code(3).complains("xml");
}

#[test]
fn colour_comes_only_when_asked_for_and_text_is_ascii_where_the_locale_is() {
    let fleet = Fleet::small();
    let plain = fleet.rmm(&["plan"]).code(0);
    assert!(!plain.out.contains('\u{1b}') && !plain.err.contains('\u{1b}'));
    fleet.rmm(&["plan", "--color", "always"]).code(0).says("\u{1b}[");
    fleet.rmm_with(&[("CLICOLOR_FORCE", "1")], &["plan"]).code(0).says("\u{1b}[");
    let c = fleet.rmm_with(&[("LANG", "C")], &["plan", "--refresh", "never"]).code(0).says("(absent) ->");
    assert!(c.out.is_ascii(), "{}", c.out);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fleet = Fleet::small();
    for args in [&["explain", "settings"][..], &["explain", "facts"], &["plan"], &["--help"], &["completions", "bash"], &["man"]] {
        let mut command = rmm(fleet.dir.path(), args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}: {err}");
        assert_eq!(err, "", "{args:?}");
    }
}

#[test]
fn automation_gets_shorter_hints() {
    let fleet = Fleet::small();
    fleet.rmm(&["plan", "nobody"]).code(3).complains("more: rmm explain RMM0310");
    let short = fleet.rmm_with(&[("RMM_IN_AUTOMATION", "1")], &["plan", "nobody"]).code(3);
    assert!(!short.err.contains("more:"), "{}", short.err);
}

#[test]
fn exit_codes_are_one_table() {
    insta::assert_snapshot!(Fleet::nothing().rmm(&["help", "exit-codes"]).code(0).out);
}

#[test]
fn completions_and_manual_pages_are_made_for_every_shell_and_command() {
    let fleet = Fleet::nothing();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        fleet.rmm(&["completions", shell]).code(0).says("uninstall");
    }
    fleet.rmm(&["completions", "csh"]).code(3);
    fleet.rmm(&["man"]).code(0).says(".TH rmm");
    fleet.rmm(&["man", "--dir", "pages"]).code(0);
    for name in COMMANDS {
        assert!(fleet.path(&format!("pages/rmm-{name}.1")).is_file(), "{name}");
    }
}
