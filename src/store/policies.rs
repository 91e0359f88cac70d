//! Policy sets that were in force, so that a past verdict can be read beside the policy as it was.

use rusqlite::params;

use super::{Store, StoreError, moment};

impl Store {
    /// Keeps a policy set: its content hash, its commit, and each policy as JSON. A known set costs one look.
    pub fn record_policy_set(&self, hash: &str, commit: Option<&str>, policies: &[(String, String)]) -> Result<(), StoreError> {
        let known = self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT 1 FROM PolicySets WHERE Hash = ?1 AND CommitId IS ?2")?;
            Ok(statement.exists(params![hash, commit])?)
        })?;
        if known {
            return Ok(());
        }
        let now = moment::text(self.now());
        self.write(|tx| {
            tx.execute(
                "INSERT INTO PolicySets (Hash, CommitId, FirstSeen) VALUES (?1, ?2, ?3)
                 ON CONFLICT (Hash) DO UPDATE SET CommitId = coalesce(?2, CommitId)",
                params![hash, commit, now],
            )?;
            for (name, json) in policies {
                tx.prepare_cached("INSERT OR IGNORE INTO Policies (PolicySet, Name, Data) VALUES (?1, ?2, ?3)")?
                    .execute(params![hash, name, json])?;
            }
            Ok(())
        })
    }

    /// The policies of a set by name, as JSON.
    pub fn policy_set(&self, hash: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT Name, Data FROM Policies WHERE PolicySet = ?1 ORDER BY Name")?;
            let rows = statement.query_map([hash], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }
}
