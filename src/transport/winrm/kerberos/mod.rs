//! Signing in with a ticket that is there already: `sspi` takes passwords and keys, and no tickets.
//!
//! `cache_file` finds and reads the file of `kinit`, `ccache` chooses from it, `service` gets a ticket for the device with it, `mutual` shows it
//! to the device and has the device show who it is, `wrap` seals what is said then. Called by `sign_in`, and by `context` for each step.

pub(super) mod cache_file;
pub(super) mod ccache;
mod der;
mod key;
mod mutual;
mod refusal;
pub(super) mod service;
mod wrap;

use chrono::{DateTime, Utc};
use sspi::{Error, ErrorKind};

use self::key::Key;
use self::mutual::Asked;
use self::wrap::Wrap;

/// The kind of a name where nothing more is known of it (RFC 4120, 6.2). Kinds of others are below zero.
const PRINCIPAL: u32 = 1;

/// Who somebody or something is (RFC 4120, 6.2).
#[derive(Debug, Clone)]
pub(super) struct Name {
    /// A number with a sign, of which only those that mean something here are kept; 1 stands for all others.
    pub(super) kind: u32,
    pub(super) parts: Vec<String>,
    pub(super) realm: String,
}

impl Name {
    /// Whether it is a service of this kind there. Windows does not tell large letters from small ones.
    fn is(&self, service: &str, host: &str) -> bool {
        matches!(self.parts.as_slice(), [first, second] if first.eq_ignore_ascii_case(service) && second.eq_ignore_ascii_case(host))
    }

    /// Whether it is the same one. The kind of a name is a hint, and not compared.
    fn same(&self, other: &Self) -> bool {
        self.parts == other.parts && self.realm == other.realm
    }

    /// Whether its tickets are there to ask for others with.
    fn grants(&self) -> bool {
        matches!(self.parts.as_slice(), [granting, _] if granting == "krbtgt")
    }

    /// `PrincipalName` (RFC 4120, 5.2.2)
    fn written(&self) -> Vec<u8> {
        let parts: Vec<_> = self.parts.iter().map(|part| der::text(part)).collect();
        der::sequence(&[der::field(0, &der::integer(self.kind)), der::field(1, &der::sequence(&parts))])
    }

    fn read(value: &[u8], realm: String) -> Option<Self> {
        let fields = der::only(der::SEQUENCE, value)?;
        let kind = u32::try_from(der::as_integer(der::find(fields, 0)?)?).unwrap_or(PRINCIPAL);
        let mut rest = der::only(der::SEQUENCE, der::find(fields, 1)?)?;
        let mut parts = Vec::new();
        while let Some((_, _, behind)) = der::first(rest) {
            parts.push(der::as_text(&rest[..rest.len() - behind.len()])?);
            rest = behind;
        }
        rest.is_empty().then_some(Self { kind, parts, realm })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.parts.join("/"), self.realm)
    }
}

/// A ticket, whose it is, and the key that its server finds in it.
pub(super) struct Credential {
    client: Name,
    server: Name,
    key: Key,
    ends: DateTime<Utc>,
    ticket: Vec<u8>,
}

/// A sign-in with a ticket: about to begin, asked for, agreed on.
pub(super) enum Exchange {
    New(Box<Credential>, Option<Vec<u8>>),
    Asked(Box<Asked>),
    Agreed(Box<Wrap>),
    /// What was answered was no good.
    Over,
}

impl Exchange {
    /// `binding` stands for the TLS channel.
    pub(super) fn new(ticket: Credential, binding: Option<Vec<u8>>) -> Self {
        Self::New(Box::new(ticket), binding)
    }

    /// Takes the other side's token and gives the next; none when both have shown who they are.
    pub(super) fn step(&mut self, token: &[u8], now: DateTime<Utc>) -> Result<Option<Vec<u8>>, Error> {
        match std::mem::replace(self, Self::Over) {
            Self::New(ticket, binding) => {
                let (asked, token) = mutual::ask(*ticket, binding.as_deref(), now)?;
                *self = Self::Asked(Box::new(asked));
                Ok(Some(token))
            }
            Self::Asked(asked) => {
                *self = Self::Agreed(Box::new(asked.agree(token)?));
                Ok(None)
            }
            Self::Agreed(_) | Self::Over => Err(Error::new(ErrorKind::InvalidToken, "it goes on with a sign-in that is at its end")),
        }
    }

    /// What messages are sealed with.
    pub(super) fn wrap(&mut self) -> Result<&mut Wrap, Error> {
        match self {
            Self::Agreed(wrap) => Ok(wrap),
            _ => Err(Error::new(ErrorKind::NoContext, "there is no sign-in yet")),
        }
    }
}
