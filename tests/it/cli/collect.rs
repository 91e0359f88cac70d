use super::Fleet;

#[test]
fn this_machine_is_observed_and_not_asked_again_while_fresh() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect"]).code(0).says("1 device observed in");
    fleet.rmm(&["collect"]).code(0).says("Everything is fresh; --force");
    let json = fleet.rmm(&["collect", "--force", "--output", "json"]).code(0).json();
    assert_eq!(json["items"][0]["status"], "observed");
    fleet.rmm(&["collect", "--category", "hardwar"]).code(3).complains("'hardware'");
}

#[test]
fn a_device_that_is_not_there_costs_exit_code_9_and_holds_nothing_up() {
    let fleet = Fleet::small();
    // Nothing listens on port 1 of the loopback network.
    fleet.write("devices/gone.yaml", "devices:\n  gone: {address: 127.0.0.1, connection: {port: 1}}\n");
    fleet.rmm(&["collect"]).code(9).says("1 device observed").says("1 not reached").complains("gone: ");
    fleet.rmm(&["status"]).code(0).says("1 offline").says("gone");
    fleet.rmm(&["plan", "--refresh", "never"]).code(0);
}

#[test]
fn what_is_measured_is_kept_under_the_names_that_thresholds_know() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect", "--category", "performance"]).code(0);
    let db = rusqlite::Connection::open(fleet.path(".rmm/rmm.db")).unwrap();
    let mut statement = db.prepare("SELECT DISTINCT Metric FROM MetricSeries ORDER BY Metric").unwrap();
    let kept = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
    assert!(["Load", "Memory", "Uptime"].iter().all(|name| kept.iter().any(|kept| kept == name)), "{kept:?}");
    assert!(!kept.iter().any(|name| name == "CPU" || name.contains('.')), "a counter alone is no value: {kept:?}");
}
