//! JSON Schemas of whole files, for editors: composed from the types and, for policies, from the settings of the catalog.
//! Reading does not use these; it checks each definition against the same types.

use serde_json::{Map, Value, json};

use super::decode::{CONFIG, DEVICE, GROUP, POLICY, SITE, TEST};
use super::policies::GUARDS;
use crate::catalog::Catalog;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `rmm.toml`
    Config,
    /// `devices.yaml`, `devices/*.yaml`, `sites.yaml`
    Devices,
    /// `policies/*.yaml`
    Policies,
    /// `tests/*.yaml`
    Tests,
}

/// The schema of a kind of file.
pub fn schema(kind: Kind, catalog: &Catalog) -> Value {
    match kind {
        Kind::Config => CONFIG.schema().clone(),
        Kind::Devices => {
            let mut defs = Map::new();
            let sections = [("sites", &SITE), ("groups", &GROUP), ("devices", &DEVICE)];
            let mut properties = Map::new();
            for (section, kind) in sections {
                let definition = take_defs(kind.schema().clone(), &mut defs);
                let name = section.trim_end_matches('s');
                defs.insert(name.to_owned(), json!({"anyOf": [definition, {"type": "null"}]}));
                let map = json!({"type": ["object", "null"], "additionalProperties": {"$ref": format!("#/$defs/{name}")}});
                properties.insert(section.to_owned(), json!({"anyOf": [map, {"type": "array", "items": {"type": "object"}}]}));
            }
            let wrapped = json!({"type": "object", "properties": properties, "additionalProperties": false});
            let bare = json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/device"}});
            json!({"$schema": DIALECT, "title": "Devices", "anyOf": [wrapped, bare], "$defs": defs})
        }
        Kind::Policies => {
            let mut defs = Map::new();
            let mut policy = take_defs(POLICY.schema().clone(), &mut defs);
            if let Some(settings) = policy.pointer_mut("/properties/settings") {
                *settings = json!({"type": ["object", "null"], "properties": settings_of(catalog), "additionalProperties": false});
            }
            defs.insert("policy".to_owned(), policy);
            let import = json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
            let map = json!({"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/policy"}});
            let wrapped = json!({"type": "object", "required": ["policies"], "properties": {"import": import, "policies": map}, "additionalProperties": false});
            let bare = json!({"type": "object", "properties": {"import": import}, "additionalProperties": {"$ref": "#/$defs/policy"}});
            json!({"$schema": DIALECT, "title": "Policies", "anyOf": [wrapped, bare], "$defs": defs})
        }
        Kind::Tests => {
            let mut defs = Map::new();
            let test = take_defs(TEST.schema().clone(), &mut defs);
            defs.insert("test".to_owned(), test);
            let list = json!({"type": ["array", "null"], "items": {"$ref": "#/$defs/test"}});
            let wrapped = json!({"type": "object", "required": ["tests"], "properties": {"tests": list}, "additionalProperties": false});
            json!({"$schema": DIALECT, "title": "Policy tests", "anyOf": [wrapped, list], "$defs": defs})
        }
    }
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What each setting takes. Templates and secrets may stand for a value, so a text or a secret is taken beside numbers.
fn settings_of(catalog: &Catalog) -> Map<String, Value> {
    let mut properties = Map::new();
    for (name, setting) in &catalog.settings {
        let secret =
            json!({"type": "object", "required": ["secret"], "properties": {"secret": {"type": "string"}}, "additionalProperties": false});
        let schema = match &setting.keyed {
            // `restartOn` stands beside the members of a value, so a closed object of the catalog cannot be repeated here.
            Some(_) => json!({"description": setting.summary, "type": ["object", "null"]}),
            None if setting.secrets => json!({"description": setting.summary, "anyOf": [setting.value, secret]}),
            None => json!({"description": setting.summary, "anyOf": [setting.value]}),
        };
        properties.insert(name.to_string(), schema);
    }
    for (name, _) in GUARDS {
        properties.insert(name.to_owned(), json!({"type": "boolean"}));
    }
    properties
}

/// Moves the definitions of a schema to where those of the whole file stand.
fn take_defs(mut schema: Value, defs: &mut Map<String, Value>) -> Value {
    if let Some(map) = schema.as_object_mut() {
        map.shift_remove("$schema");
        if let Some(Value::Object(own)) = map.shift_remove("$defs") {
            defs.extend(own);
        }
    }
    schema
}
