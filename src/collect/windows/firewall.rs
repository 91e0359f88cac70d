//! The firewall of Windows: its profiles as they are in force, and its rules as the registry keeps them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::take::{count, every, flag, items, text};
use crate::collect::raw::{Parsed, unknown};

/// Most ports or addresses of a rule that are told.
const MOST_VALUES: usize = 200;

/// Profiles by the names of the module and of the registry.
const PROFILES: [(&str, &str, &str); 3] =
    [("domain", "Domain", "DomainProfile"), ("private", "Private", "StandardProfile"), ("public", "Public", "PublicProfile")];

pub(super) fn profiles(answers: &Answers) -> Parsed {
    let part = answers.part("firewall")?;
    let service = text(part, "service").map(|state| if state == "Running" { "running" } else { "stopped" });
    let told = items(part, "profiles");
    let mut found = Map::new();
    for (name, shown, key) in PROFILES {
        let profile = match told.iter().find(|one| text(one, "name").as_deref() == Some(shown)) {
            Some(one) => in_force(one),
            None => kept(&part["registry"][key]),
        };
        let Some(profile) = profile else { return unknown(format!("the profile {name} was not told")) };
        found.insert(name.to_owned(), profile);
    }
    let on = found.values().all(|profile| profile["enabled"] == true);
    Ok(json!({"enabled": on && service == Some("running"), "backend": "windows", "service": service, "profiles": found}))
}

/// A profile as the module gives it: 0 and 1 for no and yes, 2 where nobody has set it; 2 allows and 4 blocks.
fn in_force(one: &Value) -> Option<Value> {
    let action = |key: &str, otherwise: &'static str| match count(one, key) {
        Some(2) => "allow",
        Some(4) => "block",
        _ => otherwise,
    };
    Some(json!({
        "enabled": match count(one, "enabled")? { 0 => false, 1 | 2 => true, _ => return None },
        "inbound": action("inbound", "block"),
        "outbound": action("outbound", "allow"),
        "notify": flag(one, "notify"),
        "local_rules": count(one, "local_rules").map(|value| value != 0),
        "log_file": text(one, "log_file"),
        "log_max_kb": count(one, "log_max_kb"),
        "log_dropped": flag(one, "log_dropped"),
        "log_allowed": flag(one, "log_allowed"),
    }))
}

/// A profile as the registry keeps it: 1 blocks, 0 allows.
fn kept(one: &Value) -> Option<Value> {
    let action = |key: &str, otherwise: bool| if flag(one, key).unwrap_or(otherwise) { "block" } else { "allow" };
    Some(json!({
        "enabled": flag(one, "EnableFirewall")?,
        "inbound": action("DefaultInboundAction", true),
        "outbound": action("DefaultOutboundAction", false),
        "notify": flag(one, "DisableNotifications").map(|off| !off),
        "local_rules": null, "log_file": null, "log_max_kb": null, "log_dropped": null, "log_allowed": null,
    }))
}

pub(super) fn rules(answers: &Answers) -> Parsed {
    let part = answers.part("firewall-rules")?;
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    // All of them: a rule that is left out would be absent.
    for item in every(part, "items")? {
        let words: Vec<&str> = item.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let [source, name, rule] = words[..] else { continue };
        let name: String = name.chars().filter(|c| !c.is_control()).take(300).collect();
        // Policies come last, and take the place of what is set on the device.
        if let Some(rule) = rule_of(source, &name, rule) {
            found.insert(name, rule);
        }
    }
    if found.is_empty() { unknown("no rule was told") } else { Ok(Value::Object(found.into_iter().collect())) }
}

/// `v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=5985|RA4=LocalSubnet|App=System|Name=...|`
fn rule_of(source: &str, name: &str, rule: &str) -> Option<Value> {
    let mut fields = rule.split('|');
    fields.next().filter(|version| version.starts_with('v'))?;
    let pairs: Vec<(&str, &str)> = fields.filter_map(|field| field.split_once('=')).collect();
    let one = |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, value)| value.chars().take(1_024).collect::<String>());
    // `RA4`, `RA42` and `RA6` are the same thing in several forms. Networks are written as everywhere else.
    let all = |starts: &[&str]| {
        let of = |key: &str| {
            starts.iter().any(|start| key.strip_prefix(start).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'_')))
        };
        let mut values: Vec<String> = Vec::new();
        for (_, value) in pairs.iter().filter(|(key, _)| of(key)) {
            let value = network(value);
            if values.contains(&value) {
                continue;
            }
            if values.len() == MOST_VALUES {
                // Not all of them, and therefore like no other list.
                values.push("...".to_owned());
                break;
            }
            values.push(value);
        }
        if values.is_empty() { "any".to_owned() } else { values.join(",") }
    };
    let protocol = match one("Protocol").as_deref() {
        None | Some("256") => "any".to_owned(),
        Some("6") => "tcp".to_owned(),
        Some("17") => "udp".to_owned(),
        Some("1") => "icmpv4".to_owned(),
        Some("58") => "icmpv6".to_owned(),
        Some(number) => number.to_owned(),
    };
    let mut profiles: Vec<String> =
        pairs.iter().filter(|(key, _)| *key == "Profile").map(|(_, value)| value.to_ascii_lowercase()).collect();
    profiles.sort();
    profiles.dedup();
    Some(json!({
        "name": name,
        "display": one("Name"),
        "enabled": one("Active")?.eq_ignore_ascii_case("true"),
        "direction": match one("Dir")?.as_str() { "In" => "in", "Out" => "out", _ => return None },
        "action": match one("Action")?.as_str() { "Allow" => "allow", "Block" => "block", "ByPass" => "bypass", _ => return None },
        "profile": if profiles.is_empty() || profiles.len() == 3 { "any".to_owned() } else { profiles.join(",") },
        "protocol": protocol,
        "local_ports": all(&["LPort"]),
        "remote_ports": all(&["RPort"]),
        "local_addresses": all(&["LA"]),
        "remote_addresses": all(&["RA"]),
        "program": one("App"),
        "service": one("Svc"),
        "group": one("EmbedCtxt"),
        "source": source,
        "edge": one("Edge").is_some_and(|edge| edge.eq_ignore_ascii_case("true")),
    }))
}

/// `10.0.0.0/255.0.0.0` is `10.0.0.0/8`; everything else stays what it is.
fn network(value: &str) -> String {
    let short = || -> Option<String> {
        let (address, mask) = value.split_once('/')?;
        let bits = u32::from(mask.parse::<std::net::Ipv4Addr>().ok()?);
        (bits.leading_ones() + bits.trailing_zeros() == 32).then(|| format!("{address}/{}", bits.leading_ones()))
    };
    short().unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_with_the_length_of_its_prefix() {
        for (kept, told) in [
            ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
            ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
            ("192.0.2.1/255.255.255.255", "192.0.2.1/32"),
            ("0.0.0.0/0.0.0.0", "0.0.0.0/0"),
            ("10.0.0.0/255.0.255.0", "10.0.0.0/255.0.255.0"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("fe80::/64", "fe80::/64"),
            ("192.0.2.1-192.0.2.9", "192.0.2.1-192.0.2.9"),
            ("LocalSubnet", "LocalSubnet"),
            ("5985", "5985"),
        ] {
            assert_eq!(network(kept), told);
        }
    }

    #[test]
    fn a_rule_is_read_as_the_registry_keeps_it() {
        let rule = rule_of(
            "local",
            "WINRM-HTTP-In-TCP",
            "v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Public|LPort=5985|LPort2_10=6000-6010|RA4=LocalSubnet|RA6=LocalSubnet|\
             App=System|Name=@FirewallAPI.dll,-30253|Desc=@FirewallAPI.dll,-30256|EmbedCtxt=@FirewallAPI.dll,-30267|",
        )
        .unwrap();
        assert_eq!(
            (&rule["enabled"], &rule["direction"], &rule["action"], &rule["profile"]),
            (&json!(true), &json!("in"), &json!("allow"), &json!("public"))
        );
        assert_eq!(
            (&rule["protocol"], &rule["local_ports"], &rule["remote_ports"]),
            (&json!("tcp"), &json!("5985,6000-6010"), &json!("any"))
        );
        assert_eq!((&rule["remote_addresses"], &rule["program"]), (&json!("LocalSubnet"), &json!("System")));
        let off = rule_of("policy", "x", "v2.10|Action=Block|Active=FALSE|Dir=Out|Profile=Domain|Profile=Private|Profile=Public|Name=x|")
            .unwrap();
        assert_eq!((&off["enabled"], &off["protocol"], &off["profile"]), (&json!(false), &json!("any"), &json!("any")));
        // Name and program stand behind the addresses.
        let addresses: Vec<String> = (0..4_000).map(|n| format!("RA4=198.51.{}.{}|", n / 256, n % 256)).collect();
        let long = format!("v2.31|Action=Block|Active=TRUE|Dir=In|{}App=System|Name=blocked|", addresses.concat());
        let long = rule_of("mdm", "x", &long).unwrap();
        assert_eq!((&long["display"], &long["program"], &long["source"]), (&json!("blocked"), &json!("System"), &json!("mdm")));
        assert!(long["remote_addresses"].as_str().unwrap().ends_with(",198.51.0.199,..."), "{long}");
        for wrong in [
            "",
            "Action=Allow",
            "v2.10|Action=Allow|Dir=In|",
            "v2.10|Action=Dance|Active=TRUE|Dir=In|",
            "v2.10|Active=TRUE|Dir=Up|Action=Allow|",
        ] {
            assert_eq!(rule_of("local", "x", wrong), None, "{wrong}");
        }
    }
}
