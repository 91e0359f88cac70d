use super::Fleet;

#[test]
fn a_command_runs_as_it_is_written_and_is_on_record() {
    let fleet = Fleet::small();
    fleet.rmm(&["exec", "here", "--", "echo", "a  b", "$(reboot)"]).code(0).says("here  exit 0\n  a  b $(reboot)\n");
    fleet.rmm(&["exec", "here", "--shell", "--", "echo $((1 + 1)); exit 3"]).code(8).says("exit 3\n  2\n");
    fleet.rmm(&["audit", "list", "--action", "exec"]).code(0).says("exec.started").says("exec.ended");
}

#[test]
fn text_from_a_device_does_not_steer_the_terminal() {
    let fleet = Fleet::small();
    let shown = fleet.rmm(&["exec", "here", "--", "printf", "\\033[2Jx\\007\\n"]).code(0).says("[2Jx");
    assert!(!shown.out.contains(['\u{1b}', '\u{7}']), "{:?}", shown.out);
}

#[test]
fn a_command_that_takes_too_long_is_ended_and_has_failed() {
    let fleet = Fleet::small();
    fleet.rmm(&["exec", "here", "--timeout", "1s", "--", "sleep", "30"]).code(8).says("no answer within 1 s");
}

#[test]
fn several_devices_are_asked_about_first() {
    let fleet = Fleet::small();
    fleet.write("devices/b.yaml", "devices:\n  also-here: {connection: {transport: local}}\n");
    fleet.rmm(&["exec", "*", "--", "true"]).code(6).complains("run `true` on 2 devices");
    fleet.rmm(&["exec", "*", "--yes", "--", "true"]).code(0).says("also-here  exit 0");
    let json = fleet.rmm(&["exec", "*", "--yes", "--output", "json", "--", "echo", "x"]).code(0).json();
    assert_eq!(json["items"][1]["stdout"], "x\n");
    fleet.rmm(&["exec", "here"]).code(3);
    fleet.rmm(&["exec", "here", "--shell", "--", "a", "b"]).code(3).complains("quotes");
}
