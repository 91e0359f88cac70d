//! The sign of life of a run: its leases are renewed for as long as it lasts.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::blocking::blocking;
use super::executor::{Executor, LEASE};
use crate::store::Owner;

/// Beats on a thread of its own: neither scripts nor writers that hold all others can keep it from that.
pub(super) struct Heart {
    until: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Heart {
    /// Renews the `held` leases of `owner`. Where they cannot be renewed, nothing further is begun. Where another has taken one
    /// over, since this process gave no sign of life for too long, what is in flight is ended too.
    pub(super) fn start(executor: Arc<Executor>, owner: Owner, held: usize) -> Self {
        let (until, asked) = channel();
        let every = (LEASE / 4).to_std().unwrap_or(Duration::from_secs(30));
        let stop = executor.stop.clone();
        let begun = std::thread::Builder::new().name("leases".into()).spawn(move || {
            while asked.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                beat(&executor, &owner, held);
            }
        });
        let thread = begun.inspect_err(|error| {
            tracing::error!(%error, "no thread for the leases: nothing is begun");
            stop.cancel();
        });
        Self { until, thread: thread.ok() }
    }

    /// The last beat has been when this returns.
    pub(super) async fn stop(self) {
        drop(self.until);
        if let Some(thread) = self.thread {
            // As work that blocks: a clock that is played stands still meanwhile. A beat that broke off has said so itself.
            let _ = blocking(move || thread.join()).await;
        }
    }
}

fn beat(executor: &Executor, owner: &Owner, held: usize) {
    let renewed = executor.store.heartbeat(owner, LEASE);
    if !matches!(renewed, Ok(n) if n >= held) {
        executor.stop.cancel();
    }
    if matches!(renewed, Ok(n) if n < held) {
        tracing::error!(run = executor.run, "another process has taken over devices of this run");
        executor.abort.cancel();
    }
}
