//! Updates of Windows: what the actions ask of the system, and what they make of its answers.

use super::actions::action;
use super::*;
use crate::model::Operation;
use crate::model::operation::Reply;
use crate::script::{Host, HostError};

/// A device whose system answers by what it is asked to do.
struct Told {
    facts: Facts,
    answers: Vec<(&'static str, Value)>,
    asked: Vec<String>,
}

impl Host for Told {
    fn perform(&mut self, operation: &Operation) -> Result<Reply, HostError> {
        let Operation::PowerShell { params, .. } = operation else { panic!("{operation:?}") };
        let what = params["what"].as_str().unwrap();
        self.asked.push(format!("{what} {}", params["updates"]));
        let answer = self.answers.iter().find(|(known, _)| *known == what).map_or(Value::Null, |(_, answer)| answer.clone());
        let stdout = if answer.is_null() { String::new() } else { answer.to_string() };
        Ok(Reply { stdout, ..Reply::default() })
    }

    fn fact(&self, path: &str) -> Option<Value> {
        self.facts.value(path).cloned()
    }
}

fn told(answers: &[(&'static str, Value)]) -> Arc<Mutex<Told>> {
    Arc::new(Mutex::new(Told { facts: windows(), answers: answers.to_vec(), asked: Vec::new() }))
}

const ID: &str = "f3a0c1d2-0000-4000-8000-000000000001:200";

#[test]
fn an_update_of_windows_is_taken_off_and_hidden_and_comes_back_when_that_is_undone() {
    let gone = json!({"installed": [{"package": "KB5034441", "from": ID, "to": null}], "left": [], "restart": true, "touched": 0});
    let hidden = json!({"installed": [], "left": [], "restart": false, "touched": 1});
    let host = told(&[("uninstall", gone), ("hide", hidden.clone()), ("show", hidden.clone()), ("install", hidden)]);
    let shared: SharedHost = host.clone();
    let program = &action("UninstallUpdate").program;
    let given = json!({"name": "KB5034441"});
    assert_eq!(action("UninstallUpdate").check(&given), []);
    assert!(!action("UninstallUpdate").check(&json!({"name": "nginx"})).is_empty(), "a package needs its bad version");
    assert!(!action("UninstallUpdate").check(&json!({"name": "KB5034441x"})).is_empty());
    let second = format!("KB5034441:{}", &ID[..36]);
    assert_eq!(action("UninstallUpdate").check(&json!({"name": second})), []);
    let result = program.run(&shared, &given).unwrap();
    assert_eq!(result, json!({"installed": [{"package": "KB5034441", "from": ID, "to": null}], "held": true, "restart": true}));
    let updates = r#"[{"name":"KB5034441","id":""}]"#;
    assert_eq!(host.lock().unwrap().asked, [format!("uninstall {updates}"), format!("hide {updates}")]);
    host.lock().unwrap().asked.clear();
    let undone = program.undo(&shared, &given, &result).unwrap();
    assert_eq!(undone["restored"][0]["to"], ID);
    let known = format!(r#"[{{"name":"KB5034441","id":"{ID}"}}]"#);
    assert_eq!(host.lock().unwrap().asked, [format!("show {updates}"), format!("install {known}")], "what was hidden is shown");
    // Of a package of the image the agent may know nothing: its article comes back.
    host.lock().unwrap().asked.clear();
    let result = json!({"installed": [{"package": "KB5034441", "from": "KB5034441", "to": null}], "held": false, "restart": true});
    program.undo(&shared, &given, &result).unwrap();
    assert_eq!(host.lock().unwrap().asked, [r#"install [{"name":"KB5034441","id":"KB5034441"}]"#]);
    // What is not there needs nothing, and undoing that needs nothing either.
    let nothing = json!({"installed": [], "left": [], "restart": false, "touched": 0});
    let shared: SharedHost = told(&[("uninstall", nothing.clone()), ("hide", nothing)]);
    let result = program.run(&shared, &given).unwrap();
    assert_eq!((&result["installed"], &result["held"]), (&json!([]), &json!(false)));
    assert_eq!(program.undo(&shared, &given, &result).unwrap(), json!({"restored": []}));
    // Another name is not taken for the article that it begins with.
    for name in ["KB5034441x", "KB", "KB5034441:1", "nginx"] {
        let said = program.run(&shared, &json!({"name": name, "bad": "1"})).unwrap_err().to_string();
        assert!(said.contains("named by the number of its article"), "{name}: {said}");
    }
    assert!(program.run(&shared, &json!({"name": second})).is_ok());
    // What cannot be taken off is said.
    let left = json!({"installed": [], "left": [{"package": "KB5034441", "version": "", "reason": "it is permanent"}], "restart": false});
    let shared: SharedHost = told(&[("uninstall", left)]);
    assert!(program.run(&shared, &given).unwrap_err().to_string().contains("it is permanent"));
}

#[test]
fn what_is_not_offered_on_windows_cannot_be_held_back_and_that_is_said() {
    let left = json!({"installed": [], "left": [{"package": "KB5034441", "version": "", "reason": "it is not offered"}], "restart": false, "touched": 1});
    let shared: SharedHost = told(&[("hide", left.clone()), ("show", left)]);
    let program = &action("HoldUpdates").program;
    let said = program.run(&shared, &json!({"names": ["KB5034440", "KB5034441"]})).unwrap_err().to_string();
    assert!(said.contains("1 cannot be held back: KB5034441: it is not offered"), "{said}");
    program.run(&shared, &json!({"names": ["KB5034441"], "hold": false})).unwrap();
}

#[test]
fn what_was_installed_on_windows_is_taken_off_again_as_far_as_windows_lets_it() {
    let program = &action("InstallUpdates").program;
    let given = json!({"packages": [{"name": "KB1", "version": ID}, {"name": "KB2", "version": "x:1"}]});
    let done = json!({"installed": [{"package": "KB1", "from": null, "to": ID}, {"package": "KB2", "from": null, "to": "x:1"}], "left": [], "restart": true});
    let off = json!({"installed": [{"package": "KB1", "from": ID, "to": null}], "left": [{"package": "KB2", "version": "x:1", "reason": "it is permanent"}]});
    let host = told(&[("install", done), ("uninstall", off)]);
    let shared: SharedHost = host.clone();
    let result = program.run(&shared, &given).unwrap();
    assert_eq!(result["installed"].as_array().unwrap().len(), 2);
    let said = program.undo(&shared, &given, &result).unwrap_err().to_string();
    assert!(said.contains("1 taken off, 1 not: KB2: it is permanent"), "{said}");
    let asked = host.lock().unwrap().asked.last().unwrap().clone();
    assert_eq!(asked, format!(r#"uninstall [{{"name":"KB1","id":"{ID}"}},{{"name":"KB2","id":"x:1"}}]"#));
    // It did not come to its end: everything that was decided is looked for.
    let host = told(&[("uninstall", json!({"installed": [], "left": []}))]);
    let shared: SharedHost = host.clone();
    assert_eq!(program.undo(&shared, &given, &Value::Null).unwrap(), json!({"restored": []}));
    assert_eq!(host.lock().unwrap().asked.len(), 1);
}
