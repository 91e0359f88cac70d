//! Devices, sites and groups: what is declared, and whether a device answers.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::Value;

use super::{Failure, Store, StoreError, moment};

/// A device as it is declared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceRow {
    /// Name in the repository.
    pub name: String,
    /// Name or address under which it is reached.
    pub address: String,
    /// Site by name.
    pub site: Option<String>,
    /// Groups, by name.
    pub groups: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Custom fields; an object.
    pub custom_fields: Value,
}

/// A site as it is declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteRow {
    /// Stable identifier.
    pub id: String,
    /// Name.
    pub name: String,
    /// Postal or geographic location.
    pub location: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// Relay that serves it.
    pub relay_agent: Option<String>,
    /// Whom to write to.
    pub contact_email: Option<String>,
}

/// A group as it is declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupRow {
    /// Name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Group that it is part of.
    pub parent: Option<String>,
}

/// Whether a device answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Nobody has tried yet.
    #[default]
    Unknown,
    /// It answered, and what was asked for was understood.
    Online,
    /// It could not be reached.
    Offline,
    /// It was reached, and something went wrong: signing in, running, reading the answer.
    Error,
}

impl Status {
    /// As in the column `Status` of `Devices`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Online => "Online",
            Self::Offline => "Offline",
            Self::Error => "Error",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "Online" => Self::Online,
            "Offline" => Self::Offline,
            "Error" => Self::Error,
            _ => Self::Unknown,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.as_str().to_lowercase())
    }
}

/// What the database knows of a device besides its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// Name in the repository.
    pub name: String,
    /// Whether it answers.
    pub status: Status,
    /// Why not.
    pub reason: Option<String>,
    /// Since when it is in this status.
    pub since: Option<DateTime<Utc>>,
    /// When it last answered.
    pub last_seen: Option<DateTime<Utc>>,
    /// When its inventory was last taken.
    pub last_inventory: Option<DateTime<Utc>>,
    /// Since when it is no longer declared; what was known of it is kept.
    pub removed_at: Option<DateTime<Utc>>,
}

/// The key of a device; one that is not known yet is added, as undeclared ones may be looked at too.
pub(super) fn intern(tx: &Transaction<'_>, name: &str, now: DateTime<Utc>) -> Result<i64, Failure> {
    if let Some(id) = find(tx, name)? {
        return Ok(id);
    }
    let now = moment::text(now);
    tx.prepare_cached("INSERT INTO Devices (DeviceId, Hostname, CreatedAt, UpdatedAt) VALUES (?1, ?1, ?2, ?2)")?
        .execute(params![name, now])?;
    Ok(tx.last_insert_rowid())
}

/// The key of a device, where it is known.
pub(super) fn find(connection: &rusqlite::Connection, name: &str) -> Result<Option<i64>, Failure> {
    let mut statement = connection.prepare_cached("SELECT Id FROM Devices WHERE DeviceId = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

impl Store {
    /// Makes the declared devices known. Those that are no longer declared are kept, marked as removed. Rows that are
    /// the same already are not written.
    pub fn sync_devices(&self, devices: &[DeviceRow]) -> Result<(), StoreError> {
        let now = moment::text(self.now());
        self.write(|tx| {
            let mut declared = std::collections::HashSet::new();
            for device in devices {
                let address = if device.address.is_empty() { &device.name } else { &device.address };
                let ip = address.parse::<std::net::IpAddr>().ok().map(|ip| ip.to_string());
                let groups = serde_json::to_string(&device.groups).unwrap_or_default();
                let tags = serde_json::to_string(&device.tags).unwrap_or_default();
                let fields = if device.custom_fields.is_null() { "{}".to_owned() } else { device.custom_fields.to_string() };
                tx.prepare_cached(
                    "INSERT INTO Devices (DeviceId, Hostname, IPAddress, SiteId, GroupIds, Tags, CustomFields, CreatedAt, UpdatedAt)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)
                     ON CONFLICT (DeviceId) DO UPDATE SET Hostname = ?2, IPAddress = coalesce(?3, IPAddress), SiteId = ?4,
                         GroupIds = ?5, Tags = ?6, CustomFields = ?7, UpdatedAt = ?8, RemovedAt = NULL
                     WHERE Hostname IS NOT ?2 OR (?3 IS NOT NULL AND IPAddress IS NOT ?3) OR SiteId IS NOT ?4
                         OR GroupIds IS NOT ?5 OR Tags IS NOT ?6 OR CustomFields IS NOT ?7 OR RemovedAt IS NOT NULL",
                )?
                .execute(params![device.name, address, ip, device.site, groups, tags, fields, now])?;
                declared.insert(device.name.as_str());
            }
            let mut gone = Vec::new();
            let mut statement = tx.prepare_cached("SELECT Id, DeviceId FROM Devices WHERE RemovedAt IS NULL")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if !declared.contains(row.get_ref(1)?.as_str().unwrap_or_default()) {
                    gone.push(row.get::<_, i64>(0)?);
                }
            }
            for id in gone {
                tx.prepare_cached("UPDATE Devices SET RemovedAt = ?2, UpdatedAt = ?2 WHERE Id = ?1")?.execute(params![id, now])?;
            }
            Ok(())
        })
    }

    /// Makes the declared sites and groups known; the tables are for report writers, nothing here reads them back.
    pub fn sync_sites(&self, sites: &[SiteRow], groups: &[GroupRow]) -> Result<(), StoreError> {
        let now = moment::text(self.now());
        self.write(|tx| {
            let ids = serde_json::to_string(&sites.iter().map(|s| &s.id).collect::<Vec<_>>()).unwrap_or_default();
            tx.execute("DELETE FROM Sites WHERE SiteId NOT IN (SELECT value FROM json_each(?1))", [ids])?;
            for site in sites {
                tx.prepare_cached(
                    "INSERT INTO Sites (SiteId, Name, Location, Timezone, RelayAgent, ContactEmail, CreatedAt)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (SiteId) DO UPDATE SET Name = ?2, Location = ?3, Timezone = ?4, RelayAgent = ?5, ContactEmail = ?6",
                )?
                .execute(params![
                    site.id,
                    site.name,
                    site.location,
                    site.timezone,
                    site.relay_agent,
                    site.contact_email,
                    now
                ])?;
            }
            let names = serde_json::to_string(&groups.iter().map(|g| &g.name).collect::<Vec<_>>()).unwrap_or_default();
            tx.execute("DELETE FROM DeviceGroups WHERE GroupId NOT IN (SELECT value FROM json_each(?1))", [names])?;
            for group in groups {
                tx.prepare_cached(
                    "INSERT INTO DeviceGroups (GroupId, Name, Description, ParentGroupId, CreatedAt) VALUES (?1, ?1, ?2, ?3, ?4)
                     ON CONFLICT (GroupId) DO UPDATE SET Description = ?2, ParentGroupId = ?3",
                )?
                .execute(params![group.name, group.description, group.parent, now])?;
            }
            Ok(())
        })
    }

    /// Records whether a device answers. Returns the status before; the reason and the time are those of the transition.
    pub fn set_status(&self, device: &str, status: Status, reason: Option<&str>, at: DateTime<Utc>) -> Result<Status, StoreError> {
        self.write(|tx| set_status(tx, device, status, reason, at, self.now()))
    }

    /// The same for many devices, all of it in one transaction.
    pub fn set_statuses(&self, all: &[(&str, Status, Option<String>)], at: DateTime<Utc>) -> Result<(), StoreError> {
        if all.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            for (device, status, reason) in all {
                set_status(tx, device, *status, reason.as_deref(), at, self.now())?;
            }
            Ok(())
        })
    }

    /// All devices that the database has heard of, by name.
    pub fn device_states(&self) -> Result<Vec<DeviceState>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("{STATE} ORDER BY DeviceId"))?;
            Ok(statement.query_map([], state)?.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// One device, where it is known.
    pub fn device_state(&self, device: &str) -> Result<Option<DeviceState>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("{STATE} WHERE DeviceId = ?1"))?;
            Ok(statement.query_row([device], state).optional()?)
        })
    }
}

const STATE: &str = "SELECT DeviceId, Status, StatusReason, StatusSince, LastSeen, LastInventory, RemovedAt FROM Devices";

fn state(row: &Row<'_>) -> rusqlite::Result<DeviceState> {
    let time = |column| -> rusqlite::Result<_> { Ok(row.get_ref(column)?.as_str_or_null()?.and_then(moment::from_text)) };
    Ok(DeviceState {
        name: row.get(0)?,
        status: Status::parse(row.get_ref(1)?.as_str()?),
        reason: row.get(2)?,
        since: time(3)?,
        last_seen: time(4)?,
        last_inventory: time(5)?,
        removed_at: time(6)?,
    })
}

fn set_status(
    tx: &Transaction<'_>,
    device: &str,
    status: Status,
    reason: Option<&str>,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Status, Failure> {
    let id = intern(tx, device, now)?;
    let before: String = tx.prepare_cached("SELECT Status FROM Devices WHERE Id = ?1")?.query_row([id], |row| row.get(0))?;
    tx.prepare_cached(
        "UPDATE Devices SET StatusSince = CASE WHEN Status = ?2 THEN StatusSince ELSE ?4 END, Status = ?2, StatusReason = ?3,
             LastSeen = CASE WHEN ?2 = 'Online' THEN max(coalesce(LastSeen, ''), ?4) ELSE LastSeen END
         WHERE Id = ?1",
    )?
    .execute(params![id, status.as_str(), reason.map(|r| super::clip(r, 2000)), moment::text(at)])?;
    Ok(Status::parse(&before))
}
