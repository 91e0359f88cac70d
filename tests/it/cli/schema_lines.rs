//! Every file that the product writes into a repository names its schema, so that editors complete and check it.

use super::Fleet;

/// Files of the repository that a schema exists for.
fn written(fleet: &Fleet) -> Vec<String> {
    let (mut files, mut folders) = (Vec::new(), vec![fleet.dir.path().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with(".rmm") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|x| x == "yaml" || x == "toml") {
                files.push(path.strip_prefix(fleet.dir.path()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

#[test]
fn every_file_that_is_written_begins_with_the_line_that_names_its_schema() {
    let fleet = Fleet::nothing();
    fleet.rmm(&["init", ".", "--site", "Berlin"]).code(0);
    fleet.write("in.csv", "name,groups\nweb-1,Web\n");
    fleet.rmm(&["devices", "import", "in.csv", "--create-missing", "--yes"]).code(0);
    fleet.write("hosts.ini", "[db]\ndb-1 ansible_host=192.0.2.10\n");
    fleet.rmm(&["import", "--from", "ansible", "hosts.ini", "--yes"]).code(0);
    let here = fleet.rmm(&["devices", "list", "--output", "json"]).code(0).json();
    let local = here["items"].as_array().unwrap().iter().map(|d| d["device"].as_str().unwrap().to_owned());
    let local = local.into_iter().find(|name| name != "web-1" && name != "db-1").unwrap();
    fleet.rmm(&["test", "--record", &local, "--out", "tests/deep/er/here.yaml"]).code(0);
    let files = written(&fleet);
    let expected = [
        "rmm.toml",
        "devices/imported.yaml",
        "policies/linux-baseline.yaml",
        "monitors/linux.yaml",
        "workflows/maintenance.yaml",
        "tests/linux-baseline.yaml",
        "tests/deep/er/here.yaml",
    ];
    for file in expected {
        assert!(files.iter().any(|known| known == file), "{file} was not written: {files:?}");
    }
    for file in &files {
        let text = fleet.read(file);
        let first = text.lines().next().unwrap_or_default();
        let schema = first.strip_prefix("# yaml-language-server: $schema=").or_else(|| first.strip_prefix("#:schema "));
        let schema = schema.unwrap_or_else(|| panic!("{file} begins with {first:?}"));
        let found = fleet.path(file).parent().unwrap().join(schema);
        assert!(found.is_file(), "{file} names {schema}, which is not there");
    }
}
