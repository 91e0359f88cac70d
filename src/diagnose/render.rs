//! The one place where problems become text: the source line, the spot underlined, advice below.

use annotate_snippets::{AnnotationKind, Group, Level as Shown, Renderer, Snippet};

use super::harmless::{harmless, harmless_source};
use super::{Diagnostic, Level};
use crate::model::Place;

/// Gives the text of a file of the repository, for showing the line that is meant.
pub type Sources<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Byte range of a place in its source.
fn range(source: &str, place: &Place) -> std::ops::Range<usize> {
    let line_start: usize = source.split_inclusive('\n').take(place.line.saturating_sub(1) as usize).map(str::len).sum();
    let line = source[line_start..].lines().next().unwrap_or_default();
    let byte = |chars: usize| line.char_indices().nth(chars).map_or(line.len(), |(i, _)| i);
    let (start, end) = if place.column == 0 {
        (line.len() - line.trim_start().len(), line.trim_end().len())
    } else {
        let first = place.column as usize - 1;
        (byte(first), byte(first + place.length.max(1) as usize))
    };
    line_start + start..line_start + end.max(start)
}

/// Whether a problem is that a secret may stand in its place: a build log or a comment on a pull request is no better place for it.
fn quotes_a_secret(problem: &Diagnostic) -> bool {
    problem.code == "RMM0152" || problem.message.ends_with("{secret: NAME}, found a plain value")
}

/// Renders problems one below the other, coloured where `color` is set.
pub fn render(problems: &[Diagnostic], sources: Sources<'_>, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for problem in problems {
        let level = match problem.level {
            Level::Error => Shown::ERROR,
            Level::Warning => Shown::WARNING,
            Level::Note => Shown::NOTE,
        };
        // Names in a message come from the files: a line of their own could be a command of a build log.
        let title = level.primary_title(harmless(&problem.message)).id(problem.code.as_str());
        let mut snippets = Vec::new();
        let places = problem
            .place
            .iter()
            .map(|place| (place, problem.label.as_deref().unwrap_or_default(), AnnotationKind::Primary))
            .chain(problem.related.iter().map(|(place, label)| (place, label.as_str(), AnnotationKind::Context)));
        let mut whole_files = Vec::new();
        for (place, label, kind) in places {
            match sources(&place.file) {
                Some(source) if place.line > 0 => {
                    let range = range(&source, place);
                    let mut source = harmless_source(&source);
                    if problem.place.as_ref() == Some(place) && quotes_a_secret(problem) {
                        source.replace_range(range.clone(), &"*".repeat(range.len()));
                    }
                    snippets.push(
                        Snippet::source(source).path(harmless(&place.file)).fold(true).annotation(kind.span(range).label(harmless(label))),
                    );
                }
                _ => whole_files.push(harmless(&place.to_string())),
            }
        }
        let bare = snippets.is_empty() && whole_files.is_empty();
        let mut group = Group::with_title(title).elements(snippets);
        for file in &whole_files {
            group = group.element(Level::origin(file));
        }
        let advice = problem.advice.as_ref().map(|advice| Group::with_title(Shown::HELP.secondary_title(harmless(advice))));
        if bare {
            // Without a source line there is no margin to draw.
            out.push_str(&renderer.render(&[group]));
            if let Some(advice) = advice {
                out.push('\n');
                out.push_str(&renderer.render(&[advice]));
            }
        } else {
            out.push_str(&renderer.render(&[group].into_iter().chain(advice).collect::<Vec<_>>()));
        }
        out.push_str("\n\n");
    }
    out
}

impl Level {
    fn origin(file: &str) -> annotate_snippets::Origin<'_> {
        annotate_snippets::Origin::path(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_shown_with_the_spot_underlined_and_the_advice_below() {
        let source = "policies:\n  Base:\n    tragets: [All]\n";
        let place = Place { file: "policies/a.yaml".into(), line: 3, column: 5, length: 7 };
        let problem = Diagnostic::error("RMM0102", "unknown key 'tragets'")
            .at(&place)
            .label("not a key of a policy")
            .advice("did you mean 'targets'?");
        let text = render(&[problem], &|_| Some(source.to_owned()), false);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let place = Place { file: "rmm.toml".into(), line: 1, column: 9, length: 10 };
        for problem in [Diagnostic::error("RMM0152", "plain"), Diagnostic::error("RMM0103", "expected {secret: NAME}, found a plain value")]
        {
            let text = render(&[problem.at(&place)], &|_| Some("token = \"h\u{fc}nter\u{1b}2\"  # mine\n".into()), false);
            assert!(!text.contains("nter") && text.contains("token = ***") && text.contains("# mine"), "{text}");
        }
    }

    #[test]
    fn a_place_behind_control_characters_of_several_bytes_is_underlined() {
        let place = Place { file: "a.yaml".into(), line: 1, column: 3, length: 1 };
        let text = render(&[Diagnostic::error("RMM0101", "broken").at(&place)], &|_| Some("\u{85}\u{85}\u{e9} x\n".into()), false);
        assert!(text.contains('\u{e9}'), "{text}");
    }

    #[test]
    fn no_name_becomes_a_line_of_its_own_or_steers_the_terminal() {
        let problem = Diagnostic::error("RMM0101", "no 'a\n::error::x\u{1b}[2J'").advice("or\n::error::y\u{1b}[2J").label("l\n::error::z");
        let places = [Place::file("b\n::error::c"), Place { file: "a.yaml".into(), line: 1, column: 1, length: 2 }];
        for place in places {
            let text = render(&[problem.clone().at(&place)], &|_| Some("key\u{1b}: ##[error]\n".into()), false);
            assert!(!text.contains("##[") && !text.contains('\u{1b}'), "{text}");
            assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
        }
    }

    #[test]
    fn a_place_outside_its_file_does_not_panic() {
        let place = Place { file: "a.yaml".into(), line: 99, column: 99, length: 99 };
        let text = render(&[Diagnostic::error("RMM0101", "broken").at(&place)], &|_| Some("é\n\u{1}".into()), false);
        assert!(text.contains("broken"));
    }
}
