//! `notifications.yaml`: rules, escalation, on-call rotas and business hours.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{NaiveDate, Weekday};
use chrono_tz::Tz;

use super::codes;
use super::decode::{CONDITION, ESCALATION, HOURS, ROTA, RULE, TIER};
use super::fleet::{Document, definitions, respell};
use super::kinds::{Kinds, by_name, respell_items};
use super::notification_doc::{ConditionDoc, EscalationDoc, HoursDoc, RotaDoc, RuleDoc};
use super::tree::{Entry, Node, Tree};
use super::workflow_doc::SeverityDoc;
use crate::diagnose::Diagnostic;
use crate::model::notification::{During, NotificationRule, Rota, Tier};
use crate::model::{BusinessHours, Escalation};
use crate::time::{Span, Window};

/// Everything that the files say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Notifications {
    pub rules: BTreeMap<String, Arc<NotificationRule>>,
    pub escalations: BTreeMap<String, Arc<Escalation>>,
    pub rotas: BTreeMap<String, Arc<Rota>>,
    pub hours: Option<BusinessHours>,
}

/// What rules and tiers may name.
struct Known {
    escalations: Vec<String>,
    rotas: Vec<String>,
    hours: bool,
    /// A section could not be read: nobody can tell what it declares.
    unread: bool,
}

const SECTIONS: [&str; 4] = ["rules", "escalation", "onCall", "businessHours"];
const WEEK: Span = Span::seconds(7 * 86_400);

impl Kinds<'_> {
    /// Compiles the notifications of all files.
    pub(super) fn notifications(&mut self, documents: Vec<Document>) -> Notifications {
        let mut sections: [Vec<(Arc<str>, Vec<Entry>)>; 3] = Default::default();
        let mut hours: Option<(Arc<str>, Entry)> = None;
        let before = self.checker.problems.len();
        for Document { file, root } in documents {
            for entry in self.sections(&file, root) {
                let Some(section) = SECTIONS.iter().position(|section| *section == entry.key) else { continue };
                if section == 3 {
                    if let Some((first, known)) = &hours {
                        let first = known.spot.of(first);
                        self.problem(codes::duplicate_name("section", "businessHours", &entry.spot.of(&file), &first));
                        continue;
                    }
                    hours = Some((Arc::clone(&file), entry));
                    continue;
                }
                let noun = ["rule", "escalation", "rota"][section];
                let entries = definitions(noun, &file, entry.node, self.checker.problems);
                sections[section].push((Arc::clone(&file), entries));
            }
        }
        let unread = self.checker.problems.len() > before;
        let [rules, escalations, rotas] = sections;
        let keys =
            |parts: &[(Arc<str>, Vec<Entry>)]| parts.iter().flat_map(|(_, entries)| entries).map(|entry| entry.key.clone()).collect();
        let known = Known { escalations: keys(&escalations), rotas: keys(&rotas), hours: hours.is_some(), unread };
        let rules = by_name(rules, "rule", self.checker.problems);
        let escalations = by_name(escalations, "escalation", self.checker.problems);
        let rotas = by_name(rotas, "rota", self.checker.problems);
        Notifications {
            hours: hours.and_then(|(file, entry)| self.hours(&file, entry)),
            rotas: collect(rotas, |file, entry| self.rota(file, entry)),
            escalations: collect(escalations, |file, entry| self.escalation(file, entry, &known)),
            rules: collect(rules, |file, entry| self.rule(file, entry, &known)),
        }
    }

    /// The sections of a file, bare or under `notifications:`.
    fn sections(&mut self, file: &Arc<str>, root: Node) -> Vec<Entry> {
        let mut entries = match root.value {
            Tree::Map(entries) => entries,
            Tree::Null => return Vec::new(),
            _ => {
                self.problem(codes::wrong_value("expected a map with rules, escalation, onCall and businessHours", &root.spot.of(file)));
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
            if let Some(section) = SECTIONS.iter().find(|section| section.eq_ignore_ascii_case(&entry.key)) {
                (*section).clone_into(&mut entry.key);
            } else {
                self.problem(codes::unknown_key(&entry.key, SECTIONS, "this file", &entry.spot.of(file)));
            }
        }
        entries
    }

    fn rule(&mut self, file: &Arc<str>, mut entry: Entry, known: &Known) -> Option<NotificationRule> {
        respell(&mut entry.node, &RULE);
        respell_items(&mut entry.node, "condition", &CONDITION);
        let node = &entry.node;
        let RuleDoc { description, condition, channels, delay, suppress_duplicates, during, escalation } =
            self.decode::<RuleDoc>(&RULE, file, node)?;
        let at = |pointer: &str| node.at_pointer(pointer).spot.of(file);
        let ConditionDoc { severity, kind, targets } = condition;
        let severity = severity.and_then(|severity| {
            let texts = match severity {
                SeverityDoc::One(text) => vec![text],
                SeverityDoc::Many(texts) => texts,
            };
            self.severity(&texts, node.at_pointer("/condition/severity"), file)
        });
        let targets = self.selectors(targets, node.get("condition").and_then(|condition| condition.get("targets")), file);
        let channels = self.channels_at(&channels, node, "channels", file);
        if let Some(name) = escalation.as_ref().filter(|name| !known.unread && !known.escalations.contains(name)) {
            let problem = codes::unknown_name("escalation", name, known.escalations.iter().map(String::as_str), &at("/escalation"));
            self.problem(problem);
        }
        if during != During::Always && !known.hours && !known.unread {
            let problem = Diagnostic::error("RMM0145", "the rule asks for business hours, and none are declared").at(&at("/during"));
            self.problem(problem.advice("add businessHours: {days: [Mon, Tue, Wed, Thu, Fri], hours: \"08:00-18:00\"}"));
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
            escalation: escalation.map(Into::into),
            place: entry.spot.of(file),
        })
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
            if tier.channels.is_empty() && tier.on_call.is_none() {
                let problem = Diagnostic::error("RMM0145", "nobody hears of this tier: it has neither channels nor onCall");
                self.problem(problem.at(&node.spot.of(file)));
            }
            if let Some(name) = tier.on_call.as_ref().filter(|name| !known.unread && !known.rotas.contains(name)) {
                let at = node.at_pointer("/onCall").spot.of(file);
                let problem = codes::unknown_name("rota", name, known.rotas.iter().map(String::as_str), &at);
                self.problem(problem);
            }
            let channels = self.channels_at(&tier.channels, node, "channels", file);
            tiers.push(Tier { after: tier.after, channels, on_call: tier.on_call.map(Into::into) });
        }
        Some(Escalation { name: entry.key.as_str().into(), tiers, place: entry.spot.of(file) })
    }

    fn rota(&mut self, file: &Arc<str>, mut entry: Entry) -> Option<Rota> {
        respell(&mut entry.node, &ROTA);
        let doc = self.decode::<RotaDoc>(&ROTA, file, &entry.node)?;
        let at = |key: &str| entry.node.at_pointer(key).spot.of(file);
        let Ok(start) = NaiveDate::parse_from_str(&doc.start, "%Y-%m-%d") else {
            let message = format!("expected a date such as 2026-01-05, found '{}'", doc.start.escape_debug());
            self.problem(codes::wrong_value(message, &at("/start")));
            return None;
        };
        let turn = doc.turn.unwrap_or(WEEK);
        if turn.as_seconds() == 0 {
            self.problem(codes::wrong_value("a turn has to last for some time: 7d", &at("/turn")));
        }
        Some(Rota { name: entry.key.as_str().into(), people: doc.people, start, turn, place: entry.spot.of(file) })
    }

    fn hours(&mut self, file: &Arc<str>, mut entry: Entry) -> Option<BusinessHours> {
        respell(&mut entry.node, &HOURS);
        let doc = self.decode::<HoursDoc>(&HOURS, file, &entry.node)?;
        let at = |key: &str| entry.node.at_pointer(key).spot.of(file);
        let zone = match doc.timezone.as_deref() {
            Some(name) => self.zone(name, &at("/timezone"))?,
            None => Tz::UTC,
        };
        let mut days = Vec::new();
        match doc.days {
            None => days = vec![Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri],
            Some(names) => {
                for (i, name) in names.iter().enumerate() {
                    if let Ok(day) = name.parse::<Weekday>() {
                        days.push(day);
                    } else {
                        let known = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
                        let problem =
                            codes::wrong_value(format!("'{}' is not a day of the week", name.escape_debug()), &at(&format!("/days/{i}")));
                        self.problem(problem.advice(codes::suggestion(name, known, "days are")));
                    }
                }
            }
        }
        match Window::parse(&doc.hours, zone) {
            Ok(hours) => Some(BusinessHours { days, hours, place: entry.spot.of(file) }),
            Err(message) => {
                self.problem(Diagnostic::error("RMM0115", message).at(&at("/hours")));
                None
            }
        }
    }
}

/// Compiles every definition.
fn collect<T>(
    declared: BTreeMap<String, (Arc<str>, Entry)>,
    mut compile: impl FnMut(&Arc<str>, Entry) -> Option<T>,
) -> BTreeMap<String, Arc<T>> {
    declared.into_iter().filter_map(|(name, (file, entry))| Some((name, Arc::new(compile(&file, entry)?)))).collect()
}
