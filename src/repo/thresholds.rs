//! Thresholds: from definitions to [`Threshold`]s, with limits that make sense.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::codes;
use super::decode::{OVERRIDE, THRESHOLD};
use super::fleet::respell;
use super::kinds::{Kinds, respell_items};
use super::threshold_doc::{Level, RemediationDoc, ThresholdDoc};
use super::tree::{Entry, Node};
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::threshold::{Limits, METRICS, Metric, Override, Worse, metric};
use crate::model::{ActionCall, Threshold};
use crate::time::Span;

impl Kinds<'_> {
    /// Compiles the thresholds of all files.
    pub(super) fn thresholds(&mut self, declared: BTreeMap<String, (Arc<str>, Entry)>) -> BTreeMap<String, Arc<Threshold>> {
        let compiled = declared.into_iter().filter_map(|(name, (file, mut entry))| {
            respell(&mut entry.node, &THRESHOLD);
            respell_items(&mut entry.node, "overrides", &OVERRIDE);
            Some((name, Arc::new(self.threshold(&file, &entry)?)))
        });
        compiled.collect()
    }

    fn threshold(&mut self, file: &Arc<str>, entry: &Entry) -> Option<Threshold> {
        let node = &entry.node;
        let place = entry.spot.of(file);
        let doc = self.decode::<ThresholdDoc>(&THRESHOLD, file, node)?;
        let named = doc.metric.as_deref().unwrap_or(&entry.key);
        let Some(measured) = metric(named) else {
            let at = node.get("metric").map_or_else(|| place.clone(), |node| node.spot.of(file));
            let mut problem = codes::unknown_name("metric", named, METRICS.iter().map(|metric| metric.name), &at);
            if doc.metric.is_none() && did_you_mean(named, METRICS.map(|metric| metric.name)).is_none() {
                problem = problem.label("a threshold is named after its metric, or says metric: NAME");
            }
            self.problem(problem);
            return None;
        };
        if doc.warning.is_none() && doc.critical.is_none() && doc.overrides.is_empty() {
            let problem = Diagnostic::error("RMM0113", format!("the threshold '{}' has neither 'warning' nor 'critical'", entry.key));
            self.problem(problem.at(&place).advice(format!("give it a limit in {}: {{warning: 80, critical: 95}}", measured.unit)));
            return None;
        }
        let level = |level: Option<Level>| level.map(|level| level.0);
        let base = Limits {
            warning: level(doc.warning),
            critical: level(doc.critical),
            clear: level(doc.clear),
            hold: doc.hold.unwrap_or_default(),
            worse: Worse::Higher,
        };
        let limits = self.limits(base, base, measured, node, file);
        let items = node.get("overrides").map(Node::items).unwrap_or_default();
        let mut overrides = Vec::new();
        for (over, node) in doc.overrides.into_iter().zip(items) {
            let own = Limits {
                warning: level(over.warning),
                critical: level(over.critical),
                clear: level(over.clear),
                hold: Span::default(),
                ..base
            };
            let merged = Limits {
                warning: own.warning.or(base.warning),
                critical: own.critical.or(base.critical),
                clear: own.clear.or(base.clear),
                hold: over.hold.unwrap_or(base.hold),
                ..base
            };
            // What the override leaves as it is has been judged already.
            let limits = if own.warning.is_some() || own.critical.is_some() || own.clear.is_some() {
                self.limits(merged, own, measured, node, file)
            } else {
                Limits { worse: limits.worse, ..merged }
            };
            let targets = self.selectors(over.targets, node.get("targets"), file);
            overrides.push(Override { targets, limits, place: node.spot.of(file) });
        }
        let remediate = doc.remediate.and_then(|remedy| self.remedy(remedy, node.get("remediate")?, file));
        Some(Threshold {
            name: entry.key.as_str().into(),
            description: doc.description,
            metric: measured.name,
            targets: self.selectors(doc.targets, node.get("targets"), file),
            exclude: self.selectors(doc.exclude, node.get("exclude"), file),
            limits,
            remediate,
            remediate_at_most: doc.remediate_at_most.unwrap_or(3),
            overrides,
            place,
        })
    }

    fn remedy(&mut self, remedy: RemediationDoc, node: &Node, file: &Arc<str>) -> Option<ActionCall> {
        match remedy {
            RemediationDoc::Text(text) => self.call(&text, node, None, None, file),
            RemediationDoc::Call(call) => self.call(&call.action, node.get("action").unwrap_or(node), node.get("with"), None, file),
        }
    }

    /// The limits with their direction, which they tell themselves. `own` are those that stand at `node`.
    fn limits(&mut self, all: Limits, own: Limits, metric: &Metric, node: &Node, file: &Arc<str>) -> Limits {
        let at = |key: &str| node.get(key).map(|node| node.spot.of(file));
        let place = |first: &str, second: &str| at(first).or_else(|| at(second)).unwrap_or_else(|| node.spot.of(file));
        let worse = match (all.warning, all.critical) {
            (Some(warning), Some(critical)) if critical > warning => Worse::Higher,
            (Some(warning), Some(critical)) if critical < warning => Worse::Lower,
            _ => metric.worse,
        };
        if metric.percent {
            for (key, value) in [("warning", own.warning), ("critical", own.critical), ("clear", own.clear)] {
                if let Some(value) = value.filter(|value| !(0.0..=100.0).contains(value)) {
                    let message = format!("{} is a share from 0 to 100 (%), so it never becomes {value}", metric.name);
                    self.problem(Diagnostic::error("RMM0142", message).at(&place(key, key)));
                    return Limits { worse, ..all };
                }
            }
        }
        if let (Some(warning), Some(critical)) = (all.warning, all.critical) {
            if (warning - critical).abs() < f64::EPSILON {
                let problem = Diagnostic::error("RMM0140", format!("warning and critical are both {warning}, so there is never a warning"));
                self.problem(problem.at(&place("critical", "warning")).advice(if metric.worse == Worse::Higher {
                    "let critical be above warning, or leave warning out"
                } else {
                    "let critical be below warning, or leave warning out"
                }));
                return Limits { worse, ..all };
            }
            if worse != metric.worse {
                let (is, bad) = if metric.worse == Worse::Higher { ("below", "more") } else { ("above", "less") };
                let message = format!("{} is {}: {bad} of it is worse, yet critical is {is} warning", metric.name, metric.summary);
                self.problem(Diagnostic::warning("RMM0142", message).at(&place("critical", "warning")).advice(format!(
                    "critical {is} warning means that {} is worse; exchange the two where that is not meant",
                    if metric.worse == Worse::Higher { "less" } else { "more" }
                )));
            }
        }
        let first = all.warning.or(all.critical);
        if let (Some(clear), Some(limit)) = (all.clear, first) {
            let wrong = if worse == Worse::Higher { clear > limit } else { clear < limit };
            if wrong {
                let (side, name) = if worse == Worse::Higher { ("above", "more") } else { ("below", "less") };
                let which = if all.warning.is_some() { "warning" } else { "critical" };
                let message =
                    format!("clear ({clear}) is {side} {which} ({limit}), where {name} is worse: it would be over while it lasts");
                let problem = Diagnostic::error("RMM0141", message).at(&place("clear", which));
                let right = if worse == Worse::Higher { "at or below" } else { "at or above" };
                self.problem(problem.advice(format!("let clear be {right} {which}")));
            }
        }
        Limits { worse, ..all }
    }
}
