//! `rmm exec`: a command on devices, ad hoc. Confirmed, audited, bounded.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;
use super::style::{Tone, clean, count, paint};
use super::table::{Output, Table};
use crate::access::Redactor;
use crate::apply::survey::{Survey, target};
use crate::diagnose::{Category, Diagnose as _};
use crate::model::action::Role;
use crate::model::{Operation, Shell};
use crate::plan::Scope;
use crate::store::AuditEvent;
use crate::time::Span;
use crate::transport::{self, TransportError};

/// Arguments of `rmm exec`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm exec web-1 -- uptime\n  rmm exec 'Web Servers' --elevate -- systemctl reload nginx\n  rmm exec '*' --yes --shell -- 'df -h / | tail -1'\n\nThe words after -- are given to the program as they are; no shell reads them, unless --shell is given."
)]
pub(super) struct ExecArgs {
    /// Devices, groups or key=value selectors
    #[arg(required = true)]
    pub(super) selectors: Vec<String>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
    /// Become root by the device's own elevate rule
    #[arg(long)]
    pub(super) elevate: bool,
    /// Give the one word after -- to the device's sh, on Windows to PowerShell
    #[arg(long)]
    pub(super) shell: bool,
    /// Time for the command
    #[arg(long, value_name = "DURATION")]
    pub(super) timeout: Option<Span>,
    /// Devices at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) concurrency: Option<u32>,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

struct Answer {
    device: String,
    result: Result<transport::Output, TransportError>,
}

pub(super) fn run(global: &Global, args: ExecArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    context.may(&store, Role::Admin, "run commands", None)?;
    let scope = Scope::parse(&context.set, &args.selectors, &[])?;
    let survey = Survey::new(&context.set, &store, &context.secrets, &context.clock);
    let devices = survey.devices(&scope)?;
    let line = if args.shell {
        match args.command.as_slice() {
            [text] => text.clone(),
            _ => return Err(Failure::usage("--shell takes one word after --", "put the command in quotes")),
        }
    } else {
        args.command.iter().map(|word| crate::script::quote(word)).collect::<Vec<_>>().join(" ")
    };
    if line.contains('\0') {
        return Err(Failure::usage("the command holds a NUL byte", "take it out"));
    }
    // Windows has no sh: words are handed over as words, and a text is PowerShell.
    let elsewhere = match args.command.as_slice() {
        [text] if args.shell => Operation::PowerShell { script: text.clone(), params: json!({}) },
        words => Operation::Run { argv: words.to_vec(), input: None },
    };
    let elsewhere = Arc::new(crate::script::render(&elsewhere, Shell::PowerShell));
    let names: Vec<String> = devices.iter().map(|d| d.name.clone()).collect();
    if names.is_empty() {
        super::print("No device matches.\n")?;
        return Ok(Exit::Done);
    }
    if !args.yes && names.len() > 1 {
        super::confirm::ask(&format!("run `{}` on {}", clean(&line), count(names.len(), "device", "devices")), &names, "--yes")?;
    }
    let audit = |device: &str, details: serde_json::Value, success: bool| AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: if details.get("exit").is_some() || details.get("error").is_some() { "exec.ended" } else { "exec.started" }.into(),
        target: Some(device.to_owned()),
        details,
        ip: Some(context.actor.from.clone()),
        success,
    };
    // `$(rmm secrets get NAME)` in a command stands in it when it comes here.
    context.secrets.learn_at_hand();
    let shown = context.redactor.redact(&line).into_owned();
    // Before anything runs: what is not in the record must not happen.
    let intents: Vec<AuditEvent> =
        names.iter().map(|name| audit(name, json!({ "command": shown, "elevate": args.elevate }), true)).collect();
    store.audit_all(&intents)?;
    let progress = Progress::new(global, "running");
    let total = devices.len();
    let most = args.concurrency.unwrap_or(context.set.config.connections.max_concurrent) as usize;
    let places = transport::Places::new(most, most);
    let mut answers = super::signals::block_on(async |signals| {
        let mut tasks = JoinSet::new();
        for device in devices {
            let (sessions, places, target) = (Arc::clone(&survey.sessions), places.clone(), target(&context.set, &device));
            let command = transport::Command {
                line: line.clone(),
                elevate: args.elevate,
                timeout: args.timeout.map(|t: Span| -> Duration { t.duration() }),
                ..transport::Command::default()
            };
            let (stop, elsewhere) = (signals.stop.clone(), Arc::clone(&elsewhere));
            tasks.spawn(async move {
                let _place = places.take(target.transport()).await;
                let result = match sessions.open(&target, &stop).await {
                    Ok(session) if session.shell() == Shell::PowerShell => {
                        let (line, input) = (elsewhere.line.clone(), elsewhere.input.clone().unwrap_or_default());
                        session.run(transport::Command { line, input, ..command }, &stop).await
                    }
                    Ok(session) => session.run(command, &stop).await,
                    Err(error) => Err(error),
                };
                Answer { device: target.name, result }
            });
        }
        let mut answers = Vec::with_capacity(total);
        while let Some(answer) = tasks.join_next().await {
            answers.extend(answer.ok());
            progress.at(answers.len(), total);
        }
        Ok::<_, Failure>(answers)
    })?;
    progress.finish();
    answers.sort_by(|a, b| a.device.cmp(&b.device));
    let ends: Vec<AuditEvent> = answers
        .iter()
        .map(|a| match &a.result {
            Ok(output) => audit(
                &a.device,
                json!({ "exit": output.code, "stdoutBytes": output.stdout.len(), "stderrBytes": output.stderr.len() }),
                output.code == 0,
            ),
            Err(error) => audit(&a.device, json!({ "error": context.redactor.redact(&error.to_string()) }), false),
        })
        .collect();
    store.audit_all(&ends)?;
    show(global, &answers, &context.redactor)
}

fn show(global: &Global, answers: &[Answer], redactor: &Redactor) -> Result<Exit, Failure> {
    // What signs in and what raises rights is known here; a device may say it back.
    let text = |bytes: &[u8]| redactor.redact(&String::from_utf8_lossy(bytes)).into_owned();
    let (mut failed, mut away, mut cancelled) = (0, 0, false);
    let mut table = Table::new("rmm.exec/1", &["DEVICE", "EXIT", "STDOUT", "STDERR", "ERROR"]);
    let mut out = String::new();
    for answer in answers {
        match &answer.result {
            Ok(output) => {
                failed += usize::from(output.code != 0);
                table.push(vec![
                    json!(answer.device),
                    json!(output.code),
                    json!(text(&output.stdout)),
                    json!(text(&output.stderr)),
                    json!(null),
                ]);
                let tone = if output.code == 0 { Tone::Good } else { Tone::Bad };
                out += &format!("{}  {}\n", paint(Tone::Strong, clean(&answer.device)), paint(tone, format!("exit {}", output.code)));
                for (stream, tone) in [(&output.stdout, Tone::Plain), (&output.stderr, Tone::Dim)] {
                    for line in text(stream).lines() {
                        out += &format!("  {}\n", paint(tone, clean(line)));
                    }
                }
            }
            Err(error) => {
                match (error, error.category()) {
                    (TransportError::Cancelled, _) => cancelled = true,
                    // The device was there; the command took too long.
                    (TransportError::Timeout { .. }, _) => failed += 1,
                    (_, Category::Device | Category::Transient) => away += 1,
                    _ => failed += 1,
                }
                let error = redactor.redact(&error.to_string()).into_owned();
                out += &format!("{}  {}\n", paint(Tone::Strong, clean(&answer.device)), paint(Tone::Bad, clean(&error)));
                table.push(vec![json!(answer.device), json!(null), json!(""), json!(""), json!(error)]);
            }
        }
    }
    super::print(&if global.output == Output::Table { out } else { table.render(global.output)? })?;
    if failed + away > 0 && global.output == Output::Table && answers.len() > 1 {
        super::say(format!("{} of {} did not answer with exit code 0", failed + away, count(answers.len(), "device", "devices")));
    }
    Ok(match (cancelled, failed, away) {
        (true, ..) => Exit::Interrupted,
        (_, 1.., _) => Exit::SomeFailed,
        (_, _, 1..) => Exit::SomeUnreachable,
        _ => Exit::Done,
    })
}
