//! The folder of a device on a share. Every file appears whole, by renaming; whoever renames a job first has it.
//!
//! ```text
//! devices/ws-1/jobs/ID.json       to be fetched
//! devices/ws-1/taken/ID.json      fetched by the device
//! devices/ws-1/taken/ID.stop      to be ended
//! devices/ws-1/results/ID.json    the answer
//! ```

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::TransportError;

/// A share that does not answer must not hold up anybody for longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The folder of one device.
#[derive(Clone)]
pub(super) struct Folder {
    path: PathBuf,
    device: String,
}

impl Folder {
    pub(super) fn new(share: &Path, device: &str) -> Self {
        let device = file_name(device);
        Self { path: share.join("devices").join(&device), device }
    }

    /// Its name.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    fn job(&self, id: &str) -> PathBuf {
        self.path.join("jobs").join(format!("{id}.json"))
    }

    fn taken(&self, id: &str, kind: &str) -> PathBuf {
        self.path.join("taken").join(format!("{id}.{kind}"))
    }

    fn result(&self, id: &str) -> PathBuf {
        self.path.join("results").join(format!("{id}.json"))
    }

    /// Does it off the workers: a share is a network.
    async fn off<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, TransportError> {
        let failed = |reason: String| TransportError::Share { share: self.shown(), reason };
        let work = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(work));
        match work.await {
            Ok(Ok(done)) => done.map_err(|error| failed(error.to_string())),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("it did not answer within {} s", PATIENCE.as_secs()))),
        }
    }

    pub(super) async fn put(&self, id: &str, text: Vec<u8>) -> Result<(), TransportError> {
        let (folder, job) = (self.path.clone(), self.job(id));
        // A device has a folder as soon as there is a share: one that was not mounted is not filled in its place.
        self.off(move || {
            if !folder.parent().is_some_and(Path::is_dir) {
                return Err(io::Error::other("there is no share here: is it mounted? `rmm share init` prepares one"));
            }
            for name in ["jobs", "taken", "results"] {
                std::fs::create_dir_all(folder.join(name))?;
            }
            let beside = job.with_extension("tmp");
            let written = (|| {
                let mut file = std::fs::File::create_new(&beside)?;
                file.write_all(&text)?;
                file.sync_all()?;
                std::fs::rename(&beside, &job)
            })();
            if written.is_err() {
                let _ = std::fs::remove_file(&beside);
            }
            written
        })
        .await
    }

    /// Whether the device has it.
    pub(super) async fn fetched(&self, id: &str) -> Result<bool, TransportError> {
        let job = self.job(id);
        self.off(move || Ok(!job.try_exists()?)).await
    }

    /// Takes a job back: true where nobody has fetched it, and now nobody can.
    pub(super) async fn withdraw(&self, id: &str) -> Result<bool, TransportError> {
        let job = self.job(id);
        self.off(move || match std::fs::remove_file(&job) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }

    /// Has the runner end it. Best effort: the runner ends it by itself when its time is over.
    pub(super) async fn stop(&self, id: &str) {
        let stop = self.taken(id, "stop");
        let _ = self.off(move || std::fs::write(stop, "")).await;
    }

    /// The answer, where there is one.
    pub(super) async fn answer(&self, id: &str, most: u64) -> Result<Option<Vec<u8>>, TransportError> {
        let result = self.result(id);
        self.off(move || {
            let file = match std::fs::File::open(&result) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                // Windows lets nobody else in while it is being renamed.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
                Err(error) => return Err(error),
            };
            let mut bytes = Vec::new();
            file.take(most + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > most {
                return Err(io::Error::other(format!("an answer of more than {most} bytes")));
            }
            Ok(Some(bytes))
        })
        .await
    }

    /// Removes what is left of a job that was answered. What cannot be removed is in nobody's way.
    pub(super) async fn clear(&self, id: &str) {
        let files = [self.result(id), self.taken(id, "json"), self.taken(id, "stop")];
        let _ = self.off(move || files.iter().try_for_each(std::fs::remove_file)).await;
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
