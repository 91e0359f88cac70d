//! The probe `files`: type, mode, owner, size, digest and target of any number of paths.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::collect::raw::Raw;
use crate::model::facts::Status;

/// `S|RAW MODE|MODE|OWNER|GROUP|SIZE|PATH`.
struct Seen<'a> {
    kind: &'static str,
    mode: String,
    owner: &'a str,
    group: &'a str,
    size: u64,
}

fn seen(line: &str, darwin: bool) -> Option<(&str, Seen<'_>)> {
    let mut fields = line.strip_prefix("S|")?.splitn(6, '|');
    let mut next = || fields.next();
    let (raw, _, owner, group, size, path) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let bits = u32::from_str_radix(raw, if darwin { 8 } else { 16 }).or_else(|_| u32::from_str_radix(raw, 16)).ok()?;
    let kind = match bits & 0o170_000 {
        0o100_000 => "file",
        0o040_000 => "dir",
        0o120_000 => "link",
        _ => "other",
    };
    Some((path, Seen { kind, mode: format!("{:04o}", bits & 0o7777), owner, group, size: size.parse().ok()? }))
}

/// `HASH  PATH`; a leading backslash says that the path is escaped.
fn digest(line: &str) -> Option<(String, &str)> {
    let (escaped, line) = line.strip_prefix('\\').map_or((false, line), |rest| (true, rest));
    let (hash, path) = (line.get(..64)?, line.get(66..)?);
    if !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    Some((if escaped { path.replace("\\\\", "\\") } else { path.to_owned() }, hash))
}

pub(in crate::collect) fn check(path: &str) -> Result<(), &'static str> {
    if path.starts_with('/') || is_of_windows(path) { Ok(()) } else { Err("it is not an absolute path") }
}

/// Whether a path begins with a drive: `C:\Windows`.
pub(in crate::collect) fn is_of_windows(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

/// What stat found, what it complained of, links, digests.
fn parts(text: &str) -> (&str, &str, &str, &str) {
    let (found, digests) = text.split_once("\nH\n").unwrap_or((text, ""));
    // Without links their mark is the last line, and the line feed after it went with the split above.
    let (found, links) = found.split_once("\nL\n").or_else(|| found.strip_suffix("\nL").map(|f| (f, ""))).unwrap_or((found, ""));
    let (found, errors) = found.split_once("E\n").unwrap_or((found, ""));
    (found, errors, links, digests)
}

pub(in crate::collect) fn files(raw: &Raw<'_>, batch: &[&Vec<String>], text: &str, answers: &mut Map<String, Value>) -> Result<(), Status> {
    let darwin = raw.system == "Darwin";
    let (found, errors, links, digests) = parts(text);
    let found: BTreeMap<&str, Seen<'_>> = found.lines().filter_map(|l| seen(l, darwin)).collect();
    let digests: BTreeMap<String, &str> = digests.lines().filter_map(digest).collect();
    let mut targets: BTreeMap<&str, String> = BTreeMap::new();
    let mut lines = links.lines();
    while let Some(line) = lines.next() {
        let Some(path) = line.strip_prefix("l|") else { continue };
        let target = lines.next().and_then(|l| l.strip_prefix('=')?.strip_suffix('='));
        // A target with a line break in it stays unknown.
        targets.extend(target.map(|t| (path, t.to_owned())));
    }
    for args in batch {
        let path = args[0].as_str();
        let answer = match found.get(path) {
            Some(seen) => answer(path, seen, &digests, &targets),
            None => absent(path, errors, !found.is_empty() || !errors.trim().is_empty() || darwin),
        };
        answers.insert(path.to_owned(), answer);
    }
    Ok(())
}

fn answer(path: &str, seen: &Seen<'_>, digests: &BTreeMap<String, &str>, targets: &BTreeMap<&str, String>) -> Value {
    let mut out = Map::new();
    out.insert("type".into(), json!(seen.kind));
    out.insert("mode".into(), json!(seen.mode));
    out.insert("owner".into(), json!(seen.owner));
    out.insert("group".into(), json!(seen.group));
    out.insert("size".into(), json!(seen.size));
    match seen.kind {
        "file" => match digests.get(path) {
            Some(hash) => drop(out.insert("sha256".into(), json!(hash.to_ascii_lowercase()))),
            None if seen.size > 256 << 20 => drop(out.insert("error".into(), json!("larger than 256 MiB: not hashed"))),
            None => drop(out.insert("error".into(), json!("its content could not be read"))),
        },
        "link" => match targets.get(path) {
            Some(target) => drop(out.insert("target".into(), json!(target))),
            None => drop(out.insert("error".into(), json!("its target could not be read"))),
        },
        _ => {}
    }
    Value::Object(out)
}

/// A path as GNU programs quote it in their messages in the C locale: `'it'\''s'`, `'caf'$'\303\251'`.
fn as_gnu_quotes(path: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("'");
    let mut octal = false;
    for byte in path.bytes() {
        if byte.is_ascii() && !byte.is_ascii_control() {
            if octal {
                out.push_str("''");
            }
            octal = false;
            if byte == b'\'' {
                out.push_str("'\\''");
            } else {
                out.push(char::from(byte));
            }
        } else {
            if !octal {
                out.push_str("'$'");
            }
            octal = true;
            let _ = write!(out, "\\{byte:03o}");
        }
    }
    out.push('\'');
    out
}

/// A path that stat said nothing of: absent, unless stat complained of something else than that it does not exist.
fn absent(path: &str, errors: &str, asked: bool) -> Value {
    let reason = |line: &str| line.rsplit(": ").next().unwrap_or_default().trim().to_owned();
    let gone = |reason: &str| matches!(reason, "No such file or directory" | "Not a directory" | "File name too long");
    let (plain, escaped) = (format!("'{path}'"), as_gnu_quotes(path));
    let own = errors.lines().find(|l| l.contains(&plain) || l.contains(&escaped)).map(reason);
    match own {
        Some(reason) if gone(&reason) => json!({"type": "absent"}),
        Some(reason) => json!({ "error": reason }),
        // The message quotes unusual paths in its own way: then all of them have to be of one kind.
        None if asked && !errors.trim().is_empty() && errors.lines().filter(|l| !l.trim().is_empty()).all(|l| gone(&reason(l))) => {
            json!({"type": "absent"})
        }
        None => json!({"error": "it could not be examined"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absent_only_where_stat_says_so() {
        let errors = "stat: cannot statx '/a': No such file or directory\nstat: cannot statx '/root/b': Permission denied";
        assert_eq!(absent("/a", errors, true), json!({"type": "absent"}));
        assert_eq!(absent("/root/b", errors, true), json!({"error": "Permission denied"}));
        assert_eq!(absent("/c", errors, true), json!({"error": "it could not be examined"}));
        assert_eq!(absent("/c", "", true), json!({"error": "it could not be examined"}));
        let quoted = "stat: cannot statx \"/it's a\": No such file or directory";
        assert_eq!(absent("/it's a", quoted, true), json!({"type": "absent"}));
        let strange = "stat: cannot statx '/it'\\''s': No such file or directory";
        assert_eq!(absent("/it's", strange, true), json!({"type": "absent"}));
    }

    #[test]
    fn where_no_path_exists_all_are_absent_however_the_message_quotes_them() {
        let text = "E\nstat: cannot statx \"/it's a/x\": No such file or directory\nstat: cannot statx '/plain': No such file or directory\nL\nH\n";
        let (found, errors, links, digests) = parts(text);
        assert_eq!((found, links, digests), ("", "", ""));
        assert_eq!(absent("/it's a/x", errors, true), json!({"type": "absent"}));
        assert_eq!(absent("/plain", errors, true), json!({"type": "absent"}));
    }

    #[test]
    fn a_digest_line_may_hold_an_escaped_path() {
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(&format!("{hash}  /a b")), Some(("/a b".into(), hash)));
        assert_eq!(digest(&format!("\\{hash}  /a\\\\b")), Some(("/a\\b".into(), hash)));
        assert_eq!(digest("short"), None);
    }
}
