use super::{Ended, Fleet};
use crate::winrm::endpoint::{Endpoint, Given, PASSWORD};

fn windows(endpoint: &Endpoint, more: &str) -> Fleet {
    let fleet = Fleet::small();
    let connection = format!("user: EXAMPLE\\kim, password: {{secret: win}}, port: {}{more}", endpoint.port);
    fleet.write("devices/windows.yaml", &format!("devices:\n  ws-1: {{os: windows, address: 127.0.0.1, connection: {{{connection}}}}}\n"));
    fleet
}

fn doctor(fleet: &Fleet, password: &str) -> Ended {
    fleet.rmm_with(&[("RMM_SECRET_WIN", password)], &["doctor", "ws-1"])
}

#[test]
fn a_device_that_can_be_managed_is_told_step_by_step() {
    let fleet = Fleet::small();
    fleet.rmm(&["doctor", "here"]).code(0).says("signing in").says("shell").says("clock           as here");
    let json = fleet.rmm(&["doctor", "here", "--output", "json"]).code(0).json();
    assert_eq!(json["items"][0]["step"], "signing in");
}

#[test]
fn a_windows_device_tells_its_certificate_powershell_rights_and_clock() {
    let endpoint = Endpoint::start(Given { tls: true, ..Given::default() });
    let fleet = windows(&endpoint, &format!(", caFile: {}", endpoint.path("ca.pem")));
    let told = doctor(&fleet, PASSWORD).code(0);
    for text in [
        &endpoint.fingerprint(),
        "PowerShell 5.1.20348.2400 Desktop",
        "FullLanguage",
        "letters of all kinds come back as they were sent",
        "EXAMPLE\\kim is an administrator",
        "as here",
    ] {
        assert!(told.out.contains(text), "{text}:\n{}", told.out);
    }
    endpoint.log().assert_no_shell_is_left();
}

#[test]
fn what_is_wrong_is_told_with_what_to_do_and_never_with_the_password() {
    let endpoint = Endpoint::start(Given { tls: true, ..Given::default() });
    let untrusted = windows(&endpoint, "");
    doctor(&untrusted, PASSWORD).code(8).says("RMM0413").says(&format!("certificateFingerprint: {}", endpoint.fingerprint()));
    let pinned = windows(&endpoint, &format!(", certificateFingerprint: '{}'", endpoint.fingerprint()));
    let told = doctor(&pinned, "Wrong-1-marker").code(8).says("RMM0412").says("Remote Management Users");
    assert!(!format!("{}{}", told.out, told.err).contains("Wrong-1-marker"));

    let endpoint = Endpoint::start_with(Given::default(), serde_json::json!({"language_mode": "ConstrainedLanguage"}), &[]);
    doctor(&windows(&endpoint, ", scheme: http"), PASSWORD).code(8).says("ConstrainedLanguage, FullLanguage is needed").says("AppLocker");
    assert_eq!(endpoint.log().count("clear"), 0);
}

#[test]
fn a_device_that_cannot_be_reached_is_told_apart_from_one_that_fails() {
    let endpoint = Endpoint::start(Given::default());
    let fleet = windows(&endpoint, ", scheme: http");
    drop(endpoint);
    doctor(&fleet, PASSWORD).code(9).says("RMM0401").says("proxyJump with SSH, scheme with WinRM");
}
