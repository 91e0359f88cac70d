//! A plan as people read it.

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
}

/// The whole plan, ending with the summary line.
pub(super) fn render(plan: &Plan, show: Show, now: DateTime<Utc>) -> String {
    let mut out = head(plan, now);
    let shown: Vec<(&DevicePlan, Vec<&Change>)> = plan
        .devices
        .iter()
        .map(|d| (d, d.changes.iter().filter(|c| show.verbose || c.state != State::Unsupported).collect::<Vec<_>>()))
        .filter(|(_, changes)| !changes.is_empty())
        .collect();
    for (device, changes) in &shown {
        out.push('\n');
        out.push_str(&device_head(device));
        let (folded, single) = fold(changes, show);
        let width = |f: &dyn Fn(&Change) -> String, most: usize| single.iter().map(|c| f(c).width()).max().unwrap_or(0).min(most);
        let labels = width(&|c| clean(&c.label()), 44);
        let values = width(&|c| from_to(c), 52);
        let policies = width(&|c| c.policy.to_string(), 32);
        for change in &single {
            change_line(&mut out, change, (labels, values, policies), show);
        }
        for (reason, n) in folded {
            let text = format!("{}: {}", count(n, "setting", "settings"), clean(&reason));
            let _ = writeln!(out, "    {} {}", paint(Tone::Held, "?"), paint(Tone::Dim, text));
        }
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

fn change_line(out: &mut String, change: &Change, (labels, values, policies): (usize, usize, usize), show: Show) {
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
        _ => format!("{}   {}", pad(&change.policy, policies), change.place),
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
    let label = pad(&clean(&change.label()), labels);
    let line = format!(
        "    {} {label}   {}   {}{}",
        paint(tone, sign),
        pad(&from_to(change), values),
        paint(Tone::Dim, tail),
        paint(Tone::Change, marks)
    );
    let _ = writeln!(out, "{}", line.trim_end());
    if show.commands {
        for command in &change.commands {
            for (i, text) in command.line.lines().enumerate() {
                let prompt = if i == 0 { "$ " } else { "  " };
                let _ = writeln!(out, "        {}{}", paint(Tone::Dim, prompt), clean(text));
            }
            if let Some(bytes) = command.input_bytes {
                let _ = writeln!(out, "        {}", paint(Tone::Dim, format!("  < {}", count(bytes, "byte", "bytes"))));
            }
        }
    }
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
