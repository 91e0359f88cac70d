//! Exit codes: one table, for every command.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// Something went wrong.
    Error,
    /// Changes are pending; with `--detailed-exitcode` only.
    ChangesPending,
    /// The command line is wrong.
    Usage,
    /// The repository is not valid.
    InvalidConfiguration,
    /// A policy test failed.
    TestsFailed,
    /// Refused, nothing done.
    Refused,
    /// The plan is stale, nothing done.
    StalePlan,
    /// Some devices failed.
    SomeFailed,
    /// Some devices cannot be reached, none failed.
    SomeUnreachable,
    /// Stopped by Ctrl-C.
    Interrupted,
}

/// Code, name, meaning.
pub(super) const TABLE: &[(Exit, u8, &str)] = &[
    (Exit::Done, 0, "done (also where the reader of a pipe went away)"),
    (Exit::Error, 1, "error"),
    (Exit::ChangesPending, 2, "changes are pending; with --detailed-exitcode only"),
    (Exit::Usage, 3, "the command line is wrong"),
    (Exit::InvalidConfiguration, 4, "the repository is not valid"),
    (Exit::TestsFailed, 5, "policy tests failed, or they touch less than --min-coverage asks for"),
    (Exit::Refused, 6, "refused by a guard, a limit or a window, or for want of a confirmation or approval; nothing was done"),
    (Exit::StalePlan, 7, "the plan is stale; nothing was done"),
    (Exit::SomeFailed, 8, "some devices failed"),
    (Exit::SomeUnreachable, 9, "some devices cannot be reached, none failed"),
    (Exit::Interrupted, 130, "interrupted; the state is kept and the run can be resumed"),
];

impl Exit {
    /// The process's exit code.
    pub(super) fn code(self) -> u8 {
        TABLE.iter().find(|(exit, ..)| *exit == self).map_or(1, |(_, code, _)| *code)
    }
}
