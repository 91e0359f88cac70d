//! Copying for sh: programs that are always the same, paths and numbers as their arguments.

use crate::model::operation::{Operation, Shell};
use crate::transport::Command;

/// The hash of standard input, with what is installed.
const SHA256: &str = "sha() { { sha256sum 2>/dev/null <\"$1\" || shasum -a 256 2>/dev/null <\"$1\" || openssl dgst -sha256 -r 2>/dev/null <\"$1\"; } | cut -c1-64; }; ";
const LOOK: &str = r#"[ -e "$1" ] || exit 43; [ -f "$1" ] || exit 44; wc -c <"$1" && sha "$1""#;
const GATHERED: &str = r#"if [ -f "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; then wc -c <"$1"; else echo 0; fi"#;
/// A new file under a name that nobody has prepared (`set -C`); later pieces only into a file of our own.
const APPEND: &str = r#"umask 077; if [ "$2" = 0 ]; then rm -f -- "$1" && set -C && cat >"$1"; else [ -f "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && [ $(($(wc -c <"$1"))) = "$2" ] || exit 45; cat >>"$1"; fi"#;
/// Owner and mode are those of the file that is replaced.
const FINISH: &str = r#"[ "$(sha "$1")" = "$3" ] || exit 46; if [ -e "$2" ]; then [ -f "$2" ] || exit 44; chown "$(stat -L -c %u:%g "$2" 2>/dev/null || stat -L -f %u:%g "$2")" "$1" && chmod "$(stat -L -c %a "$2" 2>/dev/null || stat -L -f %Lp "$2")" "$1" || exit 1; else chmod 0644 "$1" || exit 1; fi; mv -f -- "$1" "$2""#;
const FORGET: &str = r#"rm -f -- "$1""#;
const READ: &str = r#"[ -f "$1" ] || exit 43; tail -c "+$2" <"$1" | head -c "$3""#;

fn command(program: &str, arguments: &[&str], input: Vec<u8>) -> Command {
    let argv = ["sh", "-c", program, "transfer"].into_iter().chain(arguments.iter().copied()).map(str::to_owned).collect();
    let rendered = crate::script::render(&Operation::Run { argv, input: None }, Shell::Posix);
    Command { line: rendered.line, input: input.into(), elevate: true, ..Command::default() }
}

pub(super) fn look(path: &str) -> Command {
    command(&format!("{SHA256}{LOOK}"), &[path], Vec::new())
}

pub(super) fn gathered(part: &str) -> Command {
    command(GATHERED, &[part], Vec::new())
}

pub(super) fn append(part: &str, at: u64, piece: Vec<u8>) -> Command {
    command(APPEND, &[part, &at.to_string()], piece)
}

pub(super) fn finish(part: &str, path: &str, sha256: &str) -> Command {
    command(&format!("{SHA256}{FINISH}"), &[part, path, sha256], Vec::new())
}

pub(super) fn forget(part: &str) -> Command {
    command(FORGET, &[part], Vec::new())
}

pub(super) fn read(path: &str, at: u64, length: u64) -> Command {
    command(READ, &[path, &(at + 1).to_string(), &length.to_string()], Vec::new())
}
