//! Workflows: from definitions to [`Workflow`]s whose steps can all be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono_tz::Tz;

use super::codes;
use super::decode::{STEP, WORKFLOW};
use super::fleet::respell;
use super::kinds::{Kinds, respell_items, within};
use super::tree::{Entry, Node, Spot};
use super::workflow_doc::{ApproverDoc, EndDoc, OnFailureDoc, StepDoc, WorkflowDoc};
use crate::diagnose::Diagnostic;
use crate::model::action::{ActsOn, Role};
use crate::model::workflow::{OnFailure, Outcome, Work};
use crate::model::{Place, Step, Trigger, Workflow};
use crate::script::{ScriptError, StepCondition};

const ON_FAILURE: [(&str, OnFailure); 5] = [
    ("stop", OnFailure::Stop),
    ("continue", OnFailure::Continue),
    ("notify-admin", OnFailure::NotifyAdmin),
    ("rollback", OnFailure::Rollback),
    ("rollback-and-notify", OnFailure::RollbackAndNotify),
];

impl Kinds<'_> {
    /// Compiles the workflows of all files.
    pub(super) fn all_workflows(&mut self, declared: BTreeMap<String, (Arc<str>, Entry)>) -> BTreeMap<String, Arc<Workflow>> {
        let mut calls: BTreeMap<String, Vec<(Arc<str>, Place)>> = BTreeMap::new();
        let mut compiled = BTreeMap::new();
        for (name, (file, mut entry)) in declared {
            respell(&mut entry.node, &WORKFLOW);
            respell_items(&mut entry.node, "steps", &STEP);
            let mut called = Vec::new();
            if let Some(workflow) = self.workflow(&file, &entry, &mut called) {
                compiled.insert(name.clone(), Arc::new(workflow));
            }
            calls.insert(name, called);
        }
        self.circles(&calls);
        compiled
    }

    fn workflow(&mut self, file: &Arc<str>, entry: &Entry, called: &mut Vec<(Arc<str>, Place)>) -> Option<Workflow> {
        let node = &entry.node;
        let place = entry.spot.of(file);
        // The steps may be wrong and the trigger too: both are reported.
        let doc = self.decode::<WorkflowDoc>(&WORKFLOW, file, node)?;
        let zone = match doc.timezone.as_deref() {
            Some(name) => self.zone(name, &node.at_pointer("/timezone").spot.of(file)),
            None => Some(Tz::UTC),
        };
        let declared = node.get("trigger");
        let triggers = match declared {
            Some(trigger) => self.triggers(trigger, zone.unwrap_or(Tz::UTC), file),
            None => vec![Trigger::Manual],
        };
        if doc.steps.is_empty() {
            let problem = Diagnostic::error("RMM0133", format!("the workflow '{}' has no steps", entry.key));
            self.problem(problem.at(&node.get("steps").map_or(place, |node| node.spot.of(file))));
            return None;
        }
        let items = node.get("steps").map(Node::items).unwrap_or_default();
        let names: Vec<&str> = doc.steps.iter().map(|step| step.name.as_str()).collect();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
        let mut ended: Option<&str> = None;
        let mut steps = Vec::new();
        for (i, (doc, node)) in doc.steps.into_iter().zip(items).enumerate() {
            let named_at = node.at_pointer("/name").spot.of(file);
            if let Some(first) = seen.get(names[i].as_str()) {
                let problem = Diagnostic::error("RMM0134", format!("two steps are named '{}'", names[i])).at(&named_at).label("again here");
                self.problem(
                    problem.related(first, "first here").advice("give one of them another name: conditions speak of steps by name"),
                );
            } else {
                seen.insert(&names[i], named_at.clone());
            }
            if let Some(end) = ended.take() {
                let problem = Diagnostic::error("RMM0135", format!("the step '{}' is never reached", names[i])).at(&named_at);
                self.problem(problem.advice(format!("'{end}' always ends the run before it; give that step a condition: when: ...")));
            }
            let step = self.step(doc, node, &names, i, file, called);
            if let Some(step) = &step
                && matches!(step.work, Work::End(_))
                && step.when.is_none()
            {
                ended = Some(&names[i]);
            }
            if let Some(step) = &step {
                self.target(step, &triggers, declared, node, file);
            }
            steps.extend(step);
        }
        Some(Workflow {
            name: entry.key.as_str().into(),
            description: doc.description,
            triggers,
            concurrency: doc.concurrency,
            start_within: doc.start_within,
            steps,
            place,
        })
    }

    /// A step whose action needs devices has to name them, unless the run is about one.
    fn target(&mut self, step: &Step, triggers: &[Trigger], declared: Option<&Node>, node: &Node, file: &Arc<str>) {
        let Work::Action(call) = &step.work else { return };
        let acts = self.catalog.actions.get(&call.action).is_some_and(|action| action.on != ActsOn::Nothing);
        let without = triggers.iter().find(|trigger| !trigger.has_device() && **trigger != Trigger::Manual);
        if let (true, true, Some(trigger)) = (acts, call.on.is_empty(), without) {
            let started = if matches!(trigger, Trigger::Schedule(_)) { "a schedule" } else { "a webhook" };
            let problem = Diagnostic::error("RMM0138", format!("the step '{}' does not say on which devices", step.name))
                .at(&node.at_pointer("/action").spot.of(file))
                .advice("name them: -Group NAME or -All in the line of the action, or 'on: NAME' beside it");
            let because = format!("{started} starts it, which is about no device");
            self.problem(match declared {
                Some(trigger) => problem.related(&trigger.spot.of(file), because),
                None => problem,
            });
        }
    }

    fn step(
        &mut self,
        doc: StepDoc,
        node: &Node,
        names: &[String],
        i: usize,
        file: &Arc<str>,
        called: &mut Vec<(Arc<str>, Place)>,
    ) -> Option<Step> {
        let at = |key: &str| node.get(key).map_or_else(|| node.spot.of(file), |node| node.spot.of(file));
        let key_at = |key: &str| node.entry(key).map_or_else(|| node.spot.of(file), |entry| entry.spot.of(file));
        let given: Vec<&str> = ["action", "workflow", "approval", "end"].into_iter().filter(|key| node.get(key).is_some()).collect();
        match given.as_slice() {
            [_] => {}
            [] => {
                let problem = Diagnostic::error("RMM0133", format!("the step '{}' does nothing", doc.name)).at(&at("name"));
                self.problem(problem.advice("give it an action, a workflow, an approval or an end"));
                return None;
            }
            [first, second, ..] => {
                let problem = Diagnostic::error("RMM0133", format!("the step '{}' has both '{first}' and '{second}'", doc.name));
                self.problem(problem.at(&key_at(second)).advice("make two steps of it"));
                return None;
            }
        }
        if given != ["action"] {
            const ONLY: [&str; 9] =
                ["on", "with", "retries", "maxParallel", "maxFailures", "waitForReboot", "parallel", "expires", "stagger"];
            let fits = |key: &str| given == ["workflow"] && matches!(key, "with" | "parallel");
            if let Some(key) = ONLY.into_iter().find(|key| node.get(key).is_some() && !fits(key)) {
                let problem =
                    Diagnostic::error("RMM0133", format!("'{key}' belongs to an action, and this step has none")).at(&key_at(key));
                self.problem(problem.advice("leave it out"));
            }
        }
        let when = doc.when.as_deref().and_then(|text| self.when(text, node, names, i, file));
        let on_failure = self.on_failure(doc.on_failure.as_ref(), node, file, called);
        let work = match (doc.action.as_deref(), doc.approval, doc.end) {
            _ if doc.workflow.is_some() => {
                let name = doc.workflow.as_deref().unwrap_or_default();
                self.name("workflow", name, &at("workflow"));
                called.push((name.into(), at("workflow")));
                Work::Workflow { name: name.into(), with: doc.with.into_iter().collect() }
            }
            (Some(text), ..) => {
                let on = node.get("on").map(|on| (doc.on, on));
                Work::Action(self.call(text, node.get("action")?, node.get("with"), on, file)?)
            }
            (None, Some(approval), _) => Work::Approval {
                role: match approval.role {
                    ApproverDoc::Operator => Role::Operator,
                    ApproverDoc::Admin => Role::Admin,
                },
                within: approval.within,
            },
            (None, None, end) => Work::End(match end {
                Some(EndDoc::Failed) => Outcome::Failed,
                _ => Outcome::Succeeded,
            }),
        };
        Some(Step {
            name: doc.name.into(),
            work,
            delay: doc.delay,
            when,
            on_failure,
            timeout: doc.timeout,
            retries: doc.retries,
            max_parallel: doc.max_parallel,
            max_failures: doc.max_failures,
            parallel: doc.parallel,
            wait_for_reboot: doc.wait_for_reboot,
            expires: doc.expires,
            stagger: doc.stagger,
            not_before: None,
            place: node.at_pointer("/name").spot.of(file),
        })
    }

    fn on_failure(&mut self, doc: Option<&OnFailureDoc>, node: &Node, file: &Arc<str>, called: &mut Vec<(Arc<str>, Place)>) -> OnFailure {
        let place = node.at_pointer("/onFailure").spot.of(file);
        let (name, at) = match doc {
            None => return OnFailure::Stop,
            Some(OnFailureDoc::Run(run)) => (run.run.as_str(), node.at_pointer("/onFailure/run").spot.of(file)),
            Some(OnFailureDoc::Text(text)) => {
                let word = text.trim();
                if let Some((_, known)) = ON_FAILURE.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
                    return known.clone();
                }
                let Some(("run", name)) = word.split_once(':').map(|(word, name)| (word.trim(), name.trim())) else {
                    let problem = Diagnostic::error("RMM0133", format!("'{}' does not say what happens on failure", word.escape_debug()));
                    let known = ON_FAILURE.iter().map(|(name, _)| *name).chain(["run: WORKFLOW"]);
                    self.problem(problem.at(&place).advice(codes::suggestion(word, known, "write")));
                    return OnFailure::Stop;
                };
                let length = name.chars().count();
                let begin = text.trim_end().chars().count() - length;
                (name, within(node.at_pointer("/onFailure"), text, begin as u32, length as u32).of(file))
            }
        };
        self.name("workflow", name, &at);
        called.push((name.into(), at));
        OnFailure::Run(name.into())
    }

    /// Compiles the condition of step `i`: it may speak of the steps before it.
    fn when(&mut self, text: &str, node: &Node, names: &[String], i: usize, file: &Arc<str>) -> Option<Arc<str>> {
        let node = node.get("when")?;
        let part = |line: u32, column: u32, length: u32| -> Spot {
            if line <= 1 && column > 0 { within(node, text, column - 1, length) } else { node.spot }
        };
        let condition = match StepCondition::compile(text) {
            Ok(condition) => condition,
            Err(error) => {
                let spot = if let ScriptError::Compile { line, column, .. } = &error { part(*line, *column, 1) } else { node.spot };
                let problem = Diagnostic::error("RMM0112", format!("the condition does not compile: {error}")).at(&spot.of(file));
                self.problem(problem.advice("a condition is an expression such as steps[\"Scan\"].failed == 0"));
                return None;
            }
        };
        for step in &condition.steps {
            let place = part(step.line, step.column, step.name.chars().count() as u32 + 2).of(file);
            match names.iter().position(|name| *name == step.name) {
                Some(at) if at < i => {}
                Some(at) => {
                    let what = if at == i { "is this very step" } else { "comes later" };
                    let problem = Diagnostic::error("RMM0136", format!("the condition asks for the step '{}', which {what}", step.name));
                    self.problem(problem.at(&place).advice("a condition can only speak of steps before it"));
                }
                None => {
                    let problem =
                        Diagnostic::error("RMM0136", format!("the condition asks for the step '{}', which does not exist", step.name));
                    let advice = codes::suggestion(&step.name, names[..i].iter().map(String::as_str), "the steps before it are");
                    self.problem(problem.at(&place).advice(advice));
                }
            }
        }
        if condition.constant == Some(false) {
            let problem = Diagnostic::error("RMM0135", format!("the step '{}' is never reached: its condition is always false", names[i]));
            self.problem(problem.at(&node.spot.of(file)).advice("correct the condition, or remove the step"));
        }
        Some(text.into())
    }

    /// Workflows that start each other without an end.
    fn circles(&mut self, calls: &BTreeMap<String, Vec<(Arc<str>, Place)>>) {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for start in calls.keys() {
            // The way from the start, each with the next of its calls to follow.
            let mut path: Vec<(&str, usize)> = vec![(start, 0)];
            while let Some((name, next)) = path.last_mut() {
                let name: &str = name;
                if done.contains(name) {
                    path.pop();
                    continue;
                }
                let Some((called, place)) = calls.get(name).and_then(|called| called.get(*next)) else {
                    done.insert(name);
                    path.pop();
                    continue;
                };
                *next += 1;
                if let Some(begin) = path.iter().position(|(known, _)| **known == **called) {
                    let mut shown: Vec<&str> = path[begin..].iter().map(|(name, _)| *name).collect();
                    shown.push(called);
                    let message = format!("workflows start each other in a circle: {}", shown.join(" > "));
                    let problem = Diagnostic::error("RMM0137", message).at(place);
                    self.problem(problem.advice("let one of them end with stop, rollback or notify-admin"));
                } else if let Some((known, _)) = calls.get_key_value(&**called) {
                    path.push((known, 0));
                }
            }
        }
    }
}
