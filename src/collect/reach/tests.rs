use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::access::{SecretError, Secrets};
use crate::model::monitor::{Confirm, Http, Monitor, Ping, Ssh, Tcp, Winrm};
use crate::model::{Place, Severity};
use crate::time::Span;
use crate::transport::SessionOptions;

struct NoSecrets;

impl Secrets for NoSecrets {
    fn resolve(&self, _: &str) -> Result<secrecy::SecretString, SecretError> {
        panic!("no secret is needed")
    }
}

fn reach() -> Reach {
    Reach::new(4, Arc::new(Sessions::new(SessionOptions::default(), Arc::new(NoSecrets))))
}

fn due(check: Check, port: u16, seconds: u64) -> Due {
    let monitor = Monitor {
        name: "Test".into(),
        description: None,
        targets: Vec::new(),
        exclude: Vec::new(),
        check,
        every: Span::seconds(60),
        timeout: Span::seconds(seconds),
        confirm: Confirm::default(),
        severity: Severity::High,
        place: Place::default(),
    };
    let assigned = Assigned { device: "localhost".into(), address: "127.0.0.1".into(), port, monitor: Arc::new(monitor), simulated: None };
    Due { assigned, at: Utc::now() }
}

async fn look(check: Check, port: u16) -> Probed {
    reach().run(&due(check, port, 5), Utc::now(), &CancellationToken::new()).await.unwrap()
}

/// A server that answers each connection with this, after it was asked where `asked`.
async fn server(answer: &'static str, asked: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                if asked {
                    let _ = stream.read(&mut [0; 4096]).await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

async fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

fn http(url: String) -> Http {
    Http { url, status: Vec::new(), contains: None, within: None, expires: None, verify: true, redirects: 0 }
}

#[tokio::test]
async fn an_open_port_is_open_and_a_closed_one_is_not() {
    let port = server("", false).await;
    assert!(look(Check::Tcp(Tcp { port }), 22).await.ok);
    let port = closed().await;
    let probed = look(Check::Tcp(Tcp { port }), 22).await;
    assert_eq!((probed.ok, probed.reason), (false, format!("port {port} refuses connections")));
}

#[tokio::test]
async fn an_ssh_server_greets_and_another_one_does_not() {
    let port = server("welcome\r\nSSH-2.0-OpenSSH_9.2\r\n", false).await;
    let probed = look(Check::Ssh(Ssh { port: None }), port).await;
    assert_eq!((probed.ok, &*probed.reason), (true, "greets as SSH-2.0-OpenSSH_9.2"));
    let port = server("220 mail ESMTP\r\n", false).await;
    assert!(!look(Check::Ssh(Ssh { port: Some(port) }), 22).await.ok);
}

#[tokio::test]
async fn this_machine_answers_an_echo_request_or_its_port() {
    let port = server("", false).await;
    let probed = look(Check::Ping(Ping { count: 2, port: Some(port) }), 22).await;
    assert!(probed.ok && probed.latency_ms.is_some(), "{probed:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let start = Instant::now();
    let probed = reach().run(&due(Check::Http(http(url)), 22, 1), Utc::now(), &CancellationToken::new()).await.unwrap();
    assert_eq!((probed.ok, &*probed.reason), (false, "no answer within 1s"));
    assert!(start.elapsed() < Duration::from_secs(3));
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert_eq!(reach().run(&due(Check::Tcp(Tcp { port: 1 }), 22, 1), Utc::now(), &cancel).await, None);
}

#[tokio::test]
async fn status_and_text_of_a_page_are_judged() {
    let port = server("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nall fine", true).await;
    let page = |contains: Option<&str>, status: Vec<u16>| {
        Check::Http(Http { contains: contains.map(str::to_owned), status, ..http(format!("http://{{{{ device.address }}}}:{port}/x")) })
    };
    assert!(look(page(Some("fine"), Vec::new()), 22).await.ok);
    let probed = look(page(Some("broken"), Vec::new()), 22).await;
    assert!(!probed.ok && probed.reason.contains("without the text"), "{probed:?}");
    let probed = look(page(None, vec![204]), 22).await;
    assert_eq!((probed.ok, &*probed.reason), (false, "it answers 200 OK"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_unless_it_is_to_be_followed_and_never_leads_elsewhere_in_silence() {
    let port = server("HTTP/1.1 302 Found\r\nlocation: ftp://127.0.0.1/\r\ncontent-length: 0\r\n\r\n", true).await;
    let url = format!("http://127.0.0.1:{port}/");
    let probed = look(Check::Http(http(url.clone())), 22).await;
    assert_eq!(&*probed.reason, "it answers 302 Found");
    let probed = look(Check::Http(Http { redirects: 3, ..http(url) }), 22).await;
    assert!(!probed.ok, "{probed:?}");
    let port = server("HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n", true).await;
    let probed = look(Check::Http(Http { redirects: 3, ..http(format!("http://127.0.0.1:{port}/")) }), 22).await;
    assert!(probed.reason.contains("more than 3 times"), "{probed:?}");
}

/// A server that redirects everything to this address.
async fn redirecting(to: String) -> u16 {
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    server(answer.leak(), true).await
}

#[tokio::test]
async fn a_redirect_to_what_is_no_nearer_is_followed_and_one_to_what_is_nearer_is_not() {
    let inside = server("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nall fine", true).await;
    // This machine is monitored: it may send us to another port of its own.
    let port = redirecting(format!("http://localhost:{inside}/")).await;
    let url = format!("http://127.0.0.1:{port}/");
    let probed = look(Check::Http(Http { redirects: 3, contains: Some("fine".into()), ..http(url) }), 22).await;
    assert!(probed.ok, "{probed:?}");
    // But not to the service that hands out the keys of a cloud.
    let port = redirecting("http://169.254.169.254/latest/meta-data/".into()).await;
    let probed = look(Check::Http(Http { redirects: 3, ..http(format!("http://127.0.0.1:{port}/")) }), 22).await;
    assert!(!probed.ok && probed.reason.contains("169.254.169.254, a link-local address"), "{probed:?}");
    // As a site of the internet would be: neither by number, in whatever spelling, nor by name.
    for host in ["127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"] {
        let port = redirecting(format!("http://{host}:{inside}/")).await;
        let (config, _) = http::Trust::default().config(false).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config);
        let client = redirect::Redirects::new(3, redirect::Nearness::Public).govern(client).build().unwrap();
        let error = client.get(format!("http://127.0.0.1:{port}/")).send().await.unwrap_err();
        let reason = http::reason(&error);
        assert!(reason.contains("this machine, which is not followed"), "{host}: {reason}");
    }
}

/// A server with a certificate of its own that is valid between these days from now.
async fn encrypted(days: i64) -> u16 {
    use chrono::Datelike as _;

    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let moment = |days: i64| {
        let at = Utc::now() + chrono::TimeDelta::days(days);
        rcgen::date_time_ymd(at.year(), at.month() as u8, at.day() as u8)
    };
    (params.not_before, params.not_after) = (moment(-100), moment(days));
    let certificate = params.self_signed(&key).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

#[tokio::test]
async fn the_certificate_is_read_whether_it_is_trusted_or_not() {
    for (days, verify, ok, reason) in
        [(40, false, true, "405"), (40, true, false, "self-signed"), (-3, false, true, "405"), (-3, true, false, "certificate")]
    {
        let port = encrypted(days).await;
        let check = Http { verify, status: vec![405], ..http(format!("https://localhost:{port}/")) };
        let probed = look(Check::Http(check), 22).await;
        assert_eq!(probed.ok, ok, "{days} {verify}: {probed:?}");
        assert!(probed.reason.contains(reason), "{days} {verify}: {probed:?}");
        let left = (probed.expires.unwrap() - Utc::now()).num_days();
        assert!((left - days).abs() <= 1, "{left}");
    }
}

#[tokio::test]
async fn a_winrm_endpoint_need_not_be_trusted_to_answer() {
    let port = encrypted(40).await;
    let probed = look(Check::Winrm(Winrm { port: Some(port), tls: true }), 22).await;
    assert!(probed.ok && probed.expires.is_some(), "{probed:?}");
    let port = closed().await;
    assert!(!look(Check::Winrm(Winrm { port: Some(port), tls: false }), 22).await.ok);
}
