//! Text from devices on its way into mails, cards and messages: it is data, whatever it looks like.
//! Control characters go, lengths are bounded, and each form has its own way to take markup as text.

/// What stands at the end of a text that was too long.
const CUT: &str = " ... (cut)";

/// Whether a character has no business in a message: controls, and what turns the direction of text around.
fn unwanted(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// One line of at most `most` characters.
pub(super) fn line(text: &str, most: usize) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || unwanted(c)).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        // Whatever follows is cut anyway.
        if out.len() > most * 4 {
            break;
        }
    }
    clip(out, most)
}

/// Several lines of at most `most` characters altogether.
pub(super) fn lines(text: &str, most: usize) -> String {
    let end = text.char_indices().nth(most.saturating_mul(2)).map_or(text.len(), |(i, _)| i);
    let text = text[..end].replace("\r\n", "\n").replace('\t', "    ");
    let kept: String = text.chars().filter(|c| *c == '\n' || !unwanted(*c)).collect();
    clip(kept.trim().to_owned(), most)
}

/// The beginning of a text, with a word where something was cut.
pub(super) fn clip(text: String, most: usize) -> String {
    if text.chars().count() <= most {
        return text;
    }
    let kept: String = text.chars().take(most.saturating_sub(CUT.len())).collect();
    format!("{}{CUT}", kept.trim_end())
}

/// For HTML, also inside an attribute in quotes.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// For Slack's mrkdwn: no mention, no link, no formatting.
pub(super) fn mrkdwn(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // There is no escape for these; a character without width on both sides keeps them from pairing.
            '*' | '_' | '~' | '`' => {
                out.push('\u{200b}');
                out.push(c);
                out.push('\u{200b}');
            }
            c => out.push(c),
        }
    }
    out
}

/// For the subset of Markdown in adaptive cards.
pub(super) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '|' | '<' | '>') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_controls_and_no_second_line() {
        assert_eq!(line("a\r\nBcc: x@y\u{0}\u{1b}[31m b\u{202e}c\t d", 100), "a Bcc: x@y [31m b c d");
    }

    #[test]
    fn what_is_too_long_says_so() {
        let cut = line(&"x".repeat(5000), 100);
        assert_eq!((cut.chars().count(), cut.ends_with("x ... (cut)")), (100, true), "{cut}");
        assert_eq!(lines("a\nb\u{7}\r\nc", 100), "a\nb\nc");
        assert!(lines(&"word ".repeat(10_000), 200).ends_with("word ... (cut)"));
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(html("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(mrkdwn("<!channel> & *b*"), "&lt;!channel&gt; &amp; \u{200b}*\u{200b}b\u{200b}*\u{200b}");
        assert_eq!(markdown("[x](http://y)"), "\\[x\\](http://y)");
    }
}
