use super::*;
use crate::repo::{LoadOptions, World, compile};

fn set() -> PolicySet {
    let files = [
        ("rmm.toml", ""),
        ("devices.yaml", "groups: {Servers: {}}\ndevices: {web-1: {groups: [Servers]}}\n"),
        ("policies/p.yaml", "Ssh: {targets: [Servers], settings: {Timezone: UTC}}\n"),
    ];
    let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    compile(files, &LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now }, World::default()).set.unwrap()
}

fn read(text: &str) -> Tests {
    let sample = |path: &str| {
        match path {
        "samples/web.json" => Ok(r#"{"schema": "rmm.facts/1", "device": "web-1", "path": "", "facts": {"software": {"os": {"family": "linux", "id": "debian"}}}}"#.to_owned()),
        "samples/list.json" => Ok("[1]".to_owned()),
        other => Err(format!("no {other}")),
    }
    };
    compile_tests(vec![("tests/t.yaml".into(), text.to_owned())], &sample, &set())
}

/// `line:column code message` of everything that is wrong.
fn problems(text: &str) -> Vec<String> {
    let place = |p: &Diagnostic| p.place.as_ref().map_or(String::new(), |place| format!("{}:{}", place.line, place.column));
    read(text).problems.iter().map(|p| format!("{} {} {}", place(p), p.code, p.message)).collect()
}

#[test]
fn mistakes_are_found_at_their_line_and_column() {
    for (text, expected) in [
        ("tests:\n  - name: a\n    device: web-1\n    expct: {}\n", "4:5 RMM0102 unknown key 'expct'"),
        ("tests:\n  - name: a\n    device: web-11\n    expect: {nothing: true}\n", "3:13 RMM0108 there is no device 'web-11'"),
        ("- name: a\n  device: {hostname: x, groups: [Server]}\n  expect: {nothing: true}\n", "2:34 RMM0108 there is no group 'Server'"),
        ("- name: a\n  device: {hostname: x, oss: linux}\n  expect: {nothing: true}\n", "2:25 RMM0102 unknown key 'oss'"),
        ("- name: a\n  device: web-1\n  expect: {changes: [{setting: Timezon}]}\n", "3:32 RMM0109 there is no setting 'Timezon'"),
        ("- name: a\n  device: web-1\n  expect: {changes: [{setting: Timezone, frm: x}]}\n", "3:42 RMM0102 unknown key 'frm'"),
        (
            "- name: a\n  device: web-1\n  expect: {held: [{setting: Timezone, by: Nobody}]}\n",
            "3:43 RMM0108 there is no policy 'Nobody' that could hold a change",
        ),
        ("- name: a\n  device: web-1\n  expect: {}\n", "3:11 RMM0531 the test 'a' expects nothing, so it cannot fail"),
        ("- name: a\n  device: web-1\n  at: noon\n  expect: {nothing: true}\n", "3:7 RMM0103 expected a moment, found text 'noon'"),
        (
            "- name: a\n  device: web-1\n  factsFrom: samples/no.json\n  expect: {nothing: true}\n",
            "3:14 RMM0532 the facts 'samples/no.json' cannot be used: no samples/no.json",
        ),
        (
            "- name: a\n  device: web-1\n  facts: {securty: {x: 1}}\n  expect: {nothing: true}\n",
            "3:11 RMM0533 no collector gives the section 'securty', so no device has it",
        ),
        ("tets: []\n", "1:1 RMM0102 unknown key 'tets'"),
    ] {
        assert_eq!(problems(text).first().map(String::as_str), Some(expected), "{text}\n{:#?}", problems(text));
    }
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    let twice = "- {name: a, device: web-1, expect: {nothing: true}}\n- {name: a, device: web-1, expect: {nothing: true}}\n";
    assert_eq!(problems(twice), ["2:10 RMM0107 the test 'a' is declared twice"]);
}

#[test]
fn facts_of_the_test_are_laid_over_those_of_the_file() {
    let tests = read(
        "- name: a\n  device: web-1\n  factsFrom: samples/web.json\n  facts: {software: {os: {id: fedora}}, security: {sshd: null}}\n  expect: {nothing: true}\n",
    );
    assert!(tests.problems.is_empty(), "{:#?}", tests.problems);
    let facts = &tests.tests[0].facts;
    assert_eq!(facts.value("software.os.family"), Some(&"linux".into()));
    assert_eq!(facts.value("software.os.id"), Some(&"fedora".into()));
    assert!(matches!(facts.lookup("security.sshd", None), crate::model::facts::Lookup::Failed(_)));
}

#[test]
fn a_test_is_made_at_the_same_moment_whenever_it_runs() {
    let tests = read(
        "- {name: a, device: web-1, expect: {nothing: true}}\n- {name: b, device: web-1, at: \"2026-11-10T12:00:00-05:00\", expect: {nothing: true}}\n",
    );
    assert_eq!(tests.tests[0].at.to_rfc3339(), "2026-01-01T12:00:00+00:00");
    assert_eq!(tests.tests[1].at.to_rfc3339(), "2026-11-10T17:00:00+00:00");
}
