//! `rmm reconcile`: the daemon; with `--once` one round of it, for cron and pipelines.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::plan_text::{Show, render};
use super::progress::Progress;
use super::style::count;
use super::table::Output;
use crate::apply::{ApplyError, Parts, Task, limits};
use crate::model::action::Role;
use crate::model::plan::{Plan, State};
use crate::model::run::Actor;
use crate::plan::{PlanOptions, Scope, Unattended};
use crate::reconcile::{Breaker, Reloaded, Sets, Signals, Source, Start, Triggers};
use crate::repo::PolicySet;
use crate::store::{Owner, Store};

/// How long a round holds the database without a sign of life; its end frees it at once.
const LEASE: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

/// What takes a role, as a refusal says it.
const WHAT: &str = "reconcile";

/// Arguments of `rmm reconcile`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm reconcile\n  rmm reconcile --once\n  rmm -C /srv/fleet reconcile --once --output json\n\nOnly policies with `remediate: true` are carried out, within [limits]. `rmm init --service` writes a unit for systemd."
)]
pub(super) struct ReconcileArgs {
    /// Observe what is due, plan, carry out, verify, and end; exit codes as those of `rmm apply`
    #[arg(long)]
    pub(super) once: bool,
    /// Take this commit of the followed branch although it does not continue what is in force
    #[arg(long, value_name = "COMMIT")]
    pub(super) accept_history: Option<String>,
}

/// The allocator of glibc keeps memory apart for every few threads and gives little of it back: a daemon for 10,000 devices takes
/// 430 MB so, and 270 MB with one place for all. It only reads this at the start of a process, so the daemon starts itself
/// anew, in the same process. Where somebody has set it, or that fails, it goes on as it is.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_memory_together() {
    use std::os::unix::process::CommandExt as _;

    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(ARENAS).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| "rmm".into());
        let error = std::process::Command::new(program).arg0(name).args(arguments).env(ARENAS, "1").exec();
        tracing::debug!(%error, "not started anew");
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn keep_memory_together() {}

pub(super) fn run(global: &Global, args: &ReconcileArgs) -> Result<Exit, Failure> {
    if !args.once {
        keep_memory_together();
    }
    let mut context = Context::open_for_daemon(global)?;
    let mut store = context.daemon_store(!args.once)?;
    // Asked of the account that starts it, before it is done in the name of the product.
    context.may(&store, Role::Operator, WHAT, None)?;
    let account = std::mem::take(&mut context.actor.user);
    context.actor = Actor { user: "rmm".into(), from: context.actor.from.replacen("cli@", "reconcile@", 1) };
    let sets = sets(global, &context, args)?;
    context.take(sets.current());
    if args.once {
        store = context.store()?;
        return once(global, &context, &store);
    }
    let start = Start {
        sets,
        root: context.root.clone(),
        store,
        secrets: Arc::clone(&context.secrets),
        redactor: context.redactor.clone(),
        clock: Arc::clone(&context.clock),
        sessions: crate::apply::sessions(&context.set, &context.secrets),
        open: Arc::new(crate::notify::open),
        actor: context.actor.clone(),
        host: super::context::hostname(),
    };
    let (changes, roles) = (start.sets.subscribe(), start.sets.subscribe());
    super::signals::serve(async |asked: Signals| {
        tokio::select! {
            ended = crate::reconcile::run(start, asked) => ended,
            () = super::logs::follow(changes) => Ok(()),
            () = watch_role(roles, account) => Ok(()),
        }
    })?;
    Ok(Exit::Done)
}

/// Says so where the account under which the daemon runs has lost its role: it goes on, and does not start again.
async fn watch_role(mut sets: tokio::sync::watch::Receiver<Arc<PolicySet>>, account: String) {
    while sets.changed().await.is_ok() {
        let allowed = crate::access::require(&sets.borrow_and_update().config.security.roles, &account, Role::Operator, WHAT);
        if let Err(error) = allowed {
            tracing::warn!(%error, "security.roles does not let this daemon start again; the one that runs goes on");
        }
    }
    std::future::pending::<()>().await;
}

/// Where policy sets come from, with the first of them in force.
fn sets(global: &Global, context: &Context, args: &ReconcileArgs) -> Result<Arc<Sets>, Failure> {
    let options = super::context::load_options(global, &context.root);
    let Some(follower) = context.follower()? else {
        let clock = Arc::clone(&context.clock);
        return Ok(Arc::new(Sets::new(Source::Folder, options, Arc::clone(&context.set), clock)));
    };
    // What `[repository]` says is read from the files of this machine.
    let settings = context.local.clone();
    let begins = follower.good().is_none();
    let clock = Arc::clone(&context.clock);
    let sets = Sets::new(Source::Branch(Box::new(follower), settings), options, Arc::clone(&context.set), clock);
    match sets.reload(&|| false, args.accept_history.as_deref()) {
        // The last good one is in force, and the daemon goes on asking.
        Reloaded::Refused(problems) if begins || args.accept_history.is_some() => {
            let code = super::failure::exit_of(&problems.first().map(|p| p.code.clone()).unwrap_or_default());
            Err(Failure { exit: code, problems, sources: Arc::default() })
        }
        Reloaded::Refused(problems) => {
            for problem in problems.iter().take(3) {
                super::say(format!("The last good commit stays in force: {}", problem.message));
            }
            Ok(Arc::new(sets))
        }
        _ => Ok(Arc::new(sets)),
    }
}

/// One round.
fn once(global: &Global, context: &Context, store: &Store) -> Result<Exit, Failure> {
    let owner = Owner::this_process();
    store.lease_daemon(&owner, LEASE)?;
    let (ended, until) = std::sync::mpsc::channel::<()>();
    let (of, holder) = (store.clone(), owner.clone());
    let beating = std::thread::spawn(move || {
        let every = (LEASE / 4).to_std().unwrap_or_default();
        while until.recv_timeout(every) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            if let Err(error) = of.lease_daemon(&holder, LEASE) {
                tracing::warn!(%error, "the lease cannot be renewed");
            }
        }
    });
    let result = round(global, &context.parts(store));
    drop(ended);
    // It only sleeps.
    let _ = beating.join();
    store.release_all(&owner)?;
    result
}

fn round(global: &Global, parts: &Parts) -> Result<Exit, Failure> {
    // Before anything is observed: what comes in from here on is found by its look.
    let mut triggers = Triggers::begin(parts.clone())?;
    let worst = converge(global, parts)?;
    if worst == Exit::Interrupted {
        return Ok(worst);
    }
    triggers.look_again()?;
    let (failed, stopped) = super::signals::block_on_changes(async |signals| {
        let failed = crate::reconcile::drive_due(parts.clone(), (signals.stop.clone(), signals.abort.clone())).await?;
        Ok::<_, crate::store::StoreError>((failed, signals.stop.is_cancelled()))
    })?;
    if stopped {
        return Ok(Exit::Interrupted);
    }
    if failed > 0 {
        super::say(format!("{}: rmm workflow list", count(failed, "workflow has failed", "workflows have failed")));
        return Ok(worse(worst, Exit::SomeFailed));
    }
    Ok(worst)
}

fn converge(global: &Global, parts: &Parts) -> Result<Exit, Failure> {
    let scope = Scope::default();
    crate::reconcile::resume_changed(parts)?;
    let progress = Progress::new(global, "observing");
    let outcome = super::signals::block_on(async |signals| {
        parts.survey().everything_due(&scope, None, &signals.stop, &|event| progress.observed(&event)).await
    })?;
    progress.finish();
    if outcome.cancelled {
        return Err(Failure::silent(Exit::Interrupted));
    }
    let mut worst = if outcome.unreachable > 0 { Exit::SomeUnreachable } else { Exit::Done };
    let mut breaker = Breaker::load(parts)?;
    // What waited for devices that have returned, and what a round before this one had not come to.
    for waiting in crate::apply::waiting(parts, None)? {
        let id = waiting.run.id.clone();
        let task = Task::Resume(waiting.changes);
        let carried = Breaker::carried(&task);
        let ended = super::apply::carry_out(global, parts, &id, waiting.options, task)?;
        note(breaker.after(parts, &id, &carried)?.len());
        worst = worse(worst, ended);
        if worst == Exit::Interrupted {
            return Ok(worst);
        }
    }
    let mut plan = plan(parts, &scope)?;
    let tripped = breaker.before(parts, &plan)?;
    if !tripped.is_empty() {
        note(tripped.len());
        plan = self::plan(parts, &scope)?;
    }
    if global.output == Output::Table {
        super::print(&render(
            &plan,
            Show { commands: false, verbose: global.verbose > 0, width: super::style::width() },
            parts.clock.now(),
        ))?;
    }
    if plan.summary.count(State::Change) == 0 {
        return Ok(worst);
    }
    // What needs permission has been held where it is not given.
    limits::check(&plan, &parts.set.config.limits, parts.set.devices.len(), true).map_err(ApplyError::from)?;
    let options = parts.options();
    let (id, task) = parts.begin(&plan, serde_json::json!({ "apply": options, "unattended": true }));
    let carried = Breaker::carried(&task);
    let ended = super::apply::carry_out(global, parts, &id, options, task)?;
    note(breaker.after(parts, &id, &carried)?.len());
    Ok(worse(worst, ended))
}

fn plan(parts: &Parts, scope: &Scope) -> Result<Plan, Failure> {
    let daemon = &parts.set.config.daemon;
    // Whoever calls has a schedule of its own: policies with one are due now.
    let due = parts.set.policies.iter().filter(|p| p.schedule.is_some()).map(|p| Arc::clone(&p.name)).collect();
    let unattended = Unattended { destructive: daemon.allow_destructive, reboots: daemon.allow_reboots, due };
    Ok(parts.survey().plan(scope, &PlanOptions { commands: true, unattended: Some(unattended), ..PlanOptions::default() })?)
}

fn note(suspended: usize) {
    if suspended > 0 {
        super::say(format!("{} suspended: they do not converge. rmm status shows them", count(suspended, "setting is", "settings are")));
    }
}

/// The one of two ends that a caller has to know of.
fn worse(a: Exit, b: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Done => 0,
        Exit::SomeUnreachable => 1,
        Exit::Interrupted => 3,
        _ => 2,
    };
    if rank(b) > rank(a) { b } else { a }
}

/// Folder of the database, where the daemon keeps what it fetches.
pub(super) fn state_of(db: &Path, root: &Path) -> std::path::PathBuf {
    db.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(root).to_path_buf()
}
