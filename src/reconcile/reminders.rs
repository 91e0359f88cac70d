//! Reminds of secrets that are to be replaced (`rmm secrets set NAME --rotate-every`): an alert for each, until its value is set anew.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::desk::DeskWay;
use super::error::ReconcileError;
use super::sets::Sets;
use crate::access::SecretStore;
use crate::access::vault::Index;
use crate::model::Severity;
use crate::model::alert::{AlertKey, Finding, Signal, Subject};
use crate::store::Store;
use crate::time::Clock;

/// Type of the alert; its instance is the name of the secret.
const KIND: &str = "SecretRotation";
/// Who says so.
const SOURCE: &str = "secrets";
/// How often it is looked. Nobody waits for it by the minute.
const EVERY: Duration = Duration::from_hours(1);

/// Works until `stop`. What cannot be read now is tried again.
pub(super) async fn run(
    sets: Arc<Sets>,
    secrets: Arc<SecretStore>,
    store: Store,
    clock: Arc<dyn Clock>,
    desk: DeskWay,
    stop: CancellationToken,
) -> Result<(), ReconcileError> {
    let mut changes = sets.subscribe();
    loop {
        let secrets = secrets.sealed_in(changes.borrow_and_update().sealed.clone());
        let (store, now) = (store.clone(), clock.now());
        let looked = blocking(move || {
            let index = secrets.vault().index().map_err(|error| error.to_string())?;
            let open = store.open_alerts().map_err(|error| error.to_string())?;
            let told =
                open.into_iter().filter(|alert| *alert.key.kind == *KIND && *alert.source == *SOURCE).map(|alert| alert.key.instance);
            Ok::<_, String>(signals(&index, &told.collect(), now))
        });
        match looked.await {
            Ok(signals) => desk.signals(signals).await,
            Err(error) => tracing::warn!(error, "which secrets are to be replaced cannot be told"),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            // Whoever serves the sets has ended: this ends too, with `stop`.
            Ok(()) = changes.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn key(name: &str) -> AlertKey {
    AlertKey { subject: Subject::System, kind: KIND.into(), instance: name.into() }
}

/// What has become due and is not told yet, and what is over.
fn signals(index: &Index, told: &BTreeSet<Arc<str>>, now: DateTime<Utc>) -> Vec<Signal> {
    let told: BTreeSet<&str> = told.iter().map(|name| &**name).collect();
    let due: BTreeSet<&str> = index.all().filter(|(_, entry)| entry.due().is_some_and(|at| at <= now)).map(|(name, _)| name).collect();
    let raised = due.difference(&told).map(|name| {
        let changed = index.get(name).map(|entry| entry.changed.format("%F").to_string()).unwrap_or_default();
        Signal::Raised(Finding {
            key: key(name),
            severity: Severity::Medium,
            title: format!("the secret '{name}' is to be replaced: its value is from {changed}"),
            message: format!("Change the value where it is used, then: rmm secrets set {name}"),
            source: SOURCE.into(),
            value: None,
            unit: None,
            at: now,
        })
    });
    let cleared =
        told.difference(&due).map(|name| Signal::Cleared { key: key(name), at: now, reason: "it has a new value, or is gone".into() });
    raised.chain(cleared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::vault::Vault;

    #[test]
    fn a_secret_that_is_due_is_told_once_and_it_is_over_when_it_has_a_new_value_or_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let mut index = Vault::new(folder.path()).index().unwrap();
        let days = |n: u64| crate::time::Span::seconds(n * 86_400);
        index.note("old", now - chrono::TimeDelta::days(91), Some(days(90)));
        index.note("told", now - chrono::TimeDelta::days(91), Some(days(90)));
        index.note("new", now - chrono::TimeDelta::days(89), Some(days(90)));
        index.note("forever", now - chrono::TimeDelta::days(5_000), None);
        let told = ["told", "new", "gone"].map(Arc::from).into();
        let said = signals(&index, &told, now);
        let said: Vec<String> = said
            .iter()
            .map(|signal| match signal {
                Signal::Raised(finding) => format!("+ {} {}", finding.key.instance, finding.title),
                Signal::Cleared { key, .. } => format!("- {}", key.instance),
                Signal::Occurred(_) => "?".into(),
            })
            .collect();
        assert_eq!(said, ["+ old the secret 'old' is to be replaced: its value is from 2026-08-22", "- gone", "- new"]);
    }
}
