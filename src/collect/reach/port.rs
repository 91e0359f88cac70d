//! Ports: whether they accept connections, and what an SSH server says first.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;

use super::{answered, failed, resolve};
use crate::collect::watch::Probed;

/// Most bytes before an SSH server's version, and lines of it.
const MOST: u64 = 4096;

/// Whether somebody is there at all: a refused connection is an answer.
pub(super) async fn alive(address: SocketAddr) -> Probed {
    let start = Instant::now();
    match TcpStream::connect(address).await {
        Ok(_) => answered(start),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => answered(start),
        Err(error) => failed(format!("port {} cannot be reached: {error}", address.port())),
    }
}

/// Whether a port accepts connections.
pub(super) async fn open(host: &str, port: u16) -> Probed {
    match connect(host, port).await {
        Ok((_, start)) => answered(start),
        Err(why) => failed(why),
    }
}

/// Whether an SSH server greets.
pub(super) async fn ssh(host: &str, port: u16) -> Probed {
    let (stream, start) = match connect(host, port).await {
        Ok(connected) => connected,
        Err(why) => return failed(why),
    };
    let mut lines = BufReader::new(stream.take(MOST)).lines();
    loop {
        // Lines before the version are allowed; the version is what counts.
        match lines.next_line().await {
            Ok(Some(line)) if line.starts_with("SSH-2.0-") || line.starts_with("SSH-1.99-") => {
                let version: String = line.chars().filter(|c| !c.is_control()).take(80).collect();
                return Probed { reason: format!("greets as {version}"), ..answered(start) };
            }
            Ok(Some(line)) if line.starts_with("SSH-") => return failed("the server speaks a version of SSH that is too old".into()),
            Ok(Some(_)) => {}
            Ok(None) => return failed(format!("port {port} is open, but no SSH server greets")),
            Err(error) => return failed(format!("the connection broke: {error}")),
        }
    }
}

async fn connect(host: &str, port: u16) -> Result<(TcpStream, Instant), String> {
    let address = resolve(host, port).await?;
    let start = Instant::now();
    let stream = TcpStream::connect(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("port {port} refuses connections"),
        _ => format!("port {port} cannot be reached: {error}"),
    })?;
    Ok((stream, start))
}
