//! Variables of Ansible as the product's own: how to connect, and the rest as `vars`. What cannot be taken over is named.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Vars;
use super::yaml::VAULT;
use crate::diagnose::Diagnostic;
use crate::model::Place;
use crate::model::device::{Connection, Elevate, TransportKind};

/// Where a secret belongs.
pub(super) const ADVICE: &str = "secrets do not go into the repository: name one with connection.password or sudoPassword: {secret: NAME}, see docs/how-to/ssh-access.md";

/// Words in the name of a variable that holds a secret.
const SECRET: [&str; 9] = ["pass", "passwd", "password", "secret", "token", "apikey", "api_key", "private_key", "credential"];

/// Takes variables over. `notes` gets a warning for what is left out, and an error for what is wrong.
pub(super) fn take(
    whose: &str,
    from: &Vars,
    vars: &mut BTreeMap<String, Value>,
    connection: &mut Connection,
    address: &mut Option<&mut Option<String>>,
    notes: &mut Vec<Diagnostic>,
) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut becomes = (None, None);
    for (name, (value, at)) in from {
        let mut note = |why: String, advice: Option<&str>| {
            let note = Diagnostic::warning("RMM0562", format!("{whose}: {} is left out: {why}", name.escape_debug())).at(at);
            notes.push(match advice {
                Some(advice) => note.advice(advice),
                None => note,
            });
        };
        // Never the value: it may be the secret.
        if holds(value, &|text| text.trim_start().starts_with(VAULT)) {
            note("it is encrypted".into(), Some(ADVICE));
            continue;
        }
        if is_secret(name) || holds_secret(value) {
            note("it looks like a secret".into(), Some(ADVICE));
            continue;
        }
        if holds(value, &|text| text.contains("{{") || text.contains("{%")) {
            note("it holds a template of Ansible".into(), Some("write the value itself, or a template of rmm in the policy"));
            continue;
        }
        match name.as_str() {
            "ansible_host" | "ansible_ssh_host" => match address {
                Some(address) if clean(&text(value)) => **address = Some(text(value)),
                Some(_) => notes.push(wrong(format!("'{}' is no address", text(value).escape_debug()), at)),
                None => note("an address belongs to a device, not to a group".into(), None),
            },
            "ansible_port" | "ansible_ssh_port" => match text(value).parse().ok().filter(|port| *port > 0) {
                Some(port) => connection.port = Some(port),
                None => notes.push(wrong(format!("'{}' is no port; write a number from 1 to 65535", text(value).escape_debug()), at)),
            },
            "ansible_user" | "ansible_ssh_user" => connection.user = Some(text(value)),
            "ansible_ssh_private_key_file" | "ansible_private_key_file" => connection.identity_files = vec![text(value)],
            "ansible_connection" => match text(value).as_str() {
                "ssh" | "smart" | "paramiko" | "paramiko_ssh" | "ansible.builtin.ssh" => connection.transport = Some(TransportKind::Ssh),
                "local" | "ansible.builtin.local" => connection.transport = Some(TransportKind::Local),
                "winrm" | "psrp" | "ansible.builtin.winrm" | "ansible.builtin.psrp" => connection.transport = Some(TransportKind::Winrm),
                other => note(format!("devices are reached by ssh, by winrm or locally, not by {}", other.escape_debug()), None),
            },
            "ansible_become" => becomes.0 = Some((truth(value), at)),
            "ansible_become_method" => becomes.1 = Some(text(value)),
            "ansible_become_user" if text(value) == "root" => {}
            "ansible_ssh_common_args" | "ansible_ssh_extra_args" => match jump(&text(value)) {
                Some(hops) => connection.proxy_jump = hops,
                None => note("of these arguments only ProxyJump has a counterpart".into(), Some("put the rest into ~/.ssh/config")),
            },
            _ if name.starts_with("ansible_") => note("it has no counterpart".into(), None),
            _ => {
                vars.insert(name.clone(), value.clone());
            }
        }
    }
    match becomes {
        (Some((true, _)), None) => connection.elevate = Some(Elevate::Sudo),
        (Some((true, _)), Some(method)) if method == "sudo" || method == "ansible.builtin.sudo" => connection.elevate = Some(Elevate::Sudo),
        (Some((true, at)), Some(method)) => {
            let message = format!("{whose}: ansible_become is left out: root is reached by sudo, not by {}", method.escape_debug());
            notes.push(Diagnostic::warning("RMM0562", message).at(at));
        }
        (Some((false, _)), _) => connection.elevate = Some(Elevate::None),
        (None, _) => {}
    }
}

fn wrong(message: String, at: &Place) -> Diagnostic {
    Diagnostic::error("RMM0561", message).at(at)
}

fn clean(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Ansible takes `yes` and `on` for true.
fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_i64() == Some(1),
        Value::String(text) => matches!(text.to_lowercase().as_str(), "yes" | "on" | "true" | "1" | "y" | "t"),
        _ => false,
    }
}

/// Whether a text within a value is such.
fn holds(value: &Value, such: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => such(text),
        Value::Array(items) => items.iter().any(|item| holds(item, such)),
        Value::Object(members) => members.values().any(|member| holds(member, such)),
        _ => false,
    }
}

/// Whether a member somewhere within a value looks like a secret.
fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(members) => members.iter().any(|(name, member)| is_secret(name) || holds_secret(member)),
        _ => false,
    }
}

/// Whether a variable of this name holds a secret; the path of a key file is none.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    !name.ends_with("_file") && !name.ends_with("_path") && SECRET.iter().any(|word| name.contains(word))
}

/// `-J a,b`, `-o ProxyJump=a` and nothing else.
fn jump(arguments: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = arguments.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
    let hops = match words[..] {
        ["-J", hops] => hops,
        ["-o", option] => option.strip_prefix("ProxyJump=")?,
        [one] => one.strip_prefix("-oProxyJump=").or_else(|| one.strip_prefix("-J"))?,
        _ => return None,
    };
    let hops: Vec<String> = hops.split(',').map(str::to_owned).collect();
    hops.iter().all(|hop| clean(hop)).then_some(hops)
}
