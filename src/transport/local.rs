//! Commands on this machine itself: a process group of its own, ended whole.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio_util::sync::CancellationToken;

use super::conversation::Conversation;
use super::wrapper::Rise;
use super::{Command, Output, TransportError};

/// How long output is waited for after the command itself has ended: what it left in the background may hold it open.
const LINGER: Duration = Duration::from_secs(1);
/// How long a command that is to end may take: the guard sends KILL after two seconds.
const GRACE: Duration = Duration::from_secs(4);

/// Runs a command to its end.
pub(super) async fn run(
    command: Command,
    rise: Rise,
    password: Option<SecretString>,
    limits: (Duration, u64),
    cancel: &CancellationToken,
) -> Result<Output, TransportError> {
    let time = command.timeout.unwrap_or(limits.0);
    let mut talk = Conversation::new(command, rise, password, limits.1);
    let mut child = start(talk.line())?;
    let group = child.id();
    let stopped = tokio::select! {
        answer = converse(&mut child, &mut talk) => match answer {
            Ok(status) => return talk.finish(code(status)),
            Err(stopped) => stopped,
        },
        () = cancel.cancelled() => TransportError::Cancelled,
        () = tokio::time::sleep(time) => TransportError::Timeout { seconds: time.as_secs() },
    };
    // Closing standard input wakes the guard, which may do what this process may not: end what sudo started.
    drop(child.stdin.take());
    drop(child.stdout.take());
    drop(child.stderr.take());
    let ended = tokio::time::timeout(GRACE, child.wait()).await;
    if ended.is_err()
        && let Some(group) = group.and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = tokio::time::timeout(LINGER, child.wait()).await;
    }
    Err(stopped)
}

fn start(line: &str) -> Result<Child, TransportError> {
    let mut shell = tokio::process::Command::new("/bin/sh");
    for (name, _) in std::env::vars_os().filter(|(name, _)| crate::model::wiped::is_secret_variable(name)) {
        shell.env_remove(name);
    }
    shell
        .arg("-c")
        .arg(line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| TransportError::Setup { what: "/bin/sh".into(), reason: e.to_string() })
}

async fn converse(child: &mut Child, talk: &mut Conversation) -> Result<ExitStatus, TransportError> {
    let lost = |e: std::io::Error| TransportError::Lost { address: "this machine".into(), reason: e.to_string() };
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let mut stdin = child.stdin.take();
    let mut pending = talk.opening().unwrap_or_default();
    let mut sent = 0;
    let (mut out, mut err) = (vec![0; 16 * 1024], vec![0; 4 * 1024]);
    let mut status = None;
    let result = loop {
        tokio::select! {
            read = read(stdout.as_mut(), &mut out), if stdout.is_some() => match read.map_err(lost)? {
                0 => stdout = None,
                n => if let Err(e) = talk.on_stdout(&out[..n]) { break Err(e) },
            },
            read = read(stderr.as_mut(), &mut err), if stderr.is_some() => match read.map_err(lost)? {
                0 => stderr = None,
                n => match talk.on_stderr(&err[..n]) {
                    // Anew: a buffer that grows leaves its first bytes behind.
                    Ok(Some(more)) => {
                        pending = zeroize::Zeroizing::new([&pending[sent..], more.as_slice()].concat());
                        sent = 0;
                    }
                    Ok(None) => {}
                    Err(e) => break Err(e),
                },
            },
            wrote = write(stdin.as_mut(), &pending[sent..]), if sent < pending.len() && stdin.is_some() => match wrote {
                Ok(n) => sent += n,
                // It ended without reading all of it, which is its own business.
                Err(_) => sent = pending.len(),
            },
            ended = child.wait(), if status.is_none() => status = Some(ended.map_err(lost)?),
            () = tokio::time::sleep(LINGER), if status.is_some() => break Ok(()),
        }
        if stdout.is_none() && stderr.is_none() && status.is_some() {
            break Ok(());
        }
    };
    child.stdin = stdin;
    result?;
    status.ok_or(TransportError::Cancelled)
}

async fn read(from: Option<&mut (impl AsyncRead + Unpin)>, into: &mut [u8]) -> std::io::Result<usize> {
    match from {
        Some(from) => from.read(into).await,
        None => std::future::pending().await,
    }
}

async fn write(to: Option<&mut ChildStdin>, bytes: &[u8]) -> std::io::Result<usize> {
    match to {
        Some(to) => to.write(bytes).await,
        None => std::future::pending().await,
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(255)
}
