//! The `device` object of scripts: reading calls are answered from facts, changing calls become operations.

use std::sync::{MutexGuard, PoisonError};

use rhai::{Array, Dynamic, Engine, EvalAltResult, Map};
use serde_json::Value;
use zeroize::Zeroizing;

use super::failure::{host, thrown};
use super::own::own;
use super::value::{to_dynamic, to_json};
use super::variables::with_variables;
use super::{Host, HostError, SharedHost, edit, engine, windows};
use crate::model::operation::{Operation, Reply};

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// Most bytes of a program's standard error that an error text repeats.
const SHOWN_STDERR: usize = 400;

/// The device in a script.
#[derive(Clone)]
pub(super) struct DeviceObject(SharedHost);

impl DeviceObject {
    pub(super) fn new(host: &SharedHost) -> Self {
        Self(SharedHost::clone(host))
    }

    fn host(&self) -> MutexGuard<'_, dyn Host + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an operation to the host, and overwrites it afterwards: it may hold secrets.
    fn perform(&self, operation: Operation) -> Fallible<Reply> {
        let operation = Zeroizing::new(operation);
        engine::uncounted(|| self.host().perform(&operation)).map_err(host)
    }

    /// What a program answered that must not fail.
    fn must(&self, program: &str, reply: Reply) -> Fallible<Map> {
        if reply.code == 0 {
            return Ok(answer(reply));
        }
        // Redacted before it is cut: nobody knows half a secret again.
        let stderr = ending(&self.host().shown(reply.stderr.trim()));
        Err(host(HostError::Exit { program: program.to_owned(), code: reply.code, stderr }))
    }

    fn attempt(&self, argv: &Array, input: Option<&str>) -> Fallible<Reply> {
        let argv = words(argv)?;
        if input.is_some_and(|text| text.contains('\0')) {
            return Err(thrown("a NUL byte cannot be sent to a program as text"));
        }
        self.perform(Operation::Run { argv, input: input.map(str::to_owned) })
    }

    fn run(&self, argv: &Array, input: Option<&str>) -> Fallible<Map> {
        let program = argv.first().map(Dynamic::to_string).unwrap_or_default();
        self.must(&program, self.attempt(argv, input)?)
    }

    fn run_env(&self, argv: &Array, variables: &Map, input: &str) -> Fallible<Map> {
        let program = argv.first().map(Dynamic::to_string).unwrap_or_default();
        let mut pairs: Vec<(&str, Zeroizing<String>)> = Vec::with_capacity(variables.len());
        for (name, value) in variables {
            let [text] = <[String; 1]>::try_from(words(&vec![value.clone()])?).map_err(|_| thrown("a variable has one value"))?;
            pairs.push((name.as_str(), text.into()));
        }
        self.must(&program, self.perform(with_variables(words(argv)?, &pairs, input).map_err(thrown)?)?)
    }

    fn try_powershell(&self, script: &str, params: Map) -> Fallible<Reply> {
        if script.contains('\0') {
            return Err(thrown("a NUL byte cannot stand in a script"));
        }
        let params =
            to_json(&params.into()).ok_or_else(|| thrown("the parameters of a PowerShell script have to be values that JSON can hold"))?;
        self.perform(Operation::PowerShell { script: script.to_owned(), params })
    }

    fn powershell(&self, script: &str, params: Map) -> Fallible<Map> {
        self.must("the PowerShell script", self.try_powershell(script, params)?)
    }

    fn write_file(&self, path: &str, content: &str, options: &Map) -> Fallible<()> {
        let [mode, owner, group] = ownership("write_file", path, options)?;
        let operation = Operation::WriteFile { path: path.to_owned(), content: content.to_owned(), mode, owner, group };
        self.must(path, self.perform(operation)?).map(drop)
    }

    fn own(&self, path: &str, options: &Map) -> Fallible<()> {
        let [mode, owner, group] = ownership("own", path, options)?;
        if mode.is_none() && owner.is_none() && group.is_none() {
            return Ok(());
        }
        self.must("own", self.perform(own(path, mode.as_deref(), owner.as_deref(), group.as_deref()))?).map(drop)
    }

    /// One of the fixed scripts for Windows; what it answers in JSON, `()` where it answers nothing.
    fn windows(&self, what: &str, operation: Result<Operation, String>) -> Fallible<Dynamic> {
        let reply = self.perform(operation.map_err(thrown)?)?;
        let text = reply.stdout.clone();
        self.must(what, reply)?;
        match text.trim() {
            "" => Ok(Dynamic::UNIT),
            text => serde_json::from_str(text)
                .map(|value| to_dynamic(&value))
                .map_err(|_| thrown(format!("{what} answered something else than JSON"))),
        }
    }

    fn security_policy(&self, entries: &Map) -> Fallible<()> {
        let entries: Option<Vec<(&str, Value)>> = entries.iter().map(|(name, value)| Some((name.as_str(), to_json(value)?))).collect();
        let entries = entries.ok_or_else(|| thrown("the security policy holds whole numbers and texts"))?;
        self.windows("the security policy", windows::security_policy(&entries)).map(drop)
    }

    /// What the system answers about updates; while planning nothing answers.
    fn windows_updates(&self, what: &str, list: &Array) -> Fallible<Dynamic> {
        let text = |map: &Map, key: &str| map.get(key).and_then(|value| value.clone().into_string().ok()).unwrap_or_default();
        let one = |item: &Dynamic| item.read_lock::<Map>().map(|map| (text(&map, "name"), text(&map, "id")));
        let list: Option<Vec<(String, String)>> = list.iter().map(one).collect();
        let list = list.ok_or_else(|| thrown("an update is a map with its name and its id"))?;
        self.windows("the updates", windows::updates(what, &list))
    }

    /// The fact at a path; `()` where it was not observed. `key` is one more member, taken as a whole (it may hold dots).
    fn fact(&self, path: &str, key: Option<&str>) -> Dynamic {
        let value = self.host().fact(path);
        match (value, key) {
            (Some(Value::Object(map)), Some(key)) => map.get(key).map_or(Dynamic::UNIT, to_dynamic),
            (Some(value), None) => to_dynamic(&value),
            _ => Dynamic::UNIT,
        }
    }
}

/// Makes `device` known to the engine.
pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<DeviceObject>("device");
    engine.register_get("name", |device: &mut DeviceObject| device.host().name());
    engine.register_fn("fact", |device: &mut DeviceObject, path: &str| device.fact(path, None));
    engine.register_fn("fact", |device: &mut DeviceObject, path: &str, key: &str| device.fact(path, Some(key)));
    engine.register_fn("run", |device: &mut DeviceObject, argv: Array| device.run(&argv, None));
    engine.register_fn("try_run", |device: &mut DeviceObject, argv: Array| device.attempt(&argv, None).map(answer));
    engine.register_fn("run_input", |device: &mut DeviceObject, argv: Array, input: &str| device.run(&argv, Some(input)));
    engine.register_fn("run_env", |device: &mut DeviceObject, argv: Array, variables: Map| device.run_env(&argv, &variables, ""));
    engine.register_fn("run_env", |device: &mut DeviceObject, argv: Array, variables: Map, input: &str| {
        device.run_env(&argv, &variables, input)
    });
    engine.register_fn("powershell", |device: &mut DeviceObject, script: &str| device.powershell(script, Map::new()));
    engine.register_fn("powershell", |device: &mut DeviceObject, script: &str, params: Map| device.powershell(script, params));
    engine.register_fn("try_powershell", |device: &mut DeviceObject, script: &str, params: Map| {
        device.try_powershell(script, params).map(answer)
    });
    engine.register_fn("registry_set", |device: &mut DeviceObject, key: &str, name: &str, kind: &str, value: Dynamic| {
        device.windows("the registry", windows::registry_set(key, name, kind, &json_of(&value)?))
    });
    engine.register_fn("registry_remove", |device: &mut DeviceObject, key: &str, name: &str| {
        device.windows("the registry", windows::registry_remove(key, name))
    });
    engine.register_fn("users_registry_set", |device: &mut DeviceObject, user: &str, key: &str, name: &str, kind: &str, value: Dynamic| {
        device.windows("the registry of users", windows::users_set(one_user(user)?, key, name, kind, &json_of(&value)?))
    });
    engine.register_fn("users_registry_remove", |device: &mut DeviceObject, user: &str, key: &str, name: &str| {
        device.windows("the registry of users", windows::users_remove(one_user(user)?, key, name))
    });
    engine.register_fn("security_policy", |device: &mut DeviceObject, entries: Map| device.security_policy(&entries));
    engine.register_fn("windows_updates", |device: &mut DeviceObject, what: &str, list: Array| device.windows_updates(what, &list));
    engine.register_fn("user_right", |device: &mut DeviceObject, right: &str, accounts: Array| -> Fallible<()> {
        let accounts = if accounts.is_empty() { Vec::new() } else { words(&accounts)? };
        device.windows("the security policy", windows::user_right(right, &accounts)).map(drop)
    });
    engine.register_fn("write_file", |device: &mut DeviceObject, path: &str, content: &str| device.write_file(path, content, &Map::new()));
    engine.register_fn("write_file", |device: &mut DeviceObject, path: &str, content: &str, options: Map| {
        device.write_file(path, content, &options)
    });
    engine.register_fn("own", |device: &mut DeviceObject, path: &str, options: Map| device.own(path, &options));
    engine.register_fn("set_line", |device: &mut DeviceObject, path: &str, pattern: &str, line: &str| -> Fallible<()> {
        device.must("set_line", device.perform(edit::set_line(path, pattern, line).map_err(thrown)?)?).map(drop)
    });
    engine.register_fn("set_first_line", |device: &mut DeviceObject, path: &str, pattern: &str, line: &str| -> Fallible<()> {
        device.must("set_first_line", device.perform(edit::set_first_line(path, pattern, line).map_err(thrown)?)?).map(drop)
    });
    engine.register_fn("remove_lines", |device: &mut DeviceObject, path: &str, pattern: &str, line: &str| -> Fallible<()> {
        device.must("remove_lines", device.perform(edit::remove_lines(path, pattern, line).map_err(thrown)?)?).map(drop)
    });
}

fn json_of(value: &Dynamic) -> Fallible<Value> {
    to_json(value).ok_or_else(|| thrown("a value of the registry is a text, a whole number or a list of texts"))
}

/// `*` for every user, else a SID.
fn one_user(user: &str) -> Fallible<Option<&str>> {
    let sid = user.strip_prefix("S-1-").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
    match user {
        "*" => Ok(None),
        user if sid => Ok(Some(user)),
        user => Err(thrown(format!("'{}' is neither * nor a SID", user.escape_debug()))),
    }
}

/// Mode, owner and group among the options of a call.
fn ownership(call: &str, path: &str, options: &Map) -> Fallible<[Option<String>; 3]> {
    if !path.starts_with('/') || path.contains('\0') || path.ends_with('/') {
        return Err(thrown(format!("'{path}' is not the absolute path of a file")));
    }
    let text = |name: &str| match options.get(name) {
        None => Ok(None),
        Some(value) if value.is_unit() => Ok(None),
        Some(value) => match value.clone().into_string() {
            Ok(text) if !text.is_empty() && !text.contains(['\0', '\n', ':']) => Ok(Some(text)),
            _ => Err(thrown(format!("{name} of {path} is not a name: {value}"))),
        },
    };
    if let Some(other) = options.keys().find(|key| !["mode", "owner", "group"].contains(&key.as_str())) {
        return Err(thrown(format!("{call} knows mode, owner and group, not '{other}'")));
    }
    let mode = text("mode")?;
    if let Some(mode) = &mode
        && !(matches!(mode.len(), 3 | 4) && mode.bytes().all(|b| (b'0'..=b'7').contains(&b)))
    {
        return Err(thrown(format!("'{mode}' is not an octal mode such as 0644")));
    }
    Ok([mode, text("owner")?, text("group")?])
}

/// A list of a script as arguments: texts and whole numbers, each one argument.
fn words(argv: &Array) -> Fallible<Vec<String>> {
    if argv.is_empty() {
        return Err(thrown("a command needs at least a program"));
    }
    argv.iter()
        .map(|word| {
            let text = if word.is_int() { word.to_string() } else { word.clone().into_string().unwrap_or_else(|kind| format!("\0{kind}")) };
            match text.split_once('\0') {
                None => Ok(text),
                Some(("", kind)) if !word.is_string() => Err(thrown(format!("an argument has to be a text or a whole number, not {kind}"))),
                Some(_) => Err(thrown("a NUL byte cannot be passed to a program")),
            }
        })
        .collect()
}

/// The end of what a program complained of.
fn ending(text: &str) -> String {
    let mut start = text.len().saturating_sub(SHOWN_STDERR);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

fn answer(reply: Reply) -> Map {
    Map::from([
        ("code".into(), i64::from(reply.code).into()),
        ("stdout".into(), reply.stdout.into()),
        ("stderr".into(), reply.stderr.into()),
    ])
}
