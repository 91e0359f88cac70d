//! The part of `rmm alerts` that makes, shows and ends silences.

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, clean, paint};
use super::table::{Output, Table};
use crate::diagnose::Diagnostic;
use crate::model::alert::Silence;
use crate::plan::Scope;
use crate::store::{AuditEvent, Store};
use crate::time::Span;

/// Longest silence: what is to be quiet for longer belongs into the repository.
const LONGEST: Span = Span::seconds(366 * 86_400);

/// Arguments of `rmm alerts silence`.
#[derive(Debug, Args)]
pub(super) struct SilenceArgs {
    /// About these devices: a name, a group, tag=T, site=S; everything where neither devices nor types are given
    #[arg(long, value_name = "SELECTOR")]
    device: Vec<String>,
    /// Of these types; all types where absent
    #[arg(long = "type", value_name = "TYPE")]
    kind: Vec<String>,
    /// For how long: 30m, 2h, 7d
    #[arg(long = "for", value_name = "DURATION", id = "for")]
    lasts: Span,
    /// From then on: an RFC 3339 time, or a duration from now; at once where absent
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Why
    #[arg(short = 'm', long, value_name = "TEXT")]
    message: String,
    /// Do not ask before everything is silenced
    #[arg(long)]
    yes: bool,
}

pub(super) fn silence(global: &Global, context: &Context, store: &Store, args: &SilenceArgs) -> Result<Exit, Failure> {
    let now = context.clock.now();
    Scope::parse(&context.set, &args.device, &[])?;
    if args.lasts.as_seconds() == 0 || args.lasts > LONGEST {
        return Err(Failure::usage(format!("a silence cannot last {}", args.lasts), "give a duration such as 2h, of at most a year"));
    }
    if args.message.trim().is_empty() {
        return Err(Failure::usage("a silence needs a reason", "add -m \"TEXT\""));
    }
    let starts_at = match args.from.as_deref() {
        None => now,
        Some(text) => begins(text, now)?,
    };
    if args.device.is_empty() && args.kind.is_empty() && !args.yes {
        super::confirm::ask("silence every alert of every device", &[], "--yes")?;
    }
    let silence = Silence {
        id: id(now, args),
        targets: args.device.clone(),
        kinds: args.kind.clone(),
        starts_at,
        ends_at: starts_at + args.lasts.delta(),
        reason: args.message.trim().to_owned(),
        by: context.actor.user.clone(),
    };
    store.put_silence(&silence, event(context, "silence.created", &silence))?;
    if global.output == Output::Table {
        let until = silence.ends_at.format("%Y-%m-%d %H:%M UTC");
        super::print(&format!("{} {} until {until}\n", paint(Tone::Good, "silenced"), about(&silence)))?;
        super::print(&format!("  end it early: rmm alerts unsilence {}\n", silence.id))?;
        return Ok(Exit::Done);
    }
    show(global, &[silence], now)
}

pub(super) fn list(global: &Global, context: &Context, store: &Store, all: bool) -> Result<Exit, Failure> {
    let now = context.clock.now();
    let mut silences = store.silences(None)?;
    silences.retain(|silence| all || silence.ends_at > now);
    show(global, &silences, now)
}

pub(super) fn end(context: &Context, store: &Store, text: &str) -> Result<Exit, Failure> {
    let now = context.clock.now();
    let mut found = store.silences(None)?;
    found.retain(|silence| silence.id == text || (text.len() >= 4 && silence.id.ends_with(text)));
    let [silence] = found.as_slice() else {
        let problem = Diagnostic::error("RMM0616", format!("there is no silence '{}'", clean(text)));
        return Err(Failure::new(Exit::Error, problem.advice("`rmm alerts silences` shows those that hold or are to come")));
    };
    store.end_silence(&silence.id, now, event(context, "silence.ended", silence))?;
    super::print(&format!("{} {}\n", paint(Tone::Good, "no longer silenced:"), about(silence)))?;
    Ok(Exit::Done)
}

fn show(global: &Global, silences: &[Silence], now: DateTime<Utc>) -> Result<Exit, Failure> {
    let mut table = Table::new("rmm.silences/1", &["ID", "STATE", "DEVICES", "TYPES", "FROM", "UNTIL", "BY", "REASON"]);
    for silence in silences {
        let state = if silence.ends_at <= now {
            "over"
        } else if silence.starts_at > now {
            "to come"
        } else {
            "holds"
        };
        table.push(vec![
            json!(silence.id),
            json!(state),
            json!(silence.targets),
            json!(silence.kinds),
            json!(silence.starts_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            json!(silence.ends_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            json!(silence.by),
            json!(silence.reason),
        ]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

/// `DiskSpace on web-1, tag=lab`
fn about(silence: &Silence) -> String {
    let kinds = if silence.kinds.is_empty() { "everything".to_owned() } else { silence.kinds.join(", ") };
    let devices = if silence.targets.is_empty() { "every device".to_owned() } else { silence.targets.join(", ") };
    clean(&format!("{kinds} on {devices}"))
}

/// A time, or a duration from now.
fn begins(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    let read = DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc));
    let read = read.or_else(|| text.parse::<Span>().ok().map(|span| now + span.delta()));
    read.ok_or_else(|| {
        Failure::usage(format!("'{}' is not a time", clean(text)), "write 2026-11-01T12:00:00Z, or 2h for two hours from now")
    })
}

fn event(context: &Context, action: &str, silence: &Silence) -> AuditEvent {
    AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: action.to_owned(),
        target: Some(silence.id.clone()),
        details: json!({
            "devices": silence.targets, "types": silence.kinds, "from": silence.starts_at, "until": silence.ends_at, "reason": silence.reason,
        }),
        ip: Some(context.actor.from.clone()),
        success: true,
    }
}

/// `s-20261121-073012-4f2a91c3`
fn id(now: DateTime<Utc>, args: &SilenceArgs) -> String {
    let about =
        format!("{:?}{:?}{}{}{}", args.device, args.kind, args.message, now.timestamp_nanos_opt().unwrap_or_default(), std::process::id());
    format!("s-{}-{}", now.format("%Y%m%d-%H%M%S"), hex::encode(&Sha256::digest(about)[..4]))
}
