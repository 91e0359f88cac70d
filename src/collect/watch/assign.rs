//! Which monitor is for which device.

use std::sync::Arc;

use super::Assigned;
use crate::model::device::TransportKind;
use crate::model::monitor::Check;
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
        let mut place: Option<Whereabouts> = None;
        for (monitor, targets, exclude) in &matchers {
            if targets.means(device, &known) != Targeting::Yes
                || exclude.as_ref().is_some_and(|exclude| exclude.means(device, &known) == Targeting::Yes)
            {
                continue;
            }
            let Whereabouts { address, port, ssh, simulated } = place.get_or_insert_with(|| whereabouts(set, device));
            if simulated.is_some() && matches!(monitor.check, Check::Http(_)) {
                // Nobody simulates a web server.
                continue;
            }
            assigned.push(Assigned {
                device: Arc::clone(&name),
                address: Arc::clone(address),
                port: if matches!(monitor.check, Check::Ssh(_)) { *ssh } else { *port },
                monitor: Arc::clone(monitor),
                simulated: simulated.clone(),
            });
        }
    }
    assigned
}

/// Where a device is found.
struct Whereabouts {
    address: Arc<str>,
    /// Of what carries commands to it.
    port: u16,
    /// Of its SSH server.
    ssh: u16,
    simulated: Option<Arc<Target>>,
}

fn whereabouts(set: &PolicySet, device: &Device) -> Whereabouts {
    let connection = set.connection(device);
    let address = device.address.clone().unwrap_or_else(|| device.name.clone());
    let transport = connection.transport(device.os);
    let port = connection.port(transport);
    let ssh = if transport == TransportKind::Winrm { 22 } else { port };
    match transport {
        TransportKind::Local => Whereabouts { address: "127.0.0.1".into(), port, ssh, simulated: None },
        TransportKind::Simulated => {
            let target = Target { name: device.name.clone(), address: address.clone(), connection, platform: device.os };
            Whereabouts { address: address.into(), port, ssh, simulated: Some(Arc::new(target)) }
        }
        TransportKind::Ssh | TransportKind::Winrm | TransportKind::Share => {
            Whereabouts { address: address.into(), port, ssh, simulated: None }
        }
    }
}
