//! `rmm updates list`: what is offered, by update across devices or device by device.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::fleet::{self, Which};
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::count;
use crate::cli::table::{Output, Table};
use crate::model::update::Offer;
use crate::plan::{Approval, Decision};
use crate::store::Store;

/// Arguments of `rmm updates list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Devices, groups or key=value selectors; all devices without one
    selectors: Vec<String>,
    /// A row per device and update
    #[arg(long)]
    by_device: bool,
    /// Only updates in this state; may be repeated
    #[arg(long, value_name = "STATE", value_enum)]
    state: Vec<StateArg>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StateArg {
    Approved,
    Waiting,
    Deferred,
    NotApproved,
    Denied,
}

impl StateArg {
    fn is(self, state: Approval) -> bool {
        match self {
            Self::Approved => state == Approval::Approved,
            Self::Waiting => state == Approval::Waiting,
            Self::Deferred => state == Approval::Deferred,
            Self::NotApproved => state == Approval::NotApproved,
            Self::Denied => state == Approval::Denied,
        }
    }
}

/// One update across devices.
struct Group {
    offer: Offer,
    devices: usize,
    states: BTreeMap<(Approval, Option<String>), usize>,
    because: BTreeSet<String>,
}

pub(super) fn run(global: &Global, context: &Context, store: &Store, args: &ListArgs) -> Result<Exit, Failure> {
    let (devices, seen) = fleet::offered(context, store, &args.selectors)?;
    let wanted = |(offer, decision): &&(Offer, Decision)| {
        args.which.means(offer) && (args.state.is_empty() || args.state.iter().any(|state| state.is(decision.state)))
    };
    let first = |offer: &Offer| {
        let at = seen.get(&(offer.name.clone(), offer.offered.clone()));
        json!(at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)))
    };
    let mut table = if args.by_device {
        Table::new(
            "rmm.deviceUpdates/1",
            &["DEVICE", "UPDATE", "INSTALLED", "OFFERED", "CLASS", "SEVERITY", "SOURCE", "HELD", "FIRST SEEN", "STATE", "UNTIL", "BECAUSE"],
        )
    } else {
        Table::new("rmm.updates/1", &["UPDATE", "OFFERED", "CLASS", "SEVERITY", "SOURCE", "DEVICES", "FIRST SEEN", "STATE", "BECAUSE"])
    };
    let mut groups: BTreeMap<(&str, &str), Group> = BTreeMap::new();
    let mut unknown: Vec<(&str, &str)> = Vec::new();
    for device in &devices {
        let updates = match &device.updates {
            Ok(updates) => updates,
            Err(why) => {
                unknown.push((&device.device, why));
                continue;
            }
        };
        for (offer, decision) in updates.iter().filter(wanted) {
            let until = decision.until.map(|until| until.format("%F %H:%M UTC").to_string());
            if args.by_device {
                table.push(vec![
                    json!(device.device),
                    json!(offer.name),
                    json!(offer.installed),
                    json!(offer.offered),
                    json!(offer.classification),
                    json!(offer.severity),
                    json!(offer.source),
                    json!(offer.held),
                    first(offer),
                    json!(decision.state.to_string()),
                    json!(until),
                    json!(because(decision)),
                ]);
                continue;
            }
            let group = groups.entry((&offer.name, &offer.offered)).or_insert_with(|| Group {
                offer: offer.clone(),
                devices: 0,
                states: BTreeMap::new(),
                because: BTreeSet::new(),
            });
            group.devices += 1;
            *group.states.entry((decision.state, until)).or_default() += 1;
            group.because.insert(because(decision));
        }
    }
    for group in groups.values() {
        let offer = &group.offer;
        let one = |(state, until): &(Approval, Option<String>)| {
            until.as_ref().map_or_else(|| state.to_string(), |until| format!("{state} until {until}"))
        };
        let states: Vec<String> = match group.states.len() {
            1 => group.states.keys().map(one).collect(),
            _ => group.states.iter().map(|(state, n)| format!("{n} {}", one(state))).collect(),
        };
        table.push(vec![
            json!(offer.name),
            json!(offer.offered),
            json!(offer.classification),
            json!(offer.severity),
            json!(offer.source),
            json!(group.devices),
            first(offer),
            json!(states),
            json!(group.because),
        ]);
    }
    if table.is_empty() && global.output == Output::Table {
        let known = devices.len() - unknown.len();
        crate::cli::print(&format!("No update is offered by {}.\n", count(known, "device", "devices")))?;
    } else {
        crate::cli::print(&table.render(global.output)?)?;
    }
    if !unknown.is_empty() && !global.quiet {
        let (device, why) = unknown[0];
        let more = if unknown.len() > 1 { format!(" and {} more", unknown.len() - 1) } else { String::new() };
        crate::cli::say(format!("not known of {device}{more}: {why} (rmm updates scan)"));
    }
    let oldest = devices.iter().filter_map(|device| device.at).min();
    if let Some(at) = oldest.filter(|_| global.output == Output::Table && !global.quiet) {
        crate::cli::say(format!(
            "As the devices said, the longest ago {}.",
            crate::cli::style::ago((context.clock.now() - at).num_seconds())
        ));
    }
    Ok(Exit::Done)
}

/// `policy Baseline (policies/base.yaml:9)`
fn because(decision: &Decision) -> String {
    match &decision.place {
        Some(place) => format!("{} ({place})", decision.because),
        None => decision.because.clone(),
    }
}
