//! Alerts, written together with what is sent because of them. Steps that the model does not allow are refused.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::audit::{self, AuditEvent};
use super::{Failure, Store, StoreError, column, deliveries, devices, moment};
use crate::model::alert::{Note, Subject, Suppression};
use crate::model::{Alert, AlertKey, AlertState, Delivery, Severity};

/// Most bytes of a title.
const MOST_TITLE: usize = 1000;
/// Most bytes of a message.
const MOST_MESSAGE: usize = 64 * 1024;
/// Most notes of one alert; the newest are kept.
const MOST_NOTES: usize = 500;
/// Most bytes of what the engine keeps with an alert.
const MOST_PROGRESS: usize = 256 * 1024;
/// Most rows of one list.
const MOST_ROWS: usize = 100_000;

const ALERT: &str = "SELECT AlertId, Subject, DeviceId, SiteId, AlertType, Instance, Severity, Title, Message, Source, Value, Unit,
    State, Suppressed, Count, CreatedAt, LastAt, AcknowledgedAt, AcknowledgedBy, ResolvedAt, ResolvedBy, Notes, Progress, Revision
    FROM Alerts";

/// What is written together, all or nothing.
#[derive(Debug, Clone, Default)]
pub struct AlertBatch {
    /// Alerts as they are to stand; new ones and known ones.
    pub alerts: Vec<Alert>,
    /// New deliveries. One whose id exists already is left as it is.
    pub deliveries: Vec<Delivery>,
    /// Deliveries that are no longer wanted, by id. Those that no longer wait are left as they are.
    pub cancel: Vec<String>,
    /// What is remembered of it.
    pub audit: Vec<AuditEvent>,
    /// The revision up to which the alerts were read. Where another process has written one of them since,
    /// nothing is written ([`StoreError::Changed`]). Nothing is checked where absent.
    pub seen: Option<i64>,
}

/// Which alerts are asked for; all members must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Those that last.
    pub open_only: bool,
    /// In one of these states; in any where empty.
    pub states: Vec<AlertState>,
    /// About this device.
    pub device: Option<String>,
    /// Of this type.
    pub kind: Option<String>,
    /// At least that severe.
    pub min_severity: Option<Severity>,
    /// Created from then on.
    pub since: Option<DateTime<Utc>>,
    /// At most so many. 0 means as many as one list may have.
    pub limit: usize,
}

impl Store {
    /// Writes alerts, what is sent because of them and what is remembered of it, in one transaction. Returns the revision
    /// that the last alert now has.
    pub fn commit_alerts(&self, batch: &AlertBatch) -> Result<i64, StoreError> {
        let now = self.now();
        let writer = self.inner.owner.as_str();
        self.write(|tx| {
            for alert in &batch.alerts {
                put(tx, alert, batch.seen, writer, now)?;
            }
            for delivery in &batch.deliveries {
                deliveries::insert(tx, delivery)?;
            }
            for id in &batch.cancel {
                tx.prepare_cached("UPDATE Deliveries SET State = 'Cancelled' WHERE Id = ?1 AND State = 'Pending'")?.execute([id])?;
            }
            for event in &batch.audit {
                audit::append(tx, event)?;
            }
            revision(tx, "alerts")
        })
    }

    /// An alert by its id.
    pub fn alert(&self, id: &str) -> Result<Option<Alert>, StoreError> {
        self.read(|c| Ok(c.prepare_cached(&format!("{ALERT} WHERE AlertId = ?1"))?.query_row([id], read).optional()?))
    }

    /// Alerts, newest first.
    pub fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let limit = if filter.limit == 0 { MOST_ROWS } else { filter.limit.min(MOST_ROWS) };
        let states = column::to_json(&filter.states.iter().map(|state| state.as_str()).collect::<Vec<_>>());
        let least = filter.min_severity.unwrap_or(Severity::Info);
        let severities: Vec<_> = column::SEVERITIES.into_iter().filter(|s| *s >= least).map(column::severity_name).collect();
        // In words of our own alone, so that the index of open alerts and that of devices are found.
        let open = if filter.open_only { "State IN ('Triggered', 'Active', 'Acknowledged')" } else { "1" };
        let device = if filter.device.is_some() { "DeviceId = ?2" } else { "?2 IS NULL" };
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "{ALERT} WHERE {open} AND (?1 = '[]' OR State IN (SELECT value FROM json_each(?1))) AND {device}
                 AND (?3 IS NULL OR AlertType = ?3) AND Severity IN (SELECT value FROM json_each(?4))
                 AND (?5 IS NULL OR CreatedAt >= ?5) ORDER BY CreatedAt DESC, AlertId DESC LIMIT ?6"
            ))?;
            let since = filter.since.map(moment::text);
            let values = params![states, filter.device, filter.kind, column::to_json(&severities), since, limit as i64];
            Ok(statement.query_map(values, read)?.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// All alerts that last, oldest first.
    pub fn open_alerts(&self) -> Result<Vec<Alert>, StoreError> {
        self.read(|c| {
            let which = "WHERE State IN ('Triggered', 'Active', 'Acknowledged') ORDER BY CreatedAt, AlertId";
            let mut statement = c.prepare_cached(&format!("{ALERT} {which}"))?;
            Ok(statement.query_map([], read)?.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// The latest revision, and the alerts that were written after the given one, by revision.
    pub fn alerts_after(&self, after: i64) -> Result<(i64, Vec<Alert>), StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("{ALERT} WHERE Revision > ?1 ORDER BY Revision"))?;
            let alerts = statement.query_map([after], read)?.collect::<Result<_, rusqlite::Error>>()?;
            Ok((revision(c, "alerts")?, alerts))
        })
    }

    /// Moves what was over before then to the archive, the oldest first, and says how many.
    pub fn archive_alerts(&self, before: DateTime<Utc>, limit: usize) -> Result<usize, StoreError> {
        let writer = self.inner.owner.as_str();
        self.write(|tx| {
            let ids: Vec<String> = tx
                .prepare_cached("SELECT AlertId FROM Alerts WHERE State = 'Resolved' AND ResolvedAt < ?1 ORDER BY ResolvedAt LIMIT ?2")?
                .query_map(params![moment::text(before), limit as i64], |row| row.get(0))?
                .collect::<Result<_, rusqlite::Error>>()?;
            for id in &ids {
                tx.prepare_cached("UPDATE Alerts SET State = 'Archived', Revision = ?2, Writer = ?3 WHERE AlertId = ?1")?
                    .execute(params![id, next_revision(tx, "alerts")?, writer])?;
            }
            Ok(ids.len())
        })
    }

    /// The latest revision of any alert.
    pub fn alerts_revision(&self) -> Result<i64, StoreError> {
        self.read(|c| revision(c, "alerts"))
    }
}

/// The latest revision of what goes by that name.
pub(super) fn revision(connection: &Connection, name: &str) -> Result<i64, Failure> {
    Ok(connection.prepare_cached("SELECT Value FROM Revisions WHERE Name = ?1")?.query_row([name], |row| row.get(0))?)
}

/// The next revision of what goes by that name.
pub(super) fn next_revision(tx: &Transaction<'_>, name: &str) -> Result<i64, Failure> {
    let mut statement = tx.prepare_cached("UPDATE Revisions SET Value = Value + 1 WHERE Name = ?1 RETURNING Value")?;
    Ok(statement.query_row([name], |row| row.get(0))?)
}

fn put(tx: &Transaction<'_>, alert: &Alert, seen: Option<i64>, writer: &str, now: DateTime<Utc>) -> Result<(), Failure> {
    let known: Option<(AlertState, i64, bool)> = tx
        .prepare_cached("SELECT State, Revision, Writer = ?2 FROM Alerts WHERE AlertId = ?1")?
        .query_row([alert.id.as_str(), writer], |row| Ok((column::word(row, 0, AlertState::parse)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if let Some((state, revision, mine)) = known {
        if !mine && seen.is_some_and(|seen| revision > seen) {
            return Err(StoreError::Changed { what: "alert", name: alert.id.clone() }.into());
        }
        if state != alert.state && !state.may_become(alert.state) {
            let (from, to) = (state.as_str(), alert.state.as_str());
            return Err(StoreError::Step { what: "alert", name: alert.id.clone(), from, to }.into());
        }
    } else if matches!(alert.state, AlertState::Acknowledged | AlertState::Archived) {
        return Err(StoreError::Step { what: "alert", name: alert.id.clone(), from: "new", to: alert.state.as_str() }.into());
    }
    let progress = column::to_json(&alert.progress);
    if progress.len() > MOST_PROGRESS {
        let what = format!("the progress of alert {}", alert.id);
        return Err(StoreError::TooLarge { what, size: format!("{} bytes", progress.len()), most: MOST_PROGRESS as u64 }.into());
    }
    let (subject, device, site) = match &alert.key.subject {
        Subject::Device(name) => {
            devices::intern(tx, name, now)?;
            ("device", Some(&**name), None)
        }
        Subject::Site(name) => ("site", None, Some(&**name)),
        Subject::System => ("system", None, None),
    };
    let notes = &alert.notes[alert.notes.len().saturating_sub(MOST_NOTES)..];
    let over = matches!(alert.state, AlertState::Resolved | AlertState::Archived);
    tx.prepare_cached(
        "INSERT INTO Alerts (AlertId, Subject, DeviceId, SiteId, AlertType, Instance, Severity, Title, Message, Source, Value, Unit,
             State, Suppressed, Count, CreatedAt, LastAt, AcknowledgedAt, AcknowledgedBy, ResolvedAt, ResolvedBy, Notes, Progress,
             AutoResolved, Revision, Writer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)
         ON CONFLICT (AlertId) DO UPDATE SET Subject = ?2, DeviceId = ?3, SiteId = ?4, AlertType = ?5, Instance = ?6, Severity = ?7,
             Title = ?8, Message = ?9, Source = ?10, Value = ?11, Unit = ?12, State = ?13, Suppressed = ?14, Count = ?15,
             CreatedAt = ?16, LastAt = ?17, AcknowledgedAt = ?18, AcknowledgedBy = ?19, ResolvedAt = ?20, ResolvedBy = ?21,
             Notes = ?22, Progress = ?23, AutoResolved = ?24, Revision = ?25, Writer = ?26",
    )?
    .execute(params![
        alert.id,
        subject,
        device,
        site,
        alert.key.kind,
        alert.key.instance,
        column::severity_name(alert.severity),
        super::clip(&alert.title, MOST_TITLE),
        super::clip(&alert.message, MOST_MESSAGE),
        alert.source,
        alert.value.filter(|value| value.is_finite()),
        alert.unit,
        alert.state.as_str(),
        alert.suppressed.as_ref().map(column::to_json),
        alert.count,
        moment::text(alert.created_at),
        moment::text(alert.last_at),
        alert.acknowledged_at.map(moment::text),
        alert.acknowledged_by,
        alert.resolved_at.map(moment::text),
        alert.resolved_by,
        column::to_json(&notes),
        progress,
        over && alert.resolved_by.is_none(),
        next_revision(tx, "alerts")?,
        writer,
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let subject = match row.get_ref(1)?.as_str()? {
        "device" => Subject::Device(row.get(2)?),
        "site" => Subject::Site(row.get(3)?),
        _ => Subject::System,
    };
    Ok(Alert {
        id: row.get(0)?,
        key: AlertKey { subject, kind: row.get(4)?, instance: row.get(5)? },
        severity: column::word(row, 6, column::severity)?,
        title: row.get(7)?,
        message: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
        source: row.get::<_, Option<_>>(9)?.unwrap_or_default(),
        value: row.get(10)?,
        unit: row.get(11)?,
        state: column::word(row, 12, AlertState::parse)?,
        suppressed: column::json_or_null::<Suppression>(row, 13)?,
        count: row.get(14)?,
        created_at: column::time(row, 15)?,
        last_at: column::time(row, 16)?,
        acknowledged_at: column::time_or_null(row, 17)?,
        acknowledged_by: row.get(18)?,
        resolved_at: column::time_or_null(row, 19)?,
        resolved_by: row.get(20)?,
        notes: column::json::<Vec<Note>>(row, 21)?,
        progress: column::json(row, 22)?,
    })
}
