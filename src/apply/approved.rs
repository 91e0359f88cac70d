//! Parameters that the product fills in: `x-fills: approvedUpdates` is the list of the updates that are approved for the device, with
//! their versions, as it is decided from what is known of it. Called by `act`, and by whoever wants to show the list before.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Parts;
use crate::catalog::ActionDef;
use crate::model::update::{Classification, Offer};
use crate::model::{ActionCall, Device, Facts};
use crate::plan::{Approval, Approver, Decision, Planner};
use crate::store::StoreError;

/// Most updates that one action is given; a device that offers more gets the others the next time.
const MOST: usize = 5_000;

/// Every update that a device offers, by name, with what is decided about it; why that is not known.
pub type Decisions = Result<Vec<(Offer, Decision)>, String>;

/// What is decided about the updates of one device whose facts are known.
pub fn decisions(parts: &Parts, device: &Device, facts: &Facts, now: DateTime<Utc>) -> Result<Decisions, StoreError> {
    let none = |_: &str| None;
    let planner = Planner::new(&parts.set, &none);
    let approver = Approver::new(&planner, parts.store.update_decisions()?);
    let seen = parts.store.updates_seen()?;
    let seen = |offer: &Offer| seen.get(&(offer.name.clone(), offer.offered.clone())).copied();
    Ok(approver.decisions(device, facts, &seen, now))
}

/// The parameters of an action for a device, with everything filled in that the product fills in and the caller left out. What was
/// decided then is what is installed, whenever it is carried out. Why not, in words.
pub fn filled(parts: &Parts, device: &str, call: &ActionCall) -> Result<Result<ActionCall, String>, StoreError> {
    let (Some(device), Some(def)) = (parts.set.devices.get(device), parts.set.catalog.action(&call.action)) else {
        return Ok(Ok(call.clone()));
    };
    let mut parameters = Value::Object(call.with.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
    if wanted(def, &parameters).is_none() {
        return Ok(Ok(call.clone()));
    }
    let facts = parts.store.facts(&device.name, None)?;
    if let Err(why) = fill(parts, device, &facts, def, &mut parameters)? {
        return Ok(Err(why));
    }
    let with = parameters.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    Ok(Ok(ActionCall { with, ..call.clone() }))
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
    let all = match decisions(parts, device, facts, parts.clock.now())? {
        Ok(all) => all,
        Err(why) => return Ok(Err(format!("it is not known which updates it offers: {why}"))),
    };
    let security = parameters["classification"] == "security";
    let list: Vec<Value> = all
        .iter()
        .filter(|(offer, decision)| decision.state == Approval::Approved && (!security || offer.classification == Classification::Security))
        .take(MOST)
        .map(|(offer, _)| package(offer))
        .collect();
    parameters[name] = list.into();
    Ok(Ok(()))
}

/// An update as the actions take it.
pub fn package(offer: &Offer) -> Value {
    // The architecture that tells two of one name apart is no part of the name.
    json!({ "name": offer.name, "version": offer.offered, "from": offer.installed })
}
