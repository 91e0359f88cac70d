//! Repositories with mistakes: code, line and column of each.

mod channels;
mod config;
mod duties;
mod fleet;
mod kinds;
mod monitors;
mod policies;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::catalog::Catalog;

const SITE_OK: (&str, &str) = ("rmm.toml", "[general]\norganization = \"Example\"\n");

/// A script that declares a setting whose value is of this type.
fn script(name: &str, keyed: bool, kind: &str) -> (Arc<str>, String) {
    let keyed = if keyed { "//! keyed: {name: name}\n//! probe: files\n" } else { "" };
    let observe = if keyed.is_empty() { "software.x" } else { "files" };
    let head = format!(
        "//! setting: {name}\n//! summary: A setting.\n//! platforms: [linux]\n{keyed}//! value: {{type: {kind}}}\n//! observe: {observe}\n"
    );
    let arguments = if keyed.is_empty() { "device, desired" } else { "device, key, desired" };
    (format!("scripts/{name}.rhai").into(), format!("{head}\nfn apply({arguments}) {{}}\n"))
}

fn catalog() -> Arc<Catalog> {
    static CATALOG: std::sync::LazyLock<Arc<Catalog>> = std::sync::LazyLock::new(|| {
        let scripts = [
            script("Timezone", false, "string"),
            script("PasswordMinLength", false, "integer"),
            script("Services", true, "object"),
            script("Files", true, "object"),
            script("WindowsFirewall", false, "string"),
            script("BitLocker", false, "string"),
            script("ScreenLockTimeout", false, "integer"),
        ];
        let (catalog, problems) = Catalog::with_scripts(&scripts);
        assert_eq!(problems, Vec::new());
        Arc::new(catalog)
    });
    Arc::clone(&CATALOG)
}

fn options() -> LoadOptions {
    LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: "2026-11-21T12:00:00Z".parse().unwrap() }
}

fn load_with(files: &[(&str, &str)], options: &LoadOptions) -> Loaded {
    let mut all: Vec<(Arc<str>, String)> = files.iter().map(|(path, text)| (Arc::from(*path), (*text).to_owned())).collect();
    if !files.iter().any(|(path, _)| *path == "rmm.toml") {
        all.push((SITE_OK.0.into(), SITE_OK.1.to_owned()));
    }
    let packs = BTreeMap::from([(
        "linux-baseline".to_owned(),
        "policies:\n  Baseline:\n    targets: \"*\"\n    settings: {Timezone: UTC}\n".to_owned(),
    )]);
    compile(all, options, World { commit: None, catalog: Some(catalog()), packs })
}

fn read(files: &[(&str, &str)]) -> Loaded {
    load_with(files, &options())
}

/// The set of files without a mistake.
fn good(files: &[(&str, &str)]) -> PolicySet {
    let loaded = read(files);
    assert_eq!(loaded.problems, Vec::new());
    loaded.set.unwrap()
}

/// `code file:line:column` of each problem.
fn spots(loaded: &Loaded) -> Vec<String> {
    loaded
        .problems
        .iter()
        .map(|p| match &p.place {
            Some(place) => format!("{} {}:{}:{}", p.code, place.file, place.line, place.column),
            None => p.code.clone(),
        })
        .collect()
}

/// The only problem of these files: its spot, its message and its advice.
fn one(files: &[(&str, &str)]) -> (String, String, String) {
    let loaded = read(files);
    let spots = spots(&loaded);
    assert_eq!(spots.len(), 1, "{:#?}", loaded.problems);
    let problem = &loaded.problems[0];
    (spots[0].clone(), problem.message.clone(), problem.advice.clone().unwrap_or_default())
}

#[test]
fn every_schema_of_this_room_compiles() {
    for kind in [
        &*decode::DEVICE,
        &decode::GROUP,
        &decode::SITE,
        &decode::POLICY,
        &decode::CONFIG,
        &decode::THRESHOLD,
        &decode::OVERRIDE,
        &decode::WORKFLOW,
        &decode::STEP,
        &decode::TRIGGER,
        &decode::RULE,
        &decode::CONDITION,
        &decode::ESCALATION,
        &decode::TIER,
        &decode::ROTA,
        &decode::HOURS,
    ] {
        assert!(kind.keys().count() > 0);
        assert!(kind.compiled());
    }
}

#[test]
fn the_fixtures_load_unchanged() {
    let seed = include_str!("fixtures/seed.json");
    let sites = include_str!("fixtures/sites.json");
    let devices = "groups: {All Workstations: {}, Production Servers: {}}\n";
    let set = good(&[("policies/seed.json", seed), ("sites.json", sites), ("devices.yaml", devices)]);
    assert_eq!(set.sites["Headquarters"].site_id.as_deref(), Some("site-alpha"));
    assert_eq!(set.sites["Remote Office"].sync_interval, Some(300));
    let window = &set.policies[0];
    assert_eq!((&*window.name, window.guards.len(), window.settings.len()), ("MaintenanceWindow", 2, 0));
    assert_eq!(window.active.unwrap().to_string(), "06:00-22:00 (America/New_York)");
    assert_eq!(set.policies[1].settings.len(), 4);
    assert_eq!(set.policies[1].settings[0].place.to_string(), "policies/seed.json:6");
}

#[test]
fn a_thousand_policy_files_load() {
    let files: Vec<(Arc<str>, String)> = (0..1000)
        .map(|i| {
            let text = format!("P{i}:\n  targets: [All]\n  settings:\n    Timezone: UTC\n    Services:\n      s{i}: {{state: running}}\n");
            (format!("policies/p{i}.yaml").into(), text)
        })
        .chain([("rmm.toml".into(), String::new()), ("devices.yaml".into(), "groups: {All: }\n".into())])
        .collect();
    let loaded = compile(files, &options(), World { commit: None, catalog: Some(catalog()), packs: BTreeMap::new() });
    assert_eq!(loaded.problems, Vec::new());
    let set = loaded.set.unwrap();
    assert_eq!((set.policies.len(), set.files), (1000, 1002));
}

#[test]
fn the_hash_follows_the_text_and_the_overrides() {
    let first = good(&[("devices.yaml", "a:\n")]);
    assert_eq!(first.hash, good(&[("devices.yaml", "a:\n")]).hash);
    assert_ne!(first.hash, good(&[("devices.yaml", "a: \n")]).hash);
    let mut options = options();
    options.environment = vec![("RMM_GENERAL__ORGANIZATION".into(), "X".into())];
    assert_ne!(first.hash, load_with(&[("devices.yaml", "a:\n")], &options).set.unwrap().hash);
}

#[test]
fn every_kind_of_file_is_read_for_its_syntax_first() {
    assert_eq!(one(&[("thresholds/a.yaml", "CPU: {warning: 1, warning: 2}")]).0, "RMM0104 thresholds/a.yaml:1:19");
}

#[test]
fn a_directory_is_read_from_disk_and_a_huge_file_is_refused_unread() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| std::fs::write(dir.path().join(path), text).unwrap();
    for folder in ["devices", "policies", "policies/deep"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    write("rmm.toml", "");
    write("devices/a.yaml", "ws-1: {address: 192.0.2.1}\n");
    write("policies/deep/p.yaml", "P: {targets: \"*\", settings: {AllowReboots: false}}\n");
    write("policies/README.md", "# not a policy");
    let options = LoadOptions { root: dir.path().into(), ..options() };
    let loaded = load(&options);
    assert_eq!(loaded.problems, Vec::new());
    assert_eq!(loaded.set.unwrap().files, 3);
    assert_eq!(find_root(&dir.path().join("policies")).unwrap(), dir.path());
    std::fs::File::create(dir.path().join("policies/big.yaml")).unwrap().set_len(100 * 1024 * 1024).unwrap();
    std::fs::write(dir.path().join("devices/b.yaml"), b"x: 1\ny: \xff\n").unwrap();
    let loaded = load(&options);
    assert!(loaded.set.is_none());
    assert_eq!(spots(&loaded), ["RMM0106 devices/b.yaml:2:4", "RMM0105 policies/big.yaml:0:0"]);
}

#[test]
fn a_symbolic_link_is_never_read_and_a_linked_folder_is_reported() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("secret");
    std::fs::write(&target, "hunter2: [\n").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let link = |to: &std::path::Path, path: &str| std::os::unix::fs::symlink(to, dir.path().join(path)).unwrap();
    std::fs::create_dir(dir.path().join("policies")).unwrap();
    link(&target, "rmm.toml");
    link(&target, "policies/x.yaml");
    link(outside.path(), "policies/shared");
    link(outside.path(), "unrelated");
    let loaded = load(&LoadOptions { root: dir.path().into(), ..options() });
    assert!(loaded.set.is_none());
    let mut seen: Vec<_> = loaded.problems.iter().map(|p| format!("{} {}", p.place.as_ref().unwrap().file, p.message)).collect();
    seen.sort();
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[0], "policies/shared is not read: it is a symbolic link to a folder; only files of the repository itself are read");
    for (text, file) in seen[1..].iter().zip(["policies/x.yaml", "rmm.toml"]) {
        assert_eq!(text, &format!("{file} cannot be read: it is a symbolic link; only files of the repository itself are read"));
    }
    assert!(!format!("{:?}", loaded.problems).contains("hunter2"));
}

#[test]
fn a_folder_outside_every_repository_is_an_error_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let error = find_root(dir.path()).unwrap_err();
    assert!(crate::diagnose::Diagnose::advice(&error).unwrap().contains("rmm init"));
}

#[test]
fn the_commit_of_a_repository_says_whether_it_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let done = std::process::Command::new("git").arg("-C").arg(dir.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    std::fs::write(dir.path().join("rmm.toml"), "").unwrap();
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", "commit", "-qm", "x"]);
    let options = LoadOptions { root: dir.path().into(), ..options() };
    let clean = load(&options).set.unwrap().commit.unwrap();
    assert!(!clean.contains("dirty"));
    std::fs::write(dir.path().join("devices.yaml"), "a:\n").unwrap();
    assert_eq!(load(&options).set.unwrap().commit.unwrap(), format!("{clean}-dirty"));
}

#[test]
fn every_pack_that_ships_is_valid_with_the_settings_that_ship() {
    let packs = builtin_packs();
    assert!(packs.contains_key("linux-baseline"));
    for name in packs.keys() {
        let files = vec![("rmm.toml".into(), String::new()), ("policies/p.yaml".into(), format!("import: [{name}]\n"))];
        let loaded = compile(files, &options(), World::default());
        assert_eq!(loaded.problems, Vec::new(), "{name}");
        assert!(!loaded.set.unwrap().policies.is_empty());
    }
}

#[test]
fn the_schemas_for_editors_take_what_the_reader_takes() {
    let devices = jsonschema::validator_for(&schema(Kind::Devices, &catalog())).unwrap();
    let policies = jsonschema::validator_for(&schema(Kind::Policies, &catalog())).unwrap();
    let config = jsonschema::validator_for(&schema(Kind::Config, &catalog())).unwrap();
    assert!(devices.is_valid(&json!({"devices": {"a": {"os": "linux"}, "b": null}, "groups": {"g": {"parent": "h"}}})));
    assert!(devices.is_valid(&json!({"a": {"address": "192.0.2.1", "connection": {"port": 22}}})));
    assert!(!devices.is_valid(&json!({"devices": {"a": {"adress": "192.0.2.1"}}})));
    let policy = |settings: serde_json::Value| json!({"policies": {"P": {"targets": "*", "settings": settings}}});
    assert!(policies.is_valid(&policy(json!({"Timezone": "UTC", "Files": {"/a": {"content": "x"}}, "AllowReboots": false}))));
    assert!(!policies.is_valid(&policy(json!({"Timezon": "UTC"}))));
    assert!(!policies.is_valid(&policy(json!({"PasswordMinLength": "x"}))));
    assert!(policies.is_valid(&json!({"import": ["linux-baseline"], "P": {"targets": [{"os": "linux"}]}})));
    assert!(config.is_valid(&json!({"general": {"organization": "x"}})));
}
