//! `/livez`, `/readyz`, `/metrics` and webhooks on an address of this machine alone. Nothing secret is said here, and nothing
//! changed but what `hooks` has been asked for with a signature.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::error::ReconcileError;
use super::hooks::{self, Hooks};
use super::vitals::Vitals;

/// How often an address that is taken is tried again: a standby on the same machine waits for it as for the database.
const AGAIN: Duration = Duration::from_secs(1);

/// The address. Refused where others than this machine could ask.
pub(super) fn address(text: &str) -> Result<SocketAddr, ReconcileError> {
    let failed = |reason: &str| ReconcileError::Listen { address: text.to_owned(), reason: reason.to_owned() };
    let address: SocketAddr = text.parse().map_err(|_| failed("write it as 127.0.0.1:9464"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(failed("only an address of this machine itself is taken: 127.0.0.1 or [::1]"))
    }
}

/// Answers until `stop`.
pub(super) async fn serve(address: SocketAddr, vitals: Arc<Vitals>, hooks: Arc<Hooks>, stop: CancellationToken) {
    let mut told = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) if !told => {
                told = true;
                tracing::warn!(%address, %error, "the address for health and figures is taken; tried again");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    };
    let health = Router::new().route("/livez", get(live)).route("/readyz", get(ready)).route("/metrics", get(metrics)).with_state(vitals);
    let routes = health.merge(hooks::routes(hooks));
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the health page has ended");
    }
}

async fn live(State(vitals): State<Arc<Vitals>>) -> Response {
    if vitals.alive() {
        (StatusCode::OK, "alive\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the loop hangs\n").into_response()
    }
}

async fn ready(State(vitals): State<Arc<Vitals>>) -> Response {
    match vitals.ready() {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(vitals): State<Arc<Vitals>>) -> Response {
    const FORM: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, FORM)], vitals.metrics()).into_response()
}
