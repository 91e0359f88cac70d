//! The lines that a device printed, by part. Each begins with the request's nonce, which nothing on the device can know; what
//! else is printed says nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::facts::Status;

/// Longest reason that is kept, in characters.
const LONGEST: usize = 300;
/// Longest line that is read, in bytes: what is made of one takes many times its room.
const LONGEST_LINE: usize = 4 << 20;
/// Longest name of a part that is looked for in a longer one, in bytes.
const LONGEST_NAME: usize = 100;

/// What one part said.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Data(Value),
    Unsupported(String),
    Error(String),
    Timeout,
    /// In a line that is too long to be read.
    TooLong,
    /// More than once, or nothing that can be read.
    Damaged,
}

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    s: String,
    #[serde(default)]
    d: Option<Value>,
    #[serde(default)]
    unsupported: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    timeout: bool,
}

/// What the parts of an observation said.
#[derive(Debug, Default)]
pub(super) struct Answers {
    said: BTreeMap<String, Said>,
    /// Lines that bear the nonce and cannot be read.
    pub(super) damaged: usize,
    /// Whether the last line arrived.
    pub(super) finished: bool,
}

impl Answers {
    /// Sorts what was printed.
    pub(super) fn read(raw: &[u8], nonce: &str) -> Self {
        let mut answers = Self::default();
        for line in raw.split_inclusive(|b| *b == b'\n') {
            if line.first() != Some(&b'@') || !line.ends_with(b"\n") {
                continue;
            }
            let text = line[1..].strip_prefix(nonce.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
            let Some(text) = text.map(<[u8]>::trim_ascii_end) else { continue };
            if text == b"done" {
                answers.finished = true;
                continue;
            }
            if text.len() > LONGEST_LINE {
                match named(text) {
                    Some(name) => answers.put(name, Said::TooLong),
                    None => answers.damaged += 1,
                }
                continue;
            }
            match serde_json::from_slice::<Line>(text) {
                Ok(line) => answers.take(line),
                Err(_) => answers.damaged += 1,
            }
        }
        answers
    }

    fn take(&mut self, line: Line) {
        let said = match (line.d, line.unsupported, line.error, line.timeout) {
            (Some(data), None, None, false) => Said::Data(plain(data)),
            (None, Some(why), None, false) => Said::Unsupported(words(&why)),
            (None, None, Some(why), false) => Said::Error(words(&why)),
            (None, None, None, true) => Said::Timeout,
            // Nothing at all: a tool that is blocked, a class without an instance where there has to be one.
            (None, None, None, false) => Said::Error("it answered nothing".into()),
            _ => Said::Damaged,
        };
        self.put(line.s, said);
    }

    fn put(&mut self, name: String, said: Said) {
        self.said.entry(name).and_modify(|said| *said = Said::Damaged).or_insert(said);
    }

    /// Whether any part answered.
    pub(super) fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// What a part found.
    pub(super) fn part(&self, name: &str) -> Result<&Value, Status> {
        let unknown = |why: String| Err(Status::Unknown(why));
        match self.said.get(name) {
            Some(Said::Data(data @ (Value::Object(_) | Value::String(_)))) => Ok(data),
            Some(Said::Unsupported(why)) => Err(Status::Unsupported(why.clone())),
            Some(Said::Error(why)) => unknown(format!("'{name}': {why}")),
            Some(Said::Timeout) => unknown(format!("'{name}' did not end in time")),
            Some(Said::TooLong) => unknown(format!("what '{name}' printed is longer than {} MiB", LONGEST_LINE >> 20)),
            Some(Said::Damaged | Said::Data(_)) => unknown(format!("what '{name}' printed is damaged")),
            None => unknown(format!("the output ended before '{name}', or it said nothing")),
        }
    }

    /// What a part found, where the device has it.
    pub(super) fn optional(&self, name: &str) -> Result<Option<&Value>, Status> {
        match self.part(name) {
            Ok(value) => Ok(Some(value)),
            Err(Status::Unsupported(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// Lists as lists: Windows PowerShell writes one that it has wrapped as `{"value": [1, 2], "Count": 2}`.
fn plain(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(plain).collect(),
        Value::Object(mut map) => {
            let list = map.get("value").and_then(Value::as_array).filter(|_| map.len() == 2);
            let wrapped = list.is_some_and(|list| map.get("Count").and_then(Value::as_u64) == Some(list.len() as u64));
            if wrapped && let Some(list) = map.remove("value") {
                return plain(list);
            }
            map.into_iter().map(|(name, value)| (name, plain(value))).collect()
        }
        other => other,
    }
}

/// The part that a line is of, by its beginning.
fn named(text: &[u8]) -> Option<String> {
    let rest = text.strip_prefix(br#"{"s":""#)?;
    let end = rest.iter().take(LONGEST_NAME).position(|b| *b == b'"')?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

/// A reason in the device's words, bounded.
fn words(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const N: &str = "n0nce";

    #[test]
    fn a_line_counts_with_the_nonce_alone_and_whatever_else_is_printed_does_not() {
        let raw = "\u{feff}noise\n@n0nce {\"s\":\"os\",\"d\":{\"a\":1}}\r\n@other {\"s\":\"tpm\",\"d\":{}}\n {\"s\":\"tpm\",\"d\":{}}\n\
                   @n0nce {\"s\":\"tpm\",\"unsupported\":\"no class\"}\n@n0nce {\"s\":\"usb\",\"error\":\"denied\\u0007\"}\n\
                   @n0nce {\"s\":\"gpus\",\"timeout\":true}\n@n0nce {\"s\":\"nics\",\"d\":null}\n@n0nce done\n";
        let answers = Answers::read(raw.as_bytes(), N);
        assert_eq!(answers.part("os"), Ok(&json!({"a": 1})));
        assert_eq!(answers.part("tpm"), Err(Status::Unsupported("no class".into())));
        assert_eq!(answers.optional("tpm"), Ok(None));
        assert_eq!(answers.part("usb"), Err(Status::Unknown("'usb': denied".into())));
        assert_eq!(answers.part("gpus"), Err(Status::Unknown("'gpus' did not end in time".into())));
        assert_eq!(answers.part("nics"), Err(Status::Unknown("'nics': it answered nothing".into())));
        assert!(matches!(answers.part("battery"), Err(Status::Unknown(why)) if why.contains("ended before")));
        assert!(answers.finished && answers.damaged == 0);
    }

    #[test]
    fn a_list_that_powershell_has_wrapped_is_a_list() {
        let raw = "@n0nce {\"s\":\"sockets\",\"d\":{\"tcp\":{\"value\":[{\"value\":[\"::\",445],\"Count\":2}],\"Count\":1},\
                   \"kept\":{\"value\":[1],\"Count\":2},\"own\":{\"value\":[1],\"Count\":1,\"kind\":\"x\"}}}\n";
        let answers = Answers::read(raw.as_bytes(), N);
        let expected = json!({"tcp": [["::", 445]], "kept": {"value": [1], "Count": 2}, "own": {"value": [1], "Count": 1, "kind": "x"}});
        assert_eq!(answers.part("sockets"), Ok(&expected));
    }

    #[test]
    fn a_line_that_is_too_long_costs_its_part_alone() {
        let long = "x".repeat(LONGEST_LINE);
        let raw = format!(
            "@n0nce {{\"s\":\"os\",\"d\":{{\"a\":\"{long}\"}}}}\n@n0nce {{\"s\":\"tpm\",\"d\":{{}}}}\n@n0nce {{\"d\":\"{long}\"}}\n@n0nce done\n"
        );
        let answers = Answers::read(raw.as_bytes(), N);
        assert_eq!(answers.part("os"), Err(Status::Unknown("what 'os' printed is longer than 4 MiB".into())));
        assert_eq!(answers.part("tpm"), Ok(&json!({})));
        assert!(answers.finished && answers.damaged == 1);
    }

    #[test]
    fn what_is_cut_doubled_or_of_another_form_is_not_believed() {
        for raw in [
            "@n0nce {\"s\":\"os\",\"d\":{}}",
            "@n0nce {\"s\":\"os\",\"d\":{\n",
            "@n0nce {\"s\":\"os\",\"d\":{}}\n@n0nce {\"s\":\"os\",\"d\":{}}\n",
            "@n0nce {\"s\":\"os\",\"d\":{},\"error\":\"x\"}\n",
            "@n0nce {\"s\":\"os\",\"d\":[1]}\n",
            "@n0nce {\"s\":\"os\",\"d\":3}\n",
            "@n0nce{\"s\":\"os\",\"d\":{}}\n",
            "@n0nce {\"s\":\"os\",\"x\":{}}\n",
        ] {
            let answers = Answers::read(raw.as_bytes(), N);
            assert!(matches!(answers.part("os"), Err(Status::Unknown(_))), "{raw}");
            assert!(!answers.finished);
        }
    }
}
