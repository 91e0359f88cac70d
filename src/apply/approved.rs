//! Parameters that the product fills in: `x-fills: approvedUpdates` is the list of the updates that are approved for the device, with
//! their versions, as it is decided from what is known of it. Workflows have it decided as a step begins; `act` does it where nobody
//! has before, and takes out of a list that was decided earlier what is denied or deferred by now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::Parts;
use super::permit::templated;
use crate::catalog::ActionDef;
use crate::model::facts::Lookup;
use crate::model::update::{Classification, Offer, SECTION};
use crate::model::{ActionCall, Device, Facts};
use crate::plan::{Approval, Approver, Decision, Planner};
use crate::store::StoreError;

/// Most updates that one action is given; a device that offers more gets the others the next time.
const MOST: usize = 5_000;

/// A parameter that the product fills in, for the devices of a step: decided as the step begins. Nothing but what was decided then
/// is installed, whenever a device has its turn.
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
    takes(def).filter(|name| !is_given(parameters, name))
}

/// The parameter that may be filled in.
fn takes(def: &ActionDef) -> Option<&str> {
    def.properties().find(|(_, schema)| schema["x-fills"] == "approvedUpdates").map(|(name, _)| name)
}

fn is_given(parameters: &Value, name: &str) -> bool {
    parameters.get(name).is_some_and(|value| !value.is_null())
}

/// Fills the parameters in; why not, in words. From a list that is there already what is denied or deferred by now is taken out: some
/// time may have passed since somebody decided about it. Returns what was taken out, as results name what is left out.
pub(super) fn fill(
    parts: &Parts,
    device: &Device,
    facts: &Facts,
    def: &ActionDef,
    parameters: &mut Value,
) -> Result<Result<Vec<Value>, String>, StoreError> {
    let Some(name) = takes(def) else { return Ok(Ok(Vec::new())) };
    let given = is_given(parameters, name);
    let decided = parts.store.update_decisions()?;
    if given && decided.is_empty() && parts.set.policies.iter().all(|policy| policy.updates.is_none()) {
        return Ok(Ok(Vec::new()));
    }
    let none = |_: &str| None;
    let planner = Planner::new(&parts.set, &none);
    let approver = Approver::new(&planner, decided);
    let seen = parts.store.updates_seen()?;
    let seen = |offer: &Offer| seen.get(&(offer.name.clone(), offer.offered.clone())).copied();
    let now = parts.clock.now();
    if given {
        let Some(list) = parameters[name].as_array_mut() else { return Ok(Ok(Vec::new())) };
        let decided = approver.decisions_about(offers(list, facts), device, facts, &seen, now);
        return Ok(Ok(take_out(list, decided)));
    }
    let all = match approver.decisions(device, facts, &seen, now) {
        Ok(all) => all,
        Err(why) => return Ok(Err(unknown(&why))),
    };
    parameters[name] = list(&all, parameters);
    Ok(Ok(Vec::new()))
}

/// The updates of a list, as the device offers them; of one that it does not offer now, no more than its name and version are known.
fn offers(list: &[Value], facts: &Facts) -> Vec<Offer> {
    let offered = match facts.lookup(SECTION, None) {
        Lookup::Found(data, _) => Offer::list(data),
        Lookup::Failed(_) | Lookup::Absent(_) | Lookup::Never => Vec::new(),
    };
    let offered: HashMap<(&str, &str), &Offer> = offered.iter().map(|one| ((one.name.as_str(), one.offered.as_str()), one)).collect();
    let offer = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        offered.get(&(name, version)).map_or_else(
            || Offer {
                name: name.to_owned(),
                installed: None,
                offered: version.to_owned(),
                source: None,
                classification: Classification::default(),
                severity: None,
                released: None,
                title: None,
                held: None,
            },
            |offer| (*offer).clone(),
        )
    };
    list.iter().map(offer).collect()
}

/// Takes what is denied or deferred out of a list; `decided` is about its entries, in their order.
fn take_out(list: &mut Vec<Value>, decided: Vec<(Offer, Decision)>) -> Vec<Value> {
    let mut left = Vec::new();
    let mut decided = decided.into_iter();
    list.retain(|_| match decided.next() {
        Some((offer, decision)) if matches!(decision.state, Approval::Denied | Approval::Deferred) => {
            let reason = format!("{} by now: {}", decision.state, decision.because);
            left.push(json!({ "package": offer.name, "version": offer.offered, "reason": reason }));
            false
        }
        _ => true,
    });
    left
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
