//! `rmm eval`: try an expression or a selector against a device, a file of facts, or the whole fleet.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, clean, paint};
use super::table::{Output, Table, document};
use crate::diagnose::{Diagnose as _, Diagnostic, did_you_mean};
use crate::model::{Device, Facts, Place, Selector};
use crate::plan::policy_test::secret;
use crate::plan::{Planner, Targeting};
use crate::repo::{LoadOptions, PolicySet, World, compile, read_facts, read_selector, unknown_facts_in};
use crate::script::{Answer, Condition, ScriptError};
use crate::time::{Clock as _, SystemClock};

/// Arguments of `rmm eval`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm eval --device web-1 'facts.software.os.family == \"linux\"'\n  rmm eval 'facts.hardware.memory.total_gb < 8'\n  rmm eval '{group: All Servers, os: linux}'\n  rmm eval --device samples/web-1.json\n\nWithout an expression, lines are read and answered one by one."
)]
pub(super) struct EvalArgs {
    /// Expression over device and facts, a group's name, or a selector in braces
    pub(super) expression: Option<String>,
    /// A device, or a file of facts as `rmm facts DEVICE --output json` writes it; the whole fleet without one
    #[arg(long, value_name = "DEVICE|FILE")]
    pub(super) device: Option<String>,
}

/// Longest line of the prompt.
const LONGEST: u64 = 64 * 1024;
/// What an expression is called in a message.
const SOURCE: &str = "expression";

pub(super) fn run(global: &Global, args: &EvalArgs) -> Result<Exit, Failure> {
    let (set, devices) = subjects(global, args.device.as_deref())?;
    let recorded = args.device.as_deref().is_some_and(|name| Path::new(name).is_file());
    let planner = Planner::new(&set, &secret);
    let trial = Trial { set: &set, planner: &planner, devices: &devices, one: args.device.is_some(), recorded };
    if let Some(text) = &args.expression {
        super::print(&trial.answer(global, text)?)?;
        return Ok(Exit::Done);
    }
    prompt(global, &trial)?;
    Ok(Exit::Done)
}

/// A device and what is known of it.
type Subject = (Arc<Device>, Facts);

/// What the expression is tried against. A file of facts needs neither a repository nor a database.
fn subjects(global: &Global, device: Option<&str>) -> Result<(Arc<PolicySet>, Vec<Subject>), Failure> {
    let file = device.map(Path::new).filter(|path| path.is_file());
    let context = match (Context::open(global), file) {
        (Ok(context), _) => context,
        (Err(failure), Some(file)) if failure.problems.iter().all(|problem| problem.code == "RMM0100") => {
            return Ok((Arc::new(nothing(&failure)?), vec![recorded(file)?]));
        }
        (Err(failure), _) => return Err(failure),
    };
    let set = Arc::clone(&context.set);
    let Some(name) = device else {
        let store = context.store()?;
        let mut subjects = Vec::with_capacity(set.devices.len());
        for device in set.devices.values() {
            subjects.push((Arc::clone(device), store.facts(&device.name, None)?));
        }
        return Ok((set, subjects));
    };
    if let Some(device) = set.devices.get(name) {
        let facts = context.store()?.facts(name, None)?;
        return Ok((Arc::clone(&set), vec![(Arc::clone(device), facts)]));
    }
    if let Some(file) = file {
        return Ok((set, vec![recorded(file)?]));
    }
    let near = did_you_mean(name, set.devices.keys().map(String::as_str));
    let advice = near.map_or_else(
        || "`rmm devices list` lists them; a file of facts is named by its path".to_owned(),
        |n| format!("did you mean '{n}'?"),
    );
    Err(Failure::new(Exit::Usage, Diagnostic::error("RMM0310", format!("'{name}' is neither a device nor a file")).advice(advice)))
}

/// A repository without anything in it.
fn nothing(failure: &Failure) -> Result<PolicySet, Failure> {
    let options = LoadOptions { root: ".".into(), env: None, environment: Vec::new(), now: SystemClock.now() };
    let loaded = compile(vec![("rmm.toml".into(), String::new())], &options, World::default());
    loaded.set.ok_or_else(|| Failure::new(failure.exit, Diagnostic::error("RMM0100", "no policy repository was found")))
}

fn recorded(file: &Path) -> Result<Subject, Failure> {
    let facts = read_facts(file).map_err(|why| {
        let problem = Diagnostic::error("RMM0532", format!("the facts '{}' cannot be used: {why}", file.display()));
        Failure::new(Exit::Error, problem.advice("`rmm facts DEVICE --output json` writes such a file"))
    })?;
    let name = file.file_stem().map_or_else(|| "device".to_owned(), |name| name.to_string_lossy().into_owned());
    Ok((Arc::new(Device { name, os: facts.platform(), ..Device::default() }), facts))
}

/// What is tried, and against what.
struct Trial<'a> {
    set: &'a PolicySet,
    planner: &'a Planner<'a>,
    devices: &'a [Subject],
    /// One device was asked for, rather than the fleet.
    one: bool,
    /// Whether the facts come from a file.
    recorded: bool,
}

impl Trial<'_> {
    /// The answer to one line.
    fn answer(&self, global: &Global, text: &str) -> Result<String, Failure> {
        let text = text.trim();
        let selector = if text == "*" || self.set.groups.contains_key(text) {
            Some(Selector::Name(text.to_owned()))
        } else if text.starts_with('{') {
            Some(read_selector(text, self.set).map_err(|problems| pointed(text, problems))?)
        } else {
            None
        };
        match selector {
            Some(selector) => self.select(global, &selector),
            None => self.evaluate(global, text),
        }
    }

    fn select(&self, global: &Global, selector: &Selector) -> Result<String, Failure> {
        let mut table = Table::new("rmm.selected/1", &["DEVICE", "MATCHES", "WHY"]);
        let mut rows = Vec::new();
        for (device, facts) in self.devices {
            let (answer, why) = match self.planner.means(selector, device, facts) {
                Targeting::Yes => {
                    let reasons: Vec<String> = self.planner.why_meant(selector, device, facts).into_iter().map(|r| r.text).collect();
                    ("yes", reasons.join(", "))
                }
                Targeting::No => ("no", String::new()),
                Targeting::Unknown(why) => ("unknown", why),
            };
            rows.push((device.name.clone(), answer, why));
        }
        let all = rows.len();
        // Of a fleet those are of interest that match, or may.
        let shown: Vec<_> = rows.into_iter().filter(|(_, answer, _)| self.one || *answer != "no").collect();
        let yes = shown.iter().filter(|(_, answer, _)| *answer == "yes").count();
        let unknown = shown.iter().filter(|(_, answer, _)| *answer == "unknown").count();
        for (device, answer, why) in shown {
            table.push(vec![json!(device), json!(answer), json!(why)]);
        }
        let mut text = table.render(global.output)?;
        if global.output == Output::Table && !self.one {
            let tail = if unknown == 0 { String::new() } else { format!(", {unknown} unknown") };
            text += &format!("{yes} of {}{tail}\n", super::style::count(all, "device", "devices"));
        }
        Ok(text)
    }

    fn evaluate(&self, global: &Global, text: &str) -> Result<String, Failure> {
        let condition = Condition::compile(text).map_err(|error| {
            let (line, column) = if let ScriptError::Compile { line, column, .. } = error { (line.max(1), column) } else { (1, 0) };
            // The end of the text is where something is missing.
            let width = text.lines().nth(line as usize - 1).map_or(0, |l| l.chars().count() as u32);
            let place = Place { file: SOURCE.into(), line, column: if column == 0 { width.max(1) } else { column }, length: 1 };
            let problem = Diagnostic::error("RMM0112", format!("the expression does not compile: {error}")).at(&place);
            pointed(text, vec![problem.advice("`rmm explain where` shows how expressions are written")])
        })?;
        // A file of facts may hold what this version does not know.
        let wrong = if self.recorded { Vec::new() } else { unknown_facts_in(&condition, SOURCE) };
        if !wrong.is_empty() {
            return Err(pointed(text, wrong));
        }
        if let (true, Some((device, facts))) = (self.one, self.devices.first()) {
            return one(global, text, &device.name, condition.value(device, facts));
        }
        let answers = self.devices.iter().map(|(device, facts)| (device, condition.value(device, facts)));
        let mut table = Table::new("rmm.values/1", &["DEVICE", "VALUE", "NOTE"]);
        for (device, answer) in answers {
            let (value, note) = match answer {
                Ok(Answer::Value(value)) => (value, String::new()),
                Ok(Answer::Unknown(path)) => (json!("unknown"), missing(&path)),
                Err(error) => (json!("unknown"), error.to_string()),
            };
            table.push(vec![json!(device.name), value, json!(note)]);
        }
        table.render(global.output)
    }
}

/// The answer for one device.
fn one(global: &Global, text: &str, device: &str, answer: Result<Answer, ScriptError>) -> Result<String, Failure> {
    let answer = answer.map_err(|error| {
        let line = if let ScriptError::Runtime { line, .. } = error { line.max(1) } else { 1 };
        let place = Place { file: SOURCE.into(), line, column: 0, length: 0 };
        let problem = Diagnostic::error("RMM0537", format!("the expression has no value: {error}")).at(&place);
        let advice = error.advice().unwrap_or_else(|| "`rmm explain facts` shows the shape of what was observed".into());
        pointed(text, vec![problem.advice(advice)])
    })?;
    if global.output != Output::Table {
        let (value, unknown) = match answer {
            Answer::Value(value) => (value, Value::Null),
            Answer::Unknown(path) => (Value::Null, json!(missing(&path))),
        };
        return document(&json!({ "schema": "rmm.value/1", "device": device, "value": value, "unknown": unknown }), global.output);
    }
    Ok(match answer {
        Answer::Value(Value::String(text)) => format!("{}\n", clean(&text)),
        Answer::Value(value) if value.is_object() || value.is_array() => document(&value, Output::Yaml)?,
        Answer::Value(value) => format!("{value}\n"),
        Answer::Unknown(path) => format!("{}  {}\n", paint(Tone::Held, "unknown"), paint(Tone::Dim, missing(&path))),
    })
}

fn missing(path: &str) -> String {
    format!("facts.{path} has not been observed")
}

/// Problems that point into the expression.
fn pointed(text: &str, problems: Vec<Diagnostic>) -> Failure {
    let sources: BTreeMap<Arc<str>, String> = [(Arc::from(SOURCE), text.to_owned())].into();
    Failure { exit: Exit::Usage, problems, sources: Arc::new(sources) }
}

/// Reads lines and answers them; an error of one line does not end it.
fn prompt(global: &Global, trial: &Trial<'_>) -> Result<(), Failure> {
    let terminal = std::io::stdin().is_terminal();
    if terminal && !global.quiet {
        super::say("An expression over device and facts, a group, or a selector in braces. Ctrl-D ends it.");
    }
    let mut input = std::io::stdin().lock();
    loop {
        if terminal {
            let mut out = std::io::stderr().lock();
            let _ = out.write_all(b"> ").and_then(|()| out.flush());
        }
        let mut line = Vec::new();
        let read = input.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        let unread = |error: std::io::Error| {
            Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("standard input cannot be read: {error}")))
        };
        if read.map_err(unread)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        match line.trim() {
            "" => {}
            "exit" | "quit" => return Ok(()),
            text => match trial.answer(global, text) {
                Ok(answer) => super::print(&answer)?,
                Err(failure) => super::report(&failure, true),
            },
        }
    }
}
