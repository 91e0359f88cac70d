//! What says of itself that twice is as once is done twice: every setting, and every action whose head says `idempotent: true`. The
//! second time nothing on the device changes. Whoever adds one has to say here how it is tried.
//!
//! Most are carried out on a real Debian device. What a device in a folder must not be asked for (the kernel, the clock and the network
//! are this machine's) and what other systems have is recorded: observed as it is afterwards, nothing is left to be done; and an
//! action asks for the same twice, and for nothing that adds up.

mod actions;
mod settings;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rmm::model::Operation;
use rmm::model::facts::{Facts, Section, Status};
use rmm::model::operation::{Reply, Shell};
use rmm::script::{Host, HostError, render};
use serde_json::Value;

use crate::debian::Device;

/// Words of commands that leave more behind each time.
const ADDS_UP: [&str; 4] = ["Add-Content", "-Append", ">>", "tee -a"];

/// Facts of a device that is not there.
fn facts(sections: &[(&str, Value)]) -> Facts {
    let section = |(name, data): &(&str, Value)| ((*name).into(), Section::new(data.clone(), Status::Ok, chrono::Utc::now()));
    Facts { sections: sections.iter().map(section).collect() }
}

/// Carries operations out on a device, whatever was observed of it.
struct Inside {
    device: Arc<Device>,
    facts: Arc<Facts>,
}

impl Host for Inside {
    fn perform(&mut self, operation: &Operation) -> Result<Reply, HostError> {
        let rendered = render(operation, Shell::Posix);
        let output = self.device.sh(&rendered.line, &rendered.input.unwrap_or_default());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Reply { code: output.status.code().unwrap_or(255), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    fn fact(&self, path: &str) -> Option<Value> {
        self.facts.value(path).cloned()
    }
}

/// What the device consists of: kind, mode, owner and content of every file. What the kernel and its programs keep for themselves is
/// left out: processes, logs, caches, and the copies that package managers make of what was before.
fn fingerprint(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let own = ["proc", "sys", "dev", "run", "var/log", "var/cache", "usr/share/doc", "usr/share/locale", "usr/share/zoneinfo"];
            if own.contains(&name.as_str()) || name.ends_with("-old") || name.ends_with('-') || name.ends_with("lock") {
                continue;
            }
            let Ok(meta) = path.symlink_metadata() else { continue };
            if meta.is_dir() {
                left.push(path.clone());
            }
            let mut content = DefaultHasher::new();
            if meta.is_symlink() {
                std::fs::read_link(&path).unwrap().hash(&mut content);
            } else if meta.is_file() && ["usr/", "tmp/", "var/tmp/"].iter().any(|folder| name.starts_with(folder)) {
                // Nobody writes into what packages bring: it is replaced. And what is read has been touched.
                (meta.len(), meta.ino()).hash(&mut content);
            } else if meta.is_file() {
                std::fs::read(&path).unwrap().hash(&mut content);
            }
            found.insert(name, format!("{:o} {}:{} {:x}", meta.mode(), meta.uid(), meta.gid(), content.finish()));
        }
    }
    found
}

/// Names that are not as they were.
fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let text = |map: &BTreeMap<String, String>, name| map.get(name).cloned().unwrap_or_else(|| "absent".into());
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|n| format!("{n}: {} -> {}", text(before, n), text(after, n)))
        .collect()
}
