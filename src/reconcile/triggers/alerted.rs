//! Alerts that start workflows: those that lie open and of which somebody is told. How far they have been looked at is kept: what
//! was raised while nobody looked is found, and nothing from before the first look.

use std::sync::Arc;

use serde_json::json;

use super::Triggers;
use crate::alert::kind;
use crate::model::workflow_run::Cause;
use crate::model::{Alert, AlertState, Trigger, Workflow};
use crate::store::StoreError;

impl Triggers {
    /// Where no workflow is started by alerts, nobody looks; the next look is a first one then.
    pub(super) fn settle_alerts(&self) -> Result<(), StoreError> {
        let (store, known) = (&self.parts.store, self.parts.store.alerts_looked_at()?);
        match (self.alerts, known) {
            (true, None) => store.note_alerts_looked_at(Some(store.alerts_revision()?)),
            (false, Some(_)) => store.note_alerts_looked_at(None),
            _ => Ok(()),
        }
    }

    /// Alerts that were written since the last look.
    pub(super) fn look_at_alerts(&self) -> Result<(), StoreError> {
        let store = &self.parts.store;
        if !self.alerts {
            return Ok(());
        }
        let known = store.alerts_looked_at()?.unwrap_or_default();
        if store.alerts_revision()? == known {
            return Ok(());
        }
        let (revision, alerts) = store.alerts_after(known)?;
        for alert in alerts.iter().filter(|alert| counts(alert)) {
            for workflow in self.parts.set.workflows.values() {
                if workflow.triggers.iter().any(|trigger| self.means(trigger, alert)) && !self.circles(workflow, alert)? {
                    self.start(workflow, cause(alert))?;
                }
            }
        }
        store.note_alerts_looked_at(Some(revision))
    }

    fn means(&self, trigger: &Trigger, alert: &Alert) -> bool {
        let Trigger::Alert { kind: wanted, severity } = trigger else { return false };
        let of_kind = match wanted {
            Some(wanted) => kind::means(wanted, &alert.key.kind, &self.parts.set),
            // A workflow that fails must not start what is there for all alerts, which may fail as well.
            None => &*alert.key.kind != kind::WORKFLOW_FAILED,
        };
        of_kind && severity.as_ref().is_none_or(|rule| rule.covers(alert.severity))
    }

    /// Whether a workflow would be started because it has failed itself, or because one has failed that was started so.
    fn circles(&self, workflow: &Workflow, alert: &Alert) -> Result<bool, StoreError> {
        if &*alert.key.kind != kind::WORKFLOW_FAILED {
            return Ok(false);
        }
        let failed = self.parts.store.workflow_run(&alert.key.instance)?;
        Ok(failed.is_some_and(|run| run.workflow == workflow.name || run.cause.data["type"] == kind::WORKFLOW_FAILED))
    }
}

/// Whether an alert lasts and somebody is told of it.
fn counts(alert: &Alert) -> bool {
    matches!(alert.state, AlertState::Active | AlertState::Acknowledged) && alert.suppressed.is_none()
}

fn cause(alert: &Alert) -> Cause {
    Cause {
        kind: "alert".into(),
        key: Some(format!("alert:{}", alert.id)),
        device: alert.key.subject.device().map(Arc::from),
        group: None,
        data: json!({
            "type": alert.key.kind, "severity": alert.severity, "title": alert.title, "value": alert.value, "instance": alert.key.instance,
        }),
    }
}
