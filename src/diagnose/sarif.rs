//! The one place that writes SARIF 2.1.0: every result with a location and a fingerprint that survives moved lines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Diagnostic, Level, page};

/// One result.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Code or rule, `RMM0102`, `review/change`.
    pub rule: String,
    /// What the rule is about, in a few words.
    pub about: String,
    /// How bad it is.
    pub level: Level,
    /// In words.
    pub message: String,
    /// File relative to the root of the Git repository.
    pub file: String,
    /// Line from 1; 0 where the whole file is meant.
    pub line: u32,
    /// Column from 1; 0 where the whole line is meant.
    pub column: u32,
    /// Length in characters, 0 where unknown.
    pub length: u32,
    /// What makes it the same result another time, besides rule and file.
    pub identity: String,
}

impl Finding {
    /// A problem of a repository that lies in the folder `prefix` of the Git repository.
    pub fn of(problem: &Diagnostic, prefix: &str) -> Self {
        let advice = problem.advice.as_ref().map(|advice| format!(" ({advice})")).unwrap_or_default();
        let about = page(&problem.code).map_or_else(|| problem.code.clone(), |page| page.title.to_owned());
        let place = problem.place.clone().unwrap_or_else(|| crate::model::Place::file("rmm.toml"));
        Self {
            rule: problem.code.clone(),
            about,
            level: problem.level,
            message: format!("{}{advice}", problem.message),
            file: inside(&place.file, prefix),
            line: place.line,
            column: place.column,
            length: place.length,
            identity: problem.message.clone(),
        }
    }
}

/// A path of the policy repository as one of the Git repository.
pub fn inside(file: &str, prefix: &str) -> String {
    format!("{prefix}{file}")
}

/// The log of one run.
pub fn sarif(findings: &[Finding]) -> Value {
    let rules: BTreeMap<&str, &str> = findings.iter().map(|f| (f.rule.as_str(), f.about.as_str())).collect();
    let index: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(i, rule)| (*rule, i)).collect();
    let described: Vec<Value> = rules.iter().map(|(id, about)| json!({ "id": id, "shortDescription": { "text": about } })).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let results: Vec<Value> = findings
        .iter()
        .map(|f| {
            let base = fingerprint(f);
            let times = seen.entry(base.clone()).or_default();
            *times += 1;
            let mut location = json!({ "artifactLocation": { "uri": uri(&f.file), "uriBaseId": "%SRCROOT%" } });
            // A whole file is shown on its first line.
            let mut region = json!({ "startLine": f.line.max(1) });
            if f.column > 0 {
                region["startColumn"] = json!(f.column);
                if f.length > 0 {
                    region["endColumn"] = json!(f.column + f.length);
                }
            }
            location["region"] = region;
            json!({
                "ruleId": f.rule,
                "ruleIndex": index.get(f.rule.as_str()),
                "level": match f.level { Level::Error => "error", Level::Warning => "warning", Level::Note => "note" },
                "message": { "text": f.message },
                "locations": [{ "physicalLocation": location }],
                "partialFingerprints": { "rmm/v1": format!("{base}:{times}") },
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "rmm",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": described,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// What makes a result the same one another time, wherever its line is.
pub(super) fn fingerprint(f: &Finding) -> String {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    for part in [&f.rule, &f.file, &f.identity] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    hex::encode(&digest[..16])
}

/// A relative path as a URI reference.
fn uri(path: &str) -> String {
    let plain: BTreeSet<u8> = b"-._~/".iter().copied().collect();
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// Workflow commands of GitHub Actions, one a line: `::error file=...,line=...,col=...,title=...::message`.
pub fn annotations(findings: &[Finding]) -> String {
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let mut out = String::new();
    for f in findings {
        let level = match f.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let line = if f.line > 0 { format!(",line={},col={}", f.line, f.column.max(1)) } else { String::new() };
        out += &format!("::{level} file={}{line},title={}::{}\n", property(&f.file), property(&f.rule), escape(&f.message));
    }
    out
}
