//! Who wrote a line: `git blame` of one line of a file of the repository.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::git::Git;
use crate::model::Place;

/// The origin of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// Committed.
    Commit {
        /// The whole hash.
        commit: String,
        /// Name of the author.
        author: String,
        /// When it was written.
        at: DateTime<Utc>,
        /// First line of the message.
        subject: String,
    },
    /// In the working tree only.
    Uncommitted,
}

/// The origin of a line; `None` outside Git, for what ships with the program, and where Git cannot tell.
pub fn blame(root: &Path, place: &Place) -> Option<Blame> {
    if place.line == 0 || place.file.contains(':') {
        return None;
    }
    let git = Git::new(root);
    let line = format!("{0},{0}", place.line);
    // A list of commits to pass over would send the reader elsewhere.
    let answer = git.ask(&["-c", "blame.ignoreRevsFile=", "blame", "--porcelain", "--no-textconv", "-L", &line, "--", &place.file]).ok()?;
    if !answer.success {
        // A file that Git does not know yet is uncommitted as a whole.
        return (git.line(&["rev-parse", "--is-inside-work-tree"])? == "true").then_some(Blame::Uncommitted);
    }
    read(&String::from_utf8_lossy(&answer.out))
}

fn read(text: &str) -> Option<Blame> {
    let commit = text.split_whitespace().next()?.to_owned();
    if commit.bytes().all(|b| b == b'0') {
        return Some(Blame::Uncommitted);
    }
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_default().to_owned();
    let at = field("author-time").parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)).unwrap_or_default();
    Some(Blame::Commit { commit, author: field("author"), at, subject: field("summary") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_git_is_read() {
        let text = "4b825dc642cb6eb9a060e54bf8d69288fbee4904 9 9 1\nauthor Kim Example\nauthor-mail <kim@example.org>\nauthor-time 1767261600\nauthor-tz +0100\ncommitter X\nsummary Lock the screen\nfilename policies/a.yaml\n\tScreenLock: 300\n";
        let Some(Blame::Commit { commit, author, at, subject }) = read(text) else { panic!("not a commit") };
        assert_eq!((author.as_str(), subject.as_str()), ("Kim Example", "Lock the screen"));
        assert_eq!((&commit[..7], at.to_rfc3339().as_str()), ("4b825dc", "2026-01-01T10:00:00+00:00"));
    }

    #[test]
    fn a_line_that_was_not_committed_says_so() {
        assert_eq!(read(&format!("{} 1 1 1\nauthor Not Committed Yet\n", "0".repeat(40))), Some(Blame::Uncommitted));
    }

    #[test]
    fn outside_git_nobody_is_blamed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "a: 1\n").unwrap();
        let place = Place { file: "a.yaml".into(), line: 1, column: 1, length: 1 };
        assert_eq!(blame(folder.path(), &place), None);
        assert_eq!(blame(folder.path(), &Place { file: "builtin:policies/x.yaml".into(), ..place }), None);
    }
}
