//! One action of the catalog: the head of its script, read.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value, json};

use super::check::Schema;
use crate::model::action::{ActsOn, By, Role};
use crate::model::policy::GuardKind;
use crate::model::{Platform, Reboot, Risk};
use crate::script::Program;
use crate::time::Span;

/// Something that can be done.
#[derive(Debug, Clone)]
pub struct ActionDef {
    /// `InstallUpdates`. `Install-Updates` is the same action.
    pub name: Arc<str>,
    /// One sentence.
    pub summary: String,
    /// More, in Markdown.
    pub description: Option<String>,
    /// Platforms on which it exists.
    pub platforms: Vec<Platform>,
    /// JSON Schema of the parameters, an object. `x-names: group` says that a parameter is the name of a group,
    /// `x-fills: approvedUpdates` that the product fills it in where it is left out.
    pub parameters: Value,
    /// How dangerous it is.
    pub risk: Risk,
    /// Whether it restarts the device.
    pub reboot: Reboot,
    /// Whether a person has to confirm it, since it interrupts somebody.
    pub confirm: bool,
    /// Whether doing it twice is the same as doing it once.
    pub idempotent: bool,
    /// Time for the whole of it, where the caller does not say; that of one command where absent.
    pub timeout: Option<Span>,
    /// The guard that it stands under, besides `AllowChanges` and what `reboot` says: `AllowUpdates` where it installs something.
    pub guard: Option<GuardKind>,
    /// Sections of the facts that it may have changed: observed again right after it.
    pub collects: Vec<String>,
    /// Who may run it.
    pub role: Role,
    /// Who carries it out.
    pub by: By,
    /// What it acts on.
    pub on: ActsOn,
    /// Examples of parameters.
    pub examples: Vec<Value>,
    /// Path of the script: `scripts/restart-app.rhai`, or `builtin:actions/reboot.rhai`.
    pub file: Arc<str>,
    /// The script; without functions where the product itself carries it out.
    pub program: Program,
    pub(super) schema: Arc<OnceLock<Result<Schema, String>>>,
}

impl ActionDef {
    /// Its parameters with their schemas.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Value)> + Clone {
        self.parameters["properties"].as_object().into_iter().flat_map(Map::iter).map(|(name, schema)| (name.as_str(), schema))
    }

    /// What is wrong with parameters, as (JSON pointer, message). `{secret: NAME}` and templates are texts here.
    pub fn check(&self, parameters: &Value) -> Vec<(String, String)> {
        match self.schema() {
            Ok(schema) => schema.violations(parameters),
            Err(reason) => vec![(String::new(), format!("the schema of {} is wrong: {reason}", self.name))],
        }
    }

    /// The compiled schema, or why it does not compile.
    pub(super) fn schema(&self) -> Result<&Schema, &str> {
        self.schema.get_or_init(|| Schema::compile(&self.parameters, None)).as_ref().map_err(String::as_str)
    }

    /// `Install-Updates` for `InstallUpdates`, as it is written in the cmdlet spelling.
    pub fn cmdlet(&self) -> String {
        let second = self.name.char_indices().skip(1).find(|(_, c)| c.is_ascii_uppercase()).map(|(i, _)| i);
        second.map_or_else(|| self.name.to_string(), |i| format!("{}-{}", &self.name[..i], &self.name[i..]))
    }
}

/// The schema of an action that takes nothing.
pub(super) fn no_parameters() -> Value {
    json!({"type": "object", "additionalProperties": false})
}

/// Two spellings of one name: case and hyphens do not count.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect()
}
