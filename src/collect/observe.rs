//! Turns one device's raw output into sections.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::raw::{Parsed, Raw, Texts};
use super::sections::{self, Probe, Spec};
use super::settled::{Question, Settled};
use super::{Request, frames, script};
use crate::model::Section;
use crate::model::facts::Status;

/// What was seen on one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// Every section that was asked for, observed or not; probes under the name of their kind.
    pub sections: BTreeMap<Arc<str>, Section>,
    /// What went wrong on the way, in sentences: a script that did not end, damaged blocks, refused arguments.
    pub problems: Vec<String>,
}

/// Reads the output of [`script::script`] for the same request and nonce. Never fails: what is not there or is damaged
/// becomes an unknown section with the reason.
pub fn parse(request: &Request, nonce: &str, raw: &[u8], at: DateTime<Utc>) -> Observation {
    parse_again(request, nonce, raw, at, None).0
}

/// The same for a device that is asked again and again: with what it said before, and what to remember of it now.
pub(super) fn parse_again(
    request: &Request,
    nonce: &str,
    raw: &[u8],
    at: DateTime<Utc>,
    again: Option<(&Question, Option<&Arc<Settled>>)>,
) -> (Observation, Option<Arc<Settled>>) {
    let mut observation = Observation::default();
    let mut frames = frames::read(raw, nonce);
    let mut settled = None;
    let unpacked;
    match again {
        Some((_, Some(known))) if !frames.same.is_empty() => {
            unpacked = known.unpack();
            known.fill(&unpacked, &mut frames);
            settled = Some(Arc::clone(known));
        }
        Some((question, _)) => settled = question.keep(&frames).map(Arc::new),
        None => {}
    }
    frames.damaged.extend(std::mem::take(&mut frames.same));
    if frames.blocks.is_empty() {
        observation.problems.push(if raw.is_empty() {
            "the device printed nothing".into()
        } else {
            "no part of the output can be read".to_owned()
        });
    } else if !frames.finished {
        observation.problems.push("the collecting script did not run to its end".into());
    }
    observation.problems.extend(frames.damaged.iter().map(|name| format!("the block '{name}' of the output is damaged")));
    let texts = Texts::new(&frames);
    let (files, _) = script::needs(request);
    let patterns: Vec<&str> = files.into_iter().collect();
    let raw = Raw::new(&texts, &patterns);

    for name in &request.sections {
        let parsed = match sections::section(name) {
            Some(spec) => section(spec, &raw),
            None => Err(Status::Unknown("the collector does not know this section".into())),
        };
        observation.sections.insert(name.clone(), to_section(parsed, at));
    }
    for (kind, all) in &request.probes {
        let parsed = match sections::probe(kind) {
            Some(probe) => probed(probe, all, &raw),
            None => Err(Status::Unknown("the collector does not know this probe".into())),
        };
        observation.sections.insert(kind.as_str().into(), to_section(parsed, at));
    }
    (observation, settled)
}

pub(super) fn to_section(parsed: Parsed, at: DateTime<Utc>) -> Section {
    match parsed {
        Ok(data) => Section::new(data, Status::Ok, at),
        Err(status) => Section::new(Value::Null, status, at),
    }
}

fn section(spec: &Spec, raw: &Raw<'_>) -> Parsed {
    present(raw, spec.files, spec.blocks)?;
    if raw.system == "Darwin" && !spec.darwin {
        return Err(Status::Unsupported("not observed on macOS".into()));
    }
    (spec.parse)(raw)
}

/// Whether every block that a section is read from arrived whole.
fn present(raw: &Raw<'_>, files: &[&str], blocks: &[&str]) -> Result<(), Status> {
    let needed = files.iter().map(|path| script::files_block(path)).chain(blocks.iter().copied());
    for block in std::iter::once("host").chain(needed) {
        check_block(raw, block)?;
    }
    Ok(())
}

pub(super) fn check_block(raw: &Raw<'_>, block: &str) -> Result<(), Status> {
    match raw.code(block) {
        None => Err(Status::Unknown(format!("the output ended before '{block}' or is damaged there"))),
        Some(124 | 137 | 143) => Err(Status::Unknown(format!("'{block}' did not end in time"))),
        Some(_) => Ok(()),
    }
}

fn probed(probe: &Probe, all: &std::collections::BTreeSet<Vec<String>>, raw: &Raw<'_>) -> Parsed {
    present(raw, probe.files, probe.blocks)?;
    if raw.system == "Darwin" && !probe.darwin {
        return Err(Status::Unsupported("not observed on macOS".into()));
    }
    let mut answers = serde_json::Map::new();
    for (index, batch) in script::batches(all).into_iter().enumerate() {
        let block = script::batch_block(probe.kind, index);
        let text = if probe.fragment.is_empty() {
            ""
        } else {
            check_block(raw, &block)?;
            raw.block(&block).unwrap_or_default()
        };
        (probe.parse)(raw, &batch, text, &mut answers)?;
    }
    Ok(Value::Object(answers))
}
