//! The security policy as `secedit` exports it, and the audit policy as `auditpol` backs it up. Keys and numbers alone are read:
//! they are the same in every language.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::take::{MOST, text};
use crate::collect::raw::{Parsed, unknown};
use crate::model::facts::Status;

/// Days of a password that never expires, as Linux writes it.
const NEVER: i64 = 99_999;
/// Most bytes of an export.
const LONGEST: usize = 4 << 20;

/// The entries of an export, by section and key.
type Sections<'t> = BTreeMap<&'t str, BTreeMap<&'t str, &'t str>>;

/// The export of a part, without what an encoding that was guessed wrongly leaves.
fn exported(part: &Value) -> Result<String, Status> {
    let whole = part.get("text").and_then(Value::as_str).unwrap_or_default();
    if whole.len() > LONGEST {
        return Err(Status::Unknown("the export is longer than any that Windows writes".into()));
    }
    Ok(whole.chars().filter(|c| !matches!(c, '\0' | '\u{feff}')).collect())
}

/// The lines `[Section]` and `Key = Value`. What has neither a version nor settings is no export.
fn sections(export: &str) -> Result<Sections<'_>, Status> {
    let mut sections = Sections::new();
    let mut at = "";
    for line in export.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            at = name;
            sections.entry(at).or_default();
        } else if let Some((key, value)) = line.split_once('=') {
            sections.entry(at).or_default().insert(key.trim(), value.trim());
        }
    }
    if !sections.contains_key("Version") || !sections.contains_key("System Access") {
        return Err(Status::Unknown("secedit exported nothing, or a part only".into()));
    }
    Ok(sections)
}

pub(super) fn passwords(answers: &Answers) -> Parsed {
    let export = exported(answers.part("security-policy")?)?;
    let sections = sections(&export)?;
    let access = &sections["System Access"];
    let number = |key: &str| access.get(key).and_then(|value| value.parse::<i64>().ok());
    let flag = |key: &str| number(key).map(|value| value != 0);
    let name = |key: &str| access.get(key).map(|value| value.trim_matches('"').trim().to_owned()).filter(|name| !name.is_empty());
    let Some(min_length) = number("MinimumPasswordLength") else { return unknown("the export holds no password policy") };
    Ok(json!({
        "min_length": min_length,
        "max_age_days": number("MaximumPasswordAge").map(|days| if days < 0 { NEVER } else { days }),
        "min_age_days": number("MinimumPasswordAge"),
        "warn_age_days": null,
        "history": number("PasswordHistorySize"),
        "complexity": flag("PasswordComplexity"),
        "reversible": flag("ClearTextPassword"),
        "lockout_threshold": number("LockoutBadCount"),
        // -1: until somebody unlocks it.
        "lockout_minutes": number("LockoutDuration").map(|minutes| minutes.max(0)),
        "lockout_window_minutes": number("ResetLockoutCount"),
        "force_logoff": flag("ForceLogoffWhenHourExpire"),
        "anonymous_lookup": flag("LSAAnonymousNameLookup"),
        "admin_lockout": flag("AllowAdministratorLockout"),
        "guest_enabled": flag("EnableGuestAccount"),
        "guest_name": name("NewGuestName"),
        "admin_enabled": flag("EnableAdminAccount"),
        "admin_name": name("NewAdministratorName"),
    }))
}

pub(super) fn rights(answers: &Answers) -> Parsed {
    let part = answers.part("security-policy")?;
    let export = exported(part)?;
    let sections = sections(&export)?;
    let numbers = &part["numbers"];
    let Some(rights) = sections.get("Privilege Rights").filter(|rights| !rights.is_empty()) else {
        return unknown("the export holds no user rights");
    };
    let mut found = Map::new();
    for (right, holders) in rights.iter().take(MOST) {
        if !right.starts_with("Se") || !right.bytes().all(|b| b.is_ascii_alphanumeric()) {
            continue;
        }
        let holder = |word: &str| match word.strip_prefix('*') {
            Some(sid) => sid.to_owned(),
            None => text(numbers, word).unwrap_or_else(|| word.to_owned()),
        };
        let mut accounts: Vec<String> = holders.split(',').map(str::trim).filter(|word| !word.is_empty()).map(holder).collect();
        accounts.sort();
        accounts.dedup();
        found.insert((*right).to_owned(), json!({"right": right, "accounts": accounts}));
    }
    Ok(Value::Object(found))
}

pub(super) fn audit(answers: &Answers) -> Parsed {
    let export = exported(answers.part("audit-policy")?)?;
    let found: BTreeMap<String, Value> = export.lines().filter_map(subcategory).take(MOST).collect();
    if found.is_empty() { unknown("auditpol told no subcategory") } else { Ok(Value::Object(found.into_iter().collect())) }
}

/// `PC-1,System,Logon,{0cce9215-69ae-11d9-bed3-505054503030},Success and Failure,,3`: machine, whom it is for, translated name,
/// number, translated setting, exclusions, and the setting as a number, 1 for success and 2 for failure.
fn subcategory(line: &str) -> Option<(String, Value)> {
    let (before, rest) = line.split_once(",{")?;
    let (id, after) = rest.split_once('}')?;
    // What is set for one account alone says nothing about the machine.
    if before.split(',').nth(1).is_some_and(|whom| whom.trim_matches('"').starts_with("S-1-")) {
        return None;
    }
    let whole =
        id.len() == 36 && id.bytes().enumerate().all(|(i, b)| if [8, 13, 18, 23].contains(&i) { b == b'-' } else { b.is_ascii_hexdigit() });
    let value: u8 = after.rsplit(',').next()?.trim().trim_matches('"').parse().ok().filter(|value| *value <= 4 && whole)?;
    let id = id.to_ascii_uppercase();
    Some((id.clone(), json!({"id": id, "success": value & 1 != 0, "failure": value & 2 != 0})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_audit_policy_is_read_by_its_numbers() {
        let id = "0CCE9215-69AE-11D9-BED3-505054503030";
        for (line, success, failure) in [
            (format!("PC-1,System,Logon,{{{}}},Success and Failure,,3", id.to_lowercase()), true, true),
            (format!("PC-1,System,Anmelden,{{{id}}},Erfolg,,1"), true, false),
            (format!("PC-1,Syst\u{e8}me,\"Ouvrir, fermer\",{{{id}}},\u{c9}chec,,2\r"), false, true),
            (format!("PC-1,System,Logon,{{{id}}},No Auditing,,0"), false, false),
        ] {
            assert_eq!(subcategory(&line), Some((id.to_owned(), json!({"id": id, "success": success, "failure": failure}))), "{line}");
        }
        for line in [
            format!("PC-1,S-1-5-21-1-2-3-1001,Logon,{{{id}}},Success,,1"),
            format!("PC-1,System,Logon,{{{id}}},Success,,"),
            format!("PC-1,System,Logon,{{{id}}},Success,,99"),
            "PC-1,System,Logon,{not-a-number},Success,,1".to_owned(),
            "Machine Name,Policy Target,Subcategory,Subcategory GUID,Inclusion Setting,Exclusion Setting,Setting Value".to_owned(),
            "PC-1,,Option:CrashOnAuditFail,,Disabled,,0".to_owned(),
            String::new(),
        ] {
            assert_eq!(subcategory(&line), None, "{line}");
        }
    }
}
