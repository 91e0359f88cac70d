//! The operating system, packages, features, environment, power.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::take::{MOST, count, flag, items, kept, listed, mapped, own, text};
use crate::collect::raw::{Parsed, unknown};

/// The first build of Windows 11; the registry goes on to call it 10.
const ELEVEN: u64 = 22_000;
/// The longest value of a variable that Windows has. A part of one, written back, would be the loss of the rest.
const LONGEST_VARIABLE: usize = 32_767;

pub(super) fn os(answers: &Answers) -> Parsed {
    let part = answers.part("os")?;
    let (system, computer, registry) = (&part["system"], &part["computer"], &part["registry"]);
    let (Some(version), Some(product)) = (text(system, "Version"), text(registry, "ProductName")) else {
        return unknown("the version of Windows was not told");
    };
    let Some(hostname) = text(computer, "DNSHostName").or_else(|| text(computer, "Name")) else { return unknown("the name was not told") };
    let build = count(system, "BuildNumber").or_else(|| count(registry, "CurrentBuildNumber"));
    let revision = count(registry, "UBR");
    let server = count(system, "ProductType").is_some_and(|kind| kind != 1);
    let eleven = !server && build.is_some_and(|build| build >= ELEVEN);
    let product = if eleven { product.replacen("Windows 10", "Windows 11", 1) } else { product };
    let release = text(registry, "DisplayVersion").or_else(|| text(registry, "ReleaseId"));
    let (name, number) = named(&product);
    let role = match (count(computer, "DomainRole"), server) {
        (Some(4 | 5), _) => "domain controller",
        (_, true) => "server",
        _ => "workstation",
    };
    let domain = text(computer, "Domain").filter(|_| flag(computer, "PartOfDomain") == Some(true));
    let kernel = match revision {
        Some(revision) => format!("{version}.{revision}"),
        None => version,
    };
    Ok(json!({
        "family": "windows",
        "id": if server { "windows-server" } else { "windows" },
        "id_like": [],
        "name": name,
        "pretty_name": release.as_ref().map_or_else(|| product.clone(), |release| format!("{product} {release}")),
        "version_id": number,
        "codename": release,
        "kernel": kernel,
        "architecture": match text(part, "architecture").as_deref() {
            Some("AMD64") => Some("x86_64"),
            Some("ARM64") => Some("aarch64"),
            Some("x86") => Some("i686"),
            _ => None,
        },
        "hostname": hostname,
        "fqdn": domain.as_ref().map(|domain| format!("{hostname}.{domain}")),
        "timezone": text(part, "timezone"),
        "boot_time": text(system, "LastBootUpTime"),
        "init": "scm",
        "package_manager": if flag(part, "winget") == Some(true) { "winget" } else { "none" },
        "machine_id": text(part, "machine").map(|id| id.to_ascii_lowercase()),
        "is_root": flag(part, "admin").unwrap_or(false),
        "edition": text(registry, "EditionID"),
        "installation": text(registry, "InstallationType").map(|kind| kind.to_ascii_lowercase()),
        "role": role,
        "build": build,
        "revision": revision,
        "domain": domain,
        "powershell": text(part, "powershell"),
    }))
}

/// `Windows Server 2022 Standard` as `Windows Server 2022` and `2022`; `Windows 11 Pro` as `Windows 11` and `11`.
fn named(product: &str) -> (String, Option<String>) {
    let words: Vec<&str> = product.split_whitespace().collect();
    let Some(at) = words.iter().position(|word| word.starts_with(|c: char| c.is_ascii_digit())) else { return (product.to_owned(), None) };
    let end = if words.get(at + 1) == Some(&"R2") { at + 2 } else { at + 1 };
    (words[..end].join(" "), Some(words[at..end].join(" ")))
}

pub(super) fn packages(answers: &Answers) -> Parsed {
    let part = answers.part("packages")?;
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in listed(part, "items")? {
        // Parts of others, and updates of them.
        let update =
            text(one, "ReleaseType").is_some_and(|kind| ["Security Update", "Update Rollup", "Hotfix", "Update"].contains(&&*kind));
        if flag(one, "SystemComponent") == Some(true) || text(one, "ParentKeyName").is_some() || update {
            continue;
        }
        if let Some(name) = text(one, "DisplayName") {
            found.entry(name).or_default().extend(text(one, "DisplayVersion"));
        }
    }
    let joined = |versions: BTreeSet<String>| versions.into_iter().collect::<Vec<_>>().join(", ");
    Ok(Value::Object(found.into_iter().take(MOST).map(|(name, versions)| (name, joined(versions).into())).collect()))
}

pub(super) fn winget(answers: &Answers) -> Parsed {
    let part = answers.part("winget")?;
    let one = |one: &Value| {
        let about = json!({
            "name": text(one, "name"), "version": text(one, "version"), "available": text(one, "available"), "source": text(one, "source"),
        });
        Some((text(one, "id")?, about))
    };
    let found = mapped(listed(part, "items")?.iter().filter_map(one));
    // It lists every program, not its own alone.
    if found.is_empty() { unknown("no package was told") } else { Ok(Value::Object(found)) }
}

/// What is known of PowerShell where it lets scripts work.
pub(super) fn powershell(answers: &Answers) -> Parsed {
    let part = answers.part("powershell")?;
    let Some(mode) = text(part, "mode") else { return unknown("the language mode was not told") };
    let newer: BTreeSet<String> = listed(part, "newer")?.iter().filter_map(own).collect();
    Ok(json!({
        "version": text(part, "version"),
        "edition": text(part, "edition"),
        "language_mode": mode,
        "execution_policy": text(part, "policy"),
        "newer": newer,
    }))
}

/// The same where it does not.
pub(super) fn restricted_powershell(mode: &str, version: Option<&str>) -> Value {
    json!({"version": version, "edition": null, "language_mode": mode, "execution_policy": null, "newer": []})
}

pub(super) fn features(answers: &Answers) -> Parsed {
    let part = answers.part("features")?;
    let mut found = Map::new();
    let mut add = |name: Option<String>, state: Option<&str>, kind: &str| {
        if let (Some(name), Some(state)) = (name, state) {
            found.insert(name.clone(), json!({"name": name, "state": state, "kind": kind}));
        }
    };
    if let Some(capabilities) = answers.optional("capabilities")? {
        for one in items(capabilities, "items") {
            let state = match text(one, "state").as_deref() {
                Some("Installed" | "InstallPending") => Some("Enabled"),
                Some("Removed") => Some("DisabledWithPayloadRemoved"),
                Some(_) => Some("Disabled"),
                None => None,
            };
            add(text(one, "name"), state, "capability");
        }
    }
    let mut pending = Map::new();
    let features = items(part, "features");
    if features.is_empty() {
        return unknown("no feature was told");
    }
    for one in features {
        let state = match count(one, "InstallState") {
            Some(1) => Some("Enabled"),
            Some(2) => Some("Disabled"),
            Some(3) => Some("DisabledWithPayloadRemoved"),
            _ => None,
        };
        // Windows says itself that it does not know, such as before a restart: that is not the same as a feature that is not there.
        if let (Some(name), None) = (text(one, "Name"), state) {
            pending.insert(name.clone(), json!({"name": name, "state": null, "kind": "feature"}));
        }
        add(text(one, "Name"), state, "feature");
    }
    for one in items(part, "roles") {
        let state = match text(one, "state").as_deref() {
            // What the next restart makes of it: that the device waits for one is a fact of its own.
            Some("Installed" | "InstallPending") => Some("Enabled"),
            Some("Removed") => Some("DisabledWithPayloadRemoved"),
            Some(_) => Some("Disabled"),
            None => None,
        };
        add(text(one, "name"), state, "role");
    }
    for (name, about) in pending {
        found.entry(name).or_insert(about);
    }
    // What is not there counts as disabled: none at all would be all of them.
    if found.values().all(|one| one["state"].is_null()) {
        unknown("no feature was told")
    } else {
        Ok(Value::Object(mapped(found.into_iter())))
    }
}

pub(super) fn environment(answers: &Answers) -> Parsed {
    let part = answers.part("environment")?;
    let one = |one: &Value| {
        let name = text(one, "name")?;
        let expand = text(one, "kind").as_deref() == Some("ExpandString");
        Some((name.clone(), json!({"name": name, "value": kept(one, "value", LONGEST_VARIABLE).unwrap_or_default(), "expand": expand})))
    };
    let found = mapped(listed(part, "items")?.iter().filter_map(one));
    if found.is_empty() { unknown("no variable was told") } else { Ok(Value::Object(found)) }
}

pub(super) fn power(answers: &Answers) -> Parsed {
    let part = answers.part("power")?;
    let Some(plan) = text(part, "plan") else { return unknown("the power plan was not told") };
    // `@%SystemRoot%\system32\powrprof.dll,-15,Balanced`: the last part is in English.
    let name = text(part, "name").map(|name| name.rsplit(',').next().unwrap_or_default().to_owned()).filter(|name| !name.is_empty());
    let minutes = |key: &str| count(&part["times"], key).map(|seconds| seconds.div_ceil(60));
    let mut out = Map::from_iter([("plan_guid".to_owned(), json!(plan.to_ascii_lowercase())), ("plan_name".to_owned(), json!(name))]);
    for what in ["sleep", "display", "hibernate", "disk"] {
        for source in ["ac", "dc"] {
            out.insert(format!("{what}_{source}_minutes"), json!(minutes(&format!("{what}_{source}"))));
        }
    }
    out.insert("hibernation".into(), json!(flag(part, "hibernation")));
    out.insert("fast_startup".into(), json!(flag(part, "fast")));
    Ok(Value::Object(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_variable_is_whole() {
        let path = format!("{} ", "C:\\x;".repeat(5_000));
        let said = json!({"s": "environment", "d": {"items": [{"name": "Path", "value": path, "kind": "ExpandString"}]}});
        let told = environment(&Answers::read(format!("@n0nce {said}\n").as_bytes(), "n0nce")).unwrap();
        assert_eq!(told["Path"], json!({"name": "Path", "value": path, "expand": true}));
    }
}
