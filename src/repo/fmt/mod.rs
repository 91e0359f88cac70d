//! The canonical form of a YAML file of the repository: order of members, layout, comments kept. Pure.
//!
//! Layout is the work of `pretty_yaml`; the order of members is ours (`order.rs`), by the schemas of the types (`shape.rs`).
//! Nothing is given back that does not mean the same as before and hold the same comments (`same.rs`).

mod comments;
mod order;
mod same;
mod shape;

use std::sync::Arc;

use pretty_yaml::config::{FormatOptions, LanguageOptions, LayoutOptions, LineBreak};

use super::yaml;
use crate::diagnose::{Category, Diagnose, Diagnostic, Level};

/// No list or map in brackets is broken because it is long: whether an item stands on a line of its own is the author's choice.
const WIDTH: usize = 1 << 24;
/// Passes after which the text has to stand still. Two are the rule: one that changes, one that finds nothing to change.
const PASSES: usize = 6;

/// Why a text was not formatted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FormatError {
    /// It is no valid YAML.
    #[error("{file} is not valid YAML: {}", problems.first().map(|p| p.message.as_str()).unwrap_or_default())]
    Invalid {
        /// Path of the file.
        file: Arc<str>,
        /// Everything that is wrong, as `rmm validate` says it.
        problems: Vec<Diagnostic>,
    },
    /// The canonical form would say something else. A mistake of the formatter: the file stays as it is.
    #[error("{file} is left as it is: {why}")]
    Unsafe {
        /// Path of the file.
        file: Arc<str>,
        /// What went wrong.
        why: &'static str,
    },
}

impl FormatError {
    /// As problems with their places.
    pub fn problems(self) -> Vec<Diagnostic> {
        match self {
            Self::Invalid { problems, .. } => problems,
            Self::Unsafe { .. } => vec![self.diagnostic()],
        }
    }
}

impl Diagnose for FormatError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "RMM0101",
            Self::Unsafe { .. } => "RMM0560",
        }
    }

    fn category(&self) -> Category {
        Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Invalid { .. } => Some("mend it first; rmm validate shows every mistake".into()),
            Self::Unsafe { .. } => Some("nothing was written; put the file into order by hand, or leave it".into()),
        }
    }
}

/// Formats a file. `path` is relative to the root of the repository and tells the kind of file, and with it the order of members.
pub fn format(path: &Arc<str>, text: &str) -> Result<String, FormatError> {
    let (before, problems) = yaml::parse(path, text);
    let Some(before) = before.filter(|_| !problems.iter().any(|p| p.level == Level::Error)) else {
        return Err(FormatError::Invalid { file: Arc::clone(path), problems });
    };
    let shape = shape::of_file(path);
    let attempt = |text: &str, shape_of: Option<&shape::File>| {
        let text = settle(text, shape_of)?;
        let (after, problems) = yaml::parse(path, &text);
        let same = after.is_some_and(|after| problems.is_empty() && same::meaning(&before, &after, &shape));
        if same { Ok(text) } else { Err("the canonical form would not mean the same") }
    };
    if let Ok(text) = attempt(text, Some(&shape)) {
        return Ok(text);
    }
    // Where the order of members matters after all (an anchor before its alias), the layout alone is put right. What stood
    // in the way of the order may have been the layout: then it is put right too, or the second time would do it.
    let laid = attempt(text, None).map_err(|why| FormatError::Unsafe { file: Arc::clone(path), why })?;
    Ok(attempt(&laid, Some(&shape)).unwrap_or(laid))
}

/// Formats until nothing changes any more.
fn settle(text: &str, shape: Option<&shape::File>) -> Result<String, &'static str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut text = text.replace("\r\n", "\n");
    let comments = same::comments(&parse(&text)?);
    let options = options();
    for _ in 0..PASSES {
        let tree = parse(&text)?;
        let arranged = order::arrange(&tree, &text, shape);
        let printed = pretty_yaml::format_text(&arranged, &options).map_err(|_| NOT_UNDERSTOOD)?;
        let printed = comments::hold(&parse(&arranged)?, &arranged, &parse(&printed)?, printed);
        let next = finish(order::close(&parse(&printed)?, printed));
        if next == text {
            return if same::comments(&parse(&text)?) == comments { Ok(text) } else { Err("a comment would be lost") };
        }
        text = next;
    }
    Err("it has no form that formatting leaves alone")
}

const NOT_UNDERSTOOD: &str = "it uses YAML that the formatter does not understand";

fn parse(text: &str) -> Result<yaml_parser::SyntaxNode, &'static str> {
    yaml_parser::parse(text).map_err(|_| NOT_UNDERSTOOD)
}

/// One line break at the end, none at the beginning; an empty file stays empty.
fn finish(text: String) -> String {
    let trimmed = text.trim_start_matches('\n');
    if trimmed.trim().is_empty() {
        return String::new();
    }
    if trimmed.len() == text.len() && text.ends_with('\n') { text } else { format!("{}\n", trimmed.strip_suffix('\n').unwrap_or(trimmed)) }
}

fn options() -> FormatOptions {
    FormatOptions {
        layout: LayoutOptions { print_width: WIDTH, indent_width: 2, line_break: LineBreak::Lf },
        language: LanguageOptions {
            brace_spacing: false,
            bracket_spacing: false,
            trailing_comma: false,
            // No comment switches formatting off: a NUL cannot stand in a file.
            ignore_comment_directive: "\0".into(),
            ..LanguageOptions::default()
        },
    }
}

#[cfg(test)]
mod tests;
