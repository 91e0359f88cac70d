//! `rmm run`: an action of the catalogue on devices, asked for by hand. It goes through the queue of jobs, like the steps of workflows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;
use super::run_later;
use super::run_parameters::parameters;
use super::run_text::{Ended, conclude, line, preview};
use super::run_watch;
use super::style::{clean, count};
use super::table::Output;
use super::transfers::{Transfers, transferred};
use crate::apply::Parts;
use crate::catalog::ActionDef;
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::action::ActsOn;
use crate::model::config::Amount;
use crate::model::job::WaitsFor;
use crate::model::selector::Match;
use crate::model::workflow::Concurrency;
use crate::model::{ActionCall, Job, JobState, Reboot, Risk, Selector};
use crate::plan::Scope;
use crate::store::{JobFilter, StoreError};
use crate::time::Span;
use crate::workflow::{Driver, Event, Options, Which, by_hand, start};

/// Arguments of `rmm run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm run FlushDNS --on web-1\n  rmm run ServiceControl --on 'Web Servers' -p name=nginx -p state=reload --dry-run\n  rmm run ClearTemp --on os=linux -p days=30 --yes\n  rmm run Reboot --on tag=lab --stagger 30m --max-failures 2 --wait-for-reboot\n  rmm run ClearTemp --on 'Web Servers' --at 'Sat 22:00' --stagger 2h --expires 4h\n\n`rmm explain actions` lists what there is, `rmm explain ACTION` its parameters. A value may be {secret: NAME}."
)]
pub(super) struct RunArgs {
    /// The action: `ServiceControl`, or `Service-Control`
    #[arg(value_name = "ACTION")]
    pub(super) action: String,
    /// Devices, groups or key=value selectors; may be repeated
    #[arg(long, value_name = "SELECTOR")]
    pub(super) on: Vec<String>,
    /// A parameter: name=value; may be repeated
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub(super) param: Vec<String>,
    /// Show what would run on each device, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
    /// Later: 22:00, 'Sat 22:00', '2026-11-28 22:00 Europe/Berlin'; in monitoring.schedules.timezone unless a zone follows. The daemon does it then
    #[arg(long, value_name = "WHEN", conflicts_with = "dry_run")]
    pub(super) at: Option<String>,
    /// Later: so long from now
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["at", "dry_run"])]
    pub(super) r#in: Option<Span>,
    /// Devices at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) concurrency: Option<u32>,
    /// Time for all of it, and for each device in place of what the action says; what is not done by then is ended
    #[arg(long, value_name = "DURATION")]
    pub(super) timeout: Option<Span>,
    /// How long a device that is away, or held, keeps its turn
    #[arg(long, value_name = "DURATION")]
    pub(super) expires: Option<Span>,
    /// 1 (before everything else that waits for the device) to 9
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(super) priority: Option<u8>,
    /// Begin the devices one by one, spread over this time
    #[arg(long, value_name = "DURATION")]
    pub(super) stagger: Option<Span>,
    /// Failed devices after which no further one is begun: 3, or 5%
    #[arg(long, value_name = "N|P%")]
    pub(super) max_failures: Option<Amount>,
    /// How often an idempotent action that failed is tried again
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) retries: u32,
    /// Restart devices that ask for it afterwards, and wait for them
    #[arg(long)]
    pub(super) wait_for_reboot: bool,
}

/// How often the queue is looked at where nothing is under way.
pub(super) const LOOK: std::time::Duration = std::time::Duration::from_millis(500);
/// Up to so many devices are named one by one to a run that begins now; the selectors of more mean the same a moment later. One that
/// begins later names all of them.
const NAMED: usize = 500;
/// How often it is tried to have it written down that a run is cancelled.
const MOST_ASKS: u32 = 10;

pub(super) fn run(global: &Global, args: &RunArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    let def = action(&context, &args.action)?;
    let with = parameters(&def, &args.param)?;
    let scope = Scope::parse(&context.set, &args.on, &[])?;
    let parts = context.parts(&store);
    let devices: Vec<String> = match (def.on, args.on.is_empty()) {
        (ActsOn::Nothing, true) => Vec::new(),
        (ActsOn::Nothing, false) => {
            return Err(Failure::usage(format!("{} does not act on devices", def.name), "leave --on out"));
        }
        (_, true) => return Err(Failure::usage(format!("{} needs devices to act on", def.name), "name them: --on SELECTOR")),
        (_, false) => parts.survey().devices(&scope)?.iter().map(|device| device.name.clone()).collect(),
    };
    if devices.is_empty() && def.on != ActsOn::Nothing {
        super::print("No device matches.\n")?;
        return Ok(Exit::Done);
    }
    let named = |name: &String| Selector::Match(Match { device: Some(name.clone()), ..Match::default() });
    let later = args.at.is_some() || args.r#in.is_some();
    let on = if later || devices.len() <= NAMED { devices.iter().map(named).collect() } else { scope.selectors };
    let call = ActionCall { action: Arc::clone(&def.name), with, on };
    if args.dry_run {
        return preview(global, &parts, &call, &devices);
    }
    context.may(&store, def.role, &format!("run {}", def.name), None)?;
    let at = run_later::moment(&context, args)?;
    permit(args, &def, &devices, at.map(|at| run_later::words(at, context.clock.now())))?;
    let options = Options {
        timeout: args.timeout,
        retries: args.retries,
        max_parallel: args.concurrency,
        max_failures: args.max_failures,
        wait_for_reboot: args.wait_for_reboot,
        expires: args.expires,
        stagger: args.stagger,
        priority: args.priority,
        delay: None,
        not_before: at,
    };
    if let Some(at) = at {
        return run_later::schedule(global, &parts, call, &options, at, &devices);
    }
    let total = if crate::workflow::together(&def) { 1 } else { devices.len() };
    carry_out(global, &parts, call, &options, total)
}

/// The action that is meant.
fn action(context: &Context, name: &str) -> Result<Arc<ActionDef>, Failure> {
    context.set.catalog.action(name).cloned().ok_or_else(|| {
        let known = context.set.catalog.actions.keys().map(|name| &**name);
        let advice = match did_you_mean(name, known) {
            Some(near) => format!("did you mean '{near}'?"),
            None => "rmm explain actions lists what there is".to_owned(),
        };
        Failure::new(Exit::Usage, Diagnostic::error("RMM0131", format!("there is no action '{name}'")).advice(advice))
    })
}

/// Asks before what may disturb somebody, and before anything on several devices.
fn permit(args: &RunArgs, def: &ActionDef, devices: &[String], later: Option<String>) -> Result<(), Failure> {
    let harmless = def.risk == Risk::None || (def.risk == Risk::Low && devices.len() == 1);
    if args.yes || devices.is_empty() || (harmless && !def.confirm && def.reboot != Reboot::Always) {
        return Ok(());
    }
    let when = later.map(|when| format!(" at {when}")).unwrap_or_default();
    super::confirm::ask(&format!("carry out {} on {}{when}", def.name, count(devices.len(), "device", "devices")), devices, "--yes")
}

/// Puts the action into the queue and drives it. What waits for a window stays there for the daemon.
fn carry_out(global: &Global, parts: &Parts, call: ActionCall, options: &Options, total: usize) -> Result<Exit, Failure> {
    let run = by_hand(&parts.set, call, options, &parts.actor, parts.clock.now(), rand::random());
    start(&parts.store, &run, Concurrency::Parallel)?;
    let progress = Arc::new(Progress::new(global, "running"));
    progress.at(0, total);
    if global.output == Output::Jsonl {
        super::print(&format!("{}\n", json!({ "schema": "rmm.jobs/1", "run": run.id })))?;
    }
    let over = CancellationToken::new();
    let counts: Arc<Mutex<Counts>> = Arc::default();
    let on = {
        let (progress, counts, over, output) = (Arc::clone(&progress), Arc::clone(&counts), over.clone(), global.output);
        let transfers = Transfers::default();
        move |event: Event| {
            let job = match event {
                Event::Job(job) => job,
                Event::Progress { job, device, progress: far, .. } => {
                    let line = transfers.note(&job, &device, far);
                    if output == Output::Jsonl {
                        let _ = super::print(&format!("{}\n", transferred(&job, &device, far)));
                    } else if progress.is_drawn() {
                        progress.doing(line);
                    } else if transfers.is_time() {
                        progress.line(&format!("  {line}"));
                    }
                    return;
                }
                Event::Run { .. } | Event::Step { .. } => return,
            };
            if let Some(line) = transfers.ended(&job) {
                progress.doing(line);
            }
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            if job.state != JobState::Running {
                if output == Output::Jsonl {
                    // A reader that went away does not stop the work.
                    let _ = super::print(&format!("{}\n", json!({ "event": "job", "job": *job })));
                } else {
                    progress.line(&line(&job));
                }
            }
            counts.note(&job);
            progress.at(counts.ended + counts.resting, total);
            if counts.ended + counts.resting >= total && counts.resting > 0 {
                over.cancel();
            }
        }
    };
    let on = Arc::new(on);
    let finished = super::signals::block_on_changes(async |signals| {
        let driven = async {
            loop {
                let (parts_of, told) = (parts.clone(), Arc::clone(&on));
                let driver = Driver {
                    parts: Box::new(move || parts_of.clone()),
                    which: Which::One(run.id.clone()),
                    stop: over.clone(),
                    // Of its own: a driver that ends with an error cancels it, and nobody has asked for that.
                    abort: signals.abort.child_token(),
                    on: Box::new(move |event| told(event)),
                };
                match Arc::new(driver).run().await {
                    // The daemon was faster: it carries the action out.
                    Err(StoreError::Leased { .. }) => {}
                    ended => return ended.map(drop),
                }
                if run_watch::watch(&parts.store, &run.id, &over, &*on).await? {
                    return Ok(());
                }
            }
        };
        let stopped = async {
            signals.stop.cancelled().await;
            // Nobody else is to go on with what somebody has stopped.
            if let Err(error) = parts.store.ask_to_cancel(&run.id, "stopped by hand", &parts.actor) {
                tracing::error!(%error, "the run cannot be cancelled");
                over.cancel();
            }
            signals.abort.cancelled().await;
            over.cancel();
            std::future::pending::<()>().await;
        };
        let looks = async {
            loop {
                tokio::time::sleep(LOOK).await;
                let busy = counts.lock().unwrap_or_else(PoisonError::into_inner).running > 0;
                if !busy && parts.store.jobs_rest(&run.id).unwrap_or(false) {
                    over.cancel();
                    std::future::pending::<()>().await;
                }
            }
        };
        let driven = tokio::select! {
            driven = driven => driven,
            () = stopped => Ok(()),
            () = looks => Ok(()),
        };
        if signals.stop.is_cancelled() {
            // Before anybody takes it up again, the last driver of this process too.
            call_off(parts, &run.id).await?;
        }
        driven?;
        if signals.abort.is_cancelled() {
            // What was under way is written down as what it is, and nobody goes on with it.
            wind_up(parts, &run.id).await?;
        }
        Ok::<bool, StoreError>(signals.stop.is_cancelled())
    });
    progress.finish();
    let interrupted = finished?;
    // What was cancelled all at once was not told one by one.
    let jobs = parts.store.jobs(&JobFilter { run: Some(run.id.clone()), ..JobFilter::default() })?;
    conclude(global, &parts.store, Ended { run: &run.id, jobs: &jobs, interrupted })
}

/// Drives a run that is cancelled to its end, unless somebody else does.
pub(super) async fn wind_up(parts: &Parts, run: &str) -> Result<(), StoreError> {
    let parts_of = parts.clone();
    let last = Driver {
        parts: Box::new(move || parts_of.clone()),
        which: Which::One(run.to_owned()),
        stop: CancellationToken::new(),
        abort: CancellationToken::new(),
        on: Box::new(|_| {}),
    };
    match Arc::new(last).run().await {
        Ok(_) | Err(StoreError::Leased { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sees to it that the database has a run as cancelled. One that has ended needs nothing.
pub(super) async fn call_off(parts: &Parts, run: &str) -> Result<(), StoreError> {
    let ask = || match parts.store.workflow_run(run)? {
        Some(row) if row.cancel.is_none() => parts.store.ask_to_cancel(run, "stopped by hand", &parts.actor),
        _ => Ok(()),
    };
    let mut asked = 1;
    loop {
        match ask() {
            Err(StoreError::Step { .. }) => return Ok(()),
            Err(error) if asked < MOST_ASKS => tracing::warn!(%error, "the run cannot be cancelled yet"),
            ended => return ended,
        }
        asked += 1;
        tokio::time::sleep(LOOK).await;
    }
}

/// How many jobs are where.
#[derive(Debug, Default)]
struct Counts {
    known: HashMap<String, Place>,
    running: usize,
    ended: usize,
    /// Wait for something that nobody sits and waits for.
    resting: usize,
}

/// Where a job is.
#[derive(Debug, Clone, Copy)]
enum Place {
    Running,
    Ended,
    Resting,
    Elsewhere,
}

impl Counts {
    fn note(&mut self, job: &Job) {
        let place = match job.state {
            JobState::Running => Place::Running,
            state if state.is_final() => Place::Ended,
            _ if waits_long(job) => Place::Resting,
            _ => Place::Elsewhere,
        };
        if let Some(was) = self.known.insert(job.id.clone(), place)
            && let Some(count) = self.of(was)
        {
            *count -= 1;
        }
        if let Some(count) = self.of(place) {
            *count += 1;
        }
    }

    fn of(&mut self, place: Place) -> Option<&mut usize> {
        match place {
            Place::Running => Some(&mut self.running),
            Place::Ended => Some(&mut self.ended),
            Place::Resting => Some(&mut self.resting),
            Place::Elsewhere => None,
        }
    }
}

/// Whether it waits for something that nobody sits and waits for.
pub(super) fn waits_long(job: &Job) -> bool {
    job.state == JobState::Waiting && matches!(job.waits_for, Some(WaitsFor::Window | WaitsFor::Device))
}

/// A value in a few words, for a line.
pub(super) fn brief(value: &Value) -> String {
    clean(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
