//! The system log, RFC 5424 with structured data: over a socket of this machine, UDP or TCP. Nobody answers there: what
//! was handed over counts as taken.

use async_trait::async_trait;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};

use super::SendError;
use super::channel::{Answer, Channel, Parcel, Surroundings, key};
use super::letter::{Letter, rfc3339};
use super::text;
use crate::model::channel::{Syslog, SyslogAddress};
use crate::model::delivery::Message;
use crate::model::{Alert, Severity};

/// Most records for one message.
const MOST_RECORDS: usize = 100;
/// Longest record in bytes; receivers have to take 2048 and may cut what is longer.
const LONGEST: usize = 2048;

/// A channel to the system log.
pub(super) struct Log {
    options: Syslog,
    house: Surroundings,
}

impl Log {
    pub(super) fn new(options: Syslog, house: Surroundings) -> Self {
        Self { options, house }
    }

    /// One record for each alert.
    fn records(&self, parcel: &Parcel<'_>) -> Vec<String> {
        let message = parcel.message;
        if message.alerts.is_empty() {
            return vec![self.record(parcel, message, None)];
        }
        let one = |alert: &Alert| self.record(parcel, &Message { alerts: vec![alert.clone()], ..message.clone() }, Some(alert));
        message.alerts.iter().take(MOST_RECORDS).map(one).collect()
    }

    fn record(&self, parcel: &Parcel<'_>, message: &Message, alert: Option<&Alert>) -> String {
        let letter = Letter { message, base_url: self.house.base_url.as_deref() };
        let level = match letter.severity() {
            _ if letter.is_over() => 5,
            Severity::Critical => 2,
            Severity::High => 3,
            Severity::Medium => 4,
            Severity::Low => 5,
            Severity::Info => 6,
        };
        let priority = self.options.facility.number() * 8 + level;
        let sd_id = self.options.sd_id.as_deref().unwrap_or("rmm@32473");
        let mut data = format!("[{sd_id} delivery=\"{}\" occasion=\"{}\"", key(parcel.id), message.occasion);
        if let Some(alert) = alert {
            let pairs = [
                ("alert", alert.id.clone()),
                ("about", alert.key.subject.to_string()),
                ("type", alert.key.kind.to_string()),
                ("instance", alert.key.instance.to_string()),
                ("severity", alert.severity.to_string()),
                ("state", alert.state.to_string()),
                ("value", alert.value.map(|value| value.to_string()).unwrap_or_default()),
            ];
            data.extend(pairs.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!(" {name}=\"{}\"", escaped(value))));
        }
        let headline = match alert {
            Some(alert) => {
                format!("[{}] {}: {}", letter.mark(), text::line(&alert.key.subject.to_string(), 100), text::line(&alert.title, 200))
            }
            None => letter.headline(),
        };
        let body = text::line(&letter.text(), 800);
        let gap = if body.is_empty() { "" } else { " " };
        let record = format!(
            "<{priority}>1 {} {} {} {} {} {data}] \u{feff}{headline}{gap}{body}",
            rfc3339(parcel.at),
            name(&self.house.host, 255),
            name(self.options.app_name.as_deref().unwrap_or("rmm"), 48),
            std::process::id(),
            message.occasion,
        );
        record[..record.floor_char_boundary(LONGEST)].to_owned()
    }
}

/// A name as the head of a record takes it.
fn name(text: &str, most: usize) -> String {
    let plain: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if plain.is_empty() { "-".to_owned() } else { plain }
}

/// A value of structured data.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    for c in text::line(value, 150).chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[async_trait]
impl Channel for Log {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        let records = self.records(parcel);
        let after = self.options.common.timeout();
        let host = String::from(self.options.address.clone());
        let done = tokio::time::timeout(after, hand_over(&self.options.address, &records)).await;
        match done {
            Err(_) => Err(SendError::TimedOut { host, after }),
            Ok(Err(error)) => Err(SendError::Unreachable { host, why: error.to_string() }),
            Ok(Ok(())) => Ok(Answer { said: "handed over; the system log does not answer".into(), ..Answer::default() }),
        }
    }
}

async fn hand_over(address: &SyslogAddress, records: &[String]) -> std::io::Result<()> {
    match address {
        SyslogAddress::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            if socket.connect(path).is_ok() {
                for record in records {
                    socket.send(record.as_bytes()).await?;
                }
                return Ok(());
            }
            // A stream socket there: records end with a line feed.
            let mut stream = UnixStream::connect(path).await?;
            for record in records {
                stream.write_all(format!("{record}\n").as_bytes()).await?;
            }
            stream.shutdown().await
        }
        SyslogAddress::Udp(host, port) => {
            let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
            for target in tokio::net::lookup_host((host.as_str(), *port)).await? {
                let any: std::net::IpAddr =
                    if target.is_ipv4() { std::net::Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
                let ready = async {
                    let socket = UdpSocket::bind((any, 0)).await?;
                    socket.connect(target).await?;
                    Ok::<_, std::io::Error>(socket)
                };
                match ready.await {
                    Ok(socket) => {
                        for record in records {
                            socket.send(record.as_bytes()).await?;
                        }
                        return Ok(());
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        SyslogAddress::Tcp(host, port) => {
            let mut stream = TcpStream::connect((host.as_str(), *port)).await?;
            for record in records {
                stream.write_all(format!("{} {record}", record.len()).as_bytes()).await?;
            }
            stream.shutdown().await
        }
    }
}
