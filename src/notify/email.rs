//! Mail over SMTP: HTML and text, the alerts as a file where asked for, threads by `References`. How it is handed over is in
//! `smtp.rs`.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret;

use super::channel::{Answer, Channel, Missed, Parcel, Surroundings, key};
use super::letter::{Letter, rfc3339};
use super::smtp::{Failed, Not, Server, good_bye};
use super::{SendError, http, text};
use crate::model::channel::{Attach, Email, MailTls};
use crate::model::delivery::{Message, Occasion};

const MOST_SAID: usize = 300;

/// A mail channel.
pub(super) struct Mail {
    options: Email,
    house: Surroundings,
    tls: Tls,
    port: u16,
}

impl Mail {
    pub(super) fn new(options: Email, house: Surroundings) -> Result<Self, SendError> {
        let parameters = || {
            let mut builder = TlsParameters::builder(options.server.clone());
            if let Some(file) = &options.ca_file {
                let pem = http::authorities(&house.root, file)?;
                let roots = Certificate::from_pem(&pem).map_err(|error| SendError::Incomplete(format!("ca_file {file}: {error}")))?;
                builder = builder.add_root_certificate(roots);
            }
            builder.build().map_err(|error| SendError::Incomplete(format!("no encryption: {error}")))
        };
        let (tls, usual) = match options.tls {
            MailTls::StartTls => (Tls::Required(parameters()?), 587),
            MailTls::Tls => (Tls::Wrapper(parameters()?), 465),
            MailTls::None => (Tls::None, 25),
        };
        let port = options.port.unwrap_or(usual);
        Ok(Self { options, house, tls, port })
    }

    /// The mail, and those of its recipients whose address is none.
    fn compose(&self, parcel: &Parcel<'_>) -> Result<(lettre::Message, Vec<Missed>), SendError> {
        let letter = Letter { message: parcel.message, base_url: self.house.base_url.as_deref() };
        let from = mailbox("from", &self.options.from)?;
        let domain = from.email.domain().to_owned();
        let id = format!("<{}@{domain}>", key(parcel.id));
        let mut builder = lettre::Message::builder().from(from).message_id(Some(id)).date(parcel.at.into());
        let own = parcel.recipient.map(|name| vec![self.options.common.address(name).to_owned()]);
        let to = own.as_ref().unwrap_or(&self.options.to.0);
        if to.is_empty() {
            return Err(SendError::Unwritable("there is nobody to send it to: 'to' is empty".into()));
        }
        let mut missed = Vec::new();
        let mut good = 0;
        let copies = if own.is_none() { self.options.cc.0.as_slice() } else { &[] };
        let all = to.iter().map(|address| ("to", address)).chain(copies.iter().map(|address| ("cc", address)));
        for (key, address) in all {
            match mailbox(key, address) {
                Ok(known) => {
                    builder = if key == "to" { builder.to(known) } else { builder.cc(known) };
                    good += 1;
                }
                Err(error) => missed.push(Missed { recipient: address.clone(), error }),
            }
        }
        if good == 0
            && let Some(first) = missed.pop()
        {
            return Err(first.error);
        }
        if let Some(address) = &self.options.reply_to {
            builder = builder.reply_to(mailbox("reply_to", address)?);
        }
        // One thread for each alert, whichever of its mails arrives first.
        if let Some(alert) = letter.alert() {
            let root = format!("<{}@{domain}>", key(&alert.id));
            let first = parcel.receipt.filter(|receipt| receipt.starts_with('<') && receipt.ends_with('>') && receipt.len() < 300);
            builder = match first {
                Some(first) => builder.in_reply_to(first.to_owned()).references(format!("{root} {first}")),
                None => builder.references(root),
            };
        }
        let builder = builder.subject(letter.headline()).header(AutoSubmitted).header(Delivery(key(parcel.id)));
        Ok((body(builder, &letter, self.wants_file(parcel.message))?, missed))
    }

    /// Why a recipient did not get it.
    fn missed(&self, address: &lettre::Address, why: &Not) -> Missed {
        let error = match why {
            Not::Said(error) => self.failed(error),
            Not::Plain => SendError::Refused {
                host: self.options.server.clone(),
                said: "the server takes no addresses with letters beyond a to z (SMTPUTF8)".into(),
            },
        };
        Missed { recipient: address.to_string(), error }
    }

    /// Nobody got it. As long as one of them may get it later, it is tried again for all: none of them has it.
    fn nobody(&self, without: &[(lettre::Address, Not)]) -> SendError {
        let missed: Vec<Missed> = without.iter().map(|(address, why)| self.missed(address, why)).collect();
        let host = self.options.server.clone();
        let said: Vec<String> = missed.iter().map(|one| format!("{}: {}", one.recipient, words(&one.error))).collect();
        let said = text::line(&said.join("; "), MOST_SAID);
        if missed.iter().any(|one| one.error.may_pass()) {
            SendError::Later { host, said, after: None }
        } else {
            SendError::Refused { host, said }
        }
    }

    fn wants_file(&self, message: &Message) -> bool {
        !message.alerts.is_empty()
            && match self.options.attach {
                Attach::Never => false,
                Attach::Summaries => message.occasion == Occasion::Summary,
                Attach::Always => true,
            }
    }

    fn failed(&self, error: &lettre::transport::smtp::Error) -> SendError {
        let host = self.options.server.clone();
        let mut why = error.to_string();
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            if !why.contains(&cause_text) {
                why = format!("{why}: {cause_text}");
            }
            next = cause.source();
        }
        let said = text::line(&self.house.redactor.redact(&why), MOST_SAID);
        if error.is_timeout() {
            SendError::TimedOut { host, after: self.options.common.timeout() }
        } else if error.is_transient() {
            SendError::Later { host, said, after: None }
        } else if error.is_permanent() || error.is_client() {
            SendError::Refused { host, said }
        } else {
            SendError::Unreachable { host, why: said }
        }
    }
}

#[async_trait]
impl Channel for Mail {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        let (message, mut missed) = self.compose(parcel)?;
        let id = message.headers().get_raw("Message-ID").unwrap_or_default().to_owned();
        let timeout = self.options.common.timeout();
        let mut credentials = None;
        if let (Some(user), Some(password)) = (&self.options.user, &self.options.password) {
            let password = self.house.secret(password)?;
            credentials = Some(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        let hello = ClientId::Domain(self.house.host.clone());
        let server = Server { host: &self.options.server, port: self.port, tls: &self.tls, timeout, hello, credentials };
        // Connecting has its time; the whole conversation has one too.
        let whole = timeout.saturating_mul(3).min(Duration::from_mins(5));
        match tokio::time::timeout(whole, server.hand_over(&message)).await {
            Err(_) => Err(SendError::TimedOut { host: self.options.server.clone(), after: whole }),
            Ok(Err(Failed::Whole(error))) => Err(self.failed(&error)),
            Ok(Err(Failed::Everybody(without))) => Err(self.nobody(&without)),
            Ok(Ok((taken, connection))) => {
                good_bye(connection).await;
                missed.extend(taken.without.iter().map(|(address, why)| self.missed(address, why)));
                let said = text::line(&self.house.redactor.redact(&taken.said), MOST_SAID);
                Ok(Answer { said, receipt: Some(id), missed })
            }
        }
    }
}

/// What was said of one recipient, without the server's name.
fn words(error: &SendError) -> String {
    match error {
        SendError::Later { said, .. } | SendError::Refused { said, .. } => said.clone(),
        other => other.to_string(),
    }
}

fn mailbox(key: &str, address: &str) -> Result<Mailbox, SendError> {
    let shown = || text::line(address, 80);
    address.parse().map_err(|_| SendError::Unwritable(format!("'{}' in '{key}' is not a mail address", shown())))
}

/// Text and HTML, and the alerts as a file where wanted.
fn body(builder: MessageBuilder, letter: &Letter<'_>, file: bool) -> Result<lettre::Message, SendError> {
    let alternative = MultiPart::alternative_plain_html(plain(letter), page(letter));
    let built = if file {
        let csv = Attachment::new("alerts.csv".into())
            .body(table(letter.message)?, ContentType::parse("text/csv; charset=utf-8").unwrap_or(ContentType::TEXT_PLAIN));
        builder.multipart(MultiPart::mixed().multipart(alternative).singlepart(csv))
    } else {
        builder.multipart(alternative)
    };
    built.map_err(|error| SendError::Unwritable(error.to_string()))
}

/// The text form.
fn plain(letter: &Letter<'_>) -> String {
    let mut out = format!("{}\r\n", letter.headline());
    let text = letter.text();
    if !text.is_empty() {
        out += &format!("\r\n{}\r\n", text.replace('\n', "\r\n"));
    }
    let (list, left) = letter.list();
    if !list.is_empty() {
        out += "\r\n";
        out.extend(list.iter().map(|(_, line)| format!("- {line}\r\n")));
    }
    if left > 0 {
        out += &format!("- and {left} more\r\n");
    }
    out += "\r\n";
    out.extend(letter.facts().iter().map(|(label, value)| format!("{label}: {value}\r\n")));
    if let Some(link) = letter.link() {
        out += &format!("\r\nOpen: {link}\r\n");
    }
    if let Some(command) = letter.command() {
        out += &format!("\r\nTo take it on: {command}\r\n");
    }
    out
}

/// The HTML form: tables and inline styles, which is what mail programs understand.
fn page(letter: &Letter<'_>) -> String {
    use crate::model::Severity;
    let colour = match letter.severity() {
        _ if letter.is_over() => "#1a7f37",
        Severity::Critical => "#b3261e",
        Severity::High => "#c2570c",
        Severity::Medium => "#8a6d00",
        Severity::Low | Severity::Info => "#3b5b92",
    };
    let mut out = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body style=\"font-family:sans-serif;color:#222\">\
         <div style=\"border-left:6px solid {colour};padding:4px 12px\"><div style=\"color:{colour};font-weight:bold\">{}</div>\
         <h2 style=\"margin:4px 0\">{}</h2></div>\n",
        text::html(&letter.mark()),
        text::html(&letter.title())
    );
    let message = letter.text();
    if !message.is_empty() {
        out += &format!("<p style=\"white-space:pre-wrap\">{}</p>\n", text::html(&message));
    }
    let (list, left) = letter.list();
    if !list.is_empty() {
        out += "<ul>";
        out.extend(list.iter().map(|(_, line)| format!("<li>{}</li>", text::html(line))));
        if left > 0 {
            out += &format!("<li>and {left} more</li>");
        }
        out += "</ul>\n";
    }
    out += "<table cellpadding=\"4\">";
    for (label, value) in letter.facts() {
        out += &format!("<tr><td style=\"color:#666\">{label}</td><td>{}</td></tr>\n", text::html(&value));
    }
    out += "</table>\n";
    if let Some(link) = letter.link() {
        out += &format!("<p><a href=\"{}\">Open</a></p>\n", text::html(&link));
    }
    if let Some(command) = letter.command() {
        out += &format!("<p>To take it on: <code>{}</code></p>\n", text::html(&command));
    }
    out + "</body></html>\n"
}

/// The alerts as CSV. A value that a spreadsheet would calculate is marked as text.
fn table(message: &Message) -> Result<String, SendError> {
    let bad = |error: &dyn std::fmt::Display| SendError::Unwritable(format!("alerts.csv: {error}"));
    let safe = |value: &str| {
        let value = text::line(value, 2000);
        if value.starts_with(['=', '+', '-', '@']) { format!("'{value}") } else { value }
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(["id", "severity", "state", "about", "type", "instance", "title", "value", "unit", "since", "last", "count"])
        .map_err(|e| bad(&e))?;
    for alert in &message.alerts {
        writer
            .write_record([
                safe(&alert.id),
                alert.severity.to_string(),
                alert.state.to_string(),
                safe(&alert.key.subject.to_string()),
                safe(&alert.key.kind),
                safe(&alert.key.instance),
                safe(&alert.title),
                alert.value.map(|value| value.to_string()).unwrap_or_default(),
                safe(alert.unit.as_deref().unwrap_or_default()),
                rfc3339(alert.created_at),
                rfc3339(alert.last_at),
                alert.count.to_string(),
            ])
            .map_err(|e| bad(&e))?;
    }
    let bytes = writer.into_inner().map_err(|e| bad(&e))?;
    String::from_utf8(bytes).map_err(|e| bad(&e))
}

/// Says that no person wrote it: nobody's holiday note answers.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The key of the delivery.
#[derive(Debug, Clone)]
struct Delivery(String);

impl Header for Delivery {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("X-RMM-Delivery")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}
