//! The good repository of `tests/it/good/`: files of every kind, without a mistake. What is wrong with a copy of it is read from
//! memory by the same loader that `rmm validate` uses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmm::diagnose::Diagnostic;
use rmm::repo::{LoadOptions, World, compile, compile_tests};

/// A file by its path within the repository.
pub(crate) type Files = Vec<(Arc<str>, String)>;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/good")
}

/// All files, sorted by path.
pub(crate) fn files() -> Files {
    let (mut files, mut folders) = (Files::new(), vec![folder()]);
    while let Some(current) = folders.pop() {
        for entry in std::fs::read_dir(current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let within = path.strip_prefix(folder()).unwrap().to_str().unwrap().into();
                files.push((within, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Everything that is wrong, policy tests included.
pub(crate) fn problems(files: Files) -> Vec<Diagnostic> {
    let options = LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: "2026-11-21T12:00:00Z".parse().unwrap() };
    let samples: Files = { files.iter() }.filter(|(path, _)| path.starts_with("tests/samples/")).cloned().collect();
    let tests: Files = { files.iter() }.filter(|(path, _)| path.starts_with("tests/") && path.ends_with(".yaml")).cloned().collect();
    let loaded = compile(files, &options, World::default());
    let mut problems = loaded.problems;
    if let Some(set) = &loaded.set {
        let sample = |wanted: &str| {
            let found = samples.iter().find(|(path, _)| **path == *wanted);
            found.map(|(_, text)| text.clone()).ok_or_else(|| "there is no such file".to_owned())
        };
        problems.extend(compile_tests(tests, &sample, set).problems);
    }
    problems
}

/// Also in a repository that declares nothing: `rmm init` writes them into a new one.
#[test]
fn the_workflows_that_ship_load_and_wait_for_a_person() {
    let text = include_str!("../../workflows/maintenance.yaml");
    let file = |path: &str, text: &str| (path.into(), text.to_owned());
    let alone = vec![file("rmm.toml", ""), file("workflows/maintenance.yaml", text)];
    assert_eq!(problems(alone), Vec::new());
    let mut files = files();
    files.push(file("workflows/maintenance.yaml", text));
    assert_eq!(problems(files.clone()), Vec::new());
    let options = LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: "2026-11-21T12:00:00Z".parse().unwrap() };
    let set = compile(files, &options, World::default()).set.unwrap();
    for name in ["WeeklyMaintenance", "SecurityUpdates", "PerformanceOptimisation"] {
        assert_eq!(set.workflows[name].triggers, [rmm::model::Trigger::Manual], "{name}");
    }
}

#[test]
fn the_monitors_that_ship_load() {
    let mut files = files();
    files.push(("monitors/linux.yaml".into(), include_str!("../../monitors/linux.yaml").to_owned()));
    assert_eq!(problems(files), Vec::new());
}
