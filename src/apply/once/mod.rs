//! Effects that happen once: an operation is carried out under a key, detached from whoever asks for it, and leaves a receipt
//! on the device. Asked for again under the same key it is waited for, or answered from the receipt.
//!
//! The programs are POSIX sh and PowerShell, beside this file. What belongs to an operation travels on standard input (on Windows
//! from there through a pipe), so that neither its line nor its hash stands among the arguments of a process. Called by `host`.

use std::sync::OnceLock;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::diagnose::{Category, Diagnose};
use crate::script::{Rendered, quote};
use crate::transport::{Command, Output, Session, Shell, TransportError, readable};

/// Most bytes of a stream that a receipt keeps; what comes after is dropped.
const MOST_KEPT: u64 = 1 << 20;
/// How much longer than the operation may take its answer is waited for: ending it takes a while, and it ends itself.
const GRACE: Duration = Duration::from_secs(30);
/// How long ending it may take.
const ENDING: Duration = Duration::from_secs(15);
/// How often a broken connection is opened again before it is left to a later attempt.
const RECONNECTS: u32 = 3;

/// Why an operation has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum OnceError {
    /// It was begun, and whether it happened is not known.
    #[error("{0}")]
    Interrupted(&'static str),
    /// Receipts cannot be kept there. Nothing has happened.
    #[error("receipts cannot be kept on the device: {0}")]
    Unsafe(String),
    /// The answer is none that the program gives.
    #[error("the device gave no answer that can be read: {0}")]
    Unreadable(String),
    /// The connection, a time limit, a cancellation.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl Diagnose for OnceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Interrupted(_) => "RMM0720",
            Self::Unsafe(_) => "RMM0721",
            Self::Unreadable(_) => "RMM0722",
            Self::Transport(error) => error.code(),
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Transport(error) => error.category(),
            _ => Category::Configuration,
        }
    }
}

/// The receipts of one attempt: its operations are counted from 1.
pub(super) struct Receipts {
    key: String,
    count: u32,
}

impl Receipts {
    /// Under this key. What cannot be the name of a file is replaced by its hash.
    pub(super) fn new(key: &str) -> Self {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let usable = (1..=100).contains(&key.len()) && key.bytes().all(plain) && !key.starts_with(['.', '-']);
        let key = if usable { key.to_owned() } else { format!("k-{}", &hash(&[key.as_bytes()])[..32]) };
        Self { key, count: 0 }
    }

    /// Carries the next operation out, or tells what came of it. `limit` is its time; over, it is ended wherever whoever
    /// asked for it has gone meanwhile.
    pub(super) async fn carry_out(
        &mut self,
        session: &dyn Session,
        rendered: Rendered,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<Output, OnceError> {
        self.count += 1;
        let key = format!("{}.{}", self.key, self.count);
        let shell = session.shell();
        let command = match shell {
            Shell::Posix => waiting(&key, &rendered, limit),
            Shell::PowerShell => windows::waiting(&key, &rendered, limit),
        };
        let mut tries = 0;
        loop {
            match session.run(command.clone(), cancel).await {
                Ok(output) => match read(&output, limit)? {
                    Some(mut answer) => {
                        // It comes inside of standard output, where no transport makes it readable.
                        if shell == Shell::PowerShell {
                            answer.stderr = readable(std::mem::take(&mut answer.stderr));
                        }
                        return Ok(answer);
                    }
                    None if tries < RECONNECTS => {}
                    None => {
                        let (address, reason) = ("the device".into(), "the command did not begin".into());
                        return Err(TransportError::Lost { address, reason }.into());
                    }
                },
                Err(TransportError::Lost { .. } | TransportError::Unreachable { .. }) if tries < RECONNECTS => {}
                Err(TransportError::Cancelled) => {
                    // What was detached is ended by another command; where that does not get through, its time limit ends it.
                    let stop = match shell {
                        Shell::Posix => stopping(&key),
                        Shell::PowerShell => windows::stopping(&key),
                    };
                    let over = CancellationToken::new();
                    let _over = over.clone().drop_guard();
                    let _ = tokio::time::timeout(ENDING + ENDING, session.run(stop, &over)).await;
                    return Err(TransportError::Cancelled.into());
                }
                Err(error) => return Err(error.into()),
            }
            tries += 1;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(250 << tries)) => {}
                () = cancel.cancelled() => {}
            }
        }
    }
}

/// The answer in what the program printed; `None` where the operation was not begun.
fn read(output: &Output, limit: Duration) -> Result<Option<Output>, OnceError> {
    let unreadable = || {
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        // Bounded by what the command may print; it is cut for people where secrets have been taken out.
        OnceError::Unreadable(String::from_utf8_lossy(&text).trim().to_owned())
    };
    let end = output.stdout.iter().position(|b| *b == b'\n').ok_or_else(unreadable)?;
    let (head, rest) = (&output.stdout[..end], &output.stdout[end + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| unreadable())?;
    let words: Vec<&str> = head.split(' ').collect();
    let ["rmm-once", state, code, out, err] = words[..] else { return Err(unreadable()) };
    match state {
        "done" => {
            let (Ok(code), Ok(out), Ok(err)) = (code.parse(), out.parse::<usize>(), err.parse::<usize>()) else { return Err(unreadable()) };
            if rest.len() != out.saturating_add(err) {
                return Err(unreadable());
            }
            Ok(Some(Output { code, stdout: rest[..out].to_vec(), stderr: rest[out..].to_vec() }))
        }
        "none" => Ok(None),
        "late" => Err(TransportError::Timeout { seconds: limit.as_secs() }.into()),
        "cut" => Err(OnceError::Interrupted("it was begun before, and ended in the middle on request")),
        "lost" => Err(OnceError::Interrupted(
            "it was begun before, and neither its end nor its process is there: whether it happened is not known",
        )),
        "other" => Err(OnceError::Interrupted(
            "at this place another command was carried out before: the script, its parameters or the facts have changed",
        )),
        "unsafe" => Err(OnceError::Unsafe(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        _ => Err(unreadable()),
    }
}

/// Begins the operation where nobody has, and waits for its end.
fn waiting(key: &str, rendered: &Rendered, limit: Duration) -> Command {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    let program =
        PROGRAM.get_or_init(|| format!("go={}\n{}", quote(&stripped(include_str!("begin.sh"))), with_common(include_str!("wait.sh"))));
    let input = rendered.input.as_deref().map(Vec::as_slice).unwrap_or_default();
    let (n, m, t, b) = (rendered.line.len(), input.len(), limit.as_secs().max(1), MOST_KEPT / 512);
    let line = format!("k={} n={n} m={m} t={t} b={b}\n{program}", quote(key));
    let lengths = n.to_be_bytes();
    let hash = hash(&[key.as_bytes(), &lengths, rendered.line.as_bytes(), input]);
    let input = zeroize::Zeroizing::new([hash.as_bytes(), rendered.line.as_bytes(), input].concat());
    Command { line, input, elevate: true, timeout: Some(limit + GRACE), max_output: Some(2 * MOST_KEPT + 4096) }
}

/// Ends the operation, or sees to it that it is not begun.
fn stopping(key: &str) -> Command {
    let line = format!("k={}\n{}", quote(key), with_common(include_str!("stop.sh")));
    Command { line, elevate: true, timeout: Some(ENDING), ..Command::default() }
}

fn with_common(program: &str) -> String {
    stripped(&program.replace("#common", &stripped(include_str!("common.sh"))))
}

/// Without the lines that are comments.
fn stripped(program: &str) -> String {
    program.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}

fn hash(parts: &[&[u8]]) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().iter().fold(String::with_capacity(64), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests;
mod windows;
