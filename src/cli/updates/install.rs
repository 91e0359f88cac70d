//! `rmm updates scan|install|uninstall`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::{Value, json};

use super::carry::{self, Order};
use super::fleet::{self, Which};
use super::queue;
use crate::apply::survey::Survey;
use crate::apply::{Part, package};
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{Tone, clean, count, paint};
use crate::cli::table::{Output, Table};
use crate::model::ActionCall;
use crate::model::update::{Decided, Offer, Ruling};
use crate::plan::{Approval, Scope};
use crate::script::quote;
use crate::store::{Store, UpdateHistoryFilter};
use crate::time::Span;

/// Arguments of `rmm updates scan`.
#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// Devices, groups or key=value selectors; all devices without one
    selectors: Vec<String>,
    /// Devices at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    concurrency: Option<u32>,
}

/// Arguments of `rmm updates install`.
#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    /// Devices, groups or key=value selectors
    #[arg(required = true)]
    selectors: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// Packages may be added and removed where an update needs that
    #[arg(long)]
    full: bool,
    /// Show what would be installed, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Devices that are away have it done when they return, within this time
    #[arg(long, value_name = "DURATION")]
    expires: Option<Span>,
    /// Devices at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    concurrency: Option<u32>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Arguments of `rmm updates uninstall`.
#[derive(Debug, Args)]
pub(super) struct UninstallArgs {
    /// Package and its bad version: NAME=VERSION; on Windows the number of the article: KB5034441
    name: String,
    /// Devices, groups or key=value selectors; all devices without one
    selectors: Vec<String>,
    /// Version to bring back; else the one that the history tells, else the next older one
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Do not hold the package on the devices
    #[arg(long)]
    no_hold: bool,
    /// Do not deny the version
    #[arg(long)]
    no_deny: bool,
    /// Why
    #[arg(short = 'm', long, value_name = "TEXT")]
    message: Option<String>,
    /// Devices at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    concurrency: Option<u32>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

fn call(action: &str, with: &[(&str, Value)]) -> ActionCall {
    ActionCall { action: action.into(), with: with.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(), on: Vec::new() }
}

pub(super) fn scan(global: &Global, context: &Context, store: &Store, args: &ScanArgs) -> Result<Exit, Failure> {
    let scope = Scope::parse(&context.set, &args.selectors, &[])?;
    let devices = Survey::new(&context.set, store, &context.secrets, &context.clock).devices(&scope)?;
    let order = |name: &str| Order { device: name.to_owned(), call: call("InvokeUpdateScan", &[]), part: Part::Run };
    let orders: Vec<Order> = devices.iter().map(|device| order(&device.name)).collect();
    if orders.is_empty() {
        crate::cli::print("No device matches.\n")?;
        return Ok(Exit::Done);
    }
    let run = carry::new_run(context);
    let outcomes = carry::carry(global, context, store, &run, orders, args.concurrency)?;
    if global.output != Output::Table {
        return carry::show(global, &run, &outcomes, |_| "scanned".into());
    }
    let (offered, _) = fleet::offered(context, store, &args.selectors)?;
    let offers: BTreeMap<&str, String> = offered
        .iter()
        .map(|one| {
            let words = match &one.updates {
                Err(why) => format!("not known: {why}"),
                Ok(updates) => {
                    let approved = updates.iter().filter(|(_, decision)| decision.state == Approval::Approved).count();
                    format!("{}, {approved} approved", count(updates.len(), "update", "updates"))
                }
            };
            (&*one.device, words)
        })
        .collect();
    let mut outcomes = outcomes;
    for outcome in &mut outcomes {
        outcome.acted.value = json!({ "offers": offers.get(&*outcome.device) });
    }
    carry::show(global, &run, &outcomes, |value| value["offers"].as_str().unwrap_or_default().to_owned())
}

pub(super) fn install(global: &Global, context: &Context, store: &Store, args: &InstallArgs) -> Result<Exit, Failure> {
    let (devices, _) = fleet::offered(context, store, &args.selectors)?;
    let mut orders = Vec::new();
    let mut table = Table::new("rmm.updatePlan/1", &["DEVICE", "UPDATE", "FROM", "TO", "CLASS"]);
    let mut different: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut unknown = Vec::new();
    for device in &devices {
        let updates = match &device.updates {
            Ok(updates) => updates,
            Err(why) => {
                unknown.push(format!("{}: {why}", device.device));
                continue;
            }
        };
        let approved: Vec<&Offer> = updates
            .iter()
            .filter(|(offer, decision)| decision.state == Approval::Approved && args.which.means(offer))
            .map(|(offer, _)| offer)
            .collect();
        if approved.is_empty() {
            continue;
        }
        for offer in &approved {
            different.insert((&offer.name, &offer.offered));
            table.push(vec![
                json!(device.device),
                json!(offer.name),
                json!(offer.installed),
                json!(offer.offered),
                json!(offer.classification),
            ]);
        }
        let packages: Vec<Value> = approved.into_iter().map(package).collect();
        let call = call("InstallUpdates", &[("packages", packages.into()), ("full", args.full.into())]);
        orders.push(Order { device: device.device.clone(), call, part: Part::Run });
    }
    if let (Some(first), false) = (unknown.first(), global.quiet) {
        let more = if unknown.len() > 1 { format!(" and {} more", unknown.len() - 1) } else { String::new() };
        crate::cli::say(format!("left alone, since it is not known what is offered: {}{more} (rmm updates scan)", clean(first)));
    }
    if orders.is_empty() {
        if args.dry_run && global.output != Output::Table {
            crate::cli::print(&table.render(global.output)?)?;
        } else {
            crate::cli::print("Nothing is offered that is approved.\n")?;
        }
        return Ok(Exit::Done);
    }
    let names: Vec<String> = orders.iter().map(|order| order.device.clone()).collect();
    if args.dry_run || (!args.yes && global.output == Output::Table) {
        crate::cli::print(&table.render(global.output)?)?;
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    carry::may(context, store, "InstallUpdates")?;
    if !args.yes {
        let what = format!("install {} on {}", count(different.len(), "update", "updates"), count(names.len(), "device", "devices"));
        crate::cli::confirm::ask(&what, &names, "--yes")?;
    }
    let run = carry::new_run(context);
    let mut outcomes = carry::carry(global, context, store, &run, orders, args.concurrency)?;
    let away = queue::away(&outcomes);
    let queued = match args.expires {
        Some(expires) => queue::queue(context, store, &mut outcomes, (expires, args.concurrency)),
        None => Ok(None),
    };
    // What was done is told whether or not the rest could be put into the queue.
    let exit = carry::show(global, &run, &outcomes, |value| carry::changes(value, "installed"))?;
    let queued = queued?;
    if global.output == Output::Table && !global.quiet {
        crate::cli::say(format!("Run {run}. To bring the former versions back: rmm updates rollback --run {run}"));
    }
    if !away.is_empty() && exit != Exit::Interrupted && !global.quiet {
        let devices = count(away.len(), "device is away", "devices are away");
        let named = clean(&crate::cli::confirm::first_few(&away));
        crate::cli::say(match queued {
            Some(queued) => format!(
                "{devices}: {named}. What was shown is installed when they return, less what is denied or deferred by then: the daemon \
                 (`rmm reconcile`) does it. To take it back: rmm workflow cancel {queued}"
            ),
            None => {
                format!("{devices}: {named}. To have it done when they return: {}", again(args, context.set.config.limits.queue_expires))
            }
        });
    }
    Ok(exit)
}

/// The same command, for devices that are away too.
fn again(args: &InstallArgs, expires: Span) -> String {
    let mut words = vec!["rmm updates install".to_owned()];
    words.extend(args.selectors.iter().map(|selector| quote(selector).into_owned()));
    words.extend(args.which.words());
    words.extend(args.full.then(|| "--full".to_owned()));
    words.push(format!("--expires {expires}"));
    clean(&words.join(" "))
}

/// The name, and the version that has to go: an article of Windows goes as a whole.
fn uninstalled(text: &str) -> Option<(&str, Option<&str>)> {
    match text.split_once('=') {
        Some((name, bad)) => Some((name, Some(bad))).filter(|_| !name.is_empty() && !bad.is_empty()),
        None => is_article(text).then_some((text, None)),
    }
}

/// `KB5034441`
fn is_article(name: &str) -> bool {
    name.strip_prefix("KB").is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

pub(super) fn uninstall(global: &Global, context: &Context, store: &Store, args: &UninstallArgs) -> Result<Exit, Failure> {
    let Some((name, bad)) = uninstalled(&args.name) else {
        let message = format!("'{}' does not say which version has to go", clean(&args.name));
        return Err(Failure::usage(message, "write NAME=VERSION, such as nginx=1.22.1-10, or KB5034441"));
    };
    let scope = Scope::parse(&context.set, &args.selectors, &[])?;
    let devices = Survey::new(&context.set, store, &context.secrets, &context.clock).devices(&scope)?;
    let names: BTreeSet<String> = devices.iter().map(|device| device.name.clone()).collect();
    // What the version replaced, device by device.
    let filter = UpdateHistoryFilter { devices: Some(names.clone()), package: Some(name.to_owned()), ..UpdateHistoryFilter::default() };
    let mut before: BTreeMap<String, String> = BTreeMap::new();
    for row in store.update_history(&filter)? {
        if let (Some(from), true) = (row.change.from, bad.is_some() && row.change.to.as_deref() == bad) {
            before.entry(row.device).or_insert(from);
        }
    }
    let list: Vec<&str> = names.iter().map(String::as_str).collect();
    let wanted = || BTreeSet::from([name.to_owned()]);
    let members = BTreeMap::from([("software.packages".to_owned(), wanted()), ("software.hotfixes".to_owned(), wanted())]);
    let mut orders = Vec::new();
    let has = |device: &str, facts: crate::model::Facts| {
        let installed = |section: &str| facts.sections.get(section)?.data.get(name).cloned();
        let there = match bad {
            // An article is there, or is not; by which revision of it, Windows does not tell.
            _ if is_article(name) => installed("software.hotfixes").is_some(),
            Some(bad) => installed("software.packages")?.as_str()?.split(", ").any(|version| version == bad),
            None => false,
        };
        there.then(|| device.to_owned())
    };
    store.facts_fleet_map(&["software.packages", "software.hotfixes"], &members, Some(&list), has, |device| {
        if let Some(device) = device {
            let mut with = vec![("name", json!(name)), ("hold", json!(!args.no_hold))];
            if let Some(bad) = bad {
                with.push(("bad", json!(bad)));
            }
            if let Some(to) = args.to.as_ref().or_else(|| before.get(&device)) {
                with.push(("to", json!(to)));
            }
            orders.push(Order { call: call("UninstallUpdate", &with), device, part: Part::Run });
        }
    })?;
    orders.sort_by(|a, b| a.device.cmp(&b.device));
    carry::may(context, store, "UninstallUpdate")?;
    let having: Vec<String> = orders.iter().map(|order| order.device.clone()).collect();
    if !args.yes {
        let deny = if args.no_deny { "" } else { " and deny it from now on" };
        let what = format!("take {} back on {}{deny}", clean(&args.name.replacen('=', " ", 1)), count(having.len(), "device", "devices"));
        crate::cli::confirm::ask(&what, &having, "--yes")?;
    }
    if !args.no_deny {
        // First: while it is taken back here, nothing may install it there.
        let decided = Decided {
            ruling: Ruling::Deny,
            name: name.to_owned(),
            version: bad.map(str::to_owned),
            targets: args.selectors.clone(),
            until: None,
            reason: args.message.clone().unwrap_or_else(|| "uninstalled".into()),
            by: context.actor.user.clone(),
            at: context.clock.now(),
        };
        super::decide::keep(context, store, &decided)?;
        crate::cli::say(format!("{} {}", paint(Tone::Good, "denied"), clean(&args.name)));
    }
    if orders.is_empty() {
        crate::cli::print("No device is known to have it.\n")?;
        return Ok(Exit::Done);
    }
    let run = carry::new_run(context);
    let outcomes = carry::carry(global, context, store, &run, orders, args.concurrency)?;
    carry::show(global, &run, &outcomes, |value| {
        let hold = if value["held"] == false { ", not held on the device" } else { "" };
        carry::changes(value, "installed") + hold
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_go_is_a_version_or_an_article_of_windows() {
        assert_eq!(uninstalled("nginx=1.22.1-10"), Some(("nginx", Some("1.22.1-10"))));
        assert_eq!(uninstalled("KB5034441"), Some(("KB5034441", None)));
        assert_eq!(uninstalled("KB5034441=f3a0c1d2:200"), Some(("KB5034441", Some("f3a0c1d2:200"))));
        for wrong in ["nginx", "nginx=", "=1", "KB", "KBx1", "kb1"] {
            assert_eq!(uninstalled(wrong), None, "{wrong}");
        }
    }
}
