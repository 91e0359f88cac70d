//! What the resources of DSC that come with it, and those of its Windows modules, mean in our settings.

use serde_json::{Map, Value, json};

use super::{Control, registry};

type Controls = Result<Vec<Control>, String>;

/// What a resource asks for. `assertion`: it only says what has to be so already.
pub(super) fn controls(kind: &str, properties: &Value, assertion: bool) -> Controls {
    let members = Members::of(properties);
    let (module, name) = kind.rsplit_once('/').unwrap_or(("", kind));
    let module = module.to_ascii_lowercase();
    let builtin = matches!(module.as_str(), "microsoft.windows" | "microsoft");
    let classic = matches!(module.as_str(), "psdesiredstateconfiguration" | "psdscresources" | "computermanagementdsc" | "");
    match name.to_ascii_lowercase().as_str() {
        "osinfo" if builtin => os(&members),
        "registry" if builtin => Ok(vec![registry_value(&members)?]),
        "registrylist" if builtin => {
            members.only(&["registryEntries"])?;
            members.list("registryEntries")?.iter().map(|entry| registry_value(&Members::of(entry))).collect()
        }
        "registry" if classic => Ok(vec![classic_registry(&members)?]),
        "service" | "windowsservice" => service(&members),
        "rebootpending" | "pendingreboot" => reboot(&members, assertion),
        "optionalfeaturelist" | "featureondemandlist" | "windowsfeaturelist" => features(&members),
        "windowsfeature" | "windowsoptionalfeature" => feature(&members),
        "firewallrulelist" => firewall_rules(&members),
        "wingetpackage" => package(&members, "id"),
        "package" if module.starts_with("microsoft.winget") => package(&members, "id"),
        "apt" => Err("it is about Linux; write it as Packages in a policy of its own".into()),
        "environment" if classic => environment(&members),
        "user" if classic => user(&members),
        "group" if classic => group(&members),
        "auditpolicysubcategory" => audit(&members),
        "smbshare" => share(&members),
        "timezone" => timezone(&members),
        "windowsupdate" | "updatelist" => {
            Err("which updates are installed is said under Updates, by classification and not by name".into())
        }
        "powershellscript" | "windowspowershellscript" | "runcommandonset" | "script" => {
            Err("it is a script: write a setting of your own, or an action".into())
        }
        "include" => Err("it includes another document: import that one by itself".into()),
        _ => Err(format!("the resource {kind} has no setting")),
    }
}

/// Properties, by name in any case.
struct Members<'a>(Option<&'a Map<String, Value>>);

impl<'a> Members<'a> {
    fn of(value: &'a Value) -> Self {
        Self(value.as_object())
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        let found = self.0?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1;
        Some(found).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    fn need(&self, name: &str) -> Result<&'a str, String> {
        self.text(name).ok_or_else(|| format!("it does not say {name}"))
    }

    fn list(&self, name: &str) -> Result<&'a Vec<Value>, String> {
        self.get(name).and_then(Value::as_array).filter(|list| !list.is_empty()).ok_or_else(|| format!("it does not say {name}"))
    }

    /// Whether it is to be there: `_exist`, or the older `Ensure`.
    fn there(&self) -> bool {
        let exist = self.get("_exist").and_then(Value::as_bool).unwrap_or(true);
        exist && !self.text("Ensure").is_some_and(|word| matches!(word.to_ascii_lowercase().as_str(), "absent" | "disable" | "disabled"))
    }

    /// Only these members are understood: what else is asked for would be lost.
    fn only(&self, known: &[&str]) -> Result<(), String> {
        // What DSC itself says and tells about every resource.
        const ALWAYS: [&str; 6] = ["_exist", "_name", "_metadata", "_inDesiredState", "_restartRequired", "_rebootRequired"];
        let other = self.0.into_iter().flatten().find(|(name, value)| {
            let known = known.iter().chain(&ALWAYS).any(|known| known.eq_ignore_ascii_case(name));
            !value.is_null() && !known && !name.starts_with('$')
        });
        other.map_or(Ok(()), |(name, _)| Err(format!("'{name}' of it has no counterpart here")))
    }
}

/// The policy is for Windows in any case.
fn os(members: &Members<'_>) -> Controls {
    members.only(&["family"])?;
    match members.text("family") {
        None => Err("it asks for nothing".into()),
        Some(family) if family.eq_ignore_ascii_case("windows") => Ok(Vec::new()),
        Some(family) => Err(format!("the document is about {family}: policies that are imported are for Windows")),
    }
}

fn registry_value(members: &Members<'_>) -> Result<Control, String> {
    members.only(&["keyPath", "valueName", "valueData"])?;
    let path = members.need("keyPath")?;
    let Some(name) = members.text("valueName") else {
        return Err("it is about a key as a whole: only values can be kept".into());
    };
    let (setting, key) = registry::place(path, name)?;
    if !members.there() {
        return Ok(Control::keyed(setting, key, json!({ "state": "absent" })));
    }
    let data = members.get("valueData").and_then(Value::as_object).filter(|data| data.len() == 1).and_then(|data| data.iter().next());
    let Some((kind, value)) = data else { return Err("it does not say what the value is to be".into()) };
    let texts = |list: &Vec<Value>| list.iter().all(Value::is_string);
    let (kind, value, fits) = match kind.as_str() {
        "String" => ("string", value.clone(), value.is_string()),
        "ExpandString" => ("expandString", value.clone(), value.is_string()),
        "MultiString" => ("multiString", value.clone(), value.as_array().is_some_and(texts)),
        "DWord" => ("dword", value.clone(), value.as_u64().is_some_and(|n| u32::try_from(n).is_ok())),
        "QWord" => ("qword", value.clone(), value.as_i64().is_some_and(|n| n >= 0)),
        "Binary" => ("binary", bytes(value)?, true),
        other => return Err(format!("a value of the kind {other} cannot be written")),
    };
    if !fits {
        return Err(format!("what the value is to be is no {kind}"));
    }
    Ok(Control::keyed(setting, key, json!({ "type": kind, "value": value })))
}

/// A list of bytes as hexadecimal digits.
fn bytes(value: &Value) -> Result<Value, String> {
    let list: Option<Vec<u8>> =
        value.as_array().and_then(|list| list.iter().map(|byte| byte.as_u64().and_then(|n| u8::try_from(n).ok())).collect());
    list.map(|list| json!(hex::encode_upper(list))).ok_or_else(|| "a binary value is a list of bytes".to_owned())
}

/// The resource of Windows PowerShell: `Key`, `ValueName`, `ValueData`, `ValueType`.
fn classic_registry(members: &Members<'_>) -> Result<Control, String> {
    let path = members.need("Key")?.trim_start_matches("Registry::").replacen(":\\", "\\", 1);
    members.only(&["Key", "ValueName", "ValueData", "ValueType", "Hex", "Force", "Ensure"])?;
    let name = members.text("ValueName").unwrap_or_default();
    if name.is_empty() && !members.there() {
        return Err("it removes a key as a whole: only values can be kept".into());
    }
    let (setting, key) = registry::place(&path, name)?;
    if !members.there() {
        return Ok(Control::keyed(setting, key, json!({ "state": "absent" })));
    }
    let data = members.get("ValueData").ok_or("it does not say what the value is to be")?;
    let list: Vec<Value> = data.as_array().cloned().unwrap_or_else(|| vec![data.clone()]);
    let first = list.first().cloned().unwrap_or_else(|| json!(""));
    let text = first.as_str().map_or_else(|| first.to_string(), str::to_owned);
    let hexadecimal = members.get("Hex").and_then(Value::as_bool) == Some(true) || text.starts_with("0x");
    let number = || {
        let digits = text.trim_start_matches("0x");
        let parsed = if hexadecimal { i64::from_str_radix(digits, 16) } else { digits.parse() };
        parsed.map(|n| json!(n)).map_err(|_| format!("'{text}' is not a number"))
    };
    let (kind, value) = match members.text("ValueType").unwrap_or("String").to_ascii_lowercase().as_str() {
        "string" => ("string", json!(text)),
        "expandstring" => ("expandString", json!(text)),
        "multistring" => ("multiString", json!(list)),
        "dword" => ("dword", number()?),
        "qword" => ("qword", number()?),
        "binary" => ("binary", json!(text.trim_start_matches("0x"))),
        other => return Err(format!("a value of the kind {other} cannot be written")),
    };
    Ok(Control::keyed(setting, key, json!({ "type": kind, "value": value })))
}

fn service(members: &Members<'_>) -> Controls {
    members.only(&["name", "displayName", "description", "status", "startType", "State", "StartupType", "Ensure", "Dependencies"])?;
    if !members.there() {
        return Err("a service is not removed here".into());
    }
    let name = members.need("name")?;
    let mut wanted = Map::new();
    if let Some(state) = members.text("status").or_else(|| members.text("State")) {
        let state = match state.to_ascii_lowercase().as_str() {
            "running" => "running",
            "stopped" => "stopped",
            "ignore" => "",
            other => return Err(format!("a service is not kept '{other}'")),
        };
        if !state.is_empty() {
            wanted.insert("state".into(), json!(state));
        }
    }
    if let Some(startup) = members.text("startType").or_else(|| members.text("StartupType")) {
        let startup = match startup.to_ascii_lowercase().as_str() {
            "automatic" => "enabled",
            "manual" => "manual",
            "disabled" => "disabled",
            other => return Err(format!("a service does not start '{other}' here")),
        };
        wanted.insert("startup".into(), json!(startup));
    }
    if wanted.is_empty() {
        return Err("it asks for nothing".into());
    }
    Ok(vec![Control::keyed("Services", name, Value::Object(wanted))])
}

fn reboot(members: &Members<'_>, assertion: bool) -> Controls {
    match members.get("rebootPending").and_then(Value::as_bool) {
        Some(false) => Ok(vec![Control::new("PendingReboot", json!(false))]),
        Some(true) if assertion => Err("that a restart is pending is not something to keep".into()),
        _ => Err("it asks for nothing".into()),
    }
}

fn features(members: &Members<'_>) -> Controls {
    members.only(&["features", "capabilities"])?;
    let list = members.list("features").or_else(|_| members.list("capabilities"))?;
    list.iter()
        .map(|one| {
            let one = Members::of(one);
            // Names, sizes and texts are answers of DSC, and what a feature needs is switched on with it here.
            one.only(&[
                "featureName",
                "identity",
                "state",
                "displayName",
                "description",
                "restartRequired",
                "downloadSize",
                "installSize",
                "enableAll",
            ])?;
            let name = one.text("featureName").or_else(|| one.text("identity")).ok_or("it does not name the feature")?;
            let state = match one.need("state")? {
                "Installed" => "Enabled",
                "NotPresent" | "Removed" => "Disabled",
                other => return Err(format!("a feature is not kept '{other}'")),
            };
            Ok(Control::keyed("WindowsFeatures", name, json!(state)))
        })
        .collect()
}

fn feature(members: &Members<'_>) -> Controls {
    members.only(&["Name", "Ensure", "DisplayName", "LogPath", "LogLevel"])?;
    let name = members.need("Name")?;
    Ok(vec![Control::keyed("WindowsFeatures", name, json!(if members.there() { "Enabled" } else { "Disabled" }))])
}

fn firewall_rules(members: &Members<'_>) -> Controls {
    members.only(&["rules", "unspecifiedRules"])?;
    let others = members.get("unspecifiedRules").is_some_and(|others| Members::of(others).text("action") != Some("ignore"));
    if others {
        return Err("what becomes of rules that it does not name has no counterpart here".into());
    }
    members.list("rules")?.iter().map(|rule| firewall_rule(&Members::of(rule))).collect()
}

fn firewall_rule(members: &Members<'_>) -> Result<Control, String> {
    let name = members.need("name")?;
    if !members.there() {
        return Ok(Control::keyed("FirewallRules", name, json!("absent")));
    }
    members.only(&[
        "name",
        "description",
        "protocol",
        "localPorts",
        "remotePorts",
        "remoteAddresses",
        "applicationName",
        "direction",
        "action",
        "enabled",
        "profiles",
    ])?;
    if members.get("enabled").and_then(Value::as_bool) == Some(false) {
        return Ok(Control::keyed("FirewallRules", name, json!("Disabled")));
    }
    let mut rule = Map::new();
    rule.insert("direction".into(), json!(if members.need("direction")?.eq_ignore_ascii_case("outbound") { "out" } else { "in" }));
    rule.insert("action".into(), json!(members.need("action")?.to_ascii_lowercase()));
    if let Some(number) = members.get("protocol").and_then(Value::as_u64) {
        let known = [(6, "tcp"), (17, "udp"), (1, "icmpv4"), (58, "icmpv6"), (256, "any")];
        let word = known.iter().find(|(known, _)| *known == number).map_or_else(|| number.to_string(), |(_, word)| (*word).to_owned());
        rule.insert("protocol".into(), json!(word));
    }
    for (from, to) in [("localPorts", "localPorts"), ("remotePorts", "remotePorts"), ("remoteAddresses", "remoteAddresses")] {
        if let Some(text) = members.text(from).filter(|text| *text != "*") {
            rule.insert(to.into(), text.split(',').map(str::trim).collect());
        }
    }
    if let Some(program) = members.text("applicationName") {
        rule.insert("program".into(), json!(program));
    }
    let profiles: Vec<String> = members
        .get("profiles")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|p| p.as_str().map(str::to_ascii_lowercase))
        .collect();
    if !profiles.is_empty() && !profiles.iter().any(|profile| profile == "all") {
        rule.insert("profiles".into(), json!(profiles));
    }
    Ok(Control::keyed("FirewallRules", name, Value::Object(rule)))
}

fn package(members: &Members<'_>, id: &str) -> Controls {
    members.only(&[id, "version", "Ensure", "source", "useLatest", "matchOption", "scope", "installMode", "acceptAgreements"])?;
    let id = members.need(id)?;
    let value = if !members.there() {
        json!("absent")
    } else if members.get("useLatest").and_then(Value::as_bool) == Some(true) {
        return Err("the newest version is not kept as a state: install updates, or name a version".into());
    } else if let Some(version) = members.text("version") {
        json!({ "version": format!("={version}") })
    } else {
        json!("present")
    };
    Ok(vec![Control::keyed("Packages", id, value)])
}

fn environment(members: &Members<'_>) -> Controls {
    members.only(&["Name", "Value", "Ensure", "Path", "Target"])?;
    let name = members.need("Name")?;
    if members.get("Path").and_then(Value::as_bool) == Some(true) {
        return Err("a part of a path is not kept by itself: the whole variable is".into());
    }
    let value = if members.there() { json!({ "value": members.need("Value")? }) } else { json!("absent") };
    Ok(vec![Control::keyed("Environment", name, value)])
}

fn user(members: &Members<'_>) -> Controls {
    members.only(&["UserName", "Ensure", "FullName", "Disabled"])?;
    let name = members.need("UserName")?;
    if !members.there() {
        return Ok(vec![Control::keyed("Users", name, json!("absent"))]);
    }
    let mut wanted = Map::new();
    if let Some(text) = members.text("FullName") {
        wanted.insert("comment".into(), json!(text));
    }
    if let Some(disabled) = members.get("Disabled").and_then(Value::as_bool) {
        wanted.insert("locked".into(), json!(disabled));
    }
    Ok(vec![Control::keyed("Users", name, if wanted.is_empty() { json!("present") } else { Value::Object(wanted) })])
}

/// Of groups only who the administrators are.
fn group(members: &Members<'_>) -> Controls {
    members.only(&["GroupName", "Ensure", "Members"])?;
    if !members.need("GroupName")?.eq_ignore_ascii_case("Administrators") {
        return Err("of groups only the members of Administrators are kept".into());
    }
    Ok(vec![Control::new("LocalAdmins", json!(members.list("Members")?))])
}

fn audit(members: &Members<'_>) -> Controls {
    members.only(&["Name", "AuditFlag", "Ensure"])?;
    let name = members.need("Name")?;
    if crate::script::audit_subcategory(name).is_none() {
        return Err(format!("'{name}' is not an audit subcategory that is known"));
    }
    let flag = match members.need("AuditFlag")?.to_ascii_lowercase().as_str() {
        "success" => "success",
        "failure" => "failure",
        other => return Err(format!("'{other}' is neither success nor failure")),
    };
    Ok(vec![Control::keyed("AuditPolicy", name, json!({ flag: members.there() }))])
}

fn timezone(members: &Members<'_>) -> Controls {
    members.only(&["IsSingleInstance", "TimeZone"])?;
    let name = members.need("TimeZone")?;
    let zone = crate::script::iana_zone(name).ok_or_else(|| format!("the time zone '{name}' is not known by its IANA name"))?;
    Ok(vec![Control::new("Timezone", json!(zone))])
}

fn share(members: &Members<'_>) -> Controls {
    members.only(&["Name", "Path", "Description", "Ensure", "FullAccess", "ChangeAccess", "ReadAccess"])?;
    let name = members.need("Name")?;
    if !members.there() {
        return Ok(vec![Control::keyed("Shares", name, json!("absent"))]);
    }
    let mut wanted = Map::new();
    wanted.insert("path".into(), json!(members.need("Path")?));
    for (from, to) in
        [("Description", "description"), ("FullAccess", "fullAccess"), ("ChangeAccess", "changeAccess"), ("ReadAccess", "readAccess")]
    {
        if let Some(value) = members.get(from) {
            wanted.insert(to.into(), value.clone());
        }
    }
    Ok(vec![Control::keyed("Shares", name, Value::Object(wanted))])
}
