//! Workflows in words: what starts them, what a step does, how long from now.

use chrono::{DateTime, TimeDelta, Utc};

use crate::cli::style::ago;
use crate::model::notification::SeverityRule;
use crate::model::selector::Match;
use crate::model::workflow::{OnFailure, Outcome, Work};
use crate::model::workflow_run::Cause;
use crate::model::{ActionCall, Selector, Step, Trigger, Workflow};

/// `Second Tuesday 10PM (Europe/Berlin)`, `a device comes into Web`.
pub(super) fn trigger(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Schedule(schedule) => format!("{} ({})", schedule.text(), schedule.zone()),
        Trigger::DeviceAdded { group } => format!("a device comes into {group}"),
        Trigger::Alert { kind, severity } => {
            let kind = kind.as_ref().map_or_else(|| "any alert".to_owned(), |kind| format!("alert {kind}"));
            match severity {
                None => kind,
                Some(SeverityRule::AtLeast(least)) => format!("{kind}, {least} or more severe"),
                Some(SeverityRule::Any(list)) => {
                    let names: Vec<String> = list.iter().map(ToString::to_string).collect();
                    format!("{kind}, {}", names.join(" or "))
                }
            }
        }
        Trigger::Webhook { name } => format!("webhook {name}"),
        Trigger::Manual => "by hand".into(),
    }
}

/// Everything that starts it.
pub(super) fn triggers(workflow: &Workflow) -> String {
    let mut words: Vec<String> = workflow.triggers.iter().map(trigger).collect();
    if words.is_empty() {
        words.push("by hand".into());
    }
    words.join("; ")
}

/// The next moment of its schedules.
pub(super) fn next(workflow: &Workflow, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let moments = workflow.triggers.iter().filter_map(|trigger| match trigger {
        Trigger::Schedule(schedule) => schedule.next(now),
        _ => None,
    });
    moments.min()
}

/// What started a run.
pub(super) fn cause(cause: &Cause, user: &str) -> String {
    let about = cause.device.as_ref().map(|device| format!(" about {device}")).unwrap_or_default();
    match cause.kind.as_str() {
        "hand" | "manual" => format!("by {user}{about}"),
        "schedule" => "by its schedule".into(),
        "alert" => format!("by an alert{about}"),
        "deviceAdded" => match (&cause.device, &cause.group) {
            (Some(device), Some(group)) => format!("since {device} came into {group}"),
            _ => format!("by a new device{about}"),
        },
        "webhook" => "by a webhook".into(),
        "workflow" => format!("by another run{about}"),
        other => format!("by {other}{about}"),
    }
}

/// `ServiceControl {"name":"nginx","state":"restart"}`.
pub(super) fn call(call: &ActionCall) -> String {
    let with: Vec<String> = call.with.iter().map(|(name, value)| format!("{name}={}", short(&crate::plan::placeholders(value)))).collect();
    if with.is_empty() { call.action.to_string() } else { format!("{} {}", call.action, with.join(" ")) }
}

fn short(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) if !text.is_empty() && !text.contains(char::is_whitespace) => text.clone(),
        other => other.to_string(),
    }
}

/// A selector; a device by nothing but its name.
pub(super) fn selector(selector: &Selector) -> String {
    match selector {
        Selector::Match(m) if m.device.is_some() && *m == (Match { device: m.device.clone(), ..Match::default() }) => {
            m.device.clone().unwrap_or_default()
        }
        Selector::Name(name) if name == "*" => "all devices".into(),
        other => other.to_string(),
    }
}

/// What a step does.
pub(super) fn work(step: &Step) -> String {
    match &step.work {
        Work::Action(action) => call(action),
        Work::Approval { role, within } => match within {
            Some(within) => format!("waits for approval by an {role}, for {within} at most"),
            None => format!("waits for approval by an {role}"),
        },
        Work::Workflow { name, .. } => format!("runs the workflow {name}"),
        Work::End(Outcome::Succeeded) => "ends the run: succeeded".into(),
        Work::End(Outcome::Failed) => "ends the run: failed".into(),
    }
}

/// What happens where it fails, but for what always does.
pub(super) fn on_failure(step: &Step) -> Option<String> {
    match &step.on_failure {
        OnFailure::Stop => None,
        OnFailure::Continue => Some("if it fails, the next step begins all the same".into()),
        OnFailure::NotifyAdmin => Some("if it fails, the administrators are told".into()),
        OnFailure::Rollback => Some("if it fails, the steps so far are undone, the last one first".into()),
        OnFailure::RollbackAndNotify => {
            Some("if it fails, the steps so far are undone, the last one first, and the administrators are told".into())
        }
        OnFailure::Run(workflow) => Some(format!("if it fails, the workflow {workflow} is started")),
    }
}

/// The rest of what is said of a step.
pub(super) fn details(step: &Step) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(delay) = step.delay.filter(|delay| delay.as_seconds() > 0) {
        words.push(format!("waits for {delay} first"));
    }
    if let Some(at) = step.not_before {
        words.push(format!("not before {}", at.format("%F %H:%M UTC")));
    }
    if let Some(when) = &step.when {
        words.push(format!("only where {when}"));
    }
    if step.parallel {
        words.push("together with the parallel steps around it".into());
    }
    if step.wait_for_reboot {
        words.push("devices that ask for a restart are restarted and awaited".into());
    }
    if let Some(timeout) = step.timeout {
        words.push(format!("may take {timeout}"));
    }
    if step.retries > 0 {
        words.push(format!("tried again {}", if step.retries == 1 { "once".into() } else { format!("{} times", step.retries) }));
    }
    if let Some(most) = step.max_parallel {
        words.push(format!("{most} at once"));
    }
    if let Some(stagger) = step.stagger {
        words.push(format!("spread over {stagger}"));
    }
    if let Some(most) = step.max_failures {
        words.push(format!("{most} may fail"));
    }
    if let Some(expires) = step.expires {
        words.push(format!("devices that are away keep it for {expires}"));
    }
    words.extend(on_failure(step));
    words
}

/// `in 3 h`, `20 s ago`, with the moment where it is further away than an hour.
pub(super) fn moment(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let far = (at - now).abs() >= TimeDelta::hours(1);
    let relative =
        if at > now { format!("in {}", ago((at - now).num_seconds().max(1))) } else { format!("{} ago", ago((now - at).num_seconds())) };
    if far { format!("{} ({relative})", at.format("%F %H:%M UTC")) } else { relative }
}

/// `until 17:40:05 UTC, in 20 s`.
pub(super) fn until(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if at <= now {
        return "any moment".into();
    }
    let form = if at.date_naive() == now.date_naive() { "%H:%M:%S UTC" } else { "%F %H:%M UTC" };
    format!("until {}, in {}", at.format(form), ago((at - now).num_seconds().max(1)))
}
