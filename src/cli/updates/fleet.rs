//! What the devices of a scope offer, with what is decided about each update: read and decided on all cores.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::Args;

use crate::apply::survey::Survey;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::model::update::{Classification, Offer, matches};
use crate::plan::{Approver, Decision, Planner, Scope};
use crate::store::Store;

/// Which updates.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Only these names: a pattern such as 'linux-*'
    #[arg(long, value_name = "PATTERN")]
    name: Vec<String>,
    /// Only updates of this classification; may be repeated
    #[arg(long, value_name = "CLASSIFICATION", value_enum)]
    classification: Vec<ClassificationArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ClassificationArg {
    Security,
    Bugfix,
    Feature,
    Driver,
    Other,
}

impl Which {
    /// As it is written in a command.
    pub(super) fn words(&self) -> Vec<String> {
        let names = self.name.iter().map(|name| format!("--name {}", crate::script::quote(name)));
        let classes = self.classification.iter().filter_map(clap::ValueEnum::to_possible_value);
        names.chain(classes.map(|class| format!("--classification {}", class.get_name()))).collect()
    }

    /// Whether an update is meant.
    pub(super) fn means(&self, offer: &Offer) -> bool {
        let class = match offer.classification {
            Classification::Security => ClassificationArg::Security,
            Classification::Bugfix => ClassificationArg::Bugfix,
            Classification::Feature => ClassificationArg::Feature,
            Classification::Driver => ClassificationArg::Driver,
            Classification::Other => ClassificationArg::Other,
        };
        (self.name.is_empty() || self.name.iter().any(|pattern| matches(pattern, &offer.name)))
            && (self.classification.is_empty() || self.classification.contains(&class))
    }
}

/// What a device offers.
pub(super) struct Offered {
    /// Device by name.
    pub(super) device: String,
    /// Its updates; why they are not known.
    pub(super) updates: Result<Vec<(Offer, Decision)>, String>,
    /// When it was asked.
    pub(super) at: Option<DateTime<Utc>>,
}

/// When each update was first seen.
pub(super) type Seen = std::collections::HashMap<(String, String), DateTime<Utc>>;

/// The devices of a scope, by name, and when each update was first seen.
pub(super) fn offered(context: &Context, store: &Store, selectors: &[String]) -> Result<(Vec<Offered>, Seen), Failure> {
    let scope = Scope::parse(&context.set, selectors, &[])?;
    let devices = Survey::new(&context.set, store, &context.secrets, &context.clock).devices(&scope)?;
    let none = |_: &str| None;
    let planner = Planner::new(&context.set, &none);
    let approver = Approver::new(&planner, store.update_decisions()?);
    let seen = store.updates_seen()?;
    let first = |offer: &Offer| seen.get(&(offer.name.clone(), offer.offered.clone())).copied();
    let now = context.clock.now();
    let sections = approver.sections();
    let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
    let names: Vec<&str> = devices.iter().map(|device| &*device.name).collect();
    let mut found: BTreeMap<String, Offered> = BTreeMap::new();
    let decide = |name: &str, facts: crate::model::Facts| {
        let device = context.set.devices.get(name)?;
        let at = facts.sections.get(crate::model::update::SECTION).map(|section| section.collected_at);
        Some(Offered { device: name.to_owned(), updates: approver.decisions(device, &facts, &first, now), at })
    };
    store.facts_fleet_map(&sections, &BTreeMap::new(), Some(&names), decide, |one| {
        if let Some(one) = one {
            found.insert(one.device.clone(), one);
        }
    })?;
    for name in names {
        if !found.contains_key(name) {
            let updates = Err("nobody has looked yet".to_owned());
            found.insert(name.to_owned(), Offered { device: name.to_owned(), updates, at: None });
        }
    }
    Ok((found.into_values().collect(), seen))
}
