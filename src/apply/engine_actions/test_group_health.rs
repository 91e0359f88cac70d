//! `TestGroupHealth`: the gate of staged work. Devices are looked at now: what was known before the work says nothing about after.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::invoke_inventory::scope_of;
use super::{EngineAction, Errand, cancelled, done, failed};
use crate::apply::survey::Observed;
use crate::apply::{Acted, Parts};
use crate::plan::Scope;
use crate::report::health::{Condition, Health, SECTIONS, of_fleet};
use crate::store::StoreError;

/// Most devices that a message names.
const NAMED: usize = 5;

pub(super) struct TestGroupHealth;

fn judged(parts: &Parts, scope: &Scope) -> Result<BTreeMap<String, Health>, StoreError> {
    let survey = parts.survey();
    of_fleet(&parts.store, &survey.verdicts(&survey.devices(scope)?)?, parts.clock.now())
}

/// What costs a device most, in words.
fn reasons(health: &Health) -> String {
    let mut missing: Vec<_> = health.parts.iter().flat_map(|part| &part.missing).filter(|missing| missing.points > 0).collect();
    missing.sort_by_key(|missing| std::cmp::Reverse(missing.points));
    let told = missing.iter().take(NAMED).map(|missing| format!("-{} {}", missing.points, missing.reason));
    told.collect::<Vec<_>>().join(", ")
}

#[async_trait::async_trait]
impl EngineAction for TestGroupHealth {
    fn whole(&self) -> bool {
        true
    }

    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        let least = errand.params["minScore"].as_u64().unwrap_or(80);
        let away = errand.params["maxOffline"].as_u64().unwrap_or(0);
        vec![format!(
            "observe {} devices; go on where their health is {least} on average and no more than {away} are offline",
            errand.devices.len()
        )]
    }

    async fn carry_out(&self, errand: &Errand<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
        let parts = errand.parts;
        if errand.devices.is_empty() {
            return Ok(failed("there are no devices, so there is nothing that could be healthy"));
        }
        let scope = scope_of(errand.devices);
        let silent: Mutex<Vec<String>> = Mutex::default();
        let note = |observed: Observed| {
            if observed.error.is_some() {
                silent.lock().unwrap_or_else(PoisonError::into_inner).push(observed.device);
            }
        };
        let sections = SECTIONS.map(str::to_owned);
        let outcome = parts.survey().afresh(&scope, &sections, cancel, &note).await?;
        if outcome.cancelled {
            return Ok(cancelled());
        }
        let silent = silent.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (of, within) = (parts.clone(), scope);
        let health = tokio::task::spawn_blocking(move || judged(&of, &within)).await;
        let Ok(health) = health else { return Ok(failed("judging the devices ended early")) };
        let health = health?;
        // What is not known does not count as healthy.
        let away: Vec<&str> = errand
            .devices
            .iter()
            .map(|device| device.name.as_str())
            .filter(|name| {
                let condition = health.get(*name).map_or(Condition::Unknown, |health| health.condition);
                silent.iter().any(|device| device == name) || matches!(condition, Condition::Offline | Condition::Unknown)
            })
            .collect();
        let scores: Vec<(u8, &str)> = errand
            .devices
            .iter()
            .filter(|device| !away.contains(&device.name.as_str()))
            .filter_map(|device| Some((health.get(&device.name)?.score?, device.name.as_str())))
            .collect();
        let sum: u64 = scores.iter().map(|(score, _)| u64::from(*score)).sum();
        let score = if scores.is_empty() { 0 } else { sum / scores.len() as u64 };
        let value = json!({ "score": score, "offline": away.len(), "devices": errand.devices.len() });
        let least = errand.params["minScore"].as_u64().unwrap_or(80);
        let most_away = errand.params["maxOffline"].as_u64().unwrap_or(0);
        let names = |all: &mut dyn Iterator<Item = String>| all.take(NAMED).collect::<Vec<_>>().join(", ");
        let mut why = Vec::new();
        if away.len() as u64 > most_away {
            why.push(format!(
                "{} of {} devices are offline or unknown ({})",
                away.len(),
                errand.devices.len(),
                names(&mut away.iter().map(ToString::to_string))
            ));
        }
        if score < least {
            let mut worst = scores;
            worst.sort_unstable();
            let reasons = worst.first().map(|(_, name)| reasons(&health[*name])).unwrap_or_default();
            let worst = names(&mut worst.iter().map(|(score, name)| format!("{name} {score}")));
            why.push(format!("the health is {score} on average, and {least} is asked for (lowest: {worst}; {reasons})"));
        }
        if why.is_empty() {
            return Ok(done(format!("the health of {} devices is {score} on average", errand.devices.len()), value));
        }
        Ok(Acted { value, ..failed(why.join("; ")) })
    }
}
