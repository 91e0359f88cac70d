//! Which monitor is for which device.

use std::sync::Arc;

use super::Assigned;
use crate::model::device::{TransportKind, WinrmScheme};
use crate::model::monitor::{Check, Winrm};
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
            let Whereabouts { address, port, ssh, winrm, simulated } = place.get_or_insert_with(|| whereabouts(set, device));
            if simulated.is_some() && matches!(monitor.check, Check::Http(_)) {
                // Nobody simulates a web server.
                continue;
            }
            assigned.push(Assigned {
                device: Arc::clone(&name),
                address: Arc::clone(address),
                port: match &monitor.check {
                    Check::Ssh(_) => *ssh,
                    Check::Winrm(check) => winrm_port(check, *winrm),
                    _ => *port,
                },
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
    /// Of its WinRM endpoint, and whether that speaks TLS, where it is reached over that.
    winrm: Option<(u16, bool)>,
    simulated: Option<Arc<Target>>,
}

fn whereabouts(set: &PolicySet, device: &Device) -> Whereabouts {
    let connection = set.connection(device);
    let address = device.address.clone().unwrap_or_else(|| device.name.clone());
    let transport = connection.transport(device.os);
    let port = connection.port(transport);
    let ssh = if transport == TransportKind::Winrm { 22 } else { port };
    let winrm = (transport == TransportKind::Winrm).then(|| (port, connection.scheme.unwrap_or_default() == WinrmScheme::Https));
    match transport {
        TransportKind::Local => Whereabouts { address: "127.0.0.1".into(), port, ssh, winrm, simulated: None },
        TransportKind::Simulated => {
            let target = Target { name: device.name.clone(), address: address.clone(), connection, platform: device.os };
            Whereabouts { address: address.into(), port, ssh, winrm, simulated: Some(Arc::new(target)) }
        }
        TransportKind::Ssh | TransportKind::Winrm | TransportKind::Share => {
            Whereabouts { address: address.into(), port, ssh, winrm, simulated: None }
        }
    }
}

/// The port of a WinRM endpoint: the one that the monitor names, that of the device's connection where both mean the same scheme, or the
/// usual one.
fn winrm_port(check: &Winrm, of_connection: Option<(u16, bool)>) -> u16 {
    let usual = if check.tls { 5986 } else { 5985 };
    check.port.or_else(|| of_connection.filter(|(_, tls)| *tls == check.tls).map(|(port, _)| port)).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_winrm_endpoint_is_asked_at_the_port_of_the_connection_with_the_same_scheme() {
        let check = |port, tls| Winrm { port, tls };
        assert_eq!(winrm_port(&check(None, true), Some((15986, true))), 15986);
        assert_eq!(winrm_port(&check(None, false), Some((15985, false))), 15985);
        assert_eq!(winrm_port(&check(None, false), Some((15986, true))), 5985);
        assert_eq!(winrm_port(&check(None, true), None), 5986);
        assert_eq!(winrm_port(&check(Some(7), true), Some((15986, true))), 7);
    }
}
