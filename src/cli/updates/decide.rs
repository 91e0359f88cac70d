//! `rmm updates approve|deny|defer|decisions|forget`: what people decide by hand, beside the rules in the repository.

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::json;

use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{Tone, clean, paint};
use crate::cli::table::{Output, Table};
use crate::diagnose::Diagnostic;
use crate::model::update::{Decided, Ruling};
use crate::plan::Scope;
use crate::store::{AuditEvent, Store, StoreError};
use crate::time::Span;

/// Which updates, and where.
#[derive(Debug, Args)]
pub(super) struct About {
    /// Name or pattern of names; NAME=VERSION for one version
    name: String,
    /// On these devices: a device, a group or a key=value selector; everywhere where absent; may be repeated
    #[arg(long, value_name = "SELECTOR")]
    on: Vec<String>,
}

/// Arguments of `rmm updates approve` and `deny`.
#[derive(Debug, Args)]
pub(super) struct RulingArgs {
    #[command(flatten)]
    about: About,
    /// For how long it holds; for good where absent
    #[arg(long = "for", value_name = "DURATION", id = "for")]
    lasts: Option<Span>,
    /// Why
    #[arg(short = 'm', long, value_name = "TEXT")]
    message: Option<String>,
}

/// Arguments of `rmm updates defer`.
#[derive(Debug, Args)]
pub(super) struct DeferArgs {
    #[command(flatten)]
    about: About,
    /// For how long: 14d
    #[arg(long = "for", value_name = "DURATION", id = "for")]
    lasts: Span,
    /// Why
    #[arg(short = 'm', long, value_name = "TEXT")]
    message: Option<String>,
}

/// Arguments of `rmm updates forget`.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    #[command(flatten)]
    about: About,
}

impl About {
    fn split(&self) -> Result<(&str, Option<&str>), Failure> {
        let (name, version) = match self.name.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (&*self.name, None),
        };
        let bad = |text: &str| text.trim().is_empty() || text.len() > 200 || text.chars().any(|c| c.is_control() || c == ' ');
        if bad(name) || version.is_some_and(bad) {
            return Err(Failure::usage(
                format!("'{}' is not the name of an update", clean(&self.name)),
                "write a name such as openssl, a pattern such as 'linux-*', or openssl=3.0.16-1",
            ));
        }
        Ok((name, version))
    }
}

pub(super) fn approve(global: &Global, context: &Context, store: &Store, args: &RulingArgs) -> Result<Exit, Failure> {
    put(global, context, store, Ruling::Approve, &args.about, args.lasts, args.message.as_deref())
}

pub(super) fn deny(global: &Global, context: &Context, store: &Store, args: &RulingArgs) -> Result<Exit, Failure> {
    put(global, context, store, Ruling::Deny, &args.about, args.lasts, args.message.as_deref())
}

pub(super) fn defer(global: &Global, context: &Context, store: &Store, args: &DeferArgs) -> Result<Exit, Failure> {
    put(global, context, store, Ruling::Defer, &args.about, Some(args.lasts), args.message.as_deref())
}

fn put(
    global: &Global,
    context: &Context,
    store: &Store,
    ruling: Ruling,
    about: &About,
    lasts: Option<Span>,
    message: Option<&str>,
) -> Result<Exit, Failure> {
    let (name, version) = about.split()?;
    Scope::parse(&context.set, &about.on, &[])?;
    if lasts.is_some_and(|span| span.as_seconds() == 0) {
        return Err(Failure::usage("a decision that holds for no time decides nothing", "give a duration such as 14d"));
    }
    let now = context.clock.now();
    let decided = Decided {
        ruling,
        name: name.to_owned(),
        version: version.map(str::to_owned),
        targets: about.on.clone(),
        until: lasts.map(|span| now + span.delta()),
        reason: message.unwrap_or_default().trim().to_owned(),
        by: context.actor.user.clone(),
        at: now,
    };
    keep(context, store, &decided)?;
    if global.output != Output::Table {
        return show(global, &[decided], now);
    }
    let done = match ruling {
        Ruling::Approve => "approved",
        Ruling::Deny => "denied",
        Ruling::Defer => "deferred",
    };
    let until = decided.until.map(|until| format!(" until {}", until.format("%F %H:%M UTC"))).unwrap_or_default();
    crate::cli::print(&format!("{} {}{until}\n", paint(Tone::Good, done), shown(&decided)))?;
    Ok(Exit::Done)
}

/// Keeps a decision, with its row in the audit.
pub(super) fn keep(context: &Context, store: &Store, decided: &Decided) -> Result<(), Failure> {
    Ok(store.decide_update(decided, event(context, &format!("updates.{}", decided.ruling), decided))?)
}

fn event(context: &Context, action: &str, decided: &Decided) -> AuditEvent {
    AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: action.to_owned(),
        target: Some(decided.name.clone()),
        details: json!({
            "version": decided.version, "on": decided.targets, "until": decided.until, "reason": decided.reason,
        }),
        ip: Some(context.actor.from.clone()),
        success: true,
    }
}

pub(super) fn forget(context: &Context, store: &Store, args: &ForgetArgs) -> Result<Exit, Failure> {
    let (name, version) = args.about.split()?;
    let decided = Decided {
        ruling: Ruling::Approve,
        name: name.to_owned(),
        version: version.map(str::to_owned),
        targets: args.about.on.clone(),
        until: None,
        reason: String::new(),
        by: context.actor.user.clone(),
        at: context.clock.now(),
    };
    match store.forget_update_decision(name, version, &args.about.on, event(context, "updates.forget", &decided)) {
        Ok(()) => {}
        Err(StoreError::Missing { .. }) => {
            let problem = Diagnostic::error("RMM0740", format!("nothing was decided by hand about {}", shown(&decided)));
            return Err(Failure::new(Exit::Error, problem.advice("`rmm updates decisions` lists what was, with its selectors")));
        }
        Err(error) => return Err(error.into()),
    }
    crate::cli::print(&format!("{} {}\n", paint(Tone::Good, "no longer decided by hand:"), shown(&decided)))?;
    Ok(Exit::Done)
}

pub(super) fn list(global: &Global, context: &Context, store: &Store) -> Result<Exit, Failure> {
    let all = store.update_decisions()?;
    if all.is_empty() && global.output == Output::Table {
        crate::cli::print("Nothing was decided by hand.\n")?;
        return Ok(Exit::Done);
    }
    show(global, &all, context.clock.now())
}

fn show(global: &Global, all: &[Decided], now: DateTime<Utc>) -> Result<Exit, Failure> {
    let mut table = Table::new("rmm.updateDecisions/1", &["UPDATE", "VERSION", "ON", "RULING", "UNTIL", "HOLDS", "BY", "AT", "REASON"]);
    for one in all {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        table.push(vec![
            json!(one.name),
            json!(one.version),
            json!(one.targets),
            json!(one.ruling),
            json!(one.until.map(time)),
            json!(one.until.is_none_or(|until| until > now)),
            json!(one.by),
            json!(time(one.at)),
            json!(one.reason),
        ]);
    }
    crate::cli::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

/// `openssl=3.0.16-1 on Pilot, tag=edge`
fn shown(decided: &Decided) -> String {
    let version = decided.version.as_ref().map(|version| format!("={version}")).unwrap_or_default();
    let on = if decided.targets.is_empty() { String::new() } else { format!(" on {}", decided.targets.join(", ")) };
    clean(&format!("{}{version}{on}", decided.name))
}
