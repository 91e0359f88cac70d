//! The part of `notifications.yaml` that says who can be reached when: people, rotas, hours, maintenance.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;

use super::codes;
use super::decode::{ALERTS, HOURS, MAINTENANCE, PERSON, QUIET, ROTA};
use super::fleet::respell;
use super::kinds::Kinds;
use super::notification_doc::{AlertsDoc, HoursDoc, MaintenanceDoc, PersonDoc, QuietDoc, RotaDoc};
use super::notifications::Known;
use super::tree::{Entry, Node};
use crate::diagnose::Diagnostic;
use crate::model::duty::{AlertOptions, Holiday, Maintenance, MaintenanceTime, Person, QuietHours, StandIn};
use crate::model::{BusinessHours, Place, Rota};
use crate::time::{Schedule, Span, Window, day, is_usable, local_moment, time_of_day};

const WEEK: Span = Span::seconds(7 * 86_400);
const WORKDAYS: [Weekday; 5] = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];
const ALL_DAYS: [Weekday; 7] = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

/// A place within an entry by its pointer.
fn place(entry: &Entry, pointer: &str, file: &Arc<str>) -> Place {
    entry.node.at_pointer(pointer).spot.of(file)
}

impl Kinds<'_> {
    pub(super) fn person(&mut self, file: &Arc<str>, mut entry: Entry) -> Option<Person> {
        respell(&mut entry.node, &PERSON);
        let PersonDoc { email, phone, slack } = self.decode::<PersonDoc>(&PERSON, file, &entry.node)?;
        let person = Person { name: entry.key.as_str().into(), email, phone, slack, place: entry.spot.of(file) };
        if person.email.is_none() && person.phone.is_none() && person.slack.is_none() {
            let problem = Diagnostic::warning("RMM0611", format!("nobody knows how to reach '{}'", entry.key)).at(&person.place);
            self.problem(problem.advice("give an email, a phone or a slack"));
        }
        if person.email.as_deref().is_some_and(|email| !email.contains('@')) {
            self.problem(codes::wrong_value("an address of mail holds an @: kim@example.com", &place(&entry, "/email", file)));
        }
        if person.phone.as_deref().is_some_and(|phone| !is_phone(phone)) {
            let message = "a number is written in the international form: +491701234567";
            self.problem(codes::wrong_value(message, &place(&entry, "/phone", file)));
        }
        Some(person)
    }

    pub(super) fn rota(&mut self, file: &Arc<str>, mut entry: Entry, zone: Tz, known: &Known) -> Option<Rota> {
        respell(&mut entry.node, &ROTA);
        let doc = self.decode::<RotaDoc>(&ROTA, file, &entry.node)?;
        let at = |key: &str| place(&entry, key, file);
        let Some(start) = day(&doc.start) else {
            let message = format!("expected a date such as 2026-01-05, found '{}'", doc.start.escape_debug());
            self.problem(codes::wrong_value(message, &at("/start")));
            return None;
        };
        let turn = doc.turn.unwrap_or(WEEK);
        if turn.as_seconds() == 0 {
            self.problem(codes::wrong_value("a turn has to last for some time: 7d", &at("/turn")));
        }
        let timezone = self.zone_or(doc.timezone.as_deref(), zone, &at("/timezone"))?;
        let hand_over = match doc.hand_over.as_deref().map(|text| (time_of_day(text), text)) {
            None => NaiveTime::MIN,
            Some((Some(time), _)) => time,
            Some((None, text)) => {
                let message = format!("expected a time of the day such as 09:00, found '{}'", text.escape_debug());
                self.problem(codes::wrong_value(message, &at("/handOver")));
                return None;
            }
        };
        for (i, person) in doc.people.iter().enumerate() {
            self.reachable(person, &at(&format!("/people/{i}")), known);
        }
        let mut overrides = Vec::new();
        for (i, stand_in) in doc.overrides.iter().enumerate() {
            self.reachable(&stand_in.person, &at(&format!("/overrides/{i}/person")), known);
            let from = self.moment(&stand_in.from, timezone, &at(&format!("/overrides/{i}/from")));
            let until = self.moment(&stand_in.until, timezone, &at(&format!("/overrides/{i}/until")));
            let (Some(from), Some(until)) = (from, until) else { continue };
            self.in_order(from, until, &at(&format!("/overrides/{i}/until")));
            overrides.push(StandIn { person: stand_in.person.clone(), from, until });
        }
        let name = entry.key.as_str().into();
        Some(Rota { name, people: doc.people, start, turn, hand_over, timezone, overrides, place: entry.spot.of(file) })
    }

    pub(super) fn hours(&mut self, file: &Arc<str>, mut entry: Entry) -> Option<BusinessHours> {
        respell(&mut entry.node, &HOURS);
        let doc = self.decode::<HoursDoc>(&HOURS, file, &entry.node)?;
        let zone = self.zone_or(doc.timezone.as_deref(), Tz::UTC, &place(&entry, "/timezone", file))?;
        let days = self.days(doc.days, &WORKDAYS, &entry.node, file);
        let mut holidays = Vec::new();
        for (i, text) in doc.holidays.iter().enumerate() {
            if let Some(holiday) = holiday(text) {
                holidays.push(holiday);
            } else {
                let message = format!("expected a day such as 2026-12-24, or 12-25 for every year, found '{}'", text.escape_debug());
                self.problem(codes::wrong_value(message, &place(&entry, &format!("/holidays/{i}"), file)));
            }
        }
        let hours = self.window(&doc.hours, zone, &place(&entry, "/hours", file))?;
        Some(BusinessHours { days, hours, holidays, place: entry.spot.of(file) })
    }

    pub(super) fn quiet(&mut self, file: &Arc<str>, mut entry: Entry, zone: Tz) -> Option<QuietHours> {
        respell(&mut entry.node, &QUIET);
        let doc = self.decode::<QuietDoc>(&QUIET, file, &entry.node)?;
        let zone = self.zone_or(doc.timezone.as_deref(), zone, &place(&entry, "/timezone", file))?;
        let days = self.days(doc.days, &ALL_DAYS, &entry.node, file);
        let except = self.severity_rule(doc.except, entry.node.at_pointer("/except"), file);
        let hours = self.window(&doc.hours, zone, &place(&entry, "/hours", file))?;
        Some(QuietHours { hours: BusinessHours { days, hours, holidays: Vec::new(), place: entry.spot.of(file) }, except })
    }

    pub(super) fn maintenance(&mut self, file: &Arc<str>, mut entry: Entry, zone: Tz) -> Option<Maintenance> {
        respell(&mut entry.node, &MAINTENANCE);
        let doc = self.decode::<MaintenanceDoc>(&MAINTENANCE, file, &entry.node)?;
        let at = |key: &str| place(&entry, key, file);
        let zone = self.zone_or(doc.timezone.as_deref(), zone, &at("/timezone"))?;
        let forms = [doc.hours.is_some(), doc.schedule.is_some(), doc.from.is_some() || doc.until.is_some()];
        if forms.iter().filter(|form| **form).count() != 1 {
            let message = format!("when the maintenance '{}' is has to be said in one way", entry.key);
            let problem = Diagnostic::error("RMM0612", message).at(&entry.spot.of(file));
            self.problem(problem.advice("give hours (and days), or schedule and for, or from and until"));
            return None;
        }
        let when = match (doc.hours, doc.schedule, doc.from, doc.until) {
            (Some(hours), ..) => {
                let days = self.days(doc.days, &ALL_DAYS, &entry.node, file);
                let hours = self.window(&hours, zone, &at("/hours"))?;
                MaintenanceTime::Weekly(BusinessHours { days, hours, holidays: Vec::new(), place: at("/hours") })
            }
            (_, Some(text), ..) => {
                let schedule = match Schedule::parse(&text, zone) {
                    Ok(schedule) => schedule,
                    Err(error) => {
                        self.problem(Diagnostic::error("RMM0115", error.to_string()).at(&at("/schedule")));
                        return None;
                    }
                };
                let Some(lasts) = doc.lasts.filter(|lasts| lasts.as_seconds() > 0) else {
                    let problem = Diagnostic::error("RMM0612", "how long the maintenance lasts is missing").at(&at("/schedule"));
                    self.problem(problem.advice("add for: 4h"));
                    return None;
                };
                MaintenanceTime::Scheduled(schedule, lasts)
            }
            (_, _, Some(from), Some(until)) => {
                let from = self.moment(&from, zone, &at("/from"))?;
                let until = self.moment(&until, zone, &at("/until"))?;
                self.in_order(from, until, &at("/until"));
                MaintenanceTime::Once { from, until }
            }
            _ => {
                let problem = Diagnostic::error("RMM0612", "from and until belong together").at(&entry.spot.of(file));
                self.problem(problem.advice("give both; until is the first moment after it"));
                return None;
            }
        };
        let targets = self.selectors(doc.targets, entry.node.get("targets"), file);
        Some(Maintenance {
            name: entry.key.as_str().into(),
            description: doc.description,
            targets,
            types: doc.types.map(super::notification_doc::Texts::into_vec).unwrap_or_default(),
            when,
            place: entry.spot.of(file),
        })
    }

    pub(super) fn alert_options(&mut self, file: &Arc<str>, mut entry: Entry) -> Option<AlertOptions> {
        respell(&mut entry.node, &ALERTS);
        let doc = self.decode::<AlertsDoc>(&ALERTS, file, &entry.node)?;
        let usual = AlertOptions::default();
        Some(AlertOptions {
            deduplicate: doc.deduplicate.unwrap_or(usual.deduplicate),
            occurred_for: doc.occurred_for.unwrap_or(usual.occurred_for),
            archive_after: doc.archive_after.unwrap_or(usual.archive_after),
            flapping_times: doc.flapping.times.unwrap_or(usual.flapping_times),
            flapping_within: doc.flapping.within.unwrap_or(usual.flapping_within),
            flapping_calm: doc.flapping.calm.unwrap_or(usual.flapping_calm),
            site_devices: doc.site_unreachable.devices.unwrap_or(usual.site_devices),
            site_percent: doc.site_unreachable.percent.unwrap_or(usual.site_percent),
            wait: doc.wait.unwrap_or(usual.wait),
            recovery: doc.recovery.unwrap_or(usual.recovery),
        })
    }

    fn zone_or(&mut self, name: Option<&str>, usual: Tz, at: &Place) -> Option<Tz> {
        match name {
            Some(name) => self.zone(name, at),
            None => Some(usual),
        }
    }

    fn window(&mut self, text: &str, zone: Tz, at: &Place) -> Option<Window> {
        Window::parse(text, zone).map_err(|message| self.problem(Diagnostic::error("RMM0115", message).at(at))).ok()
    }

    fn days(&mut self, names: Option<Vec<String>>, usual: &[Weekday], node: &Node, file: &Arc<str>) -> Vec<Weekday> {
        let Some(names) = names else { return usual.to_vec() };
        let mut days = Vec::new();
        for (i, name) in names.iter().enumerate() {
            if let Ok(day) = name.parse::<Weekday>() {
                days.push(day);
            } else {
                let known = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
                let at = node.at_pointer(&format!("/days/{i}")).spot.of(file);
                let problem = codes::wrong_value(format!("'{}' is not a day of the week", name.escape_debug()), &at);
                self.problem(problem.advice(codes::suggestion(name, known, "days are")));
            }
        }
        days
    }

    fn moment(&mut self, text: &str, zone: Tz, at: &Place) -> Option<DateTime<Utc>> {
        let found = moment(text, zone);
        if found.is_none() {
            let message = format!("expected a moment such as 2026-12-24 18:00, found '{}'", text.escape_debug());
            self.problem(codes::wrong_value(message, at));
        }
        found
    }

    fn in_order(&mut self, from: DateTime<Utc>, until: DateTime<Utc>, at: &Place) {
        if until <= from {
            self.problem(codes::wrong_value("it ends before it begins", at));
        }
    }
}

/// `2026-12-24`, `2026-12-24 18:00`, or with an offset.
fn moment(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.with_timezone(&Utc));
    }
    let forms = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
    let local = { forms }.into_iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let whole = || Some(day(text)?.and_time(NaiveTime::MIN));
    local.filter(|local| is_usable(local.date())).or_else(whole).map(|local| local_moment(local, zone))
}

/// `2026-12-24`, or `12-25` for every year.
fn holiday(text: &str) -> Option<Holiday> {
    if let Some(date) = day(text) {
        return Some(Holiday::Date(date));
    }
    // A leap year, so that 29 February is a day.
    let date = NaiveDate::parse_from_str(&format!("2028-{text}"), "%Y-%m-%d").ok()?;
    Some(Holiday::Yearly { month: date.month(), day: date.day() })
}

fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| digits.len() >= 6 && digits.chars().all(|c| c.is_ascii_digit() || c == ' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_their_time_zone_unless_they_have_an_offset() {
        let berlin = chrono_tz::Europe::Berlin;
        for (text, expected) in [
            ("2026-12-24", "2026-12-23T23:00:00+00:00"),
            ("2026-12-24 18:00", "2026-12-24T17:00:00+00:00"),
            ("2026-12-24T18:00:30", "2026-12-24T17:00:30+00:00"),
            ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00+00:00"),
        ] {
            assert_eq!(moment(text, berlin).unwrap().to_rfc3339(), expected, "{text}");
        }
        assert_eq!(moment("tomorrow", berlin), None);
    }

    #[test]
    fn holidays_are_days_or_days_of_every_year() {
        assert_eq!(holiday("12-25"), Some(Holiday::Yearly { month: 12, day: 25 }));
        assert_eq!(holiday("02-29"), Some(Holiday::Yearly { month: 2, day: 29 }));
        assert_eq!(holiday("2026-04-03"), NaiveDate::from_ymd_opt(2026, 4, 3).map(Holiday::Date));
        assert_eq!(holiday("13-01"), None);
        assert_eq!(holiday("easter"), None);
    }

    #[test]
    fn days_at_the_ends_of_the_calendar_are_refused_and_end_nothing() {
        for text in ["+262142-12-31", "-262143-01-01", "+10000-01-01", "0000-01-01"] {
            assert_eq!((moment(text, chrono_tz::America::New_York), holiday(text)), (None, None), "{text}");
            assert_eq!(moment(&format!("{text} 23:59"), chrono_tz::America::New_York), None, "{text}");
        }
    }
}
