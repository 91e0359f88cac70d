//! A review for the terminal: what differs, what it would do, and whether it may pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::groups::{groups, title, verdict};
use crate::cli::style::{Tone, ago, clean, colored, count, paint};
use crate::plan::review::{Difference, Effect, How, Review};

/// Most lines of one part; a report holds all of it.
const MOST: usize = 200;

pub(super) fn render(review: &Review, sources: &BTreeMap<Arc<str>, String>) -> String {
    let commit = |side: &crate::plan::review::Side| {
        side.commit
            .as_ref()
            .map_or_else(|| side.name.clone(), |commit| format!("{} ({})", side.name, commit.chars().take(7).collect::<String>()))
    };
    let mut out =
        format!("{} .. {}\n", paint(Tone::Strong, clean(&commit(&review.base))), paint(Tone::Strong, clean(&commit(&review.head))));
    let problems = |new: bool| -> Vec<_> { review.problems.iter().filter(|p| p.new == new).map(|p| p.problem.clone()).collect() };
    for (heading, list) in [("New problems", problems(true)), ("Problems that were there before", problems(false))] {
        if !list.is_empty() {
            out += &format!("\n{heading}\n\n{}", crate::diagnose::render(&list, &|file| sources.get(file).cloned(), colored()));
        }
    }
    if review.valid && review.effects.is_some() {
        out += &format!("\n{}\n", paint(Tone::Strong, "What differs"));
        if review.differences.is_empty() {
            out += "  nothing: only order, layout or comments\n";
        }
        for difference in review.differences.iter().take(MOST) {
            out += &line(difference);
        }
        out += &more(review.differences.len());
    }
    if let Some(effects) = &review.effects {
        let groups = groups(effects);
        if !groups.is_empty() || effects.unmanaged > 0 {
            out += &format!("\n{}\n", paint(Tone::Strong, "What it would do"));
        }
        for group in groups.iter().take(MOST) {
            let tone = match group.effect {
                Effect::Conflict | Effect::Released => Tone::Bad,
                Effect::Change | Effect::Drifting => Tone::Change,
                Effect::Compliant => Tone::Good,
                Effect::Held => Tone::Held,
                _ => Tone::Dim,
            };
            let mut notes = Vec::new();
            if let Some(was) = group.was {
                notes.push(format!("was wanted: {was}"));
            }
            notes.extend(group.risk.filter(|r| *r > crate::model::Risk::Low).map(|r| format!("risk {r}")));
            notes.extend(group.reboot.filter(|r| *r != crate::model::Reboot::Never).map(|r| format!("restart {r}")));
            notes.extend(group.reason.map(str::to_owned));
            let notes = if notes.is_empty() { String::new() } else { format!("  [{}]", clean(&notes.join("; "))) };
            out += &format!(
                "  {} {} {}: {} -> {}{notes}\n      {} {}: {}\n",
                paint(tone, title(group.effect)),
                paint(Tone::Strong, clean(group.setting)),
                paint(Tone::Dim, clean(&format!("{} {}", group.policy, group.place))),
                clean(&group.from()),
                clean(group.to),
                "on",
                count(group.devices.len(), "device", "devices"),
                clean(&group.names()),
            );
        }
        out += &more(groups.len());
        if effects.unmanaged > 0 {
            let names: Vec<&str> = effects.items.iter().filter(|i| i.unmanaged).map(|i| i.device.as_str()).take(10).collect();
            let devices = count(effects.unmanaged, "device falls", "devices fall");
            out += &format!("  {}: {}\n", paint(Tone::Bad, format!("{devices} out of every policy")), clean(&names.join(", ")));
        }
        out += &format!("\n{}\n", verdict(effects));
        if effects.affected > 0 {
            let shares: Vec<String> = effects
                .shares
                .iter()
                .take(6)
                .map(|s| format!("{} {} {} of {} ({} %)", s.kind, clean(&s.name), s.affected, s.devices, s.percent))
                .collect();
            if !shares.is_empty() {
                out += &format!("Most affected: {}.\n", shares.join(", "));
            }
        }
    }
    if let Some(state) = &review.state
        && let Some(oldest) = state.oldest
    {
        let age = ago((review.created_at - oldest).num_seconds());
        out += &format!("{}\n", paint(Tone::Dim, format!("From {}; the oldest fact is {age} old.", clean(&state.source))));
    }
    if review.passed {
        out += &format!("{} nothing that [review] refuses\n", paint(Tone::Good, "May pass:"));
    } else {
        let reasons: Vec<String> = review.reasons.iter().map(|r| format!("{} ({})", r.message, r.rule)).collect();
        out += &format!("{} {}\n", paint(Tone::Bad, "Refused:"), reasons.join("; "));
    }
    out
}

fn more(n: usize) -> String {
    if n > MOST { format!("  ... and {} more; --format json has all\n", n - MOST) } else { String::new() }
}

fn line(difference: &Difference) -> String {
    let (sign, tone) = match difference.how {
        How::Added => ("+", Tone::Good),
        How::Removed => ("-", Tone::Bad),
        How::Changed => ("~", Tone::Change),
    };
    let member = if difference.member.is_empty() { String::new() } else { format!(" {}", difference.member) };
    let values = values(difference);
    format!(
        "  {} {} {}{}{}  {}\n",
        paint(tone, sign),
        difference.kind,
        paint(Tone::Strong, clean(&difference.name)),
        clean(&member),
        if values.is_empty() { String::new() } else { format!(": {}", clean(&values)) },
        paint(Tone::Dim, clean(&difference.place.to_string()))
    )
}

/// From and to in words. What lists gained and lost stands with a sign.
pub(super) fn values(difference: &Difference) -> String {
    let list = matches!(difference.member.as_str(), "targets" | "exclude" | "members" | "groups" | "tags")
        || difference.member.starts_with("references.");
    match (&difference.from, &difference.to) {
        (Some(from), Some(to)) if list => format!("-{from}  +{to}"),
        (Some(from), None) if list && difference.how == How::Changed => format!("-{from}"),
        (None, Some(to)) if list && difference.how == How::Changed => format!("+{to}"),
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    }
}
