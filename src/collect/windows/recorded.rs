//! What Windows wrote on machines of others: policies, updates, rules of the firewall. Each recording is read by the parsers and
//! by simpler means, and the two are compared. Run by hand: `tests/windows-output`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use super::answers::Answers;
use super::{firewall, policy, updates};
use crate::collect::raw::Parsed;
use crate::transport::recordings::{self, Kind, Recording, Took};

/// Most rules of one recording.
const MOST: usize = 5_000;

#[test]
#[ignore = "reads the recordings that tests/windows-output names"]
fn recordings_of_windows_security_policies_are_read() {
    recordings::each(Kind::SecurityPolicy, security_policy);
}

#[test]
#[ignore = "reads the recordings that tests/windows-output names"]
fn recordings_of_windows_audit_policies_are_read() {
    recordings::each(Kind::AuditPolicy, audit_policy);
}

#[test]
#[ignore = "reads the recordings that tests/windows-output names"]
fn recordings_of_windows_hotfixes_are_read() {
    recordings::each(Kind::Hotfixes, hotfixes);
}

#[test]
#[ignore = "reads the recordings that tests/windows-output names"]
fn recordings_of_windows_firewall_rules_are_read() {
    recordings::each(Kind::FirewallRules, firewall_rules);
}

/// What a part said, on its way through the frames of an answer.
fn told(part: &str, said: &Value) -> Answers {
    Answers::read(format!("@n0nce {}\n", json!({"s": part, "d": said})).as_bytes(), "n0nce")
}

fn read(parsed: Parsed) -> Result<Value, String> {
    parsed.map_err(|why| format!("{why:?}"))
}

fn same(what: &str, found: &Value, expected: &Value) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found} instead of {expected}")) }
}

/// Keys and values below a heading.
fn entries(text: &str, section: &str) -> Option<BTreeMap<String, String>> {
    let (_, rest) = text.split_once(&format!("[{section}]"))?;
    let own = rest.split("\n[").next().unwrap_or_default();
    let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    Some(own.lines().filter_map(pair).collect())
}

fn security_policy(recording: &Recording) -> Result<Took, String> {
    let answers = told("security-policy", &json!({"text": recording.text, "numbers": {}, "code": 0}));
    let (passwords, rights) = (policy::passwords(&answers), policy::rights(&answers));
    let whole = entries(&recording.text, "Version").is_some();
    let Some(access) = entries(&recording.text, "System Access").filter(|_| whole) else {
        return match (passwords, rights) {
            (Err(why), Err(_)) => Ok(Took::Nothing(format!("{why:?}"))),
            _ => Err("a part of an export is taken for a whole one".into()),
        };
    };
    let mut count = 0;
    // The template of a group policy holds what it changes alone.
    if access.contains_key("MinimumPasswordLength") {
        let found = read(passwords)?;
        for (key, member) in [
            ("MinimumPasswordLength", "min_length"),
            ("MinimumPasswordAge", "min_age_days"),
            ("PasswordHistorySize", "history"),
            ("LockoutBadCount", "lockout_threshold"),
            ("ResetLockoutCount", "lockout_window_minutes"),
        ] {
            let number: Option<i64> = access.get(key).and_then(|text| text.parse().ok());
            same(key, &found[member], &json!(number))?;
            count += usize::from(number.is_some());
        }
        for (key, member) in [
            ("PasswordComplexity", "complexity"),
            ("ClearTextPassword", "reversible"),
            ("EnableGuestAccount", "guest_enabled"),
            ("EnableAdminAccount", "admin_enabled"),
        ] {
            let flag = access.get(key).map(|text| text != "0");
            same(key, &found[member], &json!(flag))?;
            count += usize::from(flag.is_some());
        }
        for (key, member) in [("NewGuestName", "guest_name"), ("NewAdministratorName", "admin_name")] {
            let name = access.get(key).map(|text| text.replace('"', "").trim().to_owned()).filter(|name| !name.is_empty());
            same(key, &found[member], &json!(name))?;
            count += usize::from(name.is_some());
        }
    } else if let Ok(found) = passwords {
        return Err(format!("there is no password policy, and {found} was read"));
    }
    let held = entries(&recording.text, "Privilege Rights").unwrap_or_default();
    if !held.is_empty() {
        let found = read(rights)?;
        for (right, holders) in &held {
            let accounts: BTreeSet<&str> =
                holders.split(',').map(|one| one.trim().trim_start_matches('*')).filter(|one| !one.is_empty()).collect();
            same(right, &found[right]["accounts"], &json!(accounts))?;
            count += 1;
        }
    }
    Ok(Took::Records(count))
}

fn audit_policy(recording: &Recording) -> Result<Took, String> {
    let parsed = policy::audit(&told("audit-policy", &json!({"text": recording.text, "code": 0})));
    let mut expected: BTreeMap<String, Value> = BTreeMap::new();
    for line in recording.text.lines() {
        let fields: Vec<&str> = line.trim().split(',').collect();
        let of_one_account = fields.get(1).is_some_and(|whom| whom.starts_with("S-1-"));
        let Some(id) = fields.iter().find(|field| field.starts_with('{')).filter(|_| !of_one_account) else { continue };
        let Some(value) = fields.last().and_then(|value| value.parse::<u8>().ok()) else { continue };
        let id = id.replace(['{', '}'], "").to_uppercase();
        expected.insert(id.clone(), json!({"id": id, "success": matches!(value, 1 | 3), "failure": matches!(value, 2 | 3)}));
    }
    if expected.is_empty() {
        return match parsed {
            Err(why) => Ok(Took::Nothing(format!("{why:?}"))),
            Ok(found) => Err(format!("it holds no line with a number, and {found} was read")),
        };
    }
    same("the policy", &read(parsed)?, &json!(expected))?;
    Ok(Took::Records(expected.len()))
}

/// A day in one of the forms that the class has it in.
fn day(text: &str) -> Option<String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if let [month, day, year] = text.split('/').collect::<Vec<_>>()[..] {
        return Some(format!("{year}-{month:0>2}-{day:0>2}"));
    }
    if digits && text.len() == 8 {
        return Some(format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]));
    }
    let ticks = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)?;
    let first = NaiveDate::from_ymd_opt(1601, 1, 1)?;
    Some(first.checked_add_days(Days::new(ticks / 864_000_000_000))?.to_string())
}

fn hotfixes(recording: &Recording) -> Result<Took, String> {
    let mut expected: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut items = Vec::new();
    for line in recording.text.lines().skip_while(|line| !line.contains("HotFixID")).skip(1) {
        // Columns stand two blanks apart; the day is the last one that is filled.
        let words: Vec<&str> = line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
        let Some(id) = words.iter().copied().find(|word| word.starts_with("KB") || word.starts_with('{')) else { continue };
        let installed = words.last().filter(|word| day(word).is_some()).copied().unwrap_or_default();
        items.push(json!({"HotFixID": id, "Description": "Update", "InstalledOn": installed}));
        expected.entry(id).or_insert_with(|| day(installed));
    }
    let found = read(updates::hotfixes(&told("hotfixes", &json!({"items": items}))))?;
    same("the number of updates", &json!(found.as_object().map(serde_json::Map::len)), &json!(expected.len()))?;
    for (id, day) in &expected {
        same(id, &found[*id]["installed_on"], &json!(day))?;
    }
    Ok(Took::Records(expected.len()))
}

/// The rules in a text, in which others stand around them: `v2.30|Action=...|`.
fn written(text: &str) -> BTreeSet<String> {
    let rule = |rest: &str| {
        let own = rest.split(['"', '\0', '\r', '\n']).next()?;
        let own = &own[..=own.rfind('|')?];
        let real = own.starts_with(|c: char| c.is_ascii_digit()) && own.contains("|Action=");
        real.then(|| format!("v2.{}", own.replace("\\\\", "\\")))
    };
    text.split("v2.").skip(1).filter_map(rule).take(MOST).collect()
}

fn firewall_rules(recording: &Recording) -> Result<Took, String> {
    let rules = written(&recording.text);
    if rules.is_empty() {
        return Ok(Took::Nothing("no rule stands in it".into()));
    }
    let items: Vec<Value> = rules.iter().enumerate().map(|(n, rule)| json!(["local", n.to_string(), rule])).collect();
    let found = read(firewall::rules(&told("firewall-rules", &json!({"items": items}))))?;
    for (n, rule) in rules.iter().enumerate() {
        let one = &found[n.to_string()];
        let written = |key: &str| {
            let mark = format!("|{key}=");
            rule.split_once(&mark).and_then(|(_, rest)| rest.split('|').next())
        };
        for (member, expected) in [
            ("direction", json!(written("Dir").map(str::to_lowercase))),
            ("action", json!(written("Action").map(str::to_lowercase))),
            ("enabled", json!(written("Active") == Some("TRUE"))),
            ("display", json!(written("Name"))),
            ("program", json!(written("App"))),
            ("service", json!(written("Svc"))),
        ] {
            same(&format!("{member} of {rule}"), &one[member], &expected)?;
        }
    }
    Ok(Took::Records(rules.len()))
}
