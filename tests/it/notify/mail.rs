//! Mail through a real SMTP server: encryption, signing in, the forms of a message, threads, and what is refused.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::https::certificates;
use super::*;

/// The server. It ends with the test.
struct Smtp {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Smtp {
    /// Starts it, and writes the certificate of its authority to `ca.pem` of the house.
    fn start(house: &House, mode: &str) -> Self {
        Self::start_with(house, mode, "strict")
    }

    /// The same; one that is `kind` refuses nobody.
    fn start_with(house: &House, mode: &str, manner: &str) -> Self {
        let (ca, leaf, key) = certificates();
        let file = |name: &str, text: &str| {
            let path = house.dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        file("ca.pem", &ca);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/notify/receiver.py");
        // The interpreter that the packages of the system belong to.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(mode).arg(file("leaf.pem", &leaf)).arg(file("key.pem", &key)).arg(manner);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("python3-aiosmtpd is installed by tests/run");
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        Self { child, lines, port: port.trim().parse().expect("the SMTP server has started (python3-aiosmtpd)") }
    }

    fn message(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn toml(&self, more: &str) -> String {
        format!(
            "[notifications.channels.m]\ntype = \"email\"\nserver = \"127.0.0.1\"\nport = {}\nfrom = \"Fleet <rmm@example.com>\"\nca_file = \"ca.pem\"\n{more}\n",
            self.port
        )
    }
}

const SIGNED_IN: &str = "user = \"rmm\"\npassword = { secret = \"PASSWORD\" }\nto = [\"ops@example.com\", \"Kim <kim@example.com>\"]\n";

fn critical() -> Message {
    message(Occasion::Raised, vec![alert("a-1", Severity::Critical, "DiskSpace of /var: 7 %")])
}

/// The value of a header of a message.
fn header<'a>(data: &'a str, name: &str) -> Option<&'a str> {
    let head = data.split("\r\n\r\n").next().unwrap();
    head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn a_mail_goes_out_encrypted_and_signed_in_as_html_and_text() {
    for mode in ["starttls", "tls"] {
        let house = House::new("");
        let mut smtp = Smtp::start(&house, mode);
        let toml = smtp.toml(&format!("tls = \"{mode}\"\n{SIGNED_IN}"));
        let answer = send(&house, &toml, &critical(), None, None).await.unwrap();
        let got = smtp.message();
        assert_eq!((&got["tls"], &got["user"], &got["from"]), (&true.into(), &"rmm".into(), &"rmm@example.com".into()));
        assert_eq!(got["to"], serde_json::json!(["ops@example.com", "kim@example.com"]));
        let data = got["data"].as_str().unwrap();
        assert_eq!(header(data, "Message-ID"), Some("<d-1@example.com>"));
        assert_eq!(answer.receipt.as_deref(), Some("<d-1@example.com>"));
        assert!(answer.said.contains("taken as 4711"), "{}", answer.said);
        assert_eq!(header(data, "Subject"), Some("[CRITICAL] db-1: DiskSpace of /var: 7 %"));
        assert_eq!(header(data, "Auto-Submitted"), Some("auto-generated"));
        assert!(data.contains("text/plain") && data.contains("text/html") && data.contains("multipart/alternative"));
        assert!(data.contains("rmm alerts ack a-1"), "{data}");
        assert!(!data.contains("value-of-PASSWORD"));
    }
}

#[tokio::test]
async fn later_mails_about_an_alert_are_in_its_thread() {
    let house = House::new("");
    let mut smtp = Smtp::start(&house, "starttls");
    let over = message(Occasion::Resolved, critical().alerts);
    send(&house, &smtp.toml(SIGNED_IN), &over, Some("kim@example.com"), Some("<d-0@example.com>")).await.unwrap();
    let got = smtp.message();
    assert_eq!(got["to"], serde_json::json!(["kim@example.com"]), "the person on duty alone");
    let data = got["data"].as_str().unwrap();
    assert_eq!(header(data, "In-Reply-To"), Some("<d-0@example.com>"));
    assert_eq!(header(data, "References"), Some("<a-1@example.com> <d-0@example.com>"));
    assert_eq!(header(data, "Subject"), Some("[RESOLVED] db-1: DiskSpace of /var: 7 %"));
}

#[tokio::test]
async fn what_a_device_says_adds_no_header_no_recipient_and_no_markup() {
    let house = House::new("");
    let mut smtp = Smtp::start(&house, "starttls");
    let mut alert =
        alert("a-1\r\nBcc: evil@example.com", Severity::Critical, "x\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script>");
    alert.message = "\r\n.\r\nMAIL FROM:<evil@example.com>\r\n<img src=x onerror=alert(1)>".into();
    alert.key.subject = Subject::Device("db-1\r\nX-Evil: 1".into());
    send(&house, &smtp.toml(SIGNED_IN), &message(Occasion::Raised, vec![alert]), None, None).await.unwrap();
    let got = smtp.message();
    assert_eq!(got["to"].as_array().unwrap().len(), 2);
    let data = got["data"].as_str().unwrap();
    assert_eq!((header(data, "Bcc"), header(data, "X-Evil")), (None, None), "{data}");
    let page = data.split("text/html").nth(1).unwrap().replace("=\r\n", "");
    assert!(!page.contains("<script>") && !page.contains("<img src") && page.contains("&lt;script&gt;"), "{data}");
}

#[tokio::test]
async fn a_summary_brings_its_alerts_as_a_file() {
    let house = House::new("");
    let mut smtp = Smtp::start(&house, "starttls");
    let mut formula = alert("a-2", Severity::Low, "=cmd|' /C calc'!A0");
    formula.key.instance = "+1".into();
    send(&house, &smtp.toml(SIGNED_IN), &message(Occasion::Summary, vec![critical().alerts.remove(0), formula]), None, None).await.unwrap();
    let got = smtp.message();
    let data = got["data"].as_str().unwrap();
    assert!(data.contains("filename=\"alerts.csv\""), "{data}");
    assert_eq!(header(data, "Subject"), Some("[SUMMARY] 2 alerts: 1 critical, 1 low"));
    let part = data.rsplit("alerts.csv").next().unwrap().replace("=\r\n", "").replace("=3D", "=");
    assert!(part.contains("'=cmd|") && part.contains("'+1") && !part.contains(",=cmd"), "{part}");
}

#[tokio::test]
async fn a_server_says_no_for_good_or_for_now() {
    let house = House::new("");
    let smtp = Smtp::start(&house, "starttls");
    let mut errors = Vec::new();
    for to in ["x@refused.example.com", "x@later.example.com"] {
        errors.push(send(&house, &smtp.toml(SIGNED_IN), &critical(), Some(to), None).await.unwrap_err());
    }
    house.secret("PASSWORD", "wrong-password");
    errors.push(send(&house, &smtp.toml(SIGNED_IN), &critical(), None, None).await.unwrap_err());
    errors.push(send(&house, &smtp.toml(SIGNED_IN), &critical(), Some("no address"), None).await.unwrap_err());
    assert!(matches!(&errors[0], SendError::Refused { said, .. } if said.contains("no such user")), "{errors:?}");
    assert!(matches!(&errors[1], SendError::Later { .. }), "{errors:?}");
    assert!(matches!(&errors[2], SendError::Refused { .. }), "{errors:?}");
    assert!(matches!(&errors[3], SendError::Unwritable(_)), "{errors:?}");
    assert!(!format!("{errors:?}").contains("wrong-password"), "{errors:?}");
}

#[tokio::test]
async fn a_password_is_never_sent_in_the_open() {
    let house = House::new("");
    let smtp = Smtp::start(&house, "plain");
    // A server that offers no STARTTLS, or somebody in between who has taken it out.
    let error = send(&house, &smtp.toml(SIGNED_IN), &critical(), None, None).await.unwrap_err();
    assert!(!matches!(error, SendError::Later { .. }), "{error}");
    // Without encryption only to this machine itself, or where it was said.
    let mut smtp = Smtp::start(&house, "plain");
    send(&house, &smtp.toml("tls = \"none\"\nto = \"ops@example.com\"\n"), &critical(), None, None).await.unwrap();
    assert_eq!(smtp.message()["tls"], false);
    let options = rmm::repo::LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: noon() };
    let far = "[notifications.channels.m]\ntype = \"email\"\nserver = \"mail.example.com\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\ntls = \"none\"\n";
    let loaded = rmm::repo::compile(vec![("rmm.toml".into(), far.into())], &options, rmm::repo::World::default());
    assert!(loaded.set.is_none() && loaded.problems[0].message.contains("without encryption"), "{:?}", loaded.problems);
    assert_eq!(loaded.problems[0].place.as_ref().unwrap().line, 6);
}

#[tokio::test]
async fn a_server_that_nobody_trusts_gets_nothing() {
    let house = House::new("");
    let smtp = Smtp::start(&house, "starttls");
    std::fs::write(house.dir.path().join("ca.pem"), certificates().0).unwrap();
    let error = send(&house, &smtp.toml(SIGNED_IN), &critical(), None, None).await.unwrap_err();
    assert!(matches!(&error, SendError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_speaks_costs_a_bounded_time() {
    let house = House::new("");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let toml = format!(
        "[notifications.channels.m]\ntype = \"email\"\nserver = \"127.0.0.1\"\nport = {}\nfrom = \"a@example.com\"\nto = \"b@example.com\"\ntls = \"none\"\ntimeout = 1\n",
        listener.local_addr().unwrap().port()
    );
    let error = send(&house, &toml, &critical(), None, None).await.unwrap_err();
    assert!(matches!(error, SendError::TimedOut { .. }), "{error:?}");
}

const MIXED: &str = "user = \"rmm\"\npassword = { secret = \"PASSWORD\" }\nto = [\"ops@example.com\", \"x@refused.example.com\"]\ncc = [\"y@later.example.com\", \"kim@example.com\", \"no address\"]\n";

#[tokio::test]
async fn a_recipient_who_is_refused_keeps_nobody_else_from_getting_the_mail() {
    let house = House::new("");
    let mut smtp = Smtp::start(&house, "starttls");
    let answer = send(&house, &smtp.toml(MIXED), &critical(), None, None).await.unwrap();
    assert_eq!(smtp.message()["to"], serde_json::json!(["ops@example.com", "kim@example.com"]));
    let mut missed: Vec<(&str, bool)> = answer.missed.iter().map(|one| (one.recipient.as_str(), one.error.may_pass())).collect();
    missed.sort_unstable();
    assert_eq!(missed, [("no address", false), ("x@refused.example.com", false), ("y@later.example.com", true)]);
}

#[tokio::test]
async fn who_was_refused_is_seen_in_the_queue_and_who_is_to_be_asked_again_is_asked_alone() {
    let house = House::new("");
    let mut smtp = Smtp::start(&house, "starttls");
    house.worker.configure(&config(&smtp.toml(MIXED)));
    house.queue(vec![raised("d-1", "m", "a-1")]);
    let again = house.worker.settle().await.unwrap().expect("one is asked again");
    assert_eq!(smtp.message()["to"].as_array().unwrap().len(), 2);
    let sent = house.delivery("d-1");
    assert_eq!(sent.state, DeliveryState::Sent);
    assert!(sent.error.unwrap().contains("x@refused.example.com"));
    let dead = house.in_state(DeliveryState::Dead);
    let mut to: Vec<&str> = dead.iter().filter_map(|dead| dead.recipient.as_deref()).collect();
    to.sort_unstable();
    assert_eq!(to, ["no address", "x@refused.example.com"]);
    assert!(dead.iter().any(|dead| dead.error.as_ref().unwrap().contains("no such user")), "{dead:?}");
    let [waits] = house.in_state(DeliveryState::Pending).try_into().unwrap();
    assert_eq!((waits.recipient.as_deref(), waits.attempts, waits.due_at), (Some("y@later.example.com"), 1, again));
    assert!(
        house.signals.lock().unwrap().iter().any(|signal| matches!(signal, Signal::Raised(found) if &*found.key.kind == "Notification"))
    );
    // The server has made up its mind: this one gets it, and nobody gets it twice.
    drop(smtp);
    smtp = Smtp::start_with(&house, "starttls", "kind");
    house.worker.configure(&config(&smtp.toml(MIXED)));
    house.play(3).await;
    assert_eq!(smtp.message()["to"], serde_json::json!(["y@later.example.com"]));
    assert_eq!(house.in_state(DeliveryState::Pending), []);
    assert_eq!(house.in_state(DeliveryState::Sent).len(), 2);
    // A person has looked after the mailbox: only its owner hears of it.
    let id = dead.iter().find(|dead| dead.recipient.as_deref() == Some("x@refused.example.com")).unwrap().id.clone();
    let event = rmm::store::AuditEvent {
        at: noon(),
        user: None,
        action: "notify.retried".into(),
        target: None,
        details: serde_json::json!({}),
        ip: None,
        success: true,
    };
    house.store.retry_delivery(&id, house.clock.now(), event).unwrap();
    house.play(1).await;
    assert_eq!(smtp.message()["to"], serde_json::json!(["x@refused.example.com"]));
}

#[tokio::test]
async fn where_nobody_gets_it_one_who_may_get_it_later_keeps_it_alive() {
    let house = House::new("");
    let smtp = Smtp::start(&house, "starttls");
    let signed = "user = \"rmm\"\npassword = { secret = \"PASSWORD\" }\n";
    let both = format!("{signed}to = [\"x@refused.example.com\", \"y@later.example.com\"]\n");
    let error = send(&house, &smtp.toml(&both), &critical(), None, None).await.unwrap_err();
    assert!(matches!(&error, SendError::Later { said, .. } if said.contains("x@refused") && said.contains("try again later")), "{error}");
    let none = format!("{signed}to = [\"x@refused.example.com\", \"z@refused.example.com\"]\n");
    let error = send(&house, &smtp.toml(&none), &critical(), None, None).await.unwrap_err();
    assert!(matches!(&error, SendError::Refused { said, .. } if said.contains("x@refused") && said.contains("z@refused")), "{error}");
}
