//! Antivirus, encryption, TPM, secure boot, certificates, time, screen lock.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::answers::Answers;
use super::hardware::names;
use super::take::{count, flag, listed, text};
use crate::collect::raw::{Parsed, unknown};
use crate::model::facts::Status;

const DEFENDER: &str = "Microsoft Defender Antivirus";
/// The letters LOCL: what a clock refers to that refers to itself.
const ITSELF: &str = "0x4c4f434c";

/// A product that has registered itself.
struct Product {
    name: String,
    enabled: bool,
    up_to_date: bool,
}

fn product(one: &Value) -> Option<Product> {
    let (name, state) = (text(one, "displayName")?, count(one, "productState")?);
    // The second byte tells whether it is on, the third whether its signatures are old.
    Some(Product { name, enabled: state & 0xf000 == 0x1000, up_to_date: state & 0xf0 == 0 })
}

pub(super) fn antivirus(answers: &Answers) -> Parsed {
    let part = answers.part("antivirus")?;
    let defender = listed(part, "defender")?.first();
    let products: Vec<Product> = listed(part, "products")?.iter().filter_map(product).collect();
    // Beside another product it may go on and only look: `Passive Mode`, `SxS Passive Mode`, `EDR Block Mode`.
    let mode = defender.and_then(|one| text(one, "AMRunningMode")).unwrap_or_default().to_ascii_lowercase();
    let looks_on = mode.contains("passive") || mode.contains("edr block");
    let on = defender.and_then(|one| flag(one, "AntivirusEnabled")).unwrap_or(false) && !looks_on;
    let of_defender = |name: &str| name.to_ascii_lowercase().contains("defender");
    let other = products.iter().filter(|one| !of_defender(&one.name)).max_by_key(|one| one.enabled);
    if defender.is_some_and(|one| flag(one, "AntivirusEnabled").is_none()) && !other.is_some_and(|other| other.enabled) {
        return unknown("Defender does not tell whether it is on");
    }
    let listed: Vec<Value> =
        products.iter().map(|one| json!({"name": one.name, "enabled": one.enabled, "up_to_date": one.up_to_date})).collect();
    let (Some(defender), true) = (defender, on || !other.is_some_and(|other| other.enabled)) else {
        return Ok(match other.or(products.first()) {
            Some(one) => json!({
                "name": one.name, "running": one.enabled, "enabled": one.enabled, "real_time": null, "signatures_age_days": null,
                "signatures_version": null, "version": null, "tamper_protection": null, "up_to_date": one.up_to_date, "products": listed,
            }),
            None => json!({
                "name": null, "running": null, "enabled": false, "real_time": null, "signatures_age_days": null,
                "signatures_version": null, "version": null, "tamper_protection": null, "up_to_date": null, "products": listed,
            }),
        });
    };
    Ok(json!({
        "name": DEFENDER,
        "running": flag(defender, "AMServiceEnabled").map(|service| service && on),
        "enabled": on,
        "real_time": flag(defender, "RealTimeProtectionEnabled"),
        // The largest number of either width stands for never.
        "signatures_age_days": count(defender, "AntivirusSignatureAge").filter(|age| *age < 65_535),
        "signatures_version": text(defender, "AntivirusSignatureVersion"),
        "version": text(defender, "AMProductVersion"),
        "tamper_protection": flag(defender, "IsTamperProtected"),
        "up_to_date": products.iter().find(|one| of_defender(&one.name)).map(|one| one.up_to_date),
        "products": listed,
    }))
}

/// Volumes with a letter or a folder, as BitLocker sees them.
fn encrypted(answers: &Answers) -> Result<Vec<Value>, Status> {
    let part = answers.part("bitlocker")?;
    let one = |volume: &Value| {
        let mount = text(volume, "DriveLetter")?;
        let protection = match count(volume, "ProtectionStatus") {
            Some(0) => "off",
            Some(1) => "on",
            _ => "unknown",
        };
        let status = match count(volume, "ConversionStatus") {
            Some(0) => "decrypted",
            Some(1) => "encrypted",
            Some(2) => "encrypting",
            Some(3) => "decrypting",
            Some(4 | 5) => "paused",
            _ => "unknown",
        };
        let method = match count(volume, "EncryptionMethod") {
            Some(0) => Some("none"),
            Some(1) => Some("aes-128-diffuser"),
            Some(2) => Some("aes-256-diffuser"),
            Some(3) => Some("aes-128"),
            Some(4) => Some("aes-256"),
            Some(5) => Some("hardware"),
            Some(6) => Some("xts-aes-128"),
            Some(7) => Some("xts-aes-256"),
            _ => None,
        };
        let kind = match count(volume, "VolumeType") {
            Some(0) => Some("system"),
            Some(1) => Some("fixed"),
            Some(2) => Some("removable"),
            _ => None,
        };
        Some(
            json!({"mount": mount, "device": text(volume, "DeviceID"), "protection": protection, "status": status, "method": method, "kind": kind}),
        )
    };
    let mut list: Vec<Value> = listed(part, "items")?.iter().filter_map(one).collect();
    list.sort_by(|a, b| a["mount"].as_str().cmp(&b["mount"].as_str()));
    if list.is_empty() { Err(Status::Unknown("no volume was told".into())) } else { Ok(list) }
}

pub(super) fn bitlocker(answers: &Answers) -> Parsed {
    Ok(json!({"volumes": encrypted(answers)?}))
}

pub(super) fn disk_encryption(answers: &Answers) -> Parsed {
    let system = text(answers.part("bitlocker")?, "system");
    let mut volumes = encrypted(answers)?;
    for volume in &mut volumes {
        // Encrypted without protection: the key stands beside the data.
        volume["encrypted"] = (volume["status"] == "encrypted" && volume["protection"] == "on").into();
    }
    let root = |volume: &&Value| volume["kind"] == "system" || volume["mount"].as_str() == system.as_deref();
    let Some(root) = volumes.iter().find(root).map(|volume| volume["encrypted"].clone()) else {
        return unknown("the volume that Windows starts from was not told");
    };
    Ok(json!({"root_encrypted": root, "volumes": volumes}))
}

pub(super) fn tpm(answers: &Answers) -> Parsed {
    let part = answers.part("tpm")?;
    let Some(one) = listed(part, "items")?.first() else { return Ok(json!({"present": false, "version": null})) };
    let version = text(one, "SpecVersion").and_then(|versions| Some(versions.split(',').next()?.trim().to_owned()));
    Ok(json!({"present": true, "version": version.filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))}))
}

pub(super) fn secure_boot(answers: &Answers) -> Parsed {
    let part = answers.part("secure-boot")?;
    match (flag(part, "enabled"), count(part, "firmware")) {
        (Some(enabled), _) => Ok(json!({"enabled": enabled})),
        (None, Some(1)) => Err(Status::Unsupported("it was started by a BIOS, not by UEFI".into())),
        (None, _) => unknown("the loader left nothing about it"),
    }
}

pub(super) fn certificates(answers: &Answers) -> Parsed {
    let part = answers.part("certificates")?;
    let moment = |value: &Value, key: &str| Some(DateTime::parse_from_rfc3339(&text(value, key)?).ok()?.to_utc());
    let Some(now): Option<DateTime<Utc>> = moment(part, "now") else { return unknown("the time of the device was not told") };
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for one in listed(part, "items")? {
        let hex = |text: &String| (40..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        let (Some(thumbprint), Some(store)) = (text(one, "thumbprint").filter(hex), text(one, "store")) else { continue };
        let thumbprint = thumbprint.to_ascii_uppercase();
        let until = moment(one, "not_after");
        let store = match found.get(&thumbprint) {
            Some(known) => format!("{}, {store}", known["store"].as_str().unwrap_or_default()),
            None => store,
        };
        let about = json!({
            "thumbprint": thumbprint, "store": store, "subject": text(one, "subject"), "issuer": text(one, "issuer"),
            "not_after": text(one, "not_after"), "days_left": until.map(|until| (until - now).num_seconds().div_euclid(86_400)),
            "has_private_key": flag(one, "key"),
        });
        found.insert(thumbprint, about);
    }
    Ok(Value::Object(found.into_iter().collect()))
}

/// The first number of a line, whatever the words around it are.
fn first_number(line: &str) -> Option<u64> {
    let digits: String = line.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

pub(super) fn time_sync(answers: &Answers) -> Parsed {
    let part = answers.part("time-sync")?;
    let Some(service) = part.get("service") else { return unknown("the time service was not told") };
    let (state, mode) = (text(service, "State"), text(service, "StartMode"));
    let kind = text(part, "type");
    // `time.windows.com,0x9 ntp.example.com,0x8`
    let servers: Vec<String> = match kind.as_deref() {
        Some("NTP" | "AllSync") => {
            let told = text(part, "servers").unwrap_or_default();
            told.split_whitespace().filter_map(|one| Some(one.split(',').next()?.to_owned())).filter(|one| !one.is_empty()).collect()
        }
        _ => Vec::new(),
    };
    let running = state.as_deref() == Some("Running");
    let lines = names(part, "lines");
    let numbers: Vec<Option<u64>> = lines.iter().map(|line| first_number(line)).collect();
    let itself = lines.iter().any(|line| line.to_ascii_lowercase().contains(ITSELF));
    let synchronized = match (count(part, "code"), &numbers[..]) {
        // A leap indicator of 3 and the stratum 0 stand for a clock that nobody has set. One that gives the time to others and has nobody
        // to take it from says that it is of stratum 1.
        (Some(0), [Some(leap), Some(stratum), ..]) => Some(*leap != 3 && *stratum != 0 && !(*stratum == 1 && itself)),
        _ => None,
    };
    Ok(json!({
        "service": if state.is_some() { "w32time" } else { "none" },
        "enabled": (running || mode.as_deref() == Some("Auto")) && kind.as_deref() != Some("NoSync"),
        "servers": servers,
        "synchronized": synchronized,
        "type": kind,
    }))
}

pub(super) fn screen_lock(answers: &Answers) -> Parsed {
    let part = answers.part("screen-lock")?;
    if part.get("seconds").is_none() {
        return unknown("the policy was not told");
    }
    Ok(json!({"timeout_seconds": count(part, "seconds")}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defender_that_only_looks_on_does_not_protect() {
        let told = |mode: &str, products: Value| {
            let defender =
                json!([{"AMRunningMode": mode, "AMServiceEnabled": true, "AntivirusEnabled": true, "RealTimeProtectionEnabled": false}]);
            let said = json!({"s": "antivirus", "d": {"defender": defender, "products": products}});
            antivirus(&Answers::read(format!("@n0nce {said}\n").as_bytes(), "n0nce")).unwrap()
        };
        let other = json!([{"displayName": "Contoso Shield", "productState": 266_240}]);
        for mode in ["Passive Mode", "SxS Passive Mode", "EDR Block Mode"] {
            let seen = told(mode, other.clone());
            assert_eq!((&seen["name"], &seen["enabled"]), (&json!("Contoso Shield"), &json!(true)), "{mode}");
            let seen = told(mode, json!([]));
            assert_eq!((&seen["name"], &seen["enabled"], &seen["running"]), (&json!(DEFENDER), &json!(false), &json!(false)), "{mode}");
        }
        let seen = told("Normal", other);
        assert_eq!((&seen["name"], &seen["enabled"]), (&json!(DEFENDER), &json!(true)));
    }

    #[test]
    fn a_clock_that_refers_to_itself_is_not_synchronized_whatever_the_words_are() {
        let synchronized = |lines: &[&str], code: i64| {
            let said = json!({"type": "NTP", "service": {"State": "Running", "StartMode": "Auto"}, "lines": lines, "code": code});
            let answers = Answers::read(format!("@n0nce {}\n", json!({"s": "time-sync", "d": said})).as_bytes(), "n0nce");
            time_sync(&answers).unwrap()["synchronized"].clone()
        };
        let of = |leap: u8, stratum: u8, reference: &str| {
            let lines = [
                format!("A b\u{a0}: {leap}(c (S)d 7)"),
                format!("\u{5c42}: {stratum} (e - (S)NTP 9)"),
                "F: -23 (119.209ns g)".to_owned(),
                "H: 0.0107000s".to_owned(),
                "I: 7.2300000s".to_owned(),
                format!("J: {reference} (k)"),
            ];
            synchronized(&lines.each_ref().map(String::as_str), 0)
        };
        assert_eq!(of(0, 3, "0xC000020A"), json!(true));
        assert_eq!(of(0, 1, "0x47505300"), json!(true));
        assert_eq!(of(0, 1, "0x4C4F434C"), json!(false));
        // An address that has the same letters.
        assert_eq!(of(0, 2, "0x4C4F434C"), json!(true));
        assert_eq!(of(3, 0, "0x00000000"), json!(false));
        assert_eq!(synchronized(&["A: 0(b)", "C: 4 (d)"], 0), json!(true));
        assert_eq!(synchronized(&["A: 0(b)", "C: 4 (d)"], 5), Value::Null);
        assert_eq!(synchronized(&["0x80070426"], 0), Value::Null);
    }
}
