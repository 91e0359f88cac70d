//! Reads back what `script::render` composes: words in single quotes or bare, and nothing else of a shell.

/// The words of a simple command; `None` where it is anything else.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = word(rest)?;
        words.push(word);
        if !after.is_empty() && !after.starts_with([' ', '\n', '\t']) {
            return None;
        }
        rest = after.trim_start();
    }
    Some(words)
}

/// The first word, and what comes after it.
pub(super) fn word(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = text;
    loop {
        let mut chars = rest.chars();
        match chars.next() {
            Some('\'') => {
                let (inside, after) = chars.as_str().split_once('\'')?;
                word.push_str(inside);
                rest = after;
            }
            Some('\\') => {
                // Between two quoted parts, as `quote` writes a quote.
                word.push(chars.next().filter(|c| *c == '\'')?);
                rest = chars.as_str();
            }
            Some(c) if c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c) => {
                word.push(c);
                rest = chars.as_str();
            }
            Some(c) if c.is_ascii_whitespace() => return Some((word, rest)),
            None => return Some((word, rest)),
            Some(_) => return None,
        }
    }
}
