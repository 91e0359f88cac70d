//! The queue of actions as it is read: what comes next, what waits until when, how many are where, what was printed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::runs::{state, state_name};
use super::{Store, StoreError, column, moment};
use crate::model::job::{JobOutput, JobPart};
use crate::model::workflow_run::JobCounts;
use crate::model::{Job, JobState};

/// Most rows of one list.
const MOST_ROWS: usize = 100_000;

pub(super) const JOB: &str =
    "SELECT Id, Run, Step, Device, Action, Params, Part, Undoes, Priority, State, WaitsFor, Phase, Attempt, Retries,
    WakeAt, ExpiresAt, CreatedAt, StartedAt, FinishedAt, Reason, Result, Memo FROM Jobs";

/// What has not begun and stands behind a job that waits for its device: it waits for it too.
pub(super) const BEHIND: &str = "State = 'pending' AND Device <> '' AND EXISTS (
    SELECT 1 FROM Jobs e WHERE e.Device = Jobs.Device AND e.State = 'waiting' AND e.WaitsFor = 'device'
      AND (e.Priority, e.N) < (Jobs.Priority, Jobs.N))";

/// What has its turn for so long and no longer: a device that is away, or held.
const KEPT: &str = "coalesce(WaitsFor, '') IN ('device', 'window')";

/// What has not begun though its moment may have come: nobody was there, or another run was at work on the device. Of a step that a
/// person has asked for at a moment it is late then; everything else only waits for its turn.
pub(super) const UNBEGUN: &str =
    "Part = 'run' AND Phase = 'act' AND (State = 'pending' AND WakeAt IS NOT NULL OR State = 'waiting' AND WaitsFor = 'busy')";

/// Of such a step, in the run that is the first parameter.
const TIMED: &str = "Step IN (SELECT s.key FROM WorkflowRuns r, json_each(r.Steps) s
    WHERE r.Id = ?1 AND json_extract(s.value, '$.notBefore') IS NOT NULL)";

/// Which jobs are asked for; all members must hold. In the order in which they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this run.
    pub run: Option<String>,
    /// Of this step of it.
    pub step: Option<u32>,
    /// On this device.
    pub device: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// In one of these states; in any where empty.
    pub states: Vec<JobState>,
    /// Whose commands printed this text.
    pub printed: Option<String>,
    /// The latest first.
    pub newest_first: bool,
    /// At most so many. 0 means as many as one list may have.
    pub limit: usize,
}

/// The devices that a list of jobs is about.
#[derive(Debug, Clone, Copy)]
pub enum Among<'a> {
    /// All of them.
    All,
    /// These: a JSON array of names.
    These(&'a str),
    /// All but these: a JSON array of names.
    AllBut(&'a str),
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Job> {
    fn known<T: serde::de::DeserializeOwned>(column: usize, value: serde_json::Value) -> rusqlite::Result<T> {
        serde_json::from_value(value)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, e.to_string().into()))
    }
    let word = |column: usize| -> rusqlite::Result<serde_json::Value> { Ok(serde_json::Value::String(row.get(column)?)) };
    let waits_for: Option<String> = row.get(10)?;
    Ok(Job {
        id: row.get(0)?,
        run: row.get(1)?,
        step: row.get(2)?,
        device: row.get(3)?,
        action: row.get(4)?,
        with: column::json(row, 5)?,
        part: known(6, word(6)?)?,
        undoes: row.get(7)?,
        priority: row.get(8)?,
        state: state(row, 9)?,
        waits_for: waits_for.map(|what| known(10, what.into())).transpose()?,
        phase: known(11, word(11)?)?,
        attempt: row.get(12)?,
        retries: row.get(13)?,
        wake_at: column::time_or_null(row, 14)?,
        expires_at: column::time(row, 15)?,
        created_at: column::time(row, 16)?,
        started_at: column::time_or_null(row, 17)?,
        finished_at: column::time_or_null(row, 18)?,
        reason: row.get(19)?,
        result: column::json(row, 20)?,
        memo: column::json(row, 21)?,
    })
}

/// Whether any job waits for its device.
fn anybody_is_away(c: &Connection) -> rusqlite::Result<bool> {
    let any = "SELECT EXISTS (SELECT 1 FROM Jobs WHERE State = 'waiting' AND WaitsFor = 'device')";
    c.prepare_cached(any)?.query_row([], |row| row.get(0))
}

impl Store {
    /// Jobs of a step whose turn has come: no earlier job of their device is open, but for one that waits for its window. What
    /// [`Store::expire_jobs`] would give up is not among them.
    pub fn due_jobs(
        &self,
        (run, step, part): (&str, u32, JobPart),
        now: DateTime<Utc>,
        among: Among<'_>,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        let (names, named) = match among {
            Among::All => (None, false),
            Among::These(names) => (Some(names), true),
            Among::AllBut(names) => (Some(names), false),
        };
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "{JOB} WHERE Run = ?1 AND Part = ?4 AND Step = ?5 AND State IN ('pending', 'waiting') AND (WakeAt IS NULL OR WakeAt <= ?2)
                   AND (?6 IS NULL OR (Device IN (SELECT value FROM json_each(?6))) = ?7)
                   AND NOT (ExpiresAt <= ?2 AND ({KEPT} OR {UNBEGUN} AND {TIMED}))
                   AND (Device = '' OR NOT EXISTS (
                     SELECT 1 FROM Jobs e WHERE e.Device = Jobs.Device AND e.N <> Jobs.N AND e.State IN ('pending', 'waiting', 'running')
                       AND (e.State = 'running' OR e.WaitsFor = 'restart'
                            OR ((e.Priority, e.N) < (Jobs.Priority, Jobs.N) AND e.WaitsFor IS NOT 'window'
                                AND (e.State <> 'pending' OR e.WakeAt IS NULL OR e.WakeAt <= ?2)))))
                 ORDER BY Priority, N LIMIT ?3"
            ))?;
            let limit = limit.min(MOST_ROWS) as i64;
            let rows = statement.query_map(params![run, moment::text(now), limit, part.to_string(), step, names, named], read)?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// When the next job of a run that waits for its time may go on, or is given up because that is over.
    pub fn next_job_at(&self, run: &str, after: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.read(|c| {
            let next = "SELECT min(WakeAt) FROM Jobs WHERE Run = ?1 AND State IN ('pending', 'waiting') AND WakeAt > ?2";
            let next = c.prepare_cached(next)?.query_row(params![run, moment::text(after)], |row| column::time_or_null(row, 0))?;
            let behind = if anybody_is_away(c)? { BEHIND } else { "FALSE" };
            let over = format!(
                "SELECT min(ExpiresAt) FROM Jobs WHERE Run = ?1 AND State IN ('pending', 'waiting') AND ExpiresAt > ?2
                   AND ({KEPT} OR {UNBEGUN} AND {TIMED} OR {behind})"
            );
            let over = c.prepare_cached(&over)?.query_row(params![run, moment::text(after)], |row| column::time_or_null(row, 0))?;
            Ok([next, over].into_iter().flatten().min())
        })
    }

    /// How many jobs of a run are where, by step. Rollbacks do not count. What stands behind a job that waits for its device waits
    /// for it too.
    pub fn job_counts(&self, run: &str) -> Result<BTreeMap<u32, JobCounts>, StoreError> {
        self.counts(run, "run")
    }

    /// The same of what is undone.
    pub fn rollback_counts(&self, run: &str) -> Result<BTreeMap<u32, JobCounts>, StoreError> {
        self.counts(run, "rollback")
    }

    fn counts(&self, run: &str, part: &str) -> Result<BTreeMap<u32, JobCounts>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT Step, State, WaitsFor = 'device', count(*) FROM Jobs WHERE Run = ?1 AND Part = ?2 GROUP BY Step, State, WaitsFor = 'device'",
            )?;
            let rows = statement.query_map([run, part], |row| {
                let offline: Option<bool> = row.get(2)?;
                Ok((row.get::<_, u32>(0)?, state::<JobState>(row, 1)?, offline == Some(true), row.get::<_, i64>(3)? as usize))
            })?;
            let mut counts: BTreeMap<u32, JobCounts> = BTreeMap::new();
            for row in rows {
                let (step, state, offline, n) = row?;
                counts.entry(step).or_default().add(state, offline, n);
            }
            if !anybody_is_away(c)? {
                return Ok(counts);
            }
            let mut behind = c
                .prepare_cached(&format!("SELECT Step, count(*) FROM Jobs WHERE Run = ?1 AND Part = ?2 AND {BEHIND} GROUP BY Step"))?;
            for row in behind.query_map([run, part], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)? as usize)))? {
                let (step, n) = row?;
                let counts = counts.entry(step).or_default();
                counts.pending = counts.pending.saturating_sub(n);
                counts.offline += n;
            }
            Ok(counts)
        })
    }

    /// Jobs.
    pub fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>, StoreError> {
        let limit = if filter.limit == 0 { MOST_ROWS } else { filter.limit.min(MOST_ROWS) };
        let states = column::to_json(&filter.states.iter().map(|state| state_name(*state)).collect::<Vec<_>>());
        let order = if filter.newest_first { "DESC" } else { "ASC" };
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "{JOB} WHERE (?1 IS NULL OR Run = ?1) AND (?2 IS NULL OR Step = ?2) AND (?3 IS NULL OR Device = ?3)
                   AND (?4 IS NULL OR Action = ?4) AND (?5 = '[]' OR State IN (SELECT value FROM json_each(?5)))
                   AND (?6 IS NULL OR EXISTS (SELECT 1 FROM JobOutputs o WHERE o.Job = Jobs.Id
                        AND (instr(o.Stdout, ?6) > 0 OR instr(o.Stderr, ?6) > 0)))
                 ORDER BY N {order} LIMIT ?7"
            ))?;
            let given = params![filter.run, filter.step, filter.device, filter.action, states, filter.printed, limit as i64];
            let rows = statement.query_map(given, read)?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Whether everything of a run has ended, waits for a window or its device, or stands behind something that waits for its device.
    pub fn jobs_rest(&self, run: &str) -> Result<bool, StoreError> {
        self.read(|c| {
            let rest = format!(
                "SELECT EXISTS (SELECT 1 FROM Jobs WHERE Run = ?1) AND NOT EXISTS (
                   SELECT 1 FROM Jobs WHERE Run = ?1 AND State IN ('pending', 'waiting', 'running')
                     AND NOT (State = 'waiting' AND WaitsFor IN ('window', 'device')) AND NOT ({BEHIND}))"
            );
            Ok(c.prepare_cached(&rest)?.query_row([run], |row| row.get(0))?)
        })
    }

    /// A job by its id.
    pub fn job(&self, id: &str) -> Result<Option<Job>, StoreError> {
        self.read(|c| Ok(c.prepare_cached(&format!("{JOB} WHERE Id = ?1"))?.query_row([id], read).optional()?))
    }

    /// What the commands of a job printed, in their order.
    pub fn job_outputs(&self, job: &str) -> Result<Vec<JobOutput>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT Job, Attempt, Seq, Line, Code, Stdout, Stderr FROM JobOutputs WHERE Job = ?1 ORDER BY Attempt, Seq",
            )?;
            let rows = statement.query_map([job], |row| {
                Ok(JobOutput {
                    job: row.get(0)?,
                    attempt: row.get(1)?,
                    seq: row.get(2)?,
                    line: row.get(3)?,
                    code: row.get(4)?,
                    stdout: row.get(5)?,
                    stderr: row.get(6)?,
                })
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }
}
