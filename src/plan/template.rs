//! `{{ vars.x }}` and `{{ device.hostname }}` in keys and values.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use serde_json::Value;

use crate::model::{Device, Facts};

/// Renders templates for one device. Unknown names are errors; loops are bounded by fuel.
pub(super) struct Templates<'a> {
    environment: Environment<'a>,
    device: minijinja::Value,
    vars: minijinja::Value,
}

const FUEL: u64 = 100_000;

impl Templates<'_> {
    pub(super) fn new(device: &Device, vars: &BTreeMap<String, Value>, facts: &Facts) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        if let Ok(syntax) = minijinja::syntax::SyntaxConfig::builder().keep_trailing_newline(true).build() {
            environment.set_syntax(syntax);
        }
        let hostname = facts.value("software.os.hostname").and_then(Value::as_str).unwrap_or(&device.name);
        let device = serde_json::json!({
            "name": device.name, "hostname": hostname, "address": device.address.as_deref().unwrap_or(&device.name),
            "site": device.site, "tags": device.tags, "groups": device.groups, "customFields": device.custom_fields,
        });
        Self { environment, device: minijinja::Value::from(Serde(device)), vars: minijinja::Value::from(Serde(vars)) }
    }

    /// One text, or why it cannot be rendered.
    pub(super) fn text(&self, text: &str) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        self.environment.render_str(text, context! { device => &self.device, vars => &self.vars }).map_err(|error| {
            let mut why = error.to_string();
            if let Some(cut) = why.find(" (in <string>") {
                why.truncate(cut);
            }
            format!("cannot fill in '{}': {why}", text.lines().find(|l| l.contains("{{")).unwrap_or(text).trim())
        })
    }

    /// Every text of a value; map keys of inner maps are left alone.
    pub(super) fn value(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(s) => Value::String(self.text(s)?),
            Value::Array(list) => Value::Array(list.iter().map(|v| self.value(v)).collect::<Result<_, _>>()?),
            Value::Object(map) => Value::Object(map.iter().map(|(k, v)| Ok((k.clone(), self.value(v)?))).collect::<Result<_, String>>()?),
            other => other.clone(),
        })
    }
}
