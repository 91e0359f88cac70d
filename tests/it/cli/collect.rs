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
