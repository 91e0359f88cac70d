//! Observed against desired, for one setting of one device. Planning asks it, and applying asks it again before and after.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::memo::Memo;
use super::secrets::{SecretLookup, holds_secret};
use crate::catalog::{Compare, SettingDef};
use crate::model::facts::{Lookup, Section, Status};
use crate::model::plan::State;
use crate::model::{Facts, Platform};

/// What is asked: is this setting as desired?
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The setting.
    pub def: &'a SettingDef,
    /// Key of a map-valued setting, rendered.
    pub key: Option<&'a str>,
    /// Desired value, rendered, secrets not resolved.
    pub desired: &'a Value,
    /// The device's platform, where known.
    pub platform: Option<Platform>,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Compliant, Change (differs and can be changed), Report (differs and cannot), Unknown or Unsupported.
    pub state: State,
    /// The observed value, secrets in clear: pass it through [`evidence`] before it is kept.
    pub observed: Option<Value>,
    /// When it was observed.
    pub observed_at: Option<DateTime<Utc>>,
    /// Why it is unknown or unsupported.
    pub reason: Option<String>,
    /// Unknown because the observation is older than what counts as evidence.
    pub too_old: bool,
}

impl Verdict {
    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self { state: State::Unknown, observed: None, observed_at: None, reason: Some(reason.into()), too_old: false }
    }

    pub(super) fn unsupported(reason: impl Into<String>) -> Self {
        Self { state: State::Unsupported, ..Self::unknown(reason) }
    }
}

/// Judges. Observations before `oldest` are no evidence.
pub fn judge(question: &Question<'_>, facts: &Facts, secrets: SecretLookup<'_>, oldest: DateTime<Utc>) -> Verdict {
    judge_again(question, facts, secrets, oldest, None)
}

/// The same for many devices: `memo` belongs to this definition, key and desired value alone.
pub(super) fn judge_again(
    question: &Question<'_>,
    facts: &Facts,
    secrets: SecretLookup<'_>,
    oldest: DateTime<Utc>,
    memo: Option<&Memo>,
) -> Verdict {
    let Question { def, desired, platform, .. } = *question;
    match platform {
        Some(platform) if !def.platforms.contains(&platform) => return Verdict::unsupported(format!("does not exist on {platform}")),
        None if facts.sections.is_empty() => return Verdict::unknown("never collected"),
        None => return Verdict::unknown("the operating system is not known"),
        Some(_) => {}
    }
    let secret = holds_secret(desired);
    let revealed;
    let compare_with: &Value = if secret {
        revealed = match super::resolved(desired, secrets) {
            Ok(value) => value,
            Err(name) => return Verdict::unknown(format!("the secret '{name}' is not at hand")),
        };
        &revealed
    } else {
        desired
    };
    let (observed, section) = match seen(question, facts, memo) {
        Ok(seen) => seen,
        Err(verdict) => return *verdict,
    };
    let observed = observed.as_deref();
    if section.collected_at < oldest {
        let reason = format!("observed too long ago, {}", section.collected_at.format("%F %H:%M UTC"));
        return Verdict { too_old: true, ..Verdict::unknown(reason) };
    }
    if let Some(error) = observed.and_then(refusal) {
        return Verdict::unknown(error.to_owned());
    }
    let ask = || match def.compare {
        Compare::Script => def.program.compliant(observed, compare_with).map_err(|e| e.to_string()),
        operator => super::compliant(operator, observed, compare_with),
    };
    let answer = match memo {
        // Everything else is cheaper to compare than to look up.
        Some(memo) if matches!(def.compare, Compare::Script | Compare::Matches | Compare::Version) => memo.compliant(observed, ask),
        _ => ask(),
    };
    let state = match answer {
        Ok(true) => State::Compliant,
        Ok(false) if def.remediable_on(platform) => State::Change,
        Ok(false) => State::Report,
        // The words of the comparison could quote the secret, or what the device holds in its place.
        Err(_) if secret => return Verdict::unknown("the secret cannot be compared with what was observed"),
        Err(why) => return Verdict::unknown(why),
    };
    Verdict { state, observed: observed.cloned(), observed_at: Some(section.collected_at), reason: None, too_old: false }
}

/// Why a value could not be observed, where it says so itself; of a list of answers the first.
fn refusal(observed: &Value) -> Option<&str> {
    let error = |value: &'_ Value| -> bool { value.get("error").is_some_and(Value::is_string) };
    let found = match observed {
        Value::Array(list) => list.iter().find(|value| error(value))?,
        value => value,
    };
    found.get("error").and_then(Value::as_str)
}

type Seen<'a> = (Option<Cow<'a, Value>>, &'a Section);

/// The observed value that a question is about, and the section that it stands in.
fn seen<'a>(question: &Question<'_>, facts: &'a Facts, memo: Option<&Memo>) -> Result<Seen<'a>, Box<Verdict>> {
    let Question { def, key, desired, platform } = *question;
    let none = |why: String| Box::new(Verdict::unknown(why));
    let answers = def.answers(&super::placeholders(desired)).map_err(|error| none(error.to_string()))?;
    if !answers.is_empty() {
        let mut list = Vec::with_capacity(answers.len());
        let mut of = None;
        for member in &answers {
            let (value, section) = found(def, facts.lookup(def.observed_on(platform), Some(member)), facts)?;
            list.push(value.cloned().unwrap_or_default());
            of = Some(section);
        }
        let section = of.ok_or_else(|| none("not collected yet".into()))?;
        let value = if list.len() == 1 { list.swap_remove(0) } else { Value::Array(list) };
        return Ok((Some(Cow::Owned(value)), section));
    }
    if let Some((by, key)) = def.keyed.as_ref().and_then(|keyed| keyed.by.as_ref()).zip(key) {
        let key = def.member(key, &super::placeholders(desired)).map_err(|error| none(error.to_string()))?;
        let (list, section) = found(def, facts.lookup(def.observed_on(platform), None), facts)?;
        if let Some(Value::Array(list)) = list {
            let same = |entry: &&Value| entry.get(by).and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(&key));
            return Ok((list.iter().find(same).map(Cow::Borrowed), section));
        }
    }
    let member = match key {
        Some(key) if def.program.has("probes") => {
            let ask = || def.member(key, &super::placeholders(desired)).map_err(|error| error.to_string());
            Some(memo.map_or_else(|| ask().map(Cow::Owned), |memo| memo.member(ask)).map_err(none)?)
        }
        other => other.map(Cow::Borrowed),
    };
    let (value, section) = found(def, facts.lookup(def.observed_on(platform), member.as_deref()), facts)?;
    // Windows takes a name in any case for the same: a policy that says `spooler` means the service `Spooler`.
    let (None, Some(member), Some(Platform::Windows), None) = (value, member, platform, &def.probe) else {
        return Ok((value.map(Cow::Borrowed), section));
    };
    let all = found(def, facts.lookup(def.observed_on(platform), None), facts)?.0.and_then(Value::as_object);
    let same = all.and_then(|all| all.iter().find(|(name, _)| name.eq_ignore_ascii_case(&member)));
    Ok((same.map(|(_, value)| Cow::Borrowed(value)), section))
}

/// What a lookup found, or why that is no evidence.
fn found<'a>(def: &SettingDef, lookup: Lookup<'a>, facts: &Facts) -> Result<(Option<&'a Value>, &'a Section), Box<Verdict>> {
    let verdict = match lookup {
        Lookup::Found(value, section) => return Ok((Some(value), section)),
        Lookup::Absent(_) if def.probe.is_some() => Verdict::unknown("not collected yet"),
        Lookup::Absent(section) => return Ok((None, section)),
        Lookup::Failed(section) => match &section.status {
            Status::Unsupported(why) => Verdict::unsupported(why.clone()),
            Status::Unknown(why) => Verdict::unknown(why.clone()),
            Status::Ok => Verdict::unknown("not observed"),
        },
        Lookup::Never => Verdict::unknown(if facts.sections.is_empty() { "never collected" } else { "not collected yet" }),
    };
    Err(Box::new(verdict))
}

/// An observed value as it may be kept and compared later: one that belongs to a secret is replaced by its hash.
pub fn evidence(observed: Option<&Value>, secret: bool) -> Value {
    use sha2::Digest;
    match observed {
        Some(value) if secret => {
            let digest: [u8; 32] = sha2::Sha256::digest(serde_json::to_vec(value).unwrap_or_default()).into();
            Value::String(format!("sha256:{}", hex::encode(digest)))
        }
        Some(value) => value.clone(),
        None => Value::Null,
    }
}
