//! The architecture, checked: a room under `src/` uses only its own floor and the floors below, and no circle exists.
//!
//! `docs/architecture.md` says why. Unit tests inside `src/` keep to the same rule. What is wrong is reported with the
//! file and line of each import that has to go.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use imports::{Import, Target};

/// How the rooms of one floor may use each other.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// In any way that makes no circle.
    NoCircle,
    /// Only from left to right: each is built on those after it.
    InOrder,
}

struct Floor {
    name: &'static str,
    rooms: &'static [&'static str],
    within: Within,
}

/// From the top down.
const FLOORS: [Floor; 6] = [
    Floor { name: "faces", rooms: &["cli", "server", "console", "relay"], within: Within::NoCircle },
    Floor { name: "loop", rooms: &["reconcile"], within: Within::NoCircle },
    Floor { name: "work", rooms: &["apply", "workflow", "alert", "report", "collect", "sync"], within: Within::NoCircle },
    Floor { name: "hands", rooms: &["transport", "store", "access", "notify"], within: Within::NoCircle },
    Floor { name: "mind", rooms: &["plan", "repo", "catalog", "script"], within: Within::InOrder },
    // `diagnose` speaks of a `model::Place`, and the nouns of `model` hold spans, windows and schedules of `time`.
    Floor { name: "ground", rooms: &["diagnose", "model", "time"], within: Within::NoCircle },
];

/// Floor (0 is the top) and position on it.
fn position(room: &str) -> Option<(usize, usize)> {
    FLOORS.iter().enumerate().find_map(|(floor, f)| f.rooms.iter().position(|r| *r == room).map(|place| (floor, place)))
}

/// One use of a room by another.
struct Use {
    from: String,
    to: String,
    at: String,
}

/// Everything that is wrong with these files, as lines for a person. A file is (path below `src/`, text).
fn violations(files: &[(String, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut uses = Vec::new();
    for (path, text) in files {
        let module = imports::module_of(path);
        let Some(from) = module.first().cloned() else { continue };
        for Import { target, line } in imports::read(&module, text) {
            let at = format!("src/{path}:{line}");
            match target {
                Target::Room(to) if to == from => {}
                Target::Room(to) if position(&to).is_some() => uses.push(Use { from: from.clone(), to, at }),
                Target::Room(to) => wrong.push(format!("{at}: '{to}' is not a room of any floor; write the path through its room")),
                Target::Root => wrong.push(format!("{at}: names the crate itself, so that the room is not seen; write crate::ROOM")),
            }
        }
    }
    for Use { from, to, at } in &uses {
        let (Some((from_floor, from_place)), Some((to_floor, to_place))) = (position(from), position(to)) else { continue };
        if to_floor < from_floor {
            let (own, other) = (FLOORS[from_floor].name, FLOORS[to_floor].name);
            wrong.push(format!("{at}: {from}/ ({own}) uses {to}/ ({other}), a floor above it"));
        } else if to_floor == from_floor && FLOORS[from_floor].within == Within::InOrder && to_place < from_place {
            wrong.push(format!("{at}: {from}/ uses {to}/, which is built on it; the order is {}", FLOORS[from_floor].rooms.join(" > ")));
        }
    }
    wrong.extend(circles(&uses));
    wrong
}

/// Every circle between rooms, each told once with the imports that make it.
fn circles(uses: &[Use]) -> Vec<String> {
    let mut graph: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for Use { from, to, at } in uses {
        graph.entry(from).or_default().entry(to).or_default().push(at);
    }
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for &start in graph.keys() {
        let Some(circle) = way_back(&graph, start) else { continue };
        if !told.insert(circle.iter().copied().collect::<BTreeSet<_>>()) {
            continue;
        }
        let mut text = format!("a circle: {}", circle.iter().chain([&start]).copied().collect::<Vec<_>>().join(" -> "));
        for (from, to) in circle.iter().zip(circle.iter().skip(1).chain([&start])) {
            let _ = write!(text, "\n    {from} -> {to}: {}", graph[from][to].join(", "));
        }
        found.push(text);
    }
    found
}

/// The shortest way from a room back to itself, beginning with it.
fn way_back<'a>(graph: &BTreeMap<&'a str, BTreeMap<&'a str, Vec<&'a str>>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = std::collections::VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for &next in graph.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back(way.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file below `src/`.
fn files() -> Vec<(String, String)> {
    let (root, mut files, mut folders) = (source(), Vec::new(), vec![source()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Every folder (and stray file) directly below `src/` that ought to be a room.
fn rooms() -> Vec<String> {
    let names = std::fs::read_dir(source()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut rooms: Vec<String> = names.filter(|name| !["lib.rs", "main.rs"].contains(&name.as_str())).collect();
    rooms.sort();
    rooms
}

#[test]
fn no_import_climbs_a_floor_or_makes_a_circle() {
    let files = files();
    assert!(files.len() > 20, "only {} files were read: is this the right folder?", files.len());
    let wrong = violations(&files);
    assert!(wrong.is_empty(), "the floors of docs/architecture.md are not kept:\n{}", wrong.join("\n"));
}

#[test]
fn every_folder_in_src_has_a_floor() {
    for room in rooms() {
        assert!(position(&room).is_some(), "src/{room} has no floor: give it one in tests/it/floors.rs and docs/architecture.md");
    }
}

#[test]
fn the_architecture_page_names_every_folder_in_src() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).unwrap();
    for room in rooms() {
        assert!(page.contains(&format!("{room}/")), "docs/architecture.md does not name src/{room}/");
    }
}

fn made_up(files: &[(&str, &str)]) -> Vec<String> {
    violations(&files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect::<Vec<_>>())
}

#[test]
fn an_import_that_climbs_is_found_however_it_is_written() {
    for text in [
        "use crate::cli::Exit;",
        "use crate::{model::Plan, cli};",
        "use crate::{\n    model::{self, Plan},\n    cli::{Exit},\n};",
        "fn f() { crate::cli::main(); }",
        "fn f() -> crate :: cli :: Exit { todo() }",
        "use super::super::cli;",
        "use super::{diff, super::cli::Exit};",
        "use self::super::super::cli;",
        "mod inner { use super::super::super::cli; }",
        "mod inner { fn f() { if true { } } mod deep { use super::super::super::super::cli; } }",
        "macro_rules! m { () => { $crate::cli::main() } }",
        "pub(in crate::cli) fn f() {}",
        "/* a /* nested */ comment */ const C: char = '\"'; use crate::cli; const D: &str = \"\";",
        "fn f<'a>(a: &'a str) { let _ = r#\"crate::model\"#; crate::cli::main() }",
    ] {
        let wrong = made_up(&[("plan/limits.rs", text)]);
        assert_eq!(wrong.len(), 1, "{text}\n{wrong:?}");
        assert!(wrong[0].contains("plan/ (mind) uses cli/ (faces)"), "{text}\n{wrong:?}");
    }
}

#[test]
fn what_is_not_an_import_is_left_alone() {
    let text = "//! See crate::cli::main.\n/// [`crate::cli`]\npub(crate) fn f() { let _ = \"crate::cli\"; let _ = r##\"crate::cli \"# \"##; }\n\
        /* use crate::cli; */ use super::diff::Diff; use super::super::model::Plan; mod tests { use super::*; }";
    assert_eq!(made_up(&[("plan/limits.rs", text)]), Vec::<String>::new());
}

#[test]
fn the_line_of_the_import_is_told() {
    let wrong = made_up(&[("store/mod.rs", "//! Store.\n\nuse crate::{\n    model::Plan,\n    apply::Journal,\n};\n")]);
    assert_eq!(wrong, ["src/store/mod.rs:5: store/ (hands) uses apply/ (work), a floor above it"]);
}

#[test]
fn the_mind_keeps_its_order() {
    assert_eq!(
        made_up(&[("plan/mod.rs", "use crate::repo::PolicySet;"), ("repo/mod.rs", "use crate::{catalog, script};")]),
        Vec::<String>::new()
    );
    let wrong = made_up(&[("script/mod.rs", "use crate::catalog::Catalog;")]);
    assert!(wrong[0].contains("script/ uses catalog/, which is built on it"), "{wrong:?}");
}

#[test]
fn a_circle_on_one_floor_is_told_once_with_its_imports() {
    let wrong = made_up(&[
        ("apply/run.rs", "use crate::collect::Collector;"),
        ("collect/mod.rs", "\nuse crate::alert::Alert;"),
        ("alert/mod.rs", "use crate::apply::Run;"),
    ]);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].starts_with("a circle: alert -> apply -> collect -> alert"), "{}", wrong[0]);
    assert!(wrong[0].contains("collect -> alert: src/collect/mod.rs:2"), "{}", wrong[0]);
}

#[test]
fn hiding_the_room_behind_the_crate_is_refused() {
    for text in ["use crate as root;", "use crate::*;", "use super::super as root;", "use super::super::*;", "use crate::{self as root};"] {
        let wrong = made_up(&[("plan/limits.rs", text)]);
        assert!(wrong.len() == 1 && wrong[0].contains("names the crate itself"), "{text}: {wrong:?}");
    }
    assert!(made_up(&[("plan/mod.rs", "use crate::helpers::f;")])[0].contains("'helpers' is not a room"));
}
