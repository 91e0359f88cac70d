//! `rmm why`: fact, rule, layer, line, commit: the whole reason for one verdict.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, ago, clean, paint};
use super::table::{Output, document};
use crate::access::Secrets as _;
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::plan::{Change, State};
use crate::model::policy::GuardKind;
use crate::model::{Device, Facts, Place, Policy, Remediate, Setting};
use crate::plan::{PlanOptions, Planner, Scope};
use crate::repo::{Blame, blame};

/// Arguments of `rmm why`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rmm why web-1 Services.sshd\n  rmm why web-1 Timezone --output json\n  rmm why web-1 Services")]
pub(super) struct WhyArgs {
    /// Device
    pub(super) device: String,
    /// Setting, or one key of it: Timezone, Services.sshd
    pub(super) setting: String,
}

pub(super) fn run(global: &Global, args: &WhyArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let device = find_device(&context, &args.device)?;
    let name = args.setting.split('.').next().unwrap_or_default().to_owned();
    // Refuses a setting that does not exist, and says which one was probably meant.
    Scope::parse(&context.set, &[], std::slice::from_ref(&args.setting))?;
    let store = context.store()?;
    let facts = store.facts(&device.name, None)?;
    let secrets = |name: &str| context.secrets.resolve(name).ok();
    let planner = Planner::new(&context.set, &secrets);
    let now = context.clock.now();
    let options = PlanOptions { compliant: true, ..PlanOptions::default() };
    let plan = planner.decide(device, planner.evaluate(device, &facts, &options, now), &options, now);
    let asked = |change: &&Change| *change.setting == *name && (args.setting == name || change.label() == args.setting);
    let found: Vec<&Change> = plan.changes.iter().filter(asked).collect();
    if found.is_empty() {
        return Err(nobody(&context, device, &args.setting));
    }
    let look = Look { context: &context, planner: &planner, device, facts: &facts, now };
    let reasons: Vec<Value> = found.iter().map(|change| look.reason(change)).collect();
    let text = if global.output == Output::Table {
        let parts: Vec<String> = reasons.iter().map(|reason| human(reason, now)).collect();
        parts.join("\n")
    } else {
        document(&json!({ "schema": "rmm.why/1", "device": device.name, "settings": reasons }), global.output)?
    };
    super::print(&text)?;
    Ok(Exit::Done)
}

/// A declared device, or a failure that says which one was probably meant.
pub(super) fn find_device<'a>(context: &'a Context, name: &str) -> Result<&'a Device, Failure> {
    context.set.devices.get(name).map(|device| &**device).ok_or_else(|| {
        let near = did_you_mean(name, context.set.devices.keys().map(String::as_str));
        let advice = near.map_or_else(|| "`rmm devices list` lists them".to_owned(), |near| format!("did you mean '{near}'?"));
        Failure::new(Exit::Usage, Diagnostic::error("RMM0310", format!("there is no device '{name}'")).advice(advice))
    })
}

fn nobody(context: &Context, device: &Device, setting: &str) -> Failure {
    let name = setting.split('.').next().unwrap_or_default();
    let elsewhere: Vec<String> = context
        .set
        .policies
        .iter()
        .filter(|policy| policy.settings.iter().any(|s| *s.name == *name))
        .map(|policy| format!("{} ({})", policy.name, policy.place))
        .collect();
    let advice = if elsewhere.is_empty() {
        "no policy of this repository sets it".to_owned()
    } else {
        format!("set for other devices or keys by {}", elsewhere.join(", "))
    };
    let problem = Diagnostic::error("RMM0536", format!("no policy that is for {} sets {setting}", device.name));
    Failure::new(Exit::Error, problem.advice(advice))
}

/// What the reasons are put together from.
struct Look<'a> {
    context: &'a Context,
    planner: &'a Planner<'a>,
    device: &'a Device,
    facts: &'a Facts,
    now: DateTime<Utc>,
}

impl Look<'_> {
    /// The whole reason as a document; the human form is made from it, so that the two never differ.
    fn reason(&self, change: &Change) -> Value {
        let def = self.context.set.catalog.settings.get(&change.setting);
        let section = def.map(|def| def.probe.clone().unwrap_or_else(|| def.observe.clone())).unwrap_or_default();
        let collected = self.facts.section(&section).map(|(section, _)| section.collected_at);
        let whole = self.facts.sections.keys().find(|name| section == ***name || section.starts_with(&format!("{name}.")));
        let policy = self.planner_policy(&change.policy);
        let resolution = self.planner.resolve(self.device, self.facts);
        let mut others = Vec::new();
        for (i, other) in self.context.set.policies.iter().enumerate() {
            let Some(setting) = other.settings.iter().find(|s| Self::same(s, change, other)) else { continue };
            if other.name == change.policy && setting.place == change.place {
                continue;
            }
            let uncertain = resolution.uncertain.iter().find(|(n, _)| *n == i).map(|(_, why)| why.clone());
            let applies = resolution.policies.contains(&i);
            let same = policy.is_some_and(|winner| winner.priority == other.priority);
            let why = match (applies, uncertain) {
                (true, _) if change.state == State::Conflict && same => "has the same priority and another value".to_owned(),
                (true, _) if same => "has the same priority and the same value".to_owned(),
                (true, _) => "has a lower priority".to_owned(),
                (false, Some(why)) => format!("it is not known whether it is for this device: {why}"),
                (false, None) => continue,
            };
            others.push(json!({
                "policy": other.name, "priority": other.priority, "value": crate::plan::placeholders(&setting.value),
                "why": why, "place": setting.place, "blame": self.blame(&setting.place),
            }));
        }
        json!({
            "setting": change.label(),
            "state": change.state,
            "observed": { "value": change.observed, "text": change.from, "section": whole.map_or(section.as_str(), |name| &**name), "path": section, "collectedAt": change.observed_at.or(collected) },
            "desired": { "value": crate::plan::placeholders(&change.desired), "text": change.to },
            "rule": def.map(|def| json!({ "compare": def.compare, "observes": def.observe, "probe": def.probe, "setting": def.file })),
            "reason": change.reason,
            "held": change.held,
            "policy": policy.map(|policy| json!({
                "name": policy.name, "priority": policy.priority, "remediate": remediate(policy.remediate), "severity": policy.severity,
                "references": policy.references, "activeHours": policy.active.map(|window| window.to_string()),
                "inForce": policy.active.is_none_or(|window| window.contains(self.now)),
            })),
            "place": change.place,
            "blame": self.blame(&change.place),
            "targeted": policy.map(|policy| self.targeted(policy)),
            "others": others,
            "exceptions": policy.map(|policy| self.exceptions(policy, change)),
            "guards": self.guards(&resolution.policies),
        })
    }

    fn planner_policy(&self, name: &str) -> Option<&Policy> {
        self.context.set.policies.iter().find(|policy| *policy.name == *name).map(|policy| &**policy)
    }

    /// Whether a line of a policy is about the same setting; a key with a template is the one that this change came from.
    fn same(setting: &Setting, change: &Change, policy: &Policy) -> bool {
        setting.name == change.setting && (setting.key == change.key || (policy.name == change.policy && setting.place == change.place))
    }

    fn targeted(&self, policy: &Policy) -> Value {
        let reasons = self.planner.why_targeted(policy, self.device, self.facts);
        reasons.iter().map(|reason| json!({ "why": reason.text, "place": reason.place })).collect()
    }

    fn exceptions(&self, policy: &Policy, change: &Change) -> Value {
        let zone = policy.active.map_or(chrono_tz::Tz::UTC, |window| window.zone());
        let label = change.label();
        let about = |e: &&crate::model::Exception| {
            e.device == self.device.name && e.setting.as_deref().is_none_or(|s| *s == *change.setting || s == label)
        };
        let exceptions = policy.exceptions.iter().filter(about);
        exceptions
            .map(|e| {
                json!({
                    "reason": e.reason, "approvedBy": e.approved_by, "until": e.until,
                    "inForce": e.covers(&self.device.name, &change.setting, change.key.as_deref(), self.now, zone),
                    "place": e.place, "blame": self.blame(&e.place),
                })
            })
            .collect()
    }

    fn guards(&self, policies: &[usize]) -> Value {
        let guarding = policies.iter().filter_map(|i| self.context.set.policies.get(*i));
        guarding
            .flat_map(|policy| policy.guards.iter().filter(|guard| !guard.allow).map(move |guard| (policy, guard)))
            .map(|(policy, guard)| {
                let kind = match guard.kind {
                    GuardKind::AllowChanges => "AllowChanges",
                    GuardKind::AllowUpdates => "AllowUpdates",
                    GuardKind::AllowReboots => "AllowReboots",
                };
                json!({
                    "policy": policy.name, "guard": kind, "inForce": policy.active.is_none_or(|window| window.contains(self.now)),
                    "changesAt": policy.active.map(|window| window.next_edge(self.now)), "place": guard.place,
                })
            })
            .collect()
    }

    fn blame(&self, place: &Place) -> Value {
        match blame(&self.context.root, place) {
            None => Value::Null,
            Some(Blame::Uncommitted) => json!({ "committed": false }),
            Some(Blame::Commit { commit, author, at, subject }) => {
                json!({ "committed": true, "commit": commit, "author": author, "date": at, "subject": subject })
            }
        }
    }
}

fn remediate(remediate: Remediate) -> Value {
    match remediate {
        Remediate::Apply => json!(true),
        Remediate::Approve => json!("approve"),
        Remediate::Report => json!(false),
    }
}

/// Calm and short: from the fact to the person who wrote the line.
fn human(reason: &Value, now: DateTime<Utc>) -> String {
    let text = |pointer: &str| reason.pointer(pointer).map(plain).unwrap_or_default();
    let state = text("/state");
    let tone = match state.as_str() {
        "compliant" => Tone::Good,
        "change" | "report" => Tone::Change,
        "conflict" => Tone::Bad,
        _ => Tone::Held,
    };
    let mut out = format!("{}  {}\n\n", paint(Tone::Strong, text("/setting")), paint(tone, &state));
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "  {}{value}", paint(Tone::Dim, format!("{name:12}")));
    };
    row("observed", text("/observed/text"));
    let at = reason.pointer("/observed/collectedAt").and_then(Value::as_str).and_then(|at| at.parse::<DateTime<Utc>>().ok());
    let collected = at.map_or_else(
        || "not collected".to_owned(),
        |at| format!("collected {} ({} ago)", at.format("%F %T UTC"), ago((now - at).num_seconds())),
    );
    row("", paint(Tone::Dim, format!("section {}, {collected}", text("/observed/section"))));
    row("desired", text("/desired/text"));
    row("compared", format!("{} {}", text("/rule/compare").replace('_', " "), paint(Tone::Dim, format!("({})", text("/rule/setting")))));
    for (name, pointer) in [("because", "/reason"), ("held by", "/held/reason")] {
        if reason.pointer(pointer).is_some_and(Value::is_string) {
            row(name, text(pointer));
        }
    }
    let does = match reason.pointer("/policy/remediate") {
        Some(Value::Bool(true)) => "carries out",
        Some(Value::Bool(false)) => "only reports",
        _ => "waits for approval",
    };
    row("policy", format!("{}, priority {}, {does}", text("/policy/name"), text("/policy/priority")));
    if reason.pointer("/policy/activeHours").is_some_and(Value::is_string) {
        let rests = if reason.pointer("/policy/inForce") == Some(&Value::Bool(true)) { "in force now" } else { "not in force now" };
        row("", format!("active {}, {rests}", text("/policy/activeHours")));
    }
    row("line", format!("{}{}", line(&reason["place"]), written(&reason["blame"])));
    for (i, step) in list(reason, "/targeted").iter().enumerate() {
        row(if i == 0 { "for device" } else { "" }, format!("{}{}", plain(&step["why"]), at_place(&step["place"])));
    }
    for other in list(reason, "/others") {
        let about = format!("{} says {}: {}", plain(&other["policy"]), plain(&other["value"]), plain(&other["why"]));
        row("also", format!("{about}, priority {}", plain(&other["priority"])));
        row("", format!("{}{}", line(&other["place"]), written(&other["blame"])));
    }
    for exception in list(reason, "/exceptions") {
        let until = exception["until"].as_str().map(|until| format!(" until {until}")).unwrap_or_default();
        let ended = if exception["inForce"] == Value::Bool(true) { "" } else { ", it has ended" };
        let by = exception["approvedBy"].as_str().map(|by| format!(", approved by {by}")).unwrap_or_default();
        row("exception", clean(&format!("{}{until}{by}{ended}{}", plain(&exception["reason"]), at_place(&exception["place"]))));
    }
    for guard in list(reason, "/guards") {
        let rests = if guard["inForce"] == Value::Bool(true) { "in force now" } else { "not in force now" };
        row("guard", format!("{} by {}, {rests}{}", plain(&guard["guard"]), plain(&guard["policy"]), at_place(&guard["place"])));
    }
    out
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A value as text, unable to steer the terminal.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => clean(text),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => clean(&other.to_string()),
    }
}

fn line(place: &Value) -> String {
    format!("{}:{}", plain(&place["file"]), plain(&place["line"]))
}

fn at_place(place: &Value) -> String {
    if place.is_null() { String::new() } else { format!("  {}", paint(Tone::Dim, line(place))) }
}

/// `  3f2c1ab, Kim Example, 2026-11-01: Lock the screen`
fn written(blame: &Value) -> String {
    match blame["committed"].as_bool() {
        None => String::new(),
        Some(false) => format!("  {}", paint(Tone::Held, "not committed yet")),
        Some(true) => {
            let commit: String = plain(&blame["commit"]).chars().take(8).collect();
            let date: String = plain(&blame["date"]).chars().take(10).collect();
            format!("  {}", paint(Tone::Dim, format!("{commit}, {}, {date}: {}", plain(&blame["author"]), plain(&blame["subject"]))))
        }
    }
}
