//! A program with variables in its environment: their values travel on standard input, in front of the program's own, so that nobody
//! on the device reads them among the arguments of a process. One fixed program, the rest passed as arguments.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::quote;
use crate::model::operation::Operation;

/// `$1` length of the assignments on standard input; what follows is the program. Byte by byte: nothing of its input is taken.
const WITH: &str = r#"n=$1; shift; e=$(dd bs=1 count="$n" 2>/dev/null) && eval "$e" && unset n e && exec "$@""#;

/// Most bytes of all assignments.
const MOST: usize = 32 * 1024;

/// Starts a program with these variables besides those of the login.
pub(super) fn with_variables(argv: Vec<String>, variables: &[(&str, Zeroizing<String>)], input: &str) -> Result<Operation, String> {
    // As large as it may become with the input behind it: a buffer that grows leaves its first bytes behind.
    let most: usize = variables.iter().map(|(name, value)| name.len() + value.len() * 4 + 16).sum();
    let mut text = Zeroizing::new(String::with_capacity(most + input.len()));
    for (name, value) in variables {
        let plain = |(i, b): (usize, u8)| b == b'_' || b.is_ascii_alphabetic() || i > 0 && b.is_ascii_digit();
        if name.is_empty() || !name.bytes().enumerate().all(plain) {
            return Err(format!("'{name}' is not a name for a variable"));
        }
        let quoted = Zeroizing::new(quote(value).into_owned());
        let _ = writeln!(text, "export {name}={}", *quoted);
    }
    if text.len() > MOST {
        return Err(format!("the variables of a program hold more than {MOST} bytes"));
    }
    if input.contains('\0') {
        return Err("a NUL byte cannot be sent to a program as text".to_owned());
    }
    let head = ["sh", "-c", WITH, "env", &text.len().to_string()].map(str::to_owned);
    let input = std::mem::take(&mut *text) + input;
    Ok(Operation::Run { argv: head.into_iter().chain(argv).collect(), input: Some(input) })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_program_gets_its_variables_its_arguments_and_its_input() {
        let value = "it's $(x)\n\u{e9} \"end\"";
        let argv = ["sh", "-c", "printf '%s|%s|' \"$A\" \"$1\"; cat", "sh", "x y"].map(str::to_owned).to_vec();
        let Operation::Run { argv, input } = with_variables(argv, &[("A", value.to_owned().into())], "its input\n").unwrap() else {
            panic!()
        };
        assert!(!argv.iter().any(|word| word.contains("it's")));
        let mut child = Command::new(&argv[0]).args(&argv[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.unwrap().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{value}|x y|its input\n"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "1A", "A-B", "A=B", "A\nB"] {
            assert!(with_variables(vec!["true".into()], &[(name, String::new().into())], "").is_err(), "{name}");
        }
        assert!(with_variables(vec!["true".into()], &[("A", "x".repeat(40_000).into())], "").is_err());
    }
}
