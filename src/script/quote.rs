//! Quoting of one word for POSIX sh. Everything that a shell reads passes through here.

use std::borrow::Cow;

/// The word as sh reads it back literally: bare where it is made of harmless characters only, else in single quotes.
///
/// A NUL byte cannot be passed to a program at all; callers refuse it before.
pub fn quote(word: &str) -> Cow<'_, str> {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&b);
    if !word.is_empty() && word.bytes().all(safe) {
        return Cow::Borrowed(word);
    }
    let mut out = String::with_capacity(word.len() + 3 * word.matches('\'').count() + 2);
    out.push('\'');
    for c in word.chars() {
        if c == '\'' {
            out.push_str("'\\''");
        } else {
            out.push(c);
        }
    }
    out.push('\'');
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::quote;

    #[test]
    fn harmless_words_stay_bare_and_others_are_quoted() {
        assert_eq!(quote("/etc/motd"), "/etc/motd");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), "'it'\\''s'");
        assert_eq!(quote("$(reboot)"), "'$(reboot)'");
        assert_eq!(quote("~"), "'~'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn sh_reads_back_what_was_quoted(word in "[^\\x00]{0,40}") {
            let output = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quote(&word))).output().unwrap();
            prop_assert_eq!(output.stdout, word.as_bytes());
        }
    }
}
