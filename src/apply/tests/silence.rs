//! A device with Windows whose PowerShell exits with 0 and says nothing: nothing that was asked of it counts as done.

use super::*;
use crate::apply::host::LiveHost;
use crate::catalog::Catalog;
use crate::model::action::By;
use crate::model::{Facts, Platform};
use crate::script::{Recorder, ScriptError, SharedHost};
use crate::transport::{Command, Output, Session, Shell, TransportError};

/// Says this, whatever it is asked, and exits with 0.
struct Saying(&'static str);

#[async_trait::async_trait]
impl Session for Saying {
    async fn run(&self, command: Command, _: &CancellationToken) -> Result<Output, TransportError> {
        let sent: Value = serde_json::from_slice(&command.input).unwrap();
        assert_eq!(sent["told"], json!(true), "a script that nobody could tell from silence");
        Ok(Output { stdout: self.0.into(), ..Output::default() })
    }

    fn shell(&self) -> Shell {
        Shell::PowerShell
    }
}

fn windows() -> Arc<Facts> {
    let os = json!({"family": "windows", "id": "windows", "init": "scm", "package_manager": "winget", "hostname": "ws-1", "is_root": true});
    let mut facts = Facts::default();
    facts.sections.insert("software.os".into(), Section::new(os, Status::Ok, noon()));
    Arc::new(facts)
}

/// Runs it on a device that says this. How many operations a plan shows of it, and what came of it.
async fn run(
    says: &'static str,
    work: impl Fn(&SharedHost) -> Result<(), ScriptError> + Send + Sync + 'static,
) -> (usize, Result<(), ScriptError>) {
    let live = LiveHost::new("ws-1".into(), Arc::new(Saying(says)), windows(), CancellationToken::new(), Redactor::new());
    tokio::task::spawn_blocking(move || {
        let recorder = Arc::new(Mutex::new(Recorder::new("ws-1", windows())));
        let host: SharedHost = recorder.clone();
        let planned = work(&host);
        let live: SharedHost = Arc::new(Mutex::new(live));
        let operations = if planned.is_ok() { recorder.lock().unwrap().operations.len() } else { 0 };
        (operations, work(&live))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn no_action_and_no_setting_is_done_on_a_device_that_says_nothing() {
    let mut tried = 0;
    for action in Catalog::builtin().actions.values().filter(|a| a.by != By::Engine && a.platforms.contains(&Platform::Windows)) {
        for example in action.examples.clone() {
            let (def, given) = (Arc::clone(action), example.clone());
            let (operations, end) = run("", move |host| def.program.run(host, &given).map(drop)).await;
            if operations > 0 {
                let error = end.expect_err(&format!("{} {example} counts as done", action.name)).to_string();
                assert!(error.contains("said nothing at all"), "{} {example}: {error}", action.name);
                tried += 1;
            }
        }
    }
    for setting in Catalog::builtin().settings.values().filter(|s| s.remediable_on(Some(Platform::Windows))) {
        for example in setting.examples.clone() {
            let pairs: Vec<(Option<String>, Value)> = match (&setting.keyed, example) {
                (Some(_), Value::Object(map)) => map.into_iter().map(|(key, value)| (Some(key), value)).collect(),
                (_, example) => vec![(None, example)],
            };
            for (key, value) in pairs {
                let (def, given, label) = (Arc::clone(setting), (key, value.clone()), format!("{} {value}", setting.name));
                let (operations, end) = run("", move |host| def.program.apply(host, given.0.as_deref(), &given.1, None)).await;
                if operations > 0 {
                    let error = end.expect_err(&format!("{label} counts as applied")).to_string();
                    assert!(error.contains("said nothing at all"), "{label}: {error}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 100, "only {tried} were tried");
}

#[tokio::test]
async fn a_script_that_ran_and_had_nothing_to_say_is_done() {
    let flush = Arc::clone(&Catalog::builtin().actions["FlushDNS"]);
    for said in ["\n", "\r\n", "a greeting of the shell\n"] {
        let def = Arc::clone(&flush);
        let (_, end) = run(said, move |host| def.program.run(host, &json!({})).map(drop)).await;
        assert_eq!(end, Ok(()), "{said:?}");
    }
}
