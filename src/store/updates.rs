//! Updates: since when each has been known, what people decided, and which packages changed where, by whom.
//!
//! The first and the last are written with the facts that tell them, in one transaction: see `facts`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::Value;

use super::audit::{self, AuditEvent};
use super::{Failure, Store, StoreError, column, moment};
use crate::model::facts::{Section, Status};
use crate::model::update::{Decided, Offer, PackageChange, Ruling, SECTION, UpdateCause};

/// The section whose changes are the history.
const PACKAGES: &str = "software.packages";
/// Most changes that one observation adds: a device that was installed anew is no list of updates.
const MOST: usize = 2_000;

/// Which changes of packages.
#[derive(Debug, Clone, Default)]
pub struct UpdateHistoryFilter {
    /// On these devices; on all where none is named.
    pub devices: Option<BTreeSet<String>>,
    /// Of this package.
    pub package: Option<String>,
    /// Of this run.
    pub run: Option<String>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A change of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateHistoryRow {
    /// Device by name.
    pub device: String,
    /// When it was seen.
    pub at: DateTime<Utc>,
    /// What changed.
    pub change: PackageChange,
    /// What did it; `None` where a collection saw it.
    pub cause: Option<UpdateCause>,
}

impl Store {
    /// Keeps a decision by hand, in place of one about the same updates and devices.
    pub fn decide_update(&self, decided: &Decided, event: AuditEvent) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "INSERT INTO UpdateDecisions (Name, Version, Targets, Ruling, Until, Reason, DecidedBy, DecidedAt)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET Ruling = ?4, Until = ?5, Reason = ?6, DecidedBy = ?7, DecidedAt = ?8",
            )?
            .execute(params![
                decided.name,
                decided.version.as_deref().unwrap_or_default(),
                column::to_json(&decided.targets),
                decided.ruling.as_str(),
                decided.until.map(moment::text),
                super::clip(&decided.reason, 4000),
                decided.by,
                moment::text(decided.at)
            ])?;
            audit::append(tx, &event)?;
            Ok(())
        })
    }

    /// Takes a decision by hand back. [`StoreError::Missing`] where there is none.
    pub fn forget_update_decision(
        &self,
        name: &str,
        version: Option<&str>,
        targets: &[String],
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let removed = tx
                .prepare_cached("DELETE FROM UpdateDecisions WHERE Name = ?1 AND Version = ?2 AND Targets = ?3")?
                .execute(params![name, version.unwrap_or_default(), column::to_json(&targets)])?;
            if removed == 0 {
                return Err(StoreError::Missing { what: "decision about updates", name: name.to_owned() }.into());
            }
            audit::append(tx, &event)?;
            Ok(())
        })
    }

    /// All decisions by hand, by name.
    pub fn update_decisions(&self) -> Result<Vec<Decided>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT Name, Version, Targets, Ruling, Until, Reason, DecidedBy, DecidedAt FROM UpdateDecisions
                 ORDER BY Name, Version, Targets",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Decided {
                    name: row.get(0)?,
                    version: Some(row.get::<_, String>(1)?).filter(|version| !version.is_empty()),
                    targets: column::json(row, 2)?,
                    ruling: column::word(row, 3, Ruling::parse)?,
                    until: column::time_or_null(row, 4)?,
                    reason: row.get(5)?,
                    by: row.get(6)?,
                    at: column::time(row, 7)?,
                })
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// When each update was first offered to any device: by name and version.
    pub fn updates_seen(&self) -> Result<HashMap<(String, String), DateTime<Utc>>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT Name, Version, FirstSeen FROM UpdatesSeen")?;
            let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), column::time(row, 2)?)))?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Packages that changed, the latest first.
    pub fn update_history(&self, filter: &UpdateHistoryFilter) -> Result<Vec<UpdateHistoryRow>, StoreError> {
        let most = filter.limit.unwrap_or(usize::MAX);
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT d.DeviceId, h.At, h.Package, h.FromVersion, h.ToVersion, h.Action, h.Undone, h.Run, h.ChangedBy
                 FROM UpdateHistory h JOIN Devices d ON d.Id = h.Device
                 WHERE (?1 IS NULL OR h.Package = ?1) AND (?2 IS NULL OR h.Run = ?2) AND (?3 IS NULL OR h.At >= ?3)
                 ORDER BY h.At DESC, h.Id DESC",
            )?;
            let mut rows = statement.query(params![filter.package, filter.run, filter.since.map(moment::millis)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let device: String = row.get(0)?;
                if filter.devices.as_ref().is_some_and(|wanted| !wanted.contains(&device)) {
                    continue;
                }
                if found.len() >= most {
                    break;
                }
                let text = |i| row.get::<_, Option<String>>(i);
                let action = text(5)?;
                let undone = row.get(6)?;
                let (run, by) = (text(7)?.unwrap_or_default(), text(8)?.unwrap_or_default());
                found.push(UpdateHistoryRow {
                    device,
                    at: moment::from_millis(row.get(1)?),
                    change: PackageChange { package: row.get(2)?, from: text(3)?, to: text(4)? },
                    cause: action.map(|action| UpdateCause { action, undone, run, by }),
                });
            }
            Ok(found)
        })
    }
}

/// Whether what a section said before tells something when it changes.
pub(super) fn is_told(section: &str) -> bool {
    section == PACKAGES || section == SECTION
}

/// Keeps what a changed section tells of updates. Called before it is replaced.
pub(super) fn note(
    tx: &Transaction<'_>,
    (device, key): (i64, i64),
    name: &str,
    section: &Section,
    cause: Option<&UpdateCause>,
) -> Result<(), Failure> {
    if section.status != Status::Ok {
        return Ok(());
    }
    if name == SECTION {
        let at = moment::text(section.collected_at);
        let mut insert =
            tx.prepare_cached("INSERT INTO UpdatesSeen (Name, Version, FirstSeen) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
        for offer in Offer::list(&section.data) {
            insert.execute(params![offer.name, offer.offered, at])?;
        }
        return Ok(());
    }
    let known: Option<String> =
        tx.prepare_cached("SELECT Data FROM Sections WHERE Key = ?1 AND Status = 0")?.query_row([key], |row| row.get(0)).optional()?;
    let Some(Value::Object(known)) = known.and_then(|text| serde_json::from_str(&text).ok()) else { return Ok(()) };
    let Value::Object(now) = &*section.data else { return Ok(()) };
    let versions = |map: &serde_json::Map<String, Value>| -> BTreeMap<String, String> {
        map.iter().filter_map(|(name, version)| Some((name.clone(), version.as_str()?.to_owned()))).collect()
    };
    let (before, after) = (versions(&known), versions(now));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut insert = tx.prepare_cached(
        "INSERT INTO UpdateHistory (Device, At, Package, FromVersion, ToVersion, Action, Undone, Run, ChangedBy)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let differs = |name: &&&String| before.get(**name) != after.get(**name);
    for name in names.iter().filter(differs).take(MOST) {
        let (from, to) = (before.get(*name), after.get(*name));
        // What came or went without us is a change of the software, not an update.
        if cause.is_none() && (from.is_none() || to.is_none()) {
            continue;
        }
        insert.execute(params![
            device,
            moment::millis(section.collected_at),
            name,
            from,
            to,
            cause.map(|cause| &cause.action),
            cause.is_some_and(|cause| cause.undone),
            cause.map(|cause| &cause.run),
            cause.map(|cause| &cause.by)
        ])?;
    }
    Ok(())
}
