//! What exits with 0 and says nothing is never compliant: every setting for Windows, over every way of saying nothing.

use std::sync::Mutex;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::table;
use crate::catalog::{Catalog, SettingDef};
use crate::collect::{Collector, Limits, Request};
use crate::model::facts::Status;
use crate::model::{Facts, Platform, State};
use crate::plan::{Needs, Question, judge};
use crate::time::FixedClock;
use crate::transport::{Command, Output, Session, Shell, TransportError};

/// What each part says in place of an answer.
type Says = fn(name: &str) -> Option<Value>;

/// A device whose tools exit with 0.
struct Silent {
    says: Option<Says>,
    asked: Mutex<usize>,
}

#[async_trait::async_trait]
impl Session for Silent {
    async fn run(&self, command: Command, _: &CancellationToken) -> Result<Output, TransportError> {
        *self.asked.lock().unwrap() += 1;
        let sent: Value = serde_json::from_slice(&command.input).unwrap();
        let Some(says) = self.says else { return Ok(Output::default()) };
        let nonce = sent["params"]["nonce"].as_str().unwrap();
        let mut out = String::new();
        for name in sent["params"]["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()) {
            if let Some(said) = says(name) {
                out += &format!("@{nonce} {}\n", json!({"s": name, "d": said}));
            }
        }
        Ok(Output { stdout: format!("{out}@{nonce} done\n").into(), ..Output::default() })
    }

    fn shell(&self) -> Shell {
        Shell::PowerShell
    }
}

/// Key and value of every example.
fn examples(setting: &SettingDef) -> Vec<(Option<String>, Value)> {
    let of = |example: &Value| match (&setting.keyed, example) {
        (Some(_), Value::Object(map)) => map.iter().map(|(key, value)| (Some(key.clone()), value.clone())).collect(),
        _ => vec![(None, example.clone())],
    };
    setting.examples.iter().flat_map(of).collect()
}

/// Every member that a part has where there is something to tell, with nothing in it.
fn emptied(name: &str) -> Value {
    let samples: Value = serde_json::from_str(include_str!("../samples/windows-11.json")).unwrap();
    let empty = |value: &Value| match value {
        Value::Array(_) => json!([]),
        Value::Object(_) => json!({}),
        Value::String(_) => json!(""),
        _ => Value::Null,
    };
    match &samples[name] {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), empty(value))).collect(),
        Value::String(_) => json!(""),
        // A probe.
        _ => json!({"items": []}),
    }
}

/// The last way: members and lists are there, with nothing in them.
const LISTS: &str = "members with nothing in them";

#[tokio::test]
async fn what_says_nothing_and_exits_with_0_makes_no_setting_compliant() {
    let ways: [(&str, Option<Says>); 5] = [
        ("no output", None),
        ("no part answers", Some(|_| None)),
        ("nothing", Some(|_| Some(Value::Null))),
        ("an empty object", Some(|_| Some(json!({})))),
        (LISTS, Some(|name| Some(emptied(name)))),
    ];
    let clock = FixedClock::new("2026-11-21T12:00:00Z".parse().unwrap());
    let mut judged = 0;
    for (way, says) in ways {
        let device = Silent { says, asked: Mutex::default() };
        // One look for all settings, with all that their examples ask for.
        let mut request = Request::full();
        let catalog = Catalog::builtin();
        let settings: Vec<_> = catalog.settings.values().filter(|setting| setting.platforms.contains(&Platform::Windows)).collect();
        for setting in &settings {
            for (key, value) in examples(setting) {
                let needs = Needs::of(setting, key.as_deref(), &value);
                needs.probes.iter().for_each(|(kind, all)| all.iter().for_each(|args| request.add_probe(kind, args.clone())));
            }
        }
        let seen = Collector::collect(&device, &request, None, &clock, &CancellationToken::new(), Limits::default()).await.unwrap();
        assert_eq!(*device.asked.lock().unwrap(), 1);
        let facts = Facts { sections: seen.sections };
        for setting in &settings {
            for (key, desired) in examples(setting) {
                let question = Question { def: setting, key: key.as_deref(), desired: &desired, platform: Some(Platform::Windows) };
                let verdict = judge(&question, &facts, &|_| None, chrono::DateTime::UNIX_EPOCH);
                let label = format!("{way}: {} {key:?} {desired}: {verdict:?}", setting.name);
                judged += 1;
                // A list with nothing in it says that there is nothing, and something may be wanted.
                if way == LISTS && matches!(verdict.state, State::Change | State::Report) {
                    continue;
                }
                assert!(matches!(verdict.state, State::Unknown | State::Unsupported), "{label}");
                assert!(verdict.reason.is_some_and(|why| !why.is_empty()), "{label}");
            }
        }
        if says.is_none() {
            let known: Vec<_> = facts.sections.iter().filter(|(_, section)| section.status == Status::Ok).map(|(name, _)| name).collect();
            assert!(known.iter().all(|name| table::probe(name).is_some()), "{known:?}");
        }
    }
    assert!(judged > 400, "only {judged} were judged");
}
