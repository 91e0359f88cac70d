//! Lines about the registry: which value, and what is wanted of it.

use serde_json::{Value, json};

use super::Control;
use super::hardeningkitty::Row;

/// Values that Windows keeps as texts though they look like numbers.
const TEXTS: [&str; 8] = [
    "MitigationOptions_FontBocking",
    "Retention",
    "AllocateDASD",
    "ScRemoveOption",
    "AutoAdminLogon",
    "CachedLogonsCount",
    "ScreenSaveActive",
    "ScreenSaverIsSecure",
];
/// A bound that Windows keeps as a text. No value that is there already would say so.
const TEXT_BOUND: &str = "ScreenSaveTimeOut";
/// Values that are lists, written with semicolons.
const LISTS: [&str; 4] = ["Machine", "EccCurves", "NullSessionPipes", "NullSessionShares"];
/// What stands for no value in lists that HardeningKitty makes of a device.
const NOTHING: &str = "-NODATA-";

/// The setting and its key for a value: of the machine, or of the users.
pub(super) fn place(path: &str, name: &str) -> Result<(&'static str, String), String> {
    let path = path.trim().trim_end_matches('\\');
    let (hive, rest) = path.split_once('\\').ok_or("it names no registry key")?;
    // To PowerShell two backslashes are one.
    let rest = rest.split('\\').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\\");
    if rest.contains('!') {
        return Err("a registry key with an exclamation mark cannot be written".into());
    }
    let name = if name.eq_ignore_ascii_case("(default)") { "" } else { name };
    let hive = hive.trim_end_matches(':').to_ascii_uppercase();
    let key = |hive: &str| format!("{hive}\\{}!{name}", canonical(&rest));
    match hive.as_str() {
        "HKLM" | "HKEY_LOCAL_MACHINE" => Ok(("RegistryValues", key("HKLM"))),
        "HKCU" | "HKEY_CURRENT_USER" => Ok(("UserRegistryValues", key("HKCU"))),
        "HKU" | "HKEY_USERS" => Ok(("RegistryValues", key("HKU"))),
        "HKCR" | "HKEY_CLASSES_ROOT" => Ok(("RegistryValues", key("HKCR"))),
        "HKCC" | "HKEY_CURRENT_CONFIG" => Ok(("RegistryValues", key("HKCC"))),
        other => Err(format!("'{other}' is not a part of the registry that can be looked at")),
    }
}

/// The first part of a key as Windows writes it: lists write it in several ways.
fn canonical(path: &str) -> String {
    let (first, rest) = path.split_once('\\').unwrap_or((path, ""));
    let first = match first.to_ascii_uppercase().as_str() {
        "SOFTWARE" => "SOFTWARE",
        "SYSTEM" => "SYSTEM",
        _ => first,
    };
    if rest.is_empty() { first.to_owned() } else { format!("{first}\\{rest}") }
}

/// A line of the method `Registry`.
pub(super) fn value(row: &Row) -> Result<Vec<Control>, String> {
    let (setting, key) = place(&row.registry_path, &row.registry_item)?;
    if row.operator.is_empty() && row.recommended.is_empty() {
        return Err("it recommends nothing".into());
    }
    if row.recommended == NOTHING {
        if row.operator == "!=" {
            return Err("that there is some value is not something to keep".into());
        }
        return Ok(vec![Control::keyed(setting, key, json!({ "state": "absent" }))]);
    }
    let item = row.registry_item.as_str();
    // Policies that a management service delivers keep all rules in one text.
    if item == "ASRRules" && !row.argument.is_empty() {
        let part = format!("{}={}", row.argument, row.recommended);
        return Ok(vec![Control::keyed(setting, key, json!({ "contains": [part] }))]);
    }
    let wanted = wanted(item, &row.recommended);
    let number = || row.recommended.trim().parse::<i64>().map_err(|_| format!("'{}' is not a number", row.recommended));
    let absent = absent_passes(&row.operator, &row.recommended, &row.default);
    let mut wish = match row.operator.as_str() {
        "=" | "=|0" if registry_lists_paths(&row.registry_path) => {
            let spaced = row.recommended.trim().to_owned();
            let plain: String = spaced.chars().filter(|c| !c.is_whitespace()).collect();
            let comma = plain.replace(',', ", ");
            let mut all = vec![spaced];
            all.extend([plain, comma]);
            all.dedup();
            json!({ "oneOf": all })
        }
        "=" | "=|0" => {
            unexpanded(&row.recommended).map_or_else(|| json!({ "value": wanted }), |other| json!({ "oneOf": [row.recommended, other] }))
        }
        ">=" => json!({ "atLeast": number()? }),
        ">" => json!({ "atLeast": number()?.checked_add(1).ok_or("no number is larger")? }),
        "<=" => json!({ "atMost": number()? }),
        "<=!0" => json!({ "atMost": number()?, "not": 0 }),
        "!=" => json!({ "not": wanted }),
        "contains" => json!({ "contains": [row.recommended] }),
        other => return Err(format!("the operator '{other}' has no meaning here")),
    };
    // Other texts and lists need no kind: they are written as what they are, and small letters are as good as large ones.
    if item.eq_ignore_ascii_case(TEXT_BOUND) && (wish.get("atMost").is_some() || wish.get("atLeast").is_some()) {
        wish["type"] = json!("string");
    }
    if absent {
        wish["whenAbsent"] = json!("compliant");
    }
    // What is only a value is written as one.
    let bare = wish.as_object().filter(|members| members.len() == 1).and_then(|members| members.get("value")).cloned();
    Ok(vec![Control::keyed(setting, key, bare.filter(|value| *value != json!("absent")).unwrap_or(wish))])
}

/// Paths of shares whose protection is written with or without spaces.
fn registry_lists_paths(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with("\\networkprovider\\hardenedpaths")
}

/// A path as Windows may keep it: with a variable, which HardeningKitty expands before it compares.
fn unexpanded(path: &str) -> Option<String> {
    const FOLDERS: [(&str, &str); 3] = [
        ("C:\\Program Files (x86)\\", "%ProgramFiles(x86)%\\"),
        ("C:\\Program Files\\", "%ProgramFiles%\\"),
        ("C:\\Windows\\", "%SystemRoot%\\"),
    ];
    FOLDERS.iter().find_map(|(folder, variable)| {
        let (start, rest) = path.split_at_checked(folder.len())?;
        start.eq_ignore_ascii_case(folder).then(|| format!("{variable}{rest}"))
    })
}

fn among(items: &[&str], item: &str) -> bool {
    items.iter().any(|known| known.eq_ignore_ascii_case(item))
}

/// The recommended value as Windows keeps it.
fn wanted(item: &str, recommended: &str) -> Value {
    if among(&LISTS, item) {
        return recommended.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
    }
    let number = !recommended.is_empty() && recommended.bytes().all(|b| b.is_ascii_digit());
    match recommended.parse::<u32>() {
        // A leading zero would be lost.
        Ok(n) if number && !among(&TEXTS, item) && n.to_string() == recommended => json!(n),
        _ => json!(recommended),
    }
}

/// Whether Windows without the value is as recommended: the list says how it behaves then.
fn absent_passes(operator: &str, recommended: &str, default: &str) -> bool {
    if default == NOTHING {
        return operator == "!=";
    }
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.trim().parse::<i64>().ok() };
    let pair = || number(default).zip(number(recommended));
    match operator {
        "=" => default.eq_ignore_ascii_case(recommended),
        "=|0" => default.is_empty() || default.eq_ignore_ascii_case(recommended),
        "!=" => !default.eq_ignore_ascii_case(recommended),
        ">=" => pair().is_some_and(|(is, wanted)| is >= wanted),
        ">" => pair().is_some_and(|(is, wanted)| is > wanted),
        "<=" => pair().is_some_and(|(is, wanted)| is <= wanted),
        "<=!0" => pair().is_some_and(|(is, wanted)| is <= wanted && is != 0),
        "contains" => default.contains(recommended),
        _ => false,
    }
}

/// A line of the method `RegistryList`: some value of the key has to be this.
pub(super) fn list(row: &Row) -> Result<Vec<Control>, String> {
    if row.operator != "=" {
        return Err(format!("the operator '{}' has no meaning for a list", row.operator));
    }
    if row.recommended == NOTHING {
        return Err("that a list lacks something is not something to keep".into());
    }
    let (setting, key) = place(&row.registry_path, "")?;
    if setting != "RegistryValues" {
        return Err("lists of users cannot be looked at".into());
    }
    Ok(vec![Control::keyed("RegistryLists", key.trim_end_matches('!'), json!([row.recommended]))])
}
