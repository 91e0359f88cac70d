//! The one place that starts `git`: only commands that read, with nothing that a repository or the surroundings could turn
//! into a program that is run. `revision.rs` reads files of a revision with it; `load.rs` asks for the commit; `follow.rs`
//! fetches and verifies, which needs a network and programs for signatures, into a repository that nothing else writes.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::revision::RevisionError;

/// Most bytes that a listing or an answer may have.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// A Git repository, or a folder in its working tree.
#[derive(Debug, Clone)]
pub(super) struct Git {
    dir: PathBuf,
    /// More `-c name=value`, and variables.
    settings: Vec<String>,
    variables: Vec<(&'static str, std::ffi::OsString)>,
}

/// What one command said.
pub(super) struct Answer {
    pub(super) success: bool,
    pub(super) out: Vec<u8>,
    pub(super) err: String,
}

impl Git {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf(), settings: Vec::new(), variables: Vec::new() }
    }

    /// The same with a setting of Git's.
    pub(super) fn with(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// The same with a variable in its surroundings.
    pub(super) fn variable(mut self, name: &'static str, value: impl Into<std::ffi::OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        // Variables could name another repository, another index, or programs to start; and secrets are none of its business.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") || crate::model::wiped::is_secret_variable(&name) {
                command.env_remove(name);
            }
        }
        command
            .args(["--no-optional-locks", "--no-replace-objects", "--no-pager", "--literal-pathspecs"])
            .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never", "-c", "gc.auto=0"])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .arg("-C")
            .arg(&self.dir)
            .args(arguments)
            // Nothing is fetched behind anybody's back, also where the clone left objects out.
            .envs([("GIT_NO_LAZY_FETCH", "1"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_OPTIONAL_LOCKS", "0"), ("LC_ALL", "C")])
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command that answers in a few words or with a listing.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<Answer, RevisionError> {
        self.exchange(arguments, Vec::new(), MAX_ANSWER)
    }

    /// The answer as a trimmed text, where the command succeeded and said something.
    pub(super) fn line(&self, arguments: &[&str]) -> Option<String> {
        let answer = self.ask(arguments).ok().filter(|answer| answer.success)?;
        Some(String::from_utf8_lossy(&answer.out).trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Runs a command that may wait for others, for so long at most or until `cancelled`; then it is ended, with all that it
    /// has started.
    pub(super) fn wait(&self, arguments: &[&str], most: Duration, cancelled: &dyn Fn() -> bool) -> Result<Answer, RevisionError> {
        use std::os::unix::process::CommandExt as _;
        let failed = |reason: String| RevisionError::Program { reason };
        let mut child = self.command(arguments).stdout(Stdio::null()).process_group(0).spawn().map_err(|e| failed(e.to_string()))?;
        let complaints = child.stderr.take().map(|stderr| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let mut stderr = stderr;
                let _ = (&mut stderr).take(64 * 1024).read_to_end(&mut bytes);
                // What is too much is read all the same, so that nothing waits for it to be taken.
                let _ = std::io::copy(&mut stderr, &mut std::io::sink());
                bytes
            })
        });
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|e| failed(e.to_string()))? {
                break Some(status);
            }
            if begun.elapsed() >= most || cancelled() {
                if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
                    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                }
                let _ = child.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let err = complaints.and_then(|thread| thread.join().ok()).unwrap_or_default();
        let Some(status) = status else { return Err(failed(format!("it was stopped after {} s", begun.elapsed().as_secs()))) };
        Ok(Answer { success: status.success(), out: Vec::new(), err: String::from_utf8_lossy(&err).trim().to_owned() })
    }

    /// Writes `input` while the answer, of at most `most` bytes, is read.
    pub(super) fn exchange(&self, arguments: &[&str], input: Vec<u8>, most: u64) -> Result<Answer, RevisionError> {
        let mut command = self.command(arguments);
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        let failed = |error: std::io::Error| RevisionError::Program { reason: error.to_string() };
        let mut child = command.spawn().map_err(failed)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (out, err) = std::thread::scope(|scope| {
            scope.spawn(move || {
                if let Some(mut stdin) = stdin {
                    // A program that ended early says why itself.
                    let _ = stdin.write_all(&input);
                }
            });
            let complaints = scope.spawn(move || {
                let mut bytes = Vec::new();
                if let Some(stderr) = stderr {
                    let _ = stderr.take(64 * 1024).read_to_end(&mut bytes);
                }
                bytes
            });
            let mut out = Vec::new();
            let read = stdout.map_or(Ok(0), |stdout| stdout.take(most + 1).read_to_end(&mut out));
            if out.len() as u64 > most || read.is_err() {
                let _ = child.kill();
            }
            (read.map(|_| out), complaints.join().unwrap_or_default())
        });
        let status = child.wait().map_err(failed)?;
        let out = out.map_err(failed)?;
        if out.len() as u64 > most {
            return Err(RevisionError::TooLarge);
        }
        Ok(Answer { success: status.success(), out, err: String::from_utf8_lossy(&err).trim().to_owned() })
    }
}
