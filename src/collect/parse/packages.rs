//! Installed packages, from the database of whichever manager is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::collect::raw::{Parsed, Raw, unknown};

pub(in crate::collect) fn packages(raw: &Raw<'_>) -> Parsed {
    let text = raw.block("packages").unwrap_or_default();
    let (kind, body) = text.split_once('\n').unwrap_or((text, ""));
    let list = match kind {
        "#dpkg" => dpkg(body),
        "#apk" => apk(body),
        "#pacman" => pacman(body),
        "#rpm" => body.lines().filter_map(|l| l.split_once('\t')).filter(|(name, _)| *name != "gpg-pubkey").map(own).collect(),
        "#none" => return unknown("no package manager is known on this device"),
        _ => return unknown("the list of packages is damaged"),
    };
    if list.is_empty() {
        return unknown("the package manager listed nothing");
    }
    // What it left out would look as if it were not installed. The 1 of a grep that found nothing has an empty list.
    if raw.code("packages") != Some(0) {
        return unknown("the package manager did not list everything");
    }
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version) in list {
        packages.entry(name).or_default().insert(version);
    }
    let joined = packages.into_iter().map(|(name, versions)| (name, json!(versions.into_iter().collect::<Vec<_>>().join(", "))));
    Ok(Value::Object(joined.collect()))
}

/// Packages that dpkg holds back.
pub(super) fn held<'a>(raw: &Raw<'a>) -> Vec<&'a str> {
    let text = raw.block("packages").unwrap_or_default();
    let mut name = "";
    let mut held = Vec::new();
    for line in text.lines() {
        if let Some(package) = line.strip_prefix("Package: ") {
            name = package;
        } else if line.starts_with("Status: hold ") {
            held.push(name);
        }
    }
    held
}

fn own((name, version): (&str, &str)) -> (String, String) {
    (name.trim().to_owned(), version.trim().to_owned())
}

/// Stanzas of Package, Status, Version, where the usual status, `install ok installed`, has been left out. Removed packages
/// that left configuration stay in the file.
fn dpkg(text: &str) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let (mut name, mut installed) = ("", false);
    for line in text.lines() {
        if let Some(package) = line.strip_prefix("Package: ") {
            (name, installed) = (package, true);
        } else if let Some(status) = line.strip_prefix("Status: ") {
            installed = matches!(status.split(' ').nth(2), Some("installed" | "triggers-pending" | "triggers-awaited"));
        } else if let Some(version) = line.strip_prefix("Version: ")
            && installed
            && !name.is_empty()
        {
            list.push(own((name, version)));
        }
    }
    list
}

fn apk(text: &str) -> Vec<(String, String)> {
    let mut list = Vec::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(package) = line.strip_prefix("P:") {
            name = package;
        } else if let Some(version) = line.strip_prefix("V:")
            && !name.is_empty()
        {
            list.push(own((name, version)));
            name = "";
        }
    }
    list
}

/// Directories `NAME-VERSION-RELEASE` with a `desc` file each.
fn pacman(text: &str) -> Vec<(String, String)> {
    let entry = |line: &str| {
        let directory = line.strip_suffix("/desc")?.rsplit('/').next()?;
        let mut dashes = directory.rmatch_indices('-');
        let (_, (second, _)) = (dashes.next()?, dashes.next()?);
        (second > 0).then(|| own((&directory[..second], &directory[second + 1..])))
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_package_with_configuration_left_is_not_installed() {
        let text = "Package: a\nVersion: 1:2.0-1\nPackage: b\nStatus: deinstall ok config-files\nVersion: 3\nPackage: c\nStatus: hold ok installed\nVersion: 4\n";
        assert_eq!(dpkg(text), [("a".to_owned(), "1:2.0-1".to_owned()), ("c".to_owned(), "4".to_owned())]);
    }

    #[test]
    fn packages_of_alpine_and_arch_are_read() {
        assert_eq!(apk("P:musl\nV:1.2.5-r0\nP:busybox\nV:1.36.1-r29\n").len(), 2);
        assert_eq!(
            pacman("/var/lib/pacman/local/gcc-libs-14.1.1-1/desc\n/var/lib/pacman/local/*/desc\n"),
            [("gcc-libs".to_owned(), "14.1.1-1".to_owned())]
        );
    }
}
