//! The cmdlet spelling of an action: `Install-Updates -Group Pilot -Full`. Words with their columns; what they mean is
//! decided in `action_call.rs`.

/// A word and where it begins, in characters from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub at: u32,
    pub length: u32,
}

/// A parameter: `-Name`, with the value that follows it, if one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    pub name: Word,
    pub value: Option<Word>,
}

/// A line taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cmdlet {
    pub action: Word,
    pub arguments: Vec<Argument>,
}

/// Why a line cannot be read, and the word that is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub message: String,
    pub word: Word,
}

/// Takes a line apart.
pub(super) fn parse(line: &str) -> Result<Cmdlet, Unreadable> {
    let mut words = words(line)?.into_iter().peekable();
    let empty = Word { text: String::new(), at: 0, length: 0 };
    let (action, _) = words.next().ok_or(Unreadable { message: "the action is missing".into(), word: empty })?;
    let mut arguments: Vec<Argument> = Vec::new();
    while let Some((word, quoted)) = words.next() {
        let name = if quoted || !is_name(&word.text) { None } else { word.text.strip_prefix('-') };
        let Some(name) = name else {
            let message = format!("'{}' belongs to no parameter; write -Name {}", word.text, word.text);
            return Err(Unreadable { message, word });
        };
        // -Name:value and -Name=value are one word.
        let (name, glued) = name.split_once([':', '=']).map_or((name, None), |(name, value)| (name, Some(value)));
        let argument = Word { text: name.to_owned(), at: word.at, length: name.chars().count() as u32 + 1 };
        let value = match glued.filter(|value| !value.is_empty()) {
            Some(value) => {
                let value = value.trim_matches(['\'', '"']).to_owned();
                Some(Word { text: value, at: word.at + argument.length + 1, length: word.length.saturating_sub(argument.length + 1) })
            }
            None => words.next_if(|(next, quoted)| *quoted || !is_name(&next.text)).map(|(value, _)| value),
        };
        arguments.push(Argument { name: argument, value });
    }
    Ok(Cmdlet { action, arguments })
}

/// `-Group`, and not `-3`.
fn is_name(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic()))
}

/// Words, in quotes where they hold spaces; a doubled quote within quotes is a quote.
fn words(line: &str) -> Result<Vec<(Word, bool)>, Unreadable> {
    let mut words = Vec::new();
    let mut chars = line.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut text = String::new();
        let mut end = at + 1;
        let quoted = c == '\'' || c == '"';
        if quoted {
            let mut closed = false;
            while let Some((i, next)) = chars.next() {
                end = i + 1;
                if next != c {
                    text.push(next);
                } else if chars.next_if(|(_, again)| *again == c).is_some() {
                    text.push(c);
                } else {
                    closed = true;
                    break;
                }
            }
            if !closed {
                let word = Word { text, at: at as u32, length: (end - at) as u32 };
                return Err(Unreadable { message: format!("the quote {c} is not closed"), word });
            }
        } else {
            text.push(c);
            let mut quote = None;
            while let Some((i, next)) = chars.next_if(|(_, next)| quote.is_some() || !next.is_whitespace()) {
                end = i + 1;
                if quote == Some(next) {
                    quote = None;
                } else if quote.is_none() && (next == '\'' || next == '"') {
                    quote = Some(next);
                }
                text.push(next);
            }
        }
        words.push((Word { text, at: at as u32, length: (end - at) as u32 }, quoted));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match parse(line) {
            Ok(cmdlet) => {
                let arguments =
                    cmdlet.arguments.iter().map(|a| format!(" {}@{}={:?}", a.name.text, a.name.at, a.value.as_ref().map(|v| &v.text)));
                format!("{}{}", cmdlet.action.text, arguments.collect::<String>())
            }
            Err(error) => format!("{} @{}", error.message, error.word.at),
        }
    }

    #[test]
    fn lines_come_apart_into_action_and_parameters() {
        assert_eq!(shown("Install-Updates -Group Pilot -Full"), "Install-Updates Group@16=Some(\"Pilot\") Full@29=None");
        assert_eq!(shown("Set-DeviceGroup -Group 'New Devices'"), "Set-DeviceGroup Group@16=Some(\"New Devices\")");
        assert_eq!(shown("A -B:c -D=\"e f\" -G -3"), "A B@2=Some(\"c\") D@7=Some(\"e f\") G@16=Some(\"-3\")");
        assert_eq!(shown("  A -M 'it''s'"), "A M@4=Some(\"it's\")");
        assert_eq!(shown("A -M '-X'"), "A M@2=Some(\"-X\")");
    }

    #[test]
    fn what_belongs_nowhere_is_pointed_at() {
        assert_eq!(shown("Install-Updates Pilot"), "'Pilot' belongs to no parameter; write -Name Pilot @16");
        assert_eq!(shown("A -M 'open"), "the quote ' is not closed @5");
        assert_eq!(shown("   "), "the action is missing @0");
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_fall_over(line in "\\PC{0,60}") {
            let _ = parse(&line);
        }
    }
}
