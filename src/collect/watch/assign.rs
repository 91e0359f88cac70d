//! Which monitor is for which device.

use std::sync::Arc;

use super::Assigned;
use crate::model::device::TransportKind;
use crate::model::{Device, Facts, Monitor};
use crate::plan::{Planner, Scope, Targeting};
use crate::repo::PolicySet;
use crate::transport::Target;

/// All monitors on their devices. `facts` is asked for what selectors may want to know; a device of which that is not known
/// is not watched yet.
pub fn assign(set: &PolicySet, facts: &mut dyn FnMut(&Device) -> Arc<Facts>) -> Vec<Assigned> {
    if set.monitors.is_empty() {
        return Vec::new();
    }
    let secrets = |_: &str| None;
    let planner = Planner::new(set, &secrets);
    let scopes: Vec<(&Arc<Monitor>, Scope, Option<Scope>)> = set
        .monitors
        .values()
        .map(|monitor| {
            let exclude = (!monitor.exclude.is_empty()).then(|| Scope { selectors: monitor.exclude.clone(), ..Scope::default() });
            (monitor, Scope { selectors: monitor.targets.clone(), ..Scope::default() }, exclude)
        })
        .collect();
    let matchers: Vec<_> = scopes
        .iter()
        .map(|(monitor, targets, exclude)| (*monitor, planner.scope(targets), exclude.as_ref().map(|scope| planner.scope(scope))))
        .collect();
    let mut assigned = Vec::new();
    for device in set.devices.values() {
        let known = facts(device);
        let name: Arc<str> = device.name.as_str().into();
        let mut place: Option<(Arc<str>, u16, Option<Arc<Target>>)> = None;
        for (monitor, targets, exclude) in &matchers {
            if targets.means(device, &known) != Targeting::Yes
                || exclude.as_ref().is_some_and(|exclude| exclude.means(device, &known) == Targeting::Yes)
            {
                continue;
            }
            let (address, port, simulated) = place.get_or_insert_with(|| whereabouts(set, device));
            if simulated.is_some() && matches!(monitor.check, crate::model::monitor::Check::Http(_)) {
                // Nobody simulates a web server.
                continue;
            }
            assigned.push(Assigned {
                device: Arc::clone(&name),
                address: Arc::clone(address),
                port: *port,
                monitor: Arc::clone(monitor),
                simulated: simulated.clone(),
            });
        }
    }
    assigned
}

fn whereabouts(set: &PolicySet, device: &Device) -> (Arc<str>, u16, Option<Arc<Target>>) {
    let connection = set.connection(device);
    let address = device.address.clone().unwrap_or_else(|| device.name.clone());
    let port = connection.port.unwrap_or(22);
    match connection.transport {
        Some(TransportKind::Local) => ("127.0.0.1".into(), port, None),
        Some(TransportKind::Simulated) => {
            let target = Target { name: device.name.clone(), address: address.clone(), connection };
            (address.into(), port, Some(Arc::new(target)))
        }
        _ => (address.into(), port, None),
    }
}
