//! The book keeps up with the project: every page is listed and every link leads somewhere, every crate has a reason.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = project().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every Markdown file of the book, relative to `docs/`.
fn pages() -> BTreeSet<PathBuf> {
    let docs = project().join("docs");
    let (mut pages, mut folders) = (BTreeSet::new(), vec![docs.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == docs.join("book") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.insert(path.strip_prefix(&docs).unwrap().to_owned());
            }
        }
    }
    pages
}

/// The targets of the Markdown links of a text that are files: `](TARGET)` without a scheme, without the fragment.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

#[test]
fn every_page_of_the_book_is_listed() {
    let summary = read("docs/SUMMARY.md");
    // The page without figures is not part of the book.
    let unlisted = |page: &&PathBuf| !["SUMMARY.md", "performance.md"].iter().any(|p| page.as_path() == Path::new(p));
    let listed: BTreeSet<&str> = links(&summary).into_iter().collect();
    for page in pages().iter().filter(unlisted) {
        assert!(listed.contains(page.to_str().unwrap()), "docs/SUMMARY.md does not list {}", page.display());
    }
}

#[test]
fn every_link_between_files_leads_somewhere() {
    let docs = pages().into_iter().map(|page| Path::new("docs").join(page));
    for page in docs.chain([PathBuf::from("README.md"), PathBuf::from("CHANGELOG.md")]) {
        let folder = project().join(page.parent().unwrap());
        for link in links(&read(&page)) {
            assert!(folder.join(link).exists(), "{}: there is no {link}", page.display());
        }
    }
}

#[test]
fn every_dependency_has_its_reason_in_the_decisions() {
    let (manifest, page) = (read("Cargo.toml"), read("docs/decisions/0004-dependencies.md"));
    let mut section = "";
    let mut crates = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if ["[dependencies]", "[dev-dependencies]"].contains(&section)
            && let Some((name, _)) = line.split_once(" =")
        {
            crates += 1;
            let named = page.split(|c: char| !(c.is_alphanumeric() || "-_".contains(c))).any(|word| word == name);
            assert!(named, "docs/decisions/0004-dependencies.md does not say why {name} is used");
        }
    }
    assert!(crates > 20, "only {crates} dependencies were read");
}

/// The blocks of code in a language, each with its line.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<(usize, &'a str)> {
    let fence = format!("```{language}\n");
    let block = |(at, _)| -> Option<(usize, &'a str)> {
        let (before, rest) = page.split_at(at + fence.len());
        Some((before.matches('\n').count() + 1, &rest[..rest.find("```")?]))
    };
    page.match_indices(&fence).filter_map(block).collect()
}

#[test]
fn the_examples_of_the_reference_load() {
    for (page, replaced, path) in [
        ("thresholds", "thresholds/load.yaml", "thresholds/example.yaml"),
        ("monitors", "monitors/reach.yaml", "monitors/example.yaml"),
        ("workflows", "workflows/patch.yaml", "workflows/example.yaml"),
        ("actions", "workflows/patch.yaml", "workflows/example.yaml"),
        ("notifications", "notifications.yaml", "notifications.yaml"),
    ] {
        let text = read(format!("docs/reference/{page}.md"));
        let examples = blocks(&text, "yaml");
        assert!(!examples.is_empty(), "{page}");
        for (line, example) in examples {
            let mut files = super::good::files();
            files.retain(|(known, _)| **known != *replaced);
            files.push((path.into(), example.to_owned()));
            files.extend(blocks(&text, "rhai").into_iter().map(|(_, script)| ("scripts/example.rhai".into(), script.to_owned())));
            assert_eq!(super::good::problems(files), Vec::new(), "docs/reference/{page}.md:{line}");
        }
    }
}

#[test]
fn the_reference_names_every_action_and_metric() {
    let (actions, metrics) = (read("docs/reference/actions.md"), read("docs/reference/thresholds.md"));
    for name in rmm::catalog::Catalog::builtin().actions.keys() {
        assert!(actions.contains(&format!("`{name}`")), "docs/reference/actions.md does not name {name}");
    }
    for metric in rmm::model::threshold::METRICS {
        assert!(metrics.contains(&format!("| `{}` | {} |", metric.name, metric.unit)), "docs/reference/thresholds.md: {}", metric.name);
    }
}

#[test]
fn every_setting_has_its_line_with_what_it_is_without_one_and_when_a_change_takes_effect() {
    fn keys(value: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    keys(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
                }
            }
            _ => drop(found.insert(path.replace("channels", "channels.NAME"))),
        }
    }
    let mut known = BTreeSet::new();
    keys(&serde_json::to_value(rmm::model::Config::default()).unwrap(), "", &mut known);
    let page = read("docs/reference/configuration.md");
    let told: Vec<Vec<&str>> = { page.lines() }.filter(|l| l.starts_with("| `")).map(|l| l.split(" | ").collect()).collect();
    let names: BTreeSet<String> = { told.iter() }.map(|row| row[0].trim_matches(['|', ' ', '`']).to_owned()).collect();
    assert_eq!(names, known);
    for row in &told {
        assert!(row.len() == 4 && ["at once |", "next start |"].contains(&row[3]), "{row:?}");
    }
}
