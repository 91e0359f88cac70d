//! What Rhai reports when a script ends early, as a [`ScriptError`]. Host errors and limits travel as typed values,
//! never as text.

use rhai::{Dynamic, EvalAltResult, ParseError, Position};

use super::{HostError, ScriptError};

/// Carries a host error through the interpreter.
#[derive(Debug, Clone)]
pub(super) struct HostFailure(pub(super) HostError);

/// Ends a script that ran too long.
#[derive(Debug, Clone)]
pub(super) struct OutOfTime(pub(super) &'static str);

/// Ends a condition that asked for a fact that nobody has observed, and names it.
#[derive(Debug, Clone)]
pub(super) struct NotObserved(pub(super) String);

/// A text that a script throws from a host function.
#[allow(clippy::unnecessary_box_returns)] // the type that functions of the engine return
pub(super) fn thrown(message: impl Into<String>) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(message.into().into(), Position::NONE).into()
}

/// A host error as Rhai carries it. A program's exit code can be caught by the script; a broken connection, a time limit
/// or a cancellation cannot.
#[allow(clippy::unnecessary_box_returns)] // the type that functions of the engine return
pub(super) fn host(error: HostError) -> Box<EvalAltResult> {
    let catchable = matches!(error, HostError::Exit { .. });
    let value = Dynamic::from(HostFailure(error));
    if catchable { EvalAltResult::ErrorRuntime(value, Position::NONE) } else { EvalAltResult::ErrorTerminated(value, Position::NONE) }
        .into()
}

/// An error of the compiler.
pub(super) fn compile(error: &ParseError) -> ScriptError {
    let position = error.position();
    ScriptError::Compile {
        message: error.err_type().to_string(),
        line: line(position),
        column: position.position().map_or(0, |c| u32::try_from(c).unwrap_or(0)),
    }
}

/// An error of a run.
pub(super) fn runtime(error: EvalAltResult) -> ScriptError {
    let mut outer = Vec::new();
    let mut error = error;
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, position) | EvalAltResult::ErrorInModule(_, inner, position) = error {
        outer.push(position);
        error = *inner;
    }
    let position = std::iter::once(error.position()).chain(outer.into_iter().rev()).find(|p| !p.is_none()).unwrap_or(Position::NONE);
    let limit = |limit: &str| ScriptError::Limit { limit: limit.to_owned() };
    match error {
        EvalAltResult::ErrorTooManyOperations(_) => limit("number of operations"),
        EvalAltResult::ErrorStackOverflow(_) => limit("depth of calls"),
        EvalAltResult::ErrorTooManyVariables(_) => limit("number of variables"),
        EvalAltResult::ErrorDataTooLarge(what, _) => limit(&format!("size of data ({what})")),
        EvalAltResult::ErrorTerminated(value, _) | EvalAltResult::ErrorRuntime(value, _) => {
            if let Some(failure) = value.read_lock::<HostFailure>() {
                return ScriptError::Host(failure.0.clone());
            }
            if let Some(time) = value.read_lock::<OutOfTime>() {
                return limit(time.0);
            }
            let message = value.clone().into_string().unwrap_or_else(|_| value.to_string());
            ScriptError::Runtime { message, line: line(position) }
        }
        mut other => {
            other.clear_position();
            ScriptError::Runtime { message: other.to_string(), line: line(position) }
        }
    }
}

fn line(position: Position) -> u32 {
    position.line().map_or(0, |line| u32::try_from(line).unwrap_or(0))
}
