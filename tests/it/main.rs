//! Tests of the whole: the real binary, real servers, and the rules that the source keeps.
// What a helper of a test cannot do fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod apply;
mod bad_input;
mod cli;
mod codes;
mod commands_page;
mod daemon;
mod debian;
mod engine_actions;
mod fleet;
mod floors;
mod fuzz;
mod good;
mod hostile;
mod journal;
mod kill;
mod managers;
mod mistakes;
mod notify;
mod once;
mod pages;
mod quickstart;
mod recipes;
mod repeat;
mod run;
mod schemas;
mod seed;
mod ssh;
mod sshd;
mod updates;
mod winrm;
mod workflow_kill;
