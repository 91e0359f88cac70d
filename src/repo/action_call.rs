//! Actions with their parameters: the cmdlet spelling and the structured one become the same [`ActionCall`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::cmdlet::{self, Word};
use super::codes;
use super::kinds::{Kinds, within};
use super::policy_doc::Selectors;
use super::tree::Node;
use crate::catalog::ActionDef;
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::action::ActsOn;
use crate::model::selector::Match;
use crate::model::{ActionCall, Place, Selector};

/// Parameters of the cmdlet spelling that say which devices are meant, where the action has no parameter of that name.
const TARGETS: [&str; 5] = ["All", "Group", "Site", "Tag", "Device"];

impl Kinds<'_> {
    /// An action: `text` stands at `node`; `with` and `on` are the structured parts beside it.
    pub(super) fn call(
        &mut self,
        text: &str,
        node: &Node,
        with: Option<&Node>,
        on: Option<(Selectors, &Node)>,
        file: &Arc<str>,
    ) -> Option<ActionCall> {
        let at = |word: &Word| within(node, text, word.at, word.length).of(file);
        let line = match cmdlet::parse(text) {
            Ok(line) => line,
            Err(error) => {
                self.problem(Diagnostic::error("RMM0132", error.message).at(&at(&error.word)));
                return None;
            }
        };
        let Some(action) = self.catalog.action(&line.action.text).cloned() else {
            self.unknown_action(&line.action.text, &at(&line.action));
            return None;
        };
        let mut parameters: BTreeMap<String, (Value, Place)> = BTreeMap::new();
        let mut selector: Option<(Selector, Place)> = None;
        let mut parts = Match::default();
        for argument in &line.arguments {
            let place = at(&argument.name);
            let value_at = argument.value.as_ref().map_or_else(|| place.clone(), at);
            let known = action.properties().find(|(name, _)| name.eq_ignore_ascii_case(&argument.name.text));
            if let Some((name, schema)) = known {
                let value = argument.value.as_ref().map_or(Value::Bool(true), |word| typed(&word.text, schema));
                if parameters.insert(name.to_owned(), (value, value_at)).is_some() {
                    self.problem(Diagnostic::error("RMM0132", format!("-{} stands twice", argument.name.text)).at(&place));
                }
                continue;
            }
            let target = TARGETS.iter().find(|name| name.eq_ignore_ascii_case(&argument.name.text));
            let value = argument.value.as_ref().map(|word| word.text.clone());
            match (target.copied(), value) {
                (Some("All"), None) => selector = Some((Selector::Name("*".into()), place)),
                (Some("All"), Some(value)) => {
                    self.problem(Diagnostic::error("RMM0132", format!("-All takes no value, found '{value}'")).at(&value_at));
                }
                (Some(name), None) => {
                    self.problem(Diagnostic::error("RMM0132", format!("-{name} needs a value")).at(&place));
                }
                (Some(name), Some(value)) => {
                    self.name(&name.to_ascii_lowercase(), &value, &value_at);
                    match name {
                        "Group" => parts.group = Some(value),
                        "Site" => parts.site = Some(value),
                        "Tag" => parts.tag = Some(value),
                        _ => parts.device = Some(value),
                    }
                    selector = Some((Selector::Match(parts.clone()), place));
                }
                (None, _) => self.unknown_parameter(&action, &argument.name.text, &place),
            }
        }
        for entry in with.map(Node::entries).unwrap_or_default() {
            if parameters.insert(entry.key.clone(), (entry.node.to_json(), entry.node.spot.of(file))).is_some() {
                let message = format!("the parameter '{}' stands in the line of the action and under 'with'", entry.key);
                self.problem(Diagnostic::error("RMM0132", message).at(&entry.spot.of(file)));
            }
        }
        self.parameters(&action, &parameters, with, node, file);
        let mut targets: Vec<Selector> = Vec::new();
        if let Some((selectors, on)) = on {
            if let Some((_, place)) = &selector {
                let problem = Diagnostic::error("RMM0132", "the action names its devices twice, in its line and under 'on'").at(place);
                self.problem(problem.related(&on.spot.of(file), "and here"));
            }
            targets = self.selectors(selectors, Some(on), file);
            if action.on == ActsOn::Nothing && !targets.is_empty() {
                self.problem(no_target(&action, &on.spot.of(file)));
            }
        } else if let Some((selector, place)) = selector {
            if action.on == ActsOn::Nothing {
                self.problem(no_target(&action, &place));
            }
            targets.extend(self.selectors(Selectors::One(selector), None, file));
        }
        let with = parameters.into_iter().map(|(name, (value, _))| (name, value)).collect();
        Some(ActionCall { action: Arc::clone(&action.name), with, on: targets })
    }

    /// Checks parameters against the schema of the action, and the names that they hold.
    fn parameters(
        &mut self,
        action: &ActionDef,
        given: &BTreeMap<String, (Value, Place)>,
        with: Option<&Node>,
        node: &Node,
        file: &Arc<str>,
    ) {
        let known: Vec<&str> = action.properties().map(|(name, _)| name).collect();
        let mut fit: Map<String, Value> = Map::new();
        for (name, (value, place)) in given {
            if known.contains(&name.as_str()) {
                fit.insert(name.clone(), value.clone());
            } else {
                let at = with.and_then(|with| with.entry(name)).map_or_else(|| place.clone(), |entry| entry.spot.of(file));
                self.unknown_parameter(action, name, &at);
            }
        }
        let misspelt = fit.len() < given.len();
        let value = Value::Object(fit);
        for (pointer, message) in action.check(&value) {
            let template = value.pointer(&pointer).and_then(Value::as_str).is_some_and(|text| text.contains("{{"));
            // What is missing is probably what was misspelt.
            if template || (misspelt && pointer.is_empty()) {
                continue;
            }
            let name = pointer.split('/').nth(1).map(|name| name.replace("~1", "/").replace("~0", "~"));
            let own = with.filter(|with| name.as_ref().is_some_and(|name| with.entry(name).is_some()));
            let at = match (own, name.as_ref().and_then(|name| given.get(name))) {
                (Some(with), _) => with.at_pointer(&pointer).spot.of(file),
                (None, Some((_, place))) => place.clone(),
                (None, None) => node.spot.of(file),
            };
            let what = name.map_or_else(|| action.name.to_string(), |name| format!("{} of {}", name, action.name));
            let advice = format!("rmm explain {} shows what it takes", action.name);
            self.problem(Diagnostic::error("RMM0132", format!("{what}: {message}")).at(&at).advice(advice));
        }
        for (name, schema) in action.properties() {
            if let (Some(kind), Some((Value::String(text), place))) = (schema["x-names"].as_str(), given.get(name))
                && !text.contains("{{")
            {
                self.name(kind, text, place);
            }
        }
    }

    fn unknown_action(&mut self, name: &str, at: &Place) {
        if self.unread.declares(name) {
            return;
        }
        let cmdlets = name.contains('-');
        let known: Vec<String> =
            self.catalog.actions.values().map(|action| if cmdlets { action.cmdlet() } else { action.name.to_string() }).collect();
        let problem = Diagnostic::error("RMM0131", format!("there is no action '{name}'")).at(at);
        let advice = match did_you_mean(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean '{near}'?"),
            None => "rmm explain actions lists what there is; an action of your own is a script under scripts/".to_owned(),
        };
        self.problem(problem.advice(advice));
    }

    fn unknown_parameter(&mut self, action: &ActionDef, name: &str, at: &Place) {
        let known: Vec<&str> = action.properties().map(|(name, _)| name).collect();
        let problem = Diagnostic::error("RMM0132", format!("{} has no parameter '{name}'", action.name)).at(at);
        let advice = if known.is_empty() { "it takes none".to_owned() } else { codes::suggestion(name, known.iter().copied(), "it takes") };
        self.problem(problem.advice(advice));
    }
}

fn no_target(action: &ActionDef, at: &Place) -> Diagnostic {
    let problem = Diagnostic::error("RMM0132", format!("{} does not act on devices, so it takes no target", action.name)).at(at);
    problem.advice("leave the target out")
}

/// A word as the kind of value that a parameter takes; as a text where it is none, for the schema to say so.
pub fn typed(word: &str, schema: &Value) -> Value {
    let text = || Value::String(word.to_owned());
    match schema["type"].as_str() {
        Some("integer") => word.parse::<i64>().map_or_else(|_| text(), Value::from),
        Some("number") => word.parse::<f64>().ok().filter(|n| n.is_finite()).map_or_else(text, Value::from),
        Some("boolean") => match word.trim_start_matches('$').to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => text(),
        },
        Some("array") => {
            let items = schema["items"].clone();
            Value::Array(word.split(',').map(|item| typed(item.trim(), &items)).collect())
        }
        _ => {
            // Words of a closed vocabulary may be written in any case.
            let options = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            { options }.find(|option| option.eq_ignore_ascii_case(word)).map_or_else(text, |option| Value::String(option.to_owned()))
        }
    }
}
