//! Pending updates as the device's own package manager lists them, from what it has fetched.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use quick_xml::events::Event;
use serde_json::{Map, Value, json};

use super::packages;
use crate::collect::raw::{Parsed, Raw, unknown};
use crate::model::Severity;
use crate::model::facts::Status;
use crate::model::update::{Classification, matches};

/// Most updates of a device; nobody offers more.
const MOST: usize = 10_000;

/// One update as its manager tells.
#[derive(Debug, Default, PartialEq)]
struct Listed {
    installed: Option<String>,
    offered: String,
    source: Option<String>,
    classification: Classification,
    severity: Option<Severity>,
    held: Option<bool>,
}

type List = BTreeMap<String, Listed>;

/// What the block says: the manager, when the lists were fetched, the rest.
fn block<'a>(raw: &Raw<'a>) -> Result<(&'a str, Option<String>, &'a str), Status> {
    let text = raw.block("updates").unwrap_or_default();
    let (manager, rest) = text.split_once('\n').unwrap_or((text, ""));
    if !manager.starts_with('#') {
        return unknown("the list of updates is damaged");
    }
    if manager == "#none" {
        return unknown("no package manager is known on this device");
    }
    if rest.lines().any(|line| line == "=never") {
        return unknown("the device has never fetched its lists of packages; InvokeUpdateScan does it");
    }
    if raw.code("updates") != Some(0) {
        return unknown("the package manager could not list its updates from what it has fetched; InvokeUpdateScan fetches it");
    }
    let at = rest.lines().filter_map(|line| line.strip_prefix("=at ")?.trim().parse::<i64>().ok()).max();
    let at = at.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
    Ok((manager, at, rest))
}

fn list(raw: &Raw<'_>, manager: &str, text: &str) -> List {
    let mut list = match manager {
        "#apt" => apt(text),
        "#dnf" => dnf(text),
        "#yum" => yum(text),
        "#zypper" => zypper(text),
        "#apk" => apk(text),
        "#pacman" => pacman(text),
        _ => List::new(),
    };
    if list.values().any(|one| one.installed.is_none()) {
        let installed = packages::packages(raw).unwrap_or_default();
        for (name, one) in list.iter_mut().filter(|(_, one)| one.installed.is_none()) {
            // Of several the last is the newest.
            one.installed = installed[name].as_str().and_then(|versions| versions.rsplit(", ").next()).map(str::to_owned);
        }
    }
    if manager == "#apt" {
        let held = packages::held(raw);
        for (name, one) in &mut list {
            one.held = Some(held.contains(&name.as_str()));
        }
    }
    list
}

pub(in crate::collect) fn available(raw: &Raw<'_>) -> Parsed {
    let (manager, _, text) = block(raw)?;
    let updates = list(raw, manager, text).into_iter().take(MOST).map(|(name, one)| {
        let mut value = json!({
            "installed": one.installed, "offered": one.offered, "source": one.source,
            "classification": one.classification, "severity": one.severity,
        });
        if let Some(held) = one.held {
            value["held"] = held.into();
        }
        (name, value)
    });
    Ok(Value::Object(updates.collect()))
}

/// How many there are: from the same list, else as the device has counted them.
pub(in crate::collect) fn count(raw: &Raw<'_>) -> Parsed {
    let why = match block(raw) {
        Ok((manager, checked_at, text)) => {
            let list = list(raw, manager, text);
            let security = list.values().filter(|one| one.classification == Classification::Security).count();
            let tells = !matches!(manager, "#apk" | "#pacman" | "#yum");
            return Ok(json!({ "available": list.len(), "security": tells.then_some(security), "checked_at": checked_at }));
        }
        Err(why) => why,
    };
    let lines = raw.lines("/var/lib/update-notifier/updates-available");
    if lines.is_empty() {
        return Err(why);
    }
    let count = |needle: &str| lines.iter().find(|l| l.contains(needle)).and_then(|l| l.split(' ').next()?.parse::<u64>().ok());
    let mut out = Map::new();
    out.insert(
        "available".into(),
        json!(count("can be applied").or_else(|| count("can be installed")).or_else(|| count("can be updated"))),
    );
    out.insert("security".into(), json!(count("security update").or(Some(0))));
    out.insert("checked_at".into(), Value::Null);
    Ok(Value::Object(out))
}

/// Adds an update. A second one of the same name is one of another architecture.
fn add(list: &mut List, name: &str, architecture: &str, one: Listed) {
    let taken = list.get(name).is_some_and(|other| other.offered != one.offered);
    list.insert(if taken { format!("{name}:{architecture}") } else { name.to_owned() }, one);
}

/// `bash/stable-security,now 5.2-2 amd64 [upgradable from: 5.2-1]`
fn apt(text: &str) -> List {
    let mut list = List::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('/') else { continue };
        let mut words = rest.split(' ');
        let (Some(suites), Some(offered), Some(architecture)) = (words.next(), words.next(), words.next()) else { continue };
        let Some((_, from)) = rest.split_once("from: ") else { continue };
        if name.contains(' ') {
            continue;
        }
        let security = suites.split(',').any(|suite| suite.ends_with("-security") || suite.ends_with("/updates"));
        let source = suites.split(',').find(|suite| !security || suite.ends_with("-security")).unwrap_or(suites);
        let one = Listed {
            installed: Some(from.trim_end_matches(']').to_owned()),
            offered: offered.to_owned(),
            source: Some(source).filter(|source| *source != "unknown").map(str::to_owned),
            classification: if security { Classification::Security } else { Classification::Other },
            ..Listed::default()
        };
        add(&mut list, name, architecture, one);
    }
    list
}

/// `Important/Sec.`, `critical`
fn severity(word: &str) -> Option<Severity> {
    match word.split('/').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "critical" => Some(Severity::Critical),
        "important" => Some(Severity::High),
        "moderate" => Some(Severity::Medium),
        "low" => Some(Severity::Low),
        _ => None,
    }
}

/// Epoch 0 is not written.
fn no_zero_epoch(version: &str) -> &str {
    version.strip_prefix("0:").or_else(|| version.strip_prefix("(none):")).unwrap_or(version)
}

/// Lines `=up NAME EPOCH:VERSION-RELEASE ARCH REPOSITORY`, and advisories `RHSA-2026:1 Important/Sec. NAME-VERSION-RELEASE.ARCH`.
fn dnf(text: &str) -> List {
    let mut advised: BTreeMap<String, (Classification, Option<Severity>)> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('=')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut kind = None;
        for word in &words {
            let word = word.to_ascii_lowercase();
            kind = kind.or(match word.as_str() {
                "security" => Some(Classification::Security),
                _ if word.ends_with("/sec.") => Some(Classification::Security),
                "bugfix" => Some(Classification::Bugfix),
                "enhancement" | "newpackage" => Some(Classification::Feature),
                _ => None,
            });
        }
        let Some(kind) = kind else { continue };
        let level = words.iter().find_map(|word| severity(word));
        for word in words.iter().filter(|word| word.matches('-').count() >= 2 && word.contains('.')) {
            let entry = advised.entry((*word).to_owned()).or_insert((kind, level));
            // A package of several advisories is as urgent as the worst of them.
            *entry = (entry.0.min(kind), entry.1.max(level));
        }
    }
    let mut list = List::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("=up ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, version, architecture, repository] = words[..] else { continue };
        let short = no_zero_epoch(version);
        let plain = short.split_once(':').map_or(short, |(_, rest)| rest);
        let found = [version, short, plain].iter().find_map(|v| advised.get(&format!("{name}-{v}.{architecture}")));
        let (classification, severity) = found.copied().unwrap_or_default();
        let (offered, source) = (short.to_owned(), Some(repository.to_owned()));
        let held = Some(locked(text).any(|lock| lock == name || matches(strip_version(lock), name)));
        add(&mut list, name, architecture, Listed { offered, source, classification, severity, held, ..Listed::default() });
    }
    list
}

/// What the device holds back: patterns of names, with versions where dnf says it.
fn locked(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("=lock ")).map(str::trim)
}

/// `NAME-EPOCH:VERSION-RELEASE.ARCH`, of which the last may be patterns.
fn strip_version(lock: &str) -> &str {
    let mut dashes = lock.rmatch_indices('-').map(|(at, _)| at);
    dashes.nth(1).map_or(lock, |at| &lock[..at])
}

/// `NAME.ARCH VERSION REPOSITORY`; long ones go on in the next line.
fn yum(text: &str) -> List {
    let mut list = List::new();
    let mut words: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('=') && *line != "Updated Packages") {
        if !line.starts_with(char::is_whitespace) {
            words.clear();
        }
        words.extend(line.split_whitespace());
        if let [name, version, repository] = words[..]
            && let Some((name, architecture)) = name.rsplit_once('.')
        {
            let (offered, source) = (no_zero_epoch(version).to_owned(), Some(repository.to_owned()));
            add(&mut list, name, architecture, Listed { offered, source, ..Listed::default() });
        }
    }
    list
}

/// What patches are about, then the list of updates as XML; before that the same with what is locked, where something is.
fn zypper(text: &str) -> List {
    let (patches, xml) = text.find("<?xml").map_or((text, ""), |at| text.split_at(at));
    let (all, xml) = xml.rfind("<?xml").map_or(("", xml), |at| xml.split_at(at));
    let mut list = zypper_list(xml);
    for (name, mut one) in zypper_list(all) {
        if locked(text).any(|lock| matches(lock, &name)) {
            one.held = Some(true);
            list.insert(name, one);
        }
    }
    zypper_patches(patches, &mut list);
    list
}

fn zypper_list(xml: &str) -> List {
    let mut list = List::new();
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut last: Option<String> = None;
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                let attribute = |name: &str| {
                    let found = tag.try_get_attribute(name).ok().flatten()?;
                    Some(found.value.into_owned()).filter(|value| !value.is_empty())
                };
                match tag.name().as_ref() {
                    "update" if attribute("kind").is_none_or(|kind| kind == "package") => {
                        let (Some(name), Some(offered)) = (attribute("name"), attribute("edition")) else { continue };
                        last = Some(name.clone());
                        list.insert(name, Listed { installed: attribute("edition-old"), offered, held: Some(false), ..Listed::default() });
                    }
                    "source" => {
                        if let Some(one) = last.as_ref().and_then(|name| list.get_mut(name)) {
                            one.source = attribute("alias");
                        }
                    }
                    _ => {}
                }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    list
}

/// What patches say of the packages that they bring: one stands behind `Conflicts`, several in lines of their own.
fn zypper_patches(patches: &str, list: &mut List) {
    let (mut kind, mut level) = (Classification::Other, None);
    for line in patches.lines() {
        let (key, value) = line.split_once(" : ").map_or(("", line), |(key, value)| (key.trim(), value));
        match key {
            "Name" => (kind, level) = (Classification::Other, None),
            "Category" => {
                kind = match value.trim() {
                    "security" => Classification::Security,
                    "recommended" | "bugfix" => Classification::Bugfix,
                    "feature" | "enhancement" => Classification::Feature,
                    _ => Classification::Other,
                }
            }
            "Severity" => level = severity(value.trim()),
            "" | "Conflicts" => {
                let Some((package, _)) = value.trim().split_once(" < ") else { continue };
                // The architecture is not always told.
                let short = package.rsplit_once('.').map_or(package, |(name, _)| name);
                let name = if list.contains_key(package) { package } else { short };
                if let Some(one) = list.get_mut(name) {
                    one.classification = one.classification.min(kind);
                    one.severity = one.severity.max(level);
                }
            }
            _ => {}
        }
    }
}

/// `busybox-1.36.1-r28    < 1.36.1-r29`
fn apk(text: &str) -> List {
    let one = |line: &str| {
        let (before, after) = line.split_once(" < ")?;
        let (rest, revision) = before.trim().rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        let offered = after.split_whitespace().next()?.to_owned();
        Some((name.to_owned(), Listed { installed: Some(format!("{version}-{revision}")), offered, ..Listed::default() }))
    };
    text.lines().filter_map(one).collect()
}

/// `linux 6.11.1-1 -> 6.11.2-1 [ignored]`
fn pacman(text: &str) -> List {
    let one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, installed, "->", offered, rest @ ..] = &words[..] else { return None };
        let held = Some(rest.contains(&"[ignored]"));
        let one = Listed { installed: Some((*installed).to_owned()), offered: (*offered).to_owned(), held, ..Listed::default() };
        Some(((*name).to_owned(), one))
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(list: &List) -> Vec<String> {
        list.iter()
            .map(|(name, one)| {
                let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
                let level = one.severity.map_or("-".to_owned(), |level| level.to_string());
                format!("{name} {} {} {} {} {level}", text(&one.installed), one.offered, text(&one.source), one.classification)
            })
            .collect()
    }

    #[test]
    fn apt_tells_security_by_the_suite() {
        let list = apt("=at 1780000000\nListing...\n\
             bash/stable 5.2.15-2+b8 amd64 [upgradable from: 5.2.15-2+b7]\n\
             libssl3/jammy-updates,jammy-security 3.0.2-0ubuntu1.18 amd64 [upgradable from: 3.0.2-0ubuntu1.17]\n\
             libc6/stable-security 2.36-9+deb12u8 amd64 [upgradable from: 2.36-9+deb12u7]\n\
             libc6/stable-security 2.36-9+deb12u9 i386 [upgradable from: 2.36-9+deb12u7]\n\
             local/unknown 2 all [upgradable from: 1]\n\
             nonsense/x\n");
        assert_eq!(
            shown(&list),
            [
                "bash 5.2.15-2+b7 5.2.15-2+b8 stable other -",
                "libc6 2.36-9+deb12u7 2.36-9+deb12u8 stable-security security -",
                "libc6:i386 2.36-9+deb12u7 2.36-9+deb12u9 stable-security security -",
                "libssl3 3.0.2-0ubuntu1.17 3.0.2-0ubuntu1.18 jammy-security security -",
                "local 1 2 - other -",
            ]
        );
    }

    #[test]
    fn dnf_tells_kind_and_severity_by_advisories_of_both_forms() {
        let list = dnf("RHSA-2026:1111 Important/Sec. openssl-libs-1:3.0.7-28.el9.x86_64\n\
             RHBA-2026:2222 bugfix         openssl-libs-1:3.0.7-28.el9.x86_64\n\
             FEDORA-2026-abc enhancement None vim-minimal-9.1.0-1.fc42.x86_64 2026-10-01 00:00:00\n\
             FEDORA-2026-def security Moderate curl-8.9-2.fc42.x86_64 2026-10-01 00:00:00\n\
             =up openssl-libs 1:3.0.7-28.el9 x86_64 baseos\n\n\
             =up vim-minimal 0:9.1.0-1.fc42 x86_64 updates\n\
             =up curl 0:8.9-2.fc42 x86_64 updates\n\
             =up plain (none):2-1 noarch extra\n");
        assert_eq!(
            shown(&list),
            [
                "curl - 8.9-2.fc42 updates security medium",
                "openssl-libs - 1:3.0.7-28.el9 baseos security high",
                "plain - 2-1 extra other -",
                "vim-minimal - 9.1.0-1.fc42 updates feature -",
            ]
        );
    }

    #[test]
    fn yum_breaks_long_lines() {
        let list = yum("Updated Packages\nbash.x86_64   4.2.46-35.el7_9   updates\n\
             a-name-that-is-really-long-for-a-column.noarch\n                     0:1.2-3.el7      epel\n");
        assert_eq!(
            shown(&list),
            ["a-name-that-is-really-long-for-a-column - 1.2-3.el7 epel other -", "bash - 4.2.46-35.el7_9 updates other -"]
        );
    }

    #[test]
    fn zypper_tells_kind_by_the_patches_that_need_a_package() {
        let list = zypper(
            "Information for patch openSUSE-SLE-15.6-2026-1:\n-----\nRepository  : Update\nName        : openSUSE-SLE-15.6-2026-1\n\
             Status      : needed\nCategory    : security\nSeverity    : important\nConflicts   : [3]\n    xz.src < 5.2.4\n    xz.x86_64 < 5.2.4\n\
             Name        : openSUSE-SLE-15.6-2026-2\nCategory    : recommended\nSeverity    : low\nConflicts   : [1]\n    tar.x86_64 < 1.35\n\
             <?xml version='1.0'?>\n<stream>\n<update-status version=\"0.6\">\n<update-list>\n\
             <update name=\"xz\" edition=\"5.2.4-1\" edition-old=\"5.2.3-4\" arch=\"x86_64\" kind=\"package\"><summary>a &amp; b</summary>\
             <source url=\"https://x/\" alias=\"repo-update\"/></update>\n\
             <update name=\"tar\" edition=\"1.35-1\" edition-old=\"1.34-1\" kind=\"package\"/>\n\
             <update name=\"a-patch\" edition=\"1\" kind=\"patch\"/>\n</update-list></update-status></stream>\n",
        );
        assert_eq!(shown(&list), ["tar 1.34-1 1.35-1 - bugfix low", "xz 5.2.3-4 5.2.4-1 repo-update security high"]);
    }

    #[test]
    fn what_is_locked_is_told_as_held() {
        let list = dnf("=lock curl-0:8.8-1.fc42.*\n=lock vim-*-9*.*\n=lock bash\n=up curl 0:8.9-2.fc42 x86_64 updates\n\
             =up vim-minimal 0:9.1.0-1.fc42 x86_64 updates\n=up bash 0:5-1 x86_64 updates\n=up curl-minimal 0:8.9-2 x86_64 updates\n");
        let held: Vec<_> = list.iter().map(|(name, one)| (name.as_str(), one.held == Some(true))).collect();
        assert_eq!(held, [("bash", true), ("curl", true), ("curl-minimal", false), ("vim-minimal", true)]);
        let xml = |names: &[&str]| {
            let one = |name: &&str| format!("<update kind=\"package\" name=\"{name}\" edition=\"2-1\" edition-old=\"1-1\"/>");
            format!("<?xml version='1.0'?>\n<stream><update-list>{}</update-list></stream>\n", names.iter().map(one).collect::<String>())
        };
        let patch = |name: &str| {
            format!(
                "Name        : P\nCategory    : security\nSeverity    : critical\nProvides    : patch:P = 1\nConflicts   : {name} < 2-1\n"
            )
        };
        let text = [patch("python3.11"), "=lock python3*\n".into(), xml(&["python3.11", "broken", "xz"]), xml(&["xz"])].concat();
        let list = zypper(&text);
        let held: Vec<_> = list.iter().map(|(name, one)| (name.as_str(), one.held)).collect();
        assert_eq!(held, [("python3.11", Some(true)), ("xz", Some(false))]);
        assert_eq!(list["python3.11"].severity, Some(Severity::Critical));
        assert_eq!(zypper(&[patch("xz"), xml(&["xz"])].concat())["xz"].classification, Classification::Security);
    }

    #[test]
    fn alpine_and_arch_tell_versions_only() {
        let list = apk("Installed:        Available:\nbusybox-1.36.1-r28    < 1.36.1-r29 \ngcc-libs-extra-2-r0 < 3-r0\n");
        assert_eq!(shown(&list), ["busybox 1.36.1-r28 1.36.1-r29 - other -", "gcc-libs-extra 2-r0 3-r0 - other -"]);
        let list = pacman("linux 6.11.1-1 -> 6.11.2-1 [ignored]\nzlib 1-1 -> 2-1\nwarning: x\n");
        assert_eq!((list["linux"].held, list["zlib"].held, list.len()), (Some(true), Some(false), 2));
    }
}
