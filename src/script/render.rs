//! The one place where operations become what is sent to a device: POSIX sh text here, scripts for PowerShell in `programs.rs`.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::own::owner_and_group;
use super::{powershell, programs, quote};
use crate::model::operation::{Operation, Shell, ShownCommand};

const NUL: &str = "a NUL byte in a script";

/// An operation as it is sent to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// POSIX sh text, or the line that starts PowerShell.
    pub line: String,
    /// What is sent to its standard input.
    pub input: Option<Zeroizing<Vec<u8>>>,
}

/// Renders an operation for what reads it. What it cannot express (a NUL byte, a path that is not one) becomes a command that
/// refuses.
pub fn render(operation: &Operation, shell: Shell) -> Rendered {
    rendered(operation, shell, false)
}

/// The same for what nobody looks at afterwards: PowerShell prints a line feed before anything else, so that a device on which nothing was run
/// (a program that stands in for PowerShell, a scanner that stops it) is told from one on which nothing was to be said. See [`told`].
pub fn render_told(operation: &Operation, shell: Shell) -> Rendered {
    rendered(operation, shell, shell == Shell::PowerShell)
}

/// What was printed for [`render_told`], without what shows that it ran; nothing where that is missing from an answer that says it went well.
pub fn told(shell: Shell, code: i32, printed: &[u8]) -> Option<&[u8]> {
    if shell != Shell::PowerShell {
        return Some(printed);
    }
    let rest = printed.strip_prefix(b"\n").or_else(|| printed.strip_prefix(b"\r\n"));
    // What stands before it comes from elsewhere, a greeting of the shell: it was not silence.
    rest.or_else(|| (code != 0 || !printed.is_empty()).then_some(printed))
}

fn rendered(operation: &Operation, shell: Shell, told: bool) -> Rendered {
    match operation {
        Operation::Run { argv, input } if shell == Shell::PowerShell => programs::run(argv, input.as_deref(), told),
        Operation::WriteFile { path, content, mode, owner, group } if shell == Shell::PowerShell => {
            programs::write(path, content, [mode, owner, group].into_iter().any(Option::is_some), told)
        }
        Operation::Run { argv, input } => {
            if argv.is_empty() || argv.iter().any(|word| word.contains('\0')) {
                return refused("a command without a program, or a NUL byte in an argument");
            }
            let line = argv.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
            Rendered { line, input: input.as_ref().map(|text| Zeroizing::new(text.clone().into_bytes())) }
        }
        Operation::WriteFile { path, content, mode, owner, group } => {
            let Some((folder, name)) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty() && !matches!(*name, "." | "..")) else {
                return refused("not the path of a file");
            };
            if !path.starts_with('/')
                || [Some(path), mode.as_ref(), owner.as_ref(), group.as_ref()].into_iter().flatten().any(|t| t.contains('\0'))
            {
                return refused("not an absolute path, or a NUL byte in it");
            }
            let line = write_line(path, &format!("{folder}/.{name}.rmm-tmp"), mode.as_deref(), owner.as_deref(), group.as_deref());
            Rendered { line, input: Some(Zeroizing::new(content.clone().into_bytes())) }
        }
        Operation::PowerShell { script, params } => {
            if script.contains('\0') {
                return if shell == Shell::PowerShell { programs::refused(NUL, told) } else { refused(NUL) };
            }
            if powershell::requires_newer(script) {
                return programs::newer(script, params, told);
            }
            Rendered { line: powershell::line(), input: Some(powershell::input(script, params, told)) }
        }
    }
}

/// Renders an operation for people, every text of it passed through `redact` before it is quoted. PowerShell is shown as its script.
pub fn shown(operation: &Operation, redact: &dyn Fn(&str) -> String) -> ShownCommand {
    let clean = |text: &Option<String>| text.as_deref().map(redact);
    let redacted = match operation {
        Operation::Run { argv, input } => Operation::Run { argv: argv.iter().map(|word| redact(word)).collect(), input: clean(input) },
        Operation::WriteFile { path, content, mode, owner, group } => Operation::WriteFile {
            path: redact(path),
            content: redact(content),
            mode: clean(mode),
            owner: clean(owner),
            group: clean(group),
        },
        // What is sent is one line that is always the same; what people want to read is the script.
        Operation::PowerShell { script, params } => {
            return ShownCommand { line: powershell::shown(&redact(script), &powershell::each_text(params, redact)), input_bytes: None };
        }
    };
    // Words and paths are shown in one form, whatever reads them on the device.
    let Rendered { line, input } = render(&redacted, Shell::Posix);
    ShownCommand { line, input_bytes: input.map(|bytes| bytes.len()) }
}

/// Written beside the file under a name that nobody else can have prepared (`set -C` refuses what exists, links too),
/// then owner, mode and rename. On any failure the old file stays as it was. Who may write to the folder may exchange the new
/// file for a link meanwhile: owner and mode are set through the open descriptor, or where there is no /proc not on a link.
fn write_line(path: &str, beside: &str, mode: Option<&str>, owner: Option<&str>, group: Option<&str>) -> String {
    let mut line = format!(
        "f={} t={} p=/proc/self/fd/7 h=; umask 077; set -C; [ ! -d \"$f\" ] && rm -f -- \"$t\" && trap 'rm -f -- \"$t\"; exit 143' HUP INT TERM",
        quote(path),
        quote(beside)
    );
    line.push_str(r#" && { cat >&7 && { [ -e "$p" ] || { p=$t h=-h; [ ! -L "$t" ]; }; }"#);
    if owner.is_none() || group.is_none() {
        line.push_str(r#" && { [ ! -e "$f" ] || chown $h "$(stat -L -c %u:%g "$f" 2>/dev/null || stat -L -f %u:%g "$f")" "$p"; }"#);
    }
    if let Some(chown) = owner_and_group(owner, group) {
        let _ = write!(line, " && chown $h -- {} \"$p\"", quote(&chown));
    }
    match mode {
        Some(mode) => {
            let _ = write!(line, " && chmod -- {} \"$p\"", quote(mode));
        }
        None => {
            line.push_str(r#" && chmod "$(stat -L -c %a "$f" 2>/dev/null || { [ -e "$f" ] && stat -L -f %Lp "$f"; } || echo 0644)" "$p""#);
        }
    }
    line.push_str(r#" && mv -f -- "$t" "$f"; } 7>"$t" || { rm -f -- "$t"; echo "$f was not written and is as it was" >&2; exit 1; }"#);
    line
}

fn refused(why: &str) -> Rendered {
    Rendered { line: format!("echo {} >&2; exit 65", quote(&format!("refused: {why}"))), input: None }
}
