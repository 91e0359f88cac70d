//! The trait through which scripts reach a device.

use serde_json::Value;

use crate::model::operation::{Operation, Reply};

/// Why an operation of a script did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The program ended with an exit code other than 0.
    #[error("{program} ended with exit code {code}{}", if stderr.is_empty() { String::new() } else { format!(": {stderr}") })]
    Exit {
        /// First word of the command.
        program: String,
        /// Exit code.
        code: i32,
        /// End of its standard error.
        stderr: String,
    },
    /// The connection, a time limit, a cancellation: the transport's own words, with its code and category.
    #[error("{message}")]
    Transport {
        /// `RMM0401`.
        code: &'static str,
        /// What follows from it.
        category: crate::diagnose::Category,
        /// The transport's words.
        message: String,
    },
}

/// A device as a script sees it. Implementations block; scripts run on a blocking thread.
pub trait Host: Send {
    /// Carries out (or records) a changing operation.
    fn perform(&mut self, operation: &Operation) -> Result<Reply, HostError>;

    /// Answers a reading call from the collected facts: a dotted path such as `software.os.id`. `None` where not observed.
    fn fact(&self, path: &str) -> Option<Value>;

    /// A text of the device as people may read it: without the secrets that are known.
    fn shown(&self, text: &str) -> String {
        text.to_owned()
    }

    /// The device's name in the repository: `device.name`.
    fn name(&self) -> String {
        self.fact("software.os.hostname").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}
