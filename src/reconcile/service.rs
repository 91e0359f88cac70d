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
    // Something that is always due would keep everything else from its turn.
    let mut every = tokio::time::interval((every / 3).max(Duration::from_millis(10)));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {
                // Not a sign that this task lives, but that the loop does.
                if vitals.alive() {
                    tell(&[NotifyState::Watchdog]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vitals::SILENCE;
    use super::*;

    #[test]
    fn the_watchdog_hears_nothing_of_a_loop_that_does_not_come_round() {
        let vitals = Vitals::default();
        vitals.beat();
        assert!(vitals.alive() && vitals.alive_after(SILENCE / 2));
        assert!(!vitals.alive_after(SILENCE * 2), "whatever else of the process is alive");
        vitals.beat();
        assert!(vitals.alive());
    }
}
