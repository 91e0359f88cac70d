//! What nobody may see of a Windows device: the password that signs in, and the secrets that are used on it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Fleet, ended, rmm};
use crate::run::{holding, seen_by_everybody};
use crate::winrm::endpoint::{Endpoint, Given, USER};

/// Gives a secret to programs that print it, that last, and that fail with it.
const TELL: &str = r#"//! action: Tell
//! summary: Gives a secret to programs.
//! platforms: [windows]
//! parameters: {type: object, additionalProperties: false, required: [word], properties: {word: {type: string, description: "what to tell"}, fail: {type: boolean, default: false, description: "whether it fails"}, among: {type: boolean, default: false, description: "whether it is an argument"}}}
//! idempotent: true
//! timeout: 1m
//! examples: [{word: x}]
fn run(device, params) {
    if params.among == true { device.run(["echo", params.word]); }
    let said = device.run_input(["cat"], params.word);
    device.run_input(["sleep", "2"], params.word);
    if params.fail == true { throw "it ends with " + params.word; }
    #{said: said.stdout, word: params.word}
}
"#;

#[test]
fn passwords_and_secrets_of_a_windows_device_stand_nowhere() {
    // Not in one piece in this test's own arguments or variables.
    let password = format!("pass-{}-<w\u{f6}rd>", std::process::id());
    let secret = format!("hush-{}-it's", std::process::id());
    let endpoint = Endpoint::start_with(Given::default(), serde_json::json!({"users": {USER: password}}), &[]);
    let fleet = Fleet::small();
    fleet.write("rmm.toml", "[general]\nlog_level = \"debug\"\n[limits]\nmax_percent = 100\n");
    let connection = format!("user: EXAMPLE\\kim, password: {{secret: win}}, scheme: http, port: {}", endpoint.port);
    fleet.write("devices/windows.yaml", &format!("devices:\n  ws-1: {{os: windows, address: 127.0.0.1, connection: {{{connection}}}}}\n"));
    fleet.write("scripts/tell.rhai", TELL);
    let command = |args: &[&str]| {
        let mut command = rmm(fleet.dir.path(), args);
        command.env("RMM_SECRET_WIN", &password).env("RMM_SECRET_APP", &secret).env("RUST_LOG", "trace");
        command
    };
    let tell = ["run", "Tell", "--on", "ws-1", "-p", "word={secret: app}", "--output", "json"];
    let mut said = Vec::new();

    let mut running = command(&tell);
    let running = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    while endpoint.log().count("command") < 2 {
        assert!(begin.elapsed() < Duration::from_secs(20), "the second command does not run: {:?}", endpoint.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    for text in [&password, &secret] {
        assert_eq!(seen_by_everybody(text), Vec::<String>::new());
    }
    assert!(!seen_by_everybody("endpoint.py").is_empty(), "the processes of the endpoint's machine are seen");
    let output = running.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out} {err}");
    assert!(out.contains("(secret app)"), "{out}");
    said.push(format!("{out}{err}"));

    let refused = ended(command(&[&tell[..], &["-p", "among=true"]].concat())).code(8);
    let failed = ended(command(&[&tell[..], &["-p", "fail=true"]].concat())).code(8);
    said.extend([refused, failed].map(|ended| format!("{}{}", ended.out, ended.err)));
    for args in [&["doctor", "ws-1"][..], &["collect", "ws-1"], &["plan"], &["audit", "list", "--output", "json"], &["facts", "ws-1"]] {
        let ended = ended(command(args));
        said.push(format!("{args:?}: {}{}", ended.out, ended.err));
    }
    for text in [&password, &secret] {
        assert_eq!(said.iter().filter(|said| said.contains(text.as_str())).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(holding(fleet.dir.path(), text), Vec::<String>::new());
        assert!(
            !endpoint.log().named("command").any(|one| one["line"].as_str().unwrap().contains(text.as_str())),
            "a command line holds it"
        );
    }
    assert!(!holding(&fleet.path(".rmm"), "(secret app)").is_empty(), "what was said is kept, without the secret");
    endpoint.log().assert_no_shell_is_left();
}
