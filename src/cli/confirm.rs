//! Asking before something that matters. Without a terminal the answer is no.

use std::io::{BufRead, IsTerminal, Write};

use super::exit::Exit;
use super::failure::Failure;
use crate::diagnose::Diagnostic;

/// From this many devices on, the number has to be typed.
const TYPE_FROM: usize = 10;
/// Devices that are named before "and N more".
const NAMED: usize = 5;

/// `ws-1, ws-2, ws-3 and 7 more`
pub(super) fn first_few(devices: &[String]) -> String {
    let named = devices.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if devices.len() > NAMED { format!("{named} and {} more", devices.len() - NAMED) } else { named }
}

/// Asks whether to do `what`, a phrase that names the number, to these devices. `allowed_by` is the flag that answers in advance.
pub(super) fn ask(what: &str, devices: &[String], allowed_by: &str) -> Result<(), Failure> {
    let refuse = |message: String, advice: String| Err(Failure::new(Exit::Refused, Diagnostic::error("RMM0304", message).advice(advice)));
    let asked = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && std::env::var_os("RMM_IN_AUTOMATION").is_none();
    if !asked {
        return refuse(
            format!("to {what} needs a confirmation, and there is no terminal to ask on"),
            format!("nothing was done; add {allowed_by}"),
        );
    }
    let expected = if devices.len() >= TYPE_FROM { devices.len().to_string() } else { "yes".into() };
    let mut stderr = std::io::stderr().lock();
    let mut sentence = what.chars();
    let sentence: String = sentence.next().into_iter().flat_map(char::to_uppercase).chain(sentence).collect();
    let _ = write!(stderr, "\n{sentence}: {}\nType {expected} to go on: ", super::style::clean(&first_few(devices)));
    let _ = stderr.flush();
    drop(stderr);
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_ok() && line.trim() == expected {
        return Ok(());
    }
    refuse("not confirmed".into(), "nothing was done".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_named_and_the_rest_counted() {
        let devices: Vec<String> = (1..=7).map(|i| format!("d{i}")).collect();
        assert_eq!(first_few(&devices), "d1, d2, d3, d4, d5 and 2 more");
        assert_eq!(first_few(&devices[..2]), "d1, d2");
    }
}
