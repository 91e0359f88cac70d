//! `schemas/` is what `rmm init` writes and what editors read: generated from the types and the catalog.
//! `RMM_UPDATE_DOCS=1 cargo test schemas` writes them anew.

use std::path::Path;

use rmm::catalog::Catalog;
use rmm::repo::{Kind, schema};

#[test]
fn the_schemas_are_those_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for kind in Kind::ALL {
        let name = kind.name();
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&schema(kind, &Catalog::builtin())).unwrap() + "\n";
        if std::env::var_os("RMM_UPDATE_DOCS").is_some() {
            std::fs::write(&path, text).unwrap();
            continue;
        }
        let old = std::fs::read_to_string(&path).unwrap();
        assert!(old == text, "schemas/{name}.json is old: run RMM_UPDATE_DOCS=1 cargo test schemas");
    }
}

#[test]
fn the_policies_that_ship_keep_to_the_schema_that_they_name() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(project.join("policies")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").unwrap();
        let schema = std::fs::read_to_string(project.join("policies").join(named)).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        let document: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        jsonschema::validator_for(&schema).unwrap().validate(&document).unwrap();
    }
}
