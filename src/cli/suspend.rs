//! `rmm suspend` and `rmm resume`: leave a device, a group, a policy or a setting alone for a while. Everything is observed and
//! planned as before; changes are held.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::clean;
use super::table::{Output, Table};
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::action::Role;
use crate::model::suspension::{Suspension, SuspensionKind};
use crate::repo::PolicySet;
use crate::store::{AuditEvent, Store, StoreError};

/// What can be suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// Everything on a device
    Device,
    /// Everything on the devices of a group
    Group,
    /// A policy, everywhere
    Policy,
    /// A setting, or one key of it, on one device
    Setting,
}

impl From<What> for SuspensionKind {
    fn from(what: What) -> Self {
        match what {
            What::Device => Self::Device,
            What::Group => Self::Group,
            What::Policy => Self::Policy,
            What::Setting => Self::Setting,
        }
    }
}

/// Arguments of `rmm suspend`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm suspend device ws-017 --reason 'on the bench'\n  rmm suspend policy SecurityBaseline\n  rmm suspend setting Services.sshd --device db-1\n  rmm suspend\n\nWithout arguments it lists what is suspended."
)]
pub(super) struct SuspendArgs {
    /// What it is
    #[arg(value_enum, requires = "name")]
    pub(super) what: Option<What>,
    /// Its name
    pub(super) name: Option<String>,
    /// The device of a setting
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    /// Why; shown in plans
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Arguments of `rmm resume`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rmm resume device ws-017\n  rmm resume setting Services.sshd --device db-1")]
pub(super) struct ResumeArgs {
    /// What it is
    #[arg(value_enum)]
    pub(super) what: What,
    /// Its name
    pub(super) name: String,
    /// The device of a setting
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<String>,
    /// Why; kept in the audit
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

pub(super) fn suspend(global: &Global, args: &SuspendArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    let (Some(what), Some(name)) = (args.what, &args.name) else { return list(global, &store) };
    context.may(&store, Role::Operator, "suspend", Some(name))?;
    check(&context.set, what, name, args.device.as_deref())?;
    let reason = args.reason.clone().unwrap_or_else(|| "by hand".into());
    let suspension = Suspension {
        kind: what.into(),
        name: name.clone(),
        device: args.device.clone(),
        since: context.clock.now(),
        by: context.actor.user.clone(),
        reason: reason.clone(),
        automatic: false,
        policy_set: None,
    };
    let event = event(&context, "suspension.added", what, name, args.device.as_deref(), &reason);
    let new = store.suspend(&suspension, event)?;
    let shown = shown(what, name, args.device.as_deref());
    super::say(if new { format!("Suspended: {shown}. To go on: rmm resume {shown}") } else { format!("{shown} is suspended already.") });
    Ok(Exit::Done)
}

pub(super) fn resume(global: &Global, args: &ResumeArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    context.may(&store, Role::Operator, "resume", Some(&args.name))?;
    let reason = args.reason.clone().unwrap_or_else(|| "by hand".into());
    let event = event(&context, "suspension.removed", args.what, &args.name, args.device.as_deref(), &reason);
    let shown = shown(args.what, &args.name, args.device.as_deref());
    match store.resume_suspension(args.what.into(), &args.name, args.device.as_deref(), event) {
        Ok(()) => super::say(format!("Resumed: {shown}.")),
        Err(StoreError::Missing { .. }) => {
            let problem = Diagnostic::error("RMM0667", format!("{shown} is not suspended"));
            return Err(Failure::new(Exit::Error, problem.advice("rmm suspend, without more, lists what is")));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Exit::Done)
}

fn list(global: &Global, store: &Store) -> Result<Exit, Failure> {
    let all = store.suspensions()?;
    if all.is_empty() && global.output == Output::Table {
        super::print("Nothing is suspended.\n")?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new("rmm.suspensions/1", &["WHAT", "NAME", "DEVICE", "SINCE", "BY", "REASON"]);
    for one in all {
        table.push(vec![
            json!(one.kind.as_str()),
            json!(one.name),
            json!(one.device),
            json!(one.since.format("%F %H:%M UTC").to_string()),
            json!(one.by),
            json!(one.reason),
        ]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

fn shown(what: What, name: &str, device: Option<&str>) -> String {
    let at = device.map(|device| format!(" --device {}", clean(device))).unwrap_or_default();
    let name = if name.contains(' ') { format!("'{}'", clean(name)) } else { clean(name) };
    format!("{} {name}{at}", SuspensionKind::from(what))
}

fn event(context: &Context, action: &str, what: What, name: &str, device: Option<&str>, reason: &str) -> AuditEvent {
    AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: action.into(),
        target: Some(device.unwrap_or(name).to_owned()),
        details: json!({ "kind": SuspensionKind::from(what).as_str(), "name": name, "device": device, "reason": reason }),
        ip: Some(context.actor.from.clone()),
        success: true,
    }
}

/// What is suspended has to exist: a spelling mistake would leave alone nothing at all.
fn check(set: &PolicySet, what: What, name: &str, device: Option<&str>) -> Result<(), Failure> {
    let unknown = |what: &str, name: &str, known: &mut dyn Iterator<Item = &str>| {
        let near = did_you_mean(name, known).map(|near| format!("did you mean '{near}'?"));
        let problem = Diagnostic::error("RMM0667", format!("there is no {what} '{}'", clean(name)));
        Failure::new(
            Exit::Usage,
            match near {
                Some(near) => problem.advice(near),
                None => problem,
            },
        )
    };
    match (what, device) {
        (What::Setting, None) => return Err(Failure::usage("a setting is suspended on a device", "name it: --device DEVICE")),
        (What::Setting, Some(_)) | (_, None) => {}
        (_, Some(_)) => return Err(Failure::usage("--device belongs to a setting", "leave it out")),
    }
    let setting = name.split('.').next().unwrap_or(name);
    let exists = match what {
        What::Device => set.devices.contains_key(name),
        What::Group => set.groups.contains_key(name),
        What::Policy => set.policies.iter().any(|p| *p.name == *name),
        What::Setting => set.catalog.settings.contains_key(setting),
    };
    if !exists {
        return Err(match what {
            What::Device => unknown("device", name, &mut set.devices.keys().map(String::as_str)),
            What::Group => unknown("group", name, &mut set.groups.keys().map(String::as_str)),
            What::Policy => unknown("policy", name, &mut set.policies.iter().map(|p| &*p.name)),
            What::Setting => unknown("setting", setting, &mut set.catalog.settings.keys().map(|k| &**k)),
        });
    }
    match device {
        Some(device) if !set.devices.contains_key(device) => Err(unknown("device", device, &mut set.devices.keys().map(String::as_str))),
        _ => Ok(()),
    }
}
