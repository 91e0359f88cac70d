//! Connections that contradict themselves: a password in clear, a fingerprint that is none. What only shows when device, group and
//! site are joined is refused when the device is reached.

use super::codes;
use super::fleet::{Declared, Fleet};
use crate::diagnose::Diagnostic;
use crate::model::device::{Connection, WinrmScheme};

/// Checks every declared connection. `require_https` forbids WinRM without TLS.
pub(super) fn check(fleet: &Fleet, require_https: bool, problems: &mut Vec<Diagnostic>) {
    for site in fleet.sites.values() {
        one(site, &site.value.connection, require_https, problems);
    }
    for group in fleet.groups.values() {
        one(group, &group.value.connection, require_https, problems);
    }
    for device in fleet.devices.values() {
        one(device, &device.value.connection, require_https, problems);
    }
}

fn one<T>(declared: &Declared<T>, connection: &Connection, require_https: bool, problems: &mut Vec<Diagnostic>) {
    if let Some(why) = connection.contradiction() {
        let problem = Diagnostic::error("RMM0411", why.message).at(&declared.place(&format!("/connection/{}", why.member)));
        problems.push(problem.advice(why.advice));
    }
    if require_https && connection.scheme == Some(WinrmScheme::Http) {
        let problem = Diagnostic::error("RMM0411", "WinRM without TLS is forbidden by security.require_https");
        problems.push(problem.at(&declared.place("/connection/scheme")).advice("leave out scheme: http"));
    }
    for (member, text) in [("kdc", &connection.kdc), ("realm", &connection.realm)] {
        if text.as_ref().is_some_and(|text| text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace())) {
            let at = declared.place(&format!("/connection/{member}"));
            problems.push(codes::wrong_value(format!("{member} cannot be empty or hold spaces or control characters"), &at));
        }
    }
}
