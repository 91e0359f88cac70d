//! Every PowerShell text of the catalog: that it parses, that Windows PowerShell 5.1 has what it uses, and that no value is pasted in.
//!
//! No PowerShell runs here: the grammar is tree-sitter's. It refuses a few texts that are valid; those are written another way.

use include_dir::Dir;
use tree_sitter::{Node, Parser};

use super::*;

/// The scripts in a file of the catalog: what stands in backticks where PowerShell is called.
fn scripts(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect();
    code.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

pub(super) fn all() -> Vec<(String, String)> {
    let files = |dir: &'static Dir<'static>| dir.files().map(|file| (file.path().display().to_string(), file.contents_utf8().unwrap()));
    files(&ACTIONS)
        .chain(files(&SETTINGS))
        .filter(|(_, text)| text.contains("powershell("))
        .flat_map(|(name, text)| scripts(text).into_iter().map(move |script| (name.clone(), script)))
        .chain(crate::script::windows::scripts().map(|(name, text)| (name.to_owned(), text.to_owned())))
        .collect()
}

fn mistakes(node: Node<'_>, text: &str, found: &mut Vec<String>) {
    if node.is_error() || node.is_missing() {
        let at = node.start_position();
        found.push(format!("line {}, column {}: {:?}", at.row + 1, at.column + 1, node.utf8_text(text.as_bytes()).unwrap_or_default()));
        return;
    }
    for child in node.children(&mut node.walk()) {
        mistakes(child, text, found);
    }
}

/// Where a text is not PowerShell.
pub(crate) fn parsed(text: &str) -> Vec<String> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
    let tree = parser.parse(text, None).unwrap();
    let mut found = Vec::new();
    mistakes(tree.root_node(), text, &mut found);
    found
}

/// What Windows PowerShell 5.1 does not have, what later ones do not have, and what has no place in a catalog.
const REFUSED: &[&str] = &[
    // Newer than 5.1: operators, parameters, commands, variables.
    "??",
    "?.",
    "?[",
    "&&",
    "||",
    "-Parallel",
    "-AsHashtable",
    "ConvertFrom-Json -Depth",
    "Get-Error",
    "-AsByteStream",
    "-EnumsAsStrings",
    "-AsArray",
    "-EscapeHandling",
    "-SkipCertificateCheck",
    "-SkipHttpErrorCheck",
    "-MaximumRetryCount",
    "-LeafBase",
    "-FollowSymlink",
    "-Shuffle",
    "Test-Json",
    "Join-String",
    "Remove-Service",
    "Get-Uptime",
    "Get-SecureRandom",
    "ConvertFrom-Markdown",
    "Start-ThreadJob",
    "Remove-Alias",
    "Switch-Process",
    "ConvertTo-CliXml",
    "ConvertFrom-CliXml",
    "ExperimentalFeature",
    "-AdditionalChildPath",
    "-AsUTC",
    "-UnixTimeSeconds",
    "-TcpPort",
    "-StatusCodeVariable",
    "-ResponseHeadersVariable",
    "-SkipHeaderValidation",
    "-AllowUnencryptedAuthentication",
    "-NoProxy",
    "-SecurityDescriptorSddl",
    "-UseQuotes",
    "-QuoteFields",
    "-NoEmphasis",
    "-ThrottleLimit",
    "utf8NoBOM",
    "utf8BOM",
    "[semver]",
    "`e[",
    "`u{",
    "$PSStyle",
    "$PSNativeCommand",
    // Newer than the .NET Framework, on which 5.1 stands.
    "TickCount64",
    ".ArgumentList",
    ".Kill($true)",
    "WaitForExitAsync",
    "ToHexString(",
    "FromHexString(",
    "HashData(",
    "UnixEpoch",
    "GetRelativePath(",
    "::Clamp(",
    "[Random]::Shared",
    "CreateFromPem",
    "ImportFromPem",
    "RandomNumberGenerator]::GetBytes",
    "RandomNumberGenerator]::Fill",
    "StringComparison]::",
    "System.Text.Json",
    "OperatingSystem]::Is",
    "ProcessPath",
    "$IsWindows",
    "$IsLinux",
    "$IsMacOS",
    "$IsCoreCLR",
    // Gone in later ones.
    "WmiObject",
    "Invoke-WmiMethod",
    "Set-WmiInstance",
    "Register-WmiEvent",
    "gwmi",
    "[wmi",
    "Get-EventLog",
    "Write-EventLog",
    "Clear-EventLog",
    "New-EventLog",
    "Limit-EventLog",
    "New-WebServiceProxy",
    "PSSnapin",
    "ConvertFrom-String ",
    "Get-ControlPanelItem",
    "Export-Console",
    "-Transaction",
    "Show-EventLog",
    "Remove-EventLog",
    "Add-Computer",
    "Checkpoint-Computer",
    "Test-ComputerSecureChannel",
    "Suspend-Job",
    "Resume-Job",
    "Convert-String",
    // Not there on Server Core, in a session without a desktop, or not without a person.
    "Out-GridView",
    "Read-Host",
    "Get-Credential",
    "Show-Command",
    // What runs text.
    "Invoke-Expression",
    "iex ",
    "Add-Type",
];

/// What in a text does not belong there.
pub(crate) fn refused(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    if let Some(word) = REFUSED.iter().copied().find(|word| lower.contains(&word.to_ascii_lowercase())) {
        return Some(word);
    }
    // In 5.1 a pipeline goes on behind the sign, not before it.
    if text.lines().any(|line| line.trim_start().starts_with('|')) {
        return Some("a line that begins with |");
    }
    // The ternary operator: ` ? ` that is not an alias behind a pipe.
    let ternary = lower.match_indices(" ? ").any(|(at, _)| !lower[..at].trim_end().ends_with('|'));
    ternary.then_some("? :")
}

/// Every file of PowerShell, below `src`.
pub(super) fn all_files() -> Vec<(String, String)> {
    fn below(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "ps1") {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    below(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

#[test]
fn every_file_of_powershell_parses_and_is_for_versions_5_1_and_7() {
    let all = all_files();
    assert!(all.len() >= 50, "only {} files were found", all.len());
    for (file, script) in all {
        assert_eq!(parsed(&script), Vec::<String>::new(), "{file}");
        let code: String = script.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect();
        assert_eq!(refused(&code), None, "{file}");
        assert!(script.is_ascii(), "{file}: Windows PowerShell takes a file without a mark for one in its own code page");
        assert!(script.starts_with("# "), "{file} does not say what it is for");
    }
}

#[test]
fn every_powershell_text_parses_and_is_for_version_5_1() {
    let all = all();
    assert!(all.len() >= 15, "only {} scripts were found", all.len());
    for (file, script) in all {
        assert_eq!(parsed(&script), Vec::<String>::new(), "{file}:\n{script}");
        assert_eq!(refused(&script), None, "{file}:\n{script}");
        assert!(!script.contains("${"), "{file}: a value is pasted into a script, or a name in braces would be");
    }
}

#[test]
fn the_text_that_starts_every_script_parses_too() {
    use base64::Engine as _;
    let line = render(&crate::model::Operation::PowerShell { script: String::new(), params: json!({}) }).line;
    let bytes = base64::engine::general_purpose::STANDARD.decode(line.rsplit(' ').next().unwrap()).unwrap();
    let units: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let text = String::from_utf16(&units).unwrap();
    assert_eq!(parsed(&text), Vec::<String>::new());
    assert_eq!(refused(&text), None);
}

/// Every call is given a text in backticks or a function of the same file, never one that was put together.
#[test]
fn no_script_is_put_together() {
    let mut calls = 0;
    for (name, text) in ACTIONS.files().chain(SETTINGS.files()).map(|file| (file.path().display(), file.contents_utf8().unwrap())) {
        for (at, call) in text.match_indices("powershell(") {
            let argument = text[at + call.len()..].trim_start();
            let function = argument.split('(').next().unwrap_or_default();
            let constant = argument.starts_with('`') || text.contains(&format!("fn {function}() {{\n    `"));
            assert!(constant, "{name}: {}", argument.lines().next().unwrap_or_default());
            calls += 1;
        }
    }
    assert!(calls >= 15, "only {calls} calls");
}

#[test]
fn what_is_broken_or_too_new_is_found() {
    for broken in ["if ($x { 1 }", "foreach ($a in $b { }", "@{ a = 1", "Get-Item -Path \"x"] {
        assert!(!parsed(broken).is_empty(), "{broken}");
    }
    for new in [
        "$a ?? 1",
        "$a?.b",
        "a && b",
        "$x ? 1 : 2",
        "1..3 | ForEach-Object -Parallel { $_ }",
        "Get-WmiObject Win32_Service",
        "iex $x",
        "Get-Process\n    | Stop-Process",
        "$process.Kill($true)",
        "[Convert]::ToHexString($bytes)",
        "$start.ArgumentList.Add('x')",
    ] {
        assert!(refused(new).is_some(), "{new}");
    }
    assert_eq!(refused("Get-Service | ? { $_.Name }"), None);
}
