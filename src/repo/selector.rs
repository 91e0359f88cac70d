//! One selector from a text: what a file would hold behind `targets:`, given on the command line.

use std::sync::Arc;

use super::check::unknown_facts;
use super::codes;
use super::decode::{self, SELECTOR};
use super::set::PolicySet;
use super::tree::Node;
use super::yaml;
use crate::diagnose::{Diagnostic, Level};
use crate::model::Selector;
use crate::model::selector::Match;
use crate::script::Condition;

/// Reads `{group: All Servers, os: linux}`. Problems point into the text, which they call `expression`.
pub fn read_selector(text: &str, set: &PolicySet) -> Result<Selector, Vec<Diagnostic>> {
    let file: Arc<str> = "expression".into();
    let (root, mut problems) = yaml::parse(&file, text);
    let Some(root) = root.filter(|_| problems.is_empty()) else { return Err(problems) };
    let Some(selector) = decode::decode::<Match>(&SELECTOR, &file, &root, &mut problems) else { return Err(problems) };
    let at = |key: &str| root.get(key).map_or(root.spot, |node: &Node| node.spot).of(&file);
    if selector == Match::default() {
        problems.push(codes::wrong_value("this selector has no members and would select nothing in particular", &root.spot.of(&file)));
    }
    if let Some(name) = selector.group.as_ref().filter(|name| !set.groups.contains_key(*name)) {
        problems.push(codes::unknown_name("group", name, set.groups.keys().map(String::as_str), &at("group")));
    }
    if let Some(name) = selector.device.as_ref().filter(|name| !set.devices.contains_key(*name)) {
        problems.push(codes::unknown_name("device", name, set.devices.keys().map(String::as_str), &at("device")));
    }
    match selector.condition.as_deref().map(Condition::compile) {
        Some(Err(error)) => {
            problems.push(Diagnostic::error("RMM0112", format!("the condition does not compile: {error}")).at(&at("where")));
        }
        Some(Ok(condition)) => {
            let spot = root.get("where").map_or(root.spot, |node| node.spot);
            problems.extend(unknown_facts(&condition, spot, &file));
        }
        None => {}
    }
    if problems.iter().any(|problem| problem.level == Level::Error) { Err(problems) } else { Ok(Selector::Match(selector)) }
}
