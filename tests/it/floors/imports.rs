//! Which rooms a Rust file names: `crate::room`, groups, `super::super::room`, `$crate::room`; not comments, not strings.

/// What a path leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// A folder below `src/`.
    Room(String),
    /// The crate itself: a glob, an alias.
    Root,
}

/// One path that leaves its own module upwards.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) target: Target,
    pub(super) line: usize,
}

/// The module path of a file below `src/`: `plan/diff.rs` is `[plan, diff]`, `plan/mod.rs` is `[plan]`, `lib.rs` is `[]`.
pub(super) fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// Reads the paths of a file whose module is `module`.
pub(super) fn read(module: &[String], text: &str) -> Vec<Import> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let (mut braces, mut inline) = (0_usize, Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].text {
            "{" => {
                // `mod name {` opens an inline module, one level further from the crate.
                if i >= 2 && tokens[i - 2].text == "mod" && is_word(tokens[i - 1].text) {
                    inline.push(braces);
                }
                braces += 1;
            }
            "}" => {
                braces = braces.saturating_sub(1);
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
            }
            "crate" | "super" | "self" if i == 0 || tokens[i - 1].text != "::" => {
                let depth = module.len() + inline.len();
                let mut end = i;
                path(&tokens, &mut end, Some(depth), &mut found);
                // Braces of a group were read with the path.
                i = end.max(i + 1);
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// Reads a path or a group from `at`, `depth` levels below the crate (`None`: inside a room, of no interest).
fn path(tokens: &[Token<'_>], at: &mut usize, mut depth: Option<usize>, found: &mut Vec<Import>) {
    let text = |i: usize| tokens.get(i).map_or("", |t| t.text);
    let mut moved = false;
    loop {
        let Some(token) = tokens.get(*at) else { return };
        match token.text {
            "crate" => (depth, moved) = (Some(0), true),
            "super" => (depth, moved) = (depth.map(|d| d.saturating_sub(1)), true),
            "self" => moved = moved || depth == Some(0),
            "{" => {
                *at += 1;
                while !matches!(text(*at), "}" | "") {
                    let before = *at;
                    path(tokens, at, depth, found);
                    // `as name` and whatever else stands between two members.
                    while !matches!(text(*at), "," | "}" | "") {
                        *at += 1;
                    }
                    if text(*at) == "," || *at == before {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "*" if depth == Some(0) => {
                found.push(Import { target: Target::Root, line: token.line });
                return;
            }
            name if is_word(name) => {
                if depth == Some(0) {
                    found.push(Import { target: Target::Room(name.to_owned()), line: token.line });
                }
                // Further members stay within that room.
                depth = None;
            }
            _ => return,
        }
        *at += 1;
        if text(*at) != "::" {
            if moved && depth == Some(0) && text(*at) == "as" {
                found.push(Import { target: Target::Root, line: token.line });
            }
            return;
        }
        *at += 1;
    }
}

struct Token<'a> {
    text: &'a str,
    line: usize,
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::`, and single other characters; comments, strings and character literals are left out.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let (mut tokens, mut i, mut line) = (Vec::new(), 0, 1);
    while i < bytes.len() {
        let start = i;
        let rest = &text[i..];
        i += if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = string(rest) {
            length
        } else if let Some(length) = character(rest) {
            length
        } else {
            let length = if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                rest.chars().next().map_or(1, char::len_utf8)
            };
            if !rest[..length].trim().is_empty() {
                tokens.push(Token { text: &rest[..length], line });
            }
            length
        };
        line += text[start..i].matches('\n').count();
    }
    tokens
}

/// Length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < rest.len() {
        if rest[i..].starts_with("/*") {
            depth += 1;
            i += 2;
        } else if rest[i..].starts_with("*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += rest[i..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length of a string literal that begins here: plain, byte, C, raw.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|p| {
        rest.strip_prefix(p)
            .is_some_and(|after| after.starts_with('"') || (p.ends_with('r') && after.trim_start_matches('#').starts_with('"')))
    })?;
    let after = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let body = &after[hashes + 1..];
        return Some(prefix.len() + hashes + 1 + body.find(&close).map_or(body.len(), |end| end + close.len()));
    }
    let (mut escaped, mut length) = (false, rest.len());
    for (i, c) in after.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                length = prefix.len() + i + 1;
                break;
            }
            _ => {}
        }
    }
    Some(length)
}

/// Length of a character literal that begins here; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let skip = escape.chars().next().map_or(0, char::len_utf8);
        return escape[skip..].find('\'').map(|end| 2 + skip + end + 1);
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..].starts_with('\'').then(|| 1 + first.len_utf8() + 1)
}
