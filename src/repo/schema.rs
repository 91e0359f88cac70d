//! JSON Schemas of whole files, for editors: composed from the types and, for policies, from the settings of the catalog.
//! Reading does not use these; it checks each definition against the same types.

use serde_json::{Map, Value, json};

use super::channels;
use super::decode::{
    ALERTS, CONFIG, DEVICE, ESCALATION, GROUP, HOURS, MAINTENANCE, MONITOR, PERSON, POLICY, QUIET, ROTA, RULE, SITE, TEST, THRESHOLD,
    UPDATES, WORKFLOW,
};
use super::policies::GUARDS;
use super::schema_values::{parameters_of, relaxed, restartable};
use crate::catalog::Catalog;
use crate::model::threshold::METRICS;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `rmm.toml`
    Config,
    /// `devices.yaml`, `devices/*.yaml`, `sites.yaml`
    Devices,
    /// `policies/*.yaml`
    Policies,
    /// `thresholds/*.yaml`
    Thresholds,
    /// `monitors/*.yaml`
    Monitors,
    /// `workflows/*.yaml`
    Workflows,
    /// `notifications.yaml`
    Notifications,
    /// `tests/*.yaml`
    Tests,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] =
        [Self::Config, Self::Devices, Self::Policies, Self::Thresholds, Self::Monitors, Self::Workflows, Self::Notifications, Self::Tests];

    /// Its name: `policies`, as in `schemas/policies.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Devices => "devices",
            Self::Policies => "policies",
            Self::Thresholds => "thresholds",
            Self::Monitors => "monitors",
            Self::Workflows => "workflows",
            Self::Notifications => "notifications",
            Self::Tests => "tests",
        }
    }

    /// What such a file is for.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Config => "settings of rmm itself",
            Self::Devices => "sites, groups and devices",
            Self::Policies => "what devices should look like",
            Self::Thresholds => "when a measured value is a problem",
            Self::Monitors => "what is looked at besides measured values",
            Self::Workflows => "jobs of several steps",
            Self::Notifications => "who hears of what",
            Self::Tests => "tests of policies",
        }
    }

    /// Paths of such files, as patterns of editors.
    pub const fn files(self) -> &'static [&'static str] {
        match self {
            Self::Config => &["rmm.toml", "rmm.*.toml"],
            Self::Devices => &["devices.yaml", "devices/*.yaml", "groups.yaml", "sites.yaml"],
            Self::Policies => &["policies/**/*.yaml", "policies/**/*.json"],
            Self::Thresholds => &["thresholds/**/*.yaml", "thresholds/**/*.json"],
            Self::Monitors => &["monitors/**/*.yaml", "monitors/**/*.json"],
            Self::Workflows => &["workflows/**/*.yaml", "workflows/**/*.json"],
            Self::Notifications => &["notifications.yaml", "notifications.json"],
            Self::Tests => &["tests/**/*.yaml"],
        }
    }
}

/// A catalogue of all schemas in the form of SchemaStore; `base` is the address of the folder that holds them.
pub fn schema_catalog(base: &str) -> Value {
    let base = base.trim_end_matches('/');
    let schemas = Kind::ALL.map(|kind| {
        json!({
            "name": format!("rmm {}", kind.name()),
            "description": format!("rmm: {}", kind.summary()),
            "fileMatch": kind.files(),
            "url": format!("{base}/{}.json", kind.name()),
        })
    });
    json!({"$schema": "https://json.schemastore.org/schema-catalog.json", "version": 1, "schemas": schemas})
}

/// The schema of a kind of file.
pub fn schema(kind: Kind, catalog: &Catalog) -> Value {
    match kind {
        Kind::Config => with_channels(CONFIG.schema().clone()),
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
            let updates = take_defs(UPDATES.schema().clone(), &mut defs);
            defs.insert(super::update_rules::NAME.to_owned(), updates);
            let import = json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
            let map = json!({"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/policy"}});
            let wrapped = json!({"type": "object", "required": ["policies"], "properties": {"import": import, "policies": map}, "additionalProperties": false});
            let bare = json!({"type": "object", "properties": {"import": import}, "additionalProperties": {"$ref": "#/$defs/policy"}});
            with_values(&mut defs);
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
        Kind::Thresholds => {
            let mut defs = Map::new();
            let mut threshold = take_defs(THRESHOLD.schema().clone(), &mut defs);
            if let Some(metric) = threshold.pointer_mut("/properties/metric") {
                let names = METRICS.map(|metric| metric.name);
                *metric = json!({"description": "What is measured; the name of the threshold where absent.", "enum": names});
            }
            defs.insert("threshold".to_owned(), threshold);
            file("Thresholds", "thresholds", "threshold", defs)
        }
        Kind::Monitors => {
            let mut defs = Map::new();
            let monitor = take_defs(MONITOR.schema().clone(), &mut defs);
            defs.insert("monitor".to_owned(), monitor);
            file("Monitors", "monitors", "monitor", defs)
        }
        Kind::Workflows => {
            let mut defs = Map::new();
            let workflow = take_defs(WORKFLOW.schema().clone(), &mut defs);
            defs.insert("workflow".to_owned(), workflow);
            if let Some(step) = defs.get_mut("StepDoc").and_then(Value::as_object_mut) {
                let (action, rules) = parameters_of(catalog);
                step.insert("allOf".to_owned(), rules);
                if let Some(properties) = step.get_mut("properties").and_then(Value::as_object_mut) {
                    properties.insert("action".to_owned(), action);
                }
            }
            with_values(&mut defs);
            file("Workflows", "workflows", "workflow", defs)
        }
        Kind::Notifications => {
            let mut defs = Map::new();
            let mut properties = Map::new();
            let lists =
                [("rules", &RULE), ("escalation", &ESCALATION), ("onCall", &ROTA), ("people", &PERSON), ("maintenance", &MAINTENANCE)];
            for (section, kind) in lists {
                let definition = take_defs(kind.schema().clone(), &mut defs);
                let map = json!({"type": ["object", "null"], "additionalProperties": definition});
                let list =
                    json!({"type": "array", "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}});
                properties.insert(section.to_owned(), json!({"anyOf": [map, list]}));
            }
            for (section, kind) in [("businessHours", &HOURS), ("quietHours", &QUIET), ("alerts", &ALERTS)] {
                properties.insert(section.to_owned(), take_defs(kind.schema().clone(), &mut defs));
            }
            json!({"$schema": DIALECT, "title": "Notifications", "type": ["object", "null"], "properties": properties,
                "additionalProperties": false, "$defs": defs})
        }
    }
}

/// The keys of each type of channel. A channel without a type is one of an overlay; the other file says what it is.
fn with_channels(mut config: Value) -> Value {
    let mut defs = Map::new();
    let mut rules = Vec::new();
    for kind in channels::TYPES {
        let mut options = take_defs(channels::kind_of(kind).schema().clone(), &mut defs);
        if let Some(properties) = options.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("type".to_owned(), json!(true));
        }
        let name = format!("channel-{kind}");
        defs.insert(name.clone(), options);
        let is = json!({"properties": {"type": {"const": kind.to_string()}}, "required": ["type"]});
        rules.push(json!({"if": is, "then": {"$ref": format!("#/$defs/{name}")}}));
    }
    if let Some(all) = config.get_mut("$defs").and_then(Value::as_object_mut) {
        all.extend(defs);
        if let Some(channel) = all.get_mut("Channel").and_then(Value::as_object_mut) {
            channel.insert("allOf".to_owned(), rules.into());
        }
    }
    config
}

/// A file of definitions, bare or under one key.
fn file(title: &str, wrapper: &str, definition: &str, defs: Map<String, Value>) -> Value {
    let map = json!({"type": ["object", "null"], "additionalProperties": {"$ref": format!("#/$defs/{definition}")}});
    let wrapped = json!({"type": "object", "required": [wrapper], "properties": {wrapper: map}, "additionalProperties": false});
    json!({"$schema": DIALECT, "title": title, "anyOf": [wrapped, map], "$defs": defs})
}

/// What may stand for a value that is known later.
fn with_values(defs: &mut Map<String, Value>) {
    defs.insert(
        "template".to_owned(),
        json!({"type": "string", "pattern": "[{][{].*[}][}]", "description": "a template such as {{ vars.ntp_server }}"}),
    );
    let secret = json!({"type": "object", "required": ["secret"], "properties": {"secret": {"type": "string"}}, "additionalProperties": false,
        "description": "a secret by its name, never shown"});
    defs.insert("secret".to_owned(), secret);
}

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What each setting takes.
fn settings_of(catalog: &Catalog) -> Map<String, Value> {
    let mut properties = Map::new();
    for (name, setting) in &catalog.settings {
        let value = relaxed(&setting.value, setting.secrets);
        let mut schema = match &setting.keyed {
            Some(keyed) => {
                let mut map = json!({"type": ["object", "null"], "additionalProperties": restartable(value)});
                if let Some(pattern) = &keyed.pattern {
                    map["propertyNames"] = json!({"anyOf": [{"pattern": pattern}, {"$ref": "#/$defs/template"}]});
                }
                map
            }
            None => json!({"anyOf": [value]}),
        };
        schema["description"] = setting.summary.clone().into();
        schema["examples"] = setting.examples.clone().into();
        properties.insert(name.to_string(), schema);
    }
    for (name, _) in GUARDS {
        properties.insert(name.to_owned(), json!({"type": "boolean"}));
    }
    let updates = super::update_rules::NAME;
    properties.insert(updates.to_owned(), json!({"$ref": format!("#/$defs/{updates}")}));
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
