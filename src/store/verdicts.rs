//! Verdicts: the latest per device for the planner, and a history of changes as evidence.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Failure, Store, StoreError, devices, moment};
use crate::model::DevicePlan;

/// The verdict on one device, to be kept.
#[derive(Debug, Clone)]
pub struct PutVerdict<'a> {
    /// Hash over everything that went into the verdict.
    pub input_hash: [u8; 16],
    /// The verdict as the planner wants it back.
    pub blob: &'a [u8],
    /// The verdict as it goes into the history.
    pub plan: &'a DevicePlan,
}

/// What a setting was from when until when. A setting that no interval covers, on a device that was judged, was compliant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictInterval {
    /// `Services.sshd`.
    pub setting: String,
    /// First judged so.
    pub from: DateTime<Utc>,
    /// First judged otherwise; none where it still holds.
    pub to: Option<DateTime<Utc>>,
    /// `change`, `report`, `held`, ...
    pub state: String,
    /// Observed, in a few words.
    pub observed: String,
    /// Desired, in a few words.
    pub desired: String,
    /// Policy that asked for it.
    pub policy: String,
    /// The line that asked for it.
    pub place: String,
    /// Commit of the policy set.
    pub commit: Option<String>,
}

impl Store {
    /// Keeps verdicts made at `at` from one policy set, in one transaction. History is written only where a verdict changed.
    pub fn put_verdicts(
        &self,
        policy_set: &str,
        commit: Option<&str>,
        at: DateTime<Utc>,
        verdicts: &[PutVerdict<'_>],
    ) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| {
            for verdict in verdicts {
                let device = devices::intern(tx, &verdict.plan.device, now)?;
                let at = moment::millis(at);
                tx.prepare_cached(
                    "INSERT INTO Verdicts (Device, InputHash, At, Data) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (Device) DO UPDATE SET InputHash = ?2, At = ?3, Data = ?4",
                )?
                .execute(params![device, verdict.input_hash, at, verdict.blob])?;
                put_scope(tx, device, verdict.plan, policy_set, commit, at)?;
                put_history(tx, device, verdict.plan, commit, at)?;
            }
            Ok(())
        })
    }

    /// Hands the latest verdict on every declared device to `f`: name, input hash, blob.
    pub fn verdicts_all(&self, mut f: impl FnMut(&str, [u8; 16], &[u8])) -> Result<(), StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT d.DeviceId, v.InputHash, v.Data FROM Verdicts v JOIN Devices d ON d.Id = v.Device
                 WHERE d.RemovedAt IS NULL ORDER BY v.Device",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let name = row.get_ref(0)?.as_str()?;
                let blob = row.get_ref(2)?.as_blob()?;
                f(name, row.get(1)?, blob);
            }
            Ok(())
        })
    }

    /// Forgets the latest verdicts (not their history): the next plan judges anew.
    pub fn forget_verdicts(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM Verdicts", [])?;
            Ok(())
        })
    }

    /// How the verdicts on a device changed, oldest first; of one setting where one is named. At most `limit`, the newest.
    pub fn verdict_history(&self, device: &str, setting: Option<&str>, limit: usize) -> Result<Vec<VerdictInterval>, StoreError> {
        self.read(|connection| {
            let Some(id) = devices::find(connection, device)? else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(
                "SELECT Setting, ValidFrom, ValidTo, State, Observed, Desired, Policy, Place, CommitId FROM VerdictHistory
                 WHERE Device = ?1 AND (?2 IS NULL OR Setting = ?2) ORDER BY ValidFrom DESC, Id DESC LIMIT ?3",
            )?;
            let rows = statement.query_map(params![id, setting, limit as i64], |row| {
                Ok(VerdictInterval {
                    setting: row.get(0)?,
                    from: moment::from_millis(row.get(1)?),
                    to: row.get::<_, Option<i64>>(2)?.map(moment::from_millis),
                    state: row.get(3)?,
                    observed: row.get(4)?,
                    desired: row.get(5)?,
                    policy: row.get(6)?,
                    place: row.get(7)?,
                    commit: row.get(8)?,
                })
            })?;
            let mut intervals = rows.collect::<Result<Vec<_>, rusqlite::Error>>()?;
            intervals.reverse();
            Ok(intervals)
        })
    }
}

fn put_scope(tx: &Transaction<'_>, device: i64, plan: &DevicePlan, set: &str, commit: Option<&str>, at: i64) -> Result<(), Failure> {
    let deviating = plan.changes.len() as i64;
    let open: Option<(i64, bool)> = tx
        .prepare_cached(
            "SELECT Id, PolicySet = ?2 AND CommitId IS ?3 AND Compliant = ?4 AND Deviating = ?5
             FROM VerdictScopes WHERE Device = ?1 AND ValidTo IS NULL",
        )?
        .query_row(params![device, set, commit, plan.compliant, deviating], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match open {
        Some((_, true)) => return Ok(()),
        Some((id, false)) => {
            tx.prepare_cached("UPDATE VerdictScopes SET ValidTo = ?2 WHERE Id = ?1")?.execute([id, at])?;
        }
        None => {}
    }
    tx.prepare_cached(
        "INSERT INTO VerdictScopes (Device, ValidFrom, PolicySet, CommitId, Compliant, Deviating) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![device, at, set, commit, plan.compliant, deviating])?;
    Ok(())
}

fn put_history(tx: &Transaction<'_>, device: i64, plan: &DevicePlan, commit: Option<&str>, at: i64) -> Result<(), Failure> {
    type Words = (String, String, String, String);
    let mut open: BTreeMap<String, (i64, Words)> = tx
        .prepare_cached("SELECT Setting, Id, State, Observed, Desired, Policy FROM VerdictHistory WHERE Device = ?1 AND ValidTo IS NULL")?
        .query_map([device], |row| Ok((row.get(0)?, (row.get(1)?, (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))))?
        .collect::<Result<_, rusqlite::Error>>()?;
    let mut end = tx.prepare_cached("UPDATE VerdictHistory SET ValidTo = ?2 WHERE Id = ?1")?;
    // Where two verdicts bear the same label the first counts: the history has one line per setting.
    let mut judged = std::collections::BTreeSet::new();
    for change in &plan.changes {
        let label = change.label();
        if !judged.insert(label.clone()) {
            continue;
        }
        let short = |text: &str| super::clip(text, 1000).to_owned();
        let words = (change.state.to_string(), short(&change.from), short(&change.to), change.policy.to_string());
        if let Some((id, before)) = open.remove(&label) {
            // The line is not compared: an edit further up in the file moves it, and nothing has changed.
            if before == words {
                continue;
            }
            end.execute([id, at])?;
        }
        let (state, from, to, policy) = words;
        tx.prepare_cached(
            "INSERT INTO VerdictHistory (Device, Setting, ValidFrom, State, Observed, Desired, Policy, Place, CommitId)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![device, label, at, state, from, to, policy, change.place.to_string(), commit])?;
    }
    for (id, _) in open.into_values() {
        end.execute([id, at])?;
    }
    Ok(())
}
