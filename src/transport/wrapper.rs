//! The shell text around a command: plain sh whatever the login shell is, root where asked, and a guard that ends
//! the command, its children and what runs under `sudo` as soon as standard input is closed.
//!
//! The guard needs no further round trip and works where a signal cannot be sent: standard input stays open while the
//! command runs, so its end means that nobody waits any more, be it cancelled, timed out or cut off.

use std::fmt::Write;

use zeroize::Zeroizing;

use crate::model::device::Elevate;
use crate::script::quote;

/// Linux takes at most 128 KiB as one argument; the rest is for the login shell's own words.
const LONGEST_ARGUMENT: usize = 120 * 1024;

/// `sudo` writes its command to the log of the device: a long one is kept out of it.
const LONGEST_LOGGED: usize = 8 * 1024;

/// How a command becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rise {
    /// Stay.
    None,
    /// `sudo -n`.
    Free,
    /// `sudo -S`.
    WithPassword,
}

impl Rise {
    pub(super) fn of(elevate: Option<Elevate>, wanted: bool, password: bool) -> Self {
        match (wanted, elevate.unwrap_or_default()) {
            (true, Elevate::Sudo) if password => Self::WithPassword,
            (true, Elevate::Sudo) => Self::Free,
            _ => Self::None,
        }
    }
}

/// What is sent to a device.
#[derive(Debug)]
pub(super) struct Wrapped {
    /// One command for any login shell; for `/bin/sh -c` too.
    pub(super) line: String,
    /// What comes on standard input, as soon as the command begins.
    pub(super) input: Zeroizing<Vec<u8>>,
}

/// Written to standard error by the wrapper as soon as the command begins as root.
pub(super) fn begun_mark(nonce: &str) -> String {
    format!("rmm-begun-{nonce}\n")
}

/// The prompt that `sudo` writes to standard error when it wants the password.
pub(super) fn ask_mark(nonce: &str) -> String {
    format!("rmm-ask-{nonce}:")
}

/// Wraps a command. `nonce` is letters and digits.
pub(super) fn wrap(line: &str, input: Zeroizing<Vec<u8>>, rise: Rise, nonce: &str) -> Wrapped {
    if rise == Rise::None || line.len() <= LONGEST_LOGGED {
        let inline = for_any_shell(&risen(&guarded(&quote(line), 0, input.len()), rise, nonce));
        if inline.len() <= LONGEST_ARGUMENT {
            return Wrapped { line: inline, input };
        }
    }
    // A long text travels on standard input instead, in front of the input.
    let script = guarded("\"$rmm_l\"", line.len(), input.len());
    let all = Zeroizing::new([line.as_bytes(), input.as_slice()].concat());
    Wrapped { line: for_any_shell(&risen(&script, rise, nonce)), input: all }
}

/// The text with the guard. Input is kept in an unlinked file first, so that a connection that breaks half way through
/// never makes a command run on half an input, and so that nothing competes with the guard for standard input.
fn guarded(text: &str, long: usize, input: usize) -> String {
    let mut out = String::with_capacity(text.len() + 1024);
    let total = long + input;
    if total > 0 {
        let _ = write!(
            out,
            "rmm_t=$(umask 077; mktemp /dev/shm/rmm.XXXXXX 2>/dev/null || mktemp \"${{TMPDIR:-/tmp}}/rmm.XXXXXX\") || exit 255\n\
             exec 8<\"$rmm_t\"\nhead -c {total} >\"$rmm_t\"\nrmm_n=$(wc -c <\"$rmm_t\")\nrm -f \"$rmm_t\"\n\
             [ $((rmm_n)) -eq {total} ] || {{ echo 'the input of the command could not be stored' >&2; exit 255; }}\n"
        );
    }
    if long > 0 {
        let _ = writeln!(out, "rmm_l=$(head -c {long} <&8)");
    }
    let (feed, from) = match (input, long) {
        (0, _) => (String::new(), "</dev/null"),
        (_, 0) => (String::new(), "<&8"),
        (n, _) => (format!("tail -c {n} <&8 | "), ""),
    };
    let close = if total > 0 { "8<&- " } else { "" };
    // The guard ignores TERM, which it sends to its own group, waits, and sends KILL, which nobody can ignore.
    // Standard error is given up before the guard is ended, because some shells report that.
    let _ = write!(
        out,
        "exec 9<&0\n\
         {{ trap '' TERM HUP INT PIPE; while read -r rmm_x <&9; do :; done; kill -TERM 0; sleep 2; kill -KILL 0; }} {close}>/dev/null 2>&1 &\n\
         rmm_g=$!\n\
         {feed}( exec 9<&- {close}; eval {text} ) {from}\n\
         rmm_s=$?\n\
         exec 2>/dev/null\n\
         kill -KILL $rmm_g\n\
         exit $rmm_s"
    );
    out
}

/// The script, run as root.
fn risen(script: &str, rise: Rise, nonce: &str) -> String {
    let sudo = match rise {
        Rise::None => return script.to_owned(),
        Rise::Free => "-n".to_owned(),
        Rise::WithPassword => format!("-S -p {}", quote(&ask_mark(nonce))),
    };
    let script = format!("echo {} >&2\n{script}", begun_mark(nonce).trim_end());
    format!("rmm_w={}\nif [ \"$(id -u)\" = 0 ]; then eval \"$rmm_w\"; else exec sudo {sudo} -- /bin/sh -c \"$rmm_w\"; fi", quote(&script))
}

/// One command that sh, csh and fish read alike, though they differ on line feeds, backslashes and `!` in single quotes.
fn for_any_shell(script: &str) -> String {
    let mut out = String::with_capacity(script.len() * 5 / 4 + 64);
    out.push_str("exec /bin/sh -c 'eval \"set --; $(printf %b \"$1\")\"' sh '");
    for c in script.chars() {
        match c {
            '\n' | '\'' | '\\' | '!' | '\r' => {
                let _ = write!(out, "\\0{:03o}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}
