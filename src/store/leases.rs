//! Leases: a device is changed by one run at a time, a run is carried out by one process at a time.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Failure, Owner, Store, StoreError, moment};

/// Name of the daemon's lease, and of what it is held for.
const DAEMON: &str = "daemon";
/// The same of the upkeep.
const UPKEEP: &str = "upkeep";

/// A lease as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// `device db-1`, `run r-1`, `daemon` or `upkeep`.
    pub name: String,
    /// Who holds it.
    pub owner: Owner,
    /// The run that it is held for, or `daemon`.
    pub run: String,
    /// When it was taken.
    pub acquired_at: DateTime<Utc>,
    /// When it ends unless renewed.
    pub expires_at: DateTime<Utc>,
}

impl Store {
    /// Leases a device to a run for `ttl`. [`StoreError::Leased`] where another holds it; a lease that has expired or
    /// whose process is gone is taken over.
    pub fn lease_device(&self, device: &str, run: &str, owner: &Owner, ttl: TimeDelta) -> Result<(), StoreError> {
        self.lease(&format!("device {device}"), run, owner, ttl)
    }

    /// Leases a run to a process for `ttl`, so that it is not resumed while it is being carried out.
    pub fn lease_run(&self, run: &str, owner: &Owner, ttl: TimeDelta) -> Result<(), StoreError> {
        self.lease(&format!("run {run}"), run, owner, ttl)
    }

    /// Leases the database to a daemon for `ttl`, or renews its lease. [`StoreError::DaemonRuns`] where another holds it.
    pub fn lease_daemon(&self, owner: &Owner, ttl: TimeDelta) -> Result<(), StoreError> {
        self.lease(DAEMON, DAEMON, owner, ttl).map_err(|error| match error {
            StoreError::Leased { until, .. } => StoreError::DaemonRuns { until },
            other => other,
        })
    }

    /// Leases the upkeep of the database to one process at a time.
    pub(super) fn lease_upkeep(&self, owner: &Owner, ttl: TimeDelta) -> Result<(), StoreError> {
        self.lease(UPKEEP, UPKEEP, owner, ttl)
    }

    /// The lease of the daemon that serves this database, where one does.
    pub fn daemon(&self) -> Result<Option<Lease>, StoreError> {
        Ok(self.leases()?.into_iter().find(|lease| lease.name == DAEMON))
    }

    /// Who holds the lease of the daemon, and until when: also where that is over by the clock. Whoever waits for it sees here
    /// whether its holder goes on renewing it, wherever the clock was set.
    pub fn daemon_holder(&self) -> Result<Option<(Owner, DateTime<Utc>)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT Owner, ExpiresAt FROM Leases WHERE Name = ?1")?;
            let read = |row: &rusqlite::Row<'_>| Ok((Owner::named(row.get::<_, String>(0)?), moment::from_millis(row.get(1)?)));
            Ok(statement.query_row([DAEMON], read).optional()?)
        })
    }

    fn lease(&self, name: &str, run: &str, owner: &Owner, ttl: TimeDelta) -> Result<(), StoreError> {
        let hour = self.hour();
        self.write(|tx| match lease_in(tx, hour, name, run, owner, ttl)? {
            None => Ok(()),
            Some(held) => Err(StoreError::Leased { name: name.to_owned(), run: held.run, until: held.until }.into()),
        })
    }

    /// Renews all leases of `owner` for `ttl` and says how many it still holds. Fewer than it took: one was taken over,
    /// and what it was for must be stopped.
    pub fn heartbeat(&self, owner: &Owner, ttl: TimeDelta) -> Result<usize, StoreError> {
        let hour = self.hour();
        self.write(|tx| {
            let mut statement = tx.prepare_cached("UPDATE Leases SET ExpiresAt = ?2, SteadyUntil = ?3 WHERE Owner = ?1")?;
            Ok(statement.execute(params![owner.as_str(), hour.wall + ttl.num_milliseconds(), hour.steady_after(ttl)])?)
        })
    }

    /// Gives a run back. Nothing happens where `owner` does not hold it.
    pub fn release_run(&self, run: &str, owner: &Owner) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached("DELETE FROM Leases WHERE Name = ?1 AND Owner = ?2")?
                .execute([format!("run {run}").as_str(), owner.as_str()])?;
            Ok(())
        })
    }

    /// Gives everything back that `owner` holds.
    pub fn release_all(&self, owner: &Owner) -> Result<usize, StoreError> {
        self.write(|tx| Ok(tx.prepare_cached("DELETE FROM Leases WHERE Owner = ?1")?.execute([owner.as_str()])?))
    }

    /// All leases that neither have expired nor belong to a process that is gone, by name.
    pub fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let hour = self.hour();
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT Name, Owner, Run, AcquiredAt, ExpiresAt, SteadyUntil FROM Leases ORDER BY Name")?;
            let rows = statement.query_map([], |row| {
                let holds = hour.holds(&Owner::named(row.get::<_, String>(1)?), row.get(4)?, row.get(5)?);
                let lease = Lease {
                    name: row.get(0)?,
                    owner: Owner::named(row.get::<_, String>(1)?),
                    run: row.get(2)?,
                    acquired_at: moment::from_millis(row.get(3)?),
                    expires_at: moment::from_millis(row.get(4)?),
                };
                Ok(holds.then_some(lease))
            })?;
            Ok(rows.filter_map(Result::transpose).collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    pub(super) fn hour(&self) -> Hour {
        Hour { wall: moment::millis(self.now()), steady: self.steady() }
    }
}

/// A lease that another one holds.
pub(super) struct Held {
    /// The run that it is held for.
    pub(super) run: String,
    until: DateTime<Utc>,
}

/// Leases within a transaction. The lease that stands in the way, where another one holds it.
pub(super) fn lease_in(
    tx: &Transaction<'_>,
    hour: Hour,
    name: &str,
    run: &str,
    owner: &Owner,
    ttl: TimeDelta,
) -> Result<Option<Held>, Failure> {
    let held: Option<(String, String, i64, Option<i64>)> = tx
        .prepare_cached("SELECT Owner, Run, ExpiresAt, SteadyUntil FROM Leases WHERE Name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    if let Some((holder, of, until, steady_until)) = held {
        let mine = holder == owner.as_str() && of == run;
        if !mine && hour.holds(&Owner::named(holder), until, steady_until) {
            return Ok(Some(Held { run: of, until: moment::from_millis(until) }));
        }
    }
    tx.prepare_cached(
        "INSERT INTO Leases (Name, Owner, Run, AcquiredAt, ExpiresAt, SteadyUntil) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (Name) DO UPDATE SET Owner = ?2, Run = ?3, ExpiresAt = ?5, SteadyUntil = ?6,
             AcquiredAt = CASE WHEN Owner = ?2 AND Run = ?3 THEN AcquiredAt ELSE ?4 END",
    )?
    .execute(params![name, owner.as_str(), run, hour.wall, hour.wall + ttl.num_milliseconds(), hour.steady_after(ttl)])?;
    Ok(None)
}

/// Now, on both clocks. Between processes of one machine the one counts that nobody sets: whoever lives and renews its lease
/// holds it, wherever the other one is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hour {
    wall: i64,
    steady: Option<i64>,
}

impl Hour {
    fn steady_after(self, ttl: TimeDelta) -> Option<i64> {
        self.steady.map(|now| now + ttl.num_milliseconds())
    }

    /// Whether a lease holds.
    fn holds(self, owner: &Owner, until: i64, steady_until: Option<i64>) -> bool {
        let over = match self.steady.zip(steady_until) {
            Some((now, until)) if owner.is_here() => until <= now,
            _ => until <= self.wall,
        };
        !over && !owner.is_gone()
    }
}
