//! The task that owns the alert desk.

use tokio::sync::mpsc;

use super::desk::Said;
use super::error::ReconcileError;
use crate::apply::Parts;
use crate::model::alert::Signal;

/// Works until nobody has anything to say any more.
pub(super) async fn run(_parts: Parts, mut told: mpsc::Receiver<Said>) -> Result<(), ReconcileError> {
    while let Some(said) = told.recv().await {
        if let Said::Signals(signals) = said {
            for signal in signals {
                if let Signal::Raised(finding) = signal {
                    tracing::warn!(kind = &*finding.key.kind, "{}", finding.title);
                }
            }
        }
    }
    Ok(())
}
