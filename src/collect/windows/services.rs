//! What runs by itself: services, what starts when somebody signs in, tasks.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answers::Answers;
use super::take::{count, flag, items, listed, long, mapped, text};
use crate::collect::raw::{Parsed, unknown};

/// A service that was never started ends with this.
const NEVER_STARTED: u64 = 1077;
/// Days of the week in the order of their bits.
const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

pub(super) fn services(answers: &Answers) -> Parsed {
    let all = listed(answers.part("services")?, "items")?;
    let names: BTreeSet<String> = all.iter().filter_map(|one| text(one, "Name")).collect();
    let one = |one: &Value| {
        let name = text(one, "Name").filter(|name| !of_a_session(name, &names))?;
        let mode = text(one, "StartMode").unwrap_or_default();
        let code = count(one, "ExitCode");
        let state = match text(one, "State").as_deref() {
            Some("Running" | "Start Pending" | "Continue Pending" | "Pause Pending") => Some("running"),
            Some("Stopped") if mode == "Auto" && code.is_some_and(|code| code != 0 && code != NEVER_STARTED) => Some("failed"),
            Some("Stopped" | "Stop Pending" | "Paused") => Some("stopped"),
            _ => None,
        };
        let startup = match &*mode {
            "Auto" => "enabled",
            "Manual" => "manual",
            "Disabled" => "disabled",
            "Boot" | "System" => "boot",
            _ => "unknown",
        };
        let about = json!({
            "state": state, "startup": startup, "display": text(one, "DisplayName"), "account": text(one, "StartName"),
            "delayed": flag(one, "DelayedAutoStart").unwrap_or(false), "path": long(one, "PathName"), "code": code,
        });
        Some((name, about))
    };
    let found = mapped(all.iter().filter_map(one));
    if found.is_empty() { unknown("no service was told") } else { Ok(Value::Object(found)) }
}

/// Whether a service is one that Windows makes for each session from a template: `CDPUserSvc_3a1f5`, where there is a `CDPUserSvc`.
/// With every session the name is another one.
fn of_a_session(name: &str, names: &BTreeSet<String>) -> bool {
    name.rsplit_once('_').is_some_and(|(template, number)| {
        (4..=8).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_hexdigit()) && names.contains(template)
    })
}

pub(super) fn startup(answers: &Answers) -> Parsed {
    let part = answers.part("startup")?;
    let mut list: Vec<String> = listed(part, "items")?
        .iter()
        .filter_map(|one| {
            let place = long(one, "where")?;
            Some(match (text(one, "name"), long(one, "command")) {
                (None, None) => place,
                (name, command) => format!("{place}\\{} = {}", name.unwrap_or_default(), command.unwrap_or_default()),
            })
        })
        .collect();
    list.sort();
    list.dedup();
    Ok(json!(list))
}

pub(super) fn scheduled(answers: &Answers) -> Parsed {
    let part = answers.part("scheduled")?;
    let one = |task: &Value| {
        let (path, name) = (text(task, "path")?, text(task, "name")?);
        let mut schedule: Vec<String> = items(task, "triggers").iter().filter(|t| flag(t, "enabled") != Some(false)).map(trigger).collect();
        schedule.sort();
        schedule.dedup();
        // 1 is the number of the state 'disabled'.
        let enabled = count(task, "state").map(|state| state != 1);
        let about = json!({
            "path": path, "name": name, "enabled": enabled, "hidden": flag(task, "hidden"),
            "command": long(task, "command").or_else(|| text(task, "class")), "arguments": long(task, "arguments"),
            "directory": long(task, "directory"), "user": text(task, "user"), "highest": count(task, "level") == Some(1),
            "schedule": schedule, "author": text(task, "author"),
        });
        Some((format!("{path}{name}"), about))
    };
    let tasks = mapped(listed(part, "items")?.iter().filter_map(one));
    if tasks.is_empty() {
        return unknown("no task was told");
    }
    Ok(json!({"cron": null, "timers": [], "tasks": tasks}))
}

/// `daily 03:00`, `weekly 03:00 sunday`, `logon`: the class of a trigger, with the time of the day where it has one, and the days.
fn trigger(trigger: &Value) -> String {
    let class = text(trigger, "kind").unwrap_or_default();
    let kind = class.trim_start_matches("MSFT_Task").trim_end_matches("Trigger").to_ascii_lowercase();
    let kind = if kind.is_empty() { "other".to_owned() } else { kind };
    let time = text(trigger, "start").and_then(|start| start.split_once('T')?.1.get(..5).map(str::to_owned));
    // A bit for each day.
    let mask = count(trigger, "days").filter(|_| kind == "weekly").unwrap_or(0);
    let days: Vec<&str> = DAYS.iter().enumerate().filter(|(i, _)| (mask >> *i) & 1 == 1).map(|(_, day)| *day).collect();
    match time.filter(|_| matches!(&*kind, "daily" | "weekly" | "time" | "monthly" | "other")) {
        Some(time) if !days.is_empty() => format!("{kind} {time} {}", days.join(",")),
        Some(time) => format!("{kind} {time}"),
        None => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weekly_task_tells_its_days_where_they_are_known() {
        let told = |class: &str, days: u64| {
            trigger(&json!({"kind": format!("MSFT_Task{class}Trigger"), "start": "2026-01-01T03:00:00", "days": days}))
        };
        assert_eq!(told("Weekly", 0), "weekly 03:00");
        assert_eq!(told("Weekly", 33), "weekly 03:00 sunday,friday");
        assert_eq!(told("Daily", 0), "daily 03:00");
        assert_eq!(told("Boot", 0), "boot");
    }
}
