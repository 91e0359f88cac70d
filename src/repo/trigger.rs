//! What starts a workflow: the text form and the structured form become the same [`Trigger`].

use std::sync::Arc;

use chrono_tz::Tz;

use super::codes;
use super::decode::TRIGGER;
use super::fleet::respell;
use super::kinds::{Kinds, within};
use super::tree::{Node, Tree, in_words};
use super::workflow_doc::{AlertDoc, ScheduleDoc, SeverityDoc, TriggerForm, WebhookDoc};
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::notification::SeverityRule;
use crate::model::{Place, Trigger};

const FORMS: &str = "write Schedule: Daily 02:00, Device added to group 'NAME', Alert: TYPE severity >= High, Webhook: NAME or Manual";
const WORDS: [&str; 5] = ["Schedule", "Device added to group", "Alert", "Webhook", "Manual"];

impl Kinds<'_> {
    /// The triggers under `trigger`: one or a list.
    pub(super) fn triggers(&mut self, node: &Node, zone: Tz, file: &Arc<str>) -> Vec<Trigger> {
        match &node.value {
            Tree::List(items) => items.iter().filter_map(|item| self.trigger(item, zone, file)).collect(),
            _ => self.trigger(node, zone, file).into_iter().collect(),
        }
    }

    fn trigger(&mut self, node: &Node, zone: Tz, file: &Arc<str>) -> Option<Trigger> {
        if let Some(text) = node.text() {
            return self.text_trigger(text, node, zone, file);
        }
        let mut node = node.clone();
        respell(&mut node, &TRIGGER);
        let form = self.decode::<TriggerForm>(&TRIGGER, file, &node)?;
        let at = |pointer: &str| node.at_pointer(pointer).spot.of(file);
        let TriggerForm { schedule, device_added, alert, webhook, manual } = form;
        if let Some(schedule) = schedule {
            let (text, own, pointer) = match schedule {
                ScheduleDoc::Text(text) => (text, None, "/schedule"),
                ScheduleDoc::Form(form) => match (form.cron, form.phrase) {
                    (Some(cron), _) => (cron, form.timezone, "/schedule/cron"),
                    (None, phrase) => (phrase.unwrap_or_default(), form.timezone, "/schedule/phrase"),
                },
            };
            let zone = match own {
                Some(name) => self.zone(&name, &at("/schedule/timezone"))?,
                None => zone,
            };
            return codes::schedule(&text, zone, self.now, &at(pointer), self.checker.problems).map(Trigger::Schedule);
        }
        if let Some(added) = device_added {
            self.checker.group(&added.group, &at("/deviceAdded/group"));
            return Some(Trigger::DeviceAdded { group: added.group.into() });
        }
        if let Some(AlertDoc { kind, severity }) = alert {
            let severity = severity.and_then(|severity| {
                let texts = match severity {
                    SeverityDoc::One(text) => vec![text],
                    SeverityDoc::Many(texts) => texts,
                };
                self.severity(&texts, node.at_pointer("/alert/severity"), file)
            });
            return Some(Trigger::Alert { kind: kind.map(Into::into), severity });
        }
        if let Some(webhook) = webhook {
            let (WebhookDoc::Text(name) | WebhookDoc::Form { name }) = webhook;
            return self.webhook(&name, &at("/webhook"));
        }
        if manual == Some(false) {
            self.problem(Diagnostic::error("RMM0139", "manual can only be true").at(&at("/manual")).advice("leave the trigger out"));
            return None;
        }
        Some(Trigger::Manual)
    }

    pub(super) fn zone(&mut self, name: &str, at: &Place) -> Option<Tz> {
        crate::time::zone(name).map_err(|message| self.problem(Diagnostic::error("RMM0115", message).at(at))).ok()
    }

    fn webhook(&mut self, name: &str, at: &Place) -> Option<Trigger> {
        if !name.is_empty() && name.len() <= 100 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Some(Trigger::Webhook { name: name.into() });
        }
        let found = in_words(&name.into());
        let message = format!("the name of a webhook is part of an address: letters, digits, - and _, found {found}");
        self.problem(Diagnostic::error("RMM0139", message).at(at));
        None
    }

    fn text_trigger(&mut self, text: &str, node: &Node, zone: Tz, file: &Arc<str>) -> Option<Trigger> {
        let (head, tail) = text.split_once(':').map_or((text, None), |(head, tail)| (head, Some(tail)));
        let word = head.trim().to_ascii_lowercase();
        // Where what follows the colon stands.
        let offset = text.chars().count() - tail.map_or(0, |tail| tail.trim_start().chars().count());
        let rest = tail.unwrap_or_default().trim();
        let rest_at = within(node, text, offset as u32, rest.chars().count() as u32).of(file);
        let whole = node.spot.of(file);
        match word.as_str() {
            "schedule" if !rest.is_empty() => {
                return codes::schedule(rest, zone, self.now, &rest_at, self.checker.problems).map(Trigger::Schedule);
            }
            "webhook" if !rest.is_empty() => return self.webhook(rest, &rest_at),
            "manual" if rest.is_empty() => return Some(Trigger::Manual),
            "alert" => return self.text_alert(rest, &rest_at, node, file),
            _ => {}
        }
        let lower = text.trim().to_ascii_lowercase();
        if lower.starts_with("device added to group") {
            let group = text.trim()["device added to group".len()..].trim_start_matches(':').trim();
            let name = group.trim_matches(['\'', '"']);
            if !name.is_empty() {
                let at = text.find(name).map_or(0, |byte| text[..byte].chars().count());
                self.checker.group(name, &within(node, text, at as u32, name.chars().count() as u32).of(file));
                return Some(Trigger::DeviceAdded { group: name.into() });
            }
        }
        let problem = Diagnostic::error("RMM0139", format!("'{}' starts nothing", text.trim().escape_debug())).at(&whole);
        let near = did_you_mean(head.trim(), WORDS).filter(|near| !near.eq_ignore_ascii_case(head.trim()));
        self.problem(problem.advice(near.map_or_else(|| FORMS.to_owned(), |near| format!("did you mean '{near}'?"))));
        None
    }

    /// `DiskSpace [severity >= High]`, `DiskSpace severity >= High`, `DiskSpace`, nothing.
    fn text_alert(&mut self, rest: &str, at: &Place, node: &Node, file: &Arc<str>) -> Option<Trigger> {
        let plain = rest.replace(['[', ']'], " ");
        let lower = plain.to_ascii_lowercase();
        let (kind, condition) = match lower.find("severity") {
            Some(begin) => (plain[..begin].trim(), Some(plain[begin + "severity".len()..].trim().to_owned())),
            None => (plain.trim(), None),
        };
        let mut severity: Option<SeverityRule> = None;
        if let Some(condition) = condition {
            let word = condition.trim_start_matches(['=', '>', ' ']);
            let operator = condition[..condition.len() - word.len()].trim();
            let text = match operator {
                "=" | "==" => word.to_owned(),
                ">=" => format!(">= {word}"),
                _ => {
                    let message = format!("'{}' is not a condition on the severity", condition.escape_debug());
                    self.problem(Diagnostic::error("RMM0139", message).at(at).advice("write severity >= High or severity = High"));
                    return None;
                }
            };
            severity = Some(self.severity(&[text], node, file)?);
        }
        let kind = (!kind.is_empty() && kind != "*").then(|| kind.into());
        Some(Trigger::Alert { kind, severity })
    }
}
