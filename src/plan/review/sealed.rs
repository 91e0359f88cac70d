//! What differs of the encrypted secrets: above all for whom they are encrypted. Whoever stands in that list reads every secret that is set
//! or encrypted anew from then on, so that nobody may get into it unseen.

use std::collections::{BTreeMap, BTreeSet};

use super::{Difference, How};
use crate::model::{Place, Sealed};

/// More secrets with another value are one difference: all of them are encrypted anew at once.
const MOST: usize = 12;
/// Most characters of a key or its comment.
const LONGEST: usize = 60;

/// What differs: recipients first.
pub fn secrets_that_differ(old: &Sealed, new: &Sealed) -> Vec<Difference> {
    let (before, after) = (recipients(old), recipients(new));
    let mut found = Vec::new();
    for (key, (line, comment)) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        found.push(recipient(key, *line, comment, How::Added));
    }
    for (key, (line, comment)) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
        found.push(recipient(key, *line, comment, How::Removed));
    }
    let mut changed = Vec::new();
    let files: BTreeSet<&String> = old.files.keys().chain(new.files.keys()).collect();
    for (file, name) in files.into_iter().filter_map(|file| Some((file, file.strip_suffix(".age")?))) {
        let how = match (old.files.get(file), new.files.get(file)) {
            (None, _) => How::Added,
            (_, None) => How::Removed,
            (Some(was), Some(is)) if was != is => How::Changed,
            _ => continue,
        };
        let list = if how == How::Changed { &mut changed } else { &mut found };
        list.push(difference("secret", short(name), Place::file(format!("secrets/{file}")), how));
    }
    if changed.len() > MOST {
        changed = vec![difference("secret", format!("{} of them", changed.len()), Place::file("secrets"), How::Changed)];
    }
    found.append(&mut changed);
    found
}

fn difference(kind: &'static str, name: String, place: Place, how: How) -> Difference {
    Difference { kind, name, member: String::new(), how, from: None, to: None, place, old_place: how == How::Removed }
}

fn recipient(key: &str, line: u32, comment: &str, how: How) -> Difference {
    let place = Place { line, ..Place::file("secrets/recipients.txt") };
    let mut difference = difference("secret", "recipients".into(), place, how);
    difference.member = short(key);
    let comment = Some(short(comment)).filter(|comment| !comment.is_empty());
    if how == How::Added {
        difference.to = comment;
    } else {
        difference.from = comment;
    }
    difference
}

/// The keys, each with its line and with what is said of it there.
fn recipients(side: &Sealed) -> BTreeMap<String, (u32, String)> {
    let text = side.files.get("recipients.txt").map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
    let (mut keys, mut above) = (BTreeMap::new(), String::new());
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_start_matches('\u{feff}').trim();
        if let Some(comment) = text.strip_prefix('#') {
            comment.trim().clone_into(&mut above);
            continue;
        }
        let mut words = text.split_whitespace();
        let Some(kind) = words.next() else {
            above.clear();
            continue;
        };
        let key = if kind.starts_with("ssh-") { format!("{kind} {}", words.next().unwrap_or_default()) } else { kind.to_owned() };
        let behind = words.collect::<Vec<_>>().join(" ");
        let comment = if above.is_empty() { behind } else { std::mem::take(&mut above) };
        above.clear();
        keys.insert(key, (line, comment));
    }
    keys
}

/// In a line of its own, and bounded: somebody else has written it.
fn short(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).take(LONGEST + 1).collect();
    if plain.chars().count() > LONGEST { plain.chars().take(LONGEST - 3).chain("...".chars()).collect() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(files: &[(&str, &str)]) -> Sealed {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
        Sealed { commit: "x".into(), files }
    }

    #[test]
    fn who_may_read_secrets_is_told_first() {
        let old = side(&[("recipients.txt", "# kept\n\n# anna\nage1anna\n"), ("db.age", "1"), ("old.age", "1"), ("same.age", "1")]);
        let list = "# anna\r\nage1anna\r\n\r\nssh-ed25519 AAAA mallory\u{7}\r\n";
        let new = side(&[("recipients.txt", list), ("db.age", "2"), ("new.age", "1"), ("same.age", "1"), ("index.toml", "x")]);
        let told: Vec<_> =
            secrets_that_differ(&old, &new).into_iter().map(|d| (d.how, d.name, d.member, d.to, d.place.to_string())).collect();
        let all = |how, name: &str, place: &str| (how, name.to_owned(), String::new(), None, place.to_owned());
        let mallory = ("recipients".to_owned(), "ssh-ed25519 AAAA".to_owned(), Some("mallory".to_owned()));
        assert_eq!(
            told,
            [
                (How::Added, mallory.0, mallory.1, mallory.2, "secrets/recipients.txt:4".to_owned()),
                all(How::Added, "new", "secrets/new.age"),
                all(How::Removed, "old", "secrets/old.age"),
                all(How::Changed, "db", "secrets/db.age"),
            ]
        );
        assert_eq!(secrets_that_differ(&new, &new), Vec::new());
        assert_eq!(secrets_that_differ(&new, &side(&[]))[1].from.as_deref(), Some("mallory"));
    }
}
