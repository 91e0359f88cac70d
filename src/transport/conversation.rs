//! What is said while a command runs: collects output, answers `sudo`, and tells a refusal from an answer.
//!
//! No input or output here; both transports drive it. A command that rises to root begins with a mark on standard
//! error: what comes before it was said by `sudo`, and a command that ends without it was refused.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::bounded::Bounded;
use super::wrapper::{self, Rise, Wrapped};
use super::{Command, Output, TransportError};

/// `sudo` says less than this before the command begins.
const MOST_WORDS: usize = 64 * 1024;

/// State of one command.
pub(super) struct Conversation {
    stdout: Bounded,
    stderr: Bounded,
    /// What `sudo` said; `None` once the command has begun.
    before: Option<Vec<u8>>,
    password: Option<SecretString>,
    nonce: String,
    asked: bool,
    input: Option<Zeroizing<Vec<u8>>>,
    line: String,
    /// Run as it is; standard input is closed behind the input.
    plain: bool,
}

impl Conversation {
    pub(super) fn new(command: Command, rise: Rise, password: Option<SecretString>, max_output: u64) -> Self {
        let nonce = format!("{:016x}", rand::random::<u64>());
        let limit = command.max_output.unwrap_or(max_output);
        let Wrapped { line, input } = wrapper::wrap(&command.line, command.input, rise, &nonce);
        Self {
            stdout: Bounded::new(limit),
            stderr: Bounded::new(limit),
            before: (rise != Rise::None).then(Vec::new),
            password,
            nonce,
            asked: false,
            input: Some(input),
            line,
            plain: false,
        }
    }

    /// A command that is run as it is: nobody rises, and no guard watches over it.
    pub(super) fn plain(command: Command, max_output: u64) -> Self {
        let limit = command.max_output.unwrap_or(max_output);
        Self {
            stdout: Bounded::new(limit),
            stderr: Bounded::new(limit),
            before: None,
            password: None,
            nonce: String::new(),
            asked: false,
            input: Some(command.input),
            line: command.line,
            plain: true,
        }
    }

    /// Whether nothing watches standard input on the other side: it is closed as soon as the input is sent.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// The command line to start.
    pub(super) fn line(&self) -> &str {
        &self.line
    }

    /// What is to be sent at the very beginning: the input, unless `sudo` may want to read the password first.
    pub(super) fn opening(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        if self.before.is_some() && self.password.is_some() { None } else { self.input.take() }.filter(|i| !i.is_empty())
    }

    pub(super) fn on_stdout(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        self.stdout.push(bytes)
    }

    /// Takes standard error, and gives what is to be sent next.
    pub(super) fn on_stderr(&mut self, bytes: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, TransportError> {
        let Some(before) = &mut self.before else {
            self.stderr.push(bytes)?;
            return Ok(None);
        };
        before.extend_from_slice(bytes);
        if before.len() > MOST_WORDS {
            return Err(self.refused());
        }
        let mark = wrapper::begun_mark(&self.nonce);
        if let Some(at) = find(before, mark.as_bytes()) {
            let rest = before.split_off(at + mark.len());
            self.before = None;
            self.stderr.push(&rest)?;
            return Ok(self.input.take().filter(|i| !i.is_empty()));
        }
        let ask = wrapper::ask_mark(&self.nonce);
        let Some(at) = find(before, ask.as_bytes()) else { return Ok(None) };
        before.drain(at..at + ask.len());
        // Sent once: asked again, it was wrong, and a second attempt would only lock the account.
        if std::mem::replace(&mut self.asked, true) {
            return Err(self.refused());
        }
        Ok(self.password.as_ref().map(|p| Zeroizing::new([p.expose_secret().as_bytes(), b"\n"].concat())))
    }

    fn refused(&mut self) -> TransportError {
        let words = self.before.take().unwrap_or_default();
        let words = String::from_utf8_lossy(&words[..words.len().min(2000)]).trim().replace('\n', "; ");
        let reason = match (words.is_empty(), self.asked) {
            (false, _) => words,
            (true, true) => "the password was not accepted".into(),
            (true, false) => "it said nothing".into(),
        };
        TransportError::Sudo { reason }
    }

    /// The command has ended.
    pub(super) fn finish(mut self, code: i32) -> Result<Output, TransportError> {
        if self.before.is_some() {
            return Err(self.refused());
        }
        let stderr = self.stderr.into_bytes();
        let stderr = if self.plain { super::readable(stderr) } else { stderr };
        Ok(Output { code, stdout: self.stdout.into_bytes(), stderr })
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}
