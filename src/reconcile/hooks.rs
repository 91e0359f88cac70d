//! `POST /hooks/NAME`: a signed request that starts the workflows which wait for it. Whoever cannot sign learns nothing: a name
//! that nobody waits for and a signature that is wrong get the same answer. Each request starts its runs once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use tokio::sync::Semaphore;

use super::blocking::{audit, blocking};
use super::sets::Sets;
use super::triggers::start;
use super::vitals::Vitals;
use crate::access::Secrets;
use crate::apply::Parts;
use crate::model::workflow_run::Cause;
use crate::model::{Trigger, Workflow};
use crate::store::{AuditFilter, Started, StoreError};

/// Header with the signature.
pub(super) const SIGNATURE: &str = "x-rmm-signature";
/// Most bytes of a request.
const MOST_BODY: usize = 64 * 1024;
/// How far the clock of who signs may be off, and how old a request may be.
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// Requests at once.
const AT_ONCE: usize = 8;
/// Requests that are remembered; those within the window count.
const MOST_REMEMBERED: usize = 10_000;
/// Most refusals that are audited within [`REFUSALS`]. What was left out is counted in the next row.
const MOST_REFUSALS: u32 = 10;
const REFUSALS: TimeDelta = TimeDelta::minutes(10);
/// What is written down of a request that a workflow left out.
const LEFT_OUT: &str = "webhook.left-out";
/// Signs nothing.
const NO_KEY: &[u8] = &[0; 32];
/// Most characters of a name that is written down.
const MOST_NAME: usize = 100;

/// Beginning, rows and what was left out.
#[derive(Debug, Default)]
struct Refusals {
    since: Option<DateTime<Utc>>,
    told: u32,
    left_out: u64,
}

impl Refusals {
    /// Whether one more is written down, and how many were not before it.
    fn add(&mut self, now: DateTime<Utc>) -> Option<u64> {
        if self.since.is_none_or(|since| now < since || now - since >= REFUSALS) {
            (self.since, self.told) = (Some(now), 0);
        }
        if self.told >= MOST_REFUSALS {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// What requests are answered from.
pub(super) struct Hooks {
    parts: Parts,
    sets: Arc<Sets>,
    vitals: Arc<Vitals>,
    free: Semaphore,
    /// Signatures that were taken, and when they were made.
    taken: Mutex<BTreeMap<String, DateTime<Utc>>>,
    refusals: Mutex<Refusals>,
}

/// What came of a request.
#[derive(Debug)]
enum Answer {
    /// Run by workflow.
    Taken(Vec<Value>),
    /// It was taken before.
    Again,
    /// It is signed, and not what it should be.
    Unfit(&'static str),
    /// Nobody waits for it, or it is not signed by who should.
    Refused,
}

/// The routes.
pub(super) fn routes(hooks: Arc<Hooks>) -> Router {
    Router::new().route("/hooks/{name}", post(take)).layer(DefaultBodyLimit::max(MOST_BODY)).with_state(hooks)
}

async fn take(State(hooks): State<Arc<Hooks>>, Path(name): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let say = |code: StatusCode, text: &str| (code, format!("{text}\n")).into_response();
    if hooks.vitals.ready().is_err() {
        return say(StatusCode::SERVICE_UNAVAILABLE, "not at work");
    }
    let Ok(_place) = hooks.free.try_acquire() else { return say(StatusCode::SERVICE_UNAVAILABLE, "busy: try again") };
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let of = Arc::clone(&hooks);
    match blocking(move || of.answer(&name, &signature, &body)).await {
        Ok(Answer::Taken(runs)) => (StatusCode::ACCEPTED, axum::Json(json!({ "runs": runs }))).into_response(),
        Ok(Answer::Again) => say(StatusCode::CONFLICT, "taken before"),
        Ok(Answer::Unfit(why)) => say(StatusCode::BAD_REQUEST, why),
        Ok(Answer::Refused) => say(StatusCode::UNAUTHORIZED, "refused"),
        Err(error) => {
            tracing::error!(%error, "a webhook was not taken");
            say(StatusCode::SERVICE_UNAVAILABLE, "not taken: try again")
        }
    }
}

fn waits(workflow: &Workflow, name: &str) -> bool {
    workflow.triggers.iter().any(|trigger| matches!(trigger, Trigger::Webhook { name: known } if **known == *name))
}

impl Hooks {
    /// With the policy sets that come into force.
    pub(super) fn new(parts: Parts, sets: Arc<Sets>, vitals: Arc<Vitals>) -> Arc<Self> {
        let free = Semaphore::new(AT_ONCE);
        Arc::new(Self { parts, sets, vitals, free, taken: Mutex::default(), refusals: Mutex::default() })
    }

    fn answer(&self, name: &str, signature: &str, body: &[u8]) -> Result<Answer, StoreError> {
        let (set, now) = (self.sets.current(), self.parts.clock.now());
        let workflows: Vec<&Arc<Workflow>> = set.workflows.values().filter(|workflow| waits(workflow, name)).collect();
        let key = (!workflows.is_empty()).then(|| self.parts.secrets.sealed_in(set.sealed.clone()).resolve(&format!("webhook-{name}")));
        let (key, why) = match key {
            None => (None, "nobody waits for it"),
            Some(Err(error)) => {
                tracing::debug!(%error, "webhook");
                (None, "its secret has no value")
            }
            Some(Ok(key)) => (Some(key), "it is not signed as it should be"),
        };
        // The same work where there is no key: how long the answer takes says nothing.
        let secret = key.as_ref().map_or(NO_KEY, |key| key.expose_secret().as_bytes());
        let signed = signed(secret, signature, body).filter(|_| key.as_ref().is_some_and(|key| !key.expose_secret().is_empty()));
        let Some((at, mac)) = signed else { return self.refuse(name, why, now) };
        if now - at > WINDOW || at - now > WINDOW {
            return self.refuse(name, "it is signed for another time", now);
        }
        if !self.remember(&mac, at, now) || self.left_out_before(name, &mac, now)? {
            return Ok(Answer::Again);
        }
        let Ok(Value::Object(data)) = serde_json::from_slice(body) else {
            return Ok(Answer::Unfit("the body is a JSON object"));
        };
        let begun = self.begin(&set, &workflows, name, &mac, &data);
        if begun.is_err() {
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&mac);
        }
        begun
    }

    fn begin(
        &self,
        set: &Arc<crate::repo::PolicySet>,
        workflows: &[&Arc<Workflow>],
        name: &str,
        mac: &str,
        data: &Map<String, Value>,
    ) -> Result<Answer, StoreError> {
        let mut parts = self.parts.clone();
        parts.take(Arc::clone(set));
        parts.actor.user = format!("webhook {name}");
        let mut runs = Vec::new();
        for workflow in workflows {
            let key = Some(format!("webhook:{name}/{mac}"));
            let cause = Cause { kind: "webhook".into(), key, data: Value::Object(data.clone()), ..Cause::default() };
            match start(&parts, workflow, cause)? {
                (run, Started::Begun(state)) => runs.push(json!({ "workflow": workflow.name, "run": run, "state": state })),
                (_, Started::Skipped(_)) => runs.push(json!({ "workflow": workflow.name, "run": null, "state": "skipped" })),
                (_, Started::Known(_)) => {}
            }
        }
        let left_out: Vec<&Value> = runs.iter().filter(|run| run["run"].is_null()).map(|run| &run["workflow"]).collect();
        if !left_out.is_empty() {
            // There is no run that would tell that it was taken.
            let details = json!({ "signature": mac, "workflows": left_out });
            parts.store.audit(&audit(&parts.actor, parts.clock.now(), LEFT_OUT, name, details))?;
        }
        Ok(if runs.is_empty() { Answer::Again } else { Answer::Taken(runs) })
    }

    /// Whether it was taken, perhaps before this process began, and a workflow left it out because a run was unfinished.
    fn left_out_before(&self, name: &str, mac: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let filter = AuditFilter {
            from: Some(now - WINDOW * 2),
            action: Some(LEFT_OUT.into()),
            target: Some(name.to_owned()),
            ..AuditFilter::default()
        };
        Ok(self.parts.store.audit_list(&filter)?.iter().any(|row| row.event.details["signature"] == mac))
    }

    /// False where it is known.
    fn remember(&self, mac: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= MOST_REMEMBERED {
            taken.retain(|_, at| now - *at <= WINDOW);
        }
        taken.len() < MOST_REMEMBERED && taken.insert(mac.to_owned(), at).is_none()
    }

    fn refuse(&self, name: &str, why: &str, now: DateTime<Utc>) -> Result<Answer, StoreError> {
        let told = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).add(now);
        if let Some(left_out) = told {
            let name: String = name.escape_debug().take(MOST_NAME).collect();
            tracing::warn!(hook = name, left_out, "a webhook is refused: {why}");
            let mut event = audit(&self.parts.actor, now, "webhook.refused", &name, json!({ "reason": why, "leftOut": left_out }));
            event.success = false;
            self.parts.store.audit(&event)?;
        }
        Ok(Answer::Refused)
    }
}

/// When a request was signed, and its signature, where it is signed with this key: `t=1795284612,v1=<hex of HMAC-SHA256 of "t.body">`.
fn signed(key: &[u8], header: &str, body: &[u8]) -> Option<(DateTime<Utc>, String)> {
    let (mut time, mut given) = (None, None);
    for part in header.split(',').take(8) {
        match part.trim().split_once('=') {
            Some(("t", text)) if time.is_none() => time = Some(text),
            Some(("v1", text)) if given.is_none() => given = Some(text),
            _ => {}
        }
    }
    let time = time.filter(|text| !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit())).unwrap_or("0");
    let given = given.and_then(|text| hex::decode(text).ok()).filter(|mac| mac.len() == 32).unwrap_or_else(|| vec![0; 32]);
    let mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.chain_update(time.as_bytes()).chain_update(b".").chain_update(body).verify_slice(&given).ok()?;
    let at = DateTime::from_timestamp(time.parse().ok()?, 0)?;
    // As we write it: capital letters are not another signature.
    Some((at, hex::encode(given)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(key: &[u8], time: &str, body: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(format!("{time}.")).chain_update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    #[test]
    fn only_the_signature_of_time_and_body_counts_and_it_has_one_form() {
        let mac = sign(b"key", "1795284612", b"{}");
        let known = signed(b"key", &format!("t=1795284612,v1={mac}"), b"{}").unwrap();
        assert_eq!((known.0.timestamp(), &known.1), (1_795_284_612, &mac));
        let capitals = mac.to_uppercase();
        assert_eq!(signed(b"key", &format!("t=1795284612, v1={capitals}"), b"{}").unwrap().1, mac);
        for header in [
            format!("t=1795284613,v1={mac}"),
            format!("t=+1795284612,v1={mac}"),
            format!("v1={mac}"),
            "t=1795284612".into(),
            String::new(),
            format!("t=1795284612,v1={}", &mac[2..]),
        ] {
            assert!(signed(b"key", &header, b"{}").is_none(), "{header}");
        }
        assert!(signed(b"other", &format!("t=1795284612,v1={mac}"), b"{}").is_none());
        assert!(signed(b"key", &format!("t=1795284612,v1={mac}"), b"{} ").is_none());
    }

    #[test]
    fn refusals_are_written_down_so_often_and_the_others_counted() {
        let (mut refusals, now) = (Refusals::default(), DateTime::UNIX_EPOCH);
        let told: Vec<_> = (0..15).filter_map(|_| refusals.add(now)).collect();
        assert_eq!(told, [0; 10]);
        assert_eq!(refusals.add(now + REFUSALS), Some(5));
    }
}
