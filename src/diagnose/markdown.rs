//! Markdown for comments: text from files and devices is made harmless, and the whole is bounded.

use super::harmless::turns_direction;
use super::{Diagnostic, Level};

/// GitHub takes 65,536 characters; some room is left for what a workflow adds.
pub const LONGEST: usize = 60_000;

/// Text as it stands, whatever it holds: nothing in it is markup, a link, a mention or a table cell's end.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            // Numeric references show the character and are never read as markup.
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~' | '@' | '$' | '"' | '\'' => {
                out += &format!("&#{};", u32::from(c));
            }
            // A bare address would become a link.
            ':' => out += "&#58;",
            c if c.is_control() || turns_direction(c) => out.push(' '),
            c => out.push(c),
        }
    }
    // What begins a line could begin a list or a heading; nothing here begins a line, but a dash in a cell does no harm either.
    out.trim().to_owned()
}

/// A text put together from parts that are left out whole where there is no more room.
#[derive(Debug, Default)]
pub struct Bounded {
    text: String,
    characters: usize,
    reserved: usize,
    left_out: usize,
}

impl Bounded {
    /// Keeps room for what has to follow.
    pub fn reserve(&mut self, characters: usize) {
        self.reserved += characters;
    }

    /// Gives room back.
    pub fn release(&mut self, characters: usize) {
        self.reserved = self.reserved.saturating_sub(characters);
    }

    /// Adds a part, whole or not at all.
    pub fn push(&mut self, part: &str) -> bool {
        let characters = part.chars().count();
        if self.characters + characters + self.reserved > LONGEST {
            self.left_out += 1;
            return false;
        }
        self.text.push_str(part);
        self.characters += characters;
        true
    }

    /// How many parts were left out.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// A list of problems as a table, for `rmm validate`.
pub fn problems(problems: &[Diagnostic], marker: &str, valid: &str) -> String {
    let mut out = Bounded::default();
    out.reserve(300);
    out.push(&format!("<!-- {marker} -->\n"));
    let errors = problems.iter().filter(|p| p.level == Level::Error).count();
    let verdict = if errors == 0 { format!("**Valid.** {}", plain(valid)) } else { format!("**Not valid:** {errors} error(s)") };
    out.push(&format!("{verdict}\n"));
    if !problems.is_empty() {
        out.push("\n| | Where | What |\n|---|---|---|\n");
        let mut sorted: Vec<&Diagnostic> = problems.iter().collect();
        sorted.sort_by_key(|p| p.level);
        for p in sorted {
            out.push(&row(p, ""));
        }
    }
    out.release(300);
    if out.left_out() > 0 {
        let line = format!("\n{} more are left out here: the comment would be too long.\n", out.left_out());
        out.push(&line);
    }
    out.finish()
}

/// One problem as a row of a table.
pub fn row(p: &Diagnostic, mark: &str) -> String {
    let place = p.place.as_ref().map(ToString::to_string).unwrap_or_default();
    let advice = p.advice.as_ref().map(|advice| format!(" ({})", plain(advice))).unwrap_or_default();
    format!("| {}{mark} {} | {} | {}{advice} |\n", p.level, plain(&p.code), plain(&place), plain(&p.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let evil = "</details><img src=x onerror=alert(1)> [a](javascript:x) | @team `code` **b** https://evil.example \u{202e}x\ny";
        let safe = plain(evil);
        for bad in ["<", ">", "[", "]", "(", ")", "|", "@", "`", "*", "://", "\u{202e}", "\n"] {
            assert!(!safe.contains(bad), "{bad:?} in {safe}");
        }
    }

    #[test]
    fn a_text_never_grows_beyond_its_bound_and_says_what_is_missing() {
        let mut out = Bounded::default();
        out.reserve(100);
        for _ in 0..1000 {
            out.push(&"x".repeat(100));
        }
        assert_eq!(out.left_out(), 1000 - (LONGEST - 100) / 100);
        assert!(out.finish().len() <= LONGEST - 100);
    }
}
