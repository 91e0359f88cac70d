//! What can be observed and set: `settings/*.rhai`, `collectors/*.sh`, `facts/*.yaml`, one file each. The built-in
//! ones have exactly the form of a team's own in `scripts/`, and no privilege.

mod check;
mod head;
mod setting;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use include_dir::{Dir, include_dir};

pub use setting::{Compare, Keyed, SettingDef};

use crate::diagnose::{Diagnose, Diagnostic};
use crate::script::{Program, ScriptError};

static SETTINGS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/catalog/settings");

/// All settings by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Settings by name.
    pub settings: BTreeMap<Arc<str>, Arc<SettingDef>>,
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
        (catalog, problems)
    }

    /// The built-in settings and a team's own (path, text). A team's file may replace a built-in one of the same name.
    /// A script with a problem is left out, and its problems are returned with their places.
    pub fn with_scripts(scripts: &[(Arc<str>, String)]) -> (Self, Vec<Diagnostic>) {
        let mut catalog = (*Self::builtin()).clone();
        let mut own: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        let mut problems = Vec::new();
        for (path, text) in scripts {
            match read_script(path, text) {
                Ok(setting) => {
                    if let Some(first) = own.insert(Arc::clone(&setting.name), Arc::clone(path)) {
                        let message = format!("the setting {} is declared in two scripts", setting.name);
                        let problem = Diagnostic::error("RMM0606", message).at(&head::place(path, 1, 0));
                        problems.push(problem.related(&head::place(&first, 1, 0), "the first one"));
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

/// Reads a team's script whole: head, code, and whether the two belong together.
fn read_script(path: &Arc<str>, text: &str) -> Result<SettingDef, Vec<Diagnostic>> {
    let program = Program::compile(text).map_err(|error| {
        let (line, column) = if let ScriptError::Compile { line, column, .. } = &error { (*line, *column) } else { (0, 0) };
        vec![error.diagnostic().at(&head::place(path, line, column))]
    })?;
    let setting = head::read(path, text, program).map_err(|problem| vec![*problem])?;
    let problems = problems_of(&setting);
    if problems.is_empty() { Ok(setting) } else { Err(problems) }
}

/// What does not fit together in a setting: schema, functions, examples.
fn problems_of(setting: &SettingDef) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let at = head::place(&setting.file, 1, 0);
    let mut problem = |code: &str, message: String| problems.push(Diagnostic::error(code, message).at(&at));
    if !setting.name.starts_with(|c: char| c.is_ascii_uppercase()) || !setting.name.chars().all(|c| c.is_ascii_alphanumeric()) {
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
