//! Giving what exists on the device an owner and a mode: one fixed program, its values passed as arguments.

use crate::model::operation::Operation;

/// `$1` path, `$2` owner and group as chown takes them or empty, $3 mode or empty. Who may write to the folder may exchange
/// the name for a link at any moment: so it is opened once, found to be what the name itself means (and no link), and changed
/// through the open descriptor. Owner before mode: changing the owner clears the set-id bits. Where there is no /proc, links
/// are refused and chown does not follow them.
const OWN: &str = r#"f=$1 p=/proc/self/fd/7 h=; [ -f "$f" ] || [ -d "$f" ] || { echo "$f is neither a file nor a directory" >&2; exit 1; }; { if [ -e "$p" ]; then i=$(stat -L -c %d:%i "$p") && [ "$i" = "$(stat -c %d:%i "$f")" ]; else p=$f h=-h; [ ! -L "$f" ]; fi || { echo "$f is a link, or was exchanged" >&2; exit 1; }; [ -z "$2" ] || chown $h -- "$2" "$p" && { [ -z "$3" ] || chmod -- "$3" "$p"; }; } 7<"$f""#;

/// Sets owner, group and mode of a file or directory, as far as they are named. A symbolic link is refused.
pub(super) fn own(path: &str, mode: Option<&str>, owner: Option<&str>, group: Option<&str>) -> Operation {
    let who = owner_and_group(owner, group).unwrap_or_default();
    let argv = ["sh", "-c", OWN, "own", path, &who, mode.unwrap_or_default()].map(str::to_owned).to_vec();
    Operation::Run { argv, input: None }
}

/// The first argument of chown, where there is anything to change.
pub(super) fn owner_and_group(owner: Option<&str>, group: Option<&str>) -> Option<String> {
    match (owner, group) {
        (Some(owner), Some(group)) => Some(format!("{owner}:{group}")),
        (Some(owner), None) => Some(owner.to_owned()),
        (None, Some(group)) => Some(format!(":{group}")),
        (None, None) => None,
    }
}
