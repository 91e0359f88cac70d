//! Comments at the end of a block: the printer takes some of them out of their block, and they would stand above the next
//! definition, as if they spoke of that. They are put back to their depth.

use yaml_parser::{SyntaxKind, SyntaxNode};

/// A comment on a line of its own.
struct Line {
    text: String,
    /// Its line.
    at: usize,
    indent: usize,
    /// Indents of the nearest lines before and after it that are no comments.
    before: usize,
    after: usize,
}

/// The printed text with such comments as deep as they stood.
pub(super) fn hold(tree: &SyntaxNode, text: &str, printed_tree: &SyntaxNode, printed: String) -> String {
    let (old, new) = (own_lines(tree, text), own_lines(printed_tree, &printed));
    if old.len() != new.len() || old.iter().zip(&new).any(|(a, b)| a.text != b.text) {
        return printed;
    }
    let mut moved: Vec<(usize, usize)> = Vec::new();
    for (old, new) in old.iter().zip(&new) {
        if old.indent > old.after && new.indent <= new.after {
            let beside = old.indent >= old.before && new.before > new.after;
            moved.push((new.at, if beside { new.before } else { new.after + 2 }));
        }
    }
    if moved.is_empty() {
        return printed;
    }
    let mut moved = moved.into_iter().peekable();
    let line = |(i, line): (usize, &str)| match moved.next_if(|(at, _)| *at == i) {
        Some((_, indent)) => format!("{}{}\n", " ".repeat(indent), line.trim_start()),
        None => format!("{line}\n"),
    };
    printed.lines().enumerate().map(line).collect()
}

fn own_lines(tree: &SyntaxNode, text: &str) -> Vec<Line> {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let lines: Vec<&str> = text.lines().collect();
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
    let mut found = Vec::new();
    for token in tree.descendants_with_tokens().filter_map(yaml_parser::SyntaxElement::into_token) {
        if token.kind() != SyntaxKind::COMMENT {
            continue;
        }
        let start: usize = token.text_range().start().into();
        let at = starts.partition_point(|line| *line <= start) - 1;
        if text[starts[at]..start].trim().is_empty() {
            found.push(Line { text: token.text().trim_end().to_owned(), at, indent: start - starts[at], before: 0, after: 0 });
        }
    }
    let mut comment = vec![false; lines.len()];
    for line in &found {
        comment[line.at] = true;
    }
    // Each direction once, so that many comments in a row cost no more than their number.
    let content = |i: usize| !comment[i] && !lines[i].trim().is_empty();
    let (mut last, mut next) = (0, 0);
    for line in &mut found {
        while next < line.at {
            if content(next) {
                last = indent(lines[next]);
            }
            next += 1;
        }
        line.before = last;
    }
    let (mut last, mut next) = (0, lines.len());
    for line in found.iter_mut().rev() {
        while next > line.at + 1 {
            next -= 1;
            if content(next) {
                last = indent(lines[next]);
            }
        }
        line.after = last;
    }
    found
}
