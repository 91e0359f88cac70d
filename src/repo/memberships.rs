//! Groups into which actions have moved devices that are declared by hand, or in a repository that is followed: kept beside the
//! database, laid over what the files declare. Files that people write are never rewritten.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::devices_file::{self, DevicesError};
use super::set::PolicySet;
use crate::diagnose::Diagnostic;
use crate::model::Place;

/// The folder, relative to the root; it holds nothing else, so that it can be watched.
pub const FOLDER: &str = ".rmm/overlay";
/// The file, relative to the root.
pub const MEMBERSHIPS: &str = ".rmm/overlay/memberships.json";
/// Most bytes of it: far more than a fleet of 10,000 devices needs.
const MOST: u64 = 16 << 20;

/// How the groups of a device differ from what is declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Moved {
    /// Groups that it is in besides.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub into: BTreeSet<String>,
    /// Groups that it is not in any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub out: BTreeSet<String>,
}

type All = BTreeMap<String, Moved>;

fn file(root: &Path) -> PathBuf {
    root.join(MEMBERSHIPS)
}

/// What the file holds, and its hash; nothing where there is none.
fn read(root: &Path) -> io::Result<(All, String)> {
    use std::io::Read as _;
    let mut text = Vec::new();
    match std::fs::File::open(file(root)) {
        Ok(open) => open.take(MOST + 1).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((All::new(), String::new())),
        Err(error) => return Err(error),
    };
    if text.len() as u64 > MOST {
        return Err(io::Error::other("it is larger than 16 MiB"));
    }
    Ok((serde_json::from_slice(&text)?, hex::encode(Sha256::digest(&text))))
}

/// Hash of what is laid over the repository at `root` now; empty where nothing is.
pub fn hash(root: &Path) -> String {
    read(root).map(|(_, hash)| hash).unwrap_or_default()
}

/// Lays the memberships over a set. Devices and groups that are not declared any more are passed over.
pub(super) fn lay_over(set: &mut PolicySet) -> Result<(), Box<Diagnostic>> {
    let (all, hash) = read(&set.root).map_err(|error| {
        let problem = Diagnostic::error("RMM0209", format!("{MEMBERSHIPS} cannot be read: {error}")).at(&Place::file(MEMBERSHIPS));
        Box::new(problem.advice("restore the file, or remove it: devices are then in the groups that the files declare"))
    })?;
    if all.is_empty() {
        return Ok(());
    }
    for (name, moved) in all {
        let Some(declared) = set.devices.get(&name) else { continue };
        let mut device = (**declared).clone();
        device.groups.retain(|group| !moved.out.contains(group));
        for group in &moved.out {
            if let Some(group) = set.groups.get_mut(group) {
                group.members.retain(|member| *member != name);
            }
        }
        for group in moved.into.iter().filter(|group| set.groups.contains_key(*group)) {
            if !device.groups.contains(group) {
                device.groups.push(group.clone());
            }
        }
        set.devices.insert(name, Arc::new(device));
    }
    set.hash = hex::encode(Sha256::new().chain_update(&set.hash).chain_update(&hash).finalize());
    set.overlay = hash;
    Ok(())
}

/// Moves a device into a group, and out of another one.
pub fn move_device(root: &Path, device: &str, into: &str, from: Option<&str>) -> Result<PathBuf, DevicesError> {
    let failed = |source: io::Error| DevicesError::Write { path: MEMBERSHIPS.into(), source };
    let (mut all, _) = read(root).map_err(failed)?;
    let moved = all.entry(device.to_owned()).or_default();
    moved.out.remove(into);
    moved.into.insert(into.to_owned());
    if let Some(from) = from.filter(|from| *from != into) {
        moved.into.remove(from);
        moved.out.insert(from.to_owned());
    }
    let mut text = serde_json::to_string_pretty(&all).map_err(|_| DevicesError::NotReadable)?;
    text.push('\n');
    devices_file::replace(&file(root), text.as_bytes()).map_err(failed)?;
    Ok(file(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::{LoadOptions, load};

    #[test]
    fn a_device_that_was_moved_is_in_its_new_group_and_the_set_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("rmm.toml"), "").unwrap();
        let devices = "groups: {New: {members: [b]}, Old: {}, Production: {}}\ndevices:\n  a: {groups: [New, Old]}\n  b: {}\n";
        std::fs::write(root.join("devices.yaml"), devices).unwrap();
        let read = || {
            let options = LoadOptions { root: root.into(), env: None, environment: Vec::new(), now: chrono::DateTime::UNIX_EPOCH };
            load(&options)
        };
        let before = read().set.unwrap();
        assert_eq!(before.overlay, "");
        move_device(root, "a", "Production", Some("New")).unwrap();
        move_device(root, "b", "Production", Some("New")).unwrap();
        move_device(root, "gone", "Production", None).unwrap();
        let after = read().set.unwrap();
        assert_eq!(after.devices["a"].groups, ["Old", "Production"]);
        assert_eq!(after.devices["b"].groups, ["Production"]);
        assert!(after.groups["New"].members.is_empty());
        assert_ne!(before.hash, after.hash);
        assert_eq!(after.overlay, hash(root));
        move_device(root, "a", "New", Some("Production")).unwrap();
        assert_eq!(read().set.unwrap().devices["a"].groups, ["New", "Old"]);
        std::fs::write(root.join(MEMBERSHIPS), "{").unwrap();
        let damaged = read();
        assert!(damaged.set.is_none());
        assert_eq!(damaged.problems[0].code, "RMM0209");
    }
}
