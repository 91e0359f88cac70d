//! The queue of actions as whoever carries them out writes it: many transitions in one transaction, each with its audit row. A
//! device is leased as its job begins, and given back as it ends.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use super::audit;
use super::jobs_read::{BEHIND, JOB, UNBEGUN, read};
use super::leases::lease_in;
use super::runs::state_name;
use super::workflow_runs::{event, legal};
use super::{Failure, Owner, Store, StoreError, column, moment};
use crate::model::job::{JobOutput, JobPhase, JobProgress, PROGRESS, WaitsFor};
use crate::model::run::Actor;
use crate::model::{Job, JobState};

/// Most bytes of a reason.
const MOST_REASON: usize = 4000;
/// Most bytes of a result or of what is remembered.
const MOST_RESULT: usize = 256 * 1024;
/// Most bytes of one stream of one command.
const MOST_OUTPUT: usize = 64 * 1024;
/// How long a device is held without a sign of life.
const LEASE: TimeDelta = TimeDelta::minutes(5);

/// A transition of a job. What is not given stays as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct JobChange {
    /// Job.
    pub id: String,
    /// Where it stands from now on.
    pub state: JobState,
    /// What it waits for, where it waits.
    pub waits_for: Option<WaitsFor>,
    /// Which part comes next.
    pub phase: Option<JobPhase>,
    /// Attempts, where this begins another one.
    pub attempt: Option<u32>,
    /// How often it was tried again.
    pub retries: Option<u32>,
    /// Not before; none clears it.
    pub wake_at: Option<DateTime<Utc>>,
    /// Why; none clears it.
    pub reason: Option<String>,
    /// What it returned.
    pub result: Option<Value>,
    /// What is remembered until its next part.
    pub memo: Option<Value>,
    /// What its commands printed.
    pub outputs: Vec<JobOutput>,
}

impl JobChange {
    /// A transition that changes nothing but the state.
    pub fn to(id: &str, state: JobState) -> Self {
        Self {
            id: id.to_owned(),
            state,
            waits_for: None,
            phase: None,
            attempt: None,
            retries: None,
            wake_at: None,
            reason: None,
            result: None,
            memo: None,
            outputs: Vec::new(),
        }
    }
}

/// What came of many transitions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobBatch {
    /// Jobs as they are now.
    pub changed: Vec<Job>,
    /// Jobs that stand elsewhere by now (a person has cancelled them), as they are.
    pub refused: Vec<Job>,
    /// Jobs that could not begin, and the run that holds their device.
    pub busy: Vec<(Job, String)>,
}

/// Adds jobs; a known id stays as it is.
pub(super) fn insert(tx: &Transaction<'_>, jobs: &[Job]) -> Result<(), Failure> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO Jobs (Id, Run, Step, Device, Action, Params, Part, Undoes, Priority, State, WaitsFor, Phase, WakeAt, ExpiresAt, CreatedAt,
             Result, Memo)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'pending', NULL, 'act', ?10, ?11, ?12, ?13, ?14) ON CONFLICT (Id) DO NOTHING",
    )?;
    for job in jobs {
        statement.execute(params![
            job.id,
            job.run,
            job.step,
            job.device,
            job.action,
            column::to_json(&job.with),
            job.part.to_string(),
            job.undoes,
            job.priority,
            job.wake_at.map(moment::text),
            moment::text(job.expires_at),
            moment::text(job.created_at),
            job.result.to_string(),
            job.memo.to_string(),
        ])?;
    }
    Ok(())
}

impl Store {
    /// Puts jobs into the queue; one that is known stays as it is.
    pub fn put_jobs(&self, jobs: &[Job]) -> Result<(), StoreError> {
        self.write(|tx| insert(tx, jobs))
    }

    /// Moves jobs on, all in one transaction. A job that begins leases its device for `owner`; one that no longer runs, and whose
    /// device does not restart just now, gives it back.
    pub fn move_jobs(&self, changes: &[JobChange], owner: &Owner, actor: &Actor) -> Result<JobBatch, StoreError> {
        let (now, hour) = (self.now(), self.hour());
        if changes.is_empty() {
            return Ok(JobBatch::default());
        }
        self.write(|tx| {
            let mut batch = JobBatch::default();
            for change in changes {
                let Some(job) = tx.prepare_cached(&format!("{JOB} WHERE Id = ?1"))?.query_row([&change.id], read).optional()? else {
                    return Err(StoreError::Missing { what: "job", name: change.id.clone() }.into());
                };
                if !job.state.may_become(change.state) {
                    batch.refused.push(job);
                    continue;
                }
                let needs_device = !job.device.is_empty();
                if needs_device && change.state == JobState::Running {
                    let device = format!("device {}", job.device);
                    if let Some(held) = lease_in(tx, hour, &device, &job.run, owner, LEASE)? {
                        batch.busy.push((job, held.run));
                        continue;
                    }
                } else if needs_device && change.waits_for != Some(WaitsFor::Restart) {
                    tx.prepare_cached("DELETE FROM Leases WHERE Name = ?1 AND Owner = ?2 AND Run = ?3")?.execute(params![
                        format!("device {}", job.device),
                        owner.as_str(),
                        job.run
                    ])?;
                }
                batch.changed.push(write(tx, job, change, now, actor)?);
            }
            Ok(batch)
        })
    }

    /// Writes down how far jobs have got that are under way, over what was known before; it goes with the end of the job. No audit
    /// row: nothing has changed on the way to it.
    pub fn note_progress(&self, progress: &[(&str, JobProgress)]) -> Result<(), StoreError> {
        if progress.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE Jobs SET Memo = json_set(CASE json_type(Memo) WHEN 'object' THEN Memo ELSE '{}' END, '$.' || ?2, json(?3))
                 WHERE Id = ?1 AND State = 'running'",
            )?;
            for (job, progress) in progress {
                statement.execute(params![job, PROGRESS, column::to_json(progress)])?;
            }
            Ok(())
        })
    }

    /// Cancels what has not begun: jobs of a run (of one step of it) that wait. Returns how many.
    pub fn cancel_jobs(&self, run: &str, step: Option<u32>, reason: &str, actor: &Actor) -> Result<usize, StoreError> {
        self.end_waiting(run, JobState::Cancelled, "(?3 IS NULL OR Step = ?3)", step, reason, actor)
    }

    /// Cancels one job that has not begun, and returns it as it is then. [`StoreError::Step`] where it is under way or has ended.
    pub fn cancel_job(&self, id: &str, reason: &str, actor: &Actor) -> Result<Job, StoreError> {
        let now = self.now();
        self.write(|tx| {
            let job = tx.prepare_cached(&format!("{JOB} WHERE Id = ?1"))?.query_row([id], read).optional()?;
            let job = job.ok_or_else(|| StoreError::Missing { what: "job", name: id.to_owned() })?;
            let waits = matches!(job.state, JobState::Pending | JobState::Waiting);
            legal("job", id, waits, job.state, JobState::Cancelled)?;
            tx.prepare_cached("DELETE FROM Leases WHERE Name = ?1 AND Run = ?2")?
                .execute([format!("device {}", job.device), job.run.clone()])?;
            let change = JobChange { reason: Some(reason.to_owned()), ..JobChange::to(id, JobState::Cancelled) };
            let job = write(tx, job, &change, now, actor)?;
            super::workflow_runs::bump(tx)?;
            Ok(job)
        })
    }

    /// Gives up jobs of a run whose device did not return in time, those that stand behind one, those that were held for too long,
    /// and those of the steps in `timed`, which a person has asked for at a moment, that have not begun in time. Everything else only
    /// waits for its turn: it is not late because others take long. Returns how many.
    pub fn expire_jobs(&self, run: &str, timed: &[u32], actor: &Actor) -> Result<usize, StoreError> {
        let over = self.read(|c| {
            let over = "SELECT EXISTS (SELECT 1 FROM Jobs WHERE Run = ?1 AND State IN ('pending', 'waiting') AND ExpiresAt <= ?2)";
            Ok(c.prepare_cached(over)?.query_row([run, &moment::text(self.now())], |row| row.get::<_, bool>(0))?)
        })?;
        if !over {
            return Ok(0);
        }
        let away = format!("ExpiresAt <= ?5 AND ?3 IS NULL AND (WaitsFor = 'device' OR {BEHIND})");
        let away = self.end_waiting(run, JobState::Expired, &away, None, "the device did not return in time", actor)?;
        // As where it is still held when it is looked at.
        let held = "ExpiresAt <= ?5 AND ?3 IS NULL AND WaitsFor = 'window'";
        let why = "it was held, and its time was over before it was carried out";
        let held = self.end_waiting(run, JobState::Skipped, held, None, why, actor)?;
        let missed = format!("ExpiresAt <= ?5 AND Step = ?3 AND {UNBEGUN}");
        timed.iter().try_fold(away + held, |sum, step| {
            let why = "its time was over before anybody carried it out";
            Ok(sum + self.end_waiting(run, JobState::Expired, &missed, Some(*step), why, actor)?)
        })
    }

    fn end_waiting(
        &self,
        run: &str,
        state: JobState,
        which: &str,
        step: Option<u32>,
        reason: &str,
        actor: &Actor,
    ) -> Result<usize, StoreError> {
        let now = self.now();
        let text = moment::text(now);
        let rows = self.read(|c| {
            let any = format!("SELECT count(*) FROM Jobs WHERE Run = ?1 AND State IN ('pending', 'waiting') AND {which} AND ?2 = ?2 AND ?4 = ?4 AND ?5 = ?5");
            Ok(c.prepare_cached(&any)?.query_row(params![run, state_name(state), step, reason, text], |row| row.get::<_, i64>(0))?)
        })?;
        if rows == 0 {
            return Ok(0);
        }
        self.write(|tx| {
            let update = format!(
                "UPDATE Jobs SET State = ?2, WaitsFor = NULL, WakeAt = NULL, Reason = ?4, FinishedAt = ?5
                 WHERE Run = ?1 AND State IN ('pending', 'waiting') AND {which}"
            );
            let rows =
                tx.prepare_cached(&update)?.execute(params![run, state_name(state), step, super::clip(reason, MOST_REASON), text])?;
            if rows > 0 {
                let details = json!({ "step": step, "jobs": rows, "reason": reason });
                audit::append(tx, &event(now, &format!("job.{}", state_name(state)), run, details, actor, true))?;
            }
            Ok(rows)
        })
    }

    /// A device is back: what waits for it may begin at once. Returns how many jobs.
    pub fn wake_jobs(&self, device: &str) -> Result<usize, StoreError> {
        let now = moment::text(self.now());
        let which = "Device = ?1 AND State = 'waiting' AND WaitsFor = 'device'";
        let any = self.read(|c| {
            let any = format!("SELECT EXISTS (SELECT 1 FROM Jobs WHERE {which})");
            Ok(c.prepare_cached(&any)?.query_row([device], |row| row.get::<_, bool>(0))?)
        })?;
        if !any {
            return Ok(0);
        }
        self.write(|tx| {
            super::workflow_runs::bump(tx)?;
            Ok(tx.prepare_cached(&format!("UPDATE Jobs SET WakeAt = ?2 WHERE {which}"))?.execute([device, &now])?)
        })
    }
}

fn write(tx: &Transaction<'_>, mut job: Job, change: &JobChange, now: DateTime<Utc>, actor: &Actor) -> Result<Job, Failure> {
    let was = (job.state, job.waits_for);
    let now_kept = moment::from_millis(moment::millis(now));
    job.state = change.state;
    job.waits_for = change.waits_for.filter(|_| change.state == JobState::Waiting);
    job.phase = change.phase.unwrap_or(job.phase);
    job.attempt = change.attempt.unwrap_or(job.attempt);
    job.retries = change.retries.unwrap_or(job.retries);
    job.wake_at = change.wake_at;
    job.reason = change.reason.as_deref().map(|reason| super::clip(reason, MOST_REASON).to_owned());
    if let Some(result) = &change.result {
        job.result = bounded(result);
    }
    if let Some(memo) = &change.memo {
        job.memo = bounded(memo);
    }
    // How far it had got is of no interest once it is no longer on its way.
    if let Some(members) = job.memo.as_object_mut().filter(|_| change.state != JobState::Running)
        && members.shift_remove(PROGRESS).is_some()
        && members.is_empty()
    {
        job.memo = Value::Null;
    }
    if change.state == JobState::Running {
        job.started_at = job.started_at.or(Some(now_kept));
    }
    job.finished_at = change.state.is_final().then_some(now_kept);
    tx.prepare_cached(
        "UPDATE Jobs SET State = ?2, WaitsFor = ?3, Phase = ?4, Attempt = ?5, Retries = ?6, WakeAt = ?7, StartedAt = ?8, FinishedAt = ?9,
             Reason = ?10, Result = ?11, Memo = ?12 WHERE Id = ?1",
    )?
    .execute(params![
        job.id,
        state_name(job.state),
        job.waits_for.map(|what| what.to_string()),
        job.phase.to_string(),
        job.attempt,
        job.retries,
        job.wake_at.map(moment::text),
        job.started_at.map(moment::text),
        job.finished_at.map(moment::text),
        job.reason,
        job.result.to_string(),
        job.memo.to_string(),
    ])?;
    for output in &change.outputs {
        tx.prepare_cached(
            "INSERT INTO JobOutputs (Job, Attempt, Seq, Line, Code, Stdout, Stderr) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (Job, Attempt, Seq) DO UPDATE SET Line = ?4, Code = ?5, Stdout = ?6, Stderr = ?7",
        )?
        .execute(params![
            job.id,
            output.attempt,
            output.seq,
            super::clip(&output.line, MOST_OUTPUT),
            output.code,
            super::clip(&output.stdout, MOST_OUTPUT),
            super::clip(&output.stderr, MOST_OUTPUT),
        ])?;
    }
    // A device that stays away is looked for again and again: that it still is is no news.
    if was != (job.state, job.waits_for) {
        let details = json!({
            "run": job.run, "job": job.id, "step": job.step, "action": job.action, "part": job.part, "was": state_name(was.0),
            "waitsFor": job.waits_for, "attempt": job.attempt, "parameters": job.with.keys().collect::<Vec<_>>(), "reason": job.reason,
        });
        let failed = matches!(job.state, JobState::Failed | JobState::Interrupted | JobState::Expired);
        let target = if job.device.is_empty() { &job.run } else { &*job.device };
        audit::append(tx, &event(now, &format!("job.{}", state_name(job.state)), target, details, actor, !failed))?;
    }
    Ok(job)
}

/// A value that is not too large to be kept.
fn bounded(value: &Value) -> Value {
    let size = value.to_string().len();
    if size <= MOST_RESULT { value.clone() } else { json!({ "tooLarge": size }) }
}
