//! Codes of problems: each that the source uses has a page, and each page has a code that is used.

use std::collections::BTreeMap;
use std::path::Path;

/// `RMM` and four digits, in string literals under `src/`, with a file that has it.
fn used() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let literal = regex_lite::Regex::new(r#""(RMM\d{4})""#).unwrap();
    let (mut found, mut folders) = (BTreeMap::new(), vec![src]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                for code in literal.captures_iter(&std::fs::read_to_string(&path).unwrap()) {
                    found.insert(code[1].to_owned(), path.display().to_string());
                }
            }
        }
    }
    found
}

#[test]
fn every_code_that_is_used_has_a_page_and_every_page_a_code_that_is_used() {
    let used = used();
    assert!(used.len() > 60, "only {} codes were found", used.len());
    let pages: Vec<&str> = rmm::diagnose::pages().iter().map(|p| p.code).collect();
    for (code, file) in &used {
        assert!(pages.contains(&code.as_str()), "{code} of {file} has no page in src/diagnose/codes");
    }
    for page in &pages {
        assert!(used.contains_key(*page), "nothing uses {page}: remove its page");
    }
}

#[test]
fn every_page_says_what_it_means_and_what_to_do() {
    for page in rmm::diagnose::pages() {
        assert!(page.text.starts_with("# ") && page.title.len() > 5, "{}: no title", page.code);
        let lines = page.text.lines().count();
        assert!((5..=60).contains(&lines), "{}: {lines} lines", page.code);
    }
}
