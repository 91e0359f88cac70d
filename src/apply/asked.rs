//! What an action on a device is asked for with, and what comes of it. Called by `act`; whoever asks reads the answer here.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine_actions::Progress;
use crate::diagnose::Category;
use crate::model::ActionCall;
use crate::model::plan::Held;

/// One action on one device.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The device by name.
    pub device: &'a str,
    /// The action with its parameters; whom it names as targets does not matter here.
    pub call: &'a ActionCall,
    /// Why, for the audit: `threshold DiskSpace`, `job j-17`.
    pub because: &'a str,
    /// Who has agreed to it.
    pub allowed: Allowed,
    /// The key of this attempt. An action that is not idempotent leaves receipts under it on the device: asked for again with
    /// the same key, what has happened already does not happen again.
    pub once: Option<&'a str>,
    /// Time for the whole of it; what the head of the action says where absent.
    pub timeout: Option<Duration>,
    /// Which function of the script.
    pub part: Part,
    /// Whether the caller holds the device's lease already.
    pub leased: bool,
    /// Takes how far something long has got.
    pub on: Listener<'a>,
}

/// Takes how far something long has got; called often, and must not wait.
#[derive(Clone, Copy)]
pub struct Listener<'a>(pub &'a (dyn Fn(Progress) + Send + Sync));

impl Default for Listener<'_> {
    /// Nobody listens.
    fn default() -> Self {
        Self(&|_| {})
    }
}

impl std::fmt::Debug for Listener<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

impl<'a> Ask<'a> {
    /// What a threshold or a monitor wants done: nobody was asked, and there is no second attempt.
    pub fn unattended(device: &'a str, call: &'a ActionCall, because: &'a str) -> Self {
        Self {
            device,
            call,
            because,
            allowed: Allowed::Unattended,
            once: None,
            timeout: None,
            part: Part::Run,
            leased: false,
            on: Listener::default(),
        }
    }
}

/// Which function of an action's script is carried out.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Part {
    /// `run(device, params)`, between `before` and `after` where the script has them.
    #[default]
    Run,
    /// `rollback(device, params, result)`.
    Rollback {
        /// What `run` gave back.
        result: Value,
    },
}

/// Who has agreed that an action is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Nobody: a threshold or a monitor wants it. What interrupts people is refused; what destroys data or restarts the device
    /// needs `daemon.allow_destructive` or `daemon.allow_reboots`.
    Unattended,
    /// A workflow, a reviewed file. What destroys data needs `daemon.allow_destructive`.
    Workflow,
    /// A person, asked for this very action.
    Confirmed,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Acted {
    /// How it ended.
    pub end: End,
    /// In a few words, secrets taken out.
    pub message: String,
    /// What the function gave back; `null` for nothing, and where it did not come to its end.
    pub value: Value,
    /// Every command that was carried out, in order.
    pub ran: Vec<Ran>,
    /// What follows from a failure.
    pub category: Category,
    /// What stands in the way, where it was refused for now only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// One command of an action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ran {
    /// The line as a plan shows it, secrets taken out.
    pub line: String,
    /// Exit code; -1 where none is known.
    pub code: i32,
    /// Standard output: beginning and end of it where it is long, secrets taken out.
    pub stdout: String,
    /// Standard error, the same way.
    pub stderr: String,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// It was carried out.
    Done,
    /// It was not, or not whole.
    Failed,
    /// It was not begun: it must not be. Where `held` is told, not now.
    Refused,
    /// The device cannot be reached. Nothing has happened, or asking again with the same key goes on from there.
    Unreachable,
    /// It was not begun: the device is leased to another run.
    Busy,
    /// It took too long, and was ended.
    TimedOut,
    /// Somebody stopped it.
    Cancelled,
    /// It was begun, and whether it happened is not known. A person has to look.
    Interrupted,
}

crate::model::traits::lower_display! {
    End {
        Done => "done", Failed => "failed", Refused => "refused", Unreachable => "unreachable", Busy => "busy", TimedOut => "timedOut",
        Cancelled => "cancelled", Interrupted => "interrupted",
    }
}

impl Acted {
    /// Ended in this way, with these words.
    pub(super) fn new(end: End, category: Category, message: impl Into<String>) -> Self {
        Self { end, message: message.into(), value: Value::Null, ran: Vec::new(), category, held: None }
    }

    /// Not begun, since it must not be.
    pub(super) fn refused(action: &str, why: &str) -> Self {
        Self::new(End::Refused, Category::Configuration, format!("{action} was refused: {why}"))
    }
}

/// Most bytes of a stream that are kept of one command, and how many of them are of its beginning.
const MOST_KEPT: usize = 64 * 1024;
const BEGINNING: usize = 16 * 1024;

/// A text of bounded length: beginning and end of a long one.
pub(super) fn bounded(text: String) -> String {
    if text.len() <= MOST_KEPT {
        return text;
    }
    let (mut head, mut tail) = (BEGINNING, text.len() - (MOST_KEPT - BEGINNING));
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}\n... {} bytes left out ...\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_beginning_and_end_are_kept() {
        assert_eq!(bounded("short".into()), "short");
        let long = format!("begin{}end", "\u{e9}".repeat(100_000));
        let kept = bounded(long);
        assert!(kept.len() < MOST_KEPT + 100 && kept.starts_with("begin") && kept.ends_with("end") && kept.contains(" bytes left out "));
    }
}
