//! The result of policy tests as JUnit XML: one suite per file, one case per test.

use std::collections::BTreeMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::failure::Failure;
use super::test_report::{Report, Tested, diff, unwritten};

/// The document, ending with a line feed.
pub(super) fn junit(report: &Report<'_>) -> Result<String, Failure> {
    let bytes = write(report).map_err(|_| unwritten("JUnit XML"))?;
    String::from_utf8(bytes).map_err(|_| unwritten("JUnit XML"))
}

fn write(report: &Report<'_>) -> io::Result<Vec<u8>> {
    let mut suites: BTreeMap<&str, Vec<&Tested<'_>>> = BTreeMap::new();
    for tested in &report.tests {
        suites.entry(&tested.test.place.file).or_default().push(tested);
    }
    let failed = report.failures().count().to_string();
    let total = report.tests.len().to_string();
    let took = format!("{:.3}", report.took.as_secs_f64());
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    writer
        .create_element("testsuites")
        .with_attributes([("name", "rmm test"), ("tests", &total), ("failures", &failed), ("errors", "0"), ("time", &took)])
        .write_inner_content(|writer| suites.iter().try_for_each(|(file, tests)| suite(writer, file, tests)))?;
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn suite(writer: &mut Writer<Vec<u8>>, file: &str, tests: &[&Tested<'_>]) -> io::Result<()> {
    let total = tests.len().to_string();
    let failed = tests.iter().filter(|tested| !tested.outcome.passed()).count().to_string();
    let file = legal(file);
    writer
        .create_element("testsuite")
        .with_attributes([("name", file.as_str()), ("tests", &total), ("failures", &failed), ("errors", "0"), ("skipped", "0")])
        .write_inner_content(|writer| tests.iter().try_for_each(|tested| case(writer, &file, tested)))?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, file: &str, Tested { test, outcome }: &Tested<'_>) -> io::Result<()> {
    let (name, line) = (legal(&test.test.name), test.place.line.to_string());
    let element = writer.create_element("testcase").with_attributes([
        ("classname", file),
        ("name", name.as_str()),
        ("file", file),
        ("line", line.as_str()),
    ]);
    if outcome.passed() {
        element.write_empty()?;
        return Ok(());
    }
    let message: Vec<String> = outcome.differences.iter().map(|difference| legal(&difference.what)).collect();
    let mut text = String::new();
    for difference in &outcome.differences {
        text += &format!("{}: {}\n", difference.place, difference.what);
        diff(difference).for_each(|(sign, line)| text += &format!("{sign} {line}\n"));
    }
    element.write_inner_content(|writer| {
        writer
            .create_element("failure")
            .with_attributes([("type", "RMM0530"), ("message", message.join("; ").as_str())])
            .write_text_content(BytesText::new(&legal(&text)))?;
        Ok(())
    })?;
    Ok(())
}

/// XML has no place for most control characters, not even escaped.
fn legal(text: &str) -> String {
    let bad = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if bad(c) { '\u{fffd}' } else { c }).collect()
}
