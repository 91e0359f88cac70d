//! A schedule as a setting holds it: checked when it is read, understood in a time zone that stands beside it.

use std::fmt;
use std::str::FromStr;

use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Schedule;

/// `Daily 02:00`, `every 5 min`, a cron expression; or `never`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurring(String);

impl Recurring {
    /// One that the program itself brings along. Tests read all of them.
    pub(crate) fn known(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The schedule in this time zone; `None` where it is never.
    pub fn schedule(&self, zone: Tz) -> Option<Schedule> {
        // It was read before: what is left is `never`.
        Schedule::parse(&self.0, zone).ok()
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl FromStr for Recurring {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.eq_ignore_ascii_case("never") {
            Schedule::parse(text, Tz::UTC).map_err(|error| error.to_string())?;
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Recurring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Recurring {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Recurring {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Recurring {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Recurring".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A schedule: Daily 02:00, Weekly Sun 6AM, every 5 min, a cron expression; or never.",
            "type": "string"
        })
    }
}

/// A time zone by its IANA name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(pub Tz);

impl Default for Zone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        super::zone(&String::deserialize(d)?).map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeZone".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "description": "A time zone by its IANA name, such as Europe/Berlin.", "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_refused_when_it_is_read_and_never_is_none() {
        assert!("Dayly 02:00".parse::<Recurring>().unwrap_err().contains("not a schedule"));
        assert_eq!("never".parse::<Recurring>().unwrap().schedule(Tz::UTC), None);
        let daily = "Daily 02:00".parse::<Recurring>().unwrap().schedule(Tz::Europe__Berlin).unwrap();
        assert_eq!(daily.next("2026-11-21T12:00:00Z".parse().unwrap()).unwrap().to_rfc3339(), "2026-11-22T01:00:00+00:00");
    }
}
