//! `rmm alerts`: what is wrong now and was, who looks after it, and what nobody shall be told of.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, ago, clean, count, paint};
use super::table::{Output, Table, document};
use crate::alert::hand::{self, Act, HandError};
use crate::model::action::Role;
use crate::model::alert::{Subject, Suppression};
use crate::model::{Alert, AlertState, Severity};
use crate::plan::{Matcher, Scope, Targeting};
use crate::store::{AlertFilter, DeliveryFilter, Store};

/// Arguments of `rmm alerts`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a subcommand the alerts that last are listed.\n\nExamples:\n  rmm alerts\n  rmm alerts ack 4f2a91c3 -m \"on my way\"\n  rmm alerts ack --device 'Web Servers' --type DiskSpace\n  rmm alerts silence --device web-1 --for 2h -m \"new disk\"\n\nWhat a command changes is written at once. A running daemon notices it and tells who has to hear of it; without one nothing is sent,\nand the daemon does so when it starts. An alert is named by its id, or by the end of it."
)]
pub(super) struct AlertsArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the alerts that last
    #[command(after_help = "Example:\n  rmm alerts list --severity high --device tag=production")]
    List(Choice),
    /// Show all alerts, those that are over too
    #[command(after_help = "Example:\n  rmm alerts history --since 7d --type Offline")]
    History {
        #[command(flatten)]
        choice: Choice,
        /// From then on: a date, a time, or a duration ago
        #[arg(long, value_name = "TIME", default_value = "24h")]
        since: String,
        /// At most so many, the newest
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show everything about an alert: notes, and who was told
    #[command(after_help = "Example:\n  rmm alerts show 4f2a91c3")]
    Show {
        /// Its id, or the end of it
        alert: String,
    },
    /// Look after alerts: nobody is told of them again, and nobody is called
    #[command(after_help = "Example:\n  rmm alerts ack 4f2a91c3 -m \"on my way\"\n  rmm alerts ack 4f2a91c3 --take-over")]
    Ack {
        #[command(flatten)]
        which: Which,
        /// Also where somebody else looks after it already
        #[arg(long)]
        take_over: bool,
    },
    /// Give alerts back: who comes next hears of them
    #[command(after_help = "Example:\n  rmm alerts unack 4f2a91c3 -m \"my shift is over\"")]
    Unack(Which),
    /// Say that alerts are over; what is still measured as wrong comes back
    #[command(after_help = "Example:\n  rmm alerts resolve 4f2a91c3 -m \"disk replaced\"")]
    Resolve(Which),
    /// Add a note to alerts
    #[command(after_help = "Example:\n  rmm alerts note 4f2a91c3 -m \"supplier called\"")]
    Note(Which),
    /// Tell nobody of these alerts for a while; they are recorded all the same
    #[command(
        after_help = "Examples:\n  rmm alerts silence --device web-1 --for 2h -m \"new disk\"\n  rmm alerts silence --type DiskSpace --device tag=lab --for 7d -m lab"
    )]
    Silence(super::silences::SilenceArgs),
    /// Show the silences that hold or are to come
    #[command(after_help = "Example:\n  rmm alerts silences --all")]
    Silences {
        /// Those that are over too
        #[arg(long)]
        all: bool,
    },
    /// End a silence now: what still lasts is told
    #[command(after_help = "Example:\n  rmm alerts unsilence s-20261121-073012-4f2a")]
    Unsilence {
        /// Its id, or the end of it
        silence: String,
    },
}

/// Which alerts are meant.
#[derive(Debug, Clone, Default, Args)]
struct Choice {
    /// About these devices: a name, a group, tag=T, site=S, os=linux
    #[arg(long, value_name = "SELECTOR")]
    device: Vec<String>,
    /// Of these types
    #[arg(long = "type", value_name = "TYPE")]
    kind: Vec<String>,
    /// At least that severe: info, low, medium, high, critical
    #[arg(long, value_name = "SEVERITY", value_enum)]
    severity: Option<Least>,
    /// In these states: triggered, active, acknowledged, resolved, archived
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Vec<AlertState>,
}

/// Alerts by name or by choice, and what is said about it.
#[derive(Debug, Args)]
struct Which {
    /// Their ids, or the ends of them
    alerts: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// What is to be noted
    #[arg(short = 'm', long, value_name = "TEXT")]
    message: Option<String>,
    /// Do not ask, whatever the number
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Least {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Least {
    const fn severity(self) -> Severity {
        match self {
            Self::Info => Severity::Info,
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
        }
    }
}

fn state(text: &str) -> Result<AlertState, String> {
    use AlertState::{Acknowledged, Active, Archived, Resolved, Triggered};
    let found = [Triggered, Active, Acknowledged, Resolved, Archived].into_iter().find(|state| state.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| "write triggered, active, acknowledged, resolved or archived".to_owned())
}

pub(super) fn run(global: &Global, args: AlertsArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    let action = args.action.unwrap_or_else(|| Action::List(Choice::default()));
    if !matches!(action, Action::List(_) | Action::History { .. } | Action::Show { .. } | Action::Silences { .. }) {
        context.may(&store, Role::Operator, "answer alerts", None)?;
    }
    match action {
        Action::List(choice) => {
            let open = choice.state.iter().all(|state| state.is_open());
            let filter = AlertFilter { open_only: open, ..AlertFilter::default() };
            list(global, &context, &choice.of(&context, store.alerts(&choice.narrowed(filter))?)?)
        }
        Action::History { choice, since, limit } => {
            let since = Some(super::facts::time(&since, context.clock.now())?);
            let mut alerts = choice.of(&context, store.alerts(&choice.narrowed(AlertFilter { since, ..AlertFilter::default() }))?)?;
            alerts.truncate(limit as usize);
            list(global, &context, &alerts)
        }
        Action::Show { alert } => show(global, &context, &store, &find(&store, &alert)?),
        Action::Ack { which, take_over } => by_hand(global, &context, &store, &which, Act::Acknowledge { take_over }),
        Action::Unack(which) => by_hand(global, &context, &store, &which, Act::GiveBack),
        Action::Resolve(which) => by_hand(global, &context, &store, &which, Act::Resolve),
        Action::Note(which) => {
            if which.message.as_deref().is_none_or(|text| text.trim().is_empty()) {
                return Err(Failure::usage("there is nothing to note", "add -m \"TEXT\""));
            }
            by_hand(global, &context, &store, &which, Act::Note)
        }
        Action::Silence(args) => super::silences::silence(global, &context, &store, &args),
        Action::Silences { all } => super::silences::list(global, &context, &store, all),
        Action::Unsilence { silence } => super::silences::end(&context, &store, &silence),
    }
}

impl Choice {
    fn is_empty(&self) -> bool {
        self.device.is_empty() && self.kind.is_empty() && self.severity.is_none() && self.state.is_empty()
    }

    /// The part that the database can answer.
    fn narrowed(&self, filter: AlertFilter) -> AlertFilter {
        let kind = if let [kind] = self.kind.as_slice() { Some(kind.clone()) } else { None };
        AlertFilter { states: self.state.clone(), kind, min_severity: self.severity.map(Least::severity), ..filter }
    }

    /// Of these alerts those that are meant.
    fn of(&self, context: &Context, mut alerts: Vec<Alert>) -> Result<Vec<Alert>, Failure> {
        alerts.retain(|alert| self.kind.is_empty() || self.kind.iter().any(|kind| *kind == *alert.key.kind));
        if self.device.is_empty() {
            return Ok(alerts);
        }
        // A device that is no longer declared may still have alerts.
        let (gone, there): (Vec<&String>, Vec<&String>) = self
            .device
            .iter()
            .partition(|text| alerts.iter().any(|a| a.key.subject.device() == Some(text)) && !context.set.devices.contains_key(*text));
        let there: Vec<String> = there.into_iter().cloned().collect();
        let scope = Scope::parse(&context.set, &there, &[])?;
        let matcher = Matcher::new(std::sync::Arc::clone(&context.set), &scope.selectors);
        let store = context.store()?;
        let mut failed = None;
        alerts.retain(|alert| {
            let Subject::Device(name) = &alert.key.subject else { return false };
            if gone.iter().any(|gone| ***gone == **name) {
                return true;
            }
            let Some(device) = context.set.devices.get(&**name) else { return false };
            let facts = store.facts(name, None).unwrap_or_else(|error| {
                failed = Some(error);
                crate::model::Facts::default()
            });
            let membership = matcher.membership(device, &facts);
            matcher.any(&scope.selectors, device, &facts, &membership) == Targeting::Yes
        });
        failed.map_or(Ok(alerts), |error| Err(error.into()))
    }
}

/// An alert by its id or the end of it.
fn find(store: &Store, text: &str) -> Result<Alert, Failure> {
    if let Some(alert) = store.alert(text)? {
        return Ok(alert);
    }
    let mut found = store.alerts(&AlertFilter::default())?;
    found.retain(|alert| text.len() >= 4 && alert.id.ends_with(text));
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(HandError::Missing(text.to_owned()).into()),
        _ => Err(Failure::usage(format!("'{}' is the end of {} alerts", clean(text), found.len()), "give more of the id")),
    }
}

fn tone(alert: &Alert) -> Tone {
    match alert.severity {
        _ if !alert.state.is_open() => Tone::Dim,
        Severity::Critical | Severity::High => Tone::Bad,
        Severity::Medium => Tone::Change,
        _ => Tone::Plain,
    }
}

/// Why nobody is told, in words.
fn because(suppression: &Suppression) -> String {
    match suppression {
        Suppression::Silence(id) => format!("silence {id}"),
        Suppression::Maintenance(name) => format!("maintenance {name}"),
        Suppression::Parent(name) => format!("{name} is down"),
        Suppression::PartOf(id) => format!("part of {id}"),
        Suppression::Flapping => "flapping".into(),
        Suppression::QuietHours => "quiet hours".into(),
    }
}

fn list(global: &Global, context: &Context, alerts: &[Alert]) -> Result<Exit, Failure> {
    if global.output != Output::Table {
        let columns = [
            "ID",
            "SEVERITY",
            "STATE",
            "SUBJECT",
            "TYPE",
            "INSTANCE",
            "TITLE",
            "VALUE",
            "UNIT",
            "COUNT",
            "CREATED AT",
            "LAST AT",
            "ACKNOWLEDGED BY",
            "RESOLVED AT",
            "RESOLVED BY",
            "SUPPRESSED",
        ];
        let mut table = Table::new("rmm.alerts/1", &columns);
        for alert in alerts {
            table.push(vec![
                json!(alert.id),
                json!(alert.severity),
                json!(alert.state),
                json!(alert.key.subject.to_string()),
                json!(alert.key.kind),
                json!(alert.key.instance),
                json!(alert.title),
                json!(alert.value),
                json!(alert.unit),
                json!(alert.count),
                json!(alert.created_at),
                json!(alert.last_at),
                json!(alert.acknowledged_by),
                json!(alert.resolved_at),
                json!(alert.resolved_by),
                json!(alert.suppressed.as_ref().map(because)),
            ]);
        }
        super::print(&table.render(global.output)?)?;
        return Ok(Exit::Done);
    }
    let now = context.clock.now();
    let mut table = Table::new("rmm.alerts/1", &["ID", "SEVERITY", "STATE", "SINCE", "ABOUT", "WHAT"]);
    for alert in alerts {
        let state = match (&alert.suppressed, &alert.acknowledged_by) {
            (Some(suppressed), _) if alert.state.is_open() => format!("{} ({})", alert.state, because(suppressed)),
            (_, Some(by)) if alert.state == AlertState::Acknowledged => format!("{} by {by}", alert.state),
            _ => alert.state.to_string(),
        };
        let times = if alert.count > 1 { format!(" x{}", alert.count) } else { String::new() };
        table.push(vec![
            json!(alert.id),
            json!(paint(tone(alert), alert.severity)),
            json!(state),
            json!(ago((now - alert.created_at).num_seconds())),
            json!(alert.key.subject.to_string()),
            json!(format!("{}{times}", alert.title)),
        ]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

fn show(global: &Global, context: &Context, store: &Store, alert: &Alert) -> Result<Exit, Failure> {
    let mut deliveries = store.deliveries(&DeliveryFilter { alert: Some(alert.id.clone()), limit: 500, ..DeliveryFilter::default() })?;
    deliveries.reverse();
    if global.output != Output::Table {
        let mut value = serde_json::to_value(alert).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.shift_remove("progress");
            let sent = deliveries.iter().map(|delivery| {
                json!({
                    "id": delivery.id, "channel": delivery.channel, "recipient": delivery.recipient, "occasion": delivery.message.occasion,
                    "because": delivery.message.because, "state": delivery.state, "at": delivery.created_at, "sentAt": delivery.sent_at,
                    "error": delivery.error,
                })
            });
            members.insert("deliveries".into(), Value::Array(sent.collect()));
        }
        let mut whole = json!({ "schema": "rmm.alert/1" });
        whole["alert"] = value;
        super::print(&document(&whole, global.output)?)?;
        return Ok(Exit::Done);
    }
    let now = context.clock.now();
    let mut out = format!("{}\n", paint(tone(alert), clean(&alert.title)));
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            // What has several lines goes on below its beginning.
            let value: Vec<String> = value.lines().map(clean).collect();
            out.push_str(&format!("  {name:<13} {}\n", value.join(&format!("\n  {:<13} ", ""))));
        }
    };
    let moment = |at: chrono::DateTime<chrono::Utc>| format!("{} ({})", at.format("%Y-%m-%d %H:%M:%S UTC"), ago((now - at).num_seconds()));
    row("id", alert.id.clone());
    row("about", alert.key.subject.to_string());
    let instance = &alert.key.instance;
    row("type", if instance.is_empty() { alert.key.kind.to_string() } else { format!("{} of {instance}", alert.key.kind) });
    row("severity", alert.severity.to_string());
    row("state", alert.state.to_string());
    row("not told", alert.suppressed.as_ref().filter(|_| alert.state.is_open()).map(because).unwrap_or_default());
    row("message", alert.message.clone());
    row("says", alert.source.to_string());
    row("since", moment(alert.created_at));
    row("last", format!("{}, {}", moment(alert.last_at), count(alert.count as usize, "time", "times")));
    row("looks after it", alert.acknowledged_by.clone().unwrap_or_default());
    row("over", alert.resolved_at.map(moment).unwrap_or_default());
    row("says so", alert.resolved_by.clone().unwrap_or_default());
    for note in &alert.notes {
        out.push_str(&format!("  {}  {}: {}\n", paint(Tone::Dim, note.at.format("%m-%d %H:%M")), clean(&note.by), clean(&note.text)));
    }
    for delivery in &deliveries {
        let to = delivery.recipient.as_deref().map(|to| format!(" ({to})")).unwrap_or_default();
        let error = delivery.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        let line =
            format!("{} to {}{to}, {}: {}{error}", delivery.message.occasion, delivery.channel, delivery.message.because, delivery.state);
        out.push_str(&format!("  {}  {}\n", paint(Tone::Dim, delivery.created_at.format("%m-%d %H:%M")), clean(&line)));
    }
    super::print(&out)?;
    Ok(Exit::Done)
}

/// Does something about alerts, and asks before it is many of them.
fn by_hand(global: &Global, context: &Context, store: &Store, which: &Which, act: Act) -> Result<Exit, Failure> {
    if which.alerts.is_empty() == which.choice.is_empty() {
        return Err(Failure::usage("which alerts is not clear", "give ids, or --device, --type, --severity or --state"));
    }
    let alerts = if which.alerts.is_empty() {
        let filter = AlertFilter { open_only: true, ..AlertFilter::default() };
        let mut alerts = which.choice.of(context, store.alerts(&which.choice.narrowed(filter))?)?;
        // What there is nothing to do about is left out.
        alerts.retain(|alert| match act {
            Act::Acknowledge { take_over } => alert.state != AlertState::Acknowledged || take_over,
            Act::GiveBack => alert.state == AlertState::Acknowledged,
            Act::Resolve | Act::Note => true,
        });
        alerts
    } else {
        which.alerts.iter().map(|text| find(store, text)).collect::<Result<_, _>>()?
    };
    let (word, done) = match act {
        Act::Acknowledge { .. } => ("acknowledge", "acknowledged"),
        Act::GiveBack => ("give back", "given back"),
        Act::Resolve => ("resolve", "resolved"),
        Act::Note => ("note something about", "noted"),
    };
    let what = count(alerts.len(), "alert", "alerts");
    if alerts.is_empty() {
        super::say("no alert is meant; nothing was done");
        return Ok(Exit::Done);
    }
    if which.alerts.is_empty() && alerts.len() > 1 && !which.yes {
        let names: Vec<String> = alerts.iter().map(|alert| format!("{} of {}", alert.key.kind, alert.key.subject)).collect();
        super::confirm::ask(&format!("{word} {what}"), &names, "--yes")?;
    }
    let note = which.message.as_deref();
    let mut rows = Vec::new();
    for alert in &alerts {
        rows.push(hand::act(store, &alert.id, act, note, &context.actor, context.clock.now())?);
    }
    if global.output != Output::Table {
        return list(global, context, &rows);
    }
    for alert in &rows {
        super::print(&format!("{} {}: {}\n", paint(Tone::Good, done), alert.key.subject, clean(&alert.title)))?;
    }
    Ok(Exit::Done)
}
