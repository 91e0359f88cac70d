//! Work that blocks (the database, the disk, planning), on threads of its own beside the event loop.

use tokio::sync::Semaphore;

/// Scripts at work at once. Each holds a thread for as long as its device takes, so the runtime has to have more threads than
/// that: what is written to the database needs one too.
pub const MOST_SCRIPTS: usize = 640;

static SCRIPTS: Semaphore = Semaphore::const_new(MOST_SCRIPTS);

/// Pieces of other work at once: twice the readers of the database. More of them would only wait for each other, each on a
/// thread that keeps memory for itself.
const MOST_WORK: usize = 32;

static WORK: Semaphore = Semaphore::const_new(MOST_WORK);

/// Runs what blocks beside the event loop. A panic in it goes on here. The work must not wait for other work of this kind.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let _place = WORK.acquire().await;
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends: so does whoever waits for this.
        Err(_) => std::future::pending().await,
    }
}

/// Runs a script on a thread that may wait for its device. `None` where it broke off.
pub(super) async fn script<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _place = SCRIPTS.acquire().await;
    tokio::task::spawn_blocking(work).await.ok()
}
