//! The patterns of `known_hosts` and `~/.ssh/config`: `*`, `?`, and `!` for exceptions.

/// Whether the text matches the pattern.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut i, mut j) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while j < text.len() {
        match pattern.get(i) {
            Some(b'*') => {
                back = Some((i, j));
                i += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[j] => {
                i += 1;
                j += 1;
            }
            _ => match back {
                Some((star, at)) => {
                    back = Some((star, at + 1));
                    i = star + 1;
                    j = at + 1;
                }
                None => return false,
            },
        }
    }
    pattern[i..].iter().all(|byte| *byte == b'*')
}

/// Whether one of the patterns matches and no exception does.
pub(super) fn list_matches<'a>(patterns: impl Iterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(exception) if matches(exception, text) => return false,
            Some(_) => {}
            None => found = found || matches(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match() {
        assert!(matches("*", ""));
        assert!(matches("web*", "web1"));
        assert!(matches("*.a.*", "x.a.y.a.z"));
        assert!(matches("db?", "db1"));
        assert!(!matches("db?", "db"));
        assert!(!matches("db", "db1"));
        assert!(!list_matches(["web*", "!web2"].into_iter(), "web2"));
        assert!(!list_matches(["!web2"].into_iter(), "web1"));
    }
}
