//! Writes what was observed: only what changed becomes a row, and what it replaces becomes history.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::Value;
use sha2::Digest;

use super::{Failure, Store, StoreError, devices, moment, updates};
use crate::model::facts::{Facts, Section, Status};
use crate::model::update::UpdateCause;

/// Most bytes of JSON of one section. A larger one is kept as *unknown*, with the reason.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Sections per device that the key has room for.
pub(super) const KEYS_PER_DEVICE: i64 = 4096;

/// What to do with probe sections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Merge {
    /// A section replaces the one before.
    #[default]
    Replace,
    /// Answers to single probes are added to those known already; the section counts as observed when its oldest answer was.
    Probes,
}

/// What one collection saw of one device.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Device by name.
    pub device: String,
    /// Sections by name; each carries when it was observed.
    pub sections: BTreeMap<Arc<str>, Section>,
    /// What to do with probe sections.
    pub merge: Merge,
}

/// What came of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutOutcome {
    /// Sections that are new or differ.
    pub changed: usize,
    /// Sections that are as they were.
    pub unchanged: usize,
}

/// Whether a section changes by itself all the time: the latest is kept and nothing else.
pub(super) fn is_volatile(section: &str) -> bool {
    section.starts_with("performance.") || section == "network.connections"
}

/// Probe sections are named by the kind of probe alone.
fn is_probe(section: &str) -> bool {
    !section.contains('.')
}

struct Current {
    hash: [u8; 16],
    changed_at: i64,
}

impl Store {
    /// Keeps what was observed, all of it in one transaction. What is unchanged costs one small row per device.
    /// An observation that is older than the one that is known is ignored.
    pub fn put_observations(&self, observations: &[Observation]) -> Result<PutOutcome, StoreError> {
        self.put_observations_after(observations, None)
    }

    /// The same; what differs from before came from this cause.
    pub fn put_observations_after(&self, observations: &[Observation], cause: Option<&UpdateCause>) -> Result<PutOutcome, StoreError> {
        let now = self.now();
        self.write(|tx| {
            let mut names = section_ids(tx)?;
            let mut outcome = PutOutcome::default();
            for observation in observations {
                put(tx, &mut names, observation, (now, cause), &mut outcome)?;
            }
            Ok(outcome)
        })
    }
}

fn section_ids(tx: &Transaction<'_>) -> Result<HashMap<Arc<str>, i64>, Failure> {
    let mut statement = tx.prepare_cached("SELECT Name, Id FROM SectionNames")?;
    let rows = statement.query_map([], |row| Ok((Arc::from(row.get::<_, String>(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
}

fn section_id(tx: &Transaction<'_>, names: &mut HashMap<Arc<str>, i64>, name: &Arc<str>) -> Result<i64, Failure> {
    if let Some(id) = names.get(name) {
        return Ok(*id);
    }
    let id = names.values().max().copied().unwrap_or(0) + 1;
    if id >= KEYS_PER_DEVICE || name.len() > 200 {
        let (what, most) = ("the list of section names".to_owned(), KEYS_PER_DEVICE as u64 - 1);
        return Err(StoreError::TooLarge { what, size: format!("another one, '{}'", super::clip(name, 80)), most }.into());
    }
    tx.prepare_cached("INSERT INTO SectionNames (Id, Name) VALUES (?1, ?2)")?.execute(params![id, &**name])?;
    names.insert(name.clone(), id);
    Ok(id)
}

fn put(
    tx: &Transaction<'_>,
    names: &mut HashMap<Arc<str>, i64>,
    observation: &Observation,
    (now, cause): (DateTime<Utc>, Option<&UpdateCause>),
    outcome: &mut PutOutcome,
) -> Result<(), Failure> {
    let device = devices::intern(tx, &observation.device, now)?;
    let mut current = current_sections(tx, device)?;
    let state: Option<(i64, String)> = tx
        .prepare_cached("SELECT Generation, Seen FROM FactsState WHERE Device = ?1")?
        .query_row([device], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (mut generation, mut seen) = match state {
        Some((generation, seen)) => (generation, serde_json::from_str(&seen).unwrap_or_default()),
        None => (0, BTreeMap::new()),
    };
    let mut differs = generation == 0;
    for (name, section) in &observation.sections {
        let id = section_id(tx, names, name)?;
        let key = device * KEYS_PER_DEVICE + id;
        let known = current.get(&id);
        let last = seen.get(&id).copied();
        if last.is_some_and(|last| moment::millis(section.collected_at) < last) {
            outcome.unchanged += 1;
            continue;
        }
        let mut section = section.clone();
        if observation.merge == Merge::Probes && is_probe(name) && known.is_some() {
            section = merged(tx, key, last, section)?;
        }
        let at = moment::millis(section.collected_at);
        seen.insert(id, at);
        if known.is_some_and(|known| known.hash == section.hash) {
            outcome.unchanged += 1;
            continue;
        }
        if let Some(known) = known
            && !is_volatile(name)
        {
            tx.prepare_cached(
                "INSERT INTO SectionHistory (Key, ValidFrom, ValidTo, LastSeen, Hash, Status, Reason, Data)
                 SELECT Key, ChangedAt, ?2, ?3, Hash, Status, Reason, Data FROM Sections WHERE Key = ?1",
            )?
            .execute(params![key, at, last.unwrap_or(known.changed_at)])?;
        }
        if updates::is_told(name) {
            updates::note(tx, (device, key), name, &section, cause)?;
        }
        write_section(tx, key, &mut section, at)?;
        current.insert(id, Current { hash: section.hash, changed_at: at });
        outcome.changed += 1;
        differs |= !is_volatile(name);
    }
    if differs {
        generation += 1;
    }
    write_state(tx, device, generation, &seen, &current, names)?;
    describe_device(tx, device, observation, now)
}

fn current_sections(tx: &Transaction<'_>, device: i64) -> Result<BTreeMap<i64, Current>, Failure> {
    let mut statement = tx.prepare_cached("SELECT Key, Hash, ChangedAt FROM Sections WHERE Key BETWEEN ?1 AND ?2")?;
    let first = device * KEYS_PER_DEVICE;
    let rows = statement.query_map([first, first + KEYS_PER_DEVICE - 1], |row| {
        Ok((row.get::<_, i64>(0)? - first, Current { hash: row.get(1)?, changed_at: row.get(2)? }))
    })?;
    Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
}

/// The known answers with the new ones put over them.
fn merged(tx: &Transaction<'_>, key: i64, last: Option<i64>, new: Section) -> Result<Section, Failure> {
    let Value::Object(added) = &*new.data else { return Ok(new) };
    let known: String = tx.prepare_cached("SELECT Data FROM Sections WHERE Key = ?1")?.query_row([key], |row| row.get(0))?;
    let Ok(Value::Object(known)) = serde_json::from_str(&known) else { return Ok(new) };
    // Answers that were not asked again are as old as before, and the section is as old as its oldest answer.
    let complete = known.keys().all(|key| added.contains_key(key));
    let at = if complete { new.collected_at } else { last.map_or(new.collected_at, moment::from_millis) };
    // Sorted, so that the order of asking does not show in the hash.
    let all: BTreeMap<String, Value> = known.into_iter().chain(added.iter().map(|(k, v)| (k.clone(), v.clone()))).collect();
    Ok(Section::new(Value::Object(all.into_iter().collect()), new.status, at))
}

fn write_section(tx: &Transaction<'_>, key: i64, section: &mut Section, at: i64) -> Result<(), Failure> {
    let mut text = serde_json::to_string(&*section.data).unwrap_or_default();
    if text.len() > MOST_BYTES {
        let reason = format!("the answer has {} bytes, and at most {MOST_BYTES} are kept", text.len());
        let hash = section.hash;
        *section = Section::new(Value::Null, Status::Unknown(reason), section.collected_at);
        // Of what was observed: the same answer again is no change.
        section.hash = hash;
        text = "null".into();
    }
    let (status, reason) = match &section.status {
        Status::Ok => (0, None),
        Status::Unknown(reason) => (1, Some(super::clip(reason, 4000))),
        Status::Unsupported(reason) => (2, Some(super::clip(reason, 4000))),
    };
    tx.prepare_cached(
        "INSERT INTO Sections (Key, Hash, ChangedAt, Status, Reason, Data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (Key) DO UPDATE SET Hash = ?2, ChangedAt = ?3, Status = ?4, Reason = ?5, Data = ?6",
    )?
    .execute(params![key, section.hash, at, status, reason, text])?;
    Ok(())
}

fn write_state(
    tx: &Transaction<'_>,
    device: i64,
    generation: i64,
    seen: &BTreeMap<i64, i64>,
    current: &BTreeMap<i64, Current>,
    names: &HashMap<Arc<str>, i64>,
) -> Result<(), Failure> {
    let volatile: Vec<i64> = names.iter().filter(|(name, _)| is_volatile(name)).map(|(_, id)| *id).collect();
    let lasting = |id: &i64| !volatile.contains(id);
    let mut hasher = sha2::Sha256::new();
    for (id, section) in current.iter().filter(|(id, _)| lasting(id)) {
        hasher.update(id.to_be_bytes());
        hasher.update(section.hash);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let oldest = seen.iter().filter(|(id, _)| lasting(id)).map(|(_, at)| *at).min().unwrap_or_default();
    tx.prepare_cached(
        "INSERT INTO FactsState (Device, Generation, Hash, Oldest, Seen) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (Device) DO UPDATE SET Generation = ?2, Hash = ?3, Oldest = ?4, Seen = ?5",
    )?
    .execute(params![device, generation, &digest[..16], oldest, serde_json::to_string(seen).unwrap_or_default()])?;
    Ok(())
}

/// Keeps the columns of `Devices` that repeat facts in step with them.
fn describe_device(tx: &Transaction<'_>, device: i64, observation: &Observation, now: DateTime<Utc>) -> Result<(), Failure> {
    let Some(at) = observation.sections.values().map(|s| s.collected_at).max() else { return Ok(()) };
    let inventory = observation.sections.keys().any(|name| !is_volatile(name) && !is_probe(name));
    tx.prepare_cached(
        "UPDATE Devices SET LastSeen = max(coalesce(LastSeen, ''), ?2),
             LastInventory = CASE WHEN ?3 THEN max(coalesce(LastInventory, ''), ?2) ELSE LastInventory END WHERE Id = ?1",
    )?
    .execute(params![device, moment::text(at), inventory])?;
    let facts = Facts { sections: observation.sections.clone() };
    let text = |path: &str| facts.value(path).and_then(Value::as_str);
    if let Some(os) = text("software.os.pretty_name").or_else(|| text("software.os.name")) {
        tx.prepare_cached(
            "UPDATE Devices SET OSName = ?2, OSVersion = ?3, OSBuild = ?4, FQDN = coalesce(?5, FQDN), UpdatedAt = ?6
             WHERE Id = ?1 AND (OSName IS NOT ?2 OR OSVersion IS NOT ?3 OR OSBuild IS NOT ?4 OR (?5 IS NOT NULL AND FQDN IS NOT ?5))",
        )?
        .execute(params![
            device,
            os,
            text("software.os.version_id"),
            text("software.os.kernel"),
            text("software.os.fqdn"),
            moment::text(now)
        ])?;
    }
    if let Some((mac, ip)) = facts.value("network.interfaces").and_then(first_interface) {
        tx.prepare_cached(
            "UPDATE Devices SET MACAddress = ?2, IPAddress = coalesce(IPAddress, ?3), UpdatedAt = ?4
             WHERE Id = ?1 AND (MACAddress IS NOT ?2 OR (IPAddress IS NULL AND ?3 IS NOT NULL))",
        )?
        .execute(params![device, mac, ip, moment::text(now)])?;
    }
    Ok(())
}

/// MAC and address of the first interface that is up, has an address and is not the loopback.
fn first_interface(interfaces: &Value) -> Option<(&str, Option<&str>)> {
    let text = |value: &Value, member: &str| value.get(member)?.as_str().map(str::len);
    interfaces.as_array()?.iter().find_map(|interface| {
        if interface["name"] == "lo" || interface["state"] == "down" || text(interface, "mac").unwrap_or(0) == 0 {
            return None;
        }
        let ip = interface["addresses"].get(0)?.as_str()?.split('/').next();
        Some((interface["mac"].as_str()?, ip))
    })
}
