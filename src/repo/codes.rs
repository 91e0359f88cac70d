//! The problems of a repository that several files of this room report, worded once.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::Place;
use crate::time::{Schedule, ScheduleError};

pub(super) fn syntax(at: &Place, message: &str) -> Diagnostic {
    Diagnostic::error("RMM0101", format!("syntax error: {message}")).at(at)
}

pub(super) fn unknown_key<'a>(key: &str, known: impl IntoIterator<Item = &'a str> + Clone, of: &str, at: &Place) -> Diagnostic {
    let problem = Diagnostic::error("RMM0102", format!("unknown key '{key}'")).at(at).label(format!("not a key of {of}"));
    problem.advice(suggestion(key, known, "the keys are"))
}

pub(super) fn wrong_value(message: impl Into<String>, at: &Place) -> Diagnostic {
    Diagnostic::error("RMM0103", message).at(at)
}

pub(super) fn duplicate_key(key: &str, at: &Place, first: &Place) -> Diagnostic {
    Diagnostic::error("RMM0104", format!("the key '{key}' stands twice"))
        .at(at)
        .label("again here")
        .related(first, "first here")
        .advice("remove one of the two; the product does not guess which one is meant")
}

pub(super) fn too_large(at: &Place, why: &str) -> Diagnostic {
    Diagnostic::error("RMM0105", format!("the file is {why}"))
        .at(at)
        .advice("split it into several files; a file may have 16 MiB, 64 levels and 1,000,000 values with aliases expanded")
}

pub(super) fn unreadable(at: &Place, why: &str) -> Diagnostic {
    Diagnostic::error("RMM0106", format!("cannot be read: {why}")).at(at)
}

pub(super) fn linked_folder(at: &Place) -> Diagnostic {
    Diagnostic::warning("RMM0106", "is not read: it is a symbolic link to a folder; only files of the repository itself are read").at(at)
}

pub(super) fn duplicate_name(kind: &str, name: &str, at: &Place, first: &Place) -> Diagnostic {
    Diagnostic::error("RMM0107", format!("the {kind} '{name}' is declared twice"))
        .at(at)
        .label("again here")
        .related(first, "first here")
        .advice("give one of them another name, or remove it")
}

pub(super) fn unknown_name<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str> + Clone, at: &Place) -> Diagnostic {
    let problem = Diagnostic::error("RMM0108", format!("there is no {kind} '{name}'")).at(at);
    problem.advice(suggestion(name, known, &format!("{kind}s are")))
}

/// `did you mean 'x'?`, or the first few of what there is.
pub(super) fn suggestion<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str> + Clone, these: &str) -> String {
    if let Some(near) = did_you_mean(wrong, known.clone()) {
        return format!("did you mean '{near}'?");
    }
    let shown: Vec<&str> = known.clone().into_iter().take(12).collect();
    let more = known.into_iter().nth(12).map_or("", |_| ", ...");
    if shown.is_empty() { "none is declared".to_owned() } else { format!("{these}: {}{more}", shown.join(", ")) }
}

/// Reads a schedule; a problem where it is none or never happens.
pub(super) fn schedule(text: &str, zone: Tz, now: DateTime<Utc>, at: &Place, problems: &mut Vec<Diagnostic>) -> Option<Schedule> {
    let parsed = Schedule::parse(text, zone);
    // A year that has passed is over for good.
    match parsed.and_then(|schedule| if schedule.next(now).is_some() { Ok(schedule) } else { Err(ScheduleError::Never(text.to_owned())) }) {
        Ok(schedule) => Some(schedule),
        Err(error) => {
            let problem = match &error {
                ScheduleError::Unclear(_) => Diagnostic::error("RMM0115", error.to_string()),
                ScheduleError::Never(_) => Diagnostic::error("RMM0130", error.to_string()).advice("give it a date that exists"),
            };
            problems.push(problem.at(at));
            None
        }
    }
}
