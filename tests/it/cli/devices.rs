use super::Fleet;

#[test]
fn a_device_is_added_changed_shown_and_removed() {
    let fleet = Fleet::small();
    fleet
        .rmm(&[
            "devices",
            "add",
            "web-9",
            "--address",
            "192.0.2.9",
            "--group",
            "All Servers",
            "--user",
            "admin",
            "--elevate",
            "--custom",
            "owner=kim",
        ])
        .code(0)
        .says("Next: rmm collect web-9");
    fleet.rmm(&["devices", "edit", "web-9", "--tag", "pilot"]).code(0);
    insta::assert_snapshot!(fleet.rmm(&["devices", "show", "web-9"]).code(0).out);
    fleet.rmm(&["devices", "add", "web-9"]).code(4).complains("exists already");
    fleet.rmm(&["devices", "edit", "web-9"]).code(3).complains("nothing to change");
    fleet.rmm(&["devices", "edit", "web-9", "--custom", "owner"]).code(3).complains("NAME=VALUE");
    fleet.rmm(&["devices", "remove", "web-9"]).code(6).complains("--yes");
    fleet.rmm(&["devices", "remove", "web-9", "--yes"]).code(0);
    fleet.rmm(&["devices", "show", "web-9"]).code(3).complains("RMM0310");
}

#[test]
fn a_device_that_would_make_the_repository_invalid_is_not_added() {
    let fleet = Fleet::small();
    fleet.rmm(&["devices", "add", "web-9", "--group", "Webb"]).code(3).complains("--create-missing");
    fleet.rmm(&["devices", "add", "web-9", "--group", "All Serves"]).code(3).complains("did you mean 'All Servers'?");
    fleet.rmm(&["devices", "add", "web-9", "--site", "Berlin"]).code(3).complains("there is no site 'Berlin'");
    fleet.rmm(&["validate"]).code(0);
    fleet.rmm(&["devices", "add", "web-9", "--group", "Web", "--site", "Berlin", "--create-missing"]).code(0);
    let before = fleet.read("devices/imported.yaml");
    fleet.rmm(&["devices", "edit", "web-9", "--group", "Nobody"]).code(3);
    // A policy that needs the device keeps it.
    fleet.write(
        "policies/e.yaml",
        "E:\n  targets: [Web]\n  settings: {AllowReboots: false}\n  exceptions:\n    - {device: web-9, setting: AllowReboots, until: 2999-01-01, reason: x, approvedBy: kim}\n",
    );
    if fleet.rmm(&["devices", "remove", "web-9", "--yes"]).code == 4 {
        assert_eq!(fleet.read("devices/imported.yaml"), before);
    }
}

#[test]
fn the_first_site_of_a_repository_brings_the_default_site_along() {
    let fleet = Fleet::small();
    fleet.write("in.csv", "name,site\nweb-1,Berlin\n");
    fleet.rmm(&["devices", "import", "in.csv", "--create-missing", "--yes"]).code(0);
    fleet.rmm(&["devices", "sites"]).code(0).says("Berlin").says("Main");
}

#[test]
fn devices_written_by_hand_are_left_to_their_authors() {
    let fleet = Fleet::small();
    fleet.rmm(&["devices", "edit", "here", "--tag", "x"]).code(4).complains("devices.yaml:4");
    fleet.rmm(&["devices", "edit", "hree", "--tag", "x"]).code(3).complains("did you mean 'here'?");
}

#[test]
fn a_csv_file_is_previewed_imported_whole_and_comes_out_again() {
    let fleet = Fleet::small();
    fleet.write("in.csv", "name,address,groups,site,tags\nweb-1,192.0.2.1,Web,Berlin,a;b\nweb-2,192.0.2.2,Web,Berlin,\n");
    fleet.rmm(&["devices", "import", "in.csv", "--dry-run"]).code(4).complains("there is no group 'Web'").complains("--create-missing");
    fleet.rmm(&["devices", "import", "in.csv", "--dry-run", "--create-missing"]).code(0).says("web-2").complains("nothing was written");
    assert!(!fleet.path("devices/imported.yaml").exists());
    fleet.rmm(&["devices", "import", "in.csv", "--create-missing"]).code(6).complains("import 2 devices").complains("--yes");
    fleet.rmm(&["devices", "import", "in.csv", "--create-missing", "--yes"]).code(0).complains("Imported 2 devices");
    for more in [&["--yes"][..], &["--yes", "--create-missing"], &["--dry-run"]] {
        let twice = fleet.rmm(&[&["devices", "import", "in.csv"], more].concat()).code(4).complains("'web-1' exists already").err;
        // One error per device, whatever else is the matter with it.
        assert_eq!(twice.matches("error[").count(), 2, "{twice}");
    }
    fleet.rmm(&["devices", "import", "missing.csv"]).code(1).complains("missing.csv");
    let out = fleet.rmm(&["devices", "export", "site=Berlin"]).code(0).out;
    assert_eq!(out.lines().count(), 3, "{out}");
    fleet.rmm(&["devices", "sites"]).code(0).says("Berlin");
    insta::assert_snapshot!(fleet.rmm(&["devices", "groups"]).code(0).out);
}

#[test]
fn an_empty_list_says_so() {
    let fleet = Fleet::nothing();
    fleet.write("rmm.toml", "");
    fleet.rmm(&["devices", "list"]).code(0).says("(none)");
    fleet.rmm(&["plan"]).code(0);
    fleet.rmm(&["status"]).code(0).says("0 devices");
}
