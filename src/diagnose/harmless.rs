//! Text from files and devices on one line of a terminal or of a build log: nothing in it steers either.

/// Control characters and those that turn the direction of writing become spaces, and what begins a command of a build log
/// anywhere in a line is broken up. `text` may hold line feeds; they become spaces too.
pub fn harmless(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() || turns_direction(c) { ' ' } else { c }).collect();
    broken_up(line)
}

/// The same for a whole source: its line feeds, tabs and the length of every character stay.
pub(super) fn harmless_source(source: &str) -> String {
    let replaced = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() && c.len_utf8() == 1 => ' ',
        c if c.is_control() => '\u{b7}',
        c if turns_direction(c) => '\u{fffd}',
        c => c,
    };
    broken_up(source.chars().map(replaced).collect())
}

/// `##[command]` is obeyed wherever it stands in a line of a build log.
fn broken_up(text: String) -> String {
    if text.contains("##[") { text.replace("##[", "##(") } else { text }
}

/// Characters that turn the direction of what follows, so that a line shows something else than it says.
pub(super) fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_steers_a_terminal_or_a_build_log() {
        assert_eq!(harmless("a\n::error::b\u{1b}[2J ##[error]c \u{202e}d"), "a ::error::b [2J ##(error]c  d");
    }

    #[test]
    fn a_source_keeps_its_lines_and_its_length() {
        let source = "a: 1\n\u{1b}b\u{85}\u{202e}\t##[x]\n";
        let safe = harmless_source(source);
        assert_eq!((safe.len(), safe.lines().count()), (source.len(), 2));
        assert_eq!(safe, "a: 1\n b\u{b7}\u{fffd}\t##(x]\n");
    }
}
