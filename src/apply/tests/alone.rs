//! Actions that nobody is at hand to be asked about.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::apply::{Ask, End, Parts, act};
use crate::model::ActionCall;
use crate::model::suspension::{Suspension, SuspensionKind};
use crate::store::AuditEvent;

#[tokio::test]
async fn what_is_suspended_by_itself_or_with_its_group_is_left_alone() {
    for (kind, name) in [(SuspensionKind::Device, "d"), (SuspensionKind::Group, "All")] {
        let house = House::one("      Steps: {DIR/d/x: x}\n");
        let parts = Parts {
            set: Arc::clone(&house.set),
            store: house.store.clone(),
            sessions: crate::apply::sessions(&house.set, &house.secrets),
            secrets: Arc::clone(&house.secrets),
            redactor: Redactor::new(),
            clock: house.clock.clone(),
            actor: Actor { user: "kim".into(), from: "test".into() },
        };
        let with = BTreeMap::from([("name".to_owned(), json!("no-such-service")), ("state".to_owned(), json!("restart"))]);
        let call = ActionCall { action: "ServiceControl".into(), with, on: Vec::new() };
        let cancel = CancellationToken::new();
        let said = act(&parts, &Ask::unattended("d", &call, "a test"), &cancel).await.unwrap().message;
        assert!(!said.contains("suspended"), "{said}");
        let suspension = Suspension {
            kind,
            name: name.into(),
            device: None,
            since: noon(),
            by: "kim".into(),
            reason: "on the bench".into(),
            automatic: false,
            policy_set: None,
        };
        let event = AuditEvent {
            at: noon(),
            user: None,
            action: "suspension.added".into(),
            target: None,
            details: json!({}),
            ip: None,
            success: true,
        };
        house.store.suspend(&suspension, event).unwrap();
        let acted = act(&parts, &Ask::unattended("d", &call, "a test"), &cancel).await.unwrap();
        assert!(acted.message.contains("refused: the device is suspended"), "{acted:?}");
        assert_eq!((acted.end, acted.held.map(|held| held.by)), (End::Refused, Some("suspended".to_owned())));
        assert_eq!(house.store.leases().unwrap(), []);
    }
}
