//! One signed-in connection with the shell it uses: calls, and what a shell is asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::Opener;
use super::answer::{self, Element, Received};
use super::envelope::{self, Writer};
use super::fault::Fault;
use super::http::{Http, Request, Stream};
use super::seal;
use super::sign_in::{SignIn, Signed, offered};
use super::tls;
use crate::model::device::{TransportKind, WinrmAuth, WinrmScheme};
use crate::transport::{SessionOptions, Target, TransportError};

/// How much longer than its own patience an endpoint may be silent.
const SLACK: Duration = Duration::from_secs(15);
/// A connection that was idle for longer is made anew: endpoints, and what lies in between, drop it without a word.
const IDLE: Duration = Duration::from_secs(90);

/// What is most often behind it where the first request with a client certificate is not answered: TLS here cannot be asked for one later.
const LATE_CERTIFICATE: &str = "Windows asks for a client certificate only in the middle of a connection, which does not work here, \
                                unless the device is told to ask at the beginning: \
                                `netsh http add sslcert ... clientcertnegotiation=enable`";

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// The endpoint says why not.
    Fault(Fault),
    /// There is no answer.
    Broken(TransportError),
}

/// A shell on the device.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    pub(super) id: String,
}

/// Where the connections of a place lead to, and what they are made with.
pub(super) struct Origin {
    pub(super) target: Target,
    opener: Arc<Opener>,
    /// One signs in at a time, so that a wrong password is tried once.
    opening: tokio::sync::Mutex<()>,
    /// The last failure and when: those who waited for that very attempt share it.
    failure: Mutex<Option<(Instant, TransportError)>>,
}

/// A connection, signed in.
pub(super) struct Link {
    origin: Arc<Origin>,
    http: Http,
    signed: Signed,
    /// Messages are sealed: nothing else keeps them from being read.
    sealing: bool,
    /// Something was answered over this very connection, so that its sign-in was good.
    answered: bool,
    writer: Writer,
    address: String,
    user: String,
    pub(super) shell: Option<Shell>,
    opened: Instant,
    used: Instant,
}

/// `host:port` as it is shown, and as a `Host` header.
pub(super) fn address(target: &Target) -> String {
    let port = target.connection.port(TransportKind::Winrm);
    match target.address.parse::<std::net::Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{port}"),
        Err(_) => format!("{}:{port}", target.address),
    }
}

impl Origin {
    pub(super) fn new(target: Target, opener: Arc<Opener>) -> Self {
        Self { target, opener, opening: tokio::sync::Mutex::default(), failure: Mutex::default() }
    }

    pub(super) fn options(&self) -> &SessionOptions {
        &self.opener.options
    }

    fn is_secure(&self) -> bool {
        self.target.connection.scheme.unwrap_or_default() == WinrmScheme::Https
    }

    /// Connects and signs in, within the time limit for that; unless somebody has just failed to, for whom this one has waited.
    async fn dial(&self) -> Result<(Http, Signed), TransportError> {
        let asked = Instant::now();
        let _turn = self.opening.lock().await;
        if let Some((when, failure)) = &*self.failure()
            && *when > asked
        {
            return Err(failure.clone());
        }
        let limit = self.options().winrm_timeout;
        let dialled = match tokio::time::timeout(limit, self.greet()).await {
            Ok(result) => result,
            Err(_) => Err(TransportError::Unreachable {
                address: address(&self.target),
                reason: format!("no answer within {} s while connecting and signing in", limit.as_secs_f32()),
            }),
        };
        if let Err(failure) = &dialled {
            *self.failure() = Some((Instant::now(), failure.clone()));
        }
        dialled
    }

    fn failure(&self) -> std::sync::MutexGuard<'_, Option<(Instant, TransportError)>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn greet(&self) -> Result<(Http, Signed), TransportError> {
        let Self { target, opener, .. } = self;
        let (connection, address) = (&target.connection, address(target));
        if let Some(why) = connection.contradiction() {
            return Err(TransportError::Setup { what: format!("connection.{}", why.member), reason: why.message });
        }
        let port = connection.port(TransportKind::Winrm);
        let unreachable = |error: std::io::Error| TransportError::Unreachable { address: address.clone(), reason: error.to_string() };
        let stream = TcpStream::connect((target.address.as_str(), port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let (stream, binding) = if self.is_secure() {
            let channel = tls::agree(&opener.trust, &opener.options, connection, &target.address, &address, stream).await?;
            (Stream::Tls(Box::new(channel.stream)), channel.binding)
        } else {
            (Stream::Plain(stream), None)
        };
        let mut http = Http::new(stream, address.clone());
        let sign_in = SignIn { target, address: &address, options: &opener.options, secrets: &*opener.secrets, binding };
        let signed = sign_in.run(&mut http).await?;
        Ok((http, signed))
    }
}

impl Link {
    /// A connection that is signed in, as far as that shows without a request.
    pub(super) async fn connect(origin: &Arc<Origin>) -> Result<Self, TransportError> {
        let (http, signed) = origin.dial().await?;
        let (address, secure) = (address(&origin.target), origin.is_secure());
        let now = Instant::now();
        Ok(Self {
            http,
            sealing: !secure,
            answered: false,
            writer: Writer::new(format!("{}://{address}/wsman", if secure { "https" } else { "http" })),
            address,
            user: origin.target.connection.user.clone().unwrap_or_else(|| "the user of a certificate or a ticket".into()),
            shell: None,
            opened: now,
            used: now,
            signed,
            origin: Arc::clone(origin),
        })
    }

    /// The same over another connection. The shell does not hang on one.
    async fn renew(&mut self) -> Result<(), TransportError> {
        (self.http, self.signed) = self.origin.dial().await?;
        self.answered = false;
        self.opened = Instant::now();
        Ok(())
    }

    /// Makes sure that whoever is signed in is let in. Where every request says who asks, only a request shows that; the shell is needed
    /// next anyway.
    pub(super) async fn prove(&mut self) -> Result<(), TransportError> {
        if !matches!(self.signed, Signed::Header(_)) {
            return Ok(());
        }
        let limit = self.origin.options().winrm_timeout;
        match tokio::time::timeout(limit, self.create()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(TransportError::Lost { address, reason })) if self.origin.target.connection.auth == Some(WinrmAuth::Certificate) => {
                Err(TransportError::Lost { address, reason: format!("{reason}; {LATE_CERTIFICATE}") })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(TransportError::Unreachable {
                address: self.address.clone(),
                reason: format!("no answer within {} s while signing in", limit.as_secs_f32()),
            }),
        }
    }

    /// Whether another command may be sent over this connection.
    pub(super) fn is_usable(&mut self) -> bool {
        let options = self.origin.options();
        self.used.elapsed() < IDLE.min(options.session_ttl) && self.opened.elapsed() < options.sign_in_ttl && self.http.is_usable()
    }

    /// Whether nobody will use it any more.
    pub(super) fn is_expired(&self) -> bool {
        self.used.elapsed() >= self.origin.options().session_ttl
    }

    /// Whether a request is on its way: nothing else can be asked over this connection.
    pub(super) fn is_torn(&self) -> bool {
        self.http.is_torn()
    }

    /// Where it leads to, as it is shown.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// As `broken`. Whoever answers so cannot be followed any further: the connection is not used again.
    fn senseless(&mut self, reason: impl Into<String>) -> CallError {
        self.http.tear();
        self.broken(reason)
    }

    /// There is no answer, and why.
    pub(super) fn broken(&self, reason: impl Into<String>) -> CallError {
        CallError::Broken(TransportError::Lost { address: self.address.clone(), reason: reason.into() })
    }

    /// One request and its answer, of what does no harm when it happens twice.
    async fn call(&mut self, envelope: &str) -> Result<Element, CallError> {
        self.reach().await?;
        let mut result = self.once(envelope).await;
        if self.answered && matches!((&result, &self.signed), (Err(CallError::Broken(TransportError::SignIn { .. })), Signed::Keys(_))) {
            // The sign-in was good and has lapsed, with its ticket or because the service was started anew. What was asked was not looked at.
            self.renew().await.map_err(CallError::Broken)?;
            result = self.once(envelope).await;
        }
        self.answered |= matches!(result, Ok(_) | Err(CallError::Fault(_)));
        result
    }

    /// The same of what must not happen twice. Outside of TLS anybody in between can pass it on and say then that the sign-in has lapsed:
    /// it is not asked again, and as where a connection breaks nobody knows whether it has happened.
    async fn call_once(&mut self, envelope: &str) -> Result<Element, CallError> {
        if !self.sealing {
            return self.call(envelope).await;
        }
        self.reach().await?;
        match self.once(envelope).await {
            Err(CallError::Broken(TransportError::SignIn { reason, .. })) => {
                Err(self.broken(format!("it answers that nobody is signed in, which anybody in between could say: {reason}")))
            }
            result => {
                self.answered |= matches!(result, Ok(_) | Err(CallError::Fault(_)));
                result
            }
        }
    }

    /// Sees to another connection where the other side has ended this one behind its last answer.
    async fn reach(&mut self) -> Result<(), CallError> {
        if self.http.is_over() {
            self.renew().await.map_err(CallError::Broken)?;
        }
        Ok(())
    }

    /// One request and its answer, over this connection.
    async fn once(&mut self, envelope: &str) -> Result<Element, CallError> {
        let limit = envelope::PATIENCE + SLACK;
        let result = match tokio::time::timeout(limit, self.exchange(envelope)).await {
            Ok(result) => result,
            Err(_) => Err(self.broken(format!("no answer within {} s", limit.as_secs()))),
        };
        if matches!(result, Err(CallError::Broken(_))) {
            // The two sides may not agree any more on what was said: the next message would not be understood either.
            self.http.tear();
        }
        result
    }

    async fn exchange(&mut self, envelope: &str) -> Result<Element, CallError> {
        self.used = Instant::now();
        let body;
        let (kind, authorization, bytes) = match &mut self.signed {
            Signed::Keys(context) if self.sealing => {
                let sealed = context.seal(envelope.as_bytes());
                let sealed = sealed.map_err(|error| self.broken(format!("a message cannot be sealed: {}", error.description)))?;
                body = seal::write(sealed.length, &sealed.signature, &sealed.cipher);
                (seal::content_type(), None, body.as_slice())
            }
            Signed::Keys(_) => (envelope::CONTENT_TYPE.to_owned(), None, envelope.as_bytes()),
            Signed::Header(header) => (envelope::CONTENT_TYPE.to_owned(), Some(header.clone()), envelope.as_bytes()),
        };
        let authorization = authorization.as_ref().map(|header| header.as_str());
        let reply = self.http.post(&Request { authorization, content_type: Some(&kind), body: bytes }).await;
        let reply = reply.map_err(|reason| self.broken(reason))?;
        self.used = Instant::now();
        if reply.status == 401 {
            let reason = format!("the user or the password is wrong, or the user may not sign in this way; {}", offered(&reply));
            return Err(CallError::Broken(TransportError::SignIn { address: self.address.clone(), user: self.user.clone(), reason }));
        }
        let kind = reply.header("content-type").unwrap_or_default();
        let text = match &mut self.signed {
            Signed::Keys(context) if self.sealing => {
                if !seal::is_sealed(kind) {
                    // What stands before the service answers in its place while it starts, and has no keys.
                    let of_winrm = kind.trim_start().to_ascii_lowercase().starts_with(envelope::KIND);
                    let is_answer = (200..300).contains(&reply.status) || (reply.status == 500 && of_winrm);
                    if !is_answer {
                        return Err(self.broken(format!("it answers {} to /wsman, and not as WinRM does", reply.status)));
                    }
                    let fault = answer::parse(&reply.body).ok().and_then(|root| Fault::of(&root));
                    let words = fault.map_or_else(String::new, |fault| format!(": {}", fault.words));
                    let reason = format!("it answers {} in clear{words}", reply.status);
                    return Err(CallError::Broken(TransportError::Clear { address: self.address.clone(), reason }));
                }
                let opened = seal::read(kind, &reply.body).and_then(|pieces| {
                    if pieces.len() > 1 && !context.counts() {
                        // Somebody in between could put it together from pieces of several answers.
                        return Err("it comes in pieces that are not counted".into());
                    }
                    let pieces = pieces.into_iter().map(|sealed| {
                        let opened = context.open(sealed);
                        opened.map_err(|error| format!("{} ({:?})", error.description, error.error_type))
                    });
                    pieces.collect::<Result<Vec<_>, _>>().map(|pieces| pieces.concat())
                });
                opened.map_err(|reason| self.broken(format!("its sealed answer cannot be opened: {reason}")))?
            }
            _ => reply.body,
        };
        let root = match answer::parse(&text) {
            Ok(root) => root,
            Err(_) if !(200..300).contains(&reply.status) => {
                return Err(self.broken(format!("it answers {} to /wsman, and not as WinRM does", reply.status)));
            }
            Err(reason) => return Err(self.broken(format!("its answer cannot be read: {reason}"))),
        };
        let fault = Fault::of(&root);
        // What is counted comes in its turn, whatever it says. An endpoint that could not read a message does not know its name.
        let counted = matches!(&self.signed, Signed::Keys(context) if context.counts());
        if self.sealing && !counted && !answer::belongs_to(&root, envelope::message_id(envelope), fault.is_some()) {
            // Kept from earlier and sent once more by somebody in between: what is sealed can be copied without being read.
            return Err(self.broken("its answer belongs to another message"));
        }
        match fault {
            Some(fault) => Err(CallError::Fault(fault)),
            None if (200..300).contains(&reply.status) => Ok(root),
            None => Err(self.broken(format!("it answers {} to /wsman", reply.status))),
        }
    }

    fn told(&self, error: CallError) -> TransportError {
        match error {
            CallError::Fault(fault) => fault.into_error(&self.address),
            CallError::Broken(error) => error,
        }
    }

    /// Makes a shell where there is none. Nothing has been run on the device when this fails.
    pub(super) async fn create(&mut self) -> Result<Shell, TransportError> {
        if let Some(shell) = &self.shell {
            return Ok(shell.clone());
        }
        // Longer than it is kept here: what nobody deletes ends by itself.
        let idle = (self.origin.options().session_ttl + Duration::from_mins(1)).max(Duration::from_mins(3));
        let envelope = self.writer.create(idle);
        let root = match self.call(&envelope).await {
            Ok(root) => root,
            Err(CallError::Fault(fault)) if fault.is_nothing_yet() => {
                let reason = format!("no shell: {}", fault.told());
                return Err(TransportError::Unreachable { address: self.address.clone(), reason });
            }
            Err(error) => return Err(self.told(error)),
        };
        let Some(id) = answer::shell_id(&root) else {
            let error = self.senseless("it made a shell and does not name it");
            return Err(self.told(error));
        };
        Ok(self.shell.insert(Shell { id }).clone())
    }

    /// Starts a command line, and gives its name.
    pub(super) async fn start(&mut self, shell: &str, line: &str) -> Result<String, CallError> {
        let envelope = self.writer.command(shell, line);
        let root = self.call_once(&envelope).await?;
        answer::command_id(&root).ok_or_else(|| self.senseless("it started a command and does not name it"))
    }

    /// Sends all of the input, and its end. Gives the fault that kept it from arriving, where there was one.
    pub(super) async fn feed(&mut self, shell: &str, command: &str, input: &[u8]) -> Result<Option<Fault>, TransportError> {
        let mut pieces = input.chunks(envelope::PIECE).peekable();
        let mut first = true;
        while first || pieces.peek().is_some() {
            first = false;
            let piece = pieces.next().unwrap_or_default();
            let envelope = zeroize::Zeroizing::new(self.writer.send(shell, command, piece, pieces.peek().is_none()));
            match self.call_once(&envelope).await {
                Ok(_) => {}
                Err(CallError::Fault(fault)) if fault.keeps_input() => return Ok(Some(fault)),
                // It ended without reading all of it, which is its own business: what it says is asked for next.
                Err(CallError::Fault(_)) => return Ok(None),
                Err(CallError::Broken(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What was printed since; nothing where nothing was. A piece is given once: asked for again, the next one would come in its place.
    pub(super) async fn receive(&mut self, shell: &str, command: &str) -> Result<Received, TransportError> {
        let envelope = self.writer.receive(shell, command);
        match self.call_once(&envelope).await {
            Ok(root) => answer::received(&root).map_err(|reason| {
                let error = self.senseless(format!("its answer cannot be read: {reason}"));
                self.told(error)
            }),
            Err(CallError::Fault(fault)) if fault.is_nothing_yet() => Ok(Received::default()),
            // Whether the command came to its end is not known then, as where the connection breaks.
            Err(CallError::Fault(fault)) if fault.ended_shell() => {
                Err(self.told(self.broken(format!("the shell was ended in the middle: {}", fault.told()))))
            }
            Err(error) => Err(self.told(error)),
        }
    }

    /// Ends a command. That it is gone already is as good.
    pub(super) async fn terminate(&mut self, shell: &str, command: &str) -> Result<(), TransportError> {
        let envelope = self.writer.terminate(shell, command);
        match self.call(&envelope).await {
            Ok(_) | Err(CallError::Fault(_)) => Ok(()),
            Err(CallError::Broken(error)) => Err(error),
        }
    }

    /// Ends a shell and all that runs in it. That it is gone already is as good; that it could not be ended now is an error.
    pub(super) async fn delete(&mut self, shell: &str) -> Result<(), TransportError> {
        if self.shell.as_ref().is_some_and(|own| own.id == shell) {
            self.shell = None;
        }
        let envelope = self.writer.delete(shell);
        match self.call(&envelope).await {
            Err(CallError::Fault(fault)) if !fault.keeps_shell() => Ok(()),
            Ok(_) => Ok(()),
            Err(error) => Err(self.told(error)),
        }
    }

    /// The error of a call, for people.
    pub(super) fn error(&self, error: CallError) -> TransportError {
        self.told(error)
    }
}

/// Whoever lets go of a connection in the middle of things has the device end its shell.
impl Drop for Link {
    fn drop(&mut self) {
        if let Some(shell) = self.shell.take() {
            super::end_later(&self.origin, shell.id);
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("address", &self.address).field("shell", &self.shell).finish_non_exhaustive()
    }
}
