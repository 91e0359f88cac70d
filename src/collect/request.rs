//! What to observe on a device.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::CollectError;
use super::parse::probe_files::is_of_windows;
use super::sections::{self, PROBES, SECTIONS};
use crate::model::{Category, Shell};

/// What to observe on one device: sections of the inventory by name, and probes by kind with their arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Names of sections, `hardware.memory`.
    pub sections: BTreeSet<Arc<str>>,
    /// Argument lists by kind of probe: `files` → `[["/etc/motd"]]`.
    pub probes: BTreeMap<String, BTreeSet<Vec<String>>>,
}

impl Request {
    /// Every section of every category; no probes.
    pub fn full() -> Self {
        Self { sections: SECTIONS.iter().map(|s| s.name.into()).collect(), probes: BTreeMap::new() }
    }

    /// Every section of these categories.
    pub fn categories(categories: &[Category]) -> Self {
        let names = SECTIONS.iter().filter(|s| categories.contains(&s.category())).map(|s| s.name.into());
        Self { sections: names.collect(), probes: BTreeMap::new() }
    }

    /// The sections that hold these fact paths: `security.sshd.permitrootlogin` needs `security.sshd`, `security` all of its
    /// category. Paths of probes and paths that no section holds add nothing.
    pub fn for_paths<P: AsRef<str>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut request = Self::default();
        for path in paths {
            request.add_path(path.as_ref());
        }
        request
    }

    /// Adds the sections that hold a fact path. Whether there was one.
    pub fn add_path(&mut self, path: &str) -> bool {
        let inside = |inner: &str, outer: &str| inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        let before = self.sections.len();
        let mut known = false;
        for spec in SECTIONS.iter().filter(|s| inside(path, s.name) || inside(s.name, path)) {
            known = true;
            self.sections.insert(spec.name.into());
        }
        known || self.sections.len() > before
    }

    /// Adds one probe.
    pub fn add_probe(&mut self, kind: &str, args: Vec<String>) {
        self.probes.entry(kind.to_owned()).or_default().insert(args);
    }

    /// Adds everything of another request.
    pub fn merge(&mut self, other: Self) {
        self.sections.extend(other.sections);
        for (kind, args) in other.probes {
            self.probes.entry(kind).or_default().extend(args);
        }
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty() && self.probes.values().all(BTreeSet::is_empty)
    }

    /// The kinds of probes that exist.
    pub fn probe_kinds() -> impl Iterator<Item = &'static str> {
        PROBES.iter().map(|p| p.kind)
    }

    /// Whether everything in it can be asked of a device with a POSIX shell.
    pub fn check(&self) -> Result<(), CollectError> {
        for name in &self.sections {
            sections::section(name).ok_or_else(|| CollectError::UnknownSection { name: name.to_string() })?;
        }
        for (kind, all) in &self.probes {
            all.iter().try_for_each(|args| check_arguments(kind, args, Shell::Posix))?;
        }
        Ok(())
    }

    /// Takes out what a device with this shell cannot be asked for and returns it with the reasons: one wrong argument does not
    /// cost the rest.
    pub fn take_refused(&mut self, shell: Shell) -> Vec<(String, Vec<String>, CollectError)> {
        let mut refused = Vec::new();
        for (kind, all) in &mut self.probes {
            all.retain(|args| match check_arguments(kind, args, shell) {
                Ok(()) => true,
                Err(error) => {
                    refused.push((kind.clone(), args.clone(), error));
                    false
                }
            });
        }
        self.sections.retain(|name| {
            let known = sections::section(name).is_some();
            if !known {
                refused.push((name.to_string(), Vec::new(), CollectError::UnknownSection { name: name.to_string() }));
            }
            known
        });
        self.probes.retain(|_, all| !all.is_empty());
        refused
    }
}

fn check_arguments(kind: &str, args: &[String], shell: Shell) -> Result<(), CollectError> {
    let spec = sections::probe(kind).ok_or_else(|| CollectError::UnknownProbe { kind: kind.to_owned() })?;
    let refuse = |argument: &str, reason| Err(CollectError::Argument { kind: kind.to_owned(), argument: argument.to_owned(), reason });
    if args.len() != spec.arguments {
        return refuse(&args.join(" "), "wrong number of arguments");
    }
    for arg in args {
        if arg.contains(['\0', '\n', '\r']) {
            return refuse(arg, "it holds a NUL, CR or line break");
        }
        if arg.len() > 4096 {
            return refuse(&arg.chars().take(60).collect::<String>(), "it is longer than 4096 bytes");
        }
    }
    if kind == "files" && is_of_windows(&args[0]) != (shell == Shell::PowerShell) {
        return refuse(&args[0], if shell == Shell::PowerShell { "it is no path of Windows" } else { "it is a path of Windows" });
    }
    (spec.check)(&args[0]).or_else(|reason| refuse(&args[0], reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_path_asks_for_the_section_that_holds_it() {
        let request = Request::for_paths(["security.sshd.permitrootlogin", "hardware.memory", "files./etc/motd", "nonsense"]);
        assert_eq!(request.sections.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["hardware.memory", "security.sshd"]);
    }

    #[test]
    fn a_category_as_a_path_asks_for_all_of_it() {
        assert_eq!(Request::for_paths(["performance"]), Request::categories(&[Category::Performance]));
    }

    #[test]
    fn a_wrong_argument_is_taken_out_and_the_others_stay() {
        let mut request = Request::full();
        request.add_probe("files", vec!["/etc/motd".into()]);
        request.add_probe("files", vec!["/etc/\nmotd".into()]);
        request.add_probe("teapots", vec!["x".into()]);
        assert!(request.check().is_err());
        assert_eq!(request.take_refused(Shell::Posix).len(), 2);
        assert!(request.check().is_ok());
        assert_eq!(request.probes["files"].len(), 1);
    }
}
