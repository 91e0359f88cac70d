//! How many runs and jobs there are, for whoever counts.

use std::collections::BTreeMap;

use super::{Store, StoreError};

/// Runs by their state, and jobs that have not ended by theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowFigures {
    /// Runs.
    pub runs: BTreeMap<String, i64>,
    /// Jobs that wait or are under way.
    pub jobs: BTreeMap<String, i64>,
}

impl Store {
    /// Counts runs and open jobs.
    pub fn workflow_figures(&self) -> Result<WorkflowFigures, StoreError> {
        self.read(|c| {
            let count = |text: &str| {
                let mut statement = c.prepare_cached(text)?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect::<Result<BTreeMap<String, i64>, rusqlite::Error>>()
            };
            Ok(WorkflowFigures {
                runs: count("SELECT State, count(*) FROM WorkflowRuns GROUP BY State")?,
                jobs: count("SELECT State, count(*) FROM Jobs WHERE State IN ('pending', 'waiting', 'running') GROUP BY State")?,
            })
        })
    }
}
