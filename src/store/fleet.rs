//! Reads the facts of the whole fleet: one pass over the file, parsed on all cores, handed over in a fixed order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::facts::KEYS_PER_DEVICE;
use super::{Failure, Store, StoreError, facts_read, moment};
use crate::model::facts::{Facts, Section};

/// Devices that one worker reads before it hands them over.
const CHUNK: usize = 64;
/// Chunks that wait for the caller per worker; a full channel makes the worker wait.
const WAITING: usize = 2;
/// Bytes of JSON whose parsed form a worker keeps, for devices that say the same.
const SHARED: usize = 8 * 1024 * 1024;

/// Tells cheaply whether anything has changed on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Device by name.
    pub device: String,
    /// Grows with every change of a section that is not volatile.
    pub generation: i64,
    /// Hash over all sections that are not volatile.
    pub hash: [u8; 16],
    /// When the oldest of them was observed; none where only volatile ones have been.
    pub oldest: Option<DateTime<Utc>>,
}

/// Sections that are read, by id: name, and which members where not all.
type Names<'a> = HashMap<i64, (Arc<str>, Option<&'a BTreeSet<String>>)>;

impl Store {
    /// One small row per device that has facts, by name.
    pub fn fingerprints(&self) -> Result<Vec<Fingerprint>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT d.DeviceId, f.Generation, f.Hash, f.Oldest FROM FactsState f JOIN Devices d ON d.Id = f.Device ORDER BY d.DeviceId",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Fingerprint {
                    device: row.get(0)?,
                    generation: row.get(1)?,
                    hash: row.get(2)?,
                    oldest: Some(row.get(3)?).filter(|at| *at > 0).map(moment::from_millis),
                })
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// The same of one device, where it has facts.
    pub fn fingerprint(&self, device: &str) -> Result<Option<Fingerprint>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT d.DeviceId, f.Generation, f.Hash, f.Oldest FROM FactsState f JOIN Devices d ON d.Id = f.Device WHERE d.DeviceId = ?1",
            )?;
            let row = statement.query_row([device], |row| {
                Ok(Fingerprint {
                    device: row.get(0)?,
                    generation: row.get(1)?,
                    hash: row.get(2)?,
                    oldest: Some(row.get(3)?).filter(|at| *at > 0).map(moment::from_millis),
                })
            });
            Ok(row.optional()?)
        })
    }

    /// When each section of a device was last observed, whether or not it had changed.
    pub fn section_times(&self, device: &str) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT n.Name, j.value FROM Devices d JOIN FactsState f ON f.Device = d.Id, json_each(f.Seen) j
                 JOIN SectionNames n ON n.Id = CAST(j.key AS INTEGER) WHERE d.DeviceId = ?1",
            )?;
            let rows = statement.query_map([device], |row| Ok((row.get(0)?, moment::from_millis(row.get(1)?))))?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Hands the facts of many devices to `f`, one device after another, in the order in which they became known.
    ///
    /// `sections` are names or their beginnings (`security`, `software.os`); none means all. `devices` are names; none
    /// means all that are declared. Devices without facts are left out. Each device is read at one moment.
    pub fn facts_fleet(&self, sections: &[&str], devices: Option<&[&str]>, mut f: impl FnMut(&str, Facts)) -> Result<(), StoreError> {
        let all = BTreeMap::new();
        self.facts_fleet_map(sections, &all, devices, |name, facts| (name.to_owned(), facts), |(name, facts)| f(&name, facts))
    }

    /// The same with work per device: `map` runs on all cores, beside the reading, and `f` gets what it makes of the facts,
    /// in the same fixed order. The facts of a few hundred devices are in memory at a time, never those of all.
    ///
    /// Of a section in `members` only these members are read, where it is a map: most of the time goes into documents of
    /// which a handful of entries matters, such as the list of packages.
    pub fn facts_fleet_map<T: Send>(
        &self,
        sections: &[&str],
        members: &BTreeMap<String, BTreeSet<String>>,
        devices: Option<&[&str]>,
        map: impl Fn(&str, Facts) -> T + Sync,
        mut f: impl FnMut(T),
    ) -> Result<(), StoreError> {
        let (wanted, names) = self.read(|connection| {
            let names = facts_read::names(connection)?;
            let names: Names<'_> = names
                .into_iter()
                .filter(|(_, name)| sections.is_empty() || sections.iter().any(|s| covers(s, name)))
                .map(|(id, name)| {
                    let members = members.get(&*name);
                    (id, (name, members))
                })
                .collect();
            Ok((wanted(connection, devices)?, names))
        })?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 8).min(wanted.len().div_ceil(CHUNK));
        if workers <= 1 {
            let mut shared = Shared::default();
            for chunk in wanted.chunks(CHUNK) {
                for (name, facts) in self.read(|connection| read_chunk(connection, chunk, &names, &mut shared))? {
                    f(map(&name, facts));
                }
            }
            return Ok(());
        }
        std::thread::scope(|scope| {
            let mut receivers = Vec::new();
            for worker in 0..workers {
                let (sender, receiver) = sync_channel(WAITING);
                receivers.push(receiver);
                let (wanted, names, map) = (&wanted, &names, &map);
                scope.spawn(move || self.work(wanted.chunks(CHUNK).skip(worker).step_by(workers), names, map, &sender));
            }
            // Chunk n was given to worker n mod workers: taking turns restores the order.
            for turn in 0..wanted.len().div_ceil(CHUNK) {
                let Ok(chunk) = receivers[turn % workers].recv() else { break };
                chunk?.into_iter().for_each(&mut f);
            }
            Ok(())
        })
    }

    fn work<'a, T>(
        &self,
        chunks: impl Iterator<Item = &'a [(i64, String)]>,
        names: &Names<'_>,
        map: impl Fn(&str, Facts) -> T,
        out: &SyncSender<Result<Vec<T>, StoreError>>,
    ) {
        let mut shared = Shared::default();
        for chunk in chunks {
            let read = self.read(|connection| read_chunk(connection, chunk, names, &mut shared));
            let made = read.map(|devices| devices.into_iter().map(|(name, facts)| map(&name, facts)).collect());
            // Nobody listens any more where the caller has met an error or panicked.
            if out.send(made).is_err() {
                return;
            }
        }
    }
}

pub(super) fn covers(wanted: &str, name: &str) -> bool {
    let wanted = wanted.trim_end_matches('.');
    name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
}

fn wanted(connection: &Connection, devices: Option<&[&str]>) -> Result<Vec<(i64, String)>, Failure> {
    let mut all: Vec<(i64, String)> = match devices {
        None => connection
            .prepare_cached("SELECT Id, DeviceId FROM Devices WHERE RemovedAt IS NULL")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, rusqlite::Error>>()?,
        // Looking up most of a fleet one by one costs more than reading all names.
        Some(devices) if devices.len() > 500 => {
            let asked: HashSet<&str> = devices.iter().copied().collect();
            let mut statement = connection.prepare_cached("SELECT Id, DeviceId FROM Devices")?;
            let mut rows = statement.query([])?;
            let mut found = Vec::with_capacity(devices.len());
            while let Some(row) = rows.next()? {
                let name = row.get_ref(1)?.as_str()?;
                if asked.contains(name) {
                    found.push((row.get(0)?, name.to_owned()));
                }
            }
            found
        }
        Some(devices) => {
            let mut found = Vec::with_capacity(devices.len());
            for name in devices {
                if let Some(id) = super::devices::find(connection, name)? {
                    found.push((id, (*name).to_owned()));
                }
            }
            found
        }
    };
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Parsed documents of one pass by their hash: in a fleet many devices say the same.
#[derive(Default)]
struct Shared {
    documents: HashMap<[u8; 16], Arc<Value>>,
    bytes: usize,
}

fn read_chunk(
    connection: &Connection,
    chunk: &[(i64, String)],
    names: &Names<'_>,
    shared: &mut Shared,
) -> Result<Vec<(String, Facts)>, Failure> {
    let mut state = connection.prepare_cached("SELECT Seen FROM FactsState WHERE Device = ?1")?;
    let mut statement =
        connection.prepare_cached("SELECT Key, Hash, ChangedAt, Status, Reason, Data FROM Sections WHERE Key BETWEEN ?1 AND ?2")?;
    let mut out = Vec::with_capacity(chunk.len());
    for (device, name) in chunk {
        let mut rows = state.query([device])?;
        let Some(row) = rows.next()? else { continue };
        let seen = facts_read::seen(row.get_ref(0)?.as_str().unwrap_or_default());
        let first = device * KEYS_PER_DEVICE;
        let mut rows = statement.query(params![first, first + KEYS_PER_DEVICE - 1])?;
        let mut sections = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let id = row.get::<_, i64>(0)? - first;
            let Some((section, members)) = names.get(&id) else { continue };
            let hash = row.get(1)?;
            let data = if let Some(data) = shared.documents.get(&hash) {
                data.clone()
            } else {
                let data = Arc::new(match members {
                    Some(members) => facts_read::members(row, 5, members)?,
                    None => facts_read::document(row, 5)?,
                });
                let size = row.get_ref(5)?.as_bytes().map_or(0, <[u8]>::len);
                if shared.bytes + size <= SHARED {
                    shared.bytes += size;
                    shared.documents.insert(hash, data.clone());
                }
                data
            };
            let at = match seen.get(&id) {
                Some(at) => *at,
                None => row.get(2)?,
            };
            sections.insert(
                section.clone(),
                Section { data, status: facts_read::status(row, 3)?, hash, collected_at: moment::from_millis(at) },
            );
        }
        if !sections.is_empty() {
            out.push((name.clone(), Facts { sections }));
        }
    }
    Ok(out)
}
