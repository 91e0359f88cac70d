use std::io::Write as _;
use std::process::Stdio;

use super::{Fleet, rmm};

const FACTS: &str = r#"{"software": {"os": {"family": "linux", "id": "debian"}}, "hardware": {"memory": {"total_gb": 15.6}}}"#;

fn fleet() -> Fleet {
    let fleet = Fleet::small();
    fleet.write("samples/web.json", FACTS);
    fleet
}

fn eval(fleet: &Fleet, expression: &str) -> super::Ended {
    fleet.rmm(&["eval", "--device", "samples/web.json", expression])
}

#[test]
fn an_expression_gives_its_value() {
    let fleet = fleet();
    for (expression, value) in [
        ("facts.software.os.family == \"linux\"", "true\n"),
        ("facts.hardware.memory.total_gb < 8", "false\n"),
        ("facts.software.os.id", "debian\n"),
        ("facts.software.os", "family: linux\nid: debian\n"),
        ("facts.hardware", "memory:\n  total_gb: 15.6\n"),
        ("[1, 2].len() + 1", "3\n"),
        ("device.name", "web\n"),
    ] {
        assert_eq!(eval(&fleet, expression).code(0).out, value, "{expression}");
    }
    let json = fleet.rmm(&["eval", "--device", "samples/web.json", "facts.software.os.id", "--output", "json"]).code(0).json();
    assert_eq!((json["schema"].as_str(), json["value"].as_str()), (Some("rmm.value/1"), Some("debian")));
}

#[test]
fn what_is_not_known_is_named() {
    let fleet = fleet();
    assert_eq!(eval(&fleet, "facts.security.sshd.port == \"22\"").code(0).out, "unknown  facts.security.sshd.port has not been observed\n");
    let json = fleet.rmm(&["eval", "--device", "here", "facts.hardware.memory.total_gb > 1", "--output", "json"]).code(0).json();
    assert_eq!(json["unknown"], "facts.hardware.memory.total_gb has not been observed");
}

#[test]
fn a_mistake_is_pointed_at() {
    let fleet = fleet();
    eval(&fleet, "facts.software.os.family ==").code(3).complains("RMM0112").complains("facts.software.os.family ==").complains("^");
    eval(&fleet, "facts.software.os.id.nonsense()").code(3).complains("RMM0537");
    eval(&fleet, "{os: linx}").code(3).complains("did you mean 'linux'?");
    eval(&fleet, "{group: All Server}").code(3).complains("did you mean 'All Servers'?");
    fleet.rmm(&["eval", "--device", "her", "1"]).code(3).complains("did you mean 'here'?");
}

#[test]
fn a_selector_says_which_devices_and_why() {
    let fleet = fleet();
    fleet.write(
        "devices/web.yaml",
        "groups:\n  Web: {parent: All Servers}\ndevices:\n  web-1: {groups: [Web], os: linux}\n  desk-1: {os: windows}\n",
    );
    let said = fleet.rmm(&["eval", "All Servers"]).code(0).out;
    assert!(said.contains("web-1   yes      in group All Servers, the parent of Web, in group Web, which it names\n"), "{said}");
    assert!(said.contains("2 of 3 devices\n") && !said.contains("desk-1"), "{said}");
    fleet.rmm(&["eval", "{os: windows}"]).code(0).says("desk-1  yes").says("1 of 3 devices, 1 unknown");
    fleet.rmm(&["eval", "--device", "web-1", "{os: windows}"]).code(0).says("web-1   no");
    fleet.rmm(&["eval", "device.os == \"linux\""]).code(0).says("desk-1  false");
}

#[test]
fn a_file_of_facts_needs_no_repository() {
    let folder = Fleet::nothing();
    folder.write("x.json", FACTS);
    folder.rmm(&["eval", "--device", "x.json", "facts.software.os.family"]).code(0).says("linux");
    folder.rmm(&["eval", "--device", "x.json", "{os: linux}"]).code(0).says("yes");
    folder.rmm(&["eval", "1"]).code(4).complains("RMM0100");
    folder.write("bad.json", "[1");
    folder.rmm(&["eval", "--device", "bad.json", "1"]).code(1).complains("RMM0532");
}

#[test]
fn without_an_expression_lines_are_read_and_answered() {
    let fleet = fleet();
    let mut command = rmm(fleet.dir.path(), &["eval", "--device", "samples/web.json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"1 + 1\n\n1 +\nfacts.software.os.id\nquit\n3\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "2\ndebian\n");
    assert!(String::from_utf8(output.stderr).unwrap().contains("RMM0112"));
}

#[test]
fn a_fact_that_does_not_exist_is_refused_for_a_device_with_what_was_meant() {
    let fleet = fleet();
    let said = fleet.rmm(&["eval", "--device", "here", "facts.software.os.familly == \"linux\""]).code(3);
    assert!(said.err.contains("RMM0146") && said.err.contains("did you mean 'family'?"), "{}", said.err);
    // A file may hold what another version observes.
    fleet.write("samples/odd.json", r#"{"os": {"family": "linux"}}"#);
    assert_eq!(fleet.rmm(&["eval", "--device", "samples/odd.json", "facts.os.family == \"linux\""]).code(0).out, "true\n");
}
