//! A review as results on lines: problems where they are, effects on the line that asks for them.

use super::groups::{groups, title};
use crate::diagnose::Level;
use crate::diagnose::sarif::{Finding, inside};
use crate::model::{Place, Risk};
use crate::plan::review::{Effect, Review};

pub(super) fn of(review: &Review, prefix: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = review.problems.iter().map(|p| Finding::of(&p.problem, prefix)).collect();
    let whole = |rule: &str, about: &str, level, message: String| Finding {
        identity: rule.to_owned(),
        ..finding(rule, about, level, message, &Place::file("rmm.toml"), prefix)
    };
    for reason in review.reasons.iter().filter(|reason| reason.rule != "invalid") {
        found.push(whole(&format!("review/{}", reason.rule), "refused by [review]", Level::Error, format!("Refused: {}", reason.message)));
    }
    let Some(effects) = &review.effects else { return found };
    for group in groups(effects) {
        let level = match group.effect {
            Effect::Conflict => Level::Error,
            Effect::Change if group.risk >= Some(Risk::Destructive) => Level::Error,
            Effect::Change | Effect::Drifting | Effect::Released | Effect::Unknown => Level::Warning,
            _ => Level::Note,
        };
        let n = super::super::style::count(group.devices.len(), "device", "devices");
        let reason = group.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let message = format!(
            "{}: {} {} on {n}: {} -> {}{reason}. {}",
            group.policy,
            group.setting,
            title(group.effect),
            group.from(),
            group.to,
            group.names()
        );
        let rule = format!("review/{}", group.effect);
        let identity = format!("{} {} {}", group.policy, group.setting, group.to);
        found.push(Finding { identity, ..finding(&rule, title(group.effect), level, message, group.place, prefix) });
    }
    if effects.unmanaged > 0 {
        let names: Vec<&str> = effects.items.iter().filter(|i| i.unmanaged).map(|i| i.device.as_str()).take(10).collect();
        let message = format!("{} device(s) fall out of every policy: {}", effects.unmanaged, names.join(", "));
        found.push(whole("review/out-of-policies", "devices fall out of every policy", Level::Warning, message));
    }
    found
}

fn finding(rule: &str, about: &str, level: Level, message: String, place: &Place, prefix: &str) -> Finding {
    Finding {
        rule: rule.to_owned(),
        about: about.to_owned(),
        level,
        message: super::super::style::clean(&message),
        file: inside(&place.file, prefix),
        line: place.line,
        column: place.column,
        length: place.length,
        identity: String::new(),
    }
}
