//! `rmm updates`: what devices offer, what of it is approved and why, installing it, and taking it back.

mod carry;
mod decide;
mod fleet;
mod history;
mod install;
mod list;
mod queue;

use clap::{Args, Subcommand};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use crate::model::action::Role;

/// Arguments of `rmm updates`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm updates scan\n  rmm updates list --classification security\n  rmm updates deny 'docker-*' --on 'Production Servers' -m 'waits for the vendor'\n  rmm updates install Pilot\n  rmm updates history --since 7d\n  rmm updates rollback web-1\n\nRules stand in the policies, under Updates: rmm explain updates."
)]
pub(super) struct UpdatesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Have devices fetch their lists of packages, and look at what they offer
    #[command(after_help = "Example:\n  rmm updates scan 'Berlin Servers'")]
    Scan(install::ScanArgs),
    /// What is offered, by update across devices, and what is decided about it
    #[command(
        after_help = "Examples:\n  rmm updates list\n  rmm updates list Pilot --by-device --state approved\n  rmm updates list --name 'linux-*' --output json"
    )]
    List(list::ListArgs),
    /// Approve an update by hand: what a person approves needs no rule
    #[command(
        after_help = "Examples:\n  rmm updates approve openssl\n  rmm updates approve openssl=3.0.16-1~deb12u1 --on tag=edge -m 'tested by kim'"
    )]
    Approve(decide::RulingArgs),
    /// Deny an update by hand: it is never installed, whatever rules say
    #[command(after_help = "Example:\n  rmm updates deny KB5034441 -m 'fails on small recovery partitions'")]
    Deny(decide::RulingArgs),
    /// Have an update wait for a while
    #[command(after_help = "Example:\n  rmm updates defer 'postgresql-*' --for 14d -m 'after the release'")]
    Defer(decide::DeferArgs),
    /// What has been decided by hand
    #[command(after_help = "Example:\n  rmm updates decisions")]
    Decisions,
    /// Take a decision by hand back
    #[command(after_help = "Example:\n  rmm updates forget 'docker-*' --on 'Production Servers'")]
    Forget(decide::ForgetArgs),
    /// Install what is approved, in exactly the versions that are shown
    #[command(
        after_help = "Examples:\n  rmm updates install Pilot\n  rmm updates install web-1 --dry-run\n  rmm updates install '*' --classification security --yes\n  rmm updates install Laptops --expires 3d"
    )]
    Install(install::InstallArgs),
    /// What was installed where, when, by which run
    #[command(after_help = "Examples:\n  rmm updates history web-1\n  rmm updates history --package openssl --since 30d")]
    History(history::HistoryArgs),
    /// Bring back the versions that an installation replaced
    #[command(after_help = "Examples:\n  rmm updates rollback web-1\n  rmm updates rollback --run u-20261110-220000-4f2a")]
    Rollback(history::RollbackArgs),
    /// Take a bad update back across the fleet, and deny it
    #[command(after_help = "Example:\n  rmm updates uninstall nginx=1.22.1-10 -m 'drops connections'")]
    Uninstall(install::UninstallArgs),
}

pub(super) fn run(global: &Global, args: UpdatesArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    // What is carried out on devices takes the role of its action too.
    if !matches!(args.action, Action::Scan(_) | Action::List(_) | Action::Decisions | Action::History(_)) {
        context.may(&store, Role::Operator, "decide about updates", None)?;
    }
    match args.action {
        Action::Scan(args) => install::scan(global, &context, &store, &args),
        Action::List(args) => list::run(global, &context, &store, &args),
        Action::Approve(args) => decide::approve(global, &context, &store, &args),
        Action::Deny(args) => decide::deny(global, &context, &store, &args),
        Action::Defer(args) => decide::defer(global, &context, &store, &args),
        Action::Decisions => decide::list(global, &context, &store),
        Action::Forget(args) => decide::forget(&context, &store, &args),
        Action::Install(args) => install::install(global, &context, &store, &args),
        Action::History(args) => history::run(global, &context, &store, &args),
        Action::Rollback(args) => history::rollback(global, &context, &store, &args),
        Action::Uninstall(args) => install::uninstall(global, &context, &store, &args),
    }
}
