//! Reads what is known of one device, now or on a past day.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::facts::{KEYS_PER_DEVICE, is_volatile};
use super::{Failure, Store, StoreError, devices, moment};
use crate::model::facts::{Facts, Section, Status};

/// Most versions that a history returns, newest kept.
const MOST_VERSIONS: usize = 10_000;

/// What a path held for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct FactVersion {
    /// First observation that found it.
    pub from: DateTime<Utc>,
    /// First observation that found something else; none where it still holds.
    pub to: Option<DateTime<Utc>>,
    /// Last observation that found it.
    pub last_seen: DateTime<Utc>,
    /// Whether the section could be observed.
    pub status: Status,
    /// The value; none where the section did not have the path.
    pub value: Option<Value>,
}

/// Section names by id.
pub(super) fn names(connection: &Connection) -> Result<HashMap<i64, Arc<str>>, Failure> {
    let mut statement = connection.prepare_cached("SELECT Id, Name FROM SectionNames")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, Arc::from(row.get::<_, String>(1)?))))?;
    Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
}

/// When which section of a device was last observed.
pub(super) fn seen(text: &str) -> BTreeMap<i64, i64> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The status in the columns `Status` and `Reason`.
pub(super) fn status(row: &Row<'_>, column: usize) -> rusqlite::Result<Status> {
    let reason = || row.get::<_, Option<String>>(column + 1).map(Option::unwrap_or_default);
    Ok(match row.get::<_, i64>(column)? {
        0 => Status::Ok,
        1 => Status::Unknown(reason()?),
        _ => Status::Unsupported(reason()?),
    })
}

/// The document in a column.
pub(super) fn document(row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    let bytes = row.get_ref(column)?.as_bytes()?;
    serde_json::from_slice(bytes).map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e)))
}

/// Of the document in a column only these members; all of it where it is not a map.
pub(super) fn members(row: &Row<'_>, column: usize, wanted: &BTreeSet<String>) -> rusqlite::Result<Value> {
    let bytes = row.get_ref(column)?.as_bytes()?;
    if bytes.first() != Some(&b'{') {
        return document(row, column);
    }
    members_of(bytes, wanted).map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e)))
}

/// Only these members of a document, where it is a map.
pub(super) fn members_of(bytes: &[u8], wanted: &BTreeSet<String>) -> serde_json::Result<Value> {
    if bytes.first() != Some(&b'{') {
        return serde_json::from_slice(bytes);
    }
    Members(wanted).deserialize(&mut serde_json::Deserializer::from_slice(bytes))
}

/// Reads a map and steps over the members that are not wanted.
struct Members<'a>(&'a BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut found = serde_json::Map::new();
        while let Some(name) = map.next_key_seed(Name(self.0))? {
            match name {
                Some(name) => drop(found.insert(name.to_owned(), map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Object(found))
    }
}

/// The name of a member, where it is wanted.
struct Name<'a>(&'a BTreeSet<String>);

impl<'de, 'a> DeserializeSeed<'de> for Name<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Name<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let same = |name: &str| self.0.get(name).map(String::as_str);
        // Names of Windows are the same in large and small letters: asked for in small ones too, they are given so.
        Ok(same(name).or_else(|| if name.bytes().any(|b| b.is_ascii_uppercase()) { same(&name.to_ascii_lowercase()) } else { None }))
    }
}

impl Store {
    /// What is known of a device; with `at`, what was known at that time. Of a past version, `collected_at` is an
    /// observation that certainly had been made by then. Volatile sections have no past.
    pub fn facts(&self, device: &str, at: Option<DateTime<Utc>>) -> Result<Facts, StoreError> {
        self.read(|connection| {
            let mut facts = Facts::default();
            let Some(id) = devices::find(connection, device)? else { return Ok(facts) };
            let names = names(connection)?;
            let seen = device_seen(connection, id)?;
            let first = id * KEYS_PER_DEVICE;
            let at = at.map_or(i64::MAX, moment::millis);
            let mut statement = connection.prepare_cached(
                "SELECT Key, Hash, ChangedAt, Status, Reason, Data FROM Sections WHERE Key BETWEEN ?1 AND ?2 AND ChangedAt <= ?3",
            )?;
            let mut rows = statement.query(params![first, first + KEYS_PER_DEVICE - 1, at])?;
            while let Some(row) = rows.next()? {
                let id = row.get::<_, i64>(0)? - first;
                let Some(name) = names.get(&id) else { continue };
                let changed: i64 = row.get(2)?;
                let last = seen.get(&id).copied().unwrap_or(changed);
                facts.sections.insert(name.clone(), section(row, if last <= at { last } else { changed })?);
            }
            if at == i64::MAX {
                return Ok(facts);
            }
            let mut statement = connection.prepare_cached(
                "SELECT Key, Hash, ValidFrom, Status, Reason, Data, LastSeen FROM SectionHistory
                 WHERE Key BETWEEN ?1 AND ?2 AND ValidFrom <= ?3 AND ValidTo > ?3 ORDER BY Key, ValidFrom",
            )?;
            let mut rows = statement.query(params![first, first + KEYS_PER_DEVICE - 1, at])?;
            while let Some(row) = rows.next()? {
                let Some(name) = names.get(&(row.get::<_, i64>(0)? - first)) else { continue };
                let (from, last): (i64, i64) = (row.get(2)?, row.get(6)?);
                facts.sections.insert(name.clone(), section(row, if last <= at { last } else { from })?);
            }
            Ok(facts)
        })
    }

    /// How the value at a path changed, oldest first.
    pub fn history(&self, device: &str, path: &str) -> Result<Vec<FactVersion>, StoreError> {
        self.read(|connection| {
            let Some(id) = devices::find(connection, device)? else { return Ok(Vec::new()) };
            let names = names(connection)?;
            let belongs = |name: &str| path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            let Some((section_id, name)) = names.iter().filter(|(_, name)| belongs(name)).max_by_key(|(_, name)| name.len()) else {
                return Ok(Vec::new());
            };
            let key = id * KEYS_PER_DEVICE + section_id;
            let last = device_seen(connection, id)?.get(section_id).copied();
            let mut statement = connection.prepare_cached(
                "SELECT ValidFrom, ValidTo, LastSeen, Status, Reason, Data, Hash FROM SectionHistory WHERE Key = ?1
                 UNION ALL
                 SELECT ChangedAt, NULL, NULL, Status, Reason, Data, Hash FROM Sections WHERE Key = ?1
                 ORDER BY 1 DESC LIMIT ?2",
            )?;
            let mut rows = statement.query(params![key, MOST_VERSIONS as i64])?;
            let mut versions: Vec<FactVersion> = Vec::new();
            while let Some(row) = rows.next()? {
                let from: i64 = row.get(0)?;
                let section = Section {
                    data: Arc::new(document(row, 5)?),
                    status: status(row, 3)?,
                    hash: row.get(6)?,
                    collected_at: moment::from_millis(from),
                };
                let facts = Facts { sections: BTreeMap::from([(name.clone(), section)]) };
                let value = facts.value(path).cloned();
                let status = facts.sections.into_values().next().map(|s| s.status).unwrap_or_default();
                // Newest first: an older version with the same value extends the one after it.
                if let Some(next) = versions.last_mut()
                    && next.value == value
                    && next.status == status
                {
                    next.from = moment::from_millis(from);
                    continue;
                }
                versions.push(FactVersion {
                    from: moment::from_millis(from),
                    to: row.get::<_, Option<i64>>(1)?.map(moment::from_millis),
                    last_seen: moment::from_millis(row.get::<_, Option<i64>>(2)?.or(last).unwrap_or(from)),
                    status,
                    value,
                });
            }
            versions.reverse();
            if is_volatile(name) {
                versions.retain(|version| version.to.is_none());
            }
            Ok(versions)
        })
    }
}

fn device_seen(connection: &Connection, device: i64) -> Result<BTreeMap<i64, i64>, Failure> {
    let mut statement = connection.prepare_cached("SELECT Seen FROM FactsState WHERE Device = ?1")?;
    let text: Option<String> = statement.query_row([device], |row| row.get(0)).optional()?;
    Ok(text.as_deref().map(seen).unwrap_or_default())
}

/// A section from the columns Hash (1), Status (3), Reason (4), Data (5).
fn section(row: &Row<'_>, collected: i64) -> rusqlite::Result<Section> {
    Ok(Section {
        data: Arc::new(document(row, 5)?),
        status: status(row, 3)?,
        hash: row.get(1)?,
        collected_at: moment::from_millis(collected),
    })
}
