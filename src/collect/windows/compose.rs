//! Composes the one command that asks a device for everything in a request. Scripts of parts and arguments of probes are values
//! of a script that is always the same: nothing is pasted.

use std::collections::BTreeSet;
use std::time::Duration;

use include_dir::{Dir, include_dir};
use serde_json::{Value, json};

use super::table::{self, PARTS, PROBE_SECONDS};
use crate::collect::{Limits, Request, script, windows_updates};
use crate::model::operation::Operation;
use crate::transport::{Command, Shell};

/// The scripts of the parts, with the one that runs them and the one around each.
pub(super) static SCRIPTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/catalog/collectors/windows");

/// Parts at the same time. More would only wait for the one service that answers most of them.
const AT_ONCE: u32 = 5;
/// What the script leaves of the time, to end in.
const REST: Duration = Duration::from_secs(8);

/// The text of a part without lines that are comments.
pub(super) fn text(name: &str) -> String {
    let whole = match name {
        "updates" => windows_updates::SCRIPT,
        _ => SCRIPTS.get_file(format!("{name}.ps1")).and_then(include_dir::File::contents_utf8).unwrap_or_default(),
    };
    whole.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()).flat_map(|line| [line, "\n"]).collect()
}

/// The command. Sections and probes that Windows does not have are left out.
pub(in crate::collect) fn compose(request: &Request, nonce: &str, limits: Limits) -> Command {
    let seconds = limits.timeout.saturating_sub(REST).max(Duration::from_secs(5)).as_secs();
    // Those that begin together may all hang: what comes behind them has the other half of the time.
    let longest = u32::try_from(seconds / 2).unwrap_or(u32::MAX);
    let specs = request.sections.iter().filter_map(|name| table::section(name));
    let wanted: BTreeSet<&str> = specs.flat_map(|spec| spec.parts.iter().copied()).collect();
    let mut parts: Vec<Value> = PARTS
        .iter()
        .filter(|part| wanted.contains(part.name))
        .map(|part| json!({"name": part.name, "script": text(part.name), "seconds": part.seconds.min(longest), "asked": null}))
        .collect();
    for (kind, all) in &request.probes {
        let Some(probe) = table::probe(kind) else { continue };
        for (index, batch) in script::batches(all).into_iter().enumerate() {
            let asked: Vec<Value> = batch.into_iter().map(|args| (probe.ask)(args)).collect();
            let name = script::batch_block(kind, index);
            parts.push(json!({"name": name, "script": text(probe.part), "seconds": PROBE_SECONDS.min(longest), "asked": asked}));
        }
    }
    let params = json!({"nonce": nonce, "most": AT_ONCE, "seconds": seconds, "frame": text("frame"), "parts": parts});
    let rendered = crate::script::render(&Operation::PowerShell { script: text("run"), params }, Shell::PowerShell);
    Command {
        line: rendered.line,
        input: rendered.input.unwrap_or_default(),
        elevate: false,
        timeout: Some(limits.timeout),
        max_output: Some(limits.max_output),
    }
}
