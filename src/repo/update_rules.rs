//! `Updates` in the settings of a policy: which updates are approved, denied, deferred.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::decode::{self, UPDATES};
use super::tree::{Node, Spot};
use crate::diagnose::Diagnostic;
use crate::model::Severity;
use crate::model::update::{Classification, Deferral, UpdateRule, UpdateRules};
use crate::time::Span;

/// The name under which the rules stand among the settings of a policy.
pub(super) const NAME: &str = "Updates";

/// Which updates are approved: what is denied is never installed, what is deferred not yet; where approve stands, only what
/// matches one of its rules.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Updates")]
pub(super) struct UpdatesDoc {
    /// Only updates that match one of these are approved; where absent, the policy narrows nothing.
    #[serde(default)]
    approve: Option<Vec<RuleDoc>>,
    /// Never installed, whatever any other rule or person says.
    #[serde(default)]
    deny: Vec<RuleDoc>,
    /// Patterns of names, and how long such updates wait from when they were published or first seen.
    #[serde(default)]
    defer: BTreeMap<Pattern, Span>,
}

/// A pattern of names, or conditions that all have to hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum RuleDoc {
    /// A pattern of names: linux-*.
    Name(Pattern),
    /// Conditions that all have to hold.
    When(ConditionsDoc),
}

/// Conditions that all have to hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "a rule about updates", extend("minProperties" = 1))]
struct ConditionsDoc {
    /// Pattern of names (on Windows of titles too): linux-*, KB5034441.
    #[serde(default)]
    name: Option<Pattern>,
    /// What the update is for; any of these.
    #[serde(default)]
    classification: Option<OneOrMore>,
    /// At least this severe, as far as the publisher tells.
    #[serde(default)]
    severity: Option<Severity>,
    /// Pattern of the suite or repository that it comes from: *-security.
    #[serde(default)]
    source: Option<Pattern>,
    /// Known for at least so long, since it was published or first seen.
    #[serde(default)]
    older_than: Option<Span>,
}

/// One classification, or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMore {
    /// One.
    One(Classification),
    /// Several.
    More(Vec<Classification>),
}

/// A pattern in which * is any number of characters and ? is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Pattern(#[schemars(length(min = 1, max = 200))] String);

/// Reads the rules. Every problem is reported.
pub(super) fn read(file: &Arc<str>, key: Spot, node: &Node, problems: &mut Vec<Diagnostic>) -> Option<UpdateRules> {
    let doc = decode::decode::<UpdatesDoc>(&UPDATES, file, node, problems)?;
    let rules = |list: Vec<RuleDoc>, member: &str| -> Vec<UpdateRule> {
        let items = node.get(member).map(Node::items).unwrap_or_default();
        list.into_iter().zip(items).map(|(doc, node)| rule(doc, node.spot, file)).collect()
    };
    let place = |name: &str| {
        let entry = node.get("defer").and_then(|defer| defer.entry(name));
        entry.map_or(key, |entry| entry.spot).of(file)
    };
    Some(UpdateRules {
        approve: doc.approve.map(|list| rules(list, "approve")),
        deny: rules(doc.deny, "deny"),
        defer: doc.defer.into_iter().map(|(Pattern(name), by)| Deferral { place: place(&name), name, by }).collect(),
        place: node.entry("approve").map_or(key, |entry| entry.spot).of(file),
    })
}

fn rule(doc: RuleDoc, spot: Spot, file: &Arc<str>) -> UpdateRule {
    let place = spot.of(file);
    match doc {
        RuleDoc::Name(Pattern(name)) => UpdateRule { name: Some(name), place, ..UpdateRule::default() },
        RuleDoc::When(doc) => UpdateRule {
            name: doc.name.map(|Pattern(name)| name),
            classification: match doc.classification {
                None => Vec::new(),
                Some(OneOrMore::One(one)) => vec![one],
                Some(OneOrMore::More(more)) => more,
            },
            severity: doc.severity,
            source: doc.source.map(|Pattern(source)| source),
            older_than: doc.older_than,
            place,
        },
    }
}
