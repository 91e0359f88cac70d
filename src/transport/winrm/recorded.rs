//! Standard error of PowerShell as others have recorded it. Run by hand: `tests/windows-output`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::readable;
use crate::transport::recordings::{self, Kind, Recording, Took};

#[test]
#[ignore = "reads the recordings that tests/windows-output names"]
fn recordings_of_windows_errors_are_read() {
    recordings::each(Kind::Errors, take);
}

fn take(recording: &Recording) -> Result<Took, String> {
    let mut count = 0;
    for text in streams(&recording.text) {
        let expected = errors(&text);
        let found = String::from_utf8(readable(text.into_bytes())).map_err(|error| error.to_string())?;
        if found.trim() != expected.trim() {
            return Err(format!("{found:?} instead of {expected:?}"));
        }
        count += 1;
    }
    if count == 0 { Ok(Took::Nothing("it speaks of such XML and holds none that is whole".into())) } else { Ok(Took::Records(count)) }
}

/// What came over standard error, from a file of it, from answers of an endpoint, and from tests written in Python.
fn streams(text: &str) -> Vec<String> {
    if text.starts_with("#< CLIXML") {
        return vec![text.to_owned()];
    }
    let literal = |line: &str| {
        let line = &line[line.find("#< CLIXML")?..];
        let end = line.rfind("</Objs>")? + "</Objs>".len();
        Some(line[..end].replace("\\r\\n", "\r\n").replace("\\'", "'"))
    };
    let mut all: Vec<String> = text.lines().filter_map(literal).collect();
    // The pieces of one answer are one text.
    for answer in text.split("ReceiveResponse>") {
        let piece = |rest: &str| {
            let (head, body) = rest.split_once('>')?;
            let body = body.split('<').next().filter(|_| !head.ends_with('/') && head.contains("Name=\"stderr\""))?;
            String::from_utf8(STANDARD.decode(body.trim()).ok()?).ok()
        };
        let whole: String = answer.split("<rsp:Stream ").skip(1).filter_map(piece).collect();
        if whole.starts_with("#< CLIXML") {
            all.push(whole);
        }
    }
    all
}

/// The errors of such a text, found by their marks alone.
fn errors(text: &str) -> String {
    let one = |rest: &str| rest.split_once("</S>").map(|(text, _)| text.to_owned());
    let all: String = text.split("<S S=\"Error\">").skip(1).filter_map(one).collect();
    all.replace("_x000D__x000A_", "\n").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
