//! What a script may ask of a device: data, turned into a command line in one place (`script::render`).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroize;

use super::wiped::wipe;

/// One changing call of a script. While planning it is recorded, while applying it is carried out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "op")]
pub enum Operation {
    /// Start a program with exactly these arguments. No shell reads them.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// Text for its standard input.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<String>,
    },
    /// Replace a file atomically: written beside it, given its mode and owner, then renamed over it.
    WriteFile {
        /// Absolute path.
        path: String,
        /// The whole content.
        content: String,
        /// Octal mode, `0644`; that of the old file where absent, `0644` for a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
        /// User that owns it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        /// Group that owns it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
    },
    /// Run a script with Windows PowerShell 5.1.
    PowerShell {
        /// The script. It reads its values from `$p`; none is ever pasted into it.
        script: String,
        /// The members of `$p`, an object.
        params: Value,
    },
}

/// Without inputs, contents and values: they may hold secrets.
impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run { argv, input } => {
                f.debug_struct("Run").field("argv", argv).field("input", &input.as_ref().map(String::len)).finish()
            }
            Self::WriteFile { path, content, mode, owner, group } => f
                .debug_struct("WriteFile")
                .field("path", path)
                .field("content", &content.len())
                .field("mode", mode)
                .field("owner", owner)
                .field("group", group)
                .finish(),
            Self::PowerShell { script, .. } => f.debug_struct("PowerShell").field("script", script).finish_non_exhaustive(),
        }
    }
}

/// For `Zeroizing`, which overwrites the texts of an operation that may hold secrets when it is dropped.
impl Zeroize for Operation {
    fn zeroize(&mut self) {
        match self {
            Self::Run { argv, input } => {
                argv.zeroize();
                input.zeroize();
            }
            Self::WriteFile { content, .. } => content.zeroize(),
            Self::PowerShell { params, .. } => wipe(params),
        }
    }
}

/// What reads the command lines of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shell {
    /// A POSIX shell.
    #[default]
    Posix,
    /// PowerShell: lines are those of `script::powershell`, and run as they are, without a wrapper.
    PowerShell,
}

/// What an operation answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// Exit code.
    pub code: i32,
    /// Standard output, bounded, invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, bounded, invalid UTF-8 replaced.
    pub stderr: String,
}

/// A command as the plan shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownCommand {
    /// The exact POSIX shell text that is sent, or the PowerShell script with its values; secrets replaced by `(secret NAME)`.
    pub line: String,
    /// Length of what is sent to its standard input, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<usize>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_hold_a_secret_is_neither_shown_nor_left_behind() {
        let (secret, none) = (|| "hunter2".to_owned(), None::<String>);
        let run = Operation::Run { argv: vec!["app".into()], input: Some(secret()) };
        let write = Operation::WriteFile { path: "/x".into(), content: secret(), mode: none.clone(), owner: none.clone(), group: none };
        let power = Operation::PowerShell { script: "Get-Date".into(), params: json!({"password": secret()}) };
        for mut operation in [run, write, power] {
            assert!(!format!("{operation:?}").contains("hunter2"), "{operation:?}");
            operation.zeroize();
            let left = serde_json::to_string(&operation).unwrap();
            assert!(!left.contains("hunter2"), "{left}");
        }
    }
}
