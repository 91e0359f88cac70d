//! Packages of the Store and others of that kind, by their full names: `Name_Version_Architecture_Resource_Publisher`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answers::Answers;
use super::take::{MOST, every, text};
use crate::collect::raw::{Parsed, unknown};

/// A package by its full name.
struct Package {
    name: String,
    version: [u64; 4],
    architecture: String,
    publisher: String,
}

impl Package {
    fn read(full: &str) -> Option<Self> {
        let words: Vec<&str> = full.split('_').collect();
        let [name, version, architecture, _resource, publisher] = words[..] else { return None };
        let mut numbers = [0; 4];
        let mut parts = version.split('.');
        for number in &mut numbers {
            *number = parts.next()?.parse().ok()?;
        }
        let plain = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
        if parts.next().is_some() || ![name, architecture, publisher].into_iter().all(plain) {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            version: numbers,
            architecture: architecture.to_ascii_lowercase(),
            publisher: publisher.to_ascii_lowercase(),
        })
    }
}

/// All that is known of one name.
#[derive(Default)]
struct Known {
    version: [u64; 4],
    architectures: BTreeSet<String>,
    publisher: String,
    for_new_users: bool,
    users: BTreeSet<String>,
}

pub(super) fn store(answers: &Answers) -> Parsed {
    let part = answers.part("store-apps")?;
    // All of them: where many people sign in each has hundreds.
    let listed = every(part, "items")?;
    let mut found: BTreeMap<String, Known> = BTreeMap::new();
    // A name stands there once for each architecture, language and version.
    for one in listed {
        let Some(package) = text(one, "full").and_then(|full| Package::read(&full)) else { continue };
        let known = found.entry(package.name).or_default();
        if package.version >= known.version {
            (known.version, known.publisher) = (package.version, package.publisher);
        }
        known.architectures.insert(package.architecture);
        match text(one, "user") {
            Some(user) => drop(known.users.insert(user)),
            None => known.for_new_users = true,
        }
    }
    if found.is_empty() && !listed.is_empty() {
        return unknown("none of the names of packages can be read");
    }
    let shown = |known: Known| {
        let version = known.version.map(|number| number.to_string()).join(".");
        let Known { architectures, publisher, for_new_users, users, .. } = known;
        json!({"version": version, "architectures": architectures, "publisher": publisher, "for_new_users": for_new_users, "users": users.len()})
    };
    Ok(Value::Object(found.into_iter().take(MOST).map(|(name, known)| (name, shown(known))).collect()))
}
