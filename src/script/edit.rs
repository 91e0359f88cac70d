//! Editing single lines of a file on the device: one fixed program, its values passed as arguments.

use crate::model::operation::Operation;

/// `$1` path, `$2` extended regular expression or empty, `$3` line, `$4` `set`, `first` or `remove`. The new content is written
/// beside the file, given the old one's mode and owner through the open descriptor (the name could be exchanged for a link),
/// and renamed over it.
const EDIT: &str = r#"set -Cu; f=$1 t=${1%/*}/.${1##*/}.rmm-tmp p=/proc/self/fd/7 h=; [ ! -d "$f" ] || { echo "$f is a directory" >&2; exit 1; }; [ "$4" != remove ] || [ -e "$f" ] || exit 0; [ -z "$2" ] || { grep -qE -e "$2" </dev/null; [ $? -lt 2 ]; } || exit 2; n=; [ -z "$2" ] || n=$({ [ ! -e "$f" ] || cat <"$f"; } | grep -nE -e "$2" | cut -d: -f1 | tr '\n' ' '); umask 077; rm -f -- "$t"; trap 'rm -f -- "$t"; exit 143' HUP INT TERM; { { [ ! -e "$f" ] || cat <"$f"; } | N=$n L=$3 W=$4 awk 'BEGIN { split(ENVIRON["N"], a, " "); for (i in a) m[a[i]] = 1; l = ENVIRON["L"]; w = ENVIRON["W"]; s = w == "set"; if (w == "first") print l } (NR in m) || $0 "" == l "" { if (s && !d) print l; d = 1; next } { print } END { if (s && !d) print l }' >&7 && { [ -e "$p" ] || { p=$t h=-h; [ ! -L "$t" ]; }; } && { [ ! -e "$f" ] || chown $h -- "$(stat -L -c %u:%g "$f")" "$p"; } && chmod "$(stat -L -c %a "$f" 2>/dev/null || echo 0644)" "$p" && mv -f -- "$t" "$f"; } 7>"$t" || { c=$?; rm -f -- "$t"; exit "$c"; }"#;

/// Makes `line` the only line of the file among those that equal it or match `pattern` (empty: only equal ones): in
/// the place of the first of them, else at the end. A missing file is made.
pub(super) fn set_line(path: &str, pattern: &str, line: &str) -> Result<Operation, String> {
    edit(path, pattern, line, "set")
}

/// As [`set_line`], but the line becomes the first of the file.
pub(super) fn set_first_line(path: &str, pattern: &str, line: &str) -> Result<Operation, String> {
    edit(path, pattern, line, "first")
}

/// Removes every line that equals `line` or matches `pattern` (empty: only equal ones).
pub(super) fn remove_lines(path: &str, pattern: &str, line: &str) -> Result<Operation, String> {
    edit(path, pattern, line, "remove")
}

fn edit(path: &str, pattern: &str, line: &str, what: &str) -> Result<Operation, String> {
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(format!("'{path}' is not the absolute path of a file"));
    }
    if [path, pattern, line].iter().any(|text| text.contains(['\0', '\n', '\r'])) {
        return Err("a line, its pattern and its file have to be single lines".to_owned());
    }
    let argv = ["sh", "-c", EDIT, "edit", path, pattern, line, what].map(str::to_owned).to_vec();
    Ok(Operation::Run { argv, input: None })
}
