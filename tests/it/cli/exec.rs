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

/// Over a real SSH server: the first interrupt ends the command on the device, and says so.
#[test]
fn an_interrupt_ends_the_command_on_the_device() {
    let fleet = crate::fleet::Fleet::new(2);
    let words = format!("sleep 3{}", std::process::id());
    let seconds = words.split_once(' ').unwrap().1;
    let args = ["exec", "*", "--yes", "--", "sleep", seconds];
    let child = fleet.command(&args).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let wait = |there: bool| {
        while crate::sshd::runs(&words) != there {
            assert!(std::time::Instant::now() < deadline, "the command is there: {}", !there);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    wait(true);
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let said = crate::fleet::Said::of(&child.wait_with_output().unwrap()).ends(130).says("cancelled");
    assert!(said.err.contains("Stopping: what is in flight is ended."), "{}", said.err);
    wait(false);
    fleet.rmm(&["audit", "list", "--action", "exec.ended"]).ends(0).says("cancelled");
}
