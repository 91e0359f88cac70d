//! The facts of a fleet in one file, for reviewing where there is no database: written from the store, read section by section.
//!
//! The file is gzip of lines: a header in a first member, then one member per section, so that a reader unpacks only what it
//! looks at; `zcat` shows all of it. Sizes and hashes stand in the header: nothing larger or other than that is unpacked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::moment;
use crate::diagnose::{Category, Diagnose};
use crate::model::facts::{Facts, Section, Status};
use crate::plan::review::Wanted;

/// The version of the form. A reader refuses another major.
pub const STATE_SCHEMA: &str = "rmm.state/1";
/// Largest file that is read.
const MAX_FILE: u64 = 512 * 1024 * 1024;
/// Largest header, unpacked.
const MAX_HEADER: u64 = 4 * 1024 * 1024;
/// Most that the sections which are looked at may have, unpacked.
const MAX_UNPACKED: u64 = 2 * 1024 * 1024 * 1024;
/// Identifiers of a machine, by the beginning of the section's name. They are taken out wherever no policy reads them.
const IDENTIFIERS: [(&str, &[&str]); 4] = [
    ("software.os", &["machine_id", "boot_time", "fqdn"]),
    ("hardware.", &["serial", "uuid", "asset_tag", "mac"]),
    ("network.interfaces", &["mac"]),
    ("security.authorized_keys", &["comment"]),
];

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system refused.
    #[error("the state file {path} cannot be used: {why}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Something else than a state file.
    #[error("{path} is not a state file of rmm", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error("the state file {path} has the form '{found}', and this rmm reads {STATE_SCHEMA}", path = .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: String,
    },
    /// Cut off or altered.
    #[error("the state file {path} is damaged: {why}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// More than may be unpacked.
    #[error("the state file {path} is too large: {why}", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What of it.
        why: String,
    },
}

impl Diagnose for StateError {
    fn code(&self) -> &'static str {
        "RMM0552"
    }

    fn category(&self) -> Category {
        Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Io { .. } => "check the path and its permissions".into(),
            Self::Newer { .. } => "use the version of rmm that wrote it, or export it again with this one".into(),
            Self::Foreign { .. } | Self::Damaged { .. } | Self::TooLarge { .. } => "export it again: rmm state export --out FILE".into(),
        })
    }
}

/// The first line of a state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// [`STATE_SCHEMA`].
    pub schema: String,
    /// When it was written.
    pub exported_at: DateTime<Utc>,
    /// Version of the program that wrote it.
    pub version: String,
    /// How many devices it speaks of.
    pub devices: usize,
    /// Hex SHA-256 over the sections, for telling two states apart.
    pub hash: String,
    /// Paths that were taken out.
    #[serde(default)]
    pub removed: Vec<String>,
    /// The sections in the order of the file.
    pub sections: Vec<Part>,
}

/// One section of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Name, `security.sshd`.
    pub name: String,
    /// Bytes in the file.
    pub packed: u64,
    /// Bytes unpacked.
    pub size: u64,
    /// Hex SHA-256 of the bytes in the file.
    pub sha256: String,
}

/// A line without its value: device, when, status, reason, or the earlier line of which it repeats the value.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    d: std::borrow::Cow<'a, str>,
    t: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<Status>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    like: Option<usize>,
}

/// A section being packed.
struct Packing {
    encoder: GzEncoder<Vec<u8>>,
    size: u64,
    lines: usize,
    known: HashMap<[u8; 16], usize>,
}

impl super::Store {
    /// The facts of every declared device as the bytes of a state file.
    pub fn export_state(&self, wanted: &Wanted, now: DateTime<Utc>) -> Result<(Vec<u8>, Header), super::StoreError> {
        let mut parts: BTreeMap<Arc<str>, Packing> = BTreeMap::new();
        let mut removed: BTreeSet<String> = BTreeSet::new();
        let mut devices = 0;
        let sections: Vec<&str> = wanted.sections.iter().map(String::as_str).collect();
        self.facts_fleet(&sections, None, |name, facts| {
            devices += 1;
            for (section, seen) in facts.sections {
                let names = identifiers(&section);
                let part = parts.entry(Arc::clone(&section)).or_insert_with(|| Packing {
                    encoder: GzEncoder::new(Vec::new(), Compression::new(6)),
                    size: 0,
                    lines: 0,
                    known: HashMap::new(),
                });
                let like = part.known.get(&seen.hash).copied();
                let line =
                    Line { d: name.into(), t: moment::millis(seen.collected_at), s: Some(seen.status).filter(|s| *s != Status::Ok), like };
                let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
                if like.is_none() {
                    part.known.insert(seen.hash, part.lines);
                    let mut data = (*seen.data).clone();
                    if let (Some(secret), Some(map)) = (wanted.secret.get(&*section), data.as_object_mut()) {
                        map.retain(|key, _| !secret.contains(key));
                    }
                    strip(&mut data, &section, &names, wanted, &mut removed);
                    bytes.push(b'\t');
                    bytes.extend(serde_json::to_vec(&data).unwrap_or_default());
                }
                bytes.push(b'\n');
                part.lines += 1;
                part.size += bytes.len() as u64;
                // Writing to memory does not fail.
                let _ = part.encoder.write_all(&bytes);
            }
        })?;
        let mut header = Header {
            schema: STATE_SCHEMA.into(),
            exported_at: now,
            version: env!("CARGO_PKG_VERSION").into(),
            devices,
            hash: String::new(),
            removed: removed.into_iter().collect(),
            sections: Vec::new(),
        };
        let mut body = Vec::new();
        let mut all = Sha256::new();
        for (name, part) in parts {
            let packed = part.encoder.finish().unwrap_or_default();
            let digest: [u8; 32] = Sha256::digest(&packed).into();
            all.update(digest);
            header.sections.push(Part {
                name: name.to_string(),
                packed: packed.len() as u64,
                size: part.size,
                sha256: hex::encode(digest),
            });
            body.extend(packed);
        }
        let digest: [u8; 32] = all.finalize().into();
        header.hash = hex::encode(digest);
        let mut head = GzEncoder::new(Vec::new(), Compression::new(6));
        let _ = head.write_all(&serde_json::to_vec(&header).unwrap_or_default()).and_then(|()| head.write_all(b"\n"));
        let mut bytes = head.finish().unwrap_or_default();
        bytes.extend(body);
        Ok((bytes, header))
    }
}

fn identifiers(section: &str) -> Vec<&'static str> {
    let matching = IDENTIFIERS.iter().filter(|(start, _)| section == *start || start.ends_with('.') && section.starts_with(start));
    matching.flat_map(|(_, names)| names.iter().copied()).collect()
}

/// Takes identifiers out, at any depth.
fn strip(data: &mut Value, section: &str, names: &[&str], wanted: &Wanted, removed: &mut BTreeSet<String>) {
    match data {
        Value::Object(map) => {
            for name in names {
                let path = format!("{section}.{name}");
                if map.contains_key(*name) && !wanted.read.contains(&path) {
                    map.remove(*name);
                    removed.insert(path);
                }
            }
            map.values_mut().for_each(|value| strip(value, section, names, wanted, removed));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| strip(value, section, names, wanted, removed)),
        _ => {}
    }
}

/// A state file whose header has been read.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    bytes: Vec<u8>,
    header: Header,
    /// Where each section begins.
    starts: Vec<usize>,
    /// Sections that must not be used as evidence.
    hidden: BTreeSet<String>,
}

impl StateFile {
    /// Opens a file and reads its header.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let io = |error: std::io::Error| StateError::Io { path: path.to_owned(), why: error.to_string() };
        let file = std::fs::File::open(path).map_err(io)?;
        let data = file.metadata().map_err(io)?;
        if data.is_file() && data.len() > MAX_FILE {
            return Err(StateError::TooLarge { path: path.to_owned(), why: "a state file has at most 512 MiB".into() });
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(StateError::TooLarge { path: path.to_owned(), why: "a state file has at most 512 MiB".into() });
        }
        let foreign = || StateError::Foreign { path: path.to_owned() };
        let mut rest = bytes.as_slice();
        let mut text = Vec::new();
        GzDecoder::new(&mut rest).take(MAX_HEADER + 1).read_to_end(&mut text).map_err(|_| foreign())?;
        if text.len() as u64 > MAX_HEADER {
            return Err(foreign());
        }
        let value: Value = serde_json::from_slice(&text).map_err(|_| foreign())?;
        let schema = value.get("schema").and_then(Value::as_str).ok_or_else(foreign)?.to_owned();
        if schema != STATE_SCHEMA {
            return Err(if schema.starts_with("rmm.state/") {
                StateError::Newer { path: path.to_owned(), found: schema.chars().filter(|c| !c.is_control()).take(40).collect() }
            } else {
                foreign()
            });
        }
        let damaged = |why: &str| StateError::Damaged { path: path.to_owned(), why: why.to_owned() };
        let header: Header = serde_json::from_value(value).map_err(|_| damaged("its header lacks members"))?;
        let mut start = bytes.len() - rest.len();
        let mut starts = Vec::new();
        for part in &header.sections {
            starts.push(start);
            start = usize::try_from(part.packed)
                .ok()
                .and_then(|packed| start.checked_add(packed))
                .ok_or_else(|| damaged("a size that cannot be"))?;
        }
        if start != bytes.len() {
            return Err(damaged(if start > bytes.len() { "it is cut off" } else { "there is more in it than its header says" }));
        }
        // All of it, whatever will be looked at: a file that is damaged anywhere is not trusted anywhere.
        for (part, start) in header.sections.iter().zip(&starts) {
            let digest: [u8; 32] = Sha256::digest(&bytes[*start..*start + part.packed as usize]).into();
            if hex::encode(digest) != part.sha256 {
                return Err(damaged(&format!("the section '{}' is not what its header says", part.name.escape_debug())));
            }
        }
        Ok(Self { path: path.to_owned(), bytes, header, starts, hidden: BTreeSet::new() })
    }

    /// What the first line says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Gives this section out no more: what is asked of it was taken out, and absent must not be taken for evidence.
    pub fn hide(&mut self, section: &str) {
        self.hidden.insert(section.to_owned());
    }

    fn damaged(&self, why: impl Into<String>) -> StateError {
        StateError::Damaged { path: self.path.clone(), why: why.into() }
    }

    /// The lines of the sections that are asked for.
    pub(super) fn columns(&self, sections: &[&str]) -> Result<Vec<Column>, StateError> {
        let wanted = |name: &str| sections.is_empty() || sections.iter().any(|s| super::fleet::covers(s, name));
        let mut left = MAX_UNPACKED;
        let mut columns = Vec::new();
        for (part, start) in self.header.sections.iter().zip(&self.starts) {
            if !wanted(&part.name) || self.hidden.contains(&part.name) {
                continue;
            }
            if part.size > left {
                return Err(StateError::TooLarge { path: self.path.clone(), why: "unpacked it has more than 2 GiB".into() });
            }
            left -= part.size;
            let packed = self.bytes.get(*start..start + part.packed as usize).unwrap_or_default();
            let mut text = Vec::new();
            let read = GzDecoder::new(packed).take(part.size + 1).read_to_end(&mut text);
            if read.is_err() || text.len() as u64 != part.size {
                return Err(self.damaged(format!("the section '{}' is not what its header says", part.name.escape_debug())));
            }
            let text = String::from_utf8(text).map_err(|_| self.damaged("it is not UTF-8"))?;
            columns.push(Column::read(&part.name, text).ok_or_else(|| self.damaged(format!("a line of '{}'", part.name.escape_debug())))?);
        }
        Ok(columns)
    }
}

/// One section of all devices.
pub(super) struct Column {
    name: Arc<str>,
    text: String,
    rows: HashMap<String, Row>,
}

struct Row {
    at: DateTime<Utc>,
    status: Status,
    /// Where the value stands in the text.
    value: std::ops::Range<usize>,
}

impl Column {
    fn read(name: &str, text: String) -> Option<Self> {
        let mut rows = HashMap::new();
        let mut values: Vec<std::ops::Range<usize>> = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let whole = line.trim_end_matches('\n');
            let (head, value) = match whole.find('\t') {
                Some(tab) => (&whole[..tab], start + tab + 1..start + whole.len()),
                None => (whole, 0..0),
            };
            let line_read: Line<'_> = serde_json::from_str(head).ok()?;
            let value = match line_read.like {
                Some(earlier) => values.get(earlier)?.clone(),
                None => value,
            };
            values.push(value.clone());
            let row = Row { at: moment::from_millis(line_read.t), status: line_read.s.unwrap_or_default(), value };
            rows.insert(line_read.d.into_owned(), row);
            start += line.len();
        }
        Some(Self { name: name.into(), text, rows })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Adds the section of a device to its facts, where there is one.
    pub(super) fn add(&self, device: &str, members: Option<&BTreeSet<String>>, facts: &mut Facts) {
        let Some(row) = self.rows.get(device) else { return };
        let text = self.text.get(row.value.clone()).unwrap_or_default();
        // What does not read as JSON is not known; the hash has been checked, so only a strange writer makes such a line.
        let read = match members {
            Some(members) => super::facts_read::members_of(text.as_bytes(), members),
            None => serde_json::from_str(text),
        };
        let section = match read {
            Ok(data) => Section { data: Arc::new(data), status: row.status.clone(), hash: [0; 16], collected_at: row.at },
            Err(_) => Section {
                data: Arc::new(Value::Null),
                status: Status::Unknown("the state file holds no value".into()),
                hash: [0; 16],
                collected_at: row.at,
            },
        };
        facts.sections.insert(Arc::clone(&self.name), section);
    }
}
