//! An action that was asked for here, and that another process carries out: a daemon sees a run as soon as it stands in the database.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use super::run::LOOK;
use crate::model::JobState;
use crate::model::job::WaitsFor;
use crate::store::{JobFilter, Store, StoreError};
use crate::workflow::Event;

/// Tells what becomes of the jobs of a run. True where it has ended or nobody waits for more, false where nobody drives it any more.
pub(super) async fn watch(store: &Store, run: &str, over: &CancellationToken, on: &dyn Fn(Event)) -> Result<bool, StoreError> {
    let lease = format!("run {run}");
    let mut known: HashMap<String, (JobState, Option<WaitsFor>)> = HashMap::new();
    let mut version = None;
    loop {
        // Asked for its end first: what its jobs are then is the end of them.
        let ended = store.workflow_run(run)?.is_none_or(|run| run.state.is_final());
        let now = store.data_version()?;
        if version.replace(now) != Some(now) {
            for job in store.jobs(&JobFilter { run: Some(run.to_owned()), ..JobFilter::default() })? {
                let stands = (job.state, job.waits_for);
                if known.insert(job.id.clone(), stands) != Some(stands) && job.state != JobState::Pending {
                    on(Event::Job(Box::new(job)));
                }
            }
        }
        if ended || over.is_cancelled() {
            return Ok(true);
        }
        if store.leases()?.iter().all(|held| held.name != lease) {
            return Ok(false);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = over.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::model::run::Actor;
    use crate::model::workflow::Concurrency;
    use crate::model::{ActionCall, WorkflowState};
    use crate::repo::{LoadOptions, World, compile};
    use crate::store::Owner;
    use crate::time::FixedClock;
    use crate::workflow::{Options, by_hand, start};

    #[tokio::test(start_paused = true)]
    async fn a_run_that_another_process_took_first_is_watched_until_it_ends_or_nobody_drives_it() {
        let folder = tempfile::tempdir().unwrap();
        let noon: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let files = [("rmm.toml", "[general]\norganization = \"Example\"\n"), ("devices.yaml", "devices:\n  d1: {os: linux}\n")];
        let files: Vec<(Arc<str>, String)> = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
        let options = LoadOptions { root: folder.path().into(), env: None, environment: Vec::new(), now: noon };
        let set = compile(files, &options, World::default()).set.unwrap();
        let store = Store::open(&folder.path().join("rmm.db"), Arc::new(FixedClock::new(noon))).unwrap();
        let kim = Actor { user: "kim".into(), from: "test".into() };
        let call = ActionCall { action: "FlushDNS".into(), with: BTreeMap::default(), on: Vec::new() };
        let run = by_hand(&set, call, &Options::default(), &kim, noon, 1);
        start(&store, &run, Concurrency::Parallel).unwrap();
        let over = CancellationToken::new();
        let watch = async || super::watch(&store, &run.id, &over, &|event| panic!("{event:?}")).await.unwrap();
        assert!(!watch().await, "nobody drives it");
        let daemon = Owner::this_process();
        store.lease_run(&run.id, &daemon, TimeDelta::minutes(5)).unwrap();
        let begun = tokio::time::Instant::now();
        let (watched, moved) = tokio::join!(watch(), async {
            tokio::task::yield_now().await;
            store.move_run(&run.id, WorkflowState::Succeeded, None, &kim)
        });
        moved.unwrap();
        assert!(watched && begun.elapsed() >= LOOK, "it was waited for");
    }
}
