//! Notices that files of the repository have changed: by what the system tells, or, where it does not (network file
//! systems), by looking again and again. Many changes in quick succession (a checkout, an editor that writes a new file and
//! renames it) are one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::config::Watch;

/// So long nothing has to happen before what has changed is read.
const QUIET: Duration = Duration::from_millis(40);
/// So long it is put off at most while changes go on.
const PATIENCE: Duration = Duration::from_millis(500);
/// So long it is put off at most while Git says that it is at work.
const GIT_PATIENCE: Duration = Duration::from_secs(5);
/// Deepest folder that is looked at.
const DEEPEST: usize = 9;
/// File systems that do not tell of changes that others make: NFS, SMB, CIFS, 9P, Ceph, AFS, FUSE.
const SILENT: [u32; 9] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x00c3_6400, 0x5346_414f, 0x6573_5546, 0x6b41_4653];

/// Whether files below `root` have to be looked at, since nothing tells of their changes.
pub fn polls(root: &Path, watch: Watch) -> bool {
    match watch {
        Watch::Events => false,
        Watch::Poll => true,
        Watch::Auto => rustix::fs::statfs(root).is_ok_and(|stat| SILENT.contains(&(stat.f_type as u32))),
    }
}

/// Notices changes below `root` until `stop`, and says so once after each group of them.
pub async fn watch(root: PathBuf, poll: Option<Duration>, stop: CancellationToken, changed: Arc<Notify>) {
    let root = root.canonicalize().unwrap_or(root);
    let touched = Arc::new(Notify::new());
    let mut events = match poll {
        Some(_) => None,
        None => Events::new(&root, &touched),
    };
    // Without events, looking is what is left.
    let every = if events.is_some() { None } else { Some(poll.unwrap_or(Duration::from_secs(2))) };
    let mut seen = every.map(|_| listing(&root));
    // What was written before anybody looked is read now.
    changed.notify_one();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = touched.notified() => {}
            () = pause(every) => {
                let path = root.clone();
                let Ok(now) = tokio::task::spawn_blocking(move || listing(&path)).await else { continue };
                if seen.as_ref() == Some(&now) {
                    continue;
                }
                seen = Some(now);
            }
        }
        if events.is_some() {
            settle(&root, &touched).await;
        }
        if let Some(events) = &mut events {
            // Folders that are new are watched before what is in them is read.
            events.again(&root);
        }
        changed.notify_one();
    }
}

async fn pause(every: Option<Duration>) {
    match every {
        Some(every) => tokio::time::sleep(every).await,
        None => std::future::pending().await,
    }
}

/// Waits until nothing more comes for a moment.
async fn settle(root: &Path, touched: &Notify) {
    let begun = Instant::now();
    let lock = root.join(".git/index.lock");
    loop {
        let more = tokio::time::timeout(QUIET, touched.notified()).await.is_ok();
        let waited = begun.elapsed();
        let at_work = waited < GIT_PATIENCE && lock.exists();
        if !at_work && (!more || waited >= PATIENCE) {
            return;
        }
    }
}

/// What the system tells.
struct Events(notify::RecommendedWatcher);

impl Events {
    fn new(root: &Path, touched: &Arc<Notify>) -> Option<Self> {
        let (of, touched) = (root.to_path_buf(), Arc::clone(touched));
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.need_rescan() => touched.notify_one(),
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) if event.paths.iter().any(|path| matters(&of, path)) => touched.notify_one(),
            Ok(_) => {}
            // Something was missed; looking tells what.
            Err(_) => touched.notify_one(),
        });
        let mut events = match watcher {
            Ok(watcher) => Self(watcher),
            Err(error) => {
                tracing::warn!(%error, "the system does not tell of changed files; they are looked at instead");
                return None;
            }
        };
        if let Err(error) = events.0.watch(root, RecursiveMode::NonRecursive) {
            tracing::warn!(%error, "the folder cannot be watched; files are looked at instead");
            return None;
        }
        events.again(root);
        Some(events)
    }

    /// Watches the folders that exist by now. The database lies below the root too and is written all the time: only the
    /// folders that are read are watched.
    fn again(&mut self, root: &Path) {
        for folder in crate::repo::folders() {
            let path = root.join(folder);
            if path.is_dir()
                && let Err(error) = self.0.watch(&path, RecursiveMode::Recursive)
            {
                tracing::warn!(%error, folder, "the folder cannot be watched");
            }
        }
        // What actions have changed lies in a folder of its own, beside the database.
        let overlay = root.join(crate::repo::memberships::FOLDER);
        if overlay.parent().is_some_and(Path::is_dir) && std::fs::create_dir_all(&overlay).is_ok() {
            let _ = self.0.watch(&overlay, RecursiveMode::NonRecursive);
        }
        let git = root.join(".git");
        if git.is_dir() {
            let _ = self.0.watch(&git, RecursiveMode::NonRecursive);
        }
    }
}

/// Whether a path is one that is read, or says which commit it is.
fn matters(root: &Path, path: &Path) -> bool {
    let Some(below) = path.strip_prefix(root).ok().and_then(Path::to_str) else { return false };
    matches!(below, ".git/HEAD" | ".git/index" | crate::repo::memberships::MEMBERSHIPS) || crate::repo::is_read(below)
}

/// Path, size, time of the last change and number of everything that is read.
type Listing = BTreeMap<PathBuf, (u64, Option<SystemTime>, u64)>;

fn listing(root: &Path) -> Listing {
    let mut found = Listing::new();
    look(root, root, 0, &mut found);
    look(root, &root.join(crate::repo::memberships::FOLDER), DEEPEST, &mut found);
    found
}

fn look(root: &Path, folder: &Path, depth: usize, found: &mut Listing) {
    use std::os::unix::fs::MetadataExt as _;
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let (path, Ok(data)) = (entry.path(), entry.metadata()) else { continue };
        let hidden = entry.file_name().to_str().is_none_or(|name| name.starts_with('.'));
        if hidden || !matters(root, &path) {
            continue;
        }
        if data.is_dir() && depth < DEEPEST {
            look(root, &path, depth + 1, found);
        }
        found.insert(path, (data.len(), data.modified().ok(), data.ino()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_read_matters() {
        let root = Path::new("/fleet");
        for path in [
            "/fleet/rmm.toml",
            "/fleet/devices.yaml",
            "/fleet/policies/a.yaml",
            "/fleet/policies",
            "/fleet/.git/HEAD",
            "/fleet/.rmm/overlay/memberships.json",
        ] {
            assert!(matters(root, Path::new(path)), "{path}");
        }
        for path in ["/fleet/.rmm/rmm.db-wal", "/fleet/.git/objects/ab", "/fleet/README.md", "/elsewhere/rmm.toml"] {
            assert!(!matters(root, Path::new(path)), "{path}");
        }
    }

    #[test]
    fn looking_finds_what_was_written_renamed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir(at("policies")).unwrap();
        std::fs::write(at("rmm.toml"), "").unwrap();
        let first = listing(dir.path());
        std::fs::write(at("policies/.p.yaml.swp"), "x").unwrap();
        std::fs::write(at("notes.txt"), "x").unwrap();
        std::fs::write(at("policies/new"), "x").unwrap();
        std::fs::rename(at("policies/new"), at("policies/p.yaml")).unwrap();
        let second = listing(dir.path());
        assert_ne!(first, second);
        std::fs::remove_file(at("policies/p.yaml")).unwrap();
        assert_ne!(second, listing(dir.path()));
    }
}
