//! Devices that hang on one another in a circle: were all of them down, each would silence the other.

use std::collections::BTreeSet;

use super::fleet::{Declared, Fleet};
use crate::diagnose::Diagnostic;
use crate::model::Device;

/// Reports every circle once.
pub(super) fn check(fleet: &Fleet, problems: &mut Vec<Diagnostic>) {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in fleet.devices.keys() {
        let mut path: Vec<&str> = Vec::new();
        walk(fleet, start, &mut path, &mut done, problems);
    }
}

/// Depth first. Chains are as long as cables are: a switch behind a switch behind a router.
fn walk<'a>(fleet: &'a Fleet, name: &'a str, path: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>, problems: &mut Vec<Diagnostic>) {
    if let Some(begin) = path.iter().position(|known| *known == name) {
        let circle = &path[begin..];
        let shown: Vec<&str> = circle.iter().copied().chain([name]).collect();
        let mut problem = Diagnostic::error("RMM0610", format!("devices depend on one another in a circle: {}", shown.join(" > ")));
        for (i, device) in circle.iter().filter_map(|name| fleet.devices.get(*name)).take(8).enumerate() {
            let at = device.place(if device.value.host.is_some() { "/host" } else { "/dependsOn" });
            problem = if i == 0 { problem.at(&at) } else { problem.related(&at, "and here") };
        }
        problems.push(problem.advice("remove one of host or dependsOn"));
        return;
    }
    if done.contains(name) || path.len() >= DEEPEST {
        return;
    }
    path.push(name);
    if let Some(Declared { value, .. }) = fleet.devices.get(name) {
        for other in above(value) {
            walk(fleet, other, path, done, problems);
        }
    }
    path.pop();
    done.insert(name);
}

/// Longest chain that is followed; a longer one is cut there, which only leaves a circle behind it to another start.
const DEEPEST: usize = 500;

fn above(device: &Device) -> impl Iterator<Item = &str> {
    device.host.iter().chain(&device.depends_on).map(String::as_str)
}
