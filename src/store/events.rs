//! Records of logs, and how far each log has been read: both move on in one transaction, so that nothing is lost or kept twice.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{Store, StoreError, column, devices, moment};
use crate::model::EventRecord;

/// Most bytes of the text of a record.
const MOST_MESSAGE: usize = 8 * 1024;
/// Most bytes of what else is known; a larger one is left out.
const MOST_DATA: usize = 16 * 1024;
/// Most rows of one list.
const MOST_ROWS: usize = 100_000;

/// Which records are asked for; all members must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this device.
    pub device: Option<String>,
    /// From this log.
    pub source: Option<String>,
    /// By this writer.
    pub origin: Option<String>,
    /// At least that bad: priorities up to this number.
    pub priority: Option<u8>,
    /// From then on.
    pub from: Option<DateTime<Utc>>,
    /// Before then.
    pub until: Option<DateTime<Utc>>,
    /// At most so many. 0 means as many as one list may have.
    pub limit: usize,
}

impl Store {
    /// How far a log of a device has been read.
    pub fn event_cursor(&self, device: &str, source: &str) -> Result<Option<String>, StoreError> {
        self.read(|c| {
            let Some(id) = devices::find(c, device)? else { return Ok(None) };
            let mut statement = c.prepare_cached("SELECT Cursor FROM EventCursors WHERE Device = ?1 AND Source = ?2")?;
            Ok(statement.query_row(params![id, source], |row| row.get(0)).optional()?)
        })
    }

    /// Keeps records of a log and how far it has been read now. A record that is there already (same cursor) is left as it is.
    /// Returns how many were new. Device and source of the records themselves are not looked at.
    pub fn put_events(&self, device: &str, source: &str, records: &[EventRecord], cursor: Option<&str>) -> Result<usize, StoreError> {
        let now = self.now();
        self.write(|tx| {
            let id = devices::intern(tx, device, now)?;
            let mut new = 0;
            let mut statement = tx.prepare_cached(
                "INSERT INTO Events (Device, At, Priority, Source, Origin, Code, Message, Data, Cursor, CursorHash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
            )?;
            for record in records {
                let data = (!record.data.is_null()).then(|| record.data.to_string()).filter(|data| data.len() <= MOST_DATA);
                new += statement.execute(params![
                    id,
                    moment::millis(record.at),
                    record.priority.min(7),
                    source,
                    super::clip(&record.origin, 500),
                    record.code,
                    super::clip(&record.message, MOST_MESSAGE),
                    data,
                    record.cursor,
                    hash(source, &record.cursor)
                ])?;
            }
            if let Some(cursor) = cursor {
                tx.prepare_cached(
                    "INSERT INTO EventCursors (Device, Source, Cursor, At) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (Device, Source) DO UPDATE SET Cursor = ?3, At = ?4",
                )?
                .execute(params![id, source, cursor, moment::text(now)])?;
            }
            Ok(new)
        })
    }

    /// Records, newest first.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<EventRecord>, StoreError> {
        let limit = if filter.limit == 0 { MOST_ROWS } else { filter.limit.min(MOST_ROWS) };
        self.read(|c| {
            let device = match &filter.device {
                Some(name) => match devices::find(c, name)? {
                    Some(id) => Some(id),
                    None => return Ok(Vec::new()),
                },
                None => None,
            };
            let which = if device.is_some() { "e.Device = ?1" } else { "?1 IS NULL" };
            let mut statement = c.prepare_cached(&format!(
                "SELECT d.DeviceId, e.Source, e.Cursor, e.At, e.Priority, e.Origin, e.Code, e.Message, e.Data
                 FROM Events e JOIN Devices d ON d.Id = e.Device
                 WHERE {which} AND e.At >= ?2 AND e.At < ?3 AND e.Priority <= ?4 AND (?5 IS NULL OR e.Source = ?5)
                   AND (?6 IS NULL OR e.Origin = ?6)
                 ORDER BY e.At DESC, e.Id DESC LIMIT ?7"
            ))?;
            let values = params![
                device,
                filter.from.map_or(i64::MIN, moment::millis),
                filter.until.map_or(i64::MAX, moment::millis),
                filter.priority.unwrap_or(7),
                filter.source,
                filter.origin,
                limit as i64
            ];
            let rows = statement.query_map(values, |row| {
                Ok(EventRecord {
                    device: row.get::<_, Arc<str>>(0)?,
                    source: row.get(1)?,
                    cursor: row.get(2)?,
                    at: moment::from_millis(row.get(3)?),
                    priority: row.get(4)?,
                    origin: row.get(5)?,
                    code: row.get(6)?,
                    message: row.get(7)?,
                    data: column::json_or_null(row, 8)?.unwrap_or_default(),
                })
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }
}

/// Stands for a cursor in the index: cursors are long, and there are many.
fn hash(source: &str, cursor: &str) -> i64 {
    let digest: [u8; 32] = Sha256::new().chain_update(source).chain_update([0]).chain_update(cursor).finalize().into();
    digest.first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}
