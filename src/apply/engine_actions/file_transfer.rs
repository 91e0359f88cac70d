//! `FileTransfer`: a file to a device or from it, in pieces; what was broken off goes on where it stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::local_path::local_path;
use super::transfer::{Far, FarError};
use super::{EngineAction, Errand, Leasing, Progress, cancelled, done, failed, of_transport};
use crate::apply::survey::target;
use crate::apply::{Acted, End};
use crate::diagnose::{Category, Diagnose as _};
use crate::model::{Device, Platform};
use crate::store::StoreError;
use crate::transport::{Command, Output, Session, TransportError};

/// How often a connection that breaks is made anew, without a piece getting through in between.
const ATTEMPTS: u32 = 5;
/// How long is waited before that, twice as long each time.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct FileTransfer;

/// Why a transfer stopped.
enum Stop {
    Transport(TransportError),
    Far(FarError),
    Local(String),
}

impl From<TransportError> for Stop {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<FarError> for Stop {
    fn from(error: FarError) -> Self {
        Self::Far(error)
    }
}

/// One file of one device.
struct Transfer<'a> {
    errand: &'a Errand<'a>,
    device: &'a Arc<Device>,
    cancel: &'a CancellationToken,
    far: Far,
    local: PathBuf,
    remote: &'a str,
    most: u64,
    /// What was there when this attempt began.
    resumed: u64,
    /// Bytes that got through in all.
    through: u64,
}

fn is_windows(errand: &Errand<'_>, device: &Device) -> Result<bool, StoreError> {
    let facts = errand.parts.store.facts(&device.name, None)?;
    let family = facts.value("software.os.family").and_then(Value::as_str).map(|family| family == "windows");
    Ok(family.unwrap_or(device.os == Some(Platform::Windows)))
}

/// Where the file of a device is here.
fn place(errand: &Errand<'_>, device: &Device) -> Result<PathBuf, String> {
    let (local, remote) = (errand.text("local").unwrap_or_default(), errand.text("remote").unwrap_or_default());
    let writing = errand.text("direction") == Some("fromDevice");
    if !local.ends_with('/') {
        return local_path(&errand.parts.set.root, local, errand.allowed, writing);
    }
    if !writing {
        return Err(format!("{local} is a folder, and one file is sent"));
    }
    let name = remote.rsplit(['/', '\\']).next().unwrap_or_default();
    if [name, device.name.as_str()].iter().any(|part| matches!(*part, "" | "." | "..") || part.contains('/')) {
        return Err(format!("{remote} on {} has no name that a file could have here", device.name));
    }
    local_path(&errand.parts.set.root, &format!("{local}{}/{name}", device.name), errand.allowed, true)
}

#[async_trait::async_trait]
impl EngineAction for FileTransfer {
    fn leasing(&self) -> Leasing {
        Leasing::Wanted
    }

    fn preview(&self, errand: &Errand<'_>) -> Vec<String> {
        let remote = errand.text("remote").unwrap_or_default();
        let line = |device: &Arc<Device>| match place(errand, device) {
            Err(why) => format!("cannot be done: {why}"),
            Ok(local) if errand.text("direction") == Some("fromDevice") => format!("copy {}:{remote} to {}", device.name, local.display()),
            Ok(local) => format!("copy {} to {}:{remote}", local.display(), device.name),
        };
        errand.devices.iter().map(line).collect()
    }

    async fn carry_out(&self, errand: &Errand<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
        let device = match errand.device() {
            Ok(device) => device,
            Err(refused) => return Ok(*refused),
        };
        let local = match place(errand, device) {
            Ok(local) => local,
            Err(why) => return Ok(Acted::refused("FileTransfer", &why)),
        };
        let far = if is_windows(errand, device)? { Far::Windows } else { Far::Posix };
        let most = errand.params["maxMegabytes"].as_u64().unwrap_or(1024) << 20;
        let remote = errand.text("remote").unwrap_or_default();
        let mut transfer = Transfer { errand, device, cancel, far, local, remote, most, resumed: 0, through: 0 };
        let up = errand.text("direction") == Some("toDevice");
        let (mut attempts, mut anew) = (0, false);
        let stop = loop {
            let before = transfer.through;
            let worked = if up { transfer.up().await } else { transfer.down().await };
            match worked {
                Ok(acted) => return Ok(acted),
                // What an earlier attempt left was not what it seemed to be; it has been thrown away.
                Err(Stop::Far(FarError::Differs)) if transfer.resumed > 0 && !anew => {
                    anew = true;
                }
                Err(Stop::Transport(error)) if again(&error) => {
                    attempts = if transfer.through > before { 0 } else { attempts + 1 };
                    if attempts >= ATTEMPTS {
                        break Stop::Transport(error);
                    }
                    tracing::info!(device = device.name.as_str(), "the transfer broke off, and goes on: {error}");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE * 2_u32.pow(attempts)) => {}
                        () = cancel.cancelled() => return Ok(cancelled()),
                    }
                }
                Err(stop) => break stop,
            }
        };
        Ok(match stop {
            Stop::Transport(error) => of_transport(errand.parts, &error),
            Stop::Far(FarError::Differs) => Acted::new(End::Failed, Category::Transient, FarError::Differs.to_string()),
            Stop::Far(error) => failed(format!("{remote}: {error}")),
            Stop::Local(why) => failed(why),
        })
    }
}

/// Whether another connection may do better.
fn again(error: &TransportError) -> bool {
    *error != TransportError::Cancelled && matches!(error.category(), Category::Transient | Category::Device)
}

impl Transfer<'_> {
    async fn session(&self) -> Result<Arc<dyn Session>, TransportError> {
        self.errand.parts.sessions.open(&target(&self.errand.parts.set, self.device), self.cancel).await
    }

    async fn ask(&self, session: &Arc<dyn Session>, command: Command) -> Result<Output, TransportError> {
        session.run(command, self.cancel).await
    }

    fn tell(&self, done: u64, total: u64) {
        (self.errand.on)(Progress { device: self.device.name.clone(), done, total });
    }

    fn local(&self, error: &std::io::Error) -> Stop {
        Stop::Local(format!("{}: {error}", self.local.display()))
    }

    fn small_enough(&self, size: u64) -> Result<(), Stop> {
        if size <= self.most {
            return Ok(());
        }
        Err(Stop::Local(format!("the file has {size} bytes; maxMegabytes permits {} of them", self.most)))
    }

    fn ended(&self, size: u64, sha256: &str, already: bool) -> Acted {
        let value = json!({ "bytes": size, "sha256": sha256, "resumedAt": self.resumed, "unchanged": already });
        let message =
            if already { format!("the same {size} bytes are there already") } else { format!("{size} bytes copied, SHA-256 {sha256}") };
        done(message, value)
    }

    async fn up(&mut self) -> Result<Acted, Stop> {
        let mut file = open(&self.local).await.map_err(|error| self.local(&error))?;
        let size = file.metadata().await.map_err(|error| self.local(&error))?.len();
        self.small_enough(size)?;
        let sha256 = hash_of(&self.local).await.map_err(|error| self.local(&error))?;
        let session = self.session().await?;
        let there = Far::looked(&self.ask(&session, self.far.look(self.remote)).await?);
        match there {
            Ok(there) if there.size == size && there.sha256 == sha256 => return Ok(self.ended(size, &sha256, true)),
            Ok(_) | Err(FarError::Missing) => {}
            Err(error) => return Err(error.into()),
        }
        let part = self.far.part_of(self.remote, &sha256);
        let mut at = Far::number(&self.ask(&session, self.far.gathered(&part)).await?)?;
        if at > size {
            at = 0;
        }
        self.resumed = at;
        self.tell(at, size);
        file.seek(std::io::SeekFrom::Start(at)).await.map_err(|error| self.local(&error))?;
        // An empty file is a piece of its own.
        while at < size || at == 0 {
            let mut piece = Vec::new();
            (&mut file).take(self.far.piece().min(size - at)).read_to_end(&mut piece).await.map_err(|error| self.local(&error))?;
            if piece.is_empty() && size > 0 {
                return Err(Stop::Local(format!("{} has become shorter meanwhile", self.local.display())));
            }
            let length = piece.len() as u64;
            Far::worked(&self.ask(&session, self.far.append(&part, at, piece)).await?)?;
            at += length;
            self.through += length;
            self.tell(at, size);
            if size == 0 {
                break;
            }
        }
        let finished = Far::worked(&self.ask(&session, self.far.finish(&part, self.remote, &sha256)).await?);
        if finished == Err(FarError::Differs) {
            self.ask(&session, self.far.forget(&part)).await?;
        }
        finished?;
        Ok(self.ended(size, &sha256, false))
    }

    async fn down(&mut self) -> Result<Acted, Stop> {
        let session = self.session().await?;
        let there = Far::looked(&self.ask(&session, self.far.look(self.remote)).await?)?;
        self.small_enough(there.size)?;
        if hash_of(&self.local).await.is_ok_and(|hash| hash == there.sha256) {
            return Ok(self.ended(there.size, &there.sha256, true));
        }
        let folder = self.local.parent().unwrap_or(Path::new("/"));
        tokio::fs::create_dir_all(folder).await.map_err(|error| self.local(&error))?;
        let name = self.local.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let part = folder.join(format!(".{name}.rmm-part-{}", &there.sha256[..12]));
        let mut file = gather(&part).await.map_err(|error| self.local(&error))?;
        let mut at = file.metadata().await.map_err(|error| self.local(&error))?.len();
        if at > there.size {
            file.set_len(0).await.map_err(|error| self.local(&error))?;
            at = 0;
        }
        self.resumed = at;
        self.tell(at, there.size);
        file.seek(std::io::SeekFrom::Start(at)).await.map_err(|error| self.local(&error))?;
        while at < there.size {
            let wanted = self.far.piece().min(there.size - at);
            let piece = self.far.bytes(self.ask(&session, self.far.read(self.remote, at, wanted)).await?)?;
            if piece.len() as u64 != wanted {
                return Err(FarError::Other("the file has become shorter meanwhile".into()).into());
            }
            file.write_all(&piece).await.map_err(|error| self.local(&error))?;
            file.flush().await.map_err(|error| self.local(&error))?;
            at += wanted;
            self.through += wanted;
            self.tell(at, there.size);
        }
        file.sync_all().await.map_err(|error| self.local(&error))?;
        drop(file);
        if hash_of(&part).await.map_err(|error| self.local(&error))? != there.sha256 {
            tokio::fs::remove_file(&part).await.map_err(|error| self.local(&error))?;
            return Err(FarError::Differs.into());
        }
        tokio::fs::rename(&part, &self.local).await.map_err(|error| self.local(&error))?;
        Ok(self.ended(there.size, &there.sha256, false))
    }
}

/// Opens a file of this computer; a link is not followed: it could lead out of where the file may be.
async fn open(path: &Path) -> std::io::Result<tokio::fs::File> {
    let file = tokio::fs::OpenOptions::new().read(true).custom_flags(no_follow()).open(path).await?;
    if file.metadata().await?.is_file() { Ok(file) } else { Err(std::io::Error::other("it is not a file")) }
}

/// The file in which what arrives is gathered; for its owner alone.
async fn gather(path: &Path) -> std::io::Result<tokio::fs::File> {
    let mut options = tokio::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow());
    options.open(path).await
}

fn no_follow() -> i32 {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    flags.bits() as i32
}

/// The SHA-256 of a file, read on a thread of its own.
async fn hash_of(path: &Path) -> std::io::Result<String> {
    let file = open(path).await?.into_std().await;
    let hashed = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        use std::io::Read as _;
        let (mut file, mut hasher, mut buffer) = (file, Sha256::new(), vec![0; 1 << 16]);
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok(hex::encode(hasher.finalize()));
            }
            hasher.update(&buffer[..count]);
        }
    });
    hashed.await.map_err(std::io::Error::other)?
}
