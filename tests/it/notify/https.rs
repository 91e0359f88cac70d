//! An HTTPS server on a free port of this machine, with a certificate that an own authority signed. It notes what it is
//! asked, and answers as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Status(u16),
    With(u16, Vec<(&'static str, String)>, String),
    Never,
}

#[derive(Clone, Default)]
struct Book {
    asked: Arc<Mutex<Vec<Asked>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    usual: Arc<Mutex<Option<Reply>>>,
    arrived: Arc<tokio::sync::Notify>,
}

/// The server. It ends with the test.
pub(super) struct Receiver {
    book: Book,
    pub(super) url: String,
    ca: String,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, from)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Certificate of an authority, and certificate and key for this machine that it has signed, all as PEM.
pub(super) fn certificates() -> (String, String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let leaf = params.signed_by(&own, &issuer).unwrap().pem();
    (ca, leaf, own.serialize_pem())
}

impl Receiver {
    pub(super) async fn start() -> Self {
        use rustls::pki_types::pem::PemObject as _;
        let (ca, leaf, key) = certificates();
        let leaf = rustls::pki_types::CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let book = Book::default();
        let app = axum::Router::new().fallback(answer).with_state(book.clone());
        let tls = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let server = tokio::spawn(async move { axum::serve(tls, app).await.unwrap() });
        Self { book, url, ca, server }
    }

    /// Writes the certificate of the authority to `ca.pem` in a folder.
    pub(super) fn trust(&self, folder: &Path) {
        std::fs::write(folder.join("ca.pem"), &self.ca).unwrap();
    }

    /// What is answered next, one after another; then 200.
    pub(super) fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.book.replies.lock().unwrap().extend(replies);
    }

    /// What is answered where nothing else is said.
    pub(super) fn always(&self, reply: Reply) {
        *self.book.usual.lock().unwrap() = Some(reply);
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.book.asked.lock().unwrap().clone()
    }

    /// Waits until it has been asked that often.
    pub(super) async fn arrived(&self, count: usize) {
        while self.book.asked.lock().unwrap().len() < count {
            self.book.arrived.notified().await;
        }
    }
}

async fn answer(State(book): State<Book>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    book.asked.lock().unwrap().push(Asked { method, path: uri.to_string(), headers, body });
    book.arrived.notify_one();
    let reply = book.replies.lock().unwrap().pop_front().or_else(|| book.usual.lock().unwrap().clone());
    match reply.unwrap_or(Reply::Status(200)) {
        Reply::Status(code) => StatusCode::from_u16(code).unwrap().into_response(),
        Reply::With(code, headers, body) => {
            let mut response = (StatusCode::from_u16(code).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Reply::Never => std::future::pending().await,
    }
}
