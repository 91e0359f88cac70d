//! The probe `lines`: whether a line stands in a file, and what matches an expression.

use serde_json::{Map, Value, json};

use crate::collect::raw::Raw;
use crate::model::facts::{Status, probe_key};

pub(in crate::collect) fn lines(_: &Raw<'_>, batch: &[&Vec<String>], text: &str, answers: &mut Map<String, Value>) -> Result<(), Status> {
    let mut said: std::collections::BTreeMap<usize, &str> = std::collections::BTreeMap::new();
    for line in text.lines() {
        if let Some((index, rest)) = line.split_once('|')
            && let Ok(index) = index.parse()
        {
            said.entry(index).or_insert(rest);
        }
    }
    for (index, args) in batch.iter().enumerate() {
        let answer = said.get(&index).and_then(|rest| answer(rest));
        answers.insert(probe_key(args), answer.unwrap_or_else(|| json!({"error": "the answer is damaged"})));
    }
    Ok(())
}

fn answer(rest: &str) -> Option<Value> {
    let mut fields = rest.splitn(5, '|');
    match fields.next()? {
        "absent" => return Some(json!({"exists": false, "present": false, "matches": 0, "line": null})),
        "special" => return Some(json!({"error": "it is not a regular file"})),
        "denied" => return Some(json!({"error": "Permission denied"})),
        "seen" => {}
        _ => return None,
    }
    let (present, code): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let matches = fields.next()?.trim().parse::<u64>();
    let first = fields.next()?;
    if present > 1 {
        return Some(json!({"error": "the file could not be searched"}));
    }
    match (code, matches) {
        (0 | 1, Ok(matches)) => {
            let line = (matches > 0).then_some(first);
            Some(json!({"exists": true, "present": present == 0, "matches": matches, "line": line}))
        }
        _ => Some(json!({"error": "the expression is refused by grep, or the file could not be searched"})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_the_line_is_told_from_one_that_cannot_be_searched() {
        assert_eq!(answer("seen|0|0|2|a|b").unwrap(), json!({"exists": true, "present": true, "matches": 2, "line": "a|b"}));
        assert_eq!(answer("seen|1|1|0|").unwrap(), json!({"exists": true, "present": false, "matches": 0, "line": null}));
        assert!(answer("seen|2|0|0|").unwrap()["error"].is_string());
        assert!(answer("seen|1|2||").unwrap()["error"].is_string());
        assert_eq!(answer("nonsense"), None);
        assert_eq!(answer("seen|1"), None);
    }
}
