//! Checks: how each stands, every time that this changed, and the share of time that a device was up.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Failure, Store, StoreError, devices, moment};

/// How a check stands.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckState {
    /// Whether it succeeds.
    pub up: bool,
    /// Since when it does, or does not.
    pub since: DateTime<Utc>,
    /// When it was last made.
    pub at: DateTime<Utc>,
    /// Round trip, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Share that was lost, 0 to 100.
    pub loss_percent: Option<f64>,
    /// Why it fails.
    pub reason: Option<String>,
}

/// A check that changed from up to down or back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckChange {
    /// When.
    pub at: DateTime<Utc>,
    /// Whether it has succeeded since.
    pub up: bool,
    /// Why not.
    pub reason: Option<String>,
}

impl Store {
    /// Writes how checks stand, and remembers each change, in one transaction.
    pub fn put_checks(&self, checks: &[(&str, &str, &CheckState)]) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| {
            for (device, check, state) in checks {
                let id = devices::intern(tx, device, now)?;
                put(tx, id, check, state)?;
            }
            Ok(())
        })
    }

    /// How the checks of a device stand, by name.
    pub fn checks(&self, device: &str) -> Result<Vec<(String, CheckState)>, StoreError> {
        Ok(self.read_checks(Some(device))?.into_iter().map(|(_, name, state)| (name, state)).collect())
    }

    /// How all checks of all devices stand: device, check, state.
    pub fn checks_all(&self) -> Result<Vec<(Arc<str>, String, CheckState)>, StoreError> {
        self.read_checks(None)
    }

    fn read_checks(&self, device: Option<&str>) -> Result<Vec<(Arc<str>, String, CheckState)>, StoreError> {
        let which = if device.is_some() { "d.DeviceId = ?1" } else { "?1 IS NULL AND d.RemovedAt IS NULL" };
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT d.DeviceId, k.Name, k.Up, k.Since, k.At, k.LatencyMs, k.LossPercent, k.Reason
                 FROM Devices d JOIN Checks k ON k.Device = d.Id WHERE {which} ORDER BY d.DeviceId, k.Name"
            ))?;
            let rows = statement.query_map([device], |row| {
                let state = CheckState {
                    up: row.get(2)?,
                    since: moment::from_millis(row.get(3)?),
                    at: moment::from_millis(row.get(4)?),
                    latency_ms: row.get(5)?,
                    loss_percent: row.get(6)?,
                    reason: row.get(7)?,
                };
                Ok((row.get(0)?, row.get(1)?, state))
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Every time that a check changed from `from` on, oldest first.
    pub fn check_history(&self, device: &str, check: &str, from: DateTime<Utc>) -> Result<Vec<CheckChange>, StoreError> {
        self.read(|c| {
            let Some(id) = devices::find(c, device)? else { return Ok(Vec::new()) };
            let mut statement =
                c.prepare_cached("SELECT At, Up, Reason FROM CheckHistory WHERE Device = ?1 AND Name = ?2 AND At >= ?3 ORDER BY At")?;
            let rows = statement.query_map(params![id, check, moment::millis(from)], |row| {
                Ok(CheckChange { at: moment::from_millis(row.get(0)?), up: row.get(1)?, reason: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// The share of the time (0 to 1) between `from` and `to` that a check was up, of the time about which something is known.
    /// Nothing where nothing is.
    pub fn availability(&self, device: &str, check: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Option<f64>, StoreError> {
        let (from, to) = (moment::millis(from), moment::millis(to));
        self.read(|c| {
            let Some(id) = devices::find(c, device)? else { return Ok(None) };
            let before: Option<bool> = c
                .prepare_cached("SELECT Up FROM CheckHistory WHERE Device = ?1 AND Name = ?2 AND At <= ?3 ORDER BY At DESC LIMIT 1")?
                .query_row(params![id, check, from], |row| row.get(0))
                .optional()?;
            let mut statement =
                c.prepare_cached("SELECT At, Up FROM CheckHistory WHERE Device = ?1 AND Name = ?2 AND At > ?3 AND At < ?4 ORDER BY At")?;
            let changes = statement
                .query_map(params![id, check, from, to], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(i64, bool)>, rusqlite::Error>>()?;
            Ok(share_up(before, &changes, from, to))
        })
    }
}

/// The share of the time that is known in which it was up.
fn share_up(before: Option<bool>, changes: &[(i64, bool)], from: i64, to: i64) -> Option<f64> {
    let (mut up, mut known) = (0, 0);
    let mut last = (from, before);
    for (at, state) in changes.iter().map(|(at, up)| (*at, Some(*up))).chain([(to, None)]) {
        if let Some(was_up) = last.1 {
            let lasted = (at - last.0).max(0);
            known += lasted;
            up += if was_up { lasted } else { 0 };
        }
        last = (at, state);
    }
    (known > 0).then(|| up as f64 / known as f64)
}

fn put(tx: &Transaction<'_>, device: i64, check: &str, state: &CheckState) -> Result<(), Failure> {
    let known: Option<bool> = tx
        .prepare_cached("SELECT Up FROM Checks WHERE Device = ?1 AND Name = ?2")?
        .query_row(params![device, check], |row| row.get(0))
        .optional()?;
    let reason = state.reason.as_deref().map(|reason| super::clip(reason, 2000));
    let since = moment::millis(state.since);
    tx.prepare_cached(
        "INSERT INTO Checks (Device, Name, Up, Since, At, LatencyMs, LossPercent, Reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (Device, Name) DO UPDATE SET Up = ?3, Since = ?4, At = ?5, LatencyMs = ?6, LossPercent = ?7, Reason = ?8",
    )?
    .execute(params![device, check, state.up, since, moment::millis(state.at), state.latency_ms, state.loss_percent, reason])?;
    if known != Some(state.up) {
        tx.prepare_cached("INSERT OR REPLACE INTO CheckHistory (Device, Name, At, Up, Reason) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![device, check, since, state.up, reason])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::share_up;

    #[test]
    fn only_time_about_which_something_is_known_counts() {
        assert_eq!(share_up(None, &[], 0, 100), None);
        assert_eq!(share_up(Some(true), &[], 0, 100), Some(1.0));
        assert_eq!(share_up(Some(true), &[(75, false)], 0, 100), Some(0.75));
        assert_eq!(share_up(None, &[(50, true), (60, false)], 0, 100), Some(0.2));
        assert_eq!(share_up(Some(true), &[], 100, 100), None);
    }
}
