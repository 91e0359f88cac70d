//! What scripts ask of Windows in a few words: values of the registry and security templates. Each is one fixed PowerShell
//! script whose values travel as data. `device.rs` calls this; comparing registry values is in `registry.rs`.

use serde_json::{Value, json};

use crate::model::operation::Operation;

/// The fixed scripts by the name under which a plan shows them.
const SCRIPTS: [(&str, &str); 4] = [
    ("registry", concat!(include_str!("windows/kept.ps1"), include_str!("windows/registry.ps1"))),
    ("registry_of_users", concat!(include_str!("windows/kept.ps1"), include_str!("windows/registry_of_users.ps1"))),
    ("security_policy", include_str!("windows/security_policy.ps1")),
    ("updates", UPDATES),
];

/// What the task of the system runs, as a text, and what makes that task.
const UPDATES: &str = concat!("$worker = @'\n", include_str!("windows/updates_worker.ps1"), "'@\n", include_str!("windows/updates.ps1"));

/// Longest name of a key, and of a value.
const LONGEST_KEY: usize = 1024;
const LONGEST_NAME: usize = 16_383;

/// The fixed scripts, for tests that read every PowerShell text.
#[cfg(test)]
pub(crate) fn scripts() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCRIPTS.into_iter()
}

/// The name of a fixed script: a plan names it instead of repeating it for each of hundreds of values.
pub(super) fn name_of(script: &str) -> Option<&'static str> {
    SCRIPTS.iter().find(|(_, text)| *text == script).map(|(name, _)| *name)
}

fn fixed(name: &str, params: Value) -> Operation {
    let script = SCRIPTS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
    Operation::PowerShell { script: script.to_owned(), params }
}

/// Sets a value, `dword`, `qword`, `string`, `expandString`, `multiString` or `binary` (hexadecimal digits); makes its key.
pub(super) fn registry_set(key: &str, name: &str, kind: &str, value: &Value) -> Result<Operation, String> {
    let path = whole(key)?;
    named(name)?;
    fits(kind, value)?;
    Ok(fixed("registry", json!({ "path": path, "name": name, "absent": false, "kind": kind, "value": value })))
}

/// Removes a value; what is not there is removed already. The key stays.
pub(super) fn registry_remove(key: &str, name: &str) -> Result<Operation, String> {
    let path = whole(key)?;
    named(name)?;
    Ok(fixed("registry", json!({ "path": path, "name": name, "absent": true })))
}

/// Sets a value below every user whose registry is loaded, or of one of them by SID; `key` without a hive.
pub(super) fn users_set(only: Option<&str>, key: &str, name: &str, kind: &str, value: &Value) -> Result<Operation, String> {
    below(key)?;
    named(name)?;
    fits(kind, value)?;
    let params = json!({ "only": only, "path": key, "name": name, "absent": false, "kind": kind, "value": value });
    Ok(fixed("registry_of_users", params))
}

/// Removes a value below every user whose registry is loaded, or of one of them.
pub(super) fn users_remove(only: Option<&str>, key: &str, name: &str) -> Result<Operation, String> {
    below(key)?;
    named(name)?;
    Ok(fixed("registry_of_users", json!({ "only": only, "path": key, "name": name, "absent": true })))
}

/// Sets keys of the section `System Access` of the security policy: whole numbers, or texts.
pub(super) fn security_policy(entries: &[(&str, Value)]) -> Result<Operation, String> {
    let mut list = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        word(name)?;
        let value = match value {
            Value::Number(number) if number.is_i64() => number.to_string(),
            Value::String(text) if !text.chars().any(|c| c.is_control() || c == '"') && text.len() < 256 => format!("\"{text}\""),
            other => return Err(format!("{name} of the security policy cannot be {other}")),
        };
        list.push(json!({ "name": name, "value": value }));
    }
    Ok(fixed("security_policy", json!({ "section": "System Access", "entries": list })))
}

/// Gives a user right to exactly these accounts: SIDs, or `S-1-5-21-*-RID`.
pub(super) fn user_right(right: &str, accounts: &[String]) -> Result<Operation, String> {
    word(right)?;
    if let Some(other) = accounts.iter().find(|account| !is_sid(account)) {
        return Err(format!("'{}' is not a SID", other.escape_debug()));
    }
    let entry = json!({ "name": right, "accounts": accounts });
    Ok(fixed("security_policy", json!({ "section": "Privilege Rights", "entries": [entry] })))
}

/// Has the system `install`, `uninstall`, `hide` or `show` updates: names, with identities where they are known. It answers
/// `{installed: [{package, from, to}], left: [{package, version, reason}], restart, touched}`.
pub(super) fn updates(what: &str, list: &[(String, String)]) -> Result<Operation, String> {
    if !matches!(what, "install" | "uninstall" | "hide" | "show") {
        return Err(format!("'{}' is nothing that is done with updates", what.escape_debug()));
    }
    let updates: Vec<Value> = list.iter().map(|(name, id)| json!({ "name": name, "id": id })).collect();
    Ok(fixed("updates", json!({ "what": what, "updates": updates })))
}

/// `S-1-5-32-544`, or `S-1-5-21-*-501` where the machine or its domain stands for the star.
fn is_sid(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.len() <= 10 && part.bytes().all(|b| b.is_ascii_digit());
    let known = |rest: &str| rest.split('-').all(number) && text.len() < 200;
    match text.strip_prefix("S-1-5-21-*-") {
        Some(rest) => number(rest),
        None => text.strip_prefix("S-1-").is_some_and(known),
    }
}

fn word(name: &str) -> Result<(), String> {
    let good = !name.is_empty() && name.len() < 100 && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if good { Ok(()) } else { Err(format!("'{}' is not a name of the security policy", name.escape_debug())) }
}

/// A key with its hive.
fn whole(key: &str) -> Result<&str, String> {
    let (hive, rest) = key.split_once('\\').unwrap_or((key, ""));
    if !matches!(hive, "HKLM" | "HKCU" | "HKCR" | "HKU" | "HKCC") {
        return Err(format!("'{}' does not begin with HKLM\\, HKCU\\, HKCR\\, HKU\\ or HKCC\\", key.escape_debug()));
    }
    below(rest).map(|()| key)
}

fn below(key: &str) -> Result<(), String> {
    if key.is_empty() || key.len() > LONGEST_KEY || key.starts_with('\\') || key.ends_with('\\') || key.chars().any(char::is_control) {
        return Err(format!("'{}' is not the path of a registry key", key.escape_debug()));
    }
    Ok(())
}

fn named(name: &str) -> Result<(), String> {
    if name.len() > LONGEST_NAME || name.contains('\0') { Err("this is not the name of a registry value".to_owned()) } else { Ok(()) }
}

/// Whether a value is one of its kind.
fn fits(kind: &str, value: &Value) -> Result<(), String> {
    let no_nul = |text: &str| !text.contains('\0');
    let good = match kind {
        "dword" => value.as_u64().is_some_and(|n| u32::try_from(n).is_ok()),
        "qword" => value.as_i64().is_some_and(|n| n >= 0),
        "string" | "expandString" => value.as_str().is_some_and(no_nul),
        "multiString" => value.as_array().is_some_and(|list| list.iter().all(|text| text.as_str().is_some_and(no_nul))),
        "binary" => value.as_str().is_some_and(|text| text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit())),
        other => return Err(format!("'{}' is not a kind of registry value", other.escape_debug())),
    };
    let takes = match kind {
        "dword" => "a dword is a number from 0 to 4294967295",
        "qword" => "a qword is a number from 0 to 9223372036854775807",
        "binary" => "a binary value is an even number of hexadecimal digits",
        "multiString" => "a multiString is a list of texts",
        _ => "the value has to be a text",
    };
    if good { Ok(()) } else { Err(format!("the value does not fit the type {kind}: {takes}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_to_fit_its_kind() {
        let set = |kind: &str, value: Value| registry_set("HKLM\\SOFTWARE\\X", "A", kind, &value).is_ok();
        assert!(set("dword", json!(4_294_967_295_u32)) && !set("dword", json!(4_294_967_296_u64)) && !set("dword", json!(-1)));
        assert!(set("qword", json!(4_294_967_296_u64)) && !set("qword", json!("1")));
        assert!(set("string", json!("x")) && !set("string", json!(1)) && !set("string", json!("a\0b")));
        assert!(set("multiString", json!(["a", ""])) && !set("multiString", json!("a")));
        assert!(set("binary", json!("00fF")) && !set("binary", json!("0f0")) && !set("binary", json!("xx")));
        assert!(!set("dwrd", json!(1)));
    }

    #[test]
    fn only_a_key_below_a_hive_is_a_key() {
        for bad in ["HKLM", "HKLM\\", "SOFTWARE\\X", "HKEY_LOCAL_MACHINE\\X", "HKLM\\\\X", "HKLM\\X\\", "HKLM\\a\nb"] {
            assert!(registry_remove(bad, "A").is_err(), "{bad}");
        }
        assert!(users_remove(None, "Software\\X", "A").is_ok() && users_remove(None, "\\X", "A").is_err());
    }

    #[test]
    fn a_template_holds_only_names_and_values_that_stay_on_their_line() {
        assert!(security_policy(&[("MinimumPasswordLength", json!(14))]).is_ok());
        assert!(security_policy(&[("NewGuestName", json!("nobody"))]).is_ok());
        for bad in [json!("a\nb = 1"), json!("a\"b"), json!(1.5), json!(["x"])] {
            assert!(security_policy(&[("NewGuestName", bad.clone())]).is_err(), "{bad}");
        }
        assert!(security_policy(&[("A = 1\nB", json!(1))]).is_err());
        let right = |account: &str| user_right("SeTcbPrivilege", &[account.to_owned()]).is_ok();
        assert!(right("S-1-5-32-544") && right("S-1-5-21-*-501"));
        assert!(!right("Administrators") && !right("S-1-5-32-544,*S-1-1-0") && !right("S-1-*-1") && !right("S-1-5-21-*-"));
    }
}
