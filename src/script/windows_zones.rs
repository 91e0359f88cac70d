//! Time zones as Windows calls them, for the IANA names that policies use. After the table of Unicode CLDR; the common ones.

use rhai::{Dynamic, Engine};

/// Windows' own name and the IANA names that it stands for.
const ZONES: [(&str, &[&str]); 74] = [
    ("Hawaiian Standard Time", &["Pacific/Honolulu"]),
    ("Alaskan Standard Time", &["America/Anchorage"]),
    ("Pacific Standard Time", &["America/Los_Angeles", "America/Vancouver"]),
    ("US Mountain Standard Time", &["America/Phoenix"]),
    ("Mountain Standard Time", &["America/Denver", "America/Edmonton"]),
    ("Central Standard Time", &["America/Chicago", "America/Winnipeg"]),
    ("Central Standard Time (Mexico)", &["America/Mexico_City"]),
    ("Canada Central Standard Time", &["America/Regina"]),
    ("Central America Standard Time", &["America/Guatemala", "America/Costa_Rica"]),
    ("SA Pacific Standard Time", &["America/Bogota", "America/Lima", "America/Panama"]),
    ("Eastern Standard Time", &["America/New_York", "America/Toronto", "America/Detroit"]),
    ("Venezuela Standard Time", &["America/Caracas"]),
    ("Atlantic Standard Time", &["America/Halifax"]),
    ("SA Western Standard Time", &["America/La_Paz", "America/Puerto_Rico"]),
    ("Pacific SA Standard Time", &["America/Santiago"]),
    ("Newfoundland Standard Time", &["America/St_Johns"]),
    ("E. South America Standard Time", &["America/Sao_Paulo"]),
    ("Argentina Standard Time", &["America/Argentina/Buenos_Aires", "America/Buenos_Aires"]),
    ("Montevideo Standard Time", &["America/Montevideo"]),
    ("Azores Standard Time", &["Atlantic/Azores"]),
    ("UTC", &["UTC", "Etc/UTC", "Etc/GMT", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal"]),
    ("GMT Standard Time", &["Europe/London", "Europe/Dublin", "Europe/Lisbon"]),
    ("Greenwich Standard Time", &["Atlantic/Reykjavik", "Africa/Accra"]),
    ("Morocco Standard Time", &["Africa/Casablanca"]),
    (
        "W. Europe Standard Time",
        &[
            "Europe/Berlin",
            "Europe/Zurich",
            "Europe/Vienna",
            "Europe/Rome",
            "Europe/Amsterdam",
            "Europe/Stockholm",
            "Europe/Oslo",
            "Europe/Luxembourg",
        ],
    ),
    ("Central Europe Standard Time", &["Europe/Budapest", "Europe/Prague", "Europe/Belgrade", "Europe/Bratislava", "Europe/Ljubljana"]),
    ("Romance Standard Time", &["Europe/Paris", "Europe/Brussels", "Europe/Madrid", "Europe/Copenhagen"]),
    ("Central European Standard Time", &["Europe/Warsaw", "Europe/Zagreb", "Europe/Sarajevo", "Europe/Skopje"]),
    ("W. Central Africa Standard Time", &["Africa/Lagos", "Africa/Algiers", "Africa/Tunis"]),
    ("GTB Standard Time", &["Europe/Bucharest", "Europe/Athens"]),
    (
        "FLE Standard Time",
        &["Europe/Kiev", "Europe/Kyiv", "Europe/Helsinki", "Europe/Sofia", "Europe/Riga", "Europe/Tallinn", "Europe/Vilnius"],
    ),
    ("Middle East Standard Time", &["Asia/Beirut"]),
    ("Egypt Standard Time", &["Africa/Cairo"]),
    ("South Africa Standard Time", &["Africa/Johannesburg", "Africa/Harare", "Africa/Maputo"]),
    ("Israel Standard Time", &["Asia/Jerusalem"]),
    ("Turkey Standard Time", &["Europe/Istanbul"]),
    ("Jordan Standard Time", &["Asia/Amman"]),
    ("Arabic Standard Time", &["Asia/Baghdad"]),
    ("Arab Standard Time", &["Asia/Riyadh", "Asia/Kuwait", "Asia/Qatar"]),
    ("Russian Standard Time", &["Europe/Moscow"]),
    ("Belarus Standard Time", &["Europe/Minsk"]),
    ("E. Africa Standard Time", &["Africa/Nairobi", "Africa/Addis_Ababa"]),
    ("Iran Standard Time", &["Asia/Tehran"]),
    ("Arabian Standard Time", &["Asia/Dubai", "Asia/Muscat"]),
    ("Azerbaijan Standard Time", &["Asia/Baku"]),
    ("Georgian Standard Time", &["Asia/Tbilisi"]),
    ("Caucasus Standard Time", &["Asia/Yerevan"]),
    ("Afghanistan Standard Time", &["Asia/Kabul"]),
    ("West Asia Standard Time", &["Asia/Tashkent"]),
    ("Ekaterinburg Standard Time", &["Asia/Yekaterinburg"]),
    ("Pakistan Standard Time", &["Asia/Karachi"]),
    ("India Standard Time", &["Asia/Kolkata", "Asia/Calcutta"]),
    ("Sri Lanka Standard Time", &["Asia/Colombo"]),
    ("Nepal Standard Time", &["Asia/Kathmandu", "Asia/Katmandu"]),
    ("Bangladesh Standard Time", &["Asia/Dhaka"]),
    ("N. Central Asia Standard Time", &["Asia/Novosibirsk"]),
    ("Myanmar Standard Time", &["Asia/Yangon", "Asia/Rangoon"]),
    ("SE Asia Standard Time", &["Asia/Bangkok", "Asia/Jakarta", "Asia/Ho_Chi_Minh", "Asia/Saigon"]),
    ("North Asia Standard Time", &["Asia/Krasnoyarsk"]),
    ("China Standard Time", &["Asia/Shanghai", "Asia/Hong_Kong"]),
    ("Singapore Standard Time", &["Asia/Singapore", "Asia/Kuala_Lumpur", "Asia/Manila"]),
    ("W. Australia Standard Time", &["Australia/Perth"]),
    ("Taipei Standard Time", &["Asia/Taipei"]),
    ("Ulaanbaatar Standard Time", &["Asia/Ulaanbaatar"]),
    ("Tokyo Standard Time", &["Asia/Tokyo"]),
    ("Korea Standard Time", &["Asia/Seoul"]),
    ("Cen. Australia Standard Time", &["Australia/Adelaide"]),
    ("AUS Central Standard Time", &["Australia/Darwin"]),
    ("E. Australia Standard Time", &["Australia/Brisbane"]),
    ("AUS Eastern Standard Time", &["Australia/Sydney", "Australia/Melbourne"]),
    ("Tasmania Standard Time", &["Australia/Hobart"]),
    ("Vladivostok Standard Time", &["Asia/Vladivostok"]),
    ("New Zealand Standard Time", &["Pacific/Auckland"]),
    ("Fiji Standard Time", &["Pacific/Fiji"]),
];

/// Makes the function known to the engine.
pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("windows_zone", |name: &str| windows_zone(name).map_or(Dynamic::UNIT, Dynamic::from));
}

/// What Windows calls a time zone.
fn windows_zone(iana: &str) -> Option<String> {
    ZONES.iter().find(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(iana))).map(|(own, _)| (*own).to_owned())
}

/// The IANA name that stands for a zone of Windows.
pub fn iana_zone(windows: &str) -> Option<&'static str> {
    ZONES.iter().find(|(own, _)| own.eq_ignore_ascii_case(windows)).and_then(|(_, names)| names.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_of_iana_and_stands_once() {
        let mut seen = std::collections::BTreeSet::new();
        for name in ZONES.iter().flat_map(|(_, names)| *names) {
            assert!(name.parse::<chrono_tz::Tz>().is_ok(), "{name}");
            assert!(seen.insert(name), "{name} stands twice");
        }
        assert_eq!(windows_zone("europe/berlin").as_deref(), Some("W. Europe Standard Time"));
        assert_eq!(windows_zone("Mars/Olympus"), None);
        assert_eq!(iana_zone("New Zealand Standard Time"), Some("Pacific/Auckland"));
    }
}
