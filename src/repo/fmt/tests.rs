use std::sync::Arc;

use proptest::prelude::*;

use super::{FormatError, format};

fn formatted(path: &str, text: &str) -> String {
    let path: Arc<str> = path.into();
    let once = format(&path, text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
    assert_eq!(format(&path, &once).unwrap(), once, "the second time changes it");
    once
}

#[test]
fn members_stand_in_the_order_of_the_types_and_take_their_comments_along() {
    let text = "\
# Head of the file.

# About A.
A:   # the first
    # It reports.
    remediate: false
    settings:
        # first things first
        Sysctl: {net.ipv4.ip_forward: 0,
           kernel.kptr_restrict: 2}
        Files: {}
        # nothing else
    targets: [ {tag: x,  os: linux}, All ]   # whom
    description: 'What it is for.'
    exceptions:
    - reason: no time   # really
      device: web-1
    # end of A
B:
    targets: \"*\"
    settings: {Timezone: UTC}
";
    let expected = "\
# Head of the file.

# About A.
A: # the first
  description: \"What it is for.\"
  targets: [{tag: x, os: linux}, All] # whom
  settings:
    # first things first
    Sysctl: {net.ipv4.ip_forward: 0, kernel.kptr_restrict: 2}
    Files: {}
    # nothing else
  # It reports.
  remediate: false
  exceptions:
    - device: web-1
      reason: no time # really
  # end of A

B:
  targets: \"*\"
  settings: {Timezone: UTC}
";
    assert_eq!(formatted("policies/a.yaml", text), expected);
}

#[test]
fn a_layout_that_stood_in_the_way_of_the_order_does_so_once() {
    for text in [
        "A:\n# x\n  setting[s: {}\n  description: \"a  b\n\n   c\"\nting[  targets: '*'\n",
        "A:\n  target  s:\n  # one\n  - a\n  # two\n  -   # three\n    b\n  settings: # two\n  -   #  {}\n",
    ] {
        let once = format(&"policies/a.yaml".into(), text).unwrap();
        assert_eq!(format(&"policies/a.yaml".into(), &once).unwrap(), once);
    }
}

#[test]
fn sections_and_definitions_keep_their_order_and_short_ones_may_stand_together() {
    let text = "devices:\n  web-2: {site: Berlin, address: 192.0.2.2}\n  web-1: {address: 192.0.2.1}\n  db-1:\n    tags: [a]\n    os: linux\n  db-2: {}\ngroups:\n  Web: {}\n";
    let expected = "devices:\n  web-2: {address: 192.0.2.2, site: Berlin}\n  web-1: {address: 192.0.2.1}\n\n  db-1:\n    os: linux\n    tags: [a]\n\n  db-2: {}\n\ngroups:\n  Web: {}\n";
    assert_eq!(formatted("devices.yaml", text), expected);
}

#[test]
fn a_list_of_devices_begins_each_with_its_name() {
    let text = "devices:\n- address: 192.0.2.1\n  name: web-1\n  Site: Berlin\n";
    assert_eq!(formatted("devices.yaml", text), "devices:\n  - name: web-1\n    address: 192.0.2.1\n    Site: Berlin\n");
}

#[test]
fn texts_of_several_lines_anchors_merges_and_marks_are_kept() {
    let text = "---\nA: &a\n    settings:\n        Files:\n            /a:\n                content: |\n                    # no comment\n                      deep\n\n                    end\n            /b: {content: \"x\\ty\"}\n    targets: [x]\nB:\n    remediate: true\n    <<: *a\n...\n";
    let expected = "---\nA: &a\n  targets: [x]\n  settings:\n    Files:\n      /a:\n        content: |\n          # no comment\n            deep\n\n          end\n      /b: {content: \"x\\ty\"}\n\nB:\n  <<: *a\n  remediate: true\n...\n";
    assert_eq!(formatted("policies/a.yaml", text), expected);
}

#[test]
fn where_the_order_matters_it_stays() {
    let text = "A:\n  targets: &t [x]\n  description: d\n  exclude: *t\n";
    assert_eq!(formatted("policies/a.yaml", text), text);
    let text = "A:\n  targets: [x]\n  description: |+\n    d\n\n  remediate: true\n";
    assert_eq!(formatted("policies/a.yaml", text), text);
}

#[test]
fn a_list_that_its_author_broke_stays_broken_and_a_long_one_whole() {
    let text = "A:\n  targets: [\n    x,   y\n    ]\n  exclude: [a,\n   b]\n  settings: {}\n";
    let expected = "A:\n  targets: [\n    x,\n    y\n    ]\n  exclude: [a, b]\n  settings: {}\n";
    assert_eq!(formatted("policies/a.yaml", text), expected);
    let long = format!("A:\n  targets: [{}]\n", ["a long name"; 40].join(", "));
    assert_eq!(formatted("policies/a.yaml", &long), long);
}

#[test]
fn line_breaks_of_windows_and_the_mark_of_byte_order_go() {
    assert_eq!(formatted("devices.yaml", "\u{feff}devices:\r\n  a: {}   \r\n\r\n\r\n"), "devices:\n  a: {}\n");
    assert_eq!(formatted("devices.yaml", ""), "");
    assert_eq!(formatted("devices.yaml", "\n\n# only this\n"), "# only this\n");
}

#[test]
fn what_is_no_yaml_is_refused_with_its_places() {
    let error = format(&"policies/a.yaml".into(), "A:\n  targets: [x\n").unwrap_err();
    assert!(matches!(&error, FormatError::Invalid { problems, .. } if problems[0].code == "RMM0101"), "{error:?}");
    let twice = format(&"policies/a.yaml".into(), "A: {targets: [x], targets: [y]}\n").unwrap_err();
    assert_eq!(twice.problems()[0].code, "RMM0104");
}

#[test]
fn the_shipped_policies_are_in_canonical_form() {
    for (name, text) in crate::repo::builtin_packs() {
        assert_eq!(formatted(&format!("policies/{name}.yaml"), &text), text, "{name}");
    }
}

/// Texts that have caused trouble in other writers of YAML.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("plain".to_owned()),
        Just("'it''s'".to_owned()),
        Just("'a \\d+ \"b\"'".to_owned()),
        Just("\"x\\n # y\"".to_owned()),
        Just("\"\"".to_owned()),
        Just("''".to_owned()),
        Just("~".to_owned()),
        Just(String::new()),
        Just("0x1F".to_owned()),
        Just("1.50".to_owned()),
        Just("a:b#c".to_owned()),
        Just("'yes'".to_owned()),
        Just("[a, {b: c},   'd']".to_owned()),
        Just("{ a : b, 'c' : [1,2] , d: }".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        "[a-zA-Z][a-z ]{0,200}[a-z]",
        "\"[a-z\u{e4}\u{4e00} ]{0,20}\"",
    ]
}

#[derive(Debug, Clone)]
enum Doc {
    Scalar(String),
    Text(&'static str, Vec<String>),
    List(Vec<(Vec<String>, Doc, Option<String>)>),
    Map(Vec<(Vec<String>, String, Doc, Option<String>)>),
}

fn comments() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        5 => Just(Vec::new()),
        2 => prop::collection::vec(prop_oneof!["#[ a-z:{}-]{0,12}", Just(String::new())], 1..3),
    ]
}

fn beside() -> impl Strategy<Value = Option<String>> {
    prop_oneof![4 => Just(None), 1 => "# [a-z:'\"-]{0,12}".prop_map(Some)]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => prop::sample::select(vec![
            "description", "targets", "exclude", "settings", "remediate", "severity", "Priority", "exceptions", "device", "reason",
            "os", "tag", "where", "cis", "nist", "references", "Sysctl", "address", "connection", "user", "port",
        ])
        .prop_map(str::to_owned),
        1 => "'[a-z]{1,6}'",
        1 => "\"[a-z \u{e4}]{1,6}\"",
        1 => "[A-Z][a-z.-]{0,8}[a-z]",
    ]
}

fn doc() -> impl Strategy<Value = Doc> {
    let text = (prop::sample::select(vec!["|", "|-", "|+", ">", ">-", "|2"]), prop::collection::vec("[a-z#:] ?[a-z#: ]{0,10}[a-z]", 1..4));
    let leaf = prop_oneof![4 => scalar().prop_map(Doc::Scalar), 1 => text.prop_map(|(style, lines)| Doc::Text(style, lines))];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            3 => prop::collection::vec((comments(), key(), inner.clone(), beside()), 1..6).prop_map(Doc::Map),
            1 => prop::collection::vec((comments(), inner, beside()), 1..4).prop_map(Doc::List),
        ]
    })
}

/// Writes a document as an untidy person would.
fn write(doc: &Doc, indent: usize, step: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let lines = |comments: &[String], out: &mut String| {
        for comment in comments {
            if comment.is_empty() { out.push('\n') } else { *out += &format!("{pad}{comment}\n") }
        }
    };
    let end = |beside: &Option<String>| beside.as_ref().map(|c| format!("   {c}")).unwrap_or_default();
    let inner = |doc: &Doc, beside: &Option<String>, out: &mut String| match doc {
        Doc::Scalar(text) => *out += &format!(" {text}{}\n", end(beside)),
        Doc::Text(style, text) => {
            *out += &format!(" {style}\n");
            let pad = " ".repeat(indent + if style.ends_with('2') { 2 } else { step });
            for line in text {
                *out += &format!("{pad}{line}\n");
            }
        }
        nested => {
            *out += &format!("{}\n", end(beside));
            write(nested, indent + step, step, out);
        }
    };
    match doc {
        Doc::Map(entries) => {
            let mut seen = std::collections::BTreeSet::new();
            for (comments, key, value, beside) in entries {
                if seen.insert(key.trim_matches(['"', '\'']).to_owned()) {
                    lines(comments, out);
                    *out += &format!("{pad}{key}:");
                    inner(value, beside, out);
                }
            }
        }
        Doc::List(items) => {
            for (comments, value, beside) in items {
                lines(comments, out);
                *out += &format!("{pad}-");
                inner(value, beside, out);
            }
        }
        other => inner(other, &None, out),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn meaning_and_comments_are_kept_and_the_second_time_changes_nothing(
        body in prop::collection::vec((comments(), key(), doc(), beside()), 1..5).prop_map(Doc::Map),
        step in 1..5_usize,
        path in prop::sample::select(vec!["policies/a.yaml", "devices.yaml", "thresholds/a.yaml"]),
    ) {
        let mut text = String::new();
        write(&body, 0, step, &mut text);
        let path: Arc<str> = path.into();
        match format(&path, &text) {
            // The generator writes what the reader may refuse; that is said as such.
            Err(FormatError::Invalid { .. }) => {}
            // A text that says how deep it stands, or keeps the line breaks at its end, may be left as it is.
            Err(FormatError::Unsafe { .. }) if text.contains(" |2") || text.contains(" |+") => {}
            Err(error) => prop_assert!(false, "{error}:\n{text}"),
            Ok(once) => {
                prop_assert_eq!(format(&path, &once).unwrap(), once.clone(), "not settled, from:\n{}", text);
                let old = crate::repo::yaml::parse(&path, &text).0.unwrap().to_json();
                prop_assert_eq!(crate::repo::yaml::parse(&path, &once).0.unwrap().to_json(), old);
                let count = |text: &str| super::same::comments(&yaml_parser::parse(text).unwrap());
                prop_assert_eq!(count(&once), count(&text));
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(cut in 0..2000_usize, at in 0..2000_usize, put in "[\\[\\]{}:#&*!|>'\"%@`, \n\t-]{1,4}") {
        // A shipped policy with something put into it and its end cut off.
        let text = crate::repo::builtin_packs().into_values().next().unwrap();
        let mut text: String = text.chars().take(2000).collect();
        let place = |n: usize, text: &str| (0..=n.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap();
        text.truncate(place(cut, &text));
        text.insert_str(place(at, &text), &put);
        let path: Arc<str> = "policies/a.yaml".into();
        if let Ok(once) = format(&path, &text) {
            prop_assert_eq!(format(&path, &once).unwrap(), once);
        }
    }
}

#[test]
fn every_kind_of_file_has_its_order_of_members() {
    for (path, text, expected) in [
        (
            "thresholds/a.yaml",
            "thresholds:\n  CPU:\n    critical: 95\n    overrides:\n      - {critical: 98, targets: [DB]}\n    warning: 80\n",
            "thresholds:\n  CPU:\n    warning: 80\n    critical: 95\n    overrides:\n      - {targets: [DB], critical: 98}\n",
        ),
        (
            "workflows/a.yaml",
            "W:\n  steps:\n    - action: Reboot\n      # who\n      name: A\n      approval: {within: 1h, role: Admin}\n  trigger: Manual\n",
            "W:\n  trigger: Manual\n  steps:\n    - # who\n      name: A\n      action: Reboot\n      approval: {role: Admin, within: 1h}\n",
        ),
        (
            "notifications.yaml",
            "rules:\n  A:\n    channels: [x]\n    condition: {type: CPU, severity: High}\nbusinessHours:\n  hours: 08:00-18:00\n  days: [Mon]\n",
            "rules:\n  A:\n    condition: {severity: High, type: CPU}\n    channels: [x]\n\nbusinessHours:\n  days: [Mon]\n  hours: 08:00-18:00\n",
        ),
        (
            "tests/a.yaml",
            "tests:\n  - expect:\n      changes: [{to: UTC, setting: Timezone}]\n    device: {os: linux, hostname: a}\n    name: A\n",
            "tests:\n  - name: A\n    device: {hostname: a, os: linux}\n    expect:\n      changes: [{setting: Timezone, to: UTC}]\n",
        ),
    ] {
        assert_eq!(formatted(path, text), expected, "{path}");
    }
}
