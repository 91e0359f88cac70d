//! `rmm notify`: try a channel, look at the queue, have dead letters sent again.

use std::time::Instant;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::args::Global;
use super::context::{Context, hostname};
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, clean, count, paint};
use super::table::{Output, Table, document};
use crate::diagnose::{Diagnose as _, Diagnostic, did_you_mean};
use crate::model::action::Role;
use crate::model::channel::Options;
use crate::model::config::Channel;
use crate::model::delivery::{Message, Occasion};
use crate::model::{Delivery, DeliveryState};
use crate::notify::{self, Parcel, SendError, Surroundings};
use crate::store::{AuditEvent, DeliveryFilter, Store};

/// Arguments of `rmm notify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm notify test ops-mail\n  rmm notify list --state dead\n  rmm notify retry --all-dead\n\nMessages are sent by the daemon (`rmm reconcile`); only `rmm notify test` sends by itself."
)]
pub(super) struct NotifyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a test message through a channel now, and show what the other side said
    #[command(after_help = "Example:\n  rmm notify test ops-mail --to kim@example.com")]
    Test {
        /// A channel of rmm.toml
        channel: String,
        /// To this person or address instead of the channel's own recipients
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// Show what waits, what is on its way and what was given up
    #[command(after_help = "Example:\n  rmm notify list --state dead --channel ops-mail")]
    List {
        /// In this state; may be repeated
        #[arg(long, value_name = "STATE", value_enum)]
        state: Vec<State>,
        /// In any state, also sent and cancelled
        #[arg(long, conflicts_with = "state")]
        all: bool,
        /// To this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
        /// About this alert
        #[arg(long, value_name = "ID")]
        alert: Option<String>,
        /// At most so many, the newest
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Have what was given up tried again
    #[command(after_help = "Examples:\n  rmm notify retry d-20261121-073012-4f2a91\n  rmm notify retry --all-dead --channel ops-mail")]
    Retry {
        /// Messages by their ids
        #[arg(required_unless_present = "all_dead", conflicts_with = "all_dead", value_name = "ID")]
        ids: Vec<String>,
        /// Everything that was given up
        #[arg(long)]
        all_dead: bool,
        /// With --all-dead: of this channel only
        #[arg(long, value_name = "NAME", requires = "all_dead")]
        channel: Option<String>,
    },
    /// Show the channels, and whether they can send
    #[command(after_help = "Example:\n  rmm notify channels")]
    Channels,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    Pending,
    Sending,
    Sent,
    Dead,
    Cancelled,
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Sending => Self::Sending,
            State::Sent => Self::Sent,
            State::Dead => Self::Dead,
            State::Cancelled => Self::Cancelled,
        }
    }
}

pub(super) fn run(global: &Global, args: NotifyArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    match args.action {
        Action::Test { channel, to } => test(global, &context, &store, &channel, to.as_deref()),
        Action::List { state, all, channel, alert, limit } => {
            let states = match state {
                _ if all => Vec::new(),
                states if states.is_empty() => vec![DeliveryState::Pending, DeliveryState::Sending, DeliveryState::Dead],
                states => states.into_iter().map(DeliveryState::from).collect(),
            };
            let filter = DeliveryFilter { states, channel, alert, limit: limit as usize };
            list(global, &store.deliveries(&filter)?)
        }
        Action::Retry { ids, all_dead, channel } => retry(global, &context, &store, ids, all_dead, channel),
        Action::Channels => channels(global, &context, &store),
    }
}

/// A channel by its name, in any case of letters.
fn channel<'a>(context: &'a Context, name: &str) -> Result<(&'a String, &'a Channel), Failure> {
    let channels = &context.set.config.notifications.channels;
    let found = channels.get_key_value(name).or_else(|| channels.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)));
    found.ok_or_else(|| {
        let error = SendError::NoChannel(name.escape_debug().to_string());
        let mut problem = error.diagnostic();
        if let Some(near) = did_you_mean(name, channels.keys().map(String::as_str)) {
            problem.advice = Some(format!("did you mean '{near}'?"));
        }
        Failure::new(Exit::Error, problem)
    })
}

fn options(channel: &Channel) -> Result<Options, SendError> {
    match Options::of(channel) {
        Some(options) => options.map_err(SendError::Incomplete),
        None => Err(SendError::Incomplete("it has no type".into())),
    }
}

fn surroundings(context: &Context) -> Surroundings {
    Surroundings {
        root: context.root.clone(),
        secrets: std::sync::Arc::clone(&context.secrets) as _,
        redactor: context.redactor.clone(),
        base_url: context.set.config.notifications.base_url.clone(),
        host: hostname(),
    }
}

fn event(context: &Context, action: &str, target: &str, details: Value, success: bool) -> AuditEvent {
    AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: action.to_owned(),
        target: Some(target.to_owned()),
        details,
        ip: Some(context.actor.from.clone()),
        success,
    }
}

fn test(global: &Global, context: &Context, store: &Store, name: &str, to: Option<&str>) -> Result<Exit, Failure> {
    context.may(store, Role::Operator, "send a test", Some(name))?;
    let (name, declared) = channel(context, name)?;
    let now = context.clock.now();
    let message = Message {
        occasion: Occasion::Test,
        organization: context.set.config.general.organization.clone(),
        alerts: Vec::new(),
        site: None,
        because: format!("rmm notify test, by {}", context.actor.user),
        note: format!("This is a test of the channel '{name}', sent from {}.", hostname()),
    };
    let id = format!("test-{}-{:08x}", now.format("%Y%m%d-%H%M%S"), rand::random::<u32>());
    let begun = Instant::now();
    let result = match options(declared).and_then(|options| notify::open(options, &surroundings(context))) {
        Err(error) => Err(error),
        Ok(channel) => super::signals::block_on(async |signals| {
            let parcel = Parcel { id: &id, recipient: to, message: &message, receipt: None, at: now };
            tokio::select! {
                result = channel.send(&parcel) => Ok(result),
                () = signals.stop.cancelled() => Err(Failure::silent(Exit::Interrupted)),
            }
        })?,
    };
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let said = |text: &str| context.redactor.redact(text).into_owned();
    let details = match &result {
        Ok(answer) => {
            let missed: Vec<&str> = answer.missed.iter().map(|missed| missed.recipient.as_str()).collect();
            json!({ "to": to, "id": id, "said": said(&answer.said), "missed": missed })
        }
        Err(error) => json!({ "to": to, "id": id, "error": said(&error.to_string()) }),
    };
    store.audit(&event(context, "notify.tested", name, details, result.is_ok()))?;
    let answer = result.map_err(|error| {
        let mut problem = error.diagnostic();
        problem.message = said(&format!("the channel '{name}' did not take the test: {error}"));
        Failure::new(Exit::Error, problem)
    })?;
    let kind = declared.kind.map(|kind| kind.to_string()).unwrap_or_default();
    let missed: Vec<(String, Diagnostic)> = answer
        .missed
        .iter()
        .map(|missed| {
            let mut problem = missed.error.diagnostic();
            problem.message = said(&format!("'{name}' did not take it for {}: {}", clean(&missed.recipient), missed.error));
            (missed.recipient.clone(), problem)
        })
        .collect();
    let answer = clean(&said(&answer.said));
    if global.output == Output::Table {
        super::print(&format!("{} ({kind}) took it after {millis} ms: {answer}\n", paint(Tone::Good, name)))?;
    } else {
        let to: Vec<&String> = missed.iter().map(|(to, _)| to).collect();
        let shown = json!({
            "schema": "rmm.notifyTest/1", "channel": name, "type": kind, "id": id, "milliseconds": millis, "said": answer, "missed": to,
        });
        super::print(&document(&shown, global.output)?)?;
    }
    if missed.is_empty() {
        return Ok(Exit::Done);
    }
    let problems = missed.into_iter().map(|(_, problem)| problem).collect();
    Err(Failure { exit: Exit::Error, problems, sources: std::sync::Arc::default() })
}

fn list(global: &Global, deliveries: &[Delivery]) -> Result<Exit, Failure> {
    let mut table =
        Table::new("rmm.notifications/1", &["ID", "STATE", "CHANNEL", "TO", "WHY", "ABOUT", "TRIES", "CREATED", "DUE", "SENT", "ERROR"]);
    let time = |at: Option<DateTime<Utc>>| at.map(|at| at.format("%F %T").to_string());
    for delivery in deliveries {
        let message = &delivery.message;
        let about = match message.alerts.as_slice() {
            [] => message.note.clone(),
            [alert] => format!("{}: {}", alert.key.subject, alert.title),
            several => count(several.len(), "alert", "alerts"),
        };
        // When it is tried next is of no interest once that is over.
        let due = Some(delivery.due_at).filter(|_| matches!(delivery.state, DeliveryState::Pending));
        table.push(vec![
            json!(delivery.id),
            json!(delivery.state.to_string()),
            json!(delivery.channel),
            json!(delivery.recipient),
            json!(message.occasion.to_string()),
            json!(about),
            json!(delivery.attempts),
            json!(time(Some(delivery.created_at))),
            json!(time(due)),
            json!(time(delivery.sent_at)),
            json!(delivery.error),
        ]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

fn retry(
    global: &Global,
    context: &Context,
    store: &Store,
    ids: Vec<String>,
    all_dead: bool,
    channel: Option<String>,
) -> Result<Exit, Failure> {
    context.may(store, Role::Operator, "have messages sent again", None)?;
    let ids = if all_dead {
        let filter = DeliveryFilter { states: vec![DeliveryState::Dead], channel, alert: None, limit: 0 };
        // In the order in which they were decided.
        store.deliveries(&filter)?.into_iter().rev().map(|delivery| delivery.id).collect()
    } else {
        ids
    };
    let now = context.clock.now();
    let mut problems: Vec<Diagnostic> = Vec::new();
    let mut done = Vec::new();
    for id in ids {
        match store.retry_delivery(&id, now, event(context, "notify.retried", &id, json!({}), true)) {
            Ok(()) => done.push(id),
            Err(error) => problems.push(error.diagnostic()),
        }
    }
    if global.output == Output::Table {
        super::print(&format!("{} will be tried again by the daemon.\n", count(done.len(), "message", "messages")))?;
    } else {
        super::print(&document(&json!({ "schema": "rmm.notifyRetry/1", "retried": done }), global.output)?)?;
    }
    if problems.is_empty() { Ok(Exit::Done) } else { Err(Failure { exit: Exit::Error, problems, sources: std::sync::Arc::default() }) }
}

fn channels(global: &Global, context: &Context, store: &Store) -> Result<Exit, Failure> {
    let mut table =
        Table::new("rmm.channels/1", &["CHANNEL", "TYPE", "SENDS", "FROM SEVERITY", "PER MINUTE", "WAITING", "DEAD", "LAST SENT"]);
    for (name, declared) in &context.set.config.notifications.channels {
        let of = |state: DeliveryState, limit: usize| {
            store.deliveries(&DeliveryFilter { states: vec![state], channel: Some(name.clone()), alert: None, limit })
        };
        let options = options(declared);
        let can = match &options {
            Ok(options) => options.gaps().into_iter().next().map_or_else(|| "yes".to_owned(), |(_, why)| format!("no: {why}")),
            Err(error) => format!("no: {error}"),
        };
        let last = of(DeliveryState::Sent, 1)?.into_iter().next().and_then(|delivery| delivery.sent_at);
        let options = options.as_ref().ok();
        table.push(vec![
            json!(name),
            json!(declared.kind.map(|kind| kind.to_string())),
            json!(can),
            json!(options.map(|options| options.min_severity().to_string())),
            json!(options.and_then(Options::rate)),
            json!(of(DeliveryState::Pending, 0)?.len()),
            json!(of(DeliveryState::Dead, 0)?.len()),
            json!(last.map(|at| at.format("%F %T").to_string())),
        ]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}
