use super::Fleet;

#[test]
fn a_simulated_fleet_is_observed_planned_changed_and_told_what_to_do() {
    let fleet = Fleet::small();
    fleet.rmm(&["simulate", "5", "sim", "--latency", "0"]).code(0).complains("5 simulated devices");
    fleet.rmm(&["-C", "sim", "validate"]).code(0).says("5 devices");
    fleet.rmm(&["-C", "sim", "collect"]).code(0);
    fleet.rmm(&["-C", "sim", "plan"]).code(0).says("5 changes on 5 devices");
    fleet.rmm(&["-C", "sim", "apply", "--auto-approve"]).code(0).says("5 done");
    fleet.rmm(&["-C", "sim", "status"]).code(0).says("5 online").says("5 healthy");
    fleet.rmm(&["-C", "sim", "devices", "show", "sim-0001"]).code(0).says("condition: healthy").says("compliance");
    fleet.write("sim/control", "sim-0002 DiskSpace=7 service:nginx=failed\nsim-0003 offline\n");
    fleet.rmm(&["-C", "sim", "collect", "--force"]).code(9);
    fleet.rmm(&["-C", "sim", "facts", "sim-0002", "performance.volumes"]).code(0).says("used_percent: 93");
    fleet.rmm(&["-C", "sim", "facts", "sim-0002", "software.services.nginx"]).code(0).says("failed");
    fleet.rmm(&["-C", "sim", "status"]).code(0).says("1 offline");
    fleet.rmm(&["-C", "sim", "exec", "sim-0001", "--", "dnf", "install", "x"]).code(8).says("does not know 'dnf'");
    fleet.rmm(&["simulate", "5", "sim"]).code(3).complains("is not empty");
}
