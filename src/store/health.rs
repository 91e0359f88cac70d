//! Health: the latest score of each device, and what it is made of.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::params;
use serde_json::Value;

use super::{Store, StoreError, column, devices, moment};

/// How well a device is.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthRow {
    /// 0 to 100.
    pub score: u8,
    /// When it was judged.
    pub at: DateTime<Utc>,
    /// What it is made of, and why points are missing. Its own shape.
    pub parts: Value,
}

impl Store {
    /// Keeps scores, all in one transaction. One that is as it was is not written, one of which nothing is known any more is
    /// taken away.
    pub fn put_health(&self, rows: &[(Arc<str>, Option<HealthRow>)]) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| {
            for (device, row) in rows {
                let id = devices::intern(tx, device, now)?;
                let Some(row) = row else {
                    tx.prepare_cached("DELETE FROM Health WHERE Device = ?1")?.execute([id])?;
                    continue;
                };
                tx.prepare_cached(
                    "INSERT INTO Health (Device, Score, At, Parts) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (Device) DO UPDATE SET Score = ?2, At = ?3, Parts = ?4 WHERE Score <> ?2 OR Parts <> ?4",
                )?
                .execute(params![id, row.score.min(100), moment::text(row.at), column::to_json(&row.parts)])?;
            }
            Ok(())
        })
    }

    /// The score of every device that has one, by name; of one device alone where it is named.
    pub fn health(&self, device: Option<&str>) -> Result<Vec<(Arc<str>, HealthRow)>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT d.DeviceId, h.Score, h.At, h.Parts FROM Health h JOIN Devices d ON d.Id = h.Device
                 WHERE d.RemovedAt IS NULL AND (?1 IS NULL OR d.DeviceId = ?1) ORDER BY d.DeviceId",
            )?;
            let rows = statement.query_map([device], |row| {
                Ok((row.get(0)?, HealthRow { score: row.get(1)?, at: column::time(row, 2)?, parts: column::json(row, 3)? }))
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }
}
