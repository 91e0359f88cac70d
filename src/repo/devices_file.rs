//! `devices/imported.yaml`, the one device file that the product writes. Files written by hand are never rewritten:
//! their comments and order belong to people, so an edit of them is refused with the place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use serde::Serialize;

use super::fleet::{Document, Fleet};
use super::set::PolicySet;
use super::yaml;
use crate::diagnose::{Category, Diagnose, Diagnostic};
use crate::model::{Device, Group, Place, Site};

/// The file, relative to the root.
pub const IMPORTED: &str = "devices/imported.yaml";

const HEAD: &str = "# yaml-language-server: $schema=../schemas/devices.json
# Written by rmm devices import, add, edit and remove: comments here do not last.
";

/// Why the devices could not be changed. The file is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum DevicesError {
    /// There is no such device.
    #[error("there is no device '{name}'")]
    Unknown {
        /// Its name.
        name: String,
        /// The nearest name that exists.
        near: Option<String>,
    },
    /// A device of this name exists.
    #[error("the device '{name}' exists already, at {place}")]
    Exists {
        /// Its name.
        name: String,
        /// Where it is declared.
        place: Place,
    },
    /// It is declared in a file that people write.
    #[error("the device '{name}' is declared by hand at {place}")]
    ByHand {
        /// Its name.
        name: String,
        /// Where it is declared.
        place: Place,
    },
    /// The product's own file has been damaged.
    #[error("{IMPORTED} has mistakes of its own: {}", problems.first().map(ToString::to_string).unwrap_or_default())]
    Damaged {
        /// What is wrong with it.
        problems: Vec<Diagnostic>,
    },
    /// The disk did not take it.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// Which file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// A value cannot be written so that it reads back the same.
    #[error("the devices cannot be written so that they read back the same")]
    NotReadable,
}

impl Diagnose for DevicesError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "RMM0208",
            Self::Exists { .. } => "RMM0204",
            Self::ByHand { .. } => "RMM0206",
            Self::Damaged { .. } => "RMM0209",
            Self::Write { .. } | Self::NotReadable => "RMM0207",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => Category::Fatal,
            _ => Category::Configuration,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Unknown { near, .. } => {
                Some(near.as_ref().map_or_else(|| "rmm devices list shows them".into(), |n| format!("did you mean '{n}'?")))
            }
            Self::Exists { .. } => Some("rmm devices edit changes it".into()),
            Self::ByHand { place, .. } => {
                Some(format!("edit {place} yourself: comments and order there are yours, and the product keeps its hands off"))
            }
            Self::Damaged { .. } => Some("mend the file by hand or restore it from Git; rmm validate shows every mistake".into()),
            Self::Write { .. } => Some("free some space or mend the permissions; the file is as it was".into()),
            Self::NotReadable => None,
        }
    }
}

/// What the file holds.
#[derive(Debug, Default, Serialize)]
struct Imported {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sites: BTreeMap<String, Site>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<String, Group>,
    devices: BTreeMap<String, Device>,
}

/// Adds devices to the file, or creates it. A device of the same name in it is replaced.
pub fn write_devices(root: &Path, devices: &[Device]) -> Result<PathBuf, DevicesError> {
    write_fleet(root, devices, &BTreeSet::new(), &BTreeSet::new())
}

/// The same, and declares groups and sites that are new.
pub fn write_fleet(root: &Path, devices: &[Device], groups: &BTreeSet<String>, sites: &BTreeSet<String>) -> Result<PathBuf, DevicesError> {
    let groups = groups.iter().map(|name| (name.clone(), Group { name: name.clone(), ..Group::default() })).collect();
    write_whole(root, devices, &groups, sites)
}

/// The same, with groups that say more than their name. A group that the file has already stays as it is.
pub fn write_whole(
    root: &Path,
    devices: &[Device],
    groups: &BTreeMap<String, Group>,
    sites: &BTreeSet<String>,
) -> Result<PathBuf, DevicesError> {
    change(root, |file| {
        for (name, group) in groups {
            file.groups.entry(name.clone()).or_insert_with(|| group.clone());
        }
        for name in sites {
            file.sites.entry(name.clone()).or_default();
        }
        file.devices.extend(devices.iter().map(|device| (device.name.clone(), device.clone())));
        Ok(())
    })
}

/// Adds one device that does not exist yet.
pub fn add_device(set: &PolicySet, device: &Device) -> Result<PathBuf, DevicesError> {
    if let Some(known) = set.devices.get(&device.name) {
        return Err(DevicesError::Exists { name: device.name.clone(), place: known.place.clone() });
    }
    write_devices(&set.root, std::slice::from_ref(device))
}

/// Changes one device of the product's own file, from what stands in the file.
pub fn edit_device(set: &PolicySet, name: &str, edit: impl FnOnce(&mut Device)) -> Result<PathBuf, DevicesError> {
    own(set, name)?;
    change(&set.root, |file| {
        let device = file.devices.get_mut(name).ok_or_else(|| unknown(set, name))?;
        edit(device);
        name.clone_into(&mut device.name);
        Ok(())
    })
}

/// Removes one device from the product's own file.
pub fn remove_device(set: &PolicySet, name: &str) -> Result<PathBuf, DevicesError> {
    own(set, name)?;
    change(&set.root, |file| file.devices.remove(name).map(|_| ()).ok_or_else(|| unknown(set, name)))
}

fn unknown(set: &PolicySet, name: &str) -> DevicesError {
    let near = crate::diagnose::did_you_mean(name, set.devices.keys().map(String::as_str));
    DevicesError::Unknown { name: name.to_owned(), near: near.map(str::to_owned) }
}

fn own(set: &PolicySet, name: &str) -> Result<(), DevicesError> {
    let device = set.devices.get(name).ok_or_else(|| unknown(set, name))?;
    if &*device.place.file == IMPORTED { Ok(()) } else { Err(DevicesError::ByHand { name: name.to_owned(), place: device.place.clone() }) }
}

/// Reads the file, changes it, and puts the new one in its place in one step.
fn change(root: &Path, edit: impl FnOnce(&mut Imported) -> Result<(), DevicesError>) -> Result<PathBuf, DevicesError> {
    let path = root.join(IMPORTED);
    let failed = |source: io::Error| DevicesError::Write { path: IMPORTED.into(), source };
    let mut imported = match text_of(&path) {
        Ok(text) => read(&text).map_err(|problems| DevicesError::Damaged { problems })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Imported::default(),
        Err(error) => return Err(failed(error)),
    };
    edit(&mut imported)?;
    // Writer and reader are different libraries: what is written has to mean the same when read. A few texts (a key `<<`,
    // odd line breaks) do not survive plain YAML; JSON, which is YAML too, quotes everything.
    let plain = serde_yaml::to_string(&imported).ok();
    let quoted = serde_json::to_string_pretty(&imported).ok();
    let text = plain.into_iter().chain(quoted).map(|body| format!("{HEAD}{body}")).find(|text| reads_back(&imported, text));
    let text = text.ok_or(DevicesError::NotReadable)?;
    // In canonical form, where it has one: `rmm fmt --check` has nothing to say of a file that the product wrote.
    let text = super::fmt::format(&IMPORTED.into(), &text).unwrap_or(text);
    replace(&path, text.as_bytes()).map_err(failed)?;
    Ok(path)
}

/// The text of the file itself: a link could lead anywhere, and what it leads to would be written into the repository.
fn text_of(path: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP => io::Error::other("it is a symbolic link; put a file there"),
        error => error.into(),
    })?;
    let file = File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    file.take(yaml::MAX_BYTES + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn reads_back(written: &Imported, text: &str) -> bool {
    let Ok(again) = read(text) else { return false };
    let json = |file: &Imported| serde_json::to_value(file).ok();
    json(written).is_some() && json(written) == json(&again)
}

fn read(text: &str) -> Result<Imported, Vec<Diagnostic>> {
    let file: Arc<str> = IMPORTED.into();
    let (root, mut problems) = yaml::parse(&file, text);
    let mut fleet = Fleet::default();
    if let Some(root) = root {
        fleet.take(Document { file, root }, "devices", &mut problems);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Imported {
        sites: fleet.sites.into_iter().map(|(name, site)| (name, site.value)).collect(),
        groups: fleet.groups.into_iter().map(|(name, group)| (name, group.value)).collect(),
        devices: fleet.devices.into_iter().map(|(name, device)| (name, device.value)).collect(),
    })
}

/// Replaces a file whole: written beside it, flushed to the disk, renamed. On an error the old file is untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".rmm.{}.{:08x}.tmp", std::process::id(), rand::random::<u32>()));
    let write = || -> io::Result<()> {
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        if let Ok(old) = std::fs::symlink_metadata(path) {
            std::fs::set_permissions(&temporary, old.permissions())?;
        }
        std::fs::rename(&temporary, path)?;
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests;
