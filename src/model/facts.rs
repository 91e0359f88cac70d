//! What is known of a device, in sections that are observed, stored and compared one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What can be collected separately: `rmm collect --category`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// System, CPU, memory, disks, devices.
    Hardware,
    /// OS, packages, services, scheduled jobs.
    Software,
    /// Firewall, encryption, accounts, password policy.
    Security,
    /// Adapters, addresses, routes, listeners.
    Network,
    /// Load, memory in use, disk and network counters.
    Performance,
    /// What policies name one by one: files, lines, kernel parameters.
    Probe,
}

super::traits::lower_display! {
    Category {
        Hardware => "hardware", Software => "software", Security => "security", Network => "network",
        Performance => "performance", Probe => "probe",
    }
}

/// Categories whose sections are named `CATEGORY.SECTION`; a kind of probe is a section of its own.
pub const CATEGORIES: [&str; 5] = ["hardware", "software", "security", "network", "performance"];

/// Whether a section could be observed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "status", content = "reason")]
pub enum Status {
    /// Observed.
    #[default]
    Ok,
    /// Could not be observed, and why: not root, command missing, output damaged.
    Unknown(String),
    /// Does not exist on this platform.
    Unsupported(String),
}

/// One observed section, such as `hardware.memory`.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The observed document; `Null` unless the status is `Ok`.
    pub data: Arc<Value>,
    /// Whether it could be observed.
    pub status: Status,
    /// First 16 bytes of the SHA-256 of status and canonical JSON: equal hashes mean that nothing changed.
    pub hash: [u8; 16],
    /// When it was last observed (not: last changed).
    pub collected_at: DateTime<Utc>,
}

impl Section {
    /// A section observed at `at`; the hash is computed here.
    pub fn new(data: Value, status: Status, at: DateTime<Utc>) -> Self {
        use sha2::Digest;
        let mut hasher = sha2::Sha256::new();
        hasher.update(serde_json::to_vec(&status).unwrap_or_default());
        hasher.update(serde_json::to_vec(&data).unwrap_or_default());
        let digest: [u8; 32] = hasher.finalize().into();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self { data: Arc::new(data), status, hash, collected_at: at }
    }
}

/// What a lookup by path found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lookup<'a> {
    /// The value and the section that holds it.
    Found(&'a Value, &'a Section),
    /// The section was observed and does not have this member.
    Absent(&'a Section),
    /// The section could not be observed, or does not exist on the platform.
    Failed(&'a Section),
    /// Nobody has looked yet.
    Never,
}

/// Everything known of one device: sections by dotted name, `security.sshd`.
///
/// Sections of the probe category are maps from the probe's arguments to what was seen: `files` → `/etc/motd` → {…}.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Sections by name.
    pub sections: BTreeMap<Arc<str>, Section>,
}

impl Facts {
    /// The section that a dotted path begins with, and the rest of the path.
    pub fn section<'p>(&self, path: &'p str) -> Option<(&Section, &'p str)> {
        if let Some(section) = self.sections.get(path) {
            return Some((section, ""));
        }
        let mut end = path.len();
        while let Some(dot) = path[..end].rfind('.') {
            if let Some(section) = self.sections.get(&path[..dot]) {
                return Some((section, &path[dot + 1..]));
            }
            end = dot;
        }
        None
    }

    /// Looks up a dotted path, then `key` as one whole member name (keys may hold dots).
    pub fn lookup(&self, path: &str, key: Option<&str>) -> Lookup<'_> {
        let Some((section, rest)) = self.section(path) else { return Lookup::Never };
        if section.status != Status::Ok {
            return Lookup::Failed(section);
        }
        let mut value: &Value = &section.data;
        for part in rest.split('.').filter(|p| !p.is_empty()).chain(key) {
            let next = match value {
                Value::Object(map) => map.get(part),
                Value::Array(list) => part.parse::<usize>().ok().and_then(|i| list.get(i)),
                _ => None,
            };
            match next {
                Some(next) => value = next,
                None => return Lookup::Absent(section),
            }
        }
        Lookup::Found(value, section)
    }

    /// The value at a dotted path, where it was observed.
    pub fn value(&self, path: &str) -> Option<&Value> {
        match self.lookup(path, None) {
            Lookup::Found(value, _) => Some(value),
            _ => None,
        }
    }

    /// All sections as one nested document: `{"hardware": {"memory": {…}}, …}`.
    pub fn to_value(&self) -> Value {
        let mut root = serde_json::Map::new();
        for (name, section) in &self.sections {
            if section.status != Status::Ok {
                continue;
            }
            let mut at = &mut root;
            let mut parts = name.split('.').peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    at.insert(part.to_owned(), (*section.data).clone());
                } else {
                    let child = at.entry(part).or_insert_with(|| Value::Object(serde_json::Map::new()));
                    let Value::Object(child) = child else { break };
                    at = child;
                }
            }
        }
        Value::Object(root)
    }

    /// The other way round: sections from one nested document, observed at `at`. A section that is `null`, or just
    /// `{unknown: WHY}`, could not be observed; `{unsupported: WHY}` does not exist on the platform.
    pub fn from_value(document: &serde_json::Map<String, Value>, at: DateTime<Utc>) -> Self {
        let mut facts = Self::default();
        let mut add = |name: String, data: &Value| {
            let status = said(data);
            let data = if status == Status::Ok { data.clone() } else { Value::Null };
            facts.sections.insert(name.into(), Section::new(data, status, at));
        };
        for (name, value) in document {
            match value {
                Value::Object(members) if CATEGORIES.contains(&name.as_str()) => {
                    members.iter().for_each(|(member, data)| add(format!("{name}.{member}"), data));
                }
                // What is not a category is a kind of probe.
                data => add(name.clone(), data),
            }
        }
        facts
    }

    /// The same, observed at another moment.
    #[must_use]
    pub fn observed_at(&self, at: DateTime<Utc>) -> Self {
        let mut facts = self.clone();
        facts.sections.values_mut().for_each(|section| section.collected_at = at);
        facts
    }

    /// The operating system family, from `software.os.family`.
    pub fn platform(&self) -> Option<super::Platform> {
        match self.value("software.os.family")?.as_str()? {
            "linux" => Some(super::Platform::Linux),
            "windows" => Some(super::Platform::Windows),
            "macos" => Some(super::Platform::Macos),
            _ => None,
        }
    }

    /// With the family of the system as it is declared, where nobody could see it: scripts decide by that.
    #[must_use]
    pub fn with_platform(self: &Arc<Self>, declared: Option<super::Platform>) -> Arc<Self> {
        match declared {
            Some(platform) if self.platform().is_none() => {
                let mut facts = Self::clone(self);
                let system = serde_json::json!({"family": platform.to_string()});
                facts.sections.insert("software.os".into(), Section::new(system, Status::Ok, DateTime::UNIX_EPOCH));
                Arc::new(facts)
            }
            _ => Arc::clone(self),
        }
    }

    /// When the oldest of the sections was observed.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.sections.values().map(|s| s.collected_at).min()
    }
}

/// Whether a section of a document is one that could not be observed.
fn said(data: &Value) -> Status {
    let only = data.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
    match (data, only) {
        (Value::Null, _) => Status::Unknown("could not be observed".into()),
        (_, Some((key, Value::String(why)))) if key == "unknown" => Status::Unknown(why.clone()),
        (_, Some((key, Value::String(why)))) if key == "unsupported" => Status::Unsupported(why.clone()),
        _ => Status::Ok,
    }
}

/// Joins the arguments of a probe to the key under which its answer stands in the section.
pub fn probe_key(args: &[impl AsRef<str>]) -> String {
    args.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("\t")
}
