//! What can be observed, set and done: `settings/*.rhai`, `actions/*.rhai`, `collectors/*.sh`, `facts/*.yaml`, one file
//! each. The built-in ones have exactly the form of a team's own in `scripts/`, and no privilege.

mod action;
mod check;
pub mod facts;
mod head;
mod setting;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use include_dir::{Dir, include_dir};

pub use action::ActionDef;
pub use setting::{Compare, Keyed, SettingDef};

use crate::diagnose::{Diagnose, Diagnostic};
use crate::model::action::By;
use crate::script::{Program, ScriptError};

static SETTINGS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/catalog/settings");

static ACTIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/catalog/actions");

/// All settings and actions by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Settings by name.
    pub settings: BTreeMap<Arc<str>, Arc<SettingDef>>,
    /// Actions by name.
    pub actions: BTreeMap<Arc<str>, Arc<ActionDef>>,
}

impl Catalog {
    /// The built-in settings, read once per process.
    pub fn builtin() -> Arc<Self> {
        static BUILTIN: OnceLock<Arc<Catalog>> = OnceLock::new();
        Arc::clone(BUILTIN.get_or_init(|| Arc::new(Self::read_builtin().0)))
    }

    /// Heads only; scripts are compiled when they are first used. That none has a problem is tested.
    fn read_builtin() -> (Self, Vec<Diagnostic>) {
        let (mut catalog, mut problems) = (Self::default(), Vec::new());
        for file in SETTINGS.files() {
            let path: Arc<str> = format!("builtin:settings/{}", file.path().display()).into();
            let text = file.contents_utf8().unwrap_or_default();
            match head::read(&path, text, Program::lazy(text)) {
                Ok(setting) => {
                    catalog.settings.insert(Arc::clone(&setting.name), Arc::new(setting));
                }
                Err(problem) => problems.push(*problem),
            }
        }
        for file in ACTIONS.files() {
            let path: Arc<str> = format!("builtin:actions/{}", file.path().display()).into();
            let text = file.contents_utf8().unwrap_or_default();
            match head::read_action(&path, text, Program::lazy(text)) {
                Ok(action) => {
                    catalog.actions.insert(Arc::clone(&action.name), Arc::new(action));
                }
                Err(problem) => problems.push(*problem),
            }
        }
        (catalog, problems)
    }

    /// The action of this name: `InstallUpdates`, `Install-Updates`, `install-updates`.
    pub fn action(&self, name: &str) -> Option<&Arc<ActionDef>> {
        self.actions.get(name).or_else(|| {
            let wanted = action::plain(name);
            self.actions.values().find(|known| action::plain(&known.name) == wanted)
        })
    }

    /// The built-in ones and a team's own (path, text). A team's file may replace a built-in one of the same name.
    /// A script with a problem is left out, and its problems are returned with their places.
    pub fn with_scripts(scripts: &[(Arc<str>, String)]) -> (Self, Vec<Diagnostic>) {
        let mut catalog = (*Self::builtin()).clone();
        let mut own: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        let mut problems = Vec::new();
        for (path, text) in scripts {
            let read = if head::is_action(text) {
                read_action(path, text).map(Script::Action)
            } else {
                read_script(path, text).map(Script::Setting)
            };
            match read {
                Ok(Script::Action(action)) => {
                    if let Some(first) = own.insert(Arc::clone(&action.name), Arc::clone(path)) {
                        problems.push(twice("action", &action.name, path, &first));
                        continue;
                    }
                    catalog.actions.insert(Arc::clone(&action.name), Arc::new(action));
                }
                Ok(Script::Setting(setting)) => {
                    if let Some(first) = own.insert(Arc::clone(&setting.name), Arc::clone(path)) {
                        problems.push(twice("setting", &setting.name, path, &first));
                        continue;
                    }
                    catalog.settings.insert(Arc::clone(&setting.name), Arc::new(setting));
                }
                Err(found) => problems.extend(found),
            }
        }
        (catalog, problems)
    }
}

enum Script {
    Setting(SettingDef),
    Action(ActionDef),
}

fn twice(kind: &str, name: &str, path: &Arc<str>, first: &Arc<str>) -> Diagnostic {
    let message = format!("the {kind} {name} is declared in two scripts");
    let problem = Diagnostic::error("RMM0606", message).at(&head::place(path, 1, 0));
    problem.related(&head::place(first, 1, 0), "the first one")
}

fn compiled(path: &Arc<str>, text: &str) -> Result<Program, Vec<Diagnostic>> {
    Program::compile(text).map_err(|error| {
        let (line, column) = if let ScriptError::Compile { line, column, .. } = &error { (*line, *column) } else { (0, 0) };
        vec![error.diagnostic().at(&head::place(path, line, column))]
    })
}

/// Reads a team's action whole.
fn read_action(path: &Arc<str>, text: &str) -> Result<ActionDef, Vec<Diagnostic>> {
    let action = head::read_action(path, text, compiled(path, text)?).map_err(|problem| vec![*problem])?;
    let mut problems = problems_of_action(&action);
    if action.by == By::Engine {
        let message = "an action of your own needs a script: 'by: engine' is for what the product itself does";
        problems.push(Diagnostic::error("RMM0607", message).at(&head::place(path, 1, 0)));
    }
    if problems.is_empty() { Ok(action) } else { Err(problems) }
}

/// What does not fit together in an action: schema, function, examples.
fn problems_of_action(action: &ActionDef) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let at = head::place(&action.file, 1, 0);
    let mut problem = |code: &str, message: String| problems.push(Diagnostic::error(code, message).at(&at));
    if !well_named(&action.name) {
        problem("RMM0605", format!("'{}' is not a name for an action: letters and digits, beginning with a capital letter", action.name));
    }
    if action.platforms.is_empty() && action.by == By::Script {
        problem("RMM0605", "the head names no platform".to_owned());
    }
    if action.parameters["type"] != "object" {
        problem("RMM0608", "the schema of the parameters is wrong: it has to be of type object".to_owned());
        return problems;
    }
    if let Err(reason) = action.schema() {
        problem("RMM0608", format!("the schema of the parameters is wrong: {reason}"));
        return problems;
    }
    match (action.by, action.program.arities("run").as_slice()) {
        (By::Script, []) => problem("RMM0607", "an action needs a function run(device, params)".to_owned()),
        (By::Script, arities) if !arities.contains(&2) => problem("RMM0607", "the function run has to take 2 parameters".to_owned()),
        (By::Engine, [_, ..]) => problem("RMM0607", "'by: engine' and a function run exclude one another".to_owned()),
        _ => {}
    }
    for (function, takes) in [("before", 2), ("after", 3), ("rollback", 3)] {
        let arities = action.program.arities(function);
        if !arities.is_empty() && !arities.contains(&takes) {
            problem("RMM0607", format!("the function {function} has to take {takes} parameters"));
        }
    }
    for example in &action.examples {
        for (pointer, message) in action.check(example) {
            problem("RMM0609", format!("an example does not fit the schema: {pointer} {message}"));
        }
    }
    problems
}

fn well_named(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Reads a team's script whole: head, code, and whether the two belong together.
fn read_script(path: &Arc<str>, text: &str) -> Result<SettingDef, Vec<Diagnostic>> {
    let program = compiled(path, text)?;
    let setting = head::read(path, text, program).map_err(|problem| vec![*problem])?;
    let problems = problems_of(&setting);
    if problems.is_empty() { Ok(setting) } else { Err(problems) }
}

/// What does not fit together in a setting: schema, functions, examples.
fn problems_of(setting: &SettingDef) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let at = head::place(&setting.file, 1, 0);
    let mut problem = |code: &str, message: String| problems.push(Diagnostic::error(code, message).at(&at));
    if !well_named(&setting.name) {
        problem("RMM0605", format!("'{}' is not a name for a setting: letters and digits, beginning with a capital letter", setting.name));
    }
    if setting.platforms.is_empty() {
        problem("RMM0605", "the head names no platform".to_owned());
    }
    if let Err(reason) = setting.schema() {
        problem("RMM0608", format!("the schema of the value is wrong: {reason}"));
        return problems;
    }
    let keyed = usize::from(setting.keyed.is_some());
    let wanted: [(&str, &[usize], bool); 7] = [
        ("compliant", &[2], setting.compare == Compare::Script),
        ("probes", &[2], false),
        ("risk", &[1], false),
        ("describe", &[2], false),
        ("unsupported", &[1], false),
        ("apply", &[2 + keyed, 3 + keyed], false),
        ("rollback", &[2 + keyed], false),
    ];
    for (function, allowed, needed) in wanted {
        let arities = setting.program.arities(function);
        if arities.is_empty() && needed {
            problem("RMM0607", format!("'compare: script' needs a function {function}(observed, desired)"));
        } else if !arities.is_empty() && !arities.iter().any(|n| allowed.contains(n)) {
            let allowed = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
            problem("RMM0607", format!("the function {function} has to take {allowed} parameters"));
        }
    }
    for example in &setting.examples {
        for (pointer, message) in example_violations(setting, example) {
            problem("RMM0609", format!("an example does not fit the schema: {pointer} {message}"));
        }
    }
    problems
}

fn example_violations(setting: &SettingDef, example: &serde_json::Value) -> Vec<(String, String)> {
    match (&setting.keyed, example.as_object()) {
        (None, _) => setting.check(None, example),
        (Some(_), Some(map)) => map.iter().flat_map(|(key, value)| setting.check(Some(key), value)).collect(),
        (Some(keyed), None) => vec![(String::new(), format!("an example has to be a map from {} to value", keyed.name))],
    }
}
