use std::process::Command;

use super::Fleet;

const POLICY: &str = "Ssh:\n  targets: [All Servers]\n  remediate: true\n  settings:\n    SshdConfig:\n      PermitRootLogin: \"no\"\n      MaxAuthTries: 4\nClock: {targets: [All Servers], settings: {Timezone: UTC}}\n";
const TESTS: &str = "tests:\n  - name: Root is kept out\n    device: {hostname: x, os: linux, groups: [All Servers]}\n    facts: {security: {sshd: {permitrootlogin: \"yes\", maxauthtries: \"4\"}}}\n    expect:\n      changes: [{setting: SshdConfig.PermitRootLogin, from: \"yes\", to: \"no\"}]\n  - name: Guesses are limited\n    device: {hostname: x, os: linux, groups: [All Servers]}\n    facts: {security: {sshd: {permitrootlogin: \"no\", maxauthtries: \"6\"}}}\n    expect:\n      changes:\n        - {setting: SshdConfig.MaxAuthTries, from: \"5\"}\n";

fn fleet() -> Fleet {
    let fleet = Fleet::small();
    fleet.write("policies/ssh.yaml", POLICY);
    fleet.write("tests/ssh.yaml", TESTS);
    fleet
}

#[test]
fn a_failed_test_names_its_line_and_what_differs() {
    let fleet = fleet();
    let ended = fleet.rmm(&["test"]).code(5);
    assert_eq!(
        regex_lite::Regex::new(r"in \d\.\d\d s").unwrap().replace(&ended.out, "in TIME").into_owned(),
        "FAIL  tests/ssh.yaml:7  Guesses are limited\n      changes: SshdConfig.MaxAuthTries  tests/ssh.yaml:12\n      - from: 5\n      + from: 6\n\nTests: 1 passed, 1 failed, in TIME  (- expected, + what the plan says)\n"
    );
    assert!(!fleet.path(".rmm").exists(), "testing needs no database");
    fleet.rmm(&["test", "root", "-v"]).code(0).says("pass  tests/ssh.yaml:2  Root is kept out").says("Tests: 1 passed, in");
    fleet.rmm(&["test", "tests/ssh"]).code(5);
    fleet.rmm(&["test", "Root is kept ou!"]).code(3).complains("RMM0534").complains("did you mean 'Root is kept out'?");
}

#[test]
fn every_form_says_the_same() {
    let fleet = fleet();
    let json = fleet.rmm(&["test", "--output", "json"]).code(5).json();
    assert_eq!((json["schema"].as_str(), json["passed"].as_u64(), json["failed"].as_u64()), (Some("rmm.tests/1"), Some(1), Some(1)));
    assert_eq!(json["tests"][1]["differences"][0]["actual"][0], "from: 6");
    fleet
        .rmm(&["test", "--format", "github"])
        .code(5)
        .says("::error file=tests/ssh.yaml,line=12,col=11,title=RMM0530::Guesses are limited%0A");
    let args = ["test", "--report", "junit:out.xml", "--report", "markdown:out.md"];
    fleet.rmm(&args).code(5);
    let markdown = fleet.read("out.md");
    assert!(markdown.starts_with("<!-- rmm test -->\n") && markdown.contains("- from: 5\n+ from: 6\n"), "{markdown}");
    fleet.rmm(&["test", "--report", "junti:x"]).code(3).complains("did you mean 'junit'?");
    fleet.rmm(&["test", "--report", "junit:no/such/folder/x"]).code(1).complains("no/such/folder/x");
}

/// A parser that is not ours reads the file that CI systems read.
#[test]
fn the_junit_file_loads_in_a_real_parser() {
    let fleet = fleet();
    let odd = TESTS
        .replace("Guesses are limited", "Guesses < 5 & \\\"quoted\\\" ]]> \\u0007")
        .replace("name: Guesses", "name: \"Guesses")
        .replace("\\u0007", "\\u0007\"");
    fleet.write("tests/ssh.yaml", &odd);
    fleet.rmm(&["test", "--report", "junit:out.xml"]).code(5);
    let script = "import sys, xml.etree.ElementTree as e\nroot = e.parse('out.xml').getroot()\nassert root.tag == 'testsuites' and root.get('failures') == '1', root.attrib\ncases = root.findall('./testsuite/testcase')\nprint(len(cases), [c.get('name') for c in cases if c.find('failure') is not None], cases[1].find('failure').text.strip().splitlines()[-1])";
    let output = Command::new("python3").args(["-c", script]).current_dir(fleet.dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("2 ['Guesses < 5 & \"quoted\" ]]> \u{fffd}'] + from: 6"), "{said}");
}

#[test]
fn an_invalid_test_file_is_an_invalid_repository() {
    let fleet = fleet();
    fleet.write("tests/more.yaml", "tests:\n  - name: x\n    device: {hostname: y, grups: [All Servers]}\n    expect: {nothing: true}\n");
    fleet.rmm(&["test"]).code(4).complains("tests/more.yaml:3:27").complains("did you mean 'groups'?");
    fleet.rmm(&["validate"]).code(4).says("RMM0102").says("Not valid: 1 error");
    let json = fleet.rmm(&["validate", "--output", "json"]).code(4).json();
    assert_eq!(json["valid"], false);
    fleet.rmm(&["plan", "--refresh", "never"]).code(0);
}

#[test]
fn what_no_test_touches_is_listed_and_can_fail_the_command() {
    let fleet = fleet();
    fleet.write("tests/ssh.yaml", &TESTS.replace("from: \"5\"", "from: \"6\""));
    let ended = fleet.rmm(&["test", "--coverage"]).code(0).says("policies/ssh.yaml:8").says("Coverage: 50 %, 2 of 4");
    assert!(ended.out.contains("Clock  nothing of it\n") && ended.out.contains("Timezone\n"), "{}", ended.out);
    fleet.rmm(&["test", "--min-coverage", "50"]).code(0);
    fleet.rmm(&["test", "--min-coverage", "51"]).code(5).says("less than the 51 % asked for");
    let json = fleet.rmm(&["test", "--coverage", "--format", "json"]).code(0).json();
    assert_eq!(json["coverage"]["untouched"].as_array().unwrap().len(), 2);
}

#[test]
fn facts_of_a_test_come_from_the_repository_alone() {
    let fleet = fleet();
    let test = |from: &str| {
        format!(
            "- {{name: f, device: {{hostname: x, groups: [All Servers]}}, factsFrom: {from}, expect: {{changes: [SshdConfig.PermitRootLogin]}}}}\n"
        )
    };
    fleet.write("tests/samples/x.json", r#"{"software": {"os": {"family": "linux"}}, "security": {"sshd": {"permitrootlogin": "yes"}}}"#);
    fleet.write("tests/ssh.yaml", &test("tests/samples/x.json"));
    fleet.rmm(&["test"]).code(0);
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("x.json"), "{}").unwrap();
    std::os::unix::fs::symlink(outside.path(), fleet.path("linked")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("x.json"), fleet.path("tests/samples/y.json")).unwrap();
    let absolute = outside.path().join("x.json").display().to_string();
    for from in ["../x.json", &absolute, "linked/x.json", "tests/samples/y.json", ".rmm/x.json", "tests/samples/none.json"] {
        fleet.write("tests/ssh.yaml", &test(from));
        fleet.rmm(&["test"]).code(4).complains("RMM0532");
    }
}

#[test]
fn a_test_is_recorded_from_a_device_and_passes_at_once() {
    let fleet = fleet();
    fleet.rmm(&["test", "--record", "here"]).code(1).complains("RMM0311");
    fleet.rmm(&["collect"]).code(0);
    fleet.rmm(&["test", "--record", "heer"]).code(3).complains("did you mean 'here'?");
    let ended =
        fleet.rmm(&["test", "--record", "here", "--out", "tests/recorded/here.yaml"]).code(0).complains("read it before you commit it");
    let text = fleet.read("tests/recorded/here.yaml");
    assert!(text.starts_with("# yaml-language-server: $schema=../../schemas/tests.json\ntests:\n"), "{text}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert!(
        !text.contains(&format!(" {}", host.trim())) && !text.contains("machine_id") && !text.contains("packages"),
        "{text}\n{}",
        ended.err
    );
    fleet.rmm(&["test", "observed on"]).code(0).says("1 passed");
    fleet.rmm(&["test", "--record", "here", "--out", "tests/recorded/here.yaml"]).code(1).complains("exists already");
    // A second one gets a name of its own.
    fleet.rmm(&["test", "--record", "here", "--out", "tests/again.yaml"]).code(0);
    fleet.rmm(&["test", "observed on"]).code(0).says("2 passed");
}

#[test]
fn a_repository_without_tests_says_how_to_begin() {
    Fleet::small().rmm(&["test"]).code(0).says("There are no tests yet");
}

#[test]
fn a_link_beside_the_report_is_not_written_through() {
    let fleet = fleet();
    let victim = fleet.path("victim");
    std::fs::write(&victim, "mine\n").unwrap();
    std::os::unix::fs::symlink(&victim, fleet.path("tests.xml.tmp")).unwrap();
    std::os::unix::fs::symlink(&victim, fleet.path("tests.xml")).unwrap();
    fleet.rmm(&["test", "--report", "junit:tests.xml"]).code(5);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine\n");
    assert!(fleet.read("tests.xml").starts_with("<?xml"));
}

#[test]
fn nothing_in_a_test_becomes_a_command_of_a_build_log() {
    let fleet = fleet();
    fleet.write(
        "tests/evil.yaml",
        "- name: \"a\\n::error::b\\e[2J ##[error]c @team\"\n  device: {hostname: x, os: linux, groups: [All Servers]}\n  expect: {changes: [{setting: Timezone, from: \"x\\n::error::y\"}]}\n",
    );
    for format in ["human", "markdown"] {
        let ended = fleet.rmm(&["test", "a\n::error", "--format", format]).code(5);
        let bad = |line: &str| line.trim_start().starts_with("::") || line.contains("##[") || line.contains('\u{1b}');
        assert!(!ended.out.lines().any(bad), "{}", ended.out);
    }
    fleet.write("tests/evil.yaml", "- name: b\n  device: \"a\\n::set-output name=x::y\\e[2J\"\n  expect: {nothing: true}\n");
    let ended = fleet.rmm(&["test"]).code(4);
    assert!(!ended.err.lines().any(|line| line.trim_start().starts_with("::") || line.contains('\u{1b}')), "{}", ended.err);
}
