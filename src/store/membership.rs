//! Who is in the groups that start workflows: what is kept is who was in them at the last look, so that somebody who came in since
//! is found, once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Failure, Store, StoreError, column, moment};

/// Whether a device belongs to a group, as it is seen now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// What the group asks for has not been observed.
    Unknown,
}

/// A device that came into a group, and whose runs have not all been started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// Group.
    pub group: Arc<str>,
    /// Device.
    pub device: Arc<str>,
    /// Since when that is known.
    pub since: DateTime<Utc>,
}

impl Store {
    /// Takes down who is in a group. The first look is where it begins: nobody has come in then. `whole` where all devices are
    /// among those that were looked at: others are gone.
    pub fn note_members(&self, group: &str, seen: &BTreeMap<&str, Belongs>, whole: bool) -> Result<(), StoreError> {
        let now = moment::text(self.now());
        let known = self.watched(group)?;
        let first = known.is_none();
        let known = known.unwrap_or_default();
        let mut changes: Vec<(&str, Option<&str>)> = Vec::new();
        for (device, belongs) in seen {
            let state = known.get(*device).map(String::as_str);
            let next = match (state, belongs) {
                (None, Belongs::Yes) => Some(if first { "member" } else { "new" }),
                (None, Belongs::Unknown) if first => Some("unsure"),
                (Some("unsure"), Belongs::Yes) => Some("member"),
                (_, Belongs::No) => None,
                (state, _) => state,
            };
            if next != state {
                changes.push((device, next));
            }
        }
        if whole {
            changes.extend(known.keys().filter(|device| !seen.contains_key(device.as_str())).map(|device| (device.as_str(), None)));
        }
        if changes.is_empty() && !first {
            return Ok(());
        }
        self.write(|tx| {
            if first {
                tx.prepare_cached("INSERT INTO WatchedGroups (Name, Since) VALUES (?1, ?2) ON CONFLICT (Name) DO NOTHING")?
                    .execute([group, &now])?;
            }
            for (device, state) in &changes {
                match state {
                    Some(state) => tx
                        .prepare_cached(
                            "INSERT INTO WatchedMembers (GroupName, Device, Since, State) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (GroupName, Device) DO UPDATE SET State = ?4",
                        )?
                        .execute([group, device, &now, state])?,
                    None => {
                        tx.prepare_cached("DELETE FROM WatchedMembers WHERE GroupName = ?1 AND Device = ?2")?.execute([group, device])?
                    }
                };
            }
            Ok(())
        })
    }

    /// Who is in a group by the last look; nothing where nobody has looked.
    fn watched(&self, group: &str) -> Result<Option<BTreeMap<String, String>>, StoreError> {
        self.read(|c| {
            let known = "SELECT 1 FROM WatchedGroups WHERE Name = ?1";
            if c.prepare_cached(known)?.query_row([group], |_| Ok(())).optional()?.is_none() {
                return Ok(None);
            }
            let mut statement = c.prepare_cached("SELECT Device, State FROM WatchedMembers WHERE GroupName = ?1")?;
            let rows = statement.query_map([group], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Some(rows.collect::<Result<_, rusqlite::Error>>()?))
        })
    }

    /// Devices that came in and whose runs have not all been started.
    pub fn came_in(&self) -> Result<Vec<Came>, StoreError> {
        self.read(|c| {
            let which = "SELECT GroupName, Device, Since FROM WatchedMembers WHERE State = 'new' ORDER BY GroupName, Device";
            let mut statement = c.prepare_cached(which)?;
            let rows = statement.query_map([], |row| Ok(Came { group: row.get(0)?, device: row.get(1)?, since: column::time(row, 2)? }))?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// All runs of these have been started.
    pub fn welcomed(&self, came: &[Came]) -> Result<(), StoreError> {
        if came.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            for one in came {
                tx.prepare_cached("UPDATE WatchedMembers SET State = 'member' WHERE GroupName = ?1 AND Device = ?2 AND Since = ?3")?
                    .execute(params![one.group, one.device, moment::text(one.since)])?;
            }
            Ok(())
        })
    }

    /// Only these groups are looked at from now on; the next look at another one is a first one.
    pub fn watch_groups(&self, groups: &BTreeSet<&str>) -> Result<(), StoreError> {
        let known: Vec<String> = self.read(|c| {
            let mut statement = c.prepare_cached("SELECT Name FROM WatchedGroups")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, rusqlite::Error>>()?)
        })?;
        let gone: Vec<&String> = known.iter().filter(|name| !groups.contains(name.as_str())).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            for name in gone {
                tx.prepare_cached("DELETE FROM WatchedMembers WHERE GroupName = ?1")?.execute([name])?;
                tx.prepare_cached("DELETE FROM WatchedGroups WHERE Name = ?1")?.execute([name])?;
            }
            Ok(())
        })
    }

    /// Up to which revision alerts have been looked at for workflows that they start; none where nobody has begun to.
    pub fn alerts_looked_at(&self) -> Result<Option<i64>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT Value FROM Revisions WHERE Name = 'workflow-alerts'")?;
            Ok(statement.query_row([], |row| row.get(0)).optional()?)
        })
    }

    /// Alerts have been looked at up to this revision; without one, nobody looks at them any more.
    pub fn note_alerts_looked_at(&self, revision: Option<i64>) -> Result<(), StoreError> {
        self.write(|tx| note(tx, revision))
    }
}

fn note(tx: &Transaction<'_>, revision: Option<i64>) -> Result<(), Failure> {
    match revision {
        Some(revision) => tx
            .prepare_cached(
                "INSERT INTO Revisions (Name, Value) VALUES ('workflow-alerts', ?1) ON CONFLICT (Name) DO UPDATE SET Value = ?1",
            )?
            .execute([revision])?,
        None => tx.prepare_cached("DELETE FROM Revisions WHERE Name = 'workflow-alerts'")?.execute([])?,
    };
    Ok(())
}
