//! Looks at devices from here: echo requests, ports, greetings, web addresses. One file per kind of look; what the results
//! mean is `watch`'s business. At most so many looks at a time, each within its limit.

mod http;
mod icmp;
mod port;
mod redirect;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::watch::{Assigned, Due, Probed};
use crate::model::monitor::Check;
use crate::transport::Sessions;

/// Looks at things. Cheap to share; make one per process.
pub struct Reach {
    places: Semaphore,
    echo: icmp::Echo,
    trust: http::Trust,
    sessions: Arc<Sessions>,
}

impl Reach {
    /// At most `most` looks at a time. Simulated devices are asked through `sessions`.
    pub fn new(most: usize, sessions: Arc<Sessions>) -> Self {
        Self { places: Semaphore::new(most.max(1)), echo: icmp::Echo::default(), trust: http::Trust::default(), sessions }
    }

    /// Carries out one look; `None` where it was cancelled. Never takes longer than the monitor's limit, not counting the
    /// wait for a free place.
    pub async fn run(&self, due: &Due, now: DateTime<Utc>, cancel: &CancellationToken) -> Option<Probed> {
        let monitor = &due.assigned.monitor;
        let place = tokio::select! {
            () = cancel.cancelled() => return None,
            place = self.places.acquire() => place.ok()?,
        };
        let limit = monitor.timeout.duration();
        let result = tokio::select! {
            () = cancel.cancelled() => return None,
            result = tokio::time::timeout(limit, self.look(&due.assigned, now, cancel)) => result,
        };
        drop(place);
        Some(result.unwrap_or_else(|_| failed(format!("no answer within {}", monitor.timeout))))
    }

    async fn look(&self, assigned: &Assigned, now: DateTime<Utc>, cancel: &CancellationToken) -> Probed {
        if let Some(target) = &assigned.simulated {
            let start = Instant::now();
            return match self.sessions.open(target, cancel).await {
                Ok(_) => answered(start),
                Err(error) => failed(error.to_string()),
            };
        }
        let monitor = &assigned.monitor;
        match &monitor.check {
            Check::Ping(ping) => {
                let address = match resolve(&assigned.address, 0).await {
                    Ok(address) => address.ip(),
                    Err(why) => return failed(why),
                };
                match self.echo.ping(address, ping.count, monitor.timeout.duration()).await {
                    Some(probed) => probed,
                    None => port::alive(SocketAddr::new(address, ping.port.unwrap_or(assigned.port))).await,
                }
            }
            Check::Tcp(tcp) => port::open(&assigned.address, tcp.port).await,
            Check::Ssh(ssh) => port::ssh(&assigned.address, ssh.port.unwrap_or(assigned.port)).await,
            Check::Winrm(winrm) => http::winrm(&self.trust, &assigned.address, winrm.port.unwrap_or(assigned.port), winrm.tls).await,
            Check::Http(http) => http::look(&self.trust, http, assigned, now).await,
            Check::Services(_) | Check::Events(_) => failed("it is looked at on the device".into()),
        }
    }
}

impl std::fmt::Debug for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reach").field("places", &self.places.available_permits()).finish_non_exhaustive()
    }
}

/// It is not as it should be.
fn failed(reason: String) -> Probed {
    Probed { ok: false, reason, ..Probed::default() }
}

/// It is as it should be, after so much time.
fn answered(start: Instant) -> Probed {
    let latency = start.elapsed().as_secs_f64() * 1000.0;
    Probed {
        ok: true,
        latency_ms: Some((latency * 100.0).round() / 100.0),
        reason: format!("answers in {latency:.0} ms"),
        ..Probed::default()
    }
}

/// The first address of a name.
async fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let found = tokio::net::lookup_host((bare, port)).await;
    let mut found = found.map_err(|error| format!("the name {bare} cannot be resolved: {error}"))?;
    found.next().ok_or_else(|| format!("the name {bare} has no address"))
}
