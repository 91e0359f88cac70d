use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    parse(&"a.yaml".into(), text)
}

fn value(text: &str) -> Value {
    let (node, problems) = read(text);
    assert_eq!(problems, Vec::new(), "{text}");
    node.unwrap().to_json()
}

/// Code, line and column of each problem.
fn problems(text: &str) -> Vec<(String, u32, u32)> {
    read(text).1.into_iter().map(|p| (p.code, p.place.as_ref().unwrap().line, p.place.unwrap().column)).collect()
}

#[test]
fn scalars_follow_the_core_schema_of_yaml_1_2() {
    for (text, expected) in [
        ("no", json!("no")),
        ("yes", json!("yes")),
        ("on", json!("on")),
        ("true", json!(true)),
        ("FALSE", json!(false)),
        ("~", json!(null)),
        ("null", json!(null)),
        ("0x1F", json!(31)),
        ("0o17", json!(15)),
        ("017", json!(17)),
        ("-12", json!(-12)),
        ("+3", json!(3)),
        ("1e3", json!(1000.0)),
        (".5", json!(0.5)),
        ("1.", json!(1.0)),
        ("18446744073709551615", json!(u64::MAX)),
        ("1_000", json!("1_000")),
        ("12:30:45", json!("12:30:45")),
        ("2026-12-31", json!("2026-12-31")),
        ("1.2.3", json!("1.2.3")),
        ("e3", json!("e3")),
        (".", json!(".")),
        ("-", json!([null])),
        ("0x", json!("0x")),
        ("'true'", json!("true")),
        ("\"12\"", json!("12")),
        ("!!str 12", json!("12")),
        ("!!int 12", json!(12)),
        ("", json!(null)),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn numbers_that_no_number_can_hold_are_errors() {
    assert_eq!(problems("a: 99999999999999999999999"), [("RMM0101".into(), 1, 4)]);
    assert_eq!(problems("a: .inf"), [("RMM0101".into(), 1, 4)]);
    assert_eq!(problems("a: 1e999"), [("RMM0101".into(), 1, 4)]);
}

#[test]
fn json_is_read_as_it_stands() {
    assert_eq!(value("{\"a\": [1, true, null, \"x\\n\\u00e9\"],\n \"b\": {}}"), json!({"a": [1, true, null, "x\né"], "b": {}}));
}

#[test]
fn every_key_and_value_has_its_place_in_characters() {
    let (node, _) = read("é: {ü: [x, yy]}\nb:\n  c: 'd'\n");
    let node = node.unwrap();
    let list = node.get("é").unwrap().get("ü").unwrap();
    assert_eq!(list.items()[1].spot, Spot { line: 1, column: 12, length: 2 });
    assert_eq!(node.get("b").unwrap().entry("c").unwrap().spot, Spot { line: 3, column: 3, length: 1 });
    assert_eq!(node.get("b").unwrap().get("c").unwrap().spot, Spot { line: 3, column: 6, length: 3 });
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_accepted() {
    assert_eq!(value("\u{feff}a: 1\r\nb: x\r\n"), json!({"a": 1, "b": "x"}));
}

#[test]
fn a_syntax_error_names_line_and_column() {
    assert_eq!(problems("a: 1\nb: [1, 2\nc: 3\n")[0].0, "RMM0101");
    assert_eq!(problems("a: 1\nb: \"x\n")[0].1, 2);
    assert_eq!(problems("a: 1\nb: {c: 1]\n")[0], ("RMM0101".into(), 2, 9));
}

#[test]
fn a_key_that_stands_twice_names_both_places() {
    let (_, problems) = read("a: 1\nb: 2\na: 3\n");
    assert_eq!(problems[0].code, "RMM0104");
    assert_eq!((problems[0].place.as_ref().unwrap().line, problems[0].related[0].0.line), (3, 1));
}

#[test]
fn a_key_that_stands_twice_is_found_in_large_maps_too() {
    let mut text = String::new();
    for i in 0..100 {
        writeln!(text, "k{i}: 1").unwrap();
    }
    text.push_str("k7: 2\n");
    let (_, problems) = read(&text);
    assert_eq!((problems.len(), problems[0].place.as_ref().unwrap().line, problems[0].related[0].0.line), (1, 101, 8));
}

#[test]
fn anchors_aliases_and_merge_keys_work() {
    let text = "base: &base {a: 1, b: 2}\nmore: &more {b: 5, c: 6}\none: {<<: *base, b: 3}\ntwo: {<<: [*base, *more]}\nthree: *base\n";
    let read = value(text);
    assert_eq!(read["one"], json!({"b": 3, "a": 1}));
    assert_eq!(read["two"], json!({"a": 1, "b": 2, "c": 6}));
    assert_eq!(read["three"], json!({"a": 1, "b": 2}));
}

#[test]
fn a_quoted_merge_key_is_an_ordinary_key() {
    assert_eq!(value("'<<': 1"), json!({"<<": 1}));
}

#[test]
fn a_merge_of_something_else_than_maps_is_an_error() {
    assert_eq!(problems("a: {<<: 5}"), [("RMM0101".into(), 1, 5)]);
}

#[test]
fn an_alias_inside_its_own_value_is_an_error() {
    assert_eq!(problems("a: &a [*a]")[0].0, "RMM0101");
    assert_eq!(problems("a: *nowhere")[0].0, "RMM0101");
}

#[test]
fn a_bomb_of_aliases_ends_with_a_clear_error() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..30 {
        let list = vec![format!("*a{}", i - 1); 10].join(", ");
        writeln!(text, "a{i}: &a{i} [{list}]").unwrap();
    }
    let (node, problems) = read(&text);
    assert!(node.is_none());
    assert_eq!(problems[0].code, "RMM0105");
}

#[test]
fn a_bomb_of_merge_keys_ends_too() {
    let mut text = String::from("a: &a\n");
    for i in 0..2000 {
        writeln!(text, "  k{i}: 1").unwrap();
    }
    for i in 0..2000 {
        writeln!(text, "m{i}: {{<<: *a}}").unwrap();
    }
    assert_eq!(problems(&text)[0].0, "RMM0105");
}

#[test]
fn deep_nesting_is_refused() {
    assert_eq!(problems(&"[".repeat(100_000))[0].0, "RMM0105");
    let block = (0..100).fold(String::new(), |block, i| block + &*" ".repeat(i) + "a:\n");
    assert_eq!(problems(&block)[0].0, "RMM0105");
    assert!(problems(&format!("{}{}", "[".repeat(60), "]".repeat(60))).is_empty());
}

#[test]
fn what_has_no_meaning_here_is_refused() {
    for text in ["a: !exec x", "? [a]\n: b", "a: 1\n---\nb: 2", "a: !!binary x"] {
        assert_eq!(problems(text)[0].0, "RMM0101", "{text}");
    }
}

proptest! {
    #[test]
    fn no_input_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn no_mixture_of_yaml_signs_makes_the_reader_panic(text in "[a-c:\\[\\]{}&*<!?|>'\"#,\n\t 0-9.~%@`-]{0,120}") {
        let _ = read(&text);
    }

    #[test]
    fn what_json_writes_yaml_reads(map in proptest::collection::btree_map("[ -~]{1,20}", "[ -~\u{e9}\n\t]{0,30}", 0..8)) {
        let json = serde_json::to_string(&map).unwrap();
        prop_assert_eq!(value(&json), serde_json::to_value(&map).unwrap());
    }
}
