//! What an action has changed is looked at right after it, over the same session: what the head of the action says under
//! `collects`. Changes of packages are thereby known to be the action's.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Parts;
use super::asked::{Acted, Ask, End, Part};
use super::blocking::blocking;
use crate::catalog::ActionDef;
use crate::collect::{Collector, Limits, Request};
use crate::model::Facts;
use crate::model::update::UpdateCause;
use crate::store::{Merge, Observation, StoreError};
use crate::transport::Session;

/// What is known of a device; one that nobody has looked at yet is looked at now, since scripts decide by what it is.
pub(super) async fn looked(
    parts: &Parts,
    device: &str,
    facts: Arc<Facts>,
    session: &dyn Session,
    cancel: &CancellationToken,
) -> Result<Arc<Facts>, StoreError> {
    if !facts.sections.is_empty() {
        return Ok(facts);
    }
    let seen = Collector::collect(session, &Request::full(), None, parts.clock.as_ref(), cancel, limits(parts)).await;
    let Ok(mut seen) = seen else { return Ok(facts) };
    super::hide_in_sections(&parts.redactor, &mut seen.sections);
    let observation = Observation { device: device.to_owned(), sections: seen.sections.clone(), merge: Merge::Replace };
    let store = parts.store.clone();
    blocking(move || store.put_observations(&[observation])).await?;
    Ok(Arc::new(Facts { sections: seen.sections }))
}

fn limits(parts: &Parts) -> Limits {
    let connections = &parts.set.config.connections;
    Limits { timeout: connections.command_timeout.duration(), max_output: connections.max_output_bytes }
}

/// Observes what the action may have changed. A device that does not answer is no failure of the action: the next collection
/// sees it.
pub(super) async fn refresh(
    parts: &Parts,
    ask: &Ask<'_>,
    def: &ActionDef,
    session: &dyn Session,
    acted: &Acted,
    cancel: &CancellationToken,
) -> Result<(), StoreError> {
    if def.collects.is_empty() || !matches!(acted.end, End::Done | End::Failed) {
        return Ok(());
    }
    let request = Request::for_paths(&def.collects);
    let seen = Collector::collect(session, &request, None, parts.clock.as_ref(), cancel, limits(parts)).await;
    let Ok(mut seen) = seen else { return Ok(()) };
    super::hide_in_sections(&parts.redactor, &mut seen.sections);
    let cause = UpdateCause {
        action: def.name.to_string(),
        undone: ask.part != Part::Run,
        run: ask.because.to_owned(),
        by: parts.actor.user.clone(),
    };
    let observation = Observation { device: ask.device.to_owned(), sections: seen.sections, merge: Merge::Replace };
    let store = parts.store.clone();
    blocking(move || store.put_observations_after(&[observation], Some(&cause))).await.map(drop)
}
