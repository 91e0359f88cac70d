//! The verdict on every setting of a device, as far as it does not depend on the time of day.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::membership::platform;
use super::planner::is_volatile;
use super::resolve::{Resolution, ResolvedSetting};
use super::template::Templates;
use super::verdict::{Question, Verdict, evidence, judge_again};
use super::{PlanOptions, Planner};
use crate::model::plan::{Change, State};
use crate::model::{Device, Facts, Remediate, Setting};
use crate::script::{Recorder, SharedHost};

/// The verdicts on one device before windows, guards and exceptions. May be kept as long as policy set and facts are the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// Operating system in words.
    pub os: Option<String>,
    /// Family.
    pub platform: Option<crate::model::Platform>,
    /// Groups of the device.
    pub groups: Vec<String>,
    /// Policies that apply, by name: their guards matter.
    pub policies: Vec<Arc<str>>,
    /// How many settings are compliant.
    pub compliant: u32,
    /// Everything else (and compliant ones where they were asked for).
    pub changes: Vec<Change>,
    /// When the oldest fact behind this was observed.
    pub facts_at: Option<DateTime<Utc>>,
    /// Whether it may be kept: false where a fact was too old to be evidence, or changes all the time.
    pub keep: bool,
}

pub(super) fn evaluate(
    planner: &Planner<'_>,
    device: &Device,
    (facts, whole): (&Facts, &dyn Fn() -> Option<Facts>),
    resolution: &Resolution,
    options: &PlanOptions,
    now: DateTime<Utc>,
) -> Evaluated {
    let max_age = planner.set.config.monitoring.inventory_interval.delta() * 2;
    let mut out = Evaluated {
        os: facts.value("software.os.pretty_name").and_then(Value::as_str).map(str::to_owned),
        platform: platform(device, facts),
        groups: resolution.membership.groups.iter().cloned().collect(),
        policies: resolution.policies.iter().map(|&i| Arc::clone(&planner.set.policies[i].name)).collect(),
        facts_at: resolution.set.observes.iter().filter_map(|path| facts.section(path)).map(|(s, _)| s.collected_at).min(),
        keep: !planner.volatile && !resolution.set.observes.iter().any(|path| is_volatile(&super::scope::section_of(path))),
        ..Evaluated::default()
    };
    let mut templates = None;
    let mut host: Option<SharedHost> = None;
    let mut restartable: Vec<Change> = Vec::new();
    for resolved in &resolution.set.settings {
        let policy = &planner.set.policies[resolved.policy];
        let wanted = &policy.settings[resolved.index];
        let mut key: Cow<'_, Option<Arc<str>>> = Cow::Borrowed(&wanted.key);
        let mut desired: Cow<'_, Value> = Cow::Borrowed(&*wanted.value);
        let mut rendered = Ok(());
        if resolved.templated {
            let templates = templates.get_or_insert_with(|| Templates::new(device, &planner.vars(device, &resolution.membership), facts));
            rendered = wanted.key.as_deref().map(|k| templates.text(k)).transpose().and_then(|k| {
                desired = Cow::Owned(templates.value(&wanted.value)?);
                key = Cow::Owned(k.map(Arc::from));
                // The loader could not check what was not filled in yet.
                match resolved.def.check(key.as_deref(), &desired).into_iter().next() {
                    Some((_, message)) => Err(format!("filled in, {message}")),
                    None => Ok(()),
                }
            });
        }
        let verdict = match (rendered, &resolved.conflict) {
            (_, Some(_)) => Verdict { state: State::Conflict, ..Verdict::unknown("") },
            (Err(why), _) => Verdict::unknown(why),
            (Ok(()), None) => {
                let question = Question { def: &resolved.def, key: key.as_deref(), desired: &desired, platform: out.platform };
                let memo = (!resolved.templated && !resolved.secret).then_some(&*resolved.memo);
                let mut verdict = judge_again(&question, facts, planner.secrets, now - max_age, memo);
                // A kept verdict would outlive a change of the secret.
                out.keep &= !verdict.too_old && !resolved.secret;
                if matches!(verdict.state, State::Change | State::Report) && resolved.def.program.has("unsupported") {
                    let host = host.get_or_insert_with(|| {
                        let all = whole().unwrap_or_else(|| facts.clone());
                        Arc::new(Mutex::new(Recorder::new(&device.name, Arc::new(all))))
                    });
                    if let Ok(Some(why)) = resolved.def.program.unsupported(host) {
                        verdict = Verdict { observed_at: verdict.observed_at, ..Verdict::unsupported(why) };
                    }
                }
                if verdict.state == State::Change && policy.remediate == Remediate::Report {
                    verdict.state = State::Report;
                }
                verdict
            }
        };
        if verdict.state == State::Compliant {
            out.compliant += 1;
            let restarts = !wanted.restart_on.is_empty() && resolved.def.program.has("restart");
            if !options.compliant && !restarts {
                continue;
            }
            let change = describe(planner, resolved, wanted, key.as_ref().as_ref(), &desired, verdict);
            if restarts {
                restartable.push(change.clone());
            }
            if options.compliant {
                out.changes.push(change);
            }
            continue;
        }
        out.changes.push(describe(planner, resolved, wanted, key.as_ref().as_ref(), &desired, verdict));
    }
    uncertain(planner, resolution, &mut out);
    for mut change in restartable {
        let cause = change.restart_on.iter().find(|l| out.changes.iter().any(|c| c.state == State::Change && c.label() == **l));
        if let Some(cause) = cause
            && planner.policies.get(&*change.policy).is_some_and(|p| p.remediate != Remediate::Report)
        {
            change.reason = Some(format!("restart after {cause}"));
            change.state = State::Change;
            change.restart = true;
            change.to = "restarted".into();
            out.compliant -= 1;
            out.changes.retain(|c| c.label() != change.label());
            out.changes.push(change);
        }
    }
    out.changes.sort_by(|a, b| (a.phase, &a.setting, &a.key).cmp(&(b.phase, &b.setting, &b.key)));
    out
}

/// How the reason begins where it is not known whether a policy is for a device.
pub const UNCERTAIN: &str = "not known to be for this device";

/// Settings of policies of which it is not known whether they apply: unknown too, unless another policy decides them.
fn uncertain(planner: &Planner<'_>, resolution: &Resolution, out: &mut Evaluated) {
    for (policy, why) in &resolution.uncertain {
        let policy = &planner.set.policies[*policy];
        for wanted in &policy.settings {
            let name = wanted.label();
            if resolution.set.settings.iter().any(|s| *s.label == *name) || out.changes.iter().any(|c| c.label() == name) {
                continue;
            }
            let Some(def) = planner.set.catalog.settings.get(&wanted.name) else { continue };
            let to = short(&super::placeholders(&wanted.value));
            out.changes.push(Change {
                setting: Arc::clone(&wanted.name),
                key: wanted.key.clone(),
                state: State::Unknown,
                desired: (*wanted.value).clone(),
                observed: Value::Null,
                from: "(unknown)".into(),
                to,
                policy: Arc::clone(&policy.name),
                place: wanted.place.clone(),
                other: None,
                severity: policy.severity,
                risk: def.risk,
                reboot: def.reboot,
                phase: def.phase,
                restart_on: Vec::new(),
                restart: false,
                held: None,
                reason: Some(format!("{UNCERTAIN}: {why}")),
                observed_at: None,
                commands: Vec::new(),
            });
        }
    }
}

/// The verdict with everything that a reader of the plan wants to know.
fn describe(
    planner: &Planner<'_>,
    resolved: &ResolvedSetting,
    wanted: &Setting,
    key: Option<&Arc<str>>,
    desired: &Value,
    verdict: Verdict,
) -> Change {
    let policy = &planner.set.policies[resolved.policy];
    let def = &resolved.def;
    let shown = super::placeholders(desired);
    let known = !matches!(verdict.state, State::Unknown | State::Unsupported | State::Conflict);
    let (from, to) = if resolved.secret {
        let from = if verdict.observed.is_some() { "(differs)" } else { "(absent)" };
        (from.to_owned(), short(&shown))
    } else if known && def.program.has("describe") {
        // A description that fails must not hide the verdict.
        def.program
            .describe(verdict.observed.as_ref(), &shown)
            .ok()
            .flatten()
            .unwrap_or_else(|| (short_or_absent(verdict.observed.as_ref()), short(&shown)))
    } else {
        (short_or_absent(verdict.observed.as_ref()), short(&shown))
    };
    let other = resolved.conflict.map(|(p, i)| {
        let other = &planner.set.policies[p];
        (Arc::clone(&other.name), other.settings[i].place.clone())
    });
    let (from, to) = match resolved.conflict {
        Some((p, i)) => (short(&shown), short(&super::placeholders(&planner.set.policies[p].settings[i].value))),
        None if known => (from, to),
        None => ("(unknown)".into(), to),
    };
    let risk = if def.program.has("risk") { def.program.risk(&shown).ok().flatten().unwrap_or(def.risk) } else { def.risk };
    let observed = evidence(verdict.observed.as_ref(), resolved.secret);
    Change {
        setting: Arc::clone(&wanted.name),
        key: key.cloned(),
        state: verdict.state,
        desired: desired.clone(),
        observed,
        from,
        to,
        policy: Arc::clone(&policy.name),
        place: wanted.place.clone(),
        other,
        severity: policy.severity,
        risk,
        reboot: def.reboot,
        phase: def.phase,
        restart_on: wanted.restart_on.clone(),
        restart: false,
        held: None,
        reason: verdict.reason.filter(|r| !r.is_empty()),
        observed_at: verdict.observed_at,
        commands: Vec::new(),
    }
}

fn short_or_absent(value: Option<&Value>) -> String {
    value.map_or_else(|| "(absent)".into(), short)
}

/// A value in a few words: `running, enabled` rather than JSON.
fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => "(not set)".into(),
        Value::String(s) if s.is_empty() => "\"\"".into(),
        Value::String(s) => s.clone(),
        Value::Array(list) if list.is_empty() => "(none)".into(),
        Value::Array(list) => list.iter().map(short).collect::<Vec<_>>().join(", "),
        Value::Object(map) => map.iter().map(|(k, v)| format!("{k}={}", short(v))).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    bounded(&text)
}

/// On one line, at most 60 characters.
pub(super) fn bounded(text: &str) -> String {
    const MOST: usize = 60;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.chars().count() <= MOST { line.to_owned() } else { format!("{}...", line.chars().take(MOST - 3).collect::<String>()) }
}
