//! Updates: first seen, decided by hand, and the history of packages.

use super::*;
use crate::model::update::{Decided, Ruling, UpdateCause};
use crate::store::{AuditEvent, UpdateHistoryFilter};

fn event() -> AuditEvent {
    AuditEvent {
        at: noon(),
        user: Some("kim".into()),
        action: "updates.deny".into(),
        target: None,
        details: json!({}),
        ip: None,
        success: true,
    }
}

fn decided(name: &str, ruling: Ruling) -> Decided {
    Decided {
        ruling,
        name: name.into(),
        version: None,
        targets: vec!["Pilot".into()],
        until: Some(minutes(60)),
        reason: "why".into(),
        by: "kim".into(),
        at: noon(),
    }
}

fn history(house: &House) -> Vec<String> {
    let rows = house.store.update_history(&UpdateHistoryFilter::default()).unwrap();
    let text = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".into());
    rows.iter()
        .map(|row| {
            let how = row.cause.as_ref().map_or("seen".into(), |cause| format!("{} {} {}", cause.action, cause.undone, cause.run));
            format!("{} {} {} -> {} {how}", row.device, row.change.package, text(&row.change.from), text(&row.change.to))
        })
        .collect()
}

#[test]
fn an_update_counts_from_when_any_device_first_offered_it() {
    let house = house();
    let offers = |device: &str, minute: i64, version: &str| {
        let data = json!({"openssl": {"installed": "1", "offered": version, "classification": "security"}});
        house.store.put_observations(&[observation(device, minutes(minute), &[("software.available_updates", data)])]).unwrap();
    };
    offers("a", 1, "2");
    offers("b", 5, "2");
    offers("b", 6, "3");
    offers("a", 9, "2");
    let seen = house.store.updates_seen().unwrap();
    let key = |version: &str| ("openssl".to_owned(), version.to_owned());
    assert_eq!((seen[&key("2")], seen[&key("3")], seen.len()), (minutes(1), minutes(6), 2));
}

#[test]
fn packages_that_changed_are_kept_with_what_changed_them() {
    let house = house();
    let put = |minute: i64, data: Value, cause: Option<&UpdateCause>| {
        house.store.put_observations_after(&[observation("a", minutes(minute), &[("software.packages", data)])], cause).unwrap();
    };
    // The first look is no change, and what came without us is none of ours.
    put(1, json!({"openssl": "1", "nginx": "1"}), None);
    put(2, json!({"openssl": "2", "nginx": "1", "vim": "9"}), None);
    let cause = UpdateCause { action: "InstallUpdates".into(), undone: false, run: "u-1".into(), by: "kim".into() };
    put(3, json!({"openssl": "2", "nginx": "2", "libnew": "1"}), Some(&cause));
    put(4, json!({"openssl": "2", "nginx": "2", "libnew": "1"}), None);
    assert_eq!(
        history(&house),
        [
            "a vim 9 -> - InstallUpdates false u-1",
            "a nginx 1 -> 2 InstallUpdates false u-1",
            "a libnew - -> 1 InstallUpdates false u-1",
            "a openssl 1 -> 2 seen",
        ]
    );
    let only = |filter: UpdateHistoryFilter| house.store.update_history(&filter).unwrap().len();
    assert_eq!(only(UpdateHistoryFilter { package: Some("nginx".into()), ..UpdateHistoryFilter::default() }), 1);
    assert_eq!(only(UpdateHistoryFilter { run: Some("u-1".into()), ..UpdateHistoryFilter::default() }), 3);
    assert_eq!(only(UpdateHistoryFilter { since: Some(minutes(3)), limit: Some(2), ..UpdateHistoryFilter::default() }), 2);
    assert_eq!(only(UpdateHistoryFilter { devices: Some(std::collections::BTreeSet::new()), ..UpdateHistoryFilter::default() }), 0);
}

#[test]
fn one_decision_is_kept_for_the_same_updates_and_devices() {
    let house = house();
    house.store.decide_update(&decided("nginx", Ruling::Deny), event()).unwrap();
    let mut other = decided("nginx", Ruling::Approve);
    house.store.decide_update(&other, event()).unwrap();
    other.version = Some("2".into());
    house.store.decide_update(&other, event()).unwrap();
    let all = house.store.update_decisions().unwrap();
    assert_eq!((all.len(), all[0].ruling, &all[1]), (2, Ruling::Approve, &other));
    let forget = |version: Option<&str>| house.store.forget_update_decision("nginx", version, &["Pilot".to_owned()], event());
    forget(None).unwrap();
    assert_eq!(code(forget(None)), "RMM0510");
    forget(Some("2")).unwrap();
    assert_eq!(house.store.update_decisions().unwrap(), []);
}
