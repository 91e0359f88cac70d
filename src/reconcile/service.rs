//! Speaks to the service manager: ready, reloading, stopping, still alive. Without one, nothing happens.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use super::vitals::Vitals;

fn tell(states: &[NotifyState<'_>]) {
    // Whoever runs without a service manager is not told that there is none.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// Everything has begun; what it is doing, in a few words.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What it is doing, in a few words.
pub(super) fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// A reload that was asked for begins; [`ready`] ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic clock"),
    }
}

/// It ends, and takes at most so long.
pub(super) fn stopping(drain: Duration) {
    let more = u32::try_from(drain.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::Status("draining"), NotifyState::ExtendTimeoutUsec(more)]);
}

/// Says that the loop is alive as often as the service manager wants to hear it, and only while that is true.
pub(super) async fn watchdog(vitals: Arc<Vitals>, stop: CancellationToken) {
    let Some(every) = sd_notify::watchdog_enabled() else { return };
    let mut every = tokio::time::interval(every / 3);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {
                if vitals.alive() {
                    tell(&[NotifyState::Watchdog]);
                }
            }
        }
    }
}
