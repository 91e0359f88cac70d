//! Plain HTTP/1.1 over one connection of its own: what signs in on WinRM is the connection, so it is never shared or exchanged.
//!
//! Everything that comes is bounded, in size here and in time by the caller. No redirects, no cookies, no pipelining.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Most bytes of an answer's head: Kerberos tokens may have 48,000 bytes before they are written in Base64.
const MOST_HEAD: usize = 128 * 1024;
/// Most bytes of an answer: several times the envelope that was asked for.
const MOST_BODY: usize = 4 * 1024 * 1024;

/// What is read at once.
const PIECE: usize = 8 * 1024;

/// What carries the connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection, for one request after the other.
pub(super) struct Http {
    stream: Stream,
    /// As in the `Host` header.
    host: String,
    /// Read, and not yet used.
    ahead: Vec<u8>,
    /// A request was begun whose answer was not read to its end, or makes no sense: the connection is of no more use.
    torn: bool,
    /// The other side has answered, and said that this was its last answer.
    closed: bool,
}

/// What is asked.
#[derive(Default)]
pub(super) struct Request<'a> {
    pub(super) authorization: Option<&'a str>,
    pub(super) content_type: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// What is answered.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// The values of all headers of this name, which is written in lower case.
    pub(super) fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.headers(name).next()
    }
}

impl Http {
    pub(super) fn new(stream: Stream, host: String) -> Self {
        Self { stream, host, ahead: Vec::new(), torn: false, closed: false }
    }

    /// Whether another request may be sent: nothing is half done, and the other side has not closed it.
    pub(super) fn is_usable(&mut self) -> bool {
        if self.torn || self.closed || !self.ahead.is_empty() {
            return false;
        }
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        // Whatever can be read now is either the end or something that nobody asked for. It is gone from the stream: whoever looks again
        // would find it in order.
        self.closed = self.stream.poll_read(&mut Context::from_waker(Waker::noop()), &mut into).is_ready();
        !self.closed
    }

    /// Whether a request was begun and not answered, or was given up.
    pub(super) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Whether it ended between two requests: nothing is lost, and the next one goes over another connection.
    pub(super) fn is_over(&mut self) -> bool {
        !self.torn && !self.is_usable()
    }

    /// Has nobody send a request over it any more.
    pub(super) fn tear(&mut self) {
        self.torn = true;
    }

    /// One request and its answer. Fails with words when the connection breaks, or the answer is none.
    pub(super) async fn post(&mut self, request: &Request<'_>) -> Result<Reply, String> {
        if std::mem::replace(&mut self.torn, true) {
            return Err("the answer to the request before was not read".into());
        }
        // As large as it becomes: a buffer that grows leaves its first bytes behind.
        let given = |text: Option<&str>| text.map_or(0, str::len);
        let room = 256 + self.host.len() + given(request.content_type) + given(request.authorization) + request.body.len();
        let mut text = zeroize::Zeroizing::new(String::with_capacity(room));
        let _ = write!(
            text,
            "POST /wsman HTTP/1.1\r\nHost: {}\r\nUser-Agent: rmm/{}\r\nConnection: Keep-Alive\r\nContent-Length: {}\r\n",
            self.host,
            env!("CARGO_PKG_VERSION"),
            request.body.len()
        );
        if let Some(kind) = request.content_type {
            text.push_str("Content-Type: ");
            text.push_str(kind);
            text.push_str("\r\n");
        }
        if let Some(authorization) = request.authorization {
            text.push_str("Authorization: ");
            text.push_str(authorization);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        let mut bytes = zeroize::Zeroizing::new(std::mem::take(&mut *text).into_bytes());
        bytes.extend_from_slice(request.body);
        self.stream.write_all(&bytes).await.map_err(|error| error.to_string())?;
        self.stream.flush().await.map_err(|error| error.to_string())?;
        loop {
            let reply = self.answer().await?;
            if !(100..200).contains(&reply.status) {
                self.torn = false;
                return Ok(reply);
            }
        }
    }

    async fn more(&mut self) -> Result<(), String> {
        if self.more_or_end().await? { Ok(()) } else { Err("it closed the connection".into()) }
    }

    /// Whether there was more.
    async fn more_or_end(&mut self) -> Result<bool, String> {
        self.ahead.reserve(PIECE);
        match self.stream.read(&mut self.ahead).await {
            Ok(count) => Ok(count > 0),
            // TLS that ends without a word of its own.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn answer(&mut self) -> Result<Reply, String> {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if self.ahead.len() > MOST_HEAD {
                return Err("the head of its answer is too large".into());
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head[..end]);
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.ok_or("it does not speak HTTP")?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        if (100..200).contains(&status) {
            return Ok(reply);
        }
        let says = |word: &str| {
            let mut words = reply.headers("connection").flat_map(|value| value.split(','));
            words.any(|known| known.trim().eq_ignore_ascii_case(word))
        };
        self.closed = says("close") || (first.starts_with("HTTP/1.0") && !says("keep-alive"));
        if matches!(status, 204 | 304) {
            return Ok(reply);
        }
        if reply.headers("transfer-encoding").any(|value| value.to_ascii_lowercase().contains("chunked")) {
            reply.body = self.chunks().await?;
            return Ok(reply);
        }
        let length = match reply.header("content-length") {
            Some(text) => text.parse::<usize>().map_err(|_| "the length of its answer is no number".to_owned())?,
            None if self.closed || reply.header("content-type").is_some() => {
                reply.body = self.rest().await?;
                return Ok(reply);
            }
            None => 0,
        };
        if length > MOST_BODY {
            return Err("its answer is too large".into());
        }
        reply.body = self.take(length).await?;
        Ok(reply)
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.ahead.len() < length {
            self.more().await?;
        }
        let rest = self.ahead.split_off(length);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    /// All that comes until the other side closes the connection.
    async fn rest(&mut self) -> Result<Vec<u8>, String> {
        self.closed = true;
        while self.more_or_end().await? {
            if self.ahead.len() > MOST_BODY {
                return Err("its answer is too large".into());
            }
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    async fn chunks(&mut self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| "a piece of its answer has no length".to_owned())?;
            if size > MOST_BODY || body.len() + size > MOST_BODY {
                return Err("its answer is too large".into());
            }
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size).await?);
            self.line().await?;
        }
    }

    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(at) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.ahead.len() > MOST_BODY {
                return Err("its answer is too large".into());
            }
            self.more().await?;
        }
    }
}

impl Stream {
    fn poll_read(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }

    async fn read(&mut self, into: &mut Vec<u8>) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(into).await,
            Self::Tls(stream) => stream.read_buf(into).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => stream.write_all(bytes).await,
        }
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush().await,
            Self::Tls(stream) => stream.flush().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::seal;
    use super::*;

    async fn told(answer: &'static [u8]) -> (Result<Reply, String>, Http) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        other.write_all(answer).await.unwrap();
        other.shutdown().await.unwrap();
        let mut http = Http::new(Stream::Plain(stream), "ws-1:5985".into());
        let reply = http.post(&Request::default()).await;
        (reply, http)
    }

    #[tokio::test]
    async fn an_answer_is_read_whole_whether_it_has_a_length_or_comes_in_pieces() {
        let (reply, _) = told(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: 1\r\nx: 2\r\n\r\nhello").await;
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (200, b"hello".as_slice()));
        assert_eq!(reply.headers("x").collect::<Vec<_>>(), ["1", "2"]);
        let (reply, _) = told(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n").await;
        let reply = reply.unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (500, b"abcde".as_slice()));
    }

    #[tokio::test]
    async fn what_a_windows_device_has_answered_is_read_and_taken_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        // The recording ends before the last piece.
        other.write_all(&[include_bytes!("samples/windows-10.http").as_slice(), b"0\r\n\r\n"].concat()).await.unwrap();
        let mut http = Http::new(Stream::Plain(stream), "ws-1:5985".into());
        let sign_in = http.post(&Request::default()).await.unwrap();
        assert_eq!((sign_in.status, sign_in.body.len(), sign_in.headers("www-authenticate").count()), (200, 0, 1));
        for length in [2268, 1061, 727] {
            let reply = http.post(&Request::default()).await.unwrap();
            let kind = reply.header("content-type").unwrap();
            assert!(reply.status == 200 && seal::is_sealed(kind), "{kind}");
            let pieces = seal::read(kind, &reply.body).unwrap();
            let [piece] = pieces.as_slice() else { panic!("{pieces:?}") };
            assert_eq!((piece.length, piece.cipher.len(), piece.signature.len()), (length, length, 60));
            // Sealed by the acceptor with its key, without a filler, and turned by 28 bytes: what is opened here.
            assert_eq!(piece.signature[..8], [5, 4, 7, 0xff, 0, 0, 0, 28]);
        }
        assert!(http.is_usable());
    }

    #[tokio::test]
    async fn an_answer_without_a_length_lasts_until_the_connection_is_closed() {
        for answer in [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end".as_slice(),
            b"HTTP/1.1 503 No\r\nContent-Type: text/html\r\n\r\nto the end",
            b"HTTP/1.0 200 OK\r\n\r\nto the end",
        ] {
            let (reply, mut http) = told(answer).await;
            assert_eq!(reply.unwrap().body, b"to the end");
            assert!(http.is_over());
        }
        let (reply, _) = told(b"HTTP/1.1 200 OK\r\n\r\n").await;
        assert_eq!(reply.unwrap().body, b"");
        let (reply, http) = told(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(reply.unwrap().body, b"ok");
        assert!(!http.closed && !http.torn);
    }

    #[tokio::test]
    async fn what_is_no_answer_or_too_large_is_refused() {
        assert!(told(b"SSH-2.0-x\r\n\r\n").await.0.unwrap_err().contains("HTTP"));
        assert!(told(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").await.0.unwrap_err().contains("too large"));
        assert!(told(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").await.0.is_err());
        assert!(told(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n").await.0.unwrap_err().contains("too large"));
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_or_half_read_is_not_used_again() {
        let (reply, mut http) = told(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: TE, Close\r\n\r\n").await;
        assert!(reply.is_ok() && !http.is_usable() && http.is_over() && !http.is_torn());
        let (reply, mut http) = told(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore").await;
        assert!(reply.is_ok() && !http.is_usable());
        let (_, mut http) = told(b"SSH-2.0-x\r\n\r\n").await;
        assert!(!http.is_usable() && http.is_torn() && !http.is_over());
        assert!(http.post(&Request::default()).await.is_err());
    }
    #[tokio::test]
    async fn a_connection_on_which_something_came_unasked_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        other.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let mut http = Http::new(Stream::Plain(stream), "ws-1:5985".into());
        http.post(&Request::default()).await.unwrap();
        assert!(http.is_usable());
        other.write_all(b"x").await.unwrap();
        while http.is_usable() {
            tokio::task::yield_now().await;
        }
        assert!(!http.is_usable() && http.is_over());
    }
}
