//! One setting of the catalog: the head of its script, read.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::Schema;
use crate::model::facts::probe_key;
use crate::model::{Phase, Platform, Reboot, Risk};
use crate::script::{Program, ScriptError};

/// How observed and desired are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// The same value. The default.
    #[default]
    Equals,
    /// Observed is one of the desired list.
    OneOf,
    /// Observed is a number not below desired.
    AtLeast,
    /// Observed is a number not above desired.
    AtMost,
    /// Observed (list or text) holds desired (each of a list).
    Contains,
    /// Observed holds none of desired.
    Excludes,
    /// The same members in any order.
    SameSet,
    /// Every member of the desired object has the same value in the observed one.
    Subset,
    /// Observed text matches the desired regular expression.
    Matches,
    /// Observed version satisfies the desired range, `>=24, <25`.
    Version,
    /// The script's own `compliant(observed, desired)`.
    Script,
}

/// What the keys of a map-valued setting are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyed {
    /// What a key is called: `path`, `user`, `package`.
    pub name: String,
    /// Regular expression that a key must match.
    #[serde(default)]
    pub pattern: Option<String>,
    /// The member by which an entry is found where what is observed is a list of entries: `name`. Case does not matter.
    #[serde(default)]
    pub by: Option<String>,
}

/// A setting.
#[derive(Debug, Clone)]
pub struct SettingDef {
    /// `ScreenLockTimeout`.
    pub name: Arc<str>,
    /// One sentence.
    pub summary: String,
    /// More, in Markdown.
    pub description: Option<String>,
    /// Platforms on which it exists.
    pub platforms: Vec<Platform>,
    /// Those of them on which it only reports.
    pub reports: Vec<Platform>,
    /// What the keys are, for a map-valued setting: one change per key.
    pub keyed: Option<Keyed>,
    /// JSON Schema of the value (of one key's value for a map-valued setting).
    pub value: Value,
    /// Dotted path of the fact that is compared; for a map-valued setting the key (or probe key) is a member of it.
    pub observe: String,
    /// The fact that is compared on Windows instead, where it is another one.
    pub observe_windows: Option<String>,
    /// Kind of probe that the collector has to be asked for, one per key.
    pub probe: Option<String>,
    /// How it is compared.
    pub compare: Compare,
    /// When on a device it is carried out.
    pub phase: Phase,
    /// How dangerous it is, where the script's `risk(desired)` does not say.
    pub risk: Risk,
    /// Whether it restarts the device.
    pub reboot: Reboot,
    /// Whether a value may hold `{secret: NAME}`: what the device answers does not hold it, the two are compared by a hash.
    pub secrets: bool,
    /// Examples of values (of `{key: value}` maps for a map-valued setting).
    pub examples: Vec<Value>,
    /// Path of the script: `scripts/motd.rhai`, or `builtin:settings/files.rhai`.
    pub file: Arc<str>,
    /// The script.
    pub program: Program,
    /// The schema, compiled when it is first needed.
    pub(super) schema: Arc<OnceLock<Result<Schema, String>>>,
}

impl SettingDef {
    /// Whether it can change anything; a setting without `apply` only reports.
    pub fn remediable(&self) -> bool {
        self.program.has("apply")
    }

    /// The member of the observed map under which the answer for a key stands: the probe's key, or for a fact what
    /// `probes(key, desired)` makes of it (`PermitRootLogin` is observed as `permitrootlogin`).
    pub fn member(&self, key: &str, desired: &Value) -> Result<String, ScriptError> {
        let lists = self.program.probes(key, desired)?;
        Ok(lists.first().map_or_else(|| key.to_owned(), |args| probe_key(args)))
    }

    /// The fact that is compared on this platform.
    pub fn observed_on(&self, platform: Option<Platform>) -> &str {
        self.observe_windows.as_deref().filter(|_| platform == Some(Platform::Windows)).unwrap_or(&self.observe)
    }

    /// The facts that are compared, on whatever platform; a kind of probe is one.
    pub fn observes(&self) -> impl Iterator<Item = &str> {
        let own = self.probe.as_deref().unwrap_or(&self.observe);
        std::iter::once(own).chain(self.observe_windows.as_deref())
    }

    /// Whether it can change anything on this platform.
    pub fn remediable_on(&self, platform: Option<Platform>) -> bool {
        self.remediable() && !platform.is_some_and(|platform| self.reports.contains(&platform))
    }

    /// What a setting without keys asks its probe for: the keys of the answers. Several answers are observed as a list of them.
    pub fn answers(&self, desired: &Value) -> Result<Vec<String>, ScriptError> {
        if self.keyed.is_some() || self.probe.is_none() || !self.program.has("probes") {
            return Ok(Vec::new());
        }
        Ok(self.program.probes("", desired)?.iter().map(|args| probe_key(args)).collect())
    }

    /// What is wrong with a desired value (of one key for a map-valued setting): every violation of its schema, as
    /// (JSON pointer into the value, message). A `{secret: NAME}` is a text to the schema; whether the
    /// setting takes one at all is said by [`SettingDef::refused_secrets`].
    pub fn check(&self, key: Option<&str>, value: &Value) -> Vec<(String, String)> {
        let schema = match self.schema() {
            Ok(schema) => schema,
            Err(reason) => return vec![(String::new(), format!("the schema of {} is wrong: {reason}", self.name))],
        };
        let mut violations = Vec::new();
        match (key, &self.keyed) {
            (Some(key), Some(keyed)) if !schema.allows_key(key) => {
                violations.push((String::new(), format!("'{}' cannot be a {} of {}", key.escape_debug(), keyed.name, self.name)));
            }
            _ => {}
        }
        violations.extend(schema.violations(value));
        violations
    }

    /// Where a value holds a secret that this setting does not take, since the facts would hold it too: JSON pointers.
    pub fn refused_secrets(&self, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        if !self.secrets {
            super::check::replace_secrets(&mut value.clone(), String::new(), &mut found);
        }
        found
    }

    /// The compiled schema, or why it does not compile.
    pub(super) fn schema(&self) -> Result<&Schema, &str> {
        self.schema
            .get_or_init(|| Schema::compile(&self.value, self.keyed.as_ref().and_then(|keyed| keyed.pattern.as_deref())))
            .as_ref()
            .map_err(String::as_str)
    }
}
