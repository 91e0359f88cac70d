//! Stages: groups of devices that are changed one after the other, with a look at the first before the next begins.

use std::collections::BTreeSet;

/// Devices of one stage, in the order in which they begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Group, or `everything else`.
    pub name: String,
    /// Devices by name.
    pub devices: Vec<String>,
}

/// Splits devices (name, groups) by the first stage whose group they are in; the others come last. Without stages there is one.
pub(super) fn split(devices: impl IntoIterator<Item = (String, BTreeSet<String>)>, stages: &[String]) -> Vec<Stage> {
    let mut out: Vec<Stage> = stages.iter().map(|name| Stage { name: name.clone(), devices: Vec::new() }).collect();
    out.push(Stage { name: if stages.is_empty() { "all" } else { "everything else" }.into(), devices: Vec::new() });
    let last = out.len() - 1;
    for (device, groups) in devices {
        let at = stages.iter().position(|s| groups.contains(s)).unwrap_or(last);
        out[at].devices.push(device);
    }
    out.retain(|s| !s.devices.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, groups: &[&str]) -> (String, BTreeSet<String>) {
        (name.into(), groups.iter().map(|g| (*g).to_owned()).collect())
    }

    #[test]
    fn a_device_belongs_to_the_first_stage_that_names_its_group() {
        let devices = [device("a", &["Pilot", "All"]), device("b", &["All"]), device("c", &[])];
        let stages = split(devices, &["Pilot".into(), "All".into()]);
        let names: Vec<(&str, &[String])> = stages.iter().map(|s| (&*s.name, &s.devices[..])).collect();
        assert_eq!(names, [("Pilot", &["a".to_owned()][..]), ("All", &["b".to_owned()][..]), ("everything else", &["c".to_owned()][..])]);
    }
}
