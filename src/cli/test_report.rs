//! What came of the policy tests, in every form: for people, programs, CI systems and pull requests.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, clean, count, paint};
use super::table::{Output, Table, document};
use super::test::Format;
use crate::diagnose::Diagnostic;
use crate::diagnose::markdown::{LONGEST, plain};
use crate::diagnose::sarif::{self, Finding};
use crate::model::policy_test::ReadyTest;
use crate::plan::policy_test::{Coverage, Difference, Outcome};

/// A test and what came of it.
pub(super) struct Tested<'a> {
    /// The test.
    pub(super) test: &'a ReadyTest,
    /// What came of it.
    pub(super) outcome: &'a Outcome,
}

/// What came of all tests.
pub(super) struct Report<'a> {
    /// The folder of the policy repository within its Git repository.
    pub(super) prefix: String,
    /// Test by test, by file and line.
    pub(super) tests: Vec<Tested<'a>>,
    /// How many files they stand in.
    pub(super) files: usize,
    /// What they touch, where that was asked for.
    pub(super) coverage: Option<Coverage>,
    /// How much they have to touch, in per cent.
    pub(super) minimum: Option<u8>,
    /// Whether what is not touched is listed.
    pub(super) list_coverage: bool,
    /// How long reading and running them took.
    pub(super) took: Duration,
    /// Name the tests that passed too.
    pub(super) verbose: bool,
    /// Only what failed.
    pub(super) quiet: bool,
}

impl Report<'_> {
    /// Whether a test failed, or too little is touched.
    pub(super) fn failed(&self) -> bool {
        self.failures().next().is_some() || self.too_little().is_some()
    }

    /// In the asked form, ending with a line feed.
    pub(super) fn text(&self, format: Format, output: Output) -> Result<String, Failure> {
        match format {
            Format::Human => Ok(self.human()),
            Format::Json => self.structured(output),
            Format::Junit => super::test_junit::junit(self),
            Format::Markdown => Ok(self.markdown()),
            Format::Github => Ok(self.github()),
        }
    }

    /// The tests that failed.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Tested<'_>> {
        self.tests.iter().filter(|tested| !tested.outcome.passed())
    }

    fn too_little(&self) -> Option<String> {
        let (coverage, minimum) = (self.coverage.as_ref()?, self.minimum?);
        (coverage.percent() < minimum).then(|| format!("the tests touch {} % of the policies, less than {minimum} %", coverage.percent()))
    }

    fn human(&self) -> String {
        let mut out = String::new();
        for Tested { test, outcome } in &self.tests {
            let name = clean(&test.test.name);
            if outcome.passed() {
                if self.verbose {
                    let _ = writeln!(out, "{}  {}  {name}", paint(Tone::Good, "pass"), paint(Tone::Dim, clean(&test.place.to_string())));
                }
                continue;
            }
            let _ = writeln!(
                out,
                "{}  {}  {}",
                paint(Tone::Bad, "FAIL"),
                paint(Tone::Dim, clean(&test.place.to_string())),
                paint(Tone::Strong, name)
            );
            for difference in &outcome.differences {
                let _ = writeln!(out, "      {}  {}", clean(&difference.what), paint(Tone::Dim, clean(&difference.place.to_string())));
                for (sign, text) in diff(difference) {
                    let tone = if sign == '-' { Tone::Bad } else { Tone::Good };
                    let _ = writeln!(out, "      {}", paint(tone, format!("{sign} {}", clean(text))));
                }
            }
            out.push('\n');
        }
        if let Some(coverage) = &self.coverage {
            self.coverage_text(&mut out, coverage);
        }
        if self.tests.is_empty() {
            out += "There are no tests yet: write tests/*.yaml, or record one with `rmm test --record DEVICE`.\n";
        } else if self.failures().next().is_some() {
            let signs = format!("{} expected, {} what the plan says", paint(Tone::Bad, "-"), paint(Tone::Good, "+"));
            let _ = writeln!(out, "{}  {}", self.sum(), paint(Tone::Dim, format!("({signs})")));
        } else if !self.quiet {
            let _ = writeln!(out, "{}", self.sum());
        }
        out
    }

    /// `Tests: 11 passed, 1 failed, in 0.02 s`
    fn sum(&self) -> String {
        let failed = self.failures().count();
        let passed = self.tests.len() - failed;
        let (head, tail) = if failed == 0 { (Tone::Good, String::new()) } else { (Tone::Bad, format!(", {failed} failed")) };
        format!("{} {passed} passed{tail}, in {:.2} s", paint(head, "Tests:"), self.took.as_secs_f64())
    }

    fn coverage_text(&self, out: &mut String, coverage: &Coverage) {
        if self.list_coverage && !coverage.uncovered.is_empty() {
            let places: Vec<String> = coverage.uncovered.iter().map(|line| clean(&line.place.to_string())).collect();
            let width = places.iter().map(String::len).max().unwrap_or(0);
            let _ = writeln!(out, "No test touches:");
            let mut policy = None;
            for (line, place) in coverage.uncovered.iter().zip(&places) {
                if policy != Some(&line.policy) {
                    let whole = coverage.policies.iter().any(|(name, _)| *name == line.policy);
                    let note = if whole { "  nothing of it" } else { "" };
                    let _ = writeln!(out, "  {}{}", paint(Tone::Strong, clean(&line.policy)), paint(Tone::Dim, note));
                    policy = Some(&line.policy);
                }
                let _ = writeln!(out, "    {}  {}", paint(Tone::Dim, format!("{place:width$}")), clean(&line.what));
            }
            out.push('\n');
        }
        let tone = if self.too_little().is_some() { Tone::Bad } else { Tone::Good };
        let of =
            format!("{} of {}", coverage.touched, count(coverage.total, "setting, guard or exception", "settings, guards and exceptions"));
        let asked = self.too_little().and(self.minimum).map(|minimum| format!(", less than the {minimum} % asked for")).unwrap_or_default();
        let _ = writeln!(out, "{} {} %, {of}{asked}", paint(tone, "Coverage:"), coverage.percent());
    }

    fn structured(&self, output: Output) -> Result<String, Failure> {
        if matches!(output, Output::Jsonl | Output::Csv) {
            let mut table = Table::new("rmm.tests/1", &["TEST", "FILE", "LINE", "PASSED", "DIFFERENCES"]);
            for Tested { test, outcome } in &self.tests {
                let said: Vec<String> = outcome.differences.iter().map(|d| format!("{}: {}", d.what, d.actual.join("; "))).collect();
                table.push(vec![
                    json!(test.test.name),
                    json!(test.place.file),
                    json!(test.place.line),
                    json!(outcome.passed()),
                    json!(said),
                ]);
            }
            return table.render(output);
        }
        let tests: Vec<Value> = self
            .tests
            .iter()
            .map(|Tested { test, outcome }| {
                let differences: Vec<Value> = outcome
                    .differences
                    .iter()
                    .map(|d| json!({ "what": d.what, "place": d.place, "expected": d.expected, "actual": d.actual }))
                    .collect();
                json!({ "name": test.test.name, "place": test.place, "passed": outcome.passed(), "differences": differences })
            })
            .collect();
        let failed = self.failures().count();
        let mut value = json!({ "schema": "rmm.tests/1", "passed": tests.len() - failed, "failed": failed, "tests": tests });
        if let (Some(coverage), Some(map)) = (&self.coverage, value.as_object_mut()) {
            let policies: Vec<Value> = coverage.policies.iter().map(|(name, place)| json!({ "policy": name, "place": place })).collect();
            let uncovered: Vec<Value> =
                coverage.uncovered.iter().map(|u| json!({ "policy": u.policy, "what": u.what, "place": u.place })).collect();
            let percent = coverage.percent();
            let (total, touched, minimum) = (coverage.total, coverage.touched, self.minimum);
            map.insert(
                "coverage".into(),
                json!({ "percent": percent, "total": total, "touched": touched, "minimum": minimum, "untouchedPolicies": policies, "untouched": uncovered }),
            );
        }
        document(&value, if output == Output::Yaml { Output::Yaml } else { Output::Json })
    }

    /// A failed test is an annotation at each line that expects something else.
    fn github(&self) -> String {
        let mut findings = Vec::new();
        for Tested { test, outcome } in self.failures() {
            for difference in &outcome.differences {
                let lines: Vec<String> = diff(difference).map(|(sign, text)| format!("{sign} {text}")).collect();
                let message = format!("{}\n{}\n{}", test.test.name, difference.what, lines.join("\n"));
                findings.push(Finding::of(&Diagnostic::error("RMM0530", message).at(&difference.place), &self.prefix));
            }
        }
        if let Some(message) = self.too_little() {
            findings.push(Finding::of(&Diagnostic::error("RMM0535", message), &self.prefix));
        }
        sarif::annotations(&findings)
    }

    /// Bounded, what failed first, the details folded. The marker lets a later comment replace this one.
    fn markdown(&self) -> String {
        let failed = self.failures().count();
        let mut out = String::from("<!-- rmm test -->\n");
        let head = if failed == 0 { "Policy tests passed" } else { "Policy tests failed" };
        let _ = writeln!(
            out,
            "### {head}\n\n{} passed, {failed} failed, in {}.",
            self.tests.len() - failed,
            count(self.files, "file", "files")
        );
        let mut left_out = 0;
        for Tested { test, outcome } in self.failures() {
            let mut part =
                format!("\n<details><summary><b>{}</b> {}</summary>\n\n", plain(&test.test.name), plain(&test.place.to_string()));
            part += "```diff\n";
            for difference in &outcome.differences {
                let _ = writeln!(part, "@@ {} @@ {}", fenced(&difference.what), fenced(&difference.place.to_string()));
                for (sign, text) in diff(difference) {
                    let _ = writeln!(part, "{sign} {}", fenced(text));
                }
            }
            part += "```\n\n</details>\n";
            if out.len() + part.len() > LONGEST {
                left_out += 1;
            } else {
                out += &part;
            }
        }
        if left_out > 0 {
            let _ = writeln!(out, "\n{} left out here; `rmm test` shows them.", count(left_out, "failed test is", "failed tests are"));
        }
        if let Some(coverage) = &self.coverage {
            let asked = self.minimum.map(|minimum| format!(" (at least {minimum} % is asked for)")).unwrap_or_default();
            let _ = writeln!(
                out,
                "\nThe tests touch {} of {} settings, guards and exceptions: {} %{asked}.",
                coverage.touched,
                coverage.total,
                coverage.percent()
            );
        }
        out
    }
}

/// The lines of a difference with their signs: expected before actual.
pub(super) fn diff(difference: &Difference) -> impl Iterator<Item = (char, &str)> {
    let expected = difference.expected.iter().map(|line| ('-', line.as_str()));
    expected.chain(difference.actual.iter().map(|line| ('+', line.as_str())))
}

/// Text in a fenced block: on its line, and unable to end the block.
fn fenced(text: &str) -> String {
    clean(text).replace("```", "'''")
}

/// An error of writing a report.
pub(super) fn unwritten(what: &str) -> Failure {
    Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("the result cannot be written as {what}")))
}
