//! Parameters that the product fills in: `x-fills: approvedUpdates` is the list of the updates that are approved for the device, with
//! their versions, as it is decided from what is known of it. Workflows have it decided as a step begins; `act` does it where nobody
//! has before.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::Parts;
use super::permit::templated;
use crate::catalog::ActionDef;
use crate::model::update::{Classification, Offer};
use crate::model::{ActionCall, Device, Facts};
use crate::plan::{Approval, Approver, Decision, Planner};
use crate::store::StoreError;

/// Most updates that one action is given; a device that offers more gets the others the next time.
const MOST: usize = 5_000;

/// A parameter that the product fills in, for the devices of a step: decided as the step begins. What was decided then is what is
/// installed, whenever a device has its turn.
pub struct Filled {
    parameter: String,
    lists: HashMap<String, Result<Value, String>>,
}

impl Filled {
    /// The parameter, and what it is on a device. Why that is not known, in words.
    pub fn of(&self, device: &str) -> (&str, Result<Value, String>) {
        (&self.parameter, self.lists.get(device).cloned().unwrap_or_else(|| Err(unknown("nobody has looked yet"))))
    }
}

fn unknown(why: &str) -> String {
    format!("it is not known which updates it offers: {why}")
}

/// Decides for these devices, by the rules and decisions of this moment. `None` where the action takes nothing that the product fills
/// in, or the caller has given it.
pub fn filled(parts: &Parts, devices: &[Arc<Device>], call: &ActionCall) -> Result<Option<Filled>, StoreError> {
    let Some(def) = parts.set.catalog.actions.get(&call.action) else { return Ok(None) };
    let given = Value::Object(call.with.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
    let Some(parameter) = wanted(def, &given) else { return Ok(None) };
    let none = |_: &str| None;
    let planner = Planner::new(&parts.set, &none);
    let approver = Approver::new(&planner, parts.store.update_decisions()?);
    let seen = parts.store.updates_seen()?;
    let first = |offer: &Offer| seen.get(&(offer.name.clone(), offer.offered.clone())).copied();
    let now = parts.clock.now();
    // A template may look at anything.
    let sections = if templated(&given) { Vec::new() } else { approver.sections() };
    let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
    let names: Vec<&str> = devices.iter().map(|device| &*device.name).collect();
    let decide = |name: &str, facts: Facts| {
        let device = parts.set.devices.get(name)?;
        let list = planner.fill(device, &facts, &given).and_then(|given| {
            let all = approver.decisions(device, &facts, &first, now).map_err(|why| unknown(&why))?;
            Ok(list(&all, &given))
        });
        Some((name.to_owned(), list))
    };
    let mut lists = HashMap::with_capacity(devices.len());
    parts.store.facts_fleet_map(&sections, &BTreeMap::new(), Some(&names), decide, |one| lists.extend(one))?;
    Ok(Some(Filled { parameter: parameter.to_owned(), lists }))
}

/// The parameter that is filled in and was not given.
fn wanted<'d>(def: &'d ActionDef, parameters: &Value) -> Option<&'d str> {
    let (name, _) = def.properties().find(|(_, schema)| schema["x-fills"] == "approvedUpdates")?;
    parameters.get(name).is_none_or(Value::is_null).then_some(name)
}

/// Fills the parameters in. Why not, in words.
pub(super) fn fill(
    parts: &Parts,
    device: &Device,
    facts: &Facts,
    def: &ActionDef,
    parameters: &mut Value,
) -> Result<Result<(), String>, StoreError> {
    let Some(name) = wanted(def, parameters) else { return Ok(Ok(())) };
    let none = |_: &str| None;
    let planner = Planner::new(&parts.set, &none);
    let approver = Approver::new(&planner, parts.store.update_decisions()?);
    let seen = parts.store.updates_seen()?;
    let seen = |offer: &Offer| seen.get(&(offer.name.clone(), offer.offered.clone())).copied();
    let all = match approver.decisions(device, facts, &seen, parts.clock.now()) {
        Ok(all) => all,
        Err(why) => return Ok(Err(unknown(&why))),
    };
    parameters[name] = list(&all, parameters);
    Ok(Ok(()))
}

/// Those that are approved, as the action takes them.
fn list(all: &[(Offer, Decision)], given: &Value) -> Value {
    let security = given["classification"] == "security";
    all.iter()
        .filter(|(offer, decision)| decision.state == Approval::Approved && (!security || offer.classification == Classification::Security))
        .take(MOST)
        .map(|(offer, _)| package(offer))
        .collect::<Vec<_>>()
        .into()
}

/// An update as the actions take it.
pub fn package(offer: &Offer) -> Value {
    // The architecture that tells two of one name apart is no part of the name.
    json!({ "name": offer.name, "version": offer.offered, "from": offer.installed })
}
