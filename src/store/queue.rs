//! The queue of deliveries as the worker that sends sees it: channel by channel, so that one that never answers hides
//! nothing of the others, and what is said about one alert in the order in which it was decided.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::deliveries::{DELIVERY, read};
use super::{Store, StoreError, column, moment};
use crate::model::{Delivery, DeliveryState};

/// Most rows of one question.
const MOST_ROWS: usize = 1000;

impl Store {
    /// How many deliveries wait, are on their way or were given up, by channel.
    pub fn delivery_counts(&self) -> Result<Vec<(Arc<str>, DeliveryState, usize)>, StoreError> {
        // One state after the other: each has an index of its own.
        const STATES: [DeliveryState; 3] = [DeliveryState::Pending, DeliveryState::Sending, DeliveryState::Dead];
        let of = |state: DeliveryState| {
            format!("SELECT Channel, State, count(*) FROM Deliveries WHERE State = '{}' GROUP BY Channel", state.as_str())
        };
        let query = STATES.map(of).join(" UNION ALL ");
        self.read(|c| {
            let mut statement = c.prepare_cached(&query)?;
            let rows = statement.query_map([], |row| {
                let state = DeliveryState::parse(row.get_ref(1)?.as_str()?).unwrap_or_default();
                Ok((row.get(0)?, state, row.get::<_, i64>(2)? as usize))
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Makes due what is not due yet: the clock was set back, and nothing waits until it has caught up.
    pub fn hasten_deliveries(&self, now: DateTime<Utc>) -> Result<usize, StoreError> {
        self.write(|tx| {
            let mut statement = tx.prepare_cached("UPDATE Deliveries SET DueAt = ?1 WHERE State = 'Pending' AND DueAt > ?1")?;
            Ok(statement.execute([moment::text(now)])?)
        })
    }

    /// Makes due what waits for a moment that nobody has set under this clock: later than `latest`, or created after now. It was
    /// queued while the clock was ahead.
    pub fn hasten_stray_deliveries(&self, now: DateTime<Utc>, latest: DateTime<Utc>) -> Result<usize, StoreError> {
        self.write(|tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE Deliveries SET DueAt = ?1 WHERE State = 'Pending' AND DueAt > ?1 AND (DueAt > ?2 OR CreatedAt > ?1)",
            )?;
            Ok(statement.execute([moment::text(now), moment::text(latest)])?)
        })
    }

    /// How many deliveries are due for each channel, by channel.
    pub fn due_counts(&self, now: DateTime<Utc>) -> Result<Vec<(Arc<str>, usize)>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT Channel, count(*) FROM Deliveries WHERE State = 'Pending' AND DueAt <= ?1 GROUP BY Channel ORDER BY Channel",
            )?;
            let rows = statement.query_map([moment::text(now)], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Deliveries of a channel whose time has come, in the order in which they were decided. One that was tried already and is
    /// not through holds back what was decided later about the same alert for the same recipient.
    pub fn due_deliveries_to(&self, channel: &str, now: DateTime<Utc>, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        self.read(|c| {
            let which = "WHERE State = 'Pending' AND DueAt <= ?1 AND Channel = ?2 AND (Alert IS NULL OR NOT EXISTS (
                    SELECT 1 FROM Deliveries e WHERE e.Alert = Deliveries.Alert AND e.Channel = Deliveries.Channel
                      AND e.Recipient IS Deliveries.Recipient AND e.State IN ('Pending', 'Sending') AND e.Attempts > 0
                      AND (e.CreatedAt, e.Id) < (Deliveries.CreatedAt, Deliveries.Id)))
                ORDER BY CreatedAt, Id LIMIT ?3";
            let mut statement = c.prepare_cached(&format!("{DELIVERY} {which}"))?;
            let rows = statement.query_map(params![moment::text(now), channel, limit.min(MOST_ROWS) as i64], read)?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// When the first delivery after `now` is due.
    pub fn next_delivery_after(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT min(DueAt) FROM Deliveries WHERE State = 'Pending' AND DueAt > ?1")?;
            Ok(statement.query_row([moment::text(now)], |row| column::time_or_null(row, 0))?)
        })
    }
}
