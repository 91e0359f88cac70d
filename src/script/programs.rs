//! Programs and files on Windows: scripts that are always the same, with words, paths and contents as their values. Called by
//! `render.rs`.

use serde_json::json;

use super::powershell;
use super::render::Rendered;
use crate::model::Wiped;

/// Starts a program with exactly these arguments and hands on what it prints, bytes for bytes of text, and its exit code.
/// PowerShell 5.1 loses quotes among arguments, so the command line is made here. Batch files are refused: cmd would read
/// their arguments once more, as commands.
const RUN: &str = include_str!("programs/run.ps1");

/// Writes a file beside the old one and puts it in its place, which keeps who may read it.
const WRITE: &str = include_str!("programs/write.ps1");

/// Hands a script on to PowerShell 7.
const NEWER: &str = include_str!("programs/newer.ps1");

/// Says why nothing was done.
const REFUSE: &str = include_str!("programs/refuse.ps1");

/// Longest command line of a program, in UTF-16 units.
const LONGEST: usize = 32_000;

fn script(script: &str, params: &serde_json::Value, told: bool) -> Rendered {
    Rendered { line: powershell::line(), input: Some(powershell::input(&stripped(script), params, told)) }
}

/// Without the lines that are comments.
fn stripped(script: &str) -> String {
    script.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}

/// Starts a program.
pub(super) fn run(argv: &[String], input: Option<&str>, told: bool) -> Rendered {
    let Some((program, arguments)) = argv.split_first().filter(|(program, _)| !program.is_empty()) else {
        return refused("a command without a program", told);
    };
    if argv.iter().any(|word| word.contains('\0')) {
        return refused("a NUL byte in an argument", told);
    }
    let line = arguments.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    if line.encode_utf16().count() > LONGEST {
        return refused("the arguments are longer than Windows takes", told);
    }
    script(RUN, &Wiped::new(json!({"program": program, "arguments": line, "input": input})), told)
}

/// Writes a file. `owned` is whether somebody wants a mode, an owner or a group for it.
pub(super) fn write(path: &str, content: &str, owned: bool, told: bool) -> Rendered {
    if let Err(why) = file(path) {
        return refused(why, told);
    }
    if owned {
        return refused("files on Windows have no mode, owner and group of this kind: leave them out", told);
    }
    script(WRITE, &Wiped::new(json!({"path": path.replace('/', "\\"), "content": content})), told)
}

/// Has PowerShell 7 run a script.
pub(super) fn newer(text: &str, params: &serde_json::Value, told: bool) -> Rendered {
    // It is ASCII.
    let job = powershell::input(text, params, told);
    let job = std::str::from_utf8(&job).unwrap_or_default();
    script(NEWER, &Wiped::new(json!({"job": job})), false)
}

/// Does nothing, and says why.
pub(super) fn refused(why: &str, told: bool) -> Rendered {
    script(REFUSE, &json!({"why": format!("refused: {why}")}), told)
}

/// A word as programs on Windows read it back from their command line.
fn quoted(word: &str) -> String {
    if !word.is_empty() && !word.contains([' ', '\t', '\n', '\r', '\u{b}', '"']) {
        return word.to_owned();
    }
    let mut out = String::from('"');
    let mut slashes = 0;
    for c in word.chars() {
        match c {
            '\\' => slashes += 1,
            '"' => {
                // Those before a quote are halved by whoever reads it.
                out.extend(std::iter::repeat_n('\\', slashes + 1));
                slashes = 0;
            }
            _ => slashes = 0,
        }
        out.push(c);
    }
    out.extend(std::iter::repeat_n('\\', slashes));
    out.push('"');
    out
}

/// Whether a path is that of a file, from its drive or share on.
fn file(path: &str) -> Result<(), &'static str> {
    let path = path.replace('/', "\\");
    let rest = match path.as_bytes() {
        [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic() => &path[3..],
        [b'\\', b'\\', next, ..] if !matches!(next, b'\\' | b'?' | b'.') => path[2..]
            .split_once('\\')
            .map(|(_, share)| share)
            .filter(|share| share.contains('\\'))
            .ok_or("not the path of a file on a share")?,
        _ => return Err("not an absolute path of Windows, such as C:\\ProgramData\\app\\app.conf"),
    };
    let wrong = |c: char| c.is_control() || "<>:\"|?*".contains(c);
    if rest.split('\\').any(|part| part.is_empty() || part.ends_with(['.', ' ']) || part.contains(wrong) || is_device(part)) {
        return Err("not the path of a file: a part of it is empty, ends with a dot or a space, or holds what no name may hold");
    }
    Ok(())
}

/// Names that are devices in every folder.
fn is_device(part: &str) -> bool {
    let name = part.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let numbered = |start: &str| name.strip_prefix(start).is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()));
    ["con", "prn", "aux", "nul", "conin$", "conout$"].contains(&&*name) || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::operation::{Operation, Shell};
    use crate::script::render;

    /// What a line is given on its standard input.
    fn sent(rendered: &Rendered) -> Value {
        serde_json::from_slice(rendered.input.as_ref().unwrap()).unwrap()
    }

    /// What a program finds among its arguments, by the rules of the C runtime.
    fn read_back(line: &str) -> Vec<String> {
        let (mut words, mut word, mut inside, mut any, mut slashes) = (Vec::new(), String::new(), false, false, 0);
        for c in line.chars() {
            if c == '\\' {
                slashes += 1;
                any = true;
                continue;
            }
            if c == '"' {
                word.extend(std::iter::repeat_n('\\', slashes / 2));
                if slashes % 2 == 1 {
                    word.push('"');
                } else {
                    inside = !inside;
                }
                any = true;
            } else {
                word.extend(std::iter::repeat_n('\\', slashes));
                if c.is_ascii_whitespace() && !inside {
                    if any {
                        words.push(std::mem::take(&mut word));
                    }
                    any = false;
                } else {
                    word.push(c);
                    any = true;
                }
            }
            slashes = 0;
        }
        word.extend(std::iter::repeat_n('\\', slashes));
        if any {
            words.push(word);
        }
        words
    }

    #[test]
    fn a_program_reads_back_the_very_words() {
        let words = [
            "plain",
            "",
            "a b",
            "it's",
            "say \"hi\"",
            r"C:\a b\",
            r#"\\"x\"#,
            r"\\share\x",
            "%PATH%",
            "a&b|c",
            "$(x)",
            "tab\there",
            "gr\u{fc}n",
        ];
        let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        assert_eq!(read_back(&line), words);
        let mut argv = vec!["tool.exe".to_owned()];
        argv.extend(words.map(str::to_owned));
        let rendered = render(&Operation::Run { argv, input: Some("x".into()) }, Shell::PowerShell);
        let job = sent(&rendered);
        assert_eq!(
            (&job["params"]["program"], &job["params"]["arguments"], &job["params"]["input"]),
            (&"tool.exe".into(), &line.into(), &"x".into())
        );
        assert_eq!(rendered.line, super::super::powershell::line());
        assert!(!job["script"].as_str().unwrap().contains("tool.exe"));
    }

    #[test]
    fn a_file_is_written_where_its_path_says_and_nowhere_else() {
        let write = |path: &str, mode: Option<&str>| {
            let operation =
                Operation::WriteFile { path: path.into(), content: "x".into(), mode: mode.map(str::to_owned), owner: None, group: None };
            sent(&render(&operation, Shell::PowerShell))
        };
        for path in [r"C:\ProgramData\app\app.conf", "c:/a b/x.txt", r"\\files\share\x.txt"] {
            assert_eq!(write(path, None)["params"]["path"], path.replace('/', "\\"), "{path}");
        }
        for path in [
            "/etc/motd",
            "x.txt",
            r"C:x.txt",
            r"C:\",
            r"C:\a\",
            r"C:\a\..\x",
            r"C:\a\.\x",
            r"C:\a\x.",
            r"C:\a\x ",
            r"C:\a\x:stream",
            r"C:\nul",
            r"C:\a\com1.txt",
            r"\\?\C:\x",
            r"\\.\PhysicalDrive0",
            r"\\files",
            r"\\files\share",
            r"C:\a\*",
            "C:\\a\nb",
            "",
            r"C:\\x",
        ] {
            assert!(write(path, None)["params"]["why"].as_str().is_some_and(|why| why.starts_with("refused: not ")), "{path}");
        }
        assert!(write(r"C:\x", Some("0644"))["params"]["why"].as_str().unwrap().contains("no mode"));
    }

    #[test]
    fn a_script_that_requires_powershell_7_goes_there_whole() {
        let text = "#requires -Version 7\n$p.name ?? 'gr\u{fc}n'";
        let operation = Operation::PowerShell { script: text.into(), params: json!({"name": "'; x"}) };
        let rendered = crate::script::render_told(&operation, Shell::PowerShell);
        assert_eq!(rendered.line, super::super::powershell::line());
        let outer = sent(&rendered);
        assert!(outer["script"].as_str().unwrap().contains("pwsh.exe") && outer.get("told").is_none());
        // What PowerShell 7 reads is what Windows PowerShell would have read.
        let inner: Value = serde_json::from_str(outer["params"]["job"].as_str().unwrap()).unwrap();
        assert_eq!(inner, json!({"script": text, "params": {"name": "'; x"}, "told": true}));
        let plain = Operation::PowerShell { script: "Get-Date".into(), params: json!({}) };
        assert_eq!(sent(&render(&plain, Shell::PowerShell))["script"], "Get-Date");
    }

    #[test]
    fn what_windows_cannot_be_told_is_refused() {
        for argv in [vec![], vec![String::new()], vec!["a\0b".into()], vec!["a".into(), "x".repeat(40_000)]] {
            let job = sent(&render(&Operation::Run { argv, input: None }, Shell::PowerShell));
            assert!(job["params"]["why"].is_string());
        }
        let job = sent(&render(&Operation::PowerShell { script: "a\0b".into(), params: json!({}) }, Shell::PowerShell));
        assert!(job["params"]["why"].is_string());
    }
}
