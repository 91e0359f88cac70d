//! Turns what one device printed into sections.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::table::{self, Probe};
use super::{software, take};
use crate::collect::observe::to_section;
use crate::collect::raw::Parsed;
use crate::collect::{Observation, Request, script};
use crate::model::facts::{Status, probe_key};

/// Reads the output for a request and its nonce. Never fails: what is not there or is damaged becomes an unknown section with the
/// reason, and what Windows does not have an unsupported one.
pub(in crate::collect) fn observe(request: &Request, nonce: &str, raw: &[u8], at: DateTime<Utc>) -> Observation {
    if let Some((mode, version)) = crate::script::language_mode(raw) {
        return restricted(request, &mode, version.as_deref(), at);
    }
    let answers = Answers::read(raw, nonce);
    let mut observation = Observation::default();
    if answers.is_empty() {
        observation.problems.push(if raw.is_empty() {
            "the device printed nothing".into()
        } else {
            "no part of the output can be read".to_owned()
        });
    } else if !answers.finished {
        observation.problems.push("the collecting script did not run to its end".into());
    }
    if answers.damaged > 0 {
        observation.problems.push(format!("{} lines of the output are damaged", answers.damaged));
    }
    for name in &request.sections {
        let parsed = match table::section(name) {
            Some(spec) => (spec.parse)(&answers),
            None => Err(Status::Unsupported("not observed on Windows".into())),
        };
        observation.sections.insert(name.clone(), to_section(parsed, at));
    }
    for (kind, all) in &request.probes {
        let parsed = match table::probe(kind) {
            Some(probe) => probed(probe, all, &answers),
            None => Err(Status::Unsupported("there is no such thing on Windows".into())),
        };
        observation.sections.insert(kind.as_str().into(), to_section(parsed, at));
    }
    observation
}

/// Of a device that lets no script work: that is all that is known, and it is told everywhere.
fn restricted(request: &Request, mode: &str, version: Option<&str>, at: DateTime<Utc>) -> Observation {
    let why = format!("the language mode of PowerShell is {mode} here: AppLocker or App Control lets no script of rmm work");
    let mut observation = Observation { problems: vec![why.clone()], ..Observation::default() };
    let names = request.sections.iter().map(|name| &**name).chain(request.probes.keys().map(String::as_str));
    for name in names {
        let parsed = match name {
            "software.powershell" => Ok(software::restricted_powershell(mode, version)),
            _ => Err(Status::Unknown(why.clone())),
        };
        observation.sections.insert(name.into(), to_section(parsed, at));
    }
    observation
}

/// Answers bear the place of what they answer.
fn probed(probe: &Probe, all: &BTreeSet<Vec<String>>, answers: &Answers) -> Parsed {
    let mut found = Map::new();
    for (index, batch) in script::batches(all).into_iter().enumerate() {
        let part = answers.part(&script::batch_block(probe.kind, index))?;
        let items = take::items(part, "items");
        for (place, args) in batch.into_iter().enumerate() {
            let mut own = items.iter().filter(|item| take::count(item, "n") == Some(place as u64));
            let answer = match (own.next(), own.next()) {
                (Some(one), None) => Value::Object((probe.parse)(one)),
                _ => json!({"error": "the device did not answer this"}),
            };
            found.insert(probe_key(args), answer);
        }
    }
    Ok(Value::Object(found))
}
