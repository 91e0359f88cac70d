//! What a command is about: devices by selector, settings by `--target`.

use std::fmt;

use crate::diagnose::{Category, Diagnose, did_you_mean};
use crate::model::plan::DevicePlan;
use crate::model::selector::Match;
use crate::model::{Platform, Selector};
use crate::repo::PolicySet;
use crate::script::Condition;

/// Devices and settings that a command is limited to. Empty means everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Any of these.
    pub selectors: Vec<Selector>,
    /// Labels, `Services` or `Services.sshd`; only these are planned.
    pub targets: Vec<String>,
}

/// Why a selector or target on the command line means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Neither a device nor a group.
    #[error("'{name}' is neither a device nor a group")]
    UnknownName {
        /// As given.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// `key=value` with a key that selectors do not have.
    #[error("'{text}' is not a selector")]
    NotASelector {
        /// As given.
        text: String,
    },
    /// `os=` with a system that does not exist.
    #[error("'{name}' is not an operating system")]
    UnknownSystem {
        /// As given.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// A `where` expression that does not compile.
    #[error("'{text}' does not compile: {reason}")]
    Expression {
        /// As given.
        text: String,
        /// Why.
        reason: String,
    },
    /// A `--target` that is not in the catalog.
    #[error("there is no setting '{name}'")]
    UnknownSetting {
        /// As given.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
}

impl Diagnose for ScopeError {
    fn code(&self) -> &'static str {
        "RMM0310"
    }
    fn category(&self) -> Category {
        Category::Configuration
    }
    fn advice(&self) -> Option<String> {
        match self {
            Self::UnknownName { near: Some(near), .. }
            | Self::UnknownSetting { near: Some(near), .. }
            | Self::UnknownSystem { near: Some(near), .. } => Some(format!("did you mean '{near}'?")),
            Self::UnknownName { near: None, .. } => Some("`rmm devices list` and `rmm devices groups` show what there is".into()),
            Self::UnknownSystem { near: None, .. } => Some("write linux, macos or windows".into()),
            Self::UnknownSetting { near: None, .. } => Some("`rmm explain settings` lists them".into()),
            Self::NotASelector { .. } => Some(
                "write a device, a group, tag=T, site=S, os=linux, group=G or where='EXPRESSION', joined with commas where all must hold"
                    .into(),
            ),
            Self::Expression { .. } => Some("`rmm explain where` shows how expressions are written".into()),
        }
    }
}

impl Scope {
    /// Reads the selectors and targets of a command line.
    pub fn parse(set: &PolicySet, selectors: &[String], targets: &[String]) -> Result<Self, ScopeError> {
        let selectors = selectors.iter().map(|text| selector(set, text)).collect::<Result<_, _>>()?;
        for target in targets {
            let name = target.split('.').next().unwrap_or(target);
            if !set.catalog.settings.contains_key(name) {
                let near = did_you_mean(name, set.catalog.settings.keys().map(|k| &**k)).map(str::to_owned);
                return Err(ScopeError::UnknownSetting { name: name.to_owned(), near });
            }
        }
        Ok(Self { selectors, targets: targets.to_vec() })
    }

    /// Whether a setting is meant.
    pub fn wants(&self, setting: &str, label: &str) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|t| t == setting || t == label)
    }

    /// Leaves out what is not targeted. Compliant settings outside the targets stay counted as what they are.
    pub(super) fn keep_targets(&self, devices: &mut [DevicePlan]) {
        if !self.targets.is_empty() {
            for device in devices {
                device.changes.retain(|c| self.wants(&c.setting, &c.label()));
            }
        }
    }

    pub(super) fn to_string_if_any(&self) -> Option<String> {
        Some(self.to_string()).filter(|s| !s.is_empty())
    }
}

/// `ws-017`, `Berlin Servers`, `*`, `tag=lab,os=linux`, `where=facts.hardware.memory.total_gb < 8`.
fn selector(set: &PolicySet, text: &str) -> Result<Selector, ScopeError> {
    if text == "*" || set.groups.contains_key(text) {
        return Ok(Selector::Name(text.to_owned()));
    }
    if set.devices.contains_key(text) {
        return Ok(Selector::Match(Match { device: Some(text.to_owned()), ..Match::default() }));
    }
    if !text.contains('=') {
        let known = set.devices.keys().chain(set.groups.keys()).map(String::as_str);
        return Err(ScopeError::UnknownName { name: text.to_owned(), near: did_you_mean(text, known).map(str::to_owned) });
    }
    let bad = || ScopeError::NotASelector { text: text.to_owned() };
    let mut m = Match::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(bad)?;
        // An expression may hold commas, so it is the last member.
        let (value, next) = if key.trim() == "where" { (after, "") } else { after.split_once(',').unwrap_or((after, "")) };
        let owned = Some(value.trim().to_owned());
        match key.trim() {
            "group" => m.group = owned,
            "tag" => m.tag = owned,
            "site" => m.site = owned,
            "device" => m.device = owned,
            "os" => {
                m.os = Some(match value.trim() {
                    "linux" => Platform::Linux,
                    "windows" => Platform::Windows,
                    "macos" => Platform::Macos,
                    other => {
                        let near = did_you_mean(other, ["linux", "windows", "macos"]).map(str::to_owned);
                        return Err(ScopeError::UnknownSystem { name: other.to_owned(), near });
                    }
                });
            }
            "where" => {
                Condition::compile(value).map_err(|e| ScopeError::Expression { text: value.to_owned(), reason: e.to_string() })?;
                m.condition = owned;
            }
            _ => return Err(bad()),
        }
        rest = next;
    }
    for (name, known) in [
        (&m.group, set.groups.contains_key(m.group.as_deref().unwrap_or(""))),
        (&m.device, set.devices.contains_key(m.device.as_deref().unwrap_or(""))),
    ] {
        if let Some(name) = name
            && !known
        {
            let all = set.devices.keys().chain(set.groups.keys()).map(String::as_str);
            return Err(ScopeError::UnknownName { name: name.clone(), near: did_you_mean(name, all).map(str::to_owned) });
        }
    }
    Ok(Selector::Match(m))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selectors: Vec<String> = self.selectors.iter().map(ToString::to_string).collect();
        f.write_str(&selectors.join(" or "))?;
        if !self.targets.is_empty() {
            let gap = if selectors.is_empty() { "" } else { ", " };
            write!(f, "{gap}only {}", self.targets.join(", "))?;
        }
        Ok(())
    }
}

/// The section of a fact path: its first two words, `security.sshd`; a probe kind is its own section.
pub(super) fn section_of(path: &str) -> String {
    path.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// The sections that an expression reads through `facts.a.b`. `None` where it reaches for facts in another way.
pub(super) fn sections_in(expression: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(at) = rest.find("facts") {
        rest = &rest[at + "facts".len()..];
        let path: String = rest.strip_prefix('.')?.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
        found.push(section_of(path.trim_end_matches('.')));
    }
    Some(found)
}
