//! `notifications.yaml`: rules and escalation. What they refer to (people, rotas, hours) is in `duties`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::codes;
use super::decode::{CONDITION, ESCALATION, RULE, TIER};
use super::fleet::{Document, definitions, respell};
use super::kinds::{Kinds, by_name, respell_items};
use super::notification_doc::{ConditionDoc, EscalationDoc, RuleDoc};
use super::tree::{Entry, Node, Tree};
use super::workflow_doc::SeverityDoc;
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::config::Channel;
use crate::model::duty::{AlertOptions, Maintenance, Person, QuietHours};
use crate::model::notification::{During, NotificationRule, SeverityRule, Tier};
use crate::model::{BusinessHours, Escalation, Place, Rota};

/// Everything that the files say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Notifications {
    pub rules: BTreeMap<String, Arc<NotificationRule>>,
    pub escalations: BTreeMap<String, Arc<Escalation>>,
    pub rotas: BTreeMap<String, Arc<Rota>>,
    pub people: BTreeMap<String, Arc<Person>>,
    pub maintenance: BTreeMap<String, Arc<Maintenance>>,
    pub hours: Option<BusinessHours>,
    pub quiet: Option<QuietHours>,
    pub alerts: AlertOptions,
}

/// What rules and tiers may name.
pub(super) struct Known {
    escalations: Vec<String>,
    rotas: Vec<String>,
    people: BTreeSet<String>,
    hours: bool,
    /// A section could not be read: nobody can tell what it declares.
    unread: bool,
}

/// Sections of definitions by name, with the word for one of them.
const LISTS: [(&str, &str); 5] =
    [("rules", "rule"), ("escalation", "escalation"), ("onCall", "rota"), ("people", "person"), ("maintenance", "maintenance window")];
/// Sections that stand once.
const SINGLES: [&str; 3] = ["businessHours", "quietHours", "alerts"];

impl Kinds<'_> {
    /// Compiles the notifications of all files.
    pub(super) fn notifications(&mut self, documents: Vec<Document>) -> Notifications {
        let mut lists: [Vec<(Arc<str>, Vec<Entry>)>; LISTS.len()] = Default::default();
        let mut singles: [Option<(Arc<str>, Entry)>; SINGLES.len()] = Default::default();
        let before = self.checker.problems.len();
        for Document { file, root } in documents {
            for entry in self.sections(&file, root) {
                if let Some(single) = SINGLES.iter().position(|section| *section == entry.key) {
                    if let Some((first, known)) = &singles[single] {
                        let first = known.spot.of(first);
                        self.problem(codes::duplicate_name("section", SINGLES[single], &entry.spot.of(&file), &first));
                        continue;
                    }
                    singles[single] = Some((Arc::clone(&file), entry));
                } else if let Some(list) = LISTS.iter().position(|(section, _)| *section == entry.key) {
                    let entries = definitions(LISTS[list].1, &file, entry.node, self.checker.problems);
                    lists[list].push((Arc::clone(&file), entries));
                }
            }
        }
        let unread = self.checker.problems.len() > before;
        let mut nouns = LISTS.iter().map(|(_, noun)| *noun);
        let [rules, escalations, rotas, people, maintenance] =
            lists.map(|list| by_name(list, nouns.next().unwrap_or_default(), self.checker.problems));
        let [hours, quiet, alerts] = singles;
        let known = Known {
            escalations: escalations.keys().cloned().collect(),
            rotas: rotas.keys().cloned().collect(),
            people: people.keys().cloned().collect(),
            hours: hours.is_some(),
            unread,
        };
        let hours = hours.and_then(|(file, entry)| self.hours(&file, entry));
        let zone = hours.as_ref().map_or(chrono_tz::UTC, |hours| hours.hours.zone());
        Notifications {
            quiet: quiet.and_then(|(file, entry)| self.quiet(&file, entry, zone)),
            alerts: alerts.and_then(|(file, entry)| self.alert_options(&file, entry)).unwrap_or_default(),
            people: collect(people, |file, entry| self.person(file, entry)),
            maintenance: collect(maintenance, |file, entry| self.maintenance(file, entry, zone)),
            rotas: collect(rotas, |file, entry| self.rota(file, entry, zone, &known)),
            escalations: collect(escalations, |file, entry| self.escalation(file, entry, &known)),
            rules: collect(rules, |file, entry| self.rule(file, entry, &known)),
            hours,
        }
    }

    /// The sections of a file, bare or under `notifications:`.
    fn sections(&mut self, file: &Arc<str>, root: Node) -> Vec<Entry> {
        let mut entries = match root.value {
            Tree::Map(entries) => entries,
            Tree::Null => return Vec::new(),
            _ => {
                self.problem(codes::wrong_value("expected a map with rules, escalation, onCall, people and so on", &root.spot.of(file)));
                return Vec::new();
            }
        };
        if let [only] = entries.as_mut_slice()
            && only.key.eq_ignore_ascii_case("notifications")
            && let Tree::Map(inner) = &mut only.node.value
        {
            entries = std::mem::take(inner);
        }
        for entry in &mut entries {
            let known = LISTS.iter().map(|(section, _)| *section).chain(SINGLES);
            if let Some(section) = known.clone().find(|section| section.eq_ignore_ascii_case(&entry.key)) {
                section.clone_into(&mut entry.key);
            } else {
                self.problem(codes::unknown_key(&entry.key, known, "this file", &entry.spot.of(file)));
            }
        }
        entries
    }

    fn rule(&mut self, file: &Arc<str>, mut entry: Entry, known: &Known) -> Option<NotificationRule> {
        respell(&mut entry.node, &RULE);
        respell_items(&mut entry.node, "condition", &CONDITION);
        let node = &entry.node;
        let RuleDoc { description, condition, channels, delay, suppress_duplicates, during, repeat, escalation } =
            self.decode::<RuleDoc>(&RULE, file, node)?;
        let at = |pointer: &str| node.at_pointer(pointer).spot.of(file);
        let ConditionDoc { severity, kind, targets } = condition;
        let severity = self.severity_rule(severity, node.at_pointer("/condition/severity"), file);
        let targets = self.selectors(targets, node.get("condition").and_then(|condition| condition.get("targets")), file);
        let channels = self.channels_at(&channels, node, "channels", file);
        if let Some(name) = escalation.as_ref().filter(|name| !known.unread && !known.escalations.contains(name)) {
            let problem = codes::unknown_name("escalation", name, known.escalations.iter().map(String::as_str), &at("/escalation"));
            self.problem(problem);
        }
        self.during(during, "rule", &at("/during"), known);
        if repeat.is_some_and(|repeat| repeat.as_seconds() < 60) {
            self.problem(codes::wrong_value("repeat: at least a minute has to lie between two messages", &at("/repeat")));
        }
        Some(NotificationRule {
            name: entry.key.as_str().into(),
            description,
            severity,
            types: kind.map(super::notification_doc::Texts::into_vec).unwrap_or_default(),
            targets,
            channels,
            delay,
            suppress_duplicates,
            during,
            repeat,
            escalation: escalation.map(Into::into),
            place: entry.spot.of(file),
        })
    }

    /// The severities under a key.
    pub(super) fn severity_rule(&mut self, doc: Option<SeverityDoc>, node: &Node, file: &Arc<str>) -> Option<SeverityRule> {
        let texts = match doc? {
            SeverityDoc::One(text) => vec![text],
            SeverityDoc::Many(texts) => texts,
        };
        self.severity(&texts, node, file)
    }

    fn during(&mut self, during: During, what: &str, at: &Place, known: &Known) {
        if during != During::Always && !known.hours && !known.unread {
            let problem = Diagnostic::error("RMM0145", format!("the {what} asks for business hours, and none are declared")).at(at);
            self.problem(problem.advice("add businessHours: {days: [Mon, Tue, Wed, Thu, Fri], hours: \"08:00-18:00\"}"));
        }
    }

    /// Warns where nobody knows how to reach somebody.
    pub(super) fn reachable(&mut self, name: &str, at: &Place, known: &Known) {
        let by_channel = |channel: &Channel| {
            let people = channel.options.get("people").and_then(serde_json::Value::as_object);
            people.is_some_and(|people| people.contains_key(name))
        };
        if known.people.contains(name) || known.unread || Person::is_address(name) || self.channels.values().any(by_channel) {
            return;
        }
        let problem = Diagnostic::warning("RMM0611", format!("nobody knows how to reach '{}'", name.escape_debug())).at(at);
        self.problem(problem.advice(match did_you_mean(name, known.people.iter().map(String::as_str)) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("add people: {{{name}: {{email: ..., phone: ..., slack: ...}}}}"),
        }));
    }

    fn channels_at(&mut self, names: &[String], node: &Node, key: &str, file: &Arc<str>) -> Vec<Arc<str>> {
        let mut channels = Vec::new();
        for (i, name) in names.iter().enumerate() {
            channels.extend(self.channel(name, &node.at_pointer(&format!("/{key}/{i}")).spot.of(file)));
        }
        channels.sort_unstable();
        channels.dedup();
        channels
    }

    fn escalation(&mut self, file: &Arc<str>, mut entry: Entry, known: &Known) -> Option<Escalation> {
        respell(&mut entry.node, &ESCALATION);
        respell_items(&mut entry.node, "tiers", &TIER);
        let doc = self.decode::<EscalationDoc>(&ESCALATION, file, &entry.node)?;
        let items = entry.node.get("tiers").map(Node::items).unwrap_or_default();
        let mut tiers = Vec::new();
        for (tier, node) in doc.tiers.into_iter().zip(items) {
            if tier.channels.is_empty() && tier.on_call.is_none() && tier.people.is_empty() {
                let problem = Diagnostic::error("RMM0145", "nobody hears of this tier: it has neither channels nor onCall nor people");
                self.problem(problem.at(&node.spot.of(file)));
            }
            if let Some(name) = tier.on_call.as_ref().filter(|name| !known.unread && !known.rotas.contains(name)) {
                let at = node.at_pointer("/onCall").spot.of(file);
                let problem = codes::unknown_name("rota", name, known.rotas.iter().map(String::as_str), &at);
                self.problem(problem);
            }
            for (i, person) in tier.people.iter().enumerate() {
                self.reachable(person, &node.at_pointer(&format!("/people/{i}")).spot.of(file), known);
            }
            self.during(tier.during, "tier", &node.at_pointer("/during").spot.of(file), known);
            let channels = self.channels_at(&tier.channels, node, "channels", file);
            let people = tier.people.into_iter().map(Into::into).collect();
            tiers.push(Tier { after: tier.after, channels, on_call: tier.on_call.map(Into::into), people, during: tier.during });
        }
        if let Some(manager) = &doc.manager {
            self.reachable(manager, &entry.node.at_pointer("/manager").spot.of(file), known);
        }
        Some(Escalation {
            name: entry.key.as_str().into(),
            timeout: doc.timeout.or(tiers.last().map(|tier| tier.after)).unwrap_or_default(),
            tiers,
            manager: doc.manager.map(Into::into),
            place: entry.spot.of(file),
        })
    }
}

/// Compiles every definition.
fn collect<T>(
    declared: BTreeMap<String, (Arc<str>, Entry)>,
    mut compile: impl FnMut(&Arc<str>, Entry) -> Option<T>,
) -> BTreeMap<String, Arc<T>> {
    declared.into_iter().filter_map(|(name, (file, entry))| Some((name, Arc::new(compile(&file, entry)?)))).collect()
}
