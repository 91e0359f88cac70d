//! Tells the database what the repository declares: devices, sites, groups, policies. For reports, and for names in evidence.

use serde_json::{Value, json};

use crate::model::Policy;
use crate::repo::PolicySet;
use crate::store::{DeviceRow, GroupRow, SiteRow, Store, StoreError};

/// Synchronises the declarations where the policy set is not the one of the last time.
pub fn declare(set: &PolicySet, store: &Store) -> Result<(), StoreError> {
    if store.declared()?.as_deref() == Some(&set.hash) {
        return Ok(());
    }
    let site = |name: &Option<String>| Some(name.clone().unwrap_or_else(|| set.config.general.default_site.clone()));
    let devices: Vec<DeviceRow> = set
        .devices
        .values()
        .map(|d| DeviceRow {
            name: d.name.clone(),
            address: d.address.clone().unwrap_or_else(|| d.name.clone()),
            site: site(&d.site),
            groups: d.groups.clone(),
            tags: d.tags.clone(),
            custom_fields: json!(d.custom_fields),
        })
        .collect();
    store.sync_devices(&devices)?;
    let sites: Vec<SiteRow> = set
        .sites
        .values()
        .map(|s| SiteRow {
            id: s.site_id.clone().unwrap_or_else(|| s.name.clone()),
            name: s.name.clone(),
            location: s.location.clone(),
            timezone: s.timezone.clone(),
            relay_agent: s.relay_agent.clone(),
            contact_email: s.contact_email.clone(),
        })
        .collect();
    let groups: Vec<GroupRow> = set
        .groups
        .values()
        .map(|g| GroupRow { name: g.name.clone(), description: g.description.clone(), parent: g.parent.clone() })
        .collect();
    store.sync_sites(&sites, &groups)?;
    let policies: Vec<(String, String)> = set.policies.iter().map(|p| (p.name.to_string(), describe(p).to_string())).collect();
    store.record_policy_set(&set.hash, set.commit.as_deref(), &policies)?;
    store.set_declared(&set.hash)
}

/// A policy as it is kept beside the verdicts that it led to. Secrets stand in it as `{secret: NAME}`.
pub(super) fn describe(policy: &Policy) -> Value {
    let settings: Vec<Value> =
        policy.settings.iter().map(|s| json!({ "setting": s.label(), "value": *s.value, "place": s.place.to_string() })).collect();
    json!({
        "description": policy.description, "targets": policy.targets, "exclude": policy.exclude, "settings": settings,
        "remediate": policy.remediate, "severity": policy.severity, "priority": policy.priority, "references": policy.references,
        "schedule": policy.schedule.as_ref().map(ToString::to_string), "activeHours": policy.active.map(|w| w.to_string()),
        "place": policy.place.to_string(),
    })
}
