//! What a script may ask of a device: data, turned into a command line in one place (`script::render`).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroize;

use super::wiped::wipe;

/// One changing call of a script. While planning it is recorded, while applying it is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
