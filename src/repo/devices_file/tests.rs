use super::*;
use crate::repo::{LoadOptions, load};

fn device(name: &str) -> Device {
    Device { name: name.into(), address: Some("192.0.2.1".into()), ..Device::default() }
}

fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rmm.toml"), "").unwrap();
    std::fs::write(dir.path().join("devices.yaml"), "# mine\nhand: {}\n").unwrap();
    dir
}

fn set(dir: &tempfile::TempDir) -> PolicySet {
    let options = LoadOptions { root: dir.path().into(), env: None, environment: Vec::new(), now: chrono::DateTime::UNIX_EPOCH };
    let loaded = load(&options);
    assert_eq!(loaded.problems, Vec::new());
    loaded.set.unwrap()
}

#[test]
fn devices_are_added_edited_and_removed_in_the_products_own_file() {
    let dir = repository();
    let groups = BTreeSet::from(["Web".to_owned()]);
    write_fleet(dir.path(), &[device("b"), Device { groups: vec!["Web".into()], ..device("a") }], &groups, &BTreeSet::new()).unwrap();
    add_device(&set(&dir), &device("c")).unwrap();
    edit_device(&set(&dir), "c", |device| device.tags.push("no".into())).unwrap();
    remove_device(&set(&dir), "b").unwrap();
    let set = set(&dir);
    assert_eq!(set.devices.keys().collect::<Vec<_>>(), ["a", "c", "hand"]);
    assert_eq!((set.devices["a"].groups.as_slice(), set.devices["c"].tags.as_slice()), (&["Web".to_owned()][..], &["no".to_owned()][..]));
    let text = std::fs::read_to_string(dir.path().join(IMPORTED)).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema="));
}

#[test]
fn a_device_written_by_hand_is_left_alone_and_its_place_is_named() {
    let dir = repository();
    let set = set(&dir);
    for error in [remove_device(&set, "hand").unwrap_err(), edit_device(&set, "hand", |_| ()).unwrap_err()] {
        assert!(error.advice().unwrap().contains("devices.yaml:2"), "{error}");
    }
    assert_eq!(add_device(&set, &device("hand")).unwrap_err().code(), "RMM0204");
    assert_eq!(remove_device(&set, "hnad").unwrap_err().advice().unwrap(), "did you mean 'hand'?");
}

#[test]
fn texts_that_yaml_could_take_for_something_else_come_back_as_texts() {
    let dir = repository();
    let mut all = device("x");
    for text in [
        "no",
        "true",
        "~",
        "0x1F",
        "0o17",
        "017",
        "1.",
        ".5",
        "1e3",
        "<<",
        "*a",
        "- a",
        "a: b",
        "# c",
        "",
        " ",
        "é\u{85}\n\tx",
        "2026-12-31",
        "{{ x }}",
    ] {
        all.custom_fields.insert(format!("k{text}"), text.into());
        all.vars.insert(text.into(), text.into());
    }
    write_devices(dir.path(), std::slice::from_ref(&all)).unwrap();
    let read = set(&dir).devices["x"].as_ref().clone();
    assert_eq!((read.custom_fields, read.vars), (all.custom_fields, all.vars));
}

#[test]
fn a_damaged_file_is_not_overwritten() {
    let dir = repository();
    std::fs::create_dir(dir.path().join("devices")).unwrap();
    std::fs::write(dir.path().join(IMPORTED), "devices: {a: {prot: 1}}").unwrap();
    assert_eq!(write_devices(dir.path(), &[device("b")]).unwrap_err().code(), "RMM0209");
    assert_eq!(std::fs::read_to_string(dir.path().join(IMPORTED)).unwrap(), "devices: {a: {prot: 1}}");
}

#[test]
fn a_write_that_fails_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("devices"), "a file where the folder should be").unwrap();
    assert_eq!(write_devices(dir.path(), &[device("b")]).unwrap_err().code(), "RMM0207");
    // A folder in the place of the file makes the last step, the renaming, fail.
    let dir = repository();
    std::fs::create_dir(dir.path().join("devices")).unwrap();
    let target = dir.path().join(IMPORTED);
    std::fs::create_dir(&target).unwrap();
    assert!(replace(&target, b"x").is_err());
    assert_eq!(std::fs::read_dir(dir.path().join("devices")).unwrap().count(), 1);
}

#[test]
fn a_link_in_the_place_of_the_file_is_not_followed() {
    let dir = repository();
    let elsewhere = dir.path().join("elsewhere");
    std::fs::write(&elsewhere, "devices: {stranger: {}}\n").unwrap();
    std::fs::create_dir(dir.path().join("devices")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, dir.path().join(IMPORTED)).unwrap();
    let error = write_devices(dir.path(), &[device("a")]).unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("symbolic link")), ("RMM0207", true), "{error}");
    assert!(dir.path().join(IMPORTED).is_symlink());
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "devices: {stranger: {}}\n");
}
