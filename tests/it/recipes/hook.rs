//! The hook for `git commit`, installed in a real repository, and the entries for the pre-commit framework.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::origin::{Origin, Variables, project, recipe, said};

fn install(origin: &Origin, dir: &Path) {
    std::fs::create_dir_all(dir.join(".git/hooks")).unwrap();
    std::fs::copy(project().join("examples/ci/pre-commit"), dir.join(".git/hooks/pre-commit")).unwrap();
    origin.git(dir, &["config", "commit.gpgsign", "false"]);
}

fn commit(origin: &Origin, dir: &Path) -> Output {
    origin.command("git", dir).args(["commit", "-q", "-m", "try"]).output().unwrap()
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "no {from:?} in {text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn the_hook_refuses_a_broken_policy_and_accepts_a_good_one() {
    let origin = Origin::new();
    let work = origin.path("work");
    install(&origin, &work);
    let policy = work.join("policies/a.yaml");
    let good = std::fs::read_to_string(&policy).unwrap();
    let head = || origin.git(&work, &["rev-parse", "HEAD"]);
    let first = head();
    for (file, from, to, told) in [
        ("policies/a.yaml", "targets:", "tragets:", "RMM0102"),
        ("policies/a.yaml", "    targets:", "    targets:  ", "would change"),
        ("tests/a.yaml", "changes:", "reports:", "A server without the notice"),
    ] {
        let before = std::fs::read_to_string(work.join(file)).unwrap();
        replace(&work.join(file), from, to);
        origin.git(&work, &["add", "-A"]);
        let refused = commit(&origin, &work);
        assert!(!refused.status.success(), "{to} was committed");
        assert!(said(&refused).contains(told), "{}", said(&refused));
        assert_eq!(head(), first);
        std::fs::write(work.join(file), before).unwrap();
    }
    replace(&policy, "0640", "0600");
    origin.git(&work, &["add", "-A"]);
    let accepted = commit(&origin, &work);
    assert!(accepted.status.success(), "{}", said(&accepted));
    assert_ne!(head(), first);
    assert_eq!(origin.git(&work, &["status", "--porcelain"]), "");
    assert_ne!(std::fs::read_to_string(&policy).unwrap(), good);
}

#[test]
fn the_hook_judges_what_would_be_committed_and_not_the_working_tree() {
    let origin = Origin::new();
    let work = origin.path("work");
    install(&origin, &work);
    let policy = work.join("policies/a.yaml");
    // Staged broken, mended only in the working tree.
    replace(&policy, "targets:", "tragets:");
    origin.git(&work, &["add", "-A"]);
    replace(&policy, "tragets:", "targets:");
    assert!(!commit(&origin, &work).status.success());
    // Staged good, broken only in the working tree.
    replace(&policy, "0640", "0600");
    origin.git(&work, &["add", "-A"]);
    replace(&policy, "targets:", "tragets:");
    let accepted = commit(&origin, &work);
    assert!(accepted.status.success(), "{}", said(&accepted));
}

#[test]
fn the_hook_finds_a_policy_repository_in_a_folder() {
    let origin = Origin::new();
    let work = origin.path("home/mono repo");
    std::fs::create_dir_all(work.join("fleet")).unwrap();
    for file in ["rmm.toml", "devices.yaml", "policies/a.yaml"] {
        std::fs::create_dir_all(work.join("fleet/policies")).unwrap();
        std::fs::copy(origin.path("work").join(file), work.join("fleet").join(file)).unwrap();
    }
    origin.git(&work, &["init", "-q"]);
    install(&origin, &work);
    origin.git(&work, &["config", "rmm.folder", "fleet"]);
    origin.git(&work, &["add", "-A"]);
    let accepted = commit(&origin, &work);
    assert!(accepted.status.success(), "{}", said(&accepted));
    replace(&work.join("fleet/policies/a.yaml"), "targets:", "tragets:");
    origin.git(&work, &["add", "-A"]);
    assert!(!commit(&origin, &work).status.success());
}

#[test]
fn each_entry_for_the_framework_fails_for_what_it_is_there_for() {
    let config: Value = serde_yaml::from_str(&recipe("pre-commit-config.yaml")).unwrap();
    let hooks = config["repos"][0]["hooks"].as_array().unwrap();
    assert_eq!(config["repos"][0]["repo"], "local");
    assert_eq!(hooks.len(), 3);
    let origin = Origin::new();
    for (id, file, from, to) in [
        ("rmm-fmt", "policies/a.yaml", "    targets:", "    targets:  "),
        ("rmm-validate", "policies/a.yaml", "targets:", "tragets:"),
        ("rmm-test", "tests/a.yaml", "changes:", "reports:"),
    ] {
        let hook = hooks.iter().find(|hook| hook["id"] == id).unwrap();
        assert_eq!((hook["language"].as_str(), hook["pass_filenames"].as_bool()), (Some("system"), Some(false)));
        let run = || origin.script(&origin.path("work"), hook["entry"].as_str().unwrap(), &Variables::new());
        assert!(run().status.success(), "{id}: {}", said(&run()));
        let path = origin.path("work").join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        replace(&path, from, to);
        assert!(!run().status.success(), "{id} found nothing");
        std::fs::write(&path, before).unwrap();
    }
}
