//! Suspensions: what is left alone until somebody, or a new policy set, resumes it.

use rusqlite::{OptionalExtension, params};

use super::audit::{self, AuditEvent};
use super::{Store, StoreError, column, moment};
use crate::model::{Suspension, SuspensionKind};

impl Store {
    /// Suspends something. False, and nothing is written, where it is suspended already.
    pub fn suspend(&self, suspension: &Suspension, event: AuditEvent) -> Result<bool, StoreError> {
        self.write(|tx| {
            let added = tx
                .prepare_cached(
                    "INSERT INTO Suspensions (Kind, Name, Device, Since, CreatedBy, Reason, Automatic, PolicySet)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    suspension.kind.as_str(),
                    suspension.name,
                    suspension.device.as_deref().unwrap_or_default(),
                    moment::text(suspension.since),
                    suspension.by,
                    super::clip(&suspension.reason, 4000),
                    suspension.automatic,
                    suspension.policy_set
                ])?;
            if added == 1 {
                audit::append(tx, &event)?;
            }
            Ok(added == 1)
        })
    }

    /// Resumes what is suspended; a setting's counters of failures begin anew. [`StoreError::Missing`] where it is not suspended.
    pub fn resume_suspension(&self, kind: SuspensionKind, name: &str, device: Option<&str>, event: AuditEvent) -> Result<(), StoreError> {
        let on = device.unwrap_or_default();
        self.write(|tx| {
            let automatic: Option<bool> = tx
                .prepare_cached("DELETE FROM Suspensions WHERE Kind = ?1 AND Name = ?2 AND Device = ?3 RETURNING Automatic")?
                .query_row([kind.as_str(), name, on], |row| row.get(0))
                .optional()?;
            if automatic.is_none() {
                let at = if on.is_empty() { String::new() } else { format!(" on {on}") };
                return Err(StoreError::Missing { what: "suspension", name: format!("{kind} {name}{at}") }.into());
            }
            if kind == SuspensionKind::Setting {
                tx.prepare_cached("DELETE FROM Convergence WHERE Setting = ?1 AND Device = (SELECT Id FROM Devices WHERE DeviceId = ?2)")?
                    .execute([name, on])?;
            }
            audit::append(tx, &event)?;
            Ok(())
        })
    }

    /// All suspensions, by kind and name.
    pub fn suspensions(&self) -> Result<Vec<Suspension>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT Kind, Name, Device, Since, CreatedBy, Reason, Automatic, PolicySet FROM Suspensions ORDER BY Kind, Name, Device",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Suspension {
                    kind: column::word(row, 0, SuspensionKind::parse)?,
                    name: row.get(1)?,
                    device: Some(row.get::<_, String>(2)?).filter(|device| !device.is_empty()),
                    since: column::time(row, 3)?,
                    by: row.get(4)?,
                    reason: row.get(5)?,
                    automatic: row.get(6)?,
                    policy_set: row.get(7)?,
                })
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }
}
