//! Progress on a terminal: a bar with a count, a rate, and what is slow. Elsewhere only what went wrong.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Global;
use super::style::{Tone, clean, paint};
use crate::apply::survey::Observed;
use crate::diagnose::Diagnose as _;

/// A bar on standard error.
pub(super) struct Progress {
    bar: ProgressBar,
    quiet: bool,
}

impl Progress {
    /// A bar for an activity, in its -ing form. Drawn only on a terminal.
    pub(super) fn new(global: &Global, what: &'static str) -> Self {
        let drawn = !global.quiet && std::io::stderr().is_terminal() && std::env::var_os("RMM_IN_AUTOMATION").is_none();
        let target = if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {per_sec} {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what);
        Self { bar, quiet: global.quiet }
    }

    /// One device has been observed, or could not be.
    pub(super) fn observed(&self, event: &Observed) {
        self.bar.set_length(event.total as u64);
        self.bar.set_position(event.done as u64);
        if event.took.as_secs() >= 3 {
            self.bar.set_message(format!("{} took {} s", clean(&event.device), event.took.as_secs()));
        }
        if let Some(error) = &event.error {
            self.line(&format!(
                "  {} {}: {}",
                paint(Tone::Bad, "x"),
                clean(&event.device),
                clean(&super::without_secrets(&format!("{}: {error}", error.code())))
            ));
        }
        for problem in &event.problems {
            self.line(&format!("  {} {}: {}", paint(Tone::Change, "!"), clean(&event.device), clean(problem)));
        }
    }

    /// Position and length of the bar.
    pub(super) fn at(&self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }

    /// What goes on, behind the bar.
    pub(super) fn doing(&self, text: String) {
        self.bar.set_message(text);
    }

    /// Whether there is a bar to be seen.
    pub(super) fn is_drawn(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// A line above the bar.
    pub(super) fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            if !self.quiet {
                super::say(text);
            }
        } else {
            self.bar.println(text);
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
