//! The same in PowerShell. Parsed in a test; it has not run on a Windows device yet.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{ENDING, GRACE, MOST_KEPT, hash, stripped};
use crate::model::operation::{Operation, Shell};
use crate::script::Rendered;
use crate::transport::Command;

const BEGIN: &str = include_str!("begin.ps1");
const LOADER: &str = include_str!("loader.ps1");
static WAIT: LazyLock<String> = LazyLock::new(|| with_common(include_str!("wait.ps1")));
static STOP: LazyLock<String> = LazyLock::new(|| with_common(include_str!("stop.ps1")));

fn with_common(program: &str) -> String {
    stripped(&program.replace("#common", &stripped(include_str!("common.ps1"))))
}

fn command(script: &str, params: Value) -> Command {
    let operation = Zeroizing::new(Operation::PowerShell { script: script.to_owned(), params });
    let rendered = crate::script::render(&operation, Shell::PowerShell);
    Command { line: rendered.line, input: rendered.input.unwrap_or_default(), elevate: true, ..Command::default() }
}

/// Begins the operation where nobody has, and waits for its end.
pub(super) fn waiting(key: &str, rendered: &Rendered, limit: Duration) -> Command {
    let input = rendered.input.as_deref().map(Vec::as_slice).unwrap_or_default();
    let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(input));
    let lengths = rendered.line.len().to_be_bytes();
    // Of ours, and of a form of its own: a program and what follows it.
    let (program, arguments) = rendered.line.split_once(' ').unwrap_or((&rendered.line, ""));
    let params = json!({
        "key": key,
        "hash": hash(&[key.as_bytes(), &lengths, rendered.line.as_bytes(), input]),
        "program": program,
        "arguments": arguments,
        "input": encoded.as_str(),
        "seconds": limit.as_secs().max(1),
        "most": MOST_KEPT,
        "begin": stripped(BEGIN),
        "loader": stripped(LOADER),
    });
    Command { timeout: Some(limit + GRACE), max_output: Some(2 * MOST_KEPT + 4096), ..command(&WAIT, params) }
}

/// Ends the operation, or sees to it that it is not begun.
pub(super) fn stopping(key: &str) -> Command {
    Command { timeout: Some(ENDING), ..command(&STOP, json!({"key": key})) }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::transport::{Output, TransportError};

    #[test]
    fn nothing_of_the_operation_stands_in_a_line_or_a_script() {
        let operation = Operation::Run { argv: vec!["shutdown.exe".into(), "/c".into(), "hunter2'; x".into()], input: None };
        let rendered = crate::script::render(&operation, Shell::PowerShell);
        let command = waiting("j-1.1.1", &rendered, Duration::from_secs(5));
        assert!(command.line.len() < 8_191 && command.line == rendered.line, "always the same line");
        let sent: Value = serde_json::from_slice(&command.input).unwrap();
        assert!(!sent["script"].as_str().unwrap().contains("hunter2"));
        let params = &sent["params"];
        assert!(!params["begin"].as_str().unwrap().contains("hunter2") && !params["loader"].as_str().unwrap().contains("j-1"));
        assert_eq!(
            (params["program"].as_str(), params["key"].as_str(), params["seconds"].as_u64()),
            (Some("powershell.exe"), Some("j-1.1.1"), Some(5))
        );
        let input = base64::engine::general_purpose::STANDARD.decode(params["input"].as_str().unwrap()).unwrap();
        assert_eq!(Some(&input), rendered.input.as_deref());
        // The line that the loader becomes fits Windows.
        assert!(stripped(LOADER).len() * 4 < 8_000);
    }

    #[test]
    fn another_operation_under_the_same_key_has_another_hash() {
        let of = |script: &str| {
            let operation = Operation::PowerShell { script: script.into(), params: json!({}) };
            let command = waiting("k.1", &crate::script::render(&operation, Shell::PowerShell), Duration::from_secs(5));
            serde_json::from_slice::<Value>(&command.input).unwrap()["params"]["hash"].clone()
        };
        assert_eq!(of("Restart-Computer"), of("Restart-Computer"));
        assert_ne!(of("Restart-Computer"), of("Stop-Computer"));
    }

    /// Answers as the program does, and keeps what it was asked.
    struct Device(std::sync::Mutex<Vec<Command>>);

    #[async_trait::async_trait]
    impl crate::transport::Session for Device {
        async fn run(&self, command: Command, _: &CancellationToken) -> Result<Output, TransportError> {
            let mut asked = self.0.lock().unwrap();
            asked.push(command);
            // The connection breaks once.
            if asked.len() == 1 {
                return Err(TransportError::Lost { address: "ws-017".into(), reason: "reset".into() });
            }
            let said = "#< CLIXML\r\n<Objs><S S=\"Error\">why?_x000D__x000A_</S></Objs>";
            Ok(Output { stdout: format!("rmm-once done 3 2 {}\nok{said}", said.len()).into(), ..Output::default() })
        }

        fn shell(&self) -> Shell {
            Shell::PowerShell
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_whose_connection_broke_is_waited_for_under_the_same_key() {
        let device = Device(std::sync::Mutex::default());
        let operation = Operation::Run { argv: vec!["shutdown.exe".into(), "/r".into()], input: None };
        let rendered = crate::script::render(&operation, Shell::PowerShell);
        let mut receipts = super::super::Receipts::new("j-1.1");
        let output = receipts.carry_out(&device, rendered, Duration::from_mins(1), &CancellationToken::new()).await.unwrap();
        assert_eq!((output.code, &*output.stdout, &*output.stderr), (3, &b"ok"[..], &b"why?\n"[..]));
        let asked = device.0.into_inner().unwrap();
        assert_eq!(asked.len(), 2);
        assert_eq!((&asked[0].line, &asked[0].input), (&asked[1].line, &asked[1].input));
        let sent: Value = serde_json::from_slice(&asked[0].input).unwrap();
        assert_eq!(sent["params"]["key"], "j-1.1.1");
    }

    #[test]
    fn the_programs_parse_with_what_they_share() {
        for (name, text) in [("wait", WAIT.as_str()), ("stop", STOP.as_str()), ("begin", BEGIN), ("loader", LOADER)] {
            let mut parser = tree_sitter::Parser::new();
            parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
            assert!(!parser.parse(text, None).unwrap().root_node().has_error(), "{name}");
            assert!(!text.contains("#common"), "{name}");
        }
    }
}
