//! Devices that reach nothing but a file share: a job is a signed file that the device fetches, and its answer is a file too. The share is
//! a directory here, mounted by the operating system; why, and the layout, stand in decision 0013.
//!
//! `runner.ps1` is the other half. It carries out what is signed for this very device, has not expired, and was not carried out before.

mod folder;
mod job;
mod key;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::folder::{Folder, Look};
use self::job::{Answer, Job};
pub use self::key::SigningKey;
use super::{Command, Output, Session, Shell, TransportError};
use crate::time::Clock;

/// The runner, with the place where the public key goes.
const RUNNER: &str = include_str!("runner.ps1");
/// Name of the secret that holds the signing key.
pub const KEY_NAME: &str = "share-signing-key";
/// A job that was fetched has this long to say so beyond the time of its command: starting PowerShell, a slow share, the next look.
const GRACE: Duration = Duration::from_mins(2);
/// Time for a device that did not fetch its last job: the runner looks once a minute at least.
const ABSENT: Duration = Duration::from_secs(90);
/// Time between two looks at the share, at first and at most.
const LOOKS: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// The runner to install on devices: it takes the jobs that this key signed.
pub fn runner(key: &SigningKey) -> String {
    RUNNER.replace("@PUBLIC_KEY@", &key.public())
}

/// Time limits of a share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How long a device may take to fetch a job.
    pub(super) fetch: Duration,
    /// Time for a command that does not bring its own.
    pub(super) command: Duration,
}

/// A device behind a share.
#[derive(Clone)]
pub(super) struct ShareSession {
    folder: Folder,
    key: Arc<SigningKey>,
    times: Times,
    max_output: u64,
    clock: Arc<dyn Clock>,
    absent: Absent,
}

/// Devices that did not fetch their last job: they are given less time, so that those that are switched off do not hold up the others.
pub(super) type Absent = Arc<Mutex<HashSet<String>>>;

impl ShareSession {
    pub(super) fn new(
        share: &Path,
        device: &str,
        key: Arc<SigningKey>,
        times: Times,
        max_output: u64,
        clock: Arc<dyn Clock>,
        absent: Absent,
    ) -> Self {
        Self { folder: Folder::new(share, device), key, times, max_output, clock, absent }
    }

    fn is_absent(&self, now: Option<bool>) -> bool {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        match now {
            None => absent.contains(self.folder.device()),
            Some(true) => absent.insert(self.folder.device().to_owned()),
            Some(false) => absent.remove(self.folder.device()),
        }
    }
}

#[async_trait::async_trait]
impl Session for ShareSession {
    async fn run(&self, command: Command, cancel: &CancellationToken) -> Result<Output, TransportError> {
        // A task of its own, so that a caller who is dropped in the middle takes the job back all the same.
        let stop = cancel.child_token();
        let dropped = stop.clone().drop_guard();
        let own = self.clone();
        let answer = tokio::spawn(async move { own.carry(command, &stop).await }).await;
        dropped.disarm();
        answer.unwrap_or_else(|error| Err(TransportError::Lost { address: self.folder.shown(), reason: error.to_string() }))
    }

    fn shell(&self) -> Shell {
        Shell::PowerShell
    }
}

impl ShareSession {
    async fn carry(&self, command: Command, cancel: &CancellationToken) -> Result<Output, TransportError> {
        let time = command.timeout.unwrap_or(self.times.command);
        let limit = command.max_output.unwrap_or(self.max_output);
        let fetch = if self.is_absent(None) { self.times.fetch.min(ABSENT) } else { self.times.fetch };
        let now = self.clock.now();
        let job = Job {
            id: job::new_id(now),
            device: self.folder.device().to_owned(),
            created: now.timestamp_millis(),
            expires: now.timestamp_millis().saturating_add(millis(fetch)),
            line: command.line,
            input: command.input,
            timeout_ms: millis(time),
            max_output: limit,
        };
        let text = job.signed(&self.key).map_err(|reason| TransportError::Setup { what: "job".into(), reason })?;
        // What a job is stays on the share alone: hundreds may wait.
        let id = job.id;
        let answer = match self.folder.put(&id, text).await {
            Ok(()) => self.wait(&id, fetch, time, limit, cancel).await,
            Err(error) => Err(error),
        };
        match answer {
            // It may lie there still, and must not run when nobody waits for it any more.
            Err(error @ TransportError::Share { .. }) => Err(self.take_back(&id, fetch, error).await),
            other => other,
        }
    }

    /// Makes sure that a job is not begun later, or says that it is not known.
    async fn take_back(&self, id: &str, fetch: Duration, error: TransportError) -> TransportError {
        let until = Instant::now() + fetch;
        loop {
            match self.folder.withdraw(id).await {
                Ok(true) => return error,
                // Never put there, or fetched.
                Ok(false) => break,
                Err(_) if Instant::now() >= until => break,
                Err(_) => tokio::time::sleep(LOOKS[1]).await,
            }
        }
        self.folder.stop(id).await;
        let reason = format!("{error}; whether the job is carried out is not known");
        TransportError::Lost { address: self.folder.shown(), reason }
    }

    async fn wait(
        &self,
        id: &str,
        fetch: Duration,
        time: Duration,
        limit: u64,
        cancel: &CancellationToken,
    ) -> Result<Output, TransportError> {
        let _counted = self.folder.wait();
        let begun = Instant::now();
        let mut pause = LOOKS[0];
        let mut until = begun + fetch;
        let mut fetched = false;
        let mut stopped = false;
        // Twice the limit of either stream in base64, and what stands around it.
        let most = limit.saturating_mul(3).saturating_add(64 * 1024);
        loop {
            let look = self.folder.look(id, most).await?;
            if let Look::Answered(text) = look {
                let answer = Answer::read(&text, id, limit);
                self.is_absent(Some(false));
                self.folder.clear(id).await;
                return if stopped { Err(TransportError::Cancelled) } else { answer.into_output(time) };
            }
            if !fetched && look == Look::Fetched {
                fetched = true;
                self.is_absent(Some(false));
                until = Instant::now() + time + GRACE;
            }
            if Instant::now() >= until {
                if !fetched && self.folder.withdraw(id).await? {
                    self.is_absent(Some(true));
                    return Err(TransportError::NotFetched { share: self.folder.shown(), seconds: fetch.as_secs() });
                }
                if fetched {
                    self.folder.stop(id).await;
                    let reason = "the device fetched the job and did not answer in time; whether it was carried out is not known".into();
                    return Err(TransportError::Lost { address: self.folder.shown(), reason });
                }
                // Fetched in this very moment.
                fetched = true;
                until = Instant::now() + time + GRACE;
            }
            tokio::select! {
                () = tokio::time::sleep(pause.max(self.folder.pace())) => {}
                () = cancel.cancelled(), if !stopped => {
                    // What nobody has fetched never runs; what runs is ended by the runner.
                    if !fetched && self.folder.withdraw(id).await? {
                        return Err(TransportError::Cancelled);
                    }
                    self.folder.stop(id).await;
                    (fetched, stopped) = (true, true);
                    until = Instant::now() + GRACE;
                }
            }
            pause = (pause * 3 / 2).min(LOOKS[1]);
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
