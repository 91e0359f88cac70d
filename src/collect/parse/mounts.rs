//! Mounted file systems, `/etc/fstab` and the sizes of volumes.

use serde_json::{Map, Value, json};

use crate::collect::raw::{Parsed, Raw, unknown};
use crate::model::facts::Status;

/// Most mounts that are kept; container hosts have thousands.
const MAX_MOUNTS: usize = 500;

/// One line of /proc/mounts or fstab.
pub(in crate::collect) struct Mount {
    pub(in crate::collect) device: String,
    pub(in crate::collect) mount: String,
    pub(in crate::collect) fs: String,
    options: Vec<String>,
}

/// A volume with its sizes in bytes.
pub(in crate::collect) struct Volume {
    pub(in crate::collect) mount: String,
    pub(in crate::collect) device: String,
    pub(in crate::collect) fs: String,
    pub(in crate::collect) size: u64,
    pub(in crate::collect) free: u64,
    pub(in crate::collect) available: u64,
}

/// `\040` and its like back to the byte that they stand for.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let Some((&first, rest)) = bytes.split_first() {
        let octal = (first == b'\\').then(|| rest.get(..3)).flatten();
        match octal.and_then(|o| std::str::from_utf8(o).ok()).and_then(|o| u8::from_str_radix(o, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                bytes = &rest[3..];
            }
            None => {
                out.push(first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn table(lines: &[&str]) -> Vec<Mount> {
    let line = |line: &&str| {
        let mut words = line.split_ascii_whitespace();
        let device = words.next().filter(|w| !w.starts_with('#'))?;
        let (mount, fs) = (words.next()?, words.next()?);
        let options = words.next().unwrap_or("defaults").split(',').map(str::to_owned).collect();
        Some(Mount { device: unescape(device), mount: unescape(mount), fs: fs.to_owned(), options })
    };
    lines.iter().filter_map(line).collect()
}

/// What is mounted, in the order of mounting; a later mount on the same place hides the earlier one.
pub(in crate::collect) fn mounted(raw: &Raw<'_>) -> Vec<Mount> {
    table(raw.lines("/proc/mounts"))
}

fn to_map(mounts: Vec<Mount>) -> Value {
    let mut sorted = std::collections::BTreeMap::new();
    for m in mounts.into_iter().take(MAX_MOUNTS) {
        sorted.insert(m.mount, json!({"device": m.device, "fs": m.fs, "options": m.options}));
    }
    Value::Object(sorted.into_iter().collect::<Map<_, _>>())
}

pub(in crate::collect) fn mounts(raw: &Raw<'_>) -> Parsed {
    let mounts = mounted(raw);
    if mounts.is_empty() { unknown("/proc/mounts cannot be read") } else { Ok(to_map(mounts)) }
}

pub(in crate::collect) fn fstab(raw: &Raw<'_>) -> Parsed {
    let mounts = table(raw.lines("/etc/fstab"));
    // Swap has no place of its own: it is listed under its device.
    let named = |mut m: Mount| {
        if m.fs == "swap" {
            m.mount.clone_from(&m.device);
        }
        m
    };
    Ok(to_map(mounts.into_iter().map(named).collect()))
}

/// File systems with data of their own, by mount.
pub(in crate::collect) fn volumes(raw: &Raw<'_>) -> Result<Vec<Volume>, Status> {
    let mounted = mounted(raw);
    let mut volumes = std::collections::BTreeMap::new();
    for line in raw.block("volumes").unwrap_or_default().lines() {
        let mut words = line.splitn(5, ' ');
        let mut number = || words.next().and_then(|w| w.parse::<u64>().ok());
        let (Some(block), Some(size), Some(free), Some(available)) = (number(), number(), number(), number()) else { continue };
        let Some(mount) = words.next() else { continue };
        let Some(from) = mounted.iter().rev().find(|m| m.mount == mount) else { continue };
        volumes.insert(
            mount.to_owned(),
            Volume {
                mount: mount.to_owned(),
                device: from.device.clone(),
                fs: from.fs.clone(),
                size: size.saturating_mul(block),
                free: free.saturating_mul(block),
                available: available.saturating_mul(block),
            },
        );
    }
    if volumes.is_empty() { unknown("no file system told its size") } else { Ok(volumes.into_values().filter(|v| v.size > 0).collect()) }
}

pub(in crate::collect) fn hardware_volumes(raw: &Raw<'_>) -> Parsed {
    let list = volumes(raw)?.into_iter().map(|v| json!({"mount": v.mount, "device": v.device, "fs": v.fs, "size_bytes": v.size}));
    Ok(Value::Array(list.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_mount_table_are_undone() {
        assert_eq!(unescape(r"/mnt/a\040b\134c"), r"/mnt/a b\c");
        assert_eq!(unescape(r"/mnt/\0"), r"/mnt/\0");
    }
}
