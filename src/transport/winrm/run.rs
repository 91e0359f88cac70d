//! One command from its start to its certain end, over one link.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::clixml::readable;
use super::link::{CallError, Link};
use crate::transport::bounded::Bounded;
use crate::transport::{Command, Output, SessionOptions, TransportError};

/// How long the name of a new shell is waited for when nobody needs the shell any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a command, and what is to be cleaned up.
pub(super) struct Ran {
    pub(super) answer: Result<Output, TransportError>,
    /// The shell in which something may still run, and the command where it is known. It was taken from the link.
    pub(super) left: Option<(String, Option<String>)>,
}

/// Runs a command: to its own end, the time limit, the limit of its output, or until `stop`.
pub(super) async fn run(link: &mut Link, command: Command, options: &SessionOptions, stop: &CancellationToken) -> Ran {
    let time = command.timeout.unwrap_or(options.command_timeout);
    let most = command.max_output.unwrap_or(options.max_output_bytes);
    let mut progress = Progress { used: link.shell.is_some(), ..Progress::default() };
    // A shell whose name is not known yet cannot be ended: the answer is waited for, within reason.
    let reason = async {
        stop.cancelled().await;
        tokio::time::sleep(PATIENCE).await;
    };
    let made = tokio::select! {
        made = tokio::time::timeout(options.winrm_timeout, link.create()) => made,
        () = reason => return Ran { answer: Err(TransportError::Cancelled), left: None },
    };
    match made {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Ran { answer: Err(error), left: None },
        Err(_) => return Ran { answer: Err(no_shell(link, options)), left: None },
    }
    let answer = tokio::select! {
        answer = converse(link, command, options, most, time, &mut progress) => answer,
        () = stop.cancelled() => Err(TransportError::Cancelled),
    };
    let Progress { shell, started, .. } = progress;
    let left = match &answer {
        Ok(_) => None,
        // What never began has left nothing.
        Err(_) => shell.filter(|_| started.is_some()).map(|shell| (shell, started.flatten())),
    };
    if left.is_some() {
        // Whoever comes next gets a shell of its own.
        link.shell = None;
    }
    Ran { answer, left }
}

/// Nothing has been run: that is not a command that took too long.
fn no_shell(link: &Link, options: &SessionOptions) -> TransportError {
    TransportError::Unreachable {
        address: link.address().to_owned(),
        reason: format!("no shell within {} s", options.winrm_timeout.as_secs_f32()),
    }
}

/// How far a command has come.
#[derive(Default)]
struct Progress {
    /// The shell was there before.
    used: bool,
    shell: Option<String>,
    /// It was asked for; its name once that is known.
    #[allow(clippy::option_option)] // whether it was asked for, and then its name
    started: Option<Option<String>>,
}

async fn converse(
    link: &mut Link,
    command: Command,
    options: &SessionOptions,
    most: u64,
    time: Duration,
    progress: &mut Progress,
) -> Result<Output, TransportError> {
    let (shell, id) = start(link, &command.line, options, progress).await?;
    let late = TransportError::Timeout { seconds: time.as_secs() };
    match tokio::time::timeout(time, follow(link, &shell, &id, &command.input, most)).await {
        Ok(answer) => answer,
        Err(_) => Err(late),
    }
}

/// Starts the line, in a new shell where the old one is gone.
async fn start(link: &mut Link, line: &str, options: &SessionOptions, progress: &mut Progress) -> Result<(String, String), TransportError> {
    let mut fresh = link.shell.is_none();
    loop {
        let made = tokio::time::timeout(options.winrm_timeout, link.create()).await;
        let shell = made.map_err(|_| no_shell(link, options))??.id;
        progress.shell = Some(shell.clone());
        progress.started = Some(None);
        match link.start(&shell, line).await {
            Ok(id) => {
                progress.started = Some(Some(id.clone()));
                return Ok((shell, id));
            }
            Err(CallError::Fault(fault)) if !fresh && (fault.is_no_shell() || (progress.used && fault.is_used_up())) => {
                if fault.is_used_up() {
                    // Where this fails the shell is left to whoever comes next.
                    link.delete(&shell).await?;
                }
                progress.started = None;
                link.shell = None;
                fresh = true;
            }
            Err(CallError::Fault(fault)) if fault.is_nothing_yet() => {
                // It may begin yet.
                return Err(link.error(link.broken(format!("it does not say whether the command has begun: {}", fault.told()))));
            }
            Err(error) => {
                if matches!(error, CallError::Fault(_)) {
                    // It says that nothing runs.
                    progress.started = None;
                }
                return Err(link.error(error));
            }
        }
    }
}

/// Sends the input, and gathers what is printed until the end.
async fn follow(link: &mut Link, shell: &str, id: &str, input: &[u8], most: u64) -> Result<Output, TransportError> {
    let (mut stdout, mut stderr) = (Bounded::new(most), Bounded::new(most));
    let mut kept = link.feed(shell, id, input).await?;
    loop {
        let piece = link.receive(shell, id).await?;
        stdout.push(&piece.stdout)?;
        stderr.push(&piece.stderr)?;
        if let Some(code) = piece.done {
            // Only then its place in the shell is free. Whether that worked is asked by nobody.
            let _ = link.terminate(shell, id).await;
            // No code is not the code 0: whoever relies on it would take a failure for success.
            let code = code.ok_or_else(|| link.error(link.broken("the device did not say how the command ended")))?;
            return Ok(Output { code, stdout: stdout.into_bytes(), stderr: readable(stderr.into_bytes()) });
        }
        // It has not ended by itself, and waits for what will not come.
        if let Some(fault) = kept.take() {
            return Err(link.error(CallError::Fault(fault)));
        }
    }
}
