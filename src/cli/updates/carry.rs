//! The one place where `rmm updates` has actions carried out: on many devices side by side, each under its guards and its lease.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::apply::{Acted, Allowed, Ask, End, Listener, Part, act};
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;
use crate::cli::style::{Tone, clean, count, paint};
use crate::cli::table::{Output, Table};
use crate::model::ActionCall;
use crate::store::{Store, StoreError};
use crate::transport::Places;

/// What is to be done on one device.
pub(super) struct Order {
    /// Device by name.
    pub(super) device: String,
    /// The action with its parameters.
    pub(super) call: ActionCall,
    /// Doing or undoing.
    pub(super) part: Part,
}

/// What came of it.
pub(super) struct Outcome {
    /// Device by name.
    pub(super) device: String,
    /// What was to be done.
    pub(super) call: ActionCall,
    /// How it ended.
    pub(super) acted: Acted,
}

/// Refuses an action whose head asks for a higher role.
pub(super) fn may(context: &Context, store: &Store, action: &str) -> Result<(), Failure> {
    match context.set.catalog.action(action) {
        Some(def) => context.may(store, def.role, &format!("run {}", def.name), None),
        None => Ok(()),
    }
}

/// A name for what is done together: it stands in the history.
pub(super) fn new_run(context: &Context) -> String {
    let random: u16 = rand::random();
    format!("u-{}-{random:04x}", context.clock.now().format("%Y%m%d-%H%M%S"))
}

/// Carries the orders out. An interrupt lets what is in flight finish; what was not begun is cancelled.
pub(super) fn carry(
    global: &Global,
    context: &Context,
    store: &Store,
    run: &str,
    orders: Vec<Order>,
    concurrency: Option<u32>,
) -> Result<Vec<Outcome>, Failure> {
    let parts = context.parts(store);
    let most = concurrency.unwrap_or(context.set.config.connections.max_concurrent) as usize;
    let places = Places::new(most, most);
    let total = orders.len();
    let progress = Progress::new(global, "working");
    let mut outcomes = crate::cli::signals::block_on_changes(async |signals| {
        let mut tasks: JoinSet<Result<Outcome, StoreError>> = JoinSet::new();
        for order in orders {
            let (parts, places, run) = (parts.clone(), places.clone(), run.to_owned());
            let (stop, abort) = (signals.stop.clone(), signals.abort.clone());
            tasks.spawn(async move {
                let transport = parts.set.devices.get(&order.device).map(|device| parts.set.transport(device));
                let _place = places.take(transport.unwrap_or_default()).await;
                let Order { device, call, part } = order;
                if stop.is_cancelled() {
                    let acted = Acted { end: End::Cancelled, ..nothing("not begun: stopped before its turn") };
                    return Ok(Outcome { device, call, acted });
                }
                let ask = Ask {
                    device: &device,
                    call: &call,
                    because: &run,
                    allowed: Allowed::Confirmed,
                    once: None,
                    timeout: None,
                    part,
                    leased: false,
                    on: Listener::default(),
                };
                let acted = act(&parts, &ask, &abort).await?;
                Ok(Outcome { device, call, acted })
            });
        }
        let mut outcomes = Vec::with_capacity(total);
        while let Some(done) = tasks.join_next().await {
            if let Ok(outcome) = done {
                outcomes.push(outcome?);
            }
            progress.at(outcomes.len(), total);
        }
        Ok::<_, StoreError>(outcomes)
    })?;
    progress.finish();
    outcomes.sort_by(|a, b| a.device.cmp(&b.device));
    Ok(outcomes)
}

fn nothing(message: &str) -> Acted {
    Acted {
        end: End::Refused,
        message: message.to_owned(),
        value: Value::Null,
        ran: Vec::new(),
        category: crate::diagnose::Category::Configuration,
        held: None,
    }
}

/// A row per device: how it ended, and what `tell` makes of the result.
pub(super) fn show(global: &Global, run: &str, outcomes: &[Outcome], tell: fn(&Value) -> String) -> Result<Exit, Failure> {
    let mut table = Table::new("rmm.updateRun/1", &["DEVICE", "RUN", "END", "RESULT", "VALUE"]);
    let mut text = String::new();
    for Outcome { device, acted, .. } in outcomes {
        let words = if acted.end == End::Done { tell(&acted.value) } else { acted.message.clone() };
        let tone = if acted.end == End::Done { Tone::Good } else { Tone::Bad };
        text += &format!("{}  {}  {}\n", paint(Tone::Strong, clean(device)), paint(tone, acted.end), clean(&words));
        for left in acted.value["left"].as_array().into_iter().flatten() {
            let word = |key: &str| clean(left[key].as_str().unwrap_or_default());
            text += &format!("    {} {} {}: {}\n", paint(Tone::Dim, "left out"), word("package"), word("version"), word("reason"));
        }
        table.push(vec![json!(device), json!(run), json!(acted.end), json!(words), acted.value.clone()]);
    }
    crate::cli::print(&if global.output == Output::Table { text } else { table.render(global.output)? })?;
    let ended = |wanted: &[End]| outcomes.iter().filter(|one| wanted.contains(&one.acted.end)).count();
    let (failed, away) = (ended(&[End::Failed, End::TimedOut, End::Interrupted]), ended(&[End::Unreachable, End::Busy]));
    let (refused, cancelled) = (ended(&[End::Refused]), ended(&[End::Cancelled]));
    if failed + away + refused > 0 && outcomes.len() > 1 && !global.quiet {
        crate::cli::say(format!("{} of {} did not end well", failed + away + refused, count(outcomes.len(), "device", "devices")));
    }
    Ok(match (cancelled, failed, away, refused) {
        (1.., ..) => Exit::Interrupted,
        (_, 1.., ..) => Exit::SomeFailed,
        (_, _, 1.., _) => Exit::SomeUnreachable,
        (.., 1..) if refused == outcomes.len() => Exit::Refused,
        (.., 1..) => Exit::SomeFailed,
        _ => Exit::Done,
    })
}

/// `openssl 3.0.15-1 -> 3.0.16-1, new: libx 1`
pub(super) fn changes(value: &Value, member: &str) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("(absent)").to_owned();
    let list: Vec<String> = value[member]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| format!("{} {} -> {}", word(&one["package"]), word(&one["from"]), word(&one["to"])))
        .collect();
    if list.is_empty() { "nothing to change".to_owned() } else { list.join(", ") }
}
