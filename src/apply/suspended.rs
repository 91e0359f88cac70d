//! What is suspended under a policy set. What did not converge is given another try once a policy that asks for it has changed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::suspension::Suspension;
use crate::plan::Suspended;
use crate::repo::PolicySet;
use crate::store::{Store, StoreError};

/// The suspensions that hold now.
pub fn suspended(set: &PolicySet, store: &Store) -> Result<Arc<Suspended>, StoreError> {
    let (holding, _) = holding_and_over(set, store)?;
    Ok(Arc::new(Suspended::new(holding)))
}

/// The suspensions that hold, and those that a change of the policies has put an end to.
pub fn holding_and_over(set: &PolicySet, store: &Store) -> Result<(Vec<Suspension>, Vec<Suspension>), StoreError> {
    let mut changed: HashMap<String, Vec<String>> = HashMap::new();
    let (mut holding, mut over) = (Vec::new(), Vec::new());
    for one in store.suspensions()? {
        let under = one.policy_set.clone().filter(|under| one.automatic && *under != set.hash);
        let again = match under {
            None => false,
            Some(under) => {
                if !changed.contains_key(&under) {
                    changed.insert(under.clone(), changed_since(set, store, &under)?);
                }
                changed.get(&under).is_some_and(|labels| labels.iter().any(|name| one.name.split('.').next() == Some(name)))
            }
        };
        if again { over.push(one) } else { holding.push(one) }
    }
    Ok((holding, over))
}

/// Names of all settings that a policy asks for which is not what it was, or asked for before. Names, not labels: in the file a
/// key may be a template.
fn changed_since(set: &PolicySet, store: &Store, under: &str) -> Result<Vec<String>, StoreError> {
    let then: HashMap<String, String> = store.policy_set(under)?.into_iter().collect();
    let mut labels = Vec::new();
    for policy in &set.policies {
        let now = super::declare::describe(policy).to_string();
        let before = then.get(&*policy.name);
        if before.is_none_or(|before| *before != now) {
            labels.extend(policy.settings.iter().map(|setting| setting.name.to_string()));
        }
    }
    // What is no longer asked for at all has nothing to be suspended any more.
    for (name, before) in &then {
        if !set.policies.iter().any(|policy| *policy.name == **name) {
            let before: serde_json::Value = serde_json::from_str(before).unwrap_or_default();
            let settings = before.get("settings").and_then(serde_json::Value::as_array);
            labels.extend(settings.into_iter().flatten().filter_map(|s| Some(s.get("setting")?.as_str()?.split('.').next()?.to_owned())));
        }
    }
    Ok(labels)
}
