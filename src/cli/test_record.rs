//! `rmm test --record`: a policy test written from what is known of a device.

use std::path::Path;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::table::Output;
use crate::diagnose::Diagnostic;
use crate::model::State;
use crate::plan::Planner;
use crate::plan::policy_test::{record, run, secret, to_yaml};
use crate::repo::compile_tests;

pub(super) fn run_record(global: &Global, context: &Context, name: &str, out: Option<&Path>) -> Result<Exit, Failure> {
    let device = super::why::find_device(context, name)?;
    let facts = context.store()?.facts(name, None)?;
    if facts.sections.is_empty() {
        let problem = Diagnostic::error("RMM0311", format!("nothing is known of {name} yet"));
        return Err(Failure::new(Exit::Error, problem.advice(format!("rmm collect {}", crate::script::quote(name)))));
    }
    let planner = Planner::new(&context.set, &secret);
    let taken = crate::repo::load_tests(&context.set).tests.into_iter().map(|test| test.test.name).collect();
    let recorded = record(&planner, device, &facts, context.clock.now(), &taken);
    let schema = out.map_or_else(|| "../schemas/tests.json".to_owned(), |file| schema_from(&context.root, file));
    let text = context.redactor.redact(&to_yaml(&recorded.test, &schema)).into_owned();
    // What was written is read back and run: a recorded test that fails at once would be worth nothing.
    let read = compile_tests(vec![("recorded.yaml".into(), text.clone())], &|_| Err("no other file is read".into()), &context.set);
    let passed = !read.invalid() && read.tests.first().is_some_and(|test| run(&planner, test).passed());
    if !passed {
        let problem = Diagnostic::error("RMM0538", format!("no test could be recorded from {name} that passes"));
        let why = read.problems.first().map_or_else(|| "its plan depends on what had to be taken out".to_owned(), ToString::to_string);
        return Err(Failure::new(Exit::Error, problem.advice(why)));
    }
    if let Some(file) = out {
        new_file(file, &text)?;
    } else {
        super::print(&text)?;
    }
    if !global.quiet && global.output == Output::Table {
        for label in &recorded.differs {
            super::say(format!("note: {label} comes out differently than on {name}: its plan depends on what was taken out"));
        }
        if recorded.named {
            super::say(format!("note: the name {name} stays: a policy makes something of it"));
        }
        if let Some(file) = out {
            let lists = recorded.test.expect.lists().filter(|(state, ..)| *state != State::Compliant);
            let n: usize = lists.map(|(_, _, list)| list.len()).sum();
            let said = super::style::count(n, "verdict", "verdicts");
            super::say(format!("{} expects {said}; read it before you commit it", file.display()));
        }
    }
    Ok(Exit::Done)
}

/// The way from the file's folder to the schema.
fn schema_from(root: &Path, file: &Path) -> String {
    let full = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let depth = full.parent().and_then(|folder| folder.strip_prefix(root).ok()).map_or(1, |inside| inside.components().count());
    format!("{}schemas/tests.json", "../".repeat(depth))
}

/// Writes a file that is not there yet: a test that somebody has written is not replaced.
fn new_file(file: &Path, text: &str) -> Result<(), Failure> {
    if file.exists() {
        let problem = Diagnostic::error("RMM0001", format!("{} exists already", file.display()));
        return Err(Failure::new(Exit::Error, problem.advice("name another file, or remove this one")));
    }
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    }
    super::files::write(file, text.as_bytes(), "the test", false)
}

fn unwritten(file: &Path, error: &std::io::Error) -> Failure {
    let problem = Diagnostic::error("RMM0001", format!("{} cannot be written: {error}", file.display()));
    Failure::new(Exit::Error, problem.advice("check that the folder exists, is writable and has room"))
}
