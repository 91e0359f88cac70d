//! The shape of a threshold in its file, before names are resolved. Its JSON Schema comes from here.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::policy_doc::Selectors;
use crate::time::Span;

/// When a measured value is a problem. Where critical is below warning, less is worse.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({"warning": 85, "critical": 95, "clear": 80, "for": "10m"}))]
pub(super) struct ThresholdDoc {
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// What is measured: CPU, Memory, DiskSpace, ...; the name of the threshold where absent.
    #[serde(default)]
    pub metric: Option<String>,
    /// Devices it is for: group names or selectors, any of them; every device where absent.
    #[serde(default)]
    pub targets: Selectors,
    /// Devices it is not for, although targeted.
    #[serde(default)]
    pub exclude: Selectors,
    /// From here on it is a warning.
    #[serde(default)]
    pub warning: Option<Level>,
    /// From here on it is critical.
    #[serde(default)]
    pub critical: Option<Level>,
    /// From here on it is over (hysteresis).
    #[serde(default)]
    pub clear: Option<Level>,
    /// For how long it has to last before it counts.
    #[serde(default, rename = "for")]
    pub hold: Option<Span>,
    /// Action that is carried out about it.
    #[serde(default)]
    pub remediate: Option<RemediationDoc>,
    /// How often that is done on one device within 24 hours, at most; 3 where absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub remediate_at_most: Option<u32>,
    /// Other limits for some devices; the first whose targets hold counts.
    #[serde(default)]
    pub overrides: Vec<OverrideDoc>,
}

/// Limits for some devices; what is left out is as above.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OverrideDoc {
    /// Devices it is for: group names or selectors, any of them.
    pub targets: Selectors,
    /// From here on it is a warning.
    #[serde(default)]
    pub warning: Option<Level>,
    /// From here on it is critical.
    #[serde(default)]
    pub critical: Option<Level>,
    /// From here on it is over (hysteresis).
    #[serde(default)]
    pub clear: Option<Level>,
    /// For how long it has to last before it counts.
    #[serde(default, rename = "for")]
    pub hold: Option<Span>,
}

/// An action as a remedy: its name, the cmdlet spelling, or with parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RemediationDoc {
    /// ClearTemp, or Clear-Temp -Days 3
    Text(String),
    /// With parameters.
    Call(CallDoc),
}

/// An action with parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CallDoc {
    /// Action by name.
    pub action: String,
    /// Its parameters.
    #[serde(default)]
    #[allow(dead_code)] // read from the tree, with the places; declared for the schema
    pub with: Map<String, Value>,
}

/// A number, or a share such as `80%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level(pub f64);

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bad = |text: &str| serde::de::Error::custom(format!("'{text}' is neither a number nor a share such as 80%"));
        match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_f64().filter(|n| n.is_finite()).map(Self).ok_or_else(|| bad(&number.to_string())),
            Value::String(text) => {
                let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                number.filter(|n| n.is_finite()).map(Self).ok_or_else(|| bad(&text))
            }
            other => Err(bad(&other.to_string())),
        }
    }
}

impl JsonSchema for Level {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number in the unit of the metric, or a share such as \"80%\".",
            "anyOf": [{"type": "number"}, {"type": "string", "pattern": "^ *[0-9]{1,3}([.][0-9]+)? *% *$"}]
        })
    }
}
