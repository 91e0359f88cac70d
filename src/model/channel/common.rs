//! What channels of all types have, and the small forms that their keys take.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Severity;
use crate::model::device::SecretRef;
use crate::time::Span;

/// Keys of every channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Common {
    /// Least severity that is sent; everything unless told otherwise, critical for text messages.
    pub min_severity: Option<Severity>,
    /// Most messages in a minute; the rest is merged into one. 0 = no limit.
    pub rate_per_minute: Option<u32>,
    /// Tries before a message is given up.
    #[schemars(range(min = 1, max = 100))]
    pub tries: u32,
    /// Time after which a message is given up.
    pub give_up_after: Span,
    /// Time for one try.
    pub timeout: Span,
    /// People of the rotas, each with the address that this channel knows.
    pub people: BTreeMap<String, String>,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            min_severity: None,
            rate_per_minute: None,
            tries: 12,
            give_up_after: Span::seconds(86_400),
            timeout: Span::seconds(10),
            people: BTreeMap::new(),
        }
    }
}

impl Common {
    /// Time for one try, between a second and five minutes.
    pub fn timeout(&self) -> std::time::Duration {
        Span::seconds(self.timeout.as_seconds().clamp(1, 300)).duration()
    }

    /// The address of a person; the name itself where the channel does not know it.
    pub fn address<'a>(&'a self, name: &'a str) -> &'a str {
        self.people.get(name).map_or(name, String::as_str)
    }
}

/// One text or a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Raw", into = "Vec<String>")]
#[schemars(with = "Raw")]
pub struct OneOrMany(pub Vec<String>);

/// One text or a list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Raw {
    /// Several.
    Many(Vec<String>),
    /// One.
    One(String),
}

impl From<Raw> for OneOrMany {
    fn from(raw: Raw) -> Self {
        Self(match raw {
            Raw::Many(texts) => texts,
            Raw::One(text) => vec![text],
        })
    }
}

impl From<OneOrMany> for Vec<String> {
    fn from(texts: OneOrMany) -> Self {
        texts.0
    }
}

/// A text that may stand in the file, or a secret by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Hidden {
    /// A secret by its name.
    Secret(SecretRef),
    /// As it is.
    Plain(String),
}
