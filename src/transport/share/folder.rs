//! The folder of a device on a share. Every file appears whole, by renaming; whoever renames a job first has it.
//!
//! ```text
//! devices/ws-1/jobs/ID.json       to be fetched
//! devices/ws-1/taken/ID.json      fetched by the device
//! devices/ws-1/taken/ID.stop      to be ended
//! devices/ws-1/results/ID.json    the answer
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use tokio::sync::Semaphore;

use super::super::TransportError;

/// A share that does not answer must not hold up anybody for longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is under way on one share at the same time. A share that hangs keeps as many threads, and no more.
const AT_ONCE: usize = 8;

/// A share that more jobs wait on is looked at less often for each: about so many looks a second.
const LOOKS_PER_SECOND: u64 = 200;

/// What is under way on one share.
struct Share {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// By the path of the share.
static SHARES: Mutex<Option<HashMap<PathBuf, Arc<Share>>>> = Mutex::new(None);

/// The folder of one device.
#[derive(Clone)]
pub(super) struct Folder {
    share: PathBuf,
    device: String,
    of: Arc<Share>,
}

/// How far a job is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nobody has fetched it.
    Waits,
    /// The device has it.
    Fetched,
    /// The device has answered.
    Answered(Vec<u8>),
}

/// A job that is waited for.
pub(super) struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Job of a device that is not wanted any more.
#[derive(Clone, Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The three folders of a device, opened. Whoever writes to the share cannot lead us elsewhere by links: none is followed.
struct Opened {
    jobs: File,
    taken: File,
    results: File,
}

fn directory(at: &File, name: &str, make: bool) -> io::Result<File> {
    if make {
        match mkdirat(at, name, Mode::RWXU | Mode::RWXG) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?.into())
}

impl Opened {
    fn of(share: &Path, device: &str, make: bool) -> io::Result<Self> {
        // A share that was not mounted is not filled in its place.
        let devices = File::open(share).and_then(|share| directory(&share, "devices", false));
        let devices = devices
            .map_err(|error| io::Error::other(format!("there is no share here ({error}): is it mounted? `rmm share init` prepares one")))?;
        let own = directory(&devices, device, make)?;
        Ok(Self {
            jobs: directory(&own, "jobs", make)?,
            taken: directory(&own, "taken", make)?,
            results: directory(&own, "results", make)?,
        })
    }
}

fn create(at: &File, name: &str) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP)?.into())
}

fn exists(at: &File, name: &str) -> io::Result<bool> {
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Folder {
    pub(super) fn new(share: &Path, device: &str) -> Self {
        let mut shares = SHARES.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Share { places: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::default() });
        let of = shares.get_or_insert_default().entry(share.to_owned()).or_insert_with(new);
        Self { share: share.to_owned(), device: file_name(device), of: Arc::clone(of) }
    }

    /// Counts one more job that is waited for.
    pub(super) fn wait(&self) -> Waiting {
        self.of.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(Arc::clone(&self.of.waiting))
    }

    /// The shortest time between two looks for one job, with as many as wait now.
    pub(super) fn pace(&self) -> Duration {
        let waiting = u64::try_from(self.of.waiting.load(Ordering::SeqCst)).unwrap_or(u64::MAX);
        Duration::from_millis(waiting.saturating_mul(1_000) / LOOKS_PER_SECOND)
    }

    /// Its name.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        self.share.join("devices").join(&self.device).display().to_string()
    }

    /// Does it off the workers: a share is a network. Nothing that was not begun within the time is begun later.
    async fn off<T: Send + 'static>(
        &self,
        make: bool,
        work: impl FnOnce(&Opened, &dyn Fn() -> bool) -> io::Result<T> + Send + 'static,
    ) -> Result<T, TransportError> {
        let failed = |reason: String| TransportError::Share { share: self.shown(), reason };
        let abandoned = Abandoned::default();
        let given_up = Arc::clone(&abandoned.0);
        let (share, device, places) = (self.share.clone(), self.device.clone(), Arc::clone(&self.of.places));
        let whole = async {
            let place = places.acquire_owned().await.map_err(|error| failed(error.to_string()))?;
            let done = tokio::task::spawn_blocking(move || {
                let _place = place;
                work(&Opened::of(&share, &device, make)?, &|| given_up.load(Ordering::SeqCst))
            });
            done.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
        };
        let answer = tokio::time::timeout(PATIENCE, whole).await;
        drop(abandoned);
        answer.unwrap_or_else(|_| Err(failed(format!("it did not answer within {} s", PATIENCE.as_secs()))))
    }

    /// Leaves a job there. One that is given up meanwhile is not there in the end.
    pub(super) async fn put(&self, id: &str, text: Vec<u8>) -> Result<(), TransportError> {
        let (beside, job) = (format!("{id}.tmp"), format!("{id}.json"));
        self.off(true, move |folder, given_up| {
            let written = (|| {
                let mut file = create(&folder.jobs, &beside)?;
                file.write_all(&text)?;
                file.sync_all()?;
                if given_up() {
                    return Err(io::Error::other("given up"));
                }
                renameat(&folder.jobs, &*beside, &folder.jobs, &*job)?;
                if given_up() {
                    unlinkat(&folder.jobs, &*job, AtFlags::empty())?;
                }
                Ok(())
            })();
            if written.is_err() {
                let _ = unlinkat(&folder.jobs, &*beside, AtFlags::empty());
            }
            written
        })
        .await
    }

    /// Takes a job back: true where nobody has fetched it, and now nobody can.
    pub(super) async fn withdraw(&self, id: &str) -> Result<bool, TransportError> {
        let job = format!("{id}.json");
        self.off(false, move |folder, _| match unlinkat(&folder.jobs, &*job, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        })
        .await
    }

    /// Has the runner end it. Best effort: the runner ends it by itself when its time is over.
    pub(super) async fn stop(&self, id: &str) {
        let stop = format!("{id}.stop");
        let _ = self.off(false, move |folder, _| create(&folder.taken, &stop).map(drop)).await;
    }

    /// How far a job is: one look for its answer and whether it was fetched, since each is a way to a server.
    pub(super) async fn look(&self, id: &str, most: u64) -> Result<Look, TransportError> {
        let result = format!("{id}.json");
        self.off(false, move |folder, _| {
            // Not blocking: a named pipe in its place must not hold anybody up.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file: File = match openat(&folder.results, &*result, flags, Mode::empty()) {
                Ok(file) => file.into(),
                // Windows lets nobody else in while it is being renamed.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS) => {
                    return Ok(if exists(&folder.jobs, &result)? { Look::Waits } else { Look::Fetched });
                }
                Err(error) => return Err(error.into()),
            };
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("an answer that is not a regular file"));
            }
            let mut bytes = Vec::new();
            file.take(most + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > most {
                return Err(io::Error::other(format!("an answer of more than {most} bytes")));
            }
            Ok(Look::Answered(bytes))
        })
        .await
    }

    /// Removes what is left of a job that was answered. What cannot be removed is in nobody's way.
    pub(super) async fn clear(&self, id: &str) {
        let (json, stop) = (format!("{id}.json"), format!("{id}.stop"));
        let removed = self.off(false, move |folder, _| {
            for (at, name) in [(&folder.results, &json), (&folder.taken, &json), (&folder.taken, &stop)] {
                let _ = unlinkat(at, &**name, AtFlags::empty());
            }
            Ok(())
        });
        let _ = removed.await;
    }
}

/// The name of a device as the name of a folder: in lower case, as Windows compares names; others than plain letters as their bytes.
fn file_name(device: &str) -> String {
    let lower = device.to_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let usable =
        lower.len() <= 100 && lower.starts_with(|c: char| c.is_ascii_alphanumeric()) && lower.chars().all(plain) && !lower.ends_with('.');
    if usable { lower } else { format!("x-{}", hex::encode(&<sha2::Sha256 as sha2::Digest>::digest(lower)[..16])) }
}
