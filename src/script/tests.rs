//! The sandbox, the way errors travel, and conditions.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::diagnose::{Category, Diagnose};
use crate::model::facts::{Section, Status};
use crate::model::operation::{Operation, Reply};
use crate::model::{Device, Facts};

/// Answers every operation in the same way.
struct Fixed(Result<Reply, HostError>);

impl Host for Fixed {
    fn perform(&mut self, _: &Operation) -> Result<Reply, HostError> {
        self.0.clone()
    }

    fn fact(&self, path: &str) -> Option<Value> {
        (path == "security.users").then(|| json!({"a.b": {"uid": 7}}))
    }
}

fn apply(script: &str, answer: Result<Reply, HostError>) -> Result<(), ScriptError> {
    let host: SharedHost = Arc::new(Mutex::new(Fixed(answer)));
    Program::compile(script)?.apply(&host, None, &json!({"n": u64::MAX, "list": [1, "x"]}), None)
}

fn body(statements: &str) -> Result<(), ScriptError> {
    apply(&format!("fn apply(device, desired) {{\n{statements}\n}}"), Ok(Reply { code: 3, stdout: "out".into(), stderr: "err".into() }))
}

#[test]
fn an_endless_loop_ends_by_its_limit() {
    let start = Instant::now();
    for script in ["loop { }", "while true { let x = [1, 2]; }", "let x = 0; do { x += 1; } while x >= 0;"] {
        assert!(matches!(body(script), Err(ScriptError::Limit { .. })), "{script}");
    }
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[test]
fn everything_that_grows_has_a_limit() {
    for script in [
        "let s = \"x\"; loop { s += s; }",
        "let l = [0]; loop { l += l; }",
        "let m = #{}; let i = 0; loop { m[i.to_string()] = i; i += 1; }",
    ] {
        assert!(matches!(body(script), Err(ScriptError::Limit { .. })), "{script}: {:?}", body(script));
    }
    let recursion = apply("fn f(x) { f(x + 1) } fn apply(device, desired) { f(0) }", Ok(Reply::default()));
    assert!(matches!(recursion, Err(ScriptError::Limit { .. })), "{recursion:?}");
    let deep = format!("fn apply(device, desired) {{ {}1{} }}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(matches!(Program::compile(&deep), Err(ScriptError::Compile { .. })));
}

#[test]
fn there_is_no_way_out_of_the_sandbox() {
    for script in ["eval(\"1\")", "import \"x\" as y;", "sleep(1)", "timestamp()", "exit()", "open_file(\"/etc/passwd\")"] {
        assert!(body(script).is_err(), "{script}");
    }
    assert_eq!(body("print(\"x\"); debug(desired);"), Ok(()));
}

#[test]
fn a_secret_is_taken_out_of_what_a_program_complained_of_before_that_is_cut() {
    /// Its program repeats the secret at the edge of what is kept.
    struct Repeating;

    impl Host for Repeating {
        fn perform(&mut self, _: &Operation) -> Result<Reply, HostError> {
            Ok(Reply { code: 1, stdout: String::new(), stderr: format!("hunter2{}", "x".repeat(396)) })
        }

        fn fact(&self, _: &str) -> Option<Value> {
            None
        }

        fn shown(&self, text: &str) -> String {
            text.replace("hunter2", "***")
        }
    }

    let host: SharedHost = Arc::new(Mutex::new(Repeating));
    let program = Program::compile("fn apply(device, desired) { device.run([\"app\"]); }").unwrap();
    let told = program.apply(&host, None, &json!(1), None).unwrap_err().to_string();
    assert!(told.contains("***x") && !told.contains("ter2"), "{told}");
}

#[test]
fn what_a_script_throws_is_told_with_its_line() {
    assert_eq!(body("\n  throw \"no such thing\";"), Err(ScriptError::Runtime { message: "no such thing".into(), line: 3 }));
    let Err(ScriptError::Runtime { message, line: 2 }) = body("desired.frobnicate()") else { panic!() };
    assert!(message.contains("frobnicate"), "{message}");
}

#[test]
fn a_failed_command_keeps_its_code_and_can_be_caught() {
    let exit = ScriptError::Host(HostError::Exit { program: "false".into(), code: 3, stderr: "err".into() });
    assert_eq!(body("device.run([\"false\"])"), Err(exit.clone()));
    assert_eq!(body("try { device.run([\"false\"]) } catch (e) { throw e; }"), Err(exit));
    assert_eq!(body("try { device.run([\"false\"]) } catch { }"), Ok(()));
    assert_eq!(
        body("let r = device.try_run([\"false\", 7]); if r.code != 3 || r.stdout != \"out\" || r.stderr != \"err\" { throw \"no\"; }"),
        Ok(())
    );
}

#[test]
fn a_broken_connection_keeps_its_category_and_cannot_be_caught() {
    let lost = HostError::Transport { code: "RMM0408", category: Category::Transient, message: "the connection broke".into() };
    for script in ["device.run([\"true\"])", "try { device.try_run([\"true\"]) } catch { }"] {
        let error = apply(&format!("fn apply(device, desired) {{ {script} }}"), Err(lost.clone())).unwrap_err();
        assert_eq!((error.code(), error.category(), error), ("RMM0408", Category::Transient, ScriptError::Host(lost.clone())));
    }
}

#[test]
fn arguments_are_texts_and_numbers_without_nul() {
    for script in [
        "device.run([])",
        "device.run([\"a\", ()])",
        "device.run([\"a\\x00b\"])",
        "device.run([\"a\", [\"b\"]])",
        "device.write_file(\"x\", \"\")",
        "device.write_file(\"/x\", \"\", #{mode: \"9\"})",
        "device.write_file(\"/x\", \"\", #{own: \"a\"})",
        "device.write_file(\"/x\", \"\", #{owner: \"a:b\"})",
    ] {
        assert!(matches!(body(script), Err(ScriptError::Runtime { .. })), "{script}: {:?}", body(script));
    }
}

#[test]
fn facts_are_read_by_path_and_by_a_member_with_dots() {
    assert_eq!(body("if device.fact(\"security.users\", \"a.b\").uid != 7 || device.fact(\"x\") != () { throw \"no\"; }"), Ok(()));
    assert_eq!(body("if sha256(\"\").len() != 64 || ere(\"a.b\") != \"a\\\\.b\" { throw \"no\"; }"), Ok(()));
    assert!(body("one_line(\"a\\nb\")").is_err());
    assert_eq!(body("if last_line(\"a\\nb\\n\\n\") != \"b\" || last_line(\"\") != \"\" { throw \"no\"; }"), Ok(()));
}

#[test]
fn functions_are_found_in_code_and_not_in_texts() {
    let program = Program::lazy("// fn rollback(a, b) {}\nfn apply(device, desired) { \"fn risk(x) {}\" }");
    assert!(program.has("apply") && !program.has("rollback") && !program.has("risk"));
    assert_eq!(program.arities("apply"), [2]);
    assert!(Program::lazy("fn (").problem().is_some());
}

#[test]
fn a_shown_command_has_its_secrets_replaced_before_it_is_quoted() {
    let redact = |text: &str| text.replace("it's secret", "(secret x)");
    let run = Operation::Run { argv: vec!["echo".into(), "it's secret".into()], input: Some("it's secret".into()) };
    let command = shown(&run, &redact);
    assert_eq!((command.line.as_str(), command.input_bytes), ("echo '(secret x)'", Some(10)));
    let nul = render(&Operation::Run { argv: vec!["a\0b".into()], input: None }, crate::model::Shell::Posix);
    assert!(nul.line.contains("exit 65"), "{}", nul.line);
}

fn observed() -> Facts {
    let mut facts = Facts::default();
    let mut add = |name: &str, data: Value, status: Status| {
        facts.sections.insert(name.into(), Section::new(data, status, chrono::DateTime::UNIX_EPOCH))
    };
    add("hardware.memory", json!({"total_gb": 7.5, "modules": null}), Status::Ok);
    add("software.packages", json!({"openssl": "3.0"}), Status::Ok);
    add("software.os", json!({"id": "debian", "id_like": ["linux"]}), Status::Ok);
    add("security.users", Value::Null, Status::Unknown("not root".into()));
    facts
}

#[test]
fn conditions_see_the_device_and_its_facts() {
    let device =
        Device { name: "web-1".into(), tags: vec!["prod".into()], vars: [("tier".to_owned(), json!(2))].into(), ..Device::default() };
    let holds = |text: &str| Condition::compile(text).unwrap().holds(&device, &observed());
    for (text, expected) in [
        ("facts.hardware.memory.total_gb < 8", Some(true)),
        ("facts.hardware.memory.total_gb >= 8", Some(false)),
        ("\"openssl\" in facts.software.packages", Some(true)),
        ("facts.software.packages[\"curl\"] == ()", Some(true)),
        ("\"linux\" in facts.software.os.id_like", Some(true)),
        ("facts.software.os.nothing == ()", Some(true)),
        ("facts.security.users.alice.uid == 0", None),
        ("facts.security.firewall.enabled", None),
        ("!facts.network.dns.servers.is_empty()", None),
        ("device.name == \"web-1\" && \"prod\" in device.tags && device.vars.tier == 2", Some(true)),
        ("device.hostname == device.name && device.address == \"web-1\" && device.site == ()", Some(true)),
        ("device[\"name\"] == \"web-1\"", Some(true)),
        ("device.name == \"x\" && facts.nothing.known", Some(false)),
    ] {
        assert_eq!(holds(text), Ok(expected), "{text}");
    }
    assert!(matches!(holds("7"), Err(ScriptError::Runtime { .. })));
    assert!(matches!(holds("device.name.frobnicate()"), Err(ScriptError::Runtime { .. })));
    for wrong in ["let x = 1; x == 1", "loop { }", "devise.name == 1", "facts.", "device.name = \"x\""] {
        assert!(matches!(Condition::compile(wrong), Err(ScriptError::Compile { .. })), "{wrong}");
    }
}
