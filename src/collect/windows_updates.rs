//! Pending updates of Windows, as `catalog/collectors/updates.ps1` prints them: to the shapes of `software.available_updates` and
//! `software.updates`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::model::Severity;
use crate::model::update::Classification;

/// The PowerShell text that asks the Windows Update Agent for what it found at its last scan.
pub const SCRIPT: &str = include_str!("../catalog/collectors/updates.ps1");

/// Most updates of a device, and most characters of a text of one.
const MOST: usize = 10_000;
const LONGEST: usize = 400;

#[derive(Deserialize)]
struct Answer {
    checked: Option<String>,
    updates: Vec<Update>,
}

#[derive(Deserialize)]
struct Update {
    title: String,
    #[serde(default)]
    kb: Vec<String>,
    id: String,
    revision: i64,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default)]
    driver: bool,
    #[serde(default)]
    hidden: bool,
    released: Option<String>,
}

/// Both sections: what is available, and how many. `None` where the text is not what the script prints.
pub fn parse(text: &str) -> Option<(Value, Value)> {
    let answer: Answer = serde_json::from_str(text.trim_start_matches('\u{feff}').trim()).ok()?;
    let mut available = Map::new();
    let mut security = 0;
    for update in answer.updates.into_iter().take(MOST) {
        let kind = classification(&update);
        security += usize::from(kind == Classification::Security);
        let mut name = update.kb.first().map_or_else(|| update.id.clone(), |kb| format!("KB{}", kb.trim_start_matches("KB")));
        if available.contains_key(&name) {
            name = format!("{name}:{}", update.id);
        }
        let title: String = update.title.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        available.insert(
            name,
            json!({
                "installed": null, "offered": format!("{}:{}", update.id, update.revision), "source": "Windows Update",
                "classification": kind, "severity": severity(update.severity.as_deref()), "released": update.released,
                "title": title, "held": update.hidden,
            }),
        );
    }
    let count = json!({ "available": available.len(), "security": security, "checked_at": answer.checked });
    Some((Value::Object(available), count))
}

/// By the numbers of the categories, which are the same in every language.
fn classification(update: &Update) -> Classification {
    let of = |number: &str| match number.to_ascii_lowercase().as_str() {
        // Security updates, definition updates.
        "0fa1201d-4330-4fa8-8ae9-b877473b6441" | "e0789628-ce08-4437-be74-2495b842f43b" => Classification::Security,
        // Critical updates, update rollups, service packs, updates.
        "e6cf1350-c01b-414d-a61f-263d14d133b4"
        | "28bc880e-0592-4cbf-8f95-c79b17911d5f"
        | "68c5b0a3-d1a6-4553-ae49-01d3a7827828"
        | "cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83" => Classification::Bugfix,
        // Feature packs, upgrades.
        "b54e7d24-7add-428f-8b75-90a396fa584f" | "3689bdc8-b205-4af4-8d4a-a63924c5e9d5" => Classification::Feature,
        "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0" => Classification::Driver,
        _ => Classification::Other,
    };
    if update.driver {
        return Classification::Driver;
    }
    update.categories.iter().map(|number| of(number)).min().unwrap_or_default()
}

fn severity(word: Option<&str>) -> Option<Severity> {
    match word? {
        "Critical" => Some(Severity::Critical),
        "Important" => Some(Severity::High),
        "Moderate" => Some(Severity::Medium),
        "Low" => Some(Severity::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::update::Offer;

    /// Made after the documentation of the interfaces IUpdate, IUpdateIdentity and ICategory of the Windows Update Agent.
    const SAMPLE: &str = "\u{feff}{\"checked\":\"2026-11-10T03:00:12Z\",\"updates\":[\
        {\"title\":\"2026-11 Cumulative Update for Windows 11 (KB5034441)\",\"kb\":[\"5034441\"],\"id\":\"f3a0c1d2-0000-4000-8000-000000000001\",\"revision\":200,\
         \"categories\":[\"0FA1201D-4330-4FA8-8AE9-B877473B6441\",\"72e7624a-5b00-45d2-b92f-e561c0a6a160\"],\"severity\":\"Important\",\"driver\":false,\
         \"hidden\":false,\"released\":\"2026-11-10T18:00:00Z\"},\
        {\"title\":\"Contoso - Display - 31.0\",\"kb\":[],\"id\":\"f3a0c1d2-0000-4000-8000-000000000002\",\"revision\":1,\"categories\":[],\"severity\":\"\",\
         \"driver\":true,\"hidden\":true,\"released\":\"2026-10-01T00:00:00Z\"},\
        {\"title\":\"Windows 11, version 26H2\",\"kb\":[\"5034441\"],\"id\":\"f3a0c1d2-0000-4000-8000-000000000003\",\"revision\":7,\
         \"categories\":[\"3689bdc8-b205-4af4-8d4a-a63924c5e9d5\"],\"severity\":null,\"driver\":false,\"hidden\":false,\"released\":null}]}";

    #[test]
    fn updates_of_windows_are_read_by_number_and_not_by_translated_names() {
        let (available, count) = parse(SAMPLE).unwrap();
        let offers = Offer::list(&available);
        let shown: Vec<String> = offers.iter().map(|o| format!("{} {} {:?} {:?}", o.name, o.classification, o.severity, o.held)).collect();
        assert_eq!(
            shown,
            [
                "KB5034441 security Some(High) Some(false)",
                "f3a0c1d2-0000-4000-8000-000000000002 driver None Some(true)",
                "KB5034441:f3a0c1d2-0000-4000-8000-000000000003 feature None Some(false)",
            ]
        );
        assert_eq!(offers[0].offered, "f3a0c1d2-0000-4000-8000-000000000001:200");
        assert_eq!(offers[0].released.unwrap().to_rfc3339(), "2026-11-10T18:00:00+00:00");
        assert_eq!(count, json!({"available": 3, "security": 1, "checked_at": "2026-11-10T03:00:12Z"}));
    }

    #[test]
    fn what_is_not_an_answer_is_none() {
        for text in ["", "{}", "[]", "New-Object : Retrieving the COM class factory failed"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
