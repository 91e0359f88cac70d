use super::{Fleet, rmm};

#[test]
fn a_new_repository_is_explained_valid_and_names_schemas_that_exist() {
    let fleet = Fleet::nothing();
    let made = fleet.rmm(&["init", "fleet", "--site", "Berlin"]).code(0).complains("Next: cd fleet && rmm plan");
    let lines: Vec<&str> = made.err.lines().filter(|l| l.starts_with('+')).collect();
    assert_eq!(lines.len(), 12, "{}", made.err);
    assert!(lines.iter().all(|l| l.split("  ").count() > 1), "{}", made.err);
    let root = fleet.path("fleet");
    super::ended(rmm(&root, &["validate"])).code(0).says("Valid: 7 files, 1 device");
    super::ended(rmm(&root, &["test"])).code(0).says("Tests: 4 passed");
    for file in [
        "policies/linux-baseline.yaml",
        "policies/windows-baseline.yaml",
        "policies/windows-server-baseline.yaml",
        "tests/windows-baseline.yaml",
        "monitors/linux.yaml",
        "workflows/maintenance.yaml",
        "devices/imported.yaml",
        "tests/linux-baseline.yaml",
    ] {
        let text = fleet.read(&format!("fleet/{file}"));
        let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
        let schema = root.join(file).parent().unwrap().join(named);
        let schema: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
        let document: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        jsonschema::validator_for(&schema).unwrap().validate(&document).unwrap();
    }
    let settings = fleet.read("fleet/rmm.toml");
    assert!(settings.starts_with("#:schema ./schemas/config.json\n"));
    let schema: serde_json::Value = serde_json::from_str(&fleet.read("fleet/schemas/config.json")).unwrap();
    let document: serde_json::Value = toml::from_str(&settings).unwrap();
    jsonschema::validator_for(&schema).unwrap().validate(&document).unwrap();
    assert!(fleet.read("fleet/.gitignore").contains(".rmm/"));
    super::ended(rmm(&root, &["devices", "list", "--output", "csv"])).code(0).says(",online,").says(",Berlin,");
}

#[test]
fn what_exists_is_left_as_it_is() {
    let fleet = Fleet::small();
    let before = (fleet.read("rmm.toml"), fleet.read("devices.yaml"), fleet.read("policies/a.yaml"));
    fleet.rmm(&["init"]).code(0);
    assert_eq!((fleet.read("rmm.toml"), fleet.read("devices.yaml"), fleet.read("policies/a.yaml")), before);
    assert!(!fleet.path("policies/linux-baseline.yaml").exists());
    let again = fleet.rmm(&["init"]).code(0);
    assert!(!again.err.contains('+'), "{}", again.err);
}

#[test]
fn devices_come_along_from_a_csv_file() {
    let fleet = Fleet::nothing();
    fleet.write("devices.csv", "name,address,groups,site\nweb-1,192.0.2.1,Web,Berlin\nweb-2,192.0.2.2,Web,Hamburg\n");
    fleet.rmm(&["init", ".", "--no-local-device", "--import-devices", "devices.csv"]).code(0).complains("2 devices");
    fleet.rmm(&["devices", "list", "--output", "csv"]).code(0).says("web-1").says("web-2");
    fleet.rmm(&["init", "other", "--import-devices", "missing.csv"]).code(1).complains("missing.csv");
}

#[test]
fn an_upgrade_brings_what_ships_and_keeps_what_was_changed() {
    let fleet = Fleet::nothing();
    fleet.rmm(&["init", "--no-local-device"]).code(0);
    let mine = "Mine: {targets: \"*\", settings: {AllowReboots: false}}\n";
    fleet.write("policies/linux-baseline.yaml", mine);
    fleet.write("schemas/policies.json", "{}");
    fleet.rmm(&["init", "--upgrade"]).code(0).complains("policies/linux-baseline.yaml.new").complains("schemas/policies.json");
    assert_eq!(fleet.read("policies/linux-baseline.yaml"), mine);
    assert!(fleet.read("schemas/policies.json").len() > 1000);
}

#[test]
fn a_damaged_database_is_put_aside_and_made_anew() {
    let fleet = Fleet::small();
    fleet.rmm(&["init"]).code(0);
    fleet.rmm(&["init", "--repair"]).code(0).says("database: whole");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(fleet.path(&format!(".rmm/rmm.db{suffix}")));
    }
    fleet.write(".rmm/rmm.db", &"this is no database ".repeat(500));
    fleet.rmm(&["status"]).code(1).complains("--repair");
    fleet.write(".rmm/rmm.db-taken", "");
    fleet.rmm(&["init", "--repair"]).code(0).complains("put aside");
    fleet.rmm(&["status"]).code(0);
    let names = std::fs::read_dir(fleet.path(".rmm")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let taken: Vec<String> = names.filter(|name| name.ends_with("-taken")).collect();
    assert!(taken.len() == 1 && taken[0].starts_with("rmm.db.damaged-"), "it goes with its database: {taken:?}");
}

#[test]
fn the_copy_that_an_upgrade_makes_first_holds_what_is_only_in_the_log_yet() {
    let fleet = Fleet::nothing();
    fleet.rmm(&["init", "--no-local-device"]).code(0);
    // Somebody has the database open, so that what is written stays in the log.
    let open = rusqlite::Connection::open(fleet.path(".rmm/rmm.db")).unwrap();
    open.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    open.execute("INSERT OR REPLACE INTO Upkeep (Id, PrunedAt) VALUES (1, 12345)", []).unwrap();
    fleet.rmm(&["init", "--upgrade"]).code(0);
    drop(open);
    let copy = fleet.path(&format!(".rmm/rmm.before-{}.db", env!("CARGO_PKG_VERSION")));
    let copy = rusqlite::Connection::open_with_flags(copy, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let kept: i64 = copy.query_row("SELECT PrunedAt FROM Upkeep", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 12345);
}

#[test]
fn a_command_that_ends_leaves_the_database_as_one_file() {
    let fleet = Fleet::small();
    let files = || {
        let mut names: Vec<String> =
            std::fs::read_dir(fleet.path(".rmm")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("rmm.db"));
        names
    };
    for command in [&["init"][..], &["collect"], &["plan"], &["status"], &["apply", "--auto-approve"], &["audit", "verify"]] {
        fleet.rmm(command).code(0);
        assert_eq!(files(), ["rmm.db"], "{command:?}");
    }
    // Beside somebody who reads, nothing is taken away, and the reader sees one state to its end.
    let reader = rusqlite::Connection::open(fleet.path(".rmm/rmm.db")).unwrap();
    let count = || reader.query_row("SELECT count(*) FROM AuditLog", [], |row| row.get::<_, i64>(0)).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let before = count();
    fleet.rmm(&["collect", "--force"]).code(0);
    assert_eq!(count(), before);
    reader.execute_batch("COMMIT").unwrap();
    assert!(count() > before);
}
