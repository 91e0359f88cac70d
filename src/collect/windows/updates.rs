//! Updates that are there and that are pending, how they come, and whether somebody waits for a restart.

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::answers::Answers;
use super::take::{count, flag, listed, mapped, text};
use crate::collect::raw::{Parsed, unknown};
use crate::collect::windows_updates;
use crate::model::facts::Status;

pub(super) fn hotfixes(answers: &Answers) -> Parsed {
    let part = answers.part("hotfixes")?;
    let one = |one: &Value| {
        let id = text(one, "HotFixID")?;
        let day = text(one, "InstalledOn").and_then(|text| day(&text));
        Some((id, json!({"installed_on": day.map(|day| day.to_string()), "description": text(one, "Description")})))
    };
    Ok(Value::Object(mapped(listed(part, "items")?.iter().filter_map(one))))
}

/// `11/12/2026` with the month first in every language, `20261112`, or the 16 digits of a file time.
fn day(text: &str) -> Option<NaiveDate> {
    if let Ok(day) = NaiveDate::parse_from_str(text, "%m/%d/%Y").or_else(|_| NaiveDate::parse_from_str(text, "%Y%m%d")) {
        return Some(day);
    }
    let ticks = (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten()?;
    // Units of 100 ns since 1601.
    let seconds = i64::try_from(ticks / 10_000_000).ok()? - 11_644_473_600;
    Some(chrono::DateTime::from_timestamp(seconds, 0)?.date_naive())
}

/// The part is a text of its own form, which other callers read too.
fn both(answers: &Answers) -> Result<(Value, Value), Status> {
    let part = answers.part("updates")?;
    let read = part.as_str().and_then(windows_updates::parse);
    let Some((available, counted)) = read else { return unknown("what the Windows Update Agent told cannot be read") };
    // Nothing is pending as far as it knows, and it knows nothing.
    if counted["checked_at"].is_null() && counted["available"] == 0 {
        return unknown("the Windows Update Agent has not looked for updates yet");
    }
    Ok((available, counted))
}

pub(super) fn available(answers: &Answers) -> Parsed {
    both(answers).map(|(available, _)| available)
}

pub(super) fn counted(answers: &Answers) -> Parsed {
    both(answers).map(|(_, counted)| counted)
}

pub(super) fn pending_reboot(answers: &Answers) -> Parsed {
    let part = answers.part("pending-reboot")?;
    let (Some(servicing), Some(update)) = (flag(part, "servicing"), flag(part, "update")) else {
        return unknown("what waits for a restart was not told");
    };
    let (active, wanted) = (text(part, "active"), text(part, "wanted"));
    let renamed = active.zip(wanted).is_some_and(|(active, wanted)| !active.eq_ignore_ascii_case(&wanted));
    let reasons: Vec<&str> = [
        (servicing, "components were changed"),
        (update, "updates were installed"),
        (count(part, "renames").is_some_and(|renames| renames > 0), "files are to be replaced"),
        (renamed, "the computer has a new name"),
        (flag(part, "joining") == Some(true), "the computer joined a domain"),
        (flag(part, "manager") == Some(true), "the Configuration Manager asks for it"),
    ]
    .into_iter()
    .filter_map(|(holds, why)| holds.then_some(why))
    .collect();
    Ok(json!({"required": !reasons.is_empty(), "reasons": reasons}))
}

pub(super) fn automatic(answers: &Answers) -> Parsed {
    let part = answers.part("automatic-updates")?;
    let Some(service) = text(part, "service") else { return unknown("there is no update service") };
    let level = count(part, "policy").or_else(|| count(part, "own"));
    let server = text(part, "server").filter(|_| flag(part, "wsus") == Some(true));
    let of_server = text(part, "kind").is_some_and(|kind| kind.contains("Server"));
    let enabled = match level {
        _ if service == "Disabled" || flag(part, "none") == Some(true) => Some(false),
        Some(level) => Some(matches!(level, 4 | 5)),
        // Where nobody says anything, Windows installs by itself; on servers only some versions do.
        None if of_server => None,
        None => Some(true),
    };
    let mechanism = if server.is_some() { "wsus" } else { "windows-update" };
    Ok(json!({"enabled": enabled, "mechanism": (enabled == Some(true)).then_some(mechanism), "level": level, "server": server}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(part: &str, said: &Value) -> Answers {
        Answers::read(format!("@n0nce {}\n", json!({"s": part, "d": said})).as_bytes(), "n0nce")
    }

    #[test]
    fn nothing_pending_is_not_believed_of_an_agent_that_has_never_looked() {
        let said = |checked: Value| json!(json!({"checked": checked, "updates": []}).to_string());
        let never = told("updates", &said(Value::Null));
        for read in [available, counted] {
            assert!(matches!(read(&never), Err(Status::Unknown(why)) if why.contains("not looked")));
        }
        let looked = told("updates", &said(json!("2026-11-10T03:00:12Z")));
        assert_eq!((available(&looked).unwrap(), counted(&looked).unwrap()["available"].clone()), (json!({}), json!(0)));
    }

    #[test]
    fn what_happens_where_nobody_has_set_anything_is_known_of_workstations_alone() {
        let enabled = |kind: &str, level: Value, none: Value| {
            let said = json!({"none": none, "policy": level, "own": {}, "wsus": null, "server": null, "kind": kind, "service": "Manual"});
            automatic(&told("automatic-updates", &said)).unwrap()["enabled"].clone()
        };
        assert_eq!(enabled("Client", Value::Null, Value::Null), json!(true));
        for kind in ["Server", "Server Core"] {
            assert_eq!(enabled(kind, Value::Null, json!({})), Value::Null, "{kind}");
            assert_eq!(enabled(kind, json!(3), Value::Null), json!(false), "{kind}");
            assert_eq!(enabled(kind, json!(4), Value::Null), json!(true), "{kind}");
            assert_eq!(enabled(kind, json!(4), json!(1)), json!(false), "{kind}");
        }
    }

    #[test]
    fn the_day_of_a_hotfix_is_read_in_each_of_its_forms() {
        let day = |text: &str| super::day(text).map(|day| day.to_string());
        assert_eq!(day("11/2/2026").as_deref(), Some("2026-11-02"));
        assert_eq!(day("20261112").as_deref(), Some("2026-11-12"));
        assert_eq!(day("01d7f1c6f63eb000").as_deref(), Some("2021-12-15"));
        for wrong in ["", "13/13/2026", "12.11.2026", "ffffffffffffffff0", "zzzzzzzzzzzzzzzz"] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
    }
}
