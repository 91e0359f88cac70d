//! Colours with a meaning, and the glyphs of a terminal that may be plain.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

static COLOR_ERRORS: OnceLock<bool> = OnceLock::new();

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a piece of text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Names of devices and headings.
    Strong,
    /// Good or added.
    Good,
    /// Changing, or worth a look.
    Change,
    /// Bad or removed.
    Bad,
    /// Held back, waiting.
    Held,
    /// Context.
    Dim,
    /// Nothing special.
    Plain,
}

static COLOR: OnceLock<bool> = OnceLock::new();
static UNICODE: OnceLock<bool> = OnceLock::new();

/// Decides once per process, from the flag, the environment and where standard output goes.
pub(super) fn init(color: Color) {
    let wanted = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
            if set("CLICOLOR_FORCE") { true } else { !set("NO_COLOR") && std::io::stdout().is_terminal() }
        }
    };
    let _ = COLOR.set(wanted);
    let errors = match color {
        Color::Auto => std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::io::stderr().is_terminal(),
        _ => wanted,
    };
    let _ = COLOR_ERRORS.set(errors);
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|n| std::env::var(n).ok()).find(|v| !v.is_empty());
    let _ = UNICODE.set(utf8.is_none_or(|v| v.to_ascii_uppercase().replace('-', "").contains("UTF8")));
}

/// Columns of the terminal that standard output is, `None` where it is none.
pub(super) fn width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0)).filter(|w| *w >= 40)
}

/// Whether standard output is coloured.
pub(super) fn colored() -> bool {
    *COLOR.get().unwrap_or(&false)
}

/// Whether standard error is coloured.
pub(super) fn colored_errors() -> bool {
    *COLOR_ERRORS.get().unwrap_or(&false)
}

/// The Unicode glyph, or the ASCII one where the locale is not UTF-8.
pub(super) fn glyph(unicode: &'static str, ascii: &'static str) -> &'static str {
    if *UNICODE.get().unwrap_or(&true) { unicode } else { ascii }
}

/// Text in a tone.
pub(super) fn paint(tone: Tone, text: impl std::fmt::Display) -> String {
    let style = match tone {
        Tone::Strong => Style::new().bold(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Change => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Held => AnsiColor::Cyan.on_default(),
        Tone::Dim => Style::new().dimmed(),
        Tone::Plain => Style::new(),
    };
    if colored() && tone != Tone::Plain { format!("{style}{text}{style:#}") } else { text.to_string() }
}

/// How long ago, in the largest unit: `40 s`, `5 min`, `3 h`, `2 d`.
pub(super) fn ago(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

/// A count with its noun: `1 device`, `2 devices`, `3,596 devices`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// `3,596`
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Text from outside must steer neither the terminal nor a build log.
pub(super) fn clean(text: &str) -> String {
    crate::diagnose::harmless(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_as_people_write_them() {
        assert_eq!(count(1, "device", "devices"), "1 device");
        assert_eq!(count(0, "device", "devices"), "0 devices");
        assert_eq!(count(1_234_567, "device", "devices"), "1,234,567 devices");
        assert_eq!(thousands(100), "100");
    }

    #[test]
    fn text_from_a_device_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a [2Jb c");
    }
}
