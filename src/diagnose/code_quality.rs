//! The one place that writes the Code Quality report of GitLab: results that it shows in the diff of a merge request.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Level;
use super::sarif::{Finding, fingerprint};

/// The report of one run. Fingerprints survive moved lines, and no two are equal.
pub fn code_quality(findings: &[Finding]) -> Value {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let issues = findings.iter().map(|f| {
        let base = fingerprint(f);
        let times = seen.entry(base.clone()).or_default();
        *times += 1;
        json!({
            "description": f.message,
            "check_name": f.rule,
            "fingerprint": format!("{base}:{times}"),
            "severity": match f.level { Level::Error => "major", Level::Warning => "minor", Level::Note => "info" },
            // A whole file is shown on its first line.
            "location": { "path": f.file, "lines": { "begin": f.line.max(1) } },
        })
    });
    Value::Array(issues.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Diagnostic;
    use crate::model::Place;

    #[test]
    fn every_issue_has_what_the_service_asks_for_and_a_fingerprint_of_its_own() {
        let place = |line| Place { file: "policies/a.yaml".into(), line, column: 3, length: 4 };
        let problem = |line| Diagnostic::error("RMM0102", "unknown key 'tragets'").at(&place(line));
        let findings: Vec<Finding> = [problem(5), problem(9)].iter().map(|p| Finding::of(p, "fleet/")).collect();
        let report = code_quality(&findings);
        assert_eq!(report[0]["location"], json!({"path": "fleet/policies/a.yaml", "lines": {"begin": 5}}));
        assert_eq!(report[0]["check_name"], "RMM0102");
        assert_eq!(report[0]["severity"], "major");
        assert_ne!(report[0]["fingerprint"], report[1]["fingerprint"]);
        // A line above moves both down: they are the same issues as before.
        let moved: Vec<Finding> = [problem(6), problem(10)].iter().map(|p| Finding::of(p, "fleet/")).collect();
        assert_eq!(code_quality(&moved)[1]["fingerprint"], report[1]["fingerprint"]);
    }
}
