//! A plan as people read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::{DateTime, Utc};
use unicode_width::UnicodeWidthStr;

use super::style::{Tone, ago, clean, count, glyph, paint, thousands};
use crate::model::plan::{Change, DevicePlan, Plan, State};
use crate::model::{Reboot, Risk};

/// More alike lines than this of one device are folded into one.
const FOLD: usize = 3;

/// What to show besides changes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Show {
    /// Commands under each change.
    pub(super) commands: bool,
    /// Unsupported settings, and unknown ones one by one.
    pub(super) verbose: bool,
    /// Columns of the terminal; `None` where lines may have any length.
    pub(super) width: Option<usize>,
}

/// Commands longer than this are broken where the shell allows it.
const COMMAND: usize = 100;

/// The whole plan, ending with the summary line.
pub(super) fn render(plan: &Plan, show: Show, now: DateTime<Utc>) -> String {
    let mut out = head(plan, now);
    let shown: Vec<(&DevicePlan, Vec<&Change>)> = plan
        .devices
        .iter()
        .map(|d| (d, d.changes.iter().filter(|c| show.verbose || c.state != State::Unsupported).collect::<Vec<_>>()))
        .filter(|(_, changes)| !changes.is_empty())
        .collect();
    let alike = alike(&shown, show);
    for (device, changes) in &shown {
        if alike.values().any(|names| names.contains(&&*device.device)) {
            continue;
        }
        out.push('\n');
        out.push_str(&device_head(device));
        let (folded, single) = fold(changes, show);
        let width = |f: &dyn Fn(&Change) -> String, most: usize| single.iter().map(|c| f(c).width()).max().unwrap_or(0).min(most);
        let labels = width(&|c| clean(&c.label()), 52);
        let values = width(&|c| from_to(c), 52);
        let policies = width(&|c| c.policy.to_string(), 32);
        let places = width(&|c| c.place.to_string(), 48);
        // On a terminal the column of values takes what the others leave; the few that are longer get a second line.
        let values = show.width.map_or(values, |terminal| values.min(terminal.saturating_sub(labels + policies + places + 15).max(20)));
        for change in &single {
            change_line(&mut out, change, [labels, values, policies, places], show);
        }
        for (reason, n) in folded {
            unknown_line(&mut out, n, &reason);
        }
    }
    for ((reason, n), names) in &alike {
        let named: Vec<String> = names.iter().map(|name| clean(name)).collect();
        let _ = write!(out, "\n  {}  ", paint(Tone::Strong, count(names.len(), "device", "devices")));
        let _ = writeln!(out, "{}", paint(Tone::Dim, super::confirm::first_few(&named)));
        unknown_line(&mut out, n * names.len(), reason);
    }
    out.push('\n');
    out.push_str(&summary(plan));
    out
}

/// `fleet @ 3f2c1ab · 150 devices · facts 40 s old`
fn head(plan: &Plan, now: DateTime<Utc>) -> String {
    let dot = format!(" {} ", glyph("\u{b7}", "|"));
    let mut parts = vec![match &plan.commit {
        Some(commit) => format!("{} @ {commit}", plan.repository),
        None => plan.repository.clone(),
    }];
    parts.push(count(plan.summary.devices as usize, "device", "devices"));
    if let Some(oldest) = plan.devices.iter().filter_map(|d| d.facts_at).min() {
        parts.push(format!("facts {} old", ago((now - oldest).num_seconds())));
    }
    if let Some(scope) = &plan.scope {
        parts.push(clean(scope));
    }
    paint(Tone::Dim, parts.join(&dot)) + "\n"
}

fn device_head(device: &DevicePlan) -> String {
    let dot = format!(" {} ", glyph("\u{b7}", "|"));
    let mut about: Vec<String> = Vec::new();
    about.extend(device.os.iter().map(|s| clean(s)));
    about.extend(device.site.iter().map(|s| clean(s)));
    if !device.groups.is_empty() {
        about.push(clean(&device.groups.join(", ")));
    }
    format!("  {}  {}\n", paint(Tone::Strong, clean(&device.device)), paint(Tone::Dim, about.join(&dot)))
}

fn unknown_line(out: &mut String, n: usize, reason: &str) {
    let text = format!("{}: {}", count(n, "setting", "settings"), clean(reason));
    let _ = writeln!(out, "    {} {}", paint(Tone::Held, "?"), paint(Tone::Dim, text));
}

/// Devices of which nothing but the same number of settings is unknown, for one same reason, in more than a few: a fleet
/// that was never observed is one line, not thousands.
fn alike<'a>(shown: &[(&'a DevicePlan, Vec<&'a Change>)], show: Show) -> BTreeMap<(String, usize), BTreeSet<&'a str>> {
    let mut alike: BTreeMap<(String, usize), BTreeSet<&str>> = BTreeMap::new();
    for (device, changes) in shown {
        let (mut folded, single) = fold(changes, show);
        if let (true, 1, Some(only)) = (single.is_empty(), folded.len(), folded.pop()) {
            alike.entry(only).or_default().insert(&device.device);
        }
    }
    alike.retain(|_, names| names.len() > FOLD);
    alike
}

/// Many settings that are unknown for one reason become one line.
fn fold<'a>(changes: &[&'a Change], show: Show) -> (Vec<(String, usize)>, Vec<&'a Change>) {
    let mut reasons: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for change in changes.iter().filter(|c| c.state == State::Unknown) {
        *reasons.entry(change.reason.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let folds = |c: &Change| {
        !show.verbose && c.state == State::Unknown && reasons.get(c.reason.as_deref().unwrap_or_default()).is_some_and(|n| *n > FOLD)
    };
    let single = changes.iter().filter(|c| !folds(c)).copied().collect();
    let folded =
        if show.verbose { Vec::new() } else { reasons.iter().filter(|(_, n)| **n > FOLD).map(|(r, n)| ((*r).to_owned(), *n)).collect() };
    (folded, single)
}

fn from_to(change: &Change) -> String {
    match change.state {
        State::Unknown | State::Unsupported => change.to.clone(),
        _ if change.restart => change.to.clone(),
        State::Compliant => change.to.clone(),
        _ => format!("{} {} {}", clean(&change.from), glyph("\u{2192}", "->"), clean(&change.to)),
    }
}

/// The sign in front, and its colour.
fn sign(change: &Change) -> (&'static str, Tone) {
    match change.state {
        State::Compliant => ("=", Tone::Good),
        State::Held => (glyph("\u{2016}", "|"), Tone::Held),
        State::Report => ("!", Tone::Change),
        State::Unknown => ("?", Tone::Held),
        State::Unsupported => (".", Tone::Dim),
        State::Conflict => ("x", Tone::Bad),
        State::Change if change.restart => (glyph("\u{21bb}", "@"), Tone::Change),
        State::Change if change.from.starts_with("(absent)") => ("+", Tone::Good),
        State::Change if change.to.starts_with("(absent)") || change.to.starts_with("absent") => ("-", Tone::Bad),
        State::Change => ("~", Tone::Change),
    }
}

fn change_line(out: &mut String, change: &Change, [labels, values, policies, places]: [usize; 4], show: Show) {
    let pad = |text: &str, width: usize| format!("{text}{}", " ".repeat(width.saturating_sub(text.width())));
    let (sign, tone) = sign(change);
    let tail = match change.state {
        State::Held => change.held.as_ref().map(|h| format!("held: {}", clean(&h.reason))).unwrap_or_default(),
        State::Unknown => format!("unknown: {}", clean(change.reason.as_deref().unwrap_or("not observed"))),
        State::Unsupported => format!("unsupported: {}", clean(change.reason.as_deref().unwrap_or("not on this platform"))),
        State::Conflict => match &change.other {
            Some((policy, place)) => format!("conflict: {} ({}) against {policy} ({place})", change.policy, change.place),
            None => "conflict".into(),
        },
        _ => format!("{}   {}", pad(&clean(&change.policy), policies), pad(&clean(&change.place.to_string()), places)),
    };
    let mut marks = String::new();
    if change.state == State::Report {
        marks.push_str("   report only");
    }
    if let (true, Some(reason)) = (change.restart, &change.reason) {
        let _ = write!(marks, "   {}", clean(reason));
    }
    if matches!(change.state, State::Change) {
        if change.risk >= Risk::High {
            let _ = write!(marks, "   risk {}", change.risk);
        }
        match change.reboot {
            Reboot::Always => marks.push_str("   reboots"),
            Reboot::Maybe => marks.push_str("   may need a reboot"),
            Reboot::Never => {}
        }
    }
    let tail = if marks.is_empty() { tail.trim_end().to_owned() } else { tail };
    let label = pad(&clean(&change.label()), labels);
    let values = pad(&from_to(change), values);
    let fits = |width: usize| show.width.is_none_or(|terminal| width <= terminal);
    let before = 6 + label.width() + 3 + values.trim_end().width();
    let whole = 6 + label.width() + 3 + values.width() + 3 + tail.trim_end().width();
    // The sign says `report only` too.
    let marks = if change.state == State::Report && !fits(whole + marks.width()) { String::new() } else { marks };
    let gap = if fits(whole + marks.width()) { "   ".to_owned() } else { format!("\n{}", " ".repeat(8)) };
    let (label, values) = match (gap.starts_with('\n'), fits(before)) {
        (true, false) => (label.trim_end(), values.trim_end()),
        (true, true) => (label.as_str(), values.trim_end()),
        _ => (label.as_str(), values.as_str()),
    };
    let tail = if gap.starts_with('\n') || marks.is_empty() { tail.trim_end() } else { tail.as_str() };
    let line = format!("    {} {label}   {values}{gap}{}{}", paint(tone, sign), paint(Tone::Dim, tail), paint(Tone::Change, marks));
    let _ = writeln!(out, "{}", line.trim_end());
    if show.commands {
        for command in &change.commands {
            for (i, text) in broken(&command.line).iter().enumerate() {
                let prompt = if i == 0 { "$ " } else { "  " };
                let _ = writeln!(out, "        {}{}", paint(Tone::Dim, prompt), clean(text));
            }
            if let Some(bytes) = command.input_bytes {
                let text = format!("  < {} on its standard input", count(bytes, "byte", "bytes"));
                let _ = writeln!(out, "        {}", paint(Tone::Dim, text));
            }
        }
    }
}

/// A long command, broken after `;`, `&&` and `||` outside of quotes: for the shell it is the same command.
pub(super) fn broken(command: &str) -> Vec<String> {
    // A command of several lines may hold a text in which a line feed means itself.
    if command.contains('\n') || command.chars().count() <= COMMAND || command.contains("<<") {
        return command.lines().map(str::to_owned).collect();
    }
    let (mut parts, mut part, mut quote, mut escaped) = (Vec::new(), String::new(), None, false);
    for c in command.chars() {
        let ends = c == ' ' && quote.is_none() && !escaped && [";", "&&", "||"].iter().any(|s| part.ends_with(s));
        part.push(c);
        if ends {
            parts.push(std::mem::take(&mut part));
        }
        match (quote, c) {
            (Some('\''), '\'') => quote = None,
            (Some('"'), '"') | (None, '\'' | '"') if !escaped => quote = if quote.is_some() { None } else { Some(c) },
            _ => {}
        }
        escaped = c == '\\' && !escaped && quote != Some('\'');
    }
    parts.push(part);
    let mut lines: Vec<String> = Vec::new();
    for part in parts.into_iter().filter(|p| !p.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.trim_end().chars().count() <= COMMAND => line.push_str(&part),
            _ => lines.push(part),
        }
    }
    lines.into_iter().enumerate().map(|(i, l)| if i == 0 { l.trim_end().to_owned() } else { format!("  {}", l.trim_end()) }).collect()
}

/// `Plan: 2 changes on 1 device, 2 held, 3,596 compliant, 0 unknown.   Risk: 1 low, 1 none.   Reboots: 0`
pub(super) fn summary(plan: &Plan) -> String {
    let s = &plan.summary;
    let n = |state| s.count(state) as usize;
    let changes = n(State::Change);
    let mut parts = Vec::new();
    if changes == 0 {
        parts.push("nothing to do".to_owned());
    } else {
        parts.push(format!("{} on {}", count(changes, "change", "changes"), count(s.devices_changing as usize, "device", "devices")));
    }
    for (state, word) in [(State::Report, "to look at"), (State::Held, "held"), (State::Conflict, "in conflict")] {
        if n(state) > 0 {
            parts.push(format!("{} {word}", thousands(n(state))));
        }
    }
    parts.push(format!("{} compliant", thousands(n(State::Compliant))));
    parts.push(format!("{} unknown", thousands(n(State::Unknown))));
    if n(State::Unsupported) > 0 {
        parts.push(format!("{} unsupported", thousands(n(State::Unsupported))));
    }
    let mut line = paint(Tone::Strong, format!("Plan: {}.", parts.join(", ")));
    if changes > 0 {
        let risks: Vec<String> = [Risk::Destructive, Risk::High, Risk::Low, Risk::None]
            .into_iter()
            .filter(|r| s.risk(*r) > 0)
            .map(|r| format!("{} {r}", thousands(s.risk(r) as usize)))
            .collect();
        let _ = write!(line, "   Risk: {}.   Reboots: {}", risks.join(", "), s.reboots);
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_broken_where_the_shell_reads_on_and_nowhere_else() {
        let text = "a; b && c || d ".repeat(4);
        let command = format!("f=/etc/x; echo '{text}' \"{text}\\\"; x\" one\\; && {{ two; }} || three");
        let lines = broken(&command);
        assert_eq!(lines.iter().map(|l| l.trim()).collect::<Vec<_>>().join(" "), command);
        assert!(lines.len() > 1, "{lines:?}");
        let run = |script: &str| std::process::Command::new("sh").args(["-c", script]).output().unwrap().stdout;
        let command = format!("x=1; echo '{text}' && {{ echo \"{text}\" || exit 3; }}; for i in 1 2; do echo \"$i; $x\"; done");
        assert_eq!(run(&broken(&command).join("\n")), run(&command));
        assert_eq!(broken("true && false"), ["true && false"]);
    }
}
