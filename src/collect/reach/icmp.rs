//! Echo requests, where this process may send them: as an unprivileged socket, or with the right to raw ones.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use surge_ping::{Client, Config, ICMP, PingIdentifier, PingSequence};

use crate::collect::watch::Probed;

/// Sends echo requests.
#[derive(Default)]
pub(super) struct Echo {
    v4: OnceLock<Option<Client>>,
    v6: OnceLock<Option<Client>>,
}

impl Echo {
    fn client(&self, v6: bool) -> Option<&Client> {
        let (cell, kind) = if v6 { (&self.v6, ICMP::V6) } else { (&self.v4, ICMP::V4) };
        // It tries a datagram socket, then a raw one.
        cell.get_or_init(|| Client::new(&Config::builder().kind(kind).build()).ok()).as_ref()
    }

    /// So many packets, one after the other; `None` where they are not permitted.
    pub(super) async fn ping(&self, address: IpAddr, count: u8, limit: Duration) -> Option<Probed> {
        let client = self.client(address.is_ipv6())?;
        let mut pinger = client.pinger(address, PingIdentifier(rand::random())).await;
        // Each has its share of the time, so that a lost one does not cost the others theirs.
        pinger.timeout(limit.mul_f64(0.9) / u32::from(count.max(1)));
        let first: u16 = rand::random();
        let mut times = Vec::new();
        let mut last = String::new();
        for i in 0..count {
            match pinger.ping(PingSequence(first.wrapping_add(u16::from(i))), &[0; 32]).await {
                Ok((_, time)) => times.push(time.as_secs_f64() * 1000.0),
                Err(surge_ping::SurgeError::Timeout { .. }) => {}
                Err(error) => last = error.to_string(),
            }
        }
        let lost = usize::from(count) - times.len();
        let loss = lost as f64 * 100.0 / f64::from(count.max(1));
        let latency = (!times.is_empty()).then(|| (times.iter().sum::<f64>() / times.len() as f64 * 100.0).round() / 100.0);
        let reason = match latency {
            Some(latency) if lost == 0 => format!("answers in {latency:.1} ms"),
            Some(latency) => format!("answers in {latency:.1} ms, {lost} of {count} packets lost"),
            None if last.is_empty() => format!("none of {count} packets was answered"),
            None => format!("none of {count} packets was answered: {last}"),
        };
        Some(Probed { ok: latency.is_some(), latency_ms: latency, loss_percent: Some(loss), reason, expires: None })
    }
}
