//! Questions to a Kerberos key distribution centre, over TCP. Bounded in size here, in time by the caller.

use sspi::generator::NetworkRequest;
use sspi::{Error, ErrorKind, NetworkProtocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Largest answer: a ticket has 64 KiB at most.
const MOST: u32 = 1 << 20;

/// Sends a message that begins with its length, and reads one like it.
pub(super) async fn ask(request: &NetworkRequest) -> Result<Vec<u8>, Error> {
    let failed = |reason: String| Error::new(ErrorKind::NoAuthenticatingAuthority, reason);
    if request.protocol != NetworkProtocol::Tcp {
        return Err(failed(format!("{} is asked over TCP only", request.url)));
    }
    let host = request.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = request.url.port().unwrap_or(88);
    let broken = |error: std::io::Error| failed(format!("the key distribution centre {host}:{port}: {error}"));
    let mut stream = TcpStream::connect((host, port)).await.map_err(broken)?;
    stream.write_all(&request.data).await.map_err(broken)?;
    let length = stream.read_u32().await.map_err(broken)?;
    if length > MOST {
        return Err(failed(format!("the answer of the key distribution centre {host}:{port} is too large")));
    }
    let mut answer = length.to_be_bytes().to_vec();
    answer.resize(4 + length as usize, 0);
    stream.read_exact(&mut answer[4..]).await.map_err(broken)?;
    Ok(answer)
}
