//! Actions that are carried out once for all devices of a step, or that act on none.

use tokio_util::sync::CancellationToken;

use super::{Acted, Ask, Parts};
use crate::store::StoreError;

/// Carries out an action for all of `devices` together. `about` is what is said where the action says nothing of its own.
pub async fn act_together(
    _parts: &Parts,
    ask: &Ask<'_>,
    _devices: &[String],
    _about: &str,
    _cancel: &CancellationToken,
) -> Result<Acted, StoreError> {
    Ok(Acted::refused(&ask.call.action, "it is not carried out for several devices together"))
}
