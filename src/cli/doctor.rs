//! `rmm doctor`: can these devices be managed, and what is to be done where they cannot.

use clap::Args;
use serde_json::json;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, clean, glyph, paint};
use super::table::{Output, Table};
use crate::apply::doctor::{Doctor, Step, Verdict};
use crate::apply::survey::{Survey, target};
use crate::model::device::TransportKind;
use crate::plan::Scope;
use crate::transport::Target;

/// Arguments of `rmm doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm doctor ws-1\n  rmm doctor Berlin --output json\n\nLooks at name, connection, certificate, sign-in, shell, PowerShell's language mode, rights and clock, and stops at the first step that cannot work. Nothing on the device is changed."
)]
pub(super) struct DoctorArgs {
    /// Devices, groups or key=value selectors
    #[arg(required = true)]
    pub(super) selectors: Vec<String>,
}

pub(super) fn run(global: &Global, args: &DoctorArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    let scope = Scope::parse(&context.set, &args.selectors, &[])?;
    let survey = Survey::new(&context.set, &store, &context.secrets, &context.clock);
    let devices = survey.devices(&scope)?;
    if devices.is_empty() {
        super::print("No device matches.\n")?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new("rmm.doctor/1", &["DEVICE", "STEP", "VERDICT", "FOUND", "ADVICE", "CODE", "MILLISECONDS"]);
    let people = global.output == Output::Table;
    let connections = &context.set.config.connections;
    let (mut failed, mut away, mut shown) = (false, false, Ok(()));
    let stopped = super::signals::block_on(async |signals| {
        for device in &devices {
            let target = target(&context.set, device);
            let winrm = target.transport() == TransportKind::Winrm;
            let limit = if winrm { connections.winrm_timeout.duration() } else { connections.ssh_timeout.duration() };
            let doctor = Doctor { sessions: &survey.sessions, clock: &*context.clock, limit };
            let mut steps = Vec::new();
            let mut tell = |step: Step| steps.push(step);
            tokio::select! {
                () = doctor.examine(&target, &signals.stop, &mut tell) => {}
                () = signals.stop.cancelled() => return Ok::<_, Failure>(true),
            }
            if people && shown.is_ok() {
                shown = super::print(&text(&target, &steps, &|text| context.redactor.redact(text).into_owned()));
            }
            // Nothing comes behind what cannot work.
            if let Some(step) = steps.iter().find(|step| step.verdict == Verdict::Bad) {
                let unreachable = matches!(step.name, "name" | "connection") || step.code == Some("RMM0401");
                if unreachable { away = true } else { failed = true }
            }
            for step in &steps {
                table.push(vec![
                    json!(device.name),
                    json!(step.name),
                    json!(word(step.verdict)),
                    json!(context.redactor.redact(&step.found)),
                    json!(step.advice.as_ref().map(|advice| context.redactor.redact(advice))),
                    json!(step.code),
                    json!(step.took.as_millis() as u64),
                ]);
            }
        }
        Ok(false)
    })?;
    shown?;
    if !people {
        super::print(&table.render(global.output)?)?;
    }
    Ok(match (stopped, failed, away) {
        (true, ..) => Exit::Interrupted,
        (_, true, _) => Exit::SomeFailed,
        (_, _, true) => Exit::SomeUnreachable,
        _ => Exit::Done,
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Notice => "notice",
        Verdict::Bad => "bad",
    }
}

fn text(target: &Target, steps: &[Step], redact: &dyn Fn(&str) -> String) -> String {
    let mut out = format!("{}\n", paint(Tone::Strong, clean(&target.name)));
    for step in steps {
        let (mark, tone) = match step.verdict {
            Verdict::Good => (glyph("\u{2713}", "ok"), Tone::Good),
            Verdict::Notice => (glyph("!", "!"), Tone::Change),
            Verdict::Bad => (glyph("\u{2717}", "x"), Tone::Bad),
        };
        out += &format!("  {} {:15} {}\n", paint(tone, mark), step.name, clean(&redact(&step.found)));
        if let Some(code) = step.code {
            out += &format!("      {}\n", paint(Tone::Dim, format!("{code}; rmm explain {code}")));
        }
        if let Some(advice) = &step.advice {
            out += &format!("      help: {}\n", clean(&redact(advice)));
        }
    }
    out
}
