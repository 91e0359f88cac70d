//! Runs asynchronous work. Ctrl-C and SIGTERM end it; where devices are changed they let what is in flight finish, and a
//! second one stops at once.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::failure::Failure;
use crate::diagnose::Diagnostic;

/// Most threads for what blocks: those of scripts, and some for everything else. They only exist while they are needed.
const THREADS: usize = crate::apply::MOST_SCRIPTS + 128;
/// A thread with nothing to do ends after this. Work goes round among the idle ones: were it longer, as many as were once needed
/// would stay, each with memory of its own.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// What asks work to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// Begin nothing further.
    pub(super) stop: CancellationToken,
    /// End what is in flight too.
    pub(super) abort: CancellationToken,
}

/// Runs `work` to its end on a runtime of its own; an interrupt ends what is in flight.
pub(super) fn block_on<T, E: Into<Failure>>(work: impl AsyncFnOnce(&Signals) -> Result<T, E>) -> Result<T, Failure> {
    run("\nStopping: what is in flight is ended.", work)
}

/// The same for work that changes devices: the first interrupt lets what is in flight finish.
pub(super) fn block_on_changes<T, E: Into<Failure>>(work: impl AsyncFnOnce(&Signals) -> Result<T, E>) -> Result<T, Failure> {
    run("\nStopping: what is in flight is finished first. Press Ctrl-C again to stop at once.", work)
}

/// The same where the caller says that it stops.
pub(super) fn block_on_own_words<T, E: Into<Failure>>(work: impl AsyncFnOnce(&Signals) -> Result<T, E>) -> Result<T, Failure> {
    run("", work)
}

fn run<T, E: Into<Failure>>(said: &'static str, work: impl AsyncFnOnce(&Signals) -> Result<T, E>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(THREADS)
        .thread_keep_alive(KEEP_ALIVE)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("threads cannot be started: {error}"))))?;
    let signals = Signals::default();
    let result = runtime.block_on(async {
        let listener = tokio::spawn(listen(signals.clone(), said, false));
        let result = work(&signals).await;
        crate::transport::close_everything().await;
        listener.abort();
        result
    });
    // Whatever a library left behind must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result.map_err(Into::into)
}

/// Runs the daemon: the first request to end lets what is in flight end, a second one does not; SIGHUP has the repository
/// read again.
pub(super) fn serve<E: Into<Failure>>(work: impl AsyncFnOnce(crate::reconcile::Signals) -> Result<(), E>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4))
        .max_blocking_threads(THREADS)
        .thread_keep_alive(KEEP_ALIVE)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("threads cannot be started: {error}"))))?;
    let asked = crate::reconcile::Signals::default();
    let result = runtime.block_on(async {
        let signals = Signals { stop: asked.stop.clone(), abort: asked.abort.clone() };
        let listener = tokio::spawn(listen(signals, "\nStopping: what is in flight is finished first. Once more stops at once.", true));
        let hangups = tokio::spawn(hang_ups(std::sync::Arc::clone(&asked.reload)));
        let result = work(asked).await;
        crate::transport::close_everything().await;
        listener.abort();
        hangups.abort();
        result
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result.map_err(Into::into)
}

#[cfg(unix)]
async fn hang_ups(reload: std::sync::Arc<tokio::sync::Notify>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut signals) = signal(SignalKind::hangup()) else { return };
    while signals.recv().await.is_some() {
        reload.notify_one();
    }
}

#[cfg(not(unix))]
async fn hang_ups(_: std::sync::Arc<tokio::sync::Notify>) {}

async fn listen(signals: Signals, said: &str, quiet: bool) {
    let mut asked = 0;
    let Some(mut interrupts) = Interrupts::new() else { return };
    while interrupts.next().await {
        asked += 1;
        signals.stop.cancel();
        if asked == 1 {
            // Of a service the log says so, in its own form.
            if !said.is_empty() && (std::io::IsTerminal::is_terminal(&std::io::stderr()) || !quiet) {
                super::say(said);
            }
        } else {
            signals.abort.cancel();
        }
    }
}

/// Listens without a gap, so that two signals in quick succession count as two.
#[cfg(unix)]
struct Interrupts(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Interrupts {
    fn new() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Some(Self(signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?))
    }

    async fn next(&mut self) -> bool {
        tokio::select! {
            received = self.0.recv() => received.is_some(),
            received = self.1.recv() => received.is_some(),
        }
    }
}

#[cfg(not(unix))]
struct Interrupts;

#[cfg(not(unix))]
impl Interrupts {
    fn new() -> Option<Self> {
        Some(Self)
    }

    async fn next(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
