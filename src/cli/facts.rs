//! `rmm facts`: what is known of a device, now or on a past day, and the evidence.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, ago, paint};
use super::table::{Output, Table, document, flatten};
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::Facts;
use crate::model::facts::{Lookup, Status};
use crate::time::Span;

/// Arguments of `rmm facts`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm facts web-1\n  rmm facts web-1 hardware.memory\n  rmm facts web-1 software.packages --at 2026-11-01\n  rmm facts web-1 security.users --diff 7d..now\n  rmm facts web-1 --why"
)]
pub(super) struct FactsArgs {
    /// Device
    pub(super) device: String,
    /// Dotted path; everything without one
    pub(super) path: Option<String>,
    /// As it was then: a date, an RFC 3339 time, or a duration ago such as 7d
    #[arg(long, value_name = "TIME", conflicts_with = "diff")]
    pub(super) at: Option<String>,
    /// What changed between two times: A..B, `now` for now
    #[arg(long, value_name = "A..B")]
    pub(super) diff: Option<String>,
    /// The evidence: when each section was observed, and how it went
    #[arg(long, conflicts_with_all = ["at", "diff"])]
    pub(super) why: bool,
}

pub(super) fn run(global: &Global, args: &FactsArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    let now = context.clock.now();
    if !context.set.devices.contains_key(&args.device) {
        let problem = Diagnostic::error("RMM0310", format!("there is no device '{}'", args.device));
        let near = did_you_mean(&args.device, context.set.devices.keys().map(String::as_str));
        let advice = near.map_or_else(|| "`rmm devices list` lists them".to_owned(), |near| format!("did you mean '{near}'?"));
        return Err(Failure::new(Exit::Usage, problem.advice(advice)));
    }
    let path = args.path.as_deref().unwrap_or_default();
    if let Some(diff) = &args.diff {
        let (a, b) = diff
            .split_once("..")
            .ok_or_else(|| Failure::usage(format!("'{diff}' is not a span of time"), "write --diff 2026-11-01..now"))?;
        let (a, b) = (time(a, now)?, time(b, now)?);
        let part = |facts: Facts| select(&facts, path).unwrap_or(Value::Null);
        let (before, after) = (part(store.facts(&args.device, Some(a))?), part(store.facts(&args.device, Some(b))?));
        return show_diff(global, &before, &after);
    }
    if args.why {
        return why(global, &store.facts(&args.device, None)?, path, now);
    }
    let at = args.at.as_deref().map(|t| time(t, now)).transpose()?;
    let facts = store.facts(&args.device, at)?;
    if facts.sections.is_empty() {
        let (when, advice) = match at {
            Some(at) => (format!(" as of {}", at.format("%F %H:%M UTC")), "it was observed later for the first time, or never".to_owned()),
            None => (" yet".to_owned(), format!("rmm collect {}", crate::script::quote(&args.device))),
        };
        let problem = Diagnostic::error("RMM0311", format!("nothing is known of {}{when}", args.device));
        return Err(Failure::new(Exit::Error, problem.advice(advice)));
    }
    let value = select(&facts, path).ok_or_else(|| {
        let reason = match facts.lookup(path, None) {
            Lookup::Failed(section) => match &section.status {
                Status::Unknown(why) | Status::Unsupported(why) => format!(": {why}"),
                Status::Ok => String::new(),
            },
            _ => String::new(),
        };
        let near = facts
            .sections
            .keys()
            .map(|k| &**k)
            .find(|k| k.rsplit('.').next() == Some(path))
            .or_else(|| did_you_mean(path, facts.sections.keys().map(|k| &**k)))
            .map_or_else(|| "`rmm explain facts` lists what there is".to_owned(), |n| format!("did you mean '{n}'?"));
        Failure::new(Exit::Error, Diagnostic::error("RMM0311", format!("'{path}' is not known of {}{reason}", args.device)).advice(near))
    })?;
    let text = match global.output {
        Output::Table | Output::Yaml => document(&value, Output::Yaml)?,
        Output::Json => {
            document(&json!({ "schema": "rmm.facts/1", "device": args.device, "path": path, "at": at, "facts": value }), Output::Json)?
        }
        Output::Jsonl => document(&value, Output::Jsonl)?,
        Output::Csv => {
            let mut table = Table::new("rmm.facts/1", &["PATH", "VALUE"]);
            let mut flat = Vec::new();
            flatten(path, &value, &mut flat);
            for (path, value) in flat {
                table.push(vec![json!(path), value]);
            }
            table.render(Output::Csv)?
        }
    };
    super::print(&printable(&text))?;
    Ok(Exit::Done)
}

/// YAML and JSON escape control characters; this keeps line feeds and takes out what is left.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// The part of the facts below a path, whole sections and categories included.
fn select(facts: &Facts, path: &str) -> Option<Value> {
    if path.is_empty() {
        return Some(facts.to_value());
    }
    if let Some(value) = facts.value(path) {
        return Some(value.clone());
    }
    // A key of a probe may hold dots: the longest one that exists is meant, and what follows is a path below it.
    if let Some((section, rest)) = facts.section(path) {
        let ends = std::iter::once(rest.len()).chain(rest.rmatch_indices('.').map(|(at, _)| at));
        for end in ends {
            if let Some(found) = section.data.get(&rest[..end]) {
                let below = rest[end..].split('.').filter(|part| !part.is_empty());
                return below.into_iter().try_fold(found, |at, part| at.get(part)).cloned();
            }
        }
    }
    let mut at = facts.to_value();
    for part in path.split('.') {
        at = at.get_mut(part)?.take();
    }
    Some(at)
}

fn why(global: &Global, facts: &Facts, path: &str, now: DateTime<Utc>) -> Result<Exit, Failure> {
    let mut table = Table::new("rmm.evidence/1", &["SECTION", "STATUS", "OBSERVED", "AGE", "HASH", "REASON"]);
    for (name, section) in &facts.sections {
        if !path.is_empty() && !name.starts_with(path) && !path.starts_with(&**name) {
            continue;
        }
        let (status, reason) = match &section.status {
            Status::Ok => ("observed", ""),
            Status::Unknown(why) => ("unknown", why.as_str()),
            Status::Unsupported(why) => ("unsupported", why.as_str()),
        };
        table.push(vec![
            json!(name),
            json!(status),
            json!(section.collected_at.format("%F %T").to_string()),
            json!(ago((now - section.collected_at).num_seconds())),
            json!(hex::encode(&section.hash[..6])),
            json!(reason),
        ]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

fn show_diff(global: &Global, before: &Value, after: &Value) -> Result<Exit, Failure> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    // What was not known then has no values, not one that is null.
    for (value, out) in [(before, &mut a), (after, &mut b)] {
        if !value.is_null() {
            flatten("", value, out);
        }
    }
    let (a, b): (std::collections::BTreeMap<_, _>, std::collections::BTreeMap<_, _>) = (a.into_iter().collect(), b.into_iter().collect());
    let mut table = Table::new("rmm.factsDiff/1", &["PATH", "BEFORE", "AFTER"]);
    let mut lines = String::new();
    for path in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
        let (old, new) = (a.get(path), b.get(path));
        if old == new {
            continue;
        }
        table.push(vec![json!(path), old.cloned().unwrap_or(Value::Null), new.cloned().unwrap_or(Value::Null)]);
        for (sign, tone, value) in [("-", Tone::Bad, old), ("+", Tone::Good, new)] {
            if let Some(value) = value {
                lines += &(paint(tone, format!("{sign} {path}: {value}")) + "\n");
            }
        }
    }
    if global.output == Output::Table {
        super::print(&if lines.is_empty() { "No difference.\n".to_owned() } else { lines })?;
    } else {
        super::print(&table.render(global.output)?)?;
    }
    Ok(Exit::Done)
}

/// `now`, a date, an RFC 3339 time, a local-looking time in UTC, or a duration ago.
pub(super) fn time(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    let text = text.trim();
    let end_of_day = |date: NaiveDate| date.and_hms_opt(23, 59, 59).map(|t| t.and_utc());
    let read = match text {
        "now" | "" => Some(now),
        _ => DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|t| t.with_timezone(&Utc))
            .or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").ok().map(|t| t.and_utc()))
            .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(end_of_day))
            .or_else(|| text.parse::<Span>().ok().map(|span| now - span.delta())),
    };
    read.ok_or_else(|| {
        Failure::usage(format!("'{text}' is not a time"), "write 2026-11-01, 2026-11-01T12:00:00Z, or 7d for seven days ago")
    })
}
