//! A review for the terminal: what differs, what it would do, and whether it may pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use unicode_width::UnicodeWidthStr as _;

use super::groups::{Group, groups, title, verdict};
use crate::cli::style::{Tone, ago, clean, colored, count, glyph, paint};
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
        let rows: Vec<[String; 4]> = review.differences.iter().take(MOST).map(row).collect();
        for (difference, row) in review.differences.iter().zip(&rows) {
            let (sign, tone) = sign(difference.how);
            out += &format!("  {} {}\n", paint(tone, sign), aligned(row, &widths(&rows)));
        }
        out += &more(review.differences.len());
    }
    if let Some(effects) = &review.effects {
        let groups = groups(effects);
        if !groups.is_empty() || effects.unmanaged > 0 {
            out += &format!("\n{}\n", paint(Tone::Strong, "What it would do"));
        }
        let rows: Vec<[String; 4]> = groups.iter().take(MOST).map(impact).collect();
        let mut heading = None;
        for (group, row) in groups.iter().zip(&rows) {
            if heading.replace(group.effect) != Some(group.effect) {
                out += &format!("  {}\n", paint(tone(group.effect), capital(title(group.effect))));
            }
            out += &format!("    {}\n", aligned(row, &widths(&rows)));
            let notes = notes(group);
            if !notes.is_empty() {
                out += &format!("      {}\n", paint(Tone::Dim, clean(&notes)));
            }
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

fn sign(how: How) -> (&'static str, Tone) {
    match how {
        How::Added => ("+", Tone::Good),
        How::Removed => ("-", Tone::Bad),
        How::Changed => ("~", Tone::Change),
    }
}

fn tone(effect: Effect) -> Tone {
    match effect {
        Effect::Conflict | Effect::Released => Tone::Bad,
        Effect::Change | Effect::Drifting => Tone::Change,
        Effect::Compliant => Tone::Good,
        Effect::Held => Tone::Held,
        _ => Tone::Dim,
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What differs, of what, how, and where it stands.
fn row(difference: &Difference) -> [String; 4] {
    let member = difference.member.strip_prefix("settings.").unwrap_or(&difference.member);
    let name = format!("{} {}", difference.kind, clean(&difference.name));
    [name, clean(member), clean(&values(difference)), clean(&difference.place.to_string())]
}

/// The setting, from and to, the devices, and the line that asks for it.
fn impact(group: &Group<'_>) -> [String; 4] {
    let arrow = glyph("\u{2192}", "->");
    let devices = format!("{}: {}", count(group.devices.len(), "device", "devices"), group.names());
    let change = format!("{} {arrow} {}", clean(&group.from()), clean(group.to));
    [clean(group.setting), change, clean(&devices), clean(&format!("{}  {}", group.policy, group.place))]
}

/// What else a reviewer wants to know of it.
fn notes(group: &Group<'_>) -> String {
    let mut notes = Vec::new();
    notes.extend(group.was.map(|was| format!("was wanted: {was}")));
    notes.extend(group.risk.filter(|r| *r > crate::model::Risk::Low).map(|r| format!("risk {r}")));
    notes.extend(group.reboot.filter(|r| *r != crate::model::Reboot::Never).map(|r| format!("restart {r}")));
    notes.extend(group.reason.map(str::to_owned));
    notes.join("; ")
}

/// Columns are as wide as their widest entry, up to this.
const WIDEST: usize = 52;

fn widths(rows: &[[String; 4]]) -> [usize; 3] {
    [0, 1, 2].map(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0).min(WIDEST))
}

/// One line of columns; the last one is context.
fn aligned(row: &[String; 4], widths: &[usize; 3]) -> String {
    let mut out = String::new();
    for (text, width) in row.iter().zip(widths).filter(|(_, width)| **width > 0) {
        let gap = " ".repeat(width.saturating_sub(text.width()) + 3);
        out += &if out.is_empty() { paint(Tone::Strong, text) } else { text.clone() };
        out += &gap;
    }
    out.push_str(&paint(Tone::Dim, &row[3]));
    out
}

/// From and to in words. What lists gained and lost stands with a sign.
pub(super) fn values(difference: &Difference) -> String {
    let list = matches!(difference.member.as_str(), "targets" | "exclude" | "members" | "groups" | "tags")
        || difference.member.starts_with("references.");
    match (&difference.from, &difference.to) {
        (Some(from), Some(to)) if list => format!("-{from}  +{to}"),
        (Some(from), None) if list && difference.how == How::Changed => format!("-{from}"),
        (None, Some(to)) if list && difference.how == How::Changed => format!("+{to}"),
        (Some(from), Some(to)) => {
            let (from, to) = apart(from, to);
            format!("{from} {} {to}", glyph("\u{2192}", "->"))
        }
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    }
}

/// Of two maps in words, `content=x  mode=0640`, what is not the same in both.
fn apart(from: &str, to: &str) -> (String, String) {
    let parts = |text: &str| -> Vec<String> { text.split("  ").map(str::to_owned).collect() };
    let (old, new) = (parts(from), parts(to));
    if old.len() < 2 || old.len() != new.len() || !old.iter().chain(&new).all(|part| part.contains('=')) {
        return (from.to_owned(), to.to_owned());
    }
    let differ = |one: &[String], other: &[String]| {
        one.iter().zip(other).filter(|(a, b)| a != b).map(|(a, _)| a.as_str()).collect::<Vec<_>>().join("  ")
    };
    (differ(&old, &new), differ(&new, &old))
}
