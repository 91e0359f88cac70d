//! Updates that devices offer, the rules that approve them, and what people have decided by hand.
//!
//! Whether one is approved is decided in `plan::updates`; how they are collected stands in `collect`.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Place, Severity};
use crate::time::Span;

/// The section of the facts that lists them.
pub const SECTION: &str = "software.available_updates";

/// What an update is for, as far as its source tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Classification {
    /// Closes a hole.
    Security,
    /// Mends something.
    Bugfix,
    /// Brings something new.
    Feature,
    /// A driver.
    Driver,
    /// The source does not tell.
    #[default]
    Other,
}

super::traits::lower_display! {
    Classification { Security => "security", Bugfix => "bugfix", Feature => "feature", Driver => "driver", Other => "other" }
}

/// One update that a device offers: a value of the section [`SECTION`], whose key is its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Package, or the number of the article on Windows: `KB5034441`.
    #[serde(skip)]
    pub name: String,
    /// Version that is there; none for what is no new version of something.
    #[serde(default)]
    pub installed: Option<String>,
    /// Version that is offered; on Windows the identity of the update and its revision.
    pub offered: String,
    /// Suite or repository that it comes from.
    #[serde(default)]
    pub source: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub classification: Classification,
    /// How much its publisher says that it matters.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// When it was published, where the source tells.
    #[serde(default)]
    pub released: Option<DateTime<Utc>>,
    /// Its name for people, where that is another one.
    #[serde(default)]
    pub title: Option<String>,
    /// Whether the device itself holds the package back; not known to every package manager.
    #[serde(default)]
    pub held: Option<bool>,
}

impl Offer {
    /// The updates of a section's data, by name. What is not one is left out.
    pub fn list(data: &serde_json::Value) -> Vec<Self> {
        let read = |(name, value): (&String, &serde_json::Value)| {
            let mut offer: Self = serde_json::from_value(value.clone()).ok()?;
            offer.name.clone_from(name);
            Some(offer)
        };
        data.as_object().into_iter().flatten().filter_map(read).collect()
    }
}

/// Which updates a rule is about: every member that is given has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRule {
    /// Pattern of names (or titles), `linux-*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Any of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classification: Vec<Classification>,
    /// At least this; an update whose severity nobody tells does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Pattern of sources, `*-security`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Known for at least so long: since it was published, else since it was first seen in the fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<Span>,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

/// A pattern of names, and for how long what it matches waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferral {
    /// Pattern of names.
    pub name: String,
    /// How long, counted as `olderThan`.
    pub by: Span,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

/// What a policy says about updates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateRules {
    /// Only what matches one of these is approved. Where absent, the policy narrows nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve: Option<Vec<UpdateRule>>,
    /// Never installed, whatever else is said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<UpdateRule>,
    /// Not before a while.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub defer: Vec<Deferral>,
    /// Where the rules stand.
    #[serde(skip)]
    pub place: Place,
}

/// What somebody decided by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    /// Install it.
    Approve,
    /// Never install it.
    Deny,
    /// Not yet.
    Defer,
}

impl Ruling {
    /// As the database calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Defer => "defer",
        }
    }

    /// The one that the database calls so.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Approve, Self::Deny, Self::Defer].into_iter().find(|ruling| ruling.as_str() == text)
    }
}

impl std::fmt::Display for Ruling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A decision by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What.
    pub ruling: Ruling,
    /// Pattern of names.
    pub name: String,
    /// Only this version.
    pub version: Option<String>,
    /// On these devices, selectors as on a command line; everywhere where empty.
    pub targets: Vec<String>,
    /// Until then; for good where absent.
    pub until: Option<DateTime<Utc>>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// One change of a package on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChange {
    /// Package.
    pub package: String,
    /// Version before; none where it was not there.
    pub from: Option<String>,
    /// Version after; none where it is gone.
    pub to: Option<String>,
}

/// What changed packages, where `rmm` did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateCause {
    /// Action by name.
    pub action: String,
    /// Whether it was undone rather than done.
    pub undone: bool,
    /// What asked for it: a run, a job.
    pub run: String,
    /// Who.
    pub by: String,
}

/// Whether a text matches a pattern: `*` is any number of characters, `?` is one; upper and lower case are the same.
pub fn matches(pattern: &str, text: &str) -> bool {
    let fold = |s: &str| s.chars().flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (pattern, text) = (fold(pattern), fold(text));
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            // The last star takes one character more.
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, t) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_names_in_any_case() {
        for (pattern, text, expected) in [
            ("linux-*", "linux-image-amd64", true),
            ("linux-*", "util-linux", false),
            ("*", "", true),
            ("*ssl*", "libssl3", true),
            ("a*b*c", "axxbxxbc", true),
            ("a*b*c", "axxbxxb", false),
            ("kb503444?", "KB5034441", true),
            ("openssl", "openssl-client", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_exponential_time() {
        assert!(!matches(&format!("{}c", "a*".repeat(200)), &"ab".repeat(2000)));
    }
}
