//! What nobody is told of, and what happens when the reason for that ends.

use super::*;
use crate::model::alert::{Silence, Suppression};
use crate::store::AuditEvent;

const ALL: &str = "rules: {All: {channels: [team]}}\n";

fn both(notifications: &str, thresholds: &str, now: &str, play: impl Fn(&mut Room)) {
    let set = set(notifications, thresholds);
    play(&mut Room::new(Arc::clone(&set), now));
    play(&mut Room::new(set, now).restarting());
}

#[test]
fn maintenance_records_and_tells_what_lasts_when_it_ends() {
    let rules = format!("{ALL}maintenance: {{Night: {{targets: [Web], hours: \"12:00-13:00\"}}}}\n");
    both(&rules, "", "11:50", |room| {
        assert_eq!(room.raise("web-2", "Old", Severity::High), "11:50 raised team web-2/Old\n");
        room.until("12:10");
        assert_eq!(room.raise("web-1", "Disk", Severity::High), "");
        assert_eq!(room.alert("web-1", "Disk").suppressed, Some(Suppression::Maintenance("Night".into())));
        assert_eq!(room.raise("db-1", "Disk", Severity::High), "12:10 raised team db-1/Disk\n");
        assert_eq!(room.raise("web-1", "Short", Severity::High), "");
        // Who knew of it hears that it is over, whatever the hour; who did not hears nothing.
        assert_eq!(room.clear("web-2", "Old"), "12:10 resolved team web-2/Old\n");
        assert_eq!(room.clear("web-1", "Short"), "");
        assert_eq!(room.until("14:00"), "13:00 raised team web-1/Disk\n");
    });
}

#[test]
fn a_silence_of_another_process_holds_until_it_ends() {
    both(ALL, "", "12:00", |room| {
        let other = Store::open(&room.dir.path().join("rmm.db"), Arc::new(FixedClock::new(room.now))).unwrap();
        let event = AuditEvent {
            at: room.now,
            user: None,
            action: "silence.created".into(),
            target: None,
            details: serde_json::Value::Null,
            ip: None,
            success: true,
        };
        let silence = Silence {
            id: "s-1".into(),
            targets: vec!["tag=big".into()],
            kinds: vec!["Disk".into()],
            starts_at: room.now,
            ends_at: room.now + minutes(60),
            reason: "new disk".into(),
            by: "kim".into(),
        };
        other.put_silence(&silence, event.clone()).unwrap();
        assert_eq!(room.raise("db-1", "Disk", Severity::High), "");
        assert_eq!(room.raise("db-1", "CPU", Severity::High), "12:00 raised team db-1/CPU\n");
        assert_eq!(room.raise("web-1", "Disk", Severity::High), "12:00 raised team web-1/Disk\n");
        room.until("12:20");
        other.end_silence("s-1", room.now, event).unwrap();
        room.call(|desk, now| desk.external(now).unwrap());
        assert_eq!(room.said(), "12:20 raised team db-1/Disk\n");
    });
}

#[test]
fn a_site_of_which_nothing_answers_is_one_alert_and_its_devices_have_time_to_recover() {
    both(ALL, "", "12:00", |room| {
        let mut said = room.offline("web-1");
        said += &room.until("12:00:10");
        said += &room.offline("web-2");
        said += &room.until("12:00:20");
        said += &room.offline("db-1");
        assert_eq!(said, "12:00 raised team Berlin/SiteUnreachable\n");
        assert_eq!(room.raise("web-1", "Website", Severity::Critical), "");
        assert_eq!(room.alert("web-1", "Website").suppressed, Some(Suppression::Parent("web-1".into())));
        assert_eq!(room.until("12:30"), "");
        assert_eq!(room.online("web-1"), "12:30 resolved team Berlin/SiteUnreachable\n");
        room.until("12:31");
        assert_eq!(room.clear("web-1", "Website"), "");
        assert_eq!(room.online("web-2"), "");
        assert_eq!(room.until("13:00"), "12:40 raised team db-1/Offline\n");
        assert_eq!(room.online("db-1"), "13:00 resolved team db-1/Offline\n");
    });
}

#[test]
fn what_runs_on_a_host_that_is_down_is_not_told() {
    both(ALL, "", "12:00", |room| {
        // The guest was found first: it waits a little for what it may hang on.
        assert_eq!(room.offline("vm-1"), "");
        room.until("12:00:20");
        assert_eq!(room.offline("host-1"), "12:00 raised team host-1/Offline\n");
        assert_eq!(room.until("12:10"), "");
        assert_eq!(room.alert("vm-1", "Offline").suppressed, Some(Suppression::Parent("host-1".into())));
        assert_eq!(room.online("host-1"), "12:10 resolved team host-1/Offline\n");
        assert_eq!(room.until("12:30"), "12:20 raised team vm-1/Offline\n");
    });
}

#[test]
fn short_of_disk_and_of_something_else_is_one_alert() {
    let thresholds = "CPU: {warning: 80, critical: 95}\nDiskSpace: {warning: 20, critical: 10}\n";
    both(ALL, thresholds, "12:00", |room| {
        assert_eq!(room.measure("web-1", "DiskSpace", "/var", 7.0), "12:00 raised team web-1/DiskSpace\n");
        room.until("12:05");
        assert_eq!(room.measure("web-1", "CPU", "", 97.0), "12:05 raised team web-1/ResourceExhaustion\n");
        let larger = room.alert("web-1", "ResourceExhaustion");
        assert_eq!((larger.severity, larger.title.as_str()), (Severity::Critical, "Resource Exhaustion: DiskSpace of /var, CPU"));
        assert_eq!(room.alert("web-1", "CPU").suppressed, Some(Suppression::PartOf(larger.id.clone())));
        assert_eq!(room.state("web-1", "DiskSpace"), AlertState::Triggered);
        room.until("12:10");
        assert_eq!(room.measure("web-1", "CPU", "", 20.0), "12:10 resolved team web-1/ResourceExhaustion\n");
        assert_eq!(room.state("web-1", "DiskSpace"), AlertState::Active);
        room.until("12:15");
        assert_eq!(room.measure("web-1", "DiskSpace", "/var", 40.0), "12:15 resolved team web-1/DiskSpace\n");
    });
}

#[test]
fn quiet_hours_end_with_one_summary() {
    let rules = "rules: {All: {channels: [team, pager]}}\nquietHours: {hours: \"22:00-07:00\", except: Critical}\n";
    both(rules, "", "21:30", |room| {
        assert_eq!(room.raise("web-1", "Disk", Severity::High), "21:30 raised pager web-1/Disk\n21:30 raised team web-1/Disk\n");
        assert_eq!(room.until("22:10"), "");
        assert_eq!(room.raise("web-2", "Disk", Severity::High), "");
        assert_eq!(room.raise("db-1", "CPU", Severity::Critical), "22:10 raised pager db-1/CPU\n22:10 raised team db-1/CPU\n");
        room.until("23:00");
        // An incident is closed at once, which wakes nobody.
        assert_eq!(room.clear("web-1", "Disk"), "23:00 resolved pager web-1/Disk\n");
        room.raise("db-1", "Net", Severity::High);
        room.until("23:30");
        assert_eq!(room.clear("db-1", "Net"), "");
        let said = room.until("2026-11-22T08:00:00Z");
        assert_eq!(said, "07:00 raised pager web-2/Disk\n07:00 summary team web-2/Disk=active web-1/Disk=resolved db-1/Net=resolved\n");
        assert_eq!(room.clear("web-2", "Disk"), "08:00 resolved pager web-2/Disk\n08:00 resolved team web-2/Disk\n");
        assert_eq!(room.until("2026-11-23T21:00:00Z"), "");
    });
}

#[test]
fn rules_that_hold_in_business_hours_speak_when_these_begin() {
    let rules = "rules: {Day: {channels: [team], during: businessHours}, Night: {channels: [sms], during: outsideBusinessHours}}
businessHours: {hours: \"08:00-18:00\", timezone: Europe/Berlin, holidays: [2026-11-24, 12-25]}
";
    // Saturday; Monday is a working day, Tuesday a holiday.
    both(rules, "", "12:00", |room| {
        assert_eq!(room.raise("web-1", "Disk", Severity::High), "12:00 raised sms web-1/Disk\n");
        assert_eq!(room.until("2026-11-23T12:00:00Z"), "07:00 raised team web-1/Disk\n");
        room.until("2026-11-23T18:00:00Z");
        assert_eq!(room.raise("web-2", "Disk", Severity::High), "18:00 raised sms web-2/Disk\n");
        assert_eq!(room.until("2026-11-25T12:00:00Z"), "07:00 raised team web-2/Disk\n");
    });
}

#[test]
fn what_is_no_longer_declared_is_over() {
    let mut room = Room::new(set(ALL, "CPU: {warning: 80}\n"), "12:00");
    room.measure("web-1", "CPU", "", 90.0);
    room.raise("web-2", "Disk", Severity::High);
    room.raise("db-1", "Disk", Severity::High);
    let without = DEVICES.replace("  web-2: {site: Berlin, groups: [Web]}\n", "");
    room.set = set_with(&without, ALL, "Memory: {warning: 80}\n");
    let set = Arc::clone(&room.set);
    room.call(|desk, now| desk.reload(set, now).unwrap());
    assert_eq!(room.said(), "12:00 resolved team web-1/CPU\n12:00 resolved team web-2/Disk\n");
    assert_eq!(room.state("db-1", "Disk"), AlertState::Active);
}
