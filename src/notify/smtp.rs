//! One conversation with a mail server. Each recipient is offered by itself: one that is refused keeps nobody else from
//! getting the mail. What is said, and to whom, is decided in `email.rs`.

use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Tls};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::{Address, Message};

/// "The service is closing the connection": said in the place of any answer, and about no recipient.
const CLOSING: &str = "421";
/// How long the server may take to say good-bye to a mail that it has taken.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// Where the server is and how it is spoken to.
pub(super) struct Server<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) tls: &'a Tls,
    pub(super) timeout: Duration,
    pub(super) hello: ClientId,
    pub(super) credentials: Option<Credentials>,
}

/// Why a recipient does not get the mail.
pub(super) enum Not {
    /// In the server's words.
    Said(Error),
    /// It takes plain addresses only.
    Plain,
}

/// What the server has taken.
pub(super) struct Taken {
    /// Its answer to the mail as a whole.
    pub(super) said: String,
    /// Who does not get it.
    pub(super) without: Vec<(Address, Not)>,
}

/// Why nobody got it.
pub(super) enum Failed {
    /// The conversation as a whole.
    Whole(Error),
    /// Each recipient, for a reason of its own.
    Everybody(Vec<(Address, Not)>),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Whole(error)
    }
}

impl Server<'_> {
    /// Hands the mail over for as many of its recipients as the server takes.
    pub(super) async fn hand_over(self, message: &Message) -> Result<(Taken, AsyncSmtpConnection), Failed> {
        let mut connection = self.connect().await?;
        match exchange(&mut connection, message).await {
            Ok(taken) => Ok((taken, connection)),
            Err(failed) => {
                good_bye(connection).await;
                Err(failed)
            }
        }
    }

    async fn connect(self) -> Result<AsyncSmtpConnection, Error> {
        let at_once = if let Tls::Wrapper(parameters) = self.tls { Some(parameters.clone()) } else { None };
        let address = (self.host, self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, Some(self.timeout), &self.hello, at_once, None).await?;
        // A server that offers no encryption is told nothing further.
        if let Tls::Required(parameters) = self.tls {
            connection.starttls(parameters.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

async fn exchange(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<Taken, Failed> {
    let (envelope, text) = (message.envelope(), message.formatted());
    let knows = |feature: Extension| connection.server_info().supports_feature(feature);
    let (beyond_ascii, eight_bits) = (knows(Extension::SmtpUtfEight), knows(Extension::EightBitMime));
    let plain = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    let beyond = !envelope.from().into_iter().chain(envelope.to()).all(plain);
    let (offered, left_out): (Vec<_>, Vec<_>) = envelope.to().iter().cloned().partition(|address| beyond_ascii || plain(address));
    let mut without: Vec<(Address, Not)> = left_out.into_iter().map(|address| (address, Not::Plain)).collect();
    let mut parameters = Vec::new();
    if beyond_ascii && beyond {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if eight_bits && !text.is_ascii() {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    connection.command(Mail::new(envelope.from().cloned(), parameters)).await?;
    let mut taken = 0;
    for address in offered {
        match connection.command(Rcpt::new(address.clone(), Vec::new())).await {
            Ok(_) => taken += 1,
            Err(error) if error.status().is_some_and(|code| code.to_string() != CLOSING) => without.push((address, Not::Said(error))),
            Err(error) => return Err(error.into()),
        }
    }
    if taken == 0 {
        return Err(Failed::Everybody(without));
    }
    connection.command(Data).await?;
    let response = connection.message(&text).await?;
    let words: Vec<&str> = response.message().collect();
    Ok(Taken { said: format!("{} {}", response.code(), words.join(" ")), without })
}

/// Ends the conversation. What has been taken is taken, however the server ends it.
pub(super) async fn good_bye(mut connection: AsyncSmtpConnection) {
    let _ = tokio::time::timeout(GOOD_BYE, connection.quit()).await;
}
