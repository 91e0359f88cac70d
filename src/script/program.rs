//! One compiled script and the functions that the product calls in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use rhai::{AST, Array, CallFnOptions, Dynamic, Scope};
use serde_json::Value;

use super::device::DeviceObject;
use super::engine::{engine, timed};
use super::failure::{compile, runtime};
use super::value::{optional, to_dynamic, to_json};
use super::{Host, HostError};
use crate::diagnose::{Category, Diagnose};
use crate::model::Risk;

/// A host that a running script shares with its caller.
pub type SharedHost = Arc<Mutex<dyn Host>>;

/// Why a script did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It does not compile.
    #[error("{message}")]
    Compile {
        /// The compiler's words.
        message: String,
        /// Line in the script file, from 1.
        line: u32,
        /// Column, from 1; 0 where unknown.
        column: u32,
    },
    /// It threw, or called something wrongly.
    #[error("{message}")]
    Runtime {
        /// What it threw, without the call stack.
        message: String,
        /// Line in the script file, from 1; 0 where unknown.
        line: u32,
    },
    /// It went past a bound of the sandbox: operations, depth, sizes, time.
    #[error("the script went past its limit: {limit}")]
    Limit {
        /// Which one.
        limit: String,
    },
    /// The device did not do what it was asked.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Diagnose for ScriptError {
    fn code(&self) -> &'static str {
        match self {
            Self::Compile { .. } => "RMM0601",
            Self::Runtime { .. } => "RMM0602",
            Self::Limit { .. } => "RMM0603",
            Self::Host(HostError::Exit { .. }) => "RMM0604",
            Self::Host(HostError::Transport { code, .. }) => code,
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Host(HostError::Transport { category, .. }) => *category,
            _ => Category::Configuration,
        }
    }
}

/// A compiled script. Cheap to clone, usable from several threads.
#[derive(Debug, Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    text: Cow<'static, str>,
    /// Compiled on first use, so that starting the program costs nothing for scripts that are not needed.
    compiled: OnceLock<Result<Compiled, ScriptError>>,
}

#[derive(Debug)]
struct Compiled {
    ast: AST,
    /// Numbers of parameters by function.
    functions: BTreeMap<String, Vec<usize>>,
}

impl Program {
    /// Compiles a script. Nothing of it runs.
    pub fn compile(text: &str) -> Result<Self, ScriptError> {
        let program = Self { inner: Arc::new(Inner { text: Cow::Owned(text.to_owned()), compiled: OnceLock::new() }) };
        program.compiled()?;
        Ok(program)
    }

    /// A script that is compiled when it is first used.
    pub fn lazy(text: &'static str) -> Self {
        Self { inner: Arc::new(Inner { text: Cow::Borrowed(text), compiled: OnceLock::new() }) }
    }

    /// The script.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// What is wrong with it, where it does not compile.
    pub fn problem(&self) -> Option<ScriptError> {
        self.compiled().err()
    }

    /// Whether it defines a function of this name. Compiles it where that has not been done.
    pub fn has(&self, function: &str) -> bool {
        self.compiled().is_ok_and(|compiled| compiled.functions.contains_key(function))
    }

    /// With how many parameters it defines a function; empty where it does not.
    pub fn arities(&self, function: &str) -> Vec<usize> {
        self.compiled().ok().and_then(|compiled| compiled.functions.get(function).cloned()).unwrap_or_default()
    }

    fn compiled(&self) -> Result<&Compiled, ScriptError> {
        self.inner.compiled.get_or_init(|| Compiled::new(&self.inner.text)).as_ref().map_err(Clone::clone)
    }

    /// Calls a function with as many of the arguments as it takes: the first of `arities` that it is defined with.
    /// `None` where it is not defined at all.
    fn call(&self, function: &str, candidates: Vec<Vec<Dynamic>>) -> Result<Option<Dynamic>, ScriptError> {
        let compiled = self.compiled()?;
        let Some(arities) = compiled.functions.get(function) else { return Ok(None) };
        let wanted: Vec<String> = candidates.iter().map(|arguments| arguments.len().to_string()).collect();
        let Some(arguments) = candidates.into_iter().find(|arguments| arities.contains(&arguments.len())) else {
            let message = format!("{function} has to take {} parameters", wanted.join(" or "));
            return Err(ScriptError::Runtime { message, line: 0 });
        };
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(true);
        timed(|| engine().call_fn_with_options::<Dynamic>(options, &mut Scope::new(), &compiled.ast, function, arguments))
            .map(Some)
            .map_err(|error| runtime(*error))
    }
}

impl Compiled {
    fn new(text: &str) -> Result<Self, ScriptError> {
        let ast = engine().compile(text).map_err(|error| compile(&error))?;
        let mut functions: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for function in ast.iter_functions() {
            functions.entry(function.name.to_owned()).or_default().push(function.params.len());
        }
        Ok(Self { ast, functions })
    }
}

/// A result that is not of the kind that the function has to give.
fn wrong(function: &str, expected: &str, value: &Dynamic) -> ScriptError {
    ScriptError::Runtime { message: format!("{function} has to give {expected}, not {}", value.type_name()), line: 0 }
}

impl Program {
    /// `compliant(observed, desired)`, for settings with a comparison of their own. `observed` is `()` where absent.
    pub fn compliant(&self, observed: Option<&Value>, desired: &Value) -> Result<bool, ScriptError> {
        match self.call("compliant", vec![vec![optional(observed), to_dynamic(desired)]])? {
            None => Err(ScriptError::Runtime { message: "the script has no function compliant(observed, desired)".to_owned(), line: 0 }),
            Some(answer) => answer.as_bool().map_err(|_| wrong("compliant", "true or false", &answer)),
        }
    }

    /// `probes(key, desired)`: the argument lists to ask the collector for; `[[key]]` where the script has none.
    pub fn probes(&self, key: &str, desired: &Value) -> Result<Vec<Vec<String>>, ScriptError> {
        let Some(answer) = self.call("probes", vec![vec![key.into(), to_dynamic(desired)]])? else {
            return Ok(vec![vec![key.to_owned()]]);
        };
        let lists = || -> Option<Vec<Vec<String>>> {
            answer
                .read_lock::<Array>()?
                .iter()
                .map(|list| list.read_lock::<Array>()?.iter().map(|word| word.clone().into_string().ok()).collect())
                .collect()
        };
        lists().ok_or_else(|| wrong("probes", "a list of lists of texts", &answer))
    }

    /// `risk(desired)`, where the risk depends on the value: `none`, `low`, `high`, `destructive`.
    pub fn risk(&self, desired: &Value) -> Result<Option<Risk>, ScriptError> {
        let Some(answer) = self.call("risk", vec![vec![to_dynamic(desired)]])? else { return Ok(None) };
        match &*answer.clone().into_string().unwrap_or_default() {
            "none" => Ok(Some(Risk::None)),
            "low" => Ok(Some(Risk::Low)),
            "high" => Ok(Some(Risk::High)),
            "destructive" => Ok(Some(Risk::Destructive)),
            _ => Err(wrong("risk", "one of none, low, high, destructive", &answer)),
        }
    }

    /// `describe(observed, desired)`, giving `[from, to]`: a few words for the plan. `None` where the script has none.
    pub fn describe(&self, observed: Option<&Value>, desired: &Value) -> Result<Option<(String, String)>, ScriptError> {
        let Some(answer) = self.call("describe", vec![vec![optional(observed), to_dynamic(desired)]])? else { return Ok(None) };
        let pair = answer.read_lock::<Array>().filter(|list| list.len() == 2).map(|list| (list[0].to_string(), list[1].to_string()));
        pair.map(Some).ok_or_else(|| wrong("describe", "a list of two texts", &answer))
    }

    /// `unsupported(device)`: why the setting does not exist on this device, judged by its facts; `None` where it does.
    pub fn unsupported(&self, host: &SharedHost) -> Result<Option<String>, ScriptError> {
        let Some(answer) = self.call("unsupported", vec![vec![device(host)]])? else { return Ok(None) };
        if answer.is_unit() {
            Ok(None)
        } else {
            answer.clone().into_string().map(Some).map_err(|_| wrong("unsupported", "a text or ()", &answer))
        }
    }

    /// `apply(device, desired)`, or `apply(device, key, desired)` for a map-valued setting; either may take `observed` too.
    pub fn apply(&self, host: &SharedHost, key: Option<&str>, desired: &Value, observed: Option<&Value>) -> Result<(), ScriptError> {
        let mut short = vec![device(host)];
        short.extend(key.map(Into::<Dynamic>::into));
        short.push(to_dynamic(desired));
        let mut long = short.clone();
        long.push(optional(observed));
        match self.call("apply", vec![long, short])? {
            Some(_) => Ok(()),
            None => Err(ScriptError::Runtime { message: "the setting only reports: its script has no function apply".to_owned(), line: 0 }),
        }
    }

    /// `run(device, params)`: carries an action out. What it gives back is its result, `null` for nothing.
    pub fn run(&self, host: &SharedHost, parameters: &Value) -> Result<Value, ScriptError> {
        match self.call("run", vec![vec![device(host), to_dynamic(parameters)]])? {
            Some(answer) => to_json(&answer).ok_or_else(|| wrong("run", "a value that JSON can hold", &answer)),
            None => Err(ScriptError::Runtime { message: "the script has no function run(device, params)".to_owned(), line: 0 }),
        }
    }

    /// `before(device, params)`: what has to hold, or to be done, before `run`. Nothing where the script has none.
    pub fn before(&self, host: &SharedHost, parameters: &Value) -> Result<(), ScriptError> {
        self.call("before", vec![vec![device(host), to_dynamic(parameters)]]).map(drop)
    }

    /// `after(device, params, result)`: what is done after `run`, also where that failed. `result` is `#{ok, value, error}`.
    pub fn after(&self, host: &SharedHost, parameters: &Value, result: &Result<Value, String>) -> Result<(), ScriptError> {
        let result = match result {
            Ok(value) => serde_json::json!({ "ok": true, "value": value, "error": null }),
            Err(error) => serde_json::json!({ "ok": false, "value": null, "error": error }),
        };
        self.call("after", vec![vec![device(host), to_dynamic(parameters), to_dynamic(&result)]]).map(drop)
    }

    /// `rollback(device, params, result)`: undoes what an action has done. `result` is what its `run` gave back.
    pub fn undo(&self, host: &SharedHost, parameters: &Value, result: &Value) -> Result<Value, ScriptError> {
        match self.call("rollback", vec![vec![device(host), to_dynamic(parameters), to_dynamic(result)]])? {
            Some(answer) => to_json(&answer).ok_or_else(|| wrong("rollback", "a value that JSON can hold", &answer)),
            None => Err(ScriptError::Runtime {
                message: "the action cannot be undone: its script has no function rollback(device, params, result)".to_owned(),
                line: 0,
            }),
        }
    }

    /// `restart(device, desired)`, or `restart(device, key, desired)`: carries a compliant setting out again after what it
    /// depends on has changed.
    pub fn restart(&self, host: &SharedHost, key: Option<&str>, desired: &Value) -> Result<(), ScriptError> {
        let mut arguments = vec![device(host)];
        arguments.extend(key.map(Into::<Dynamic>::into));
        arguments.push(to_dynamic(desired));
        if self.call("restart", vec![arguments])?.is_some() {
            return Ok(());
        }
        let message = "the setting cannot be restarted: its script has no function restart".to_owned();
        Err(ScriptError::Runtime { message, line: 0 })
    }

    /// `rollback(device, before)`, or `rollback(device, key, before)`. `before` is `()` where it was absent.
    pub fn rollback(&self, host: &SharedHost, key: Option<&str>, before: Option<&Value>) -> Result<(), ScriptError> {
        let mut arguments = vec![device(host)];
        arguments.extend(key.map(Into::<Dynamic>::into));
        arguments.push(optional(before));
        match self.call("rollback", vec![arguments])? {
            Some(_) => Ok(()),
            None => Err(ScriptError::Runtime {
                message: "the setting cannot be undone: its script has no function rollback".to_owned(),
                line: 0,
            }),
        }
    }
}

fn device(host: &SharedHost) -> Dynamic {
    Dynamic::from(DeviceObject::new(host))
}
