//! The configuration of the SSH server: as the server itself says, else from its files.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::collect::glob;
use crate::collect::raw::{Parsed, Raw, unknown};
use crate::model::facts::Status;

const MAIN: &str = "/etc/ssh/sshd_config";

pub(in crate::collect) fn sshd(raw: &Raw<'_>) -> Parsed {
    let effective = raw.block("sshd").unwrap_or_default();
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    if raw.code("sshd") == Some(0) && !effective.is_empty() {
        // Some keys come several times: port, listenaddress, hostkey, acceptenv.
        for (key, value) in effective.lines().filter_map(|l| l.split_once(' ')) {
            add(&mut keys, key.to_ascii_lowercase(), value.trim());
        }
        if let Some(given) = effective.lines().find_map(|l| l.strip_prefix("#key ")) {
            host_keys(raw, given, &mut keys);
        }
    } else {
        if raw.lines(MAIN).is_empty() {
            return unknown("no SSH server is installed, or its configuration may not be read");
        }
        read(raw, MAIN, 0, &mut keys)?;
        for (key, value) in DEFAULTS {
            keys.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    keys.remove("#key");
    // Two names of one value; the server prints the old one.
    if let Some(value) = keys.get_mut("permitrootlogin").filter(|v| *v == "without-password") {
        "prohibit-password".clone_into(value);
    }
    Ok(Value::Object(keys.into_iter().map(|(k, v)| (k, Value::String(v))).collect::<Map<_, _>>()))
}

/// The host keys of its own configuration, where it was given one to answer more quickly: with that one it does not list
/// those that it takes where its files name none.
fn host_keys(raw: &Raw<'_>, given: &str, keys: &mut BTreeMap<String, String>) {
    let mut files = BTreeMap::new();
    // Where a file is included that was not read, what the server prints besides the given one is configured.
    let _ = read(raw, MAIN, 0, &mut files);
    let configured = files.remove("hostkey").unwrap_or_default();
    let printed = keys.remove("hostkey").unwrap_or_default();
    let mut found: Vec<&str> = printed.split(' ').filter(|path| *path != given || configured.split(' ').any(|c| c == given)).collect();
    if found.is_empty() {
        found = HOST_KEYS.to_vec();
    }
    keys.insert("hostkey".to_owned(), found.join(" "));
}

/// The host keys that OpenSSH looks for where its files name none.
const HOST_KEYS: [&str; 3] = ["/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key"];

/// What OpenSSH does where its files say nothing; the same in every release since 7.4.
const DEFAULTS: [(&str, &str); 18] = [
    ("allowagentforwarding", "yes"),
    ("allowtcpforwarding", "yes"),
    ("clientalivecountmax", "3"),
    ("clientaliveinterval", "0"),
    ("gatewayports", "no"),
    ("hostbasedauthentication", "no"),
    ("ignorerhosts", "yes"),
    ("logingracetime", "120"),
    ("loglevel", "INFO"),
    ("maxauthtries", "6"),
    ("maxsessions", "10"),
    ("passwordauthentication", "yes"),
    ("permitemptypasswords", "no"),
    ("permitrootlogin", "prohibit-password"),
    ("permituserenvironment", "no"),
    ("port", "22"),
    ("pubkeyauthentication", "yes"),
    ("x11forwarding", "no"),
];

/// Keys of which every line counts.
const LISTS: [&str; 4] = ["port", "listenaddress", "hostkey", "acceptenv"];

fn add(keys: &mut BTreeMap<String, String>, key: String, value: &str) {
    match keys.get_mut(&key) {
        None => {
            keys.insert(key, value.to_owned());
        }
        Some(old) if LISTS.contains(&key.as_str()) => {
            old.push(' ');
            old.push_str(value);
        }
        // The first value wins.
        Some(_) => {}
    }
}

/// Reads one file up to its first `Match`, and the files that it includes in their place.
fn read(raw: &Raw<'_>, path: &str, depth: u32, keys: &mut BTreeMap<String, String>) -> Result<(), Status> {
    for line in raw.lines(path) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
        let key = line[..end].to_ascii_lowercase();
        let value = line[end..].trim_start_matches([' ', '\t', '=']).trim().trim_matches('"');
        match key.as_str() {
            "match" => break,
            "include" => {
                for pattern in value.split_ascii_whitespace() {
                    let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/etc/ssh/{pattern}") };
                    if depth >= 8 || !glob::matches("/etc/ssh/sshd_config.d/*.conf", &pattern) {
                        return unknown(format!("{path} includes {pattern}, which is not read"));
                    }
                    let included: Vec<&str> = raw.glob(&pattern).map(|(path, _)| path).collect();
                    for path in included {
                        read(raw, path, depth + 1, keys)?;
                    }
                }
            }
            _ => add(keys, key, value),
        }
    }
    Ok(())
}
