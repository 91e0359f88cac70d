//! Which devices something is about.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Platform;

/// A choice of devices: a group by name, `"*"` for all, or an object whose members must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Selector {
    /// A group by its name, or `*` for every device.
    Name(String),
    /// All given members must hold.
    Match(Match),
}

/// The object form of a selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// Member of this group, directly or through its children.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Carries this tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Stands at this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Runs this family of operating systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<Platform>,
    /// Is this very device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// A Rhai expression over `device` and `facts` that must be true.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Match(m) => {
                let mut parts = Vec::new();
                for (key, value) in [("group", &m.group), ("tag", &m.tag), ("site", &m.site), ("device", &m.device)] {
                    if let Some(value) = value {
                        parts.push(format!("{key}={value}"));
                    }
                }
                if let Some(os) = m.os {
                    parts.push(format!("os={os}"));
                }
                if let Some(condition) = &m.condition {
                    parts.push(format!("where {condition}"));
                }
                f.write_str(&parts.join(", "))
            }
        }
    }
}
