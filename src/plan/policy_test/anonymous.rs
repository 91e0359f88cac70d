//! Takes out of facts what tells whose they are: names, addresses, numbers and keys become placeholders, the same one for
//! the same thing. What the policies themselves say stays: it stands in the repository already, and the plan depends on it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::{Arc, LazyLock};

use regex_lite::{Captures, Regex};
use serde_json::{Map, Value};

use crate::model::facts::Status;
use crate::model::{Device, Facts, Section};
use crate::repo::PolicySet;

/// What the device of a recorded test is called.
pub(super) const HOSTNAME: &str = "device";
/// Members that identify a device, whatever their value looks like.
const IDENTIFIERS: [&str; 8] = ["serial", "uuid", "machine_id", "asset_tag", "part_number", "hostname", "fqdn", "boot_time"];
/// Sections in which four numbers with dots are a version.
const VERSIONS: [&str; 2] = ["software.packages", "software.os"];
/// User names that are words of configuration files too are only replaced where they name a user.
const SHORTEST: usize = 3;

/// Kinds of values that are known by their form: name, expression.
static FORMS: LazyLock<Vec<(Kind, Regex)>> = LazyLock::new(|| {
    let forms = [
        (Kind::Key, r"\b((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) +(AAAA[A-Za-z0-9+/=]{16,})(?: [^\n]*)?"),
        (Kind::Uuid, r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"),
        (Kind::Mac, r"\b[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\b"),
        (Kind::Mail, r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b"),
        (Kind::Password, r"(?i)((?:pass(?:word|wd|phrase)?|secret|token|api_?key)\s*[=:]\s*)(\S+)"),
        (Kind::Ipv4, r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
        (Kind::Ipv6, r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*"),
    ];
    forms.into_iter().filter_map(|(kind, text)| Some((kind, Regex::new(text).ok()?))).collect()
});

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Key,
    Uuid,
    Mac,
    Mail,
    Password,
    Ipv4,
    Ipv6,
    Identifier,
    User,
}

/// What has been replaced so far, and what must not be.
pub(super) struct Anonymous {
    /// Everything that the policies say.
    known: String,
    /// Whole words and what they become, the longest first.
    words: Vec<(String, String)>,
    seen: BTreeMap<(Kind, String), String>,
}

impl Anonymous {
    /// Ready for the facts of a device. `hostname`: take its names out too.
    pub(super) fn new(set: &PolicySet, device: &Device, facts: &Facts, hostname: bool) -> Self {
        let mut this = Self { known: said(set), words: Vec::new(), seen: BTreeMap::new() };
        if hostname {
            let observed = ["software.os.fqdn", "software.os.hostname"].map(|path| facts.value(path).and_then(Value::as_str));
            let names = observed.into_iter().flatten().chain([device.name.as_str()]).chain(device.address.as_deref());
            for name in names {
                let short = name.split('.').next().filter(|short| short.parse::<u8>().is_err()).unwrap_or(name);
                for name in [name, short] {
                    this.words.push((name.to_owned(), HOSTNAME.to_owned()));
                }
            }
        }
        let users = facts.value("security.users").and_then(Value::as_object);
        for (name, user) in users.into_iter().flatten() {
            let person = user.get("uid").and_then(Value::as_i64).is_some_and(|uid| (1000..65534).contains(&uid));
            if person && name.len() >= SHORTEST && !this.is_known(name) {
                let by = this.placeholder(Kind::User, name);
                this.words.push((name.clone(), by));
            }
        }
        this.words.retain(|(word, _)| word.len() >= SHORTEST && word != "localhost");
        this.words.sort_by(|a, b| (b.0.len(), &a.0).cmp(&(a.0.len(), &b.0)));
        this.words.dedup();
        this
    }

    /// The same facts without what tells whose they are.
    pub(super) fn facts(&mut self, facts: &Facts) -> Facts {
        let mut clean = Facts::default();
        for (name, section) in &facts.sections {
            let status = match &section.status {
                Status::Ok => Status::Ok,
                Status::Unknown(why) => Status::Unknown(self.text(name, why)),
                Status::Unsupported(why) => Status::Unsupported(self.text(name, why)),
            };
            let data = self.value(name, "", &section.data);
            clean.sections.insert(Arc::clone(name), Section::new(data, status, section.collected_at));
        }
        clean
    }

    fn value(&mut self, section: &str, key: &str, value: &Value) -> Value {
        match value {
            Value::String(text) if key == "comment" && section == "security.users" => {
                // The name of a person, most of the time.
                if text.is_empty() || self.is_known(text) { value.clone() } else { Value::String(String::new()) }
            }
            Value::String(text) if IDENTIFIERS.contains(&key) => {
                if text.is_empty() || self.is_known(text) {
                    value.clone()
                } else {
                    Value::String(self.placeholder(Kind::Identifier, text))
                }
            }
            Value::String(text) => Value::String(self.text(section, text)),
            Value::Array(list) => Value::Array(list.iter().map(|item| self.value(section, key, item)).collect()),
            Value::Object(map) => {
                let mut clean = Map::new();
                for (key, value) in map {
                    // What a policy looks up by its name keeps that name.
                    let name = if self.is_known(key) { key.clone() } else { self.text(section, key) };
                    let value = self.value(section, key, value);
                    clean.insert(name, value);
                }
                Value::Object(clean)
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, section: &str, text: &str) -> String {
        let mut text = text.to_owned();
        for (kind, form) in FORMS.iter() {
            if matches!(kind, Kind::Ipv4 | Kind::Ipv6) && VERSIONS.contains(&section) {
                continue;
            }
            text = form.replace_all(&text, |found: &Captures<'_>| self.form(*kind, found)).into_owned();
        }
        for (word, by) in &self.words {
            if word != by {
                text = replace_word(&text, word, by);
            }
        }
        text
    }

    fn form(&mut self, kind: Kind, found: &Captures<'_>) -> String {
        let part = |n: usize| found.get(n).map_or("", |part| part.as_str());
        let whole = part(0);
        match kind {
            Kind::Key if !self.is_known(part(2)) => format!("{} {}", part(1), self.placeholder(kind, part(2))),
            Kind::Password if !self.is_known(part(2)) => format!("{}(removed)", part(1)),
            Kind::Key | Kind::Password => whole.to_owned(),
            // Names of algorithms have the form of an address.
            Kind::Mail if ["@openssh.com", "@libssh.org", "@lysator.liu.se"].iter().any(|vendor| whole.ends_with(vendor)) => {
                whole.to_owned()
            }
            _ if self.is_known(whole) => whole.to_owned(),
            Kind::Ipv4 if whole.parse::<std::net::Ipv4Addr>().is_err() || keeps(whole) => whole.to_owned(),
            Kind::Ipv6 if whole.parse::<Ipv6Addr>().is_ok_and(|a| !a.is_loopback() && !a.is_unspecified()) => self.placeholder(kind, whole),
            Kind::Ipv6 => whole.to_owned(),
            _ => self.placeholder(kind, whole),
        }
    }

    fn is_known(&self, text: &str) -> bool {
        !text.is_empty() && self.known.contains(text)
    }

    /// The placeholder of a value: the same for the same value, of the same form, from what is reserved for examples.
    fn placeholder(&mut self, kind: Kind, value: &str) -> String {
        let n = self.seen.keys().filter(|(known, _)| *known == kind).count() + 1;
        let make = || match kind {
            Kind::Key => format!("AAAAexample{n}"),
            Kind::Uuid => format!("00000000-0000-0000-0000-{n:012}"),
            Kind::Mac => format!("00:00:5e:00:53:{:02x}", n % 256),
            Kind::Mail => format!("user{n}@example.org"),
            Kind::Password => "(removed)".to_owned(),
            Kind::Ipv4 => format!("192.0.2.{}", n % 256),
            Kind::Ipv6 => format!("2001:db8::{n:x}"),
            Kind::Identifier => format!("identifier-{n}"),
            Kind::User => format!("user-{n}"),
        };
        self.seen.entry((kind, value.to_owned())).or_insert_with(make).clone()
    }
}

/// Addresses that mean the same on every device.
fn keeps(address: &str) -> bool {
    ["127.", "0.", "255.", "224.", "169.254."].iter().any(|start| address.starts_with(start))
}

/// Everything that policies and group rules say, which stands in the repository already.
pub(super) fn said(set: &PolicySet) -> String {
    fn texts(value: &Value, out: &mut String) {
        match value {
            Value::String(text) => *out += &format!("{text}\n"),
            Value::Array(list) => list.iter().for_each(|item| texts(item, out)),
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                *out += &format!("{key}\n");
                texts(value, out);
            }),
            other => *out += &format!("{other}\n"),
        }
    }
    let mut out = String::new();
    for policy in &set.policies {
        for setting in &policy.settings {
            if let Some(key) = &setting.key {
                out += &format!("{key}\n");
            }
            texts(&setting.value, &mut out);
        }
        policy.targets.iter().chain(&policy.exclude).for_each(|selector| out += &format!("{selector}\n"));
    }
    for group in set.groups.values() {
        out += &group.rule.as_ref().map(|rule| format!("{rule}\n")).unwrap_or_default();
        group.vars.values().for_each(|value| texts(value, &mut out));
    }
    set.sites.values().flat_map(|site| site.vars.values()).for_each(|value| texts(value, &mut out));
    out
}

/// Replaces whole words: what stands before and after is no part of a name.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (rest[..at].chars().next_back().or(out.chars().next_back()), rest[at + word.len()..].chars().next());
        out += &rest[..at];
        out += if before.is_some_and(part) || after.is_some_and(part) { word } else { by };
        rest = &rest[at + word.len()..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_replaced() {
        assert_eq!(replace_word("kim /home/kim kimono kim-2 (kim)", "kim", "user-1"), "user-1 /home/user-1 kimono kim-2 (user-1)");
    }
}
