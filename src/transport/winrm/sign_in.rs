//! Signing in on a fresh connection: which way, with what, and what is said when it is refused.
//!
//! Every way is tried once: another attempt with a wrong password would only lock the account.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::context::{Context, Principal};
use super::envelope::CONTENT_TYPE;
use super::http::{Http, Reply, Request};
use super::kerberos::cache_file;
use super::kerberos::ccache::Cache;
use super::kerberos::service;
use super::keytab;
use crate::access::Secrets;
use crate::model::device::{WinrmAuth, WinrmScheme};
use crate::time::{Clock as _, SystemClock};
use crate::transport::{SessionOptions, Target, TransportError, secret};

/// What a request with a client certificate says in the place of a password.
const MUTUAL: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual";
/// Steps after which nobody will agree any more.
const MOST_STEPS: usize = 6;
/// Largest keytab.
const MOST_KEYTAB: u64 = 1 << 20;

/// What a signed-in connection needs for its further requests.
pub(super) enum Signed {
    /// Keys to seal messages with, where nothing else keeps them from being read.
    Keys(Box<Context>),
    /// A header in every request.
    Header(Zeroizing<String>),
}

/// Who signs in to which endpoint.
pub(super) struct SignIn<'a> {
    pub(super) target: &'a Target,
    pub(super) address: &'a str,
    pub(super) options: &'a SessionOptions,
    pub(super) secrets: &'a dyn Secrets,
    /// The token of the TLS channel, where there is one.
    pub(super) binding: Option<Vec<u8>>,
}

/// Why one way did not work.
enum Failure {
    /// It can be tried another way: nothing was refused.
    Elsewhere(String),
    Final(TransportError),
}

impl SignIn<'_> {
    pub(super) async fn run(self, http: &mut Http) -> Result<Signed, TransportError> {
        let connection = &self.target.connection;
        let auth = connection.auth.unwrap_or_default();
        match auth {
            WinrmAuth::Certificate => return Ok(Signed::Header(Zeroizing::new(MUTUAL.into()))),
            WinrmAuth::Basic => {
                if connection.scheme == Some(WinrmScheme::Http) {
                    return Err(self.refused("a password is not sent without TLS".into()));
                }
                let (user, password) = (self.user()?, self.password()?);
                let both = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
                let header = Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(both.as_bytes()))));
                return Ok(Signed::Header(header));
            }
            WinrmAuth::Negotiate | WinrmAuth::Kerberos | WinrmAuth::Ntlm => {}
        }
        let mut tried = Vec::new();
        if auth == WinrmAuth::Kerberos || (auth == WinrmAuth::Negotiate && self.may_know_kerberos()) {
            match self.kerberos(http).await {
                Ok(context) => return Ok(Signed::Keys(Box::new(context))),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Elsewhere(why)) if auth == WinrmAuth::Negotiate && self.relies_on_kerberos() => {
                    return Err(self.refused(format!("Kerberos: {why}; `auth: ntlm` signs in without it")));
                }
                Err(Failure::Elsewhere(why)) => {
                    if auth == WinrmAuth::Negotiate && connection.password.is_some() {
                        tracing::warn!(address = self.address, "no sign-in with Kerberos, NTLM is tried: {why}");
                    }
                    tried.push(format!("Kerberos: {why}"));
                }
            }
        }
        if auth != WinrmAuth::Kerberos && (tried.is_empty() || connection.password.is_some()) {
            let context = Context::ntlm(self.user()?, &self.password()?, self.service(), self.binding.clone());
            let context = context.map_err(|error| self.refused(format!("NTLM: {}", error.description)))?;
            match self.exchange(http, context, "NTLM").await {
                Ok(context) => return Ok(Signed::Keys(Box::new(context))),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Elsewhere(why)) => tried.push(format!("NTLM: {why}")),
            }
        }
        Err(self.refused(tried.join("; ")))
    }

    fn service(&self) -> String {
        format!("HTTP/{}", self.target.address)
    }

    fn user(&self) -> Result<&str, TransportError> {
        let user = self.target.connection.user.as_deref().filter(|user| !user.is_empty());
        user.ok_or_else(|| TransportError::Setup { what: "connection.user".into(), reason: "WinRM needs a user to sign in as".into() })
    }

    fn password(&self) -> Result<SecretString, TransportError> {
        let name = self.target.connection.password.as_ref().ok_or_else(|| TransportError::Setup {
            what: "connection.password".into(),
            reason: "WinRM needs the name of a secret that holds the user's password".into(),
        })?;
        secret(self.secrets, name)
    }

    fn refused(&self, reason: String) -> TransportError {
        let nobody = || if self.has_tickets() { "the user of the ticket cache" } else { "nobody" }.to_owned();
        TransportError::SignIn { address: self.address.into(), user: self.target.connection.user.clone().unwrap_or_else(nobody), reason }
    }

    /// Whether it is a ticket that Kerberos signs in with: where there is nothing to get one with.
    fn has_tickets(&self) -> bool {
        let connection = &self.target.connection;
        connection.keytab.is_none() && (connection.ticket_cache.is_some() || connection.password.is_none())
    }

    /// Kerberos needs names: of a realm, and of the device.
    fn may_know_kerberos(&self) -> bool {
        let connection = &self.target.connection;
        self.target.address.parse::<std::net::IpAddr>().is_err()
            && (connection.realm.is_some()
                || connection.kdc.is_some()
                || connection.keytab.is_some()
                || self.has_tickets()
                || connection.user.as_deref().is_some_and(|user| user.contains('@') && !user.contains('\\')))
    }

    /// Whether NTLM must not stand in for Kerberos: somebody has set it up for this device, or nothing else shows that it is this device.
    /// Else whoever keeps the key distribution centre from answering would choose the weaker way.
    fn relies_on_kerberos(&self) -> bool {
        let connection = &self.target.connection;
        connection.realm.is_some()
            || connection.kdc.is_some()
            || connection.keytab.is_some()
            || connection.ticket_cache.is_some()
            || connection.scheme.unwrap_or_default() == WinrmScheme::Http
    }

    async fn kerberos(&self, http: &mut Http) -> Result<Context, Failure> {
        let context = if self.has_tickets() { self.with_ticket().await? } else { self.with_secret()? };
        self.exchange(http, context, "Kerberos").await
    }

    /// With a password or the key of a keytab, for which `sspi` gets the tickets.
    fn with_secret(&self) -> Result<Context, Failure> {
        let connection = &self.target.connection;
        let (key, password);
        let (who, user, of_key) = if let Some(file) = &connection.keytab {
            key = self.key(file).map_err(Failure::Final)?;
            (Principal::Keytab(&key), connection.user.as_deref().unwrap_or_default(), Some(key.realm.as_str()))
        } else {
            let user = self.user().map_err(Failure::Final)?;
            password = self.password().map_err(Failure::Final)?;
            (Principal::Password { user, realm: connection.realm.as_deref(), password: &password }, user, None)
        };
        let behind = user.rsplit_once('@').map(|(_, realm)| realm);
        let realm = connection.realm.as_deref().or(of_key).or(behind);
        let Some(realm) = realm.map(str::to_uppercase) else {
            return Err(Failure::Elsewhere("no realm is known (connection.realm)".into()));
        };
        let who = match who {
            Principal::Password { user, realm: Some(_), password } => Principal::Password { user, realm: Some(&realm), password },
            who => who,
        };
        let context = Context::kerberos(who, &self.place(&realm, true), self.service(), self.binding.clone());
        context.map_err(|error| Failure::Elsewhere(error.description))
    }

    /// With a ticket of the cache, or one that is got with it.
    async fn with_ticket(&self) -> Result<Context, Failure> {
        let connection = &self.target.connection;
        let name = connection.ticket_cache.clone().unwrap_or_else(cache_file::usual);
        let wrong = |what: &str, reason: String| {
            let advice = if connection.ticket_cache.is_some() {
                ""
            } else {
                "; it is looked for because there is neither connection.password nor connection.keytab; klist shows the one there is"
            };
            Failure::Final(TransportError::Setup { what: format!("ticket cache {what}"), reason: format!("{reason}{advice}") })
        };
        let path = self.options.expand(&cache_file::path(&name).map_err(|why| wrong(&name, why))?);
        let name = path.display().to_string();
        let cache = cache_file::read(&path).and_then(|bytes| Cache::read(&bytes)).map_err(|why| wrong(&name, why))?;
        let whose = &cache.user;
        let realm = whose.realm.clone();
        let user = connection.user.as_deref();
        let wanted = connection.realm.as_deref().or_else(|| user.and_then(|user| Some(user.rsplit_once('@')?.1)));
        if wanted.is_none() && user.is_some_and(|user| user.contains('\\')) {
            let why =
                "the user is of a domain by its short name, or of the device itself, and nothing says that the tickets are of the same one";
            return Err(wrong(&name, format!("{why}: connection.realm, or a password")));
        }
        let other_realm = wanted.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&realm));
        let user = user.map(super::context::account);
        if other_realm || user.is_some_and(|user| !user.eq_ignore_ascii_case(&whose.parts.join("/"))) {
            return Err(wrong(&name, format!("it is of {whose}, which is not who is to sign in (connection.user, connection.realm)")));
        }
        let now = SystemClock.now();
        let host = &self.target.address;
        let ticket =
            cache.choose(host, now).map_err(|why| Failure::Final(self.refused(format!("Kerberos: ticket cache {name}: {why}"))))?;
        let place = |asked: &str| self.place(asked, asked == realm);
        let ticket = service::ticket(ticket, host, place, now).await.map_err(|error| self.of_sspi(&error, "Kerberos", false))?;
        Ok(Context::ticket(ticket, self.service(), self.binding.clone()))
    }

    /// Where a realm is asked for tickets: where the connection says for that of the user, else where `krb5.conf` says.
    fn place(&self, realm: &str, of_user: bool) -> String {
        match &self.target.connection.kdc {
            Some(kdc) if of_user => format!("tcp://{kdc}"),
            _ => sspi::detect_kdc_url(realm).map_or_else(|| format!("tcp://{}:88", realm.to_lowercase()), |url| url.to_string()),
        }
    }

    fn key(&self, file: &str) -> Result<keytab::Key, TransportError> {
        let path = self.options.expand(file);
        let wrong = |reason: String| TransportError::Setup { what: format!("keytab {}", path.display()), reason };
        let meta = std::fs::metadata(&path).map_err(|error| wrong(error.to_string()))?;
        if !meta.is_file() || meta.len() > MOST_KEYTAB {
            return Err(wrong("it is not a file, or larger than 1 MiB".into()));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;

            // Its group may be that of the service.
            let mode = meta.mode() & 0o7777;
            if mode & 0o027 != 0 {
                return Err(wrong(format!("its mode is {mode:04o}, others may use it: run chmod 640 or 600")));
            }
        }
        let bytes = Zeroizing::new(std::fs::read(&path).map_err(|error| wrong(error.to_string()))?);
        let account = self.target.connection.user.as_deref().map(super::context::account);
        keytab::choose(&bytes, account).map_err(wrong)
    }

    /// Tokens there and back until both sides agree. No request carries anything else, so that nothing is said in clear.
    async fn exchange(&self, http: &mut Http, mut context: Context, way: &str) -> Result<Context, Failure> {
        let lost = |reason: String| Failure::Final(TransportError::Unreachable { address: self.address.into(), reason });
        let mut answer = Vec::new();
        let mut begun = false;
        for _ in 0..MOST_STEPS {
            let step = context.step(std::mem::take(&mut answer)).await.map_err(|error| self.of_sspi(&error, way, begun))?;
            if step.token.is_empty() && step.done {
                return Ok(context);
            }
            let authorization = Zeroizing::new(format!("Negotiate {}", STANDARD.encode(&step.token)));
            // Without a body, but with its type: some endpoints refuse a request that does not name it.
            let request = Request { authorization: Some(authorization.as_str()), content_type: Some(CONTENT_TYPE), body: &[] };
            let reply = http.post(&request).await.map_err(lost)?;
            let token = token(&reply);
            match reply.status {
                401 => match token {
                    // Behind the last token of this side comes no question any more, only words of the refusal.
                    Some(token) if !token.is_empty() && !step.done => answer = token,
                    _ if begun || way == "Kerberos" => {
                        let why = if way == "Kerberos" && self.has_tickets() {
                            "the device does not take the ticket: the user may not sign in this way, or something in between ends TLS"
                        } else {
                            "the user or the password is wrong, or the user may not sign in this way"
                        };
                        return Err(Failure::Final(self.refused(format!("{way}: {why}"))));
                    }
                    _ => return Err(Failure::Elsewhere(format!("it is not accepted; {}", offered(&reply)))),
                },
                200..=299 if step.done => return Ok(context),
                200..=299 => match token.filter(|token| !token.is_empty()) {
                    Some(token) => answer = token,
                    // Whoever lets in without a question has not shown who it is either.
                    None => return Err(lost(format!("it answers {} to a sign-in that has only begun: it is no WinRM", reply.status))),
                },
                status => return Err(lost(format!("it answers {status} to a sign-in"))),
            }
            begun = true;
        }
        Err(Failure::Final(self.refused(format!("{way}: no end of questions"))))
    }

    fn of_sspi(&self, error: &sspi::Error, way: &str, begun: bool) -> Failure {
        use sspi::ErrorKind;

        let elsewhere = matches!(
            error.error_type,
            ErrorKind::NoAuthenticatingAuthority | ErrorKind::TimeSkew | ErrorKind::UnknownCredentials | ErrorKind::NoCredentials
        );
        // Behind it come bytes for nobody to read.
        let words = error.description.split(". Additional error").next().unwrap_or_default();
        if elsewhere && !begun {
            return Failure::Elsewhere(words.to_owned());
        }
        let wrong = words.contains("pre-authentication information was invalid");
        let why = if wrong { "the password or the key is wrong".to_owned() } else { format!("{words} ({:?})", error.error_type) };
        Failure::Final(self.refused(format!("{way}: {why}")))
    }
}

/// The token of an answer, without its name.
fn token(reply: &Reply) -> Option<Vec<u8>> {
    challenges(reply).find_map(|(name, rest)| {
        let negotiates = name.eq_ignore_ascii_case("negotiate") || name.eq_ignore_ascii_case("kerberos");
        negotiates.then(|| STANDARD.decode(rest).ok()).flatten()
    })
}

/// The ways that are offered, one to a header or several with commas between, each with what stands behind it.
fn challenges(reply: &Reply) -> impl Iterator<Item = (&str, &str)> {
    let mut quoted = false;
    let pieces = reply.headers("www-authenticate").flat_map(move |value| {
        value.split(move |letter: char| {
            quoted ^= letter == '"';
            letter == ',' && !quoted
        })
    });
    let ways = pieces.map(|piece| piece.trim().split_once(' ').unwrap_or((piece.trim(), "")));
    // Further parameters of a way stand behind a comma too.
    ways.filter(|(name, _)| !name.is_empty() && !name.contains('=')).map(|(name, rest)| (name, rest.trim()))
}

/// The ways that an endpoint offers, for people.
pub(super) fn offered(reply: &Reply) -> String {
    let ways: Vec<&str> = challenges(reply).map(|(name, _)| name).collect();
    if ways.is_empty() { "it offers no way to sign in".into() } else { format!("it offers {}", ways.join(", ")) }
}
