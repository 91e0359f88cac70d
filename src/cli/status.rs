//! `rmm status`: the fleet on one screen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, ago, clean, count, glyph, paint, thousands};
use super::table::{Output, document};
use crate::apply::survey::Survey;
use crate::model::alert::Subject;
use crate::model::plan::State;
use crate::model::{Alert, Severity};
use crate::plan::{PlanOptions, Scope};
use crate::report::health::{self, Condition};
use crate::store::Status;

/// As they are counted, the worst first.
const SEVERITIES: [Severity; 5] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

/// Devices with trouble that are named.
const NAMED: usize = 10;

/// Arguments of `rmm status`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rmm status\n  rmm status 'site=Berlin'\n  rmm status --output json")]
pub(super) struct StatusArgs {
    /// Devices, groups or key=value selectors; all devices without one
    pub(super) selectors: Vec<String>,
}

pub(super) fn run(global: &Global, args: &StatusArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    let now = context.clock.now();
    let scope = Scope::parse(&context.set, &args.selectors, &[])?;
    let survey = Survey::new(&context.set, &store, &context.secrets, &context.clock);
    let devices = survey.devices(&scope)?;
    let known: BTreeMap<String, _> = store.device_states()?.into_iter().map(|s| (s.name.clone(), s)).collect();
    let plan = survey.plan(&scope, &PlanOptions::default())?;
    let runs = store.unfinished_runs()?;
    let health = health::current(&store, &devices, |devices| survey.verdicts(devices), now)?;
    let condition = |wanted: Condition| health.values().filter(|health| health.condition == wanted).count();
    let daemon = store.daemon()?;
    let suspensions = store.suspensions()?;
    let open = store.open_alerts()?;
    let chosen: BTreeSet<&str> = devices.iter().map(|device| device.name.as_str()).collect();
    // What is about no device concerns everybody.
    let concerns = |alert: &&Alert| alert.key.subject.device().is_none_or(|device| chosen.contains(device) || args.selectors.is_empty());
    let lasting = |severity: Severity| open.iter().filter(concerns).filter(|alert| alert.severity == severity).count();
    let own: Vec<_> = open.iter().rev().filter(|alert| alert.key.subject == Subject::System).collect();
    let mut by_status: BTreeMap<Status, usize> = BTreeMap::new();
    for device in &devices {
        *by_status.entry(known.get(&device.name).map_or(Status::Unknown, |s| s.status)).or_default() += 1;
    }
    let n = |status: Status| by_status.get(&status).copied().unwrap_or(0);
    let prints = store.fingerprints()?;
    let observed = |name: &str| prints.binary_search_by(|p| p.device.as_str().cmp(name)).ok().map(|i| prints[i].oldest);
    let oldest = devices.iter().filter_map(|d| observed(&d.name).flatten()).min();
    let never = devices.iter().filter(|d| observed(&d.name).is_none()).count();
    if global.output != Output::Table {
        let states: serde_json::Map<String, serde_json::Value> =
            plan.summary.states.iter().map(|(s, n)| (s.to_string(), json!(n))).collect();
        let value = json!({
            "schema": "rmm.status/1", "repository": plan.repository, "commit": plan.commit, "devices": devices.len(),
            "status": { "online": n(Status::Online), "offline": n(Status::Offline), "error": n(Status::Error), "unknown": n(Status::Unknown) },
            "daemon": daemon.as_ref().map(|lease| json!({ "since": lease.acquired_at })), "suspended": suspensions.len(),
            "openAlerts": SEVERITIES.iter().map(|s| (s.to_string(), json!(lasting(*s)))).collect::<serde_json::Map<_, _>>(),
            "alerts": own.iter().map(|alert| json!({ "id": alert.id, "kind": alert.key.kind, "title": alert.title })).collect::<Vec<_>>(),
            "neverObserved": never, "oldestFacts": oldest, "settings": states, "unfinishedRuns": runs,
            "health": Condition::ALL.iter().map(|c| (c.to_string(), json!(condition(*c)))).collect::<serde_json::Map<_, _>>(),
        });
        super::print(&document(&value, global.output)?)?;
        return Ok(Exit::Done);
    }
    let dot = format!(" {} ", glyph("\u{b7}", "|"));
    let mut head = vec![
        plan.commit.as_ref().map_or_else(|| plan.repository.clone(), |c| format!("{} @ {c}", plan.repository)),
        count(devices.len(), "device", "devices"),
    ];
    head.extend(oldest.map(|o| format!("facts up to {} old", ago((now - o).num_seconds()))));
    let mut out = paint(Tone::Dim, head.join(&dot)) + "\n\n";
    let mut row = |name: &str, parts: Vec<(Tone, String)>| {
        let text: Vec<String> = parts.into_iter().map(|(tone, text)| paint(tone, text)).collect();
        let _ = writeln!(out, "  {}  {}", paint(Tone::Dim, format!("{name:9}")), text.join("   "));
    };
    let tone = |n: usize, bad: Tone| if n == 0 { Tone::Dim } else { bad };
    row(
        "devices",
        vec![
            (Tone::Good, format!("{} online", thousands(n(Status::Online)))),
            (tone(n(Status::Offline), Tone::Bad), format!("{} offline", thousands(n(Status::Offline)))),
            (tone(n(Status::Error), Tone::Bad), format!("{} with errors", thousands(n(Status::Error)))),
            (tone(n(Status::Unknown), Tone::Held), format!("{} not tried yet", thousands(n(Status::Unknown)))),
        ],
    );
    let how = |wanted: Condition, bad: Tone| {
        let n = condition(wanted);
        (tone(n, bad), format!("{} {wanted}", thousands(n)))
    };
    row(
        "health",
        vec![
            how(Condition::Healthy, Tone::Good),
            how(Condition::Warning, Tone::Change),
            how(Condition::Critical, Tone::Bad),
            how(Condition::Offline, Tone::Bad),
            how(Condition::Unknown, Tone::Held),
        ],
    );
    let s = |state: State| plan.summary.count(state) as usize;
    row(
        "settings",
        vec![
            (Tone::Good, format!("{} compliant", thousands(s(State::Compliant)))),
            (tone(s(State::Change), Tone::Change), format!("{} to change", thousands(s(State::Change)))),
            (tone(s(State::Report), Tone::Change), format!("{} to look at", thousands(s(State::Report)))),
            (tone(s(State::Held), Tone::Held), format!("{} held", thousands(s(State::Held)))),
            (tone(s(State::Unknown), Tone::Held), format!("{} unknown", thousands(s(State::Unknown)))),
            (tone(s(State::Conflict), Tone::Bad), format!("{} in conflict", thousands(s(State::Conflict)))),
        ],
    );
    let severity = |severity: Severity, bad: Tone| {
        let n = lasting(severity);
        (tone(n, bad), format!("{} {severity}", thousands(n)))
    };
    if SEVERITIES.iter().all(|severity| lasting(*severity) == 0) {
        row("alerts", vec![(Tone::Dim, "none open".into())]);
    } else {
        let [critical, high, medium, low, info] = SEVERITIES;
        let mut counts = vec![severity(critical, Tone::Bad), severity(high, Tone::Bad), severity(medium, Tone::Change)];
        counts.extend([severity(low, Tone::Plain), severity(info, Tone::Plain)]);
        row("alerts", counts);
    }
    if runs.is_empty() {
        row("runs", vec![(Tone::Dim, "none unfinished".into())]);
    }
    let leases = store.leases()?;
    for run in runs.iter().take(3) {
        if let Some(lease) = leases.iter().find(|l| l.run == run.id) {
            let since = ago((now - lease.acquired_at).num_seconds());
            row("runs", vec![(Tone::Change, format!("{} is being carried out, for {since}", run.id))]);
            continue;
        }
        row(
            "runs",
            vec![(
                Tone::Bad,
                format!("{} of {} is unfinished: rmm apply --resume {}", run.id, run.started_at.format("%F %H:%M UTC"), run.id),
            )],
        );
    }
    if let Some(lease) = &daemon {
        row("daemon", vec![(Tone::Good, format!("at work for {}", ago((now - lease.acquired_at).num_seconds())))]);
    }
    if !suspensions.is_empty() {
        row("suspended", vec![(Tone::Held, format!("{}: rmm suspend", thousands(suspensions.len())))]);
    }
    for alert in own.iter().take(3) {
        row("trouble", vec![(Tone::Bad, clean(&alert.title))]);
    }
    let trouble: Vec<_> =
        devices.iter().filter_map(|d| known.get(&d.name)).filter(|s| matches!(s.status, Status::Offline | Status::Error)).collect();
    if !trouble.is_empty() {
        out.push('\n');
        for state in trouble.iter().take(NAMED) {
            let since = state.since.map(|t| format!(" for {}", ago((now - t).num_seconds()))).unwrap_or_default();
            let _ = writeln!(
                out,
                "  {} {}  {}{}: {}",
                paint(Tone::Bad, "x"),
                clean(&state.name),
                state.status,
                since,
                clean(state.reason.as_deref().unwrap_or(""))
            );
        }
        if trouble.len() > NAMED {
            let _ = writeln!(out, "    and {} more: rmm devices list", trouble.len() - NAMED);
        }
    }
    if never > 0 {
        let _ = writeln!(out, "\n  {} never observed: rmm collect", count(never, "device was", "devices were"));
    }
    super::print(&out)?;
    Ok(Exit::Done)
}
