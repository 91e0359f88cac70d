//! How a PowerShell script reaches Windows: one line that is always the same, and everything that varies on standard input.
//!
//! Script and values travel as one JSON text in ASCII, so that neither the code page of the device nor the 8191 characters of a
//! Windows command line matter. What comes back is UTF-8. Called by `render.rs`; no PowerShell runs here.

use std::io::Write as _;

use base64::Engine as _;
use serde::Serialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::model::wiped::json_text;

/// Reads script and values, runs the script with `$p`, and answers in UTF-8 whatever the code page is. Programs that the script
/// starts are understood by the device's own code page, which is why that is left as it is. What is no text is shown as
/// people see it, as one table where it is one, whatever the language; what looks otherwise begins another table, because to one that
/// has begun it would be an empty row, and so do a thousand objects, because the width of columns follows from the first ones.
/// `Write-Host` counts as output, a warning as an error. What .NET writes before an input where the code page is UTF-8 is taken off.
const BOOTSTRAP: &str = r#"$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$rmmMode = "$($ExecutionContext.SessionState.LanguageMode)"
if ($rmmMode -ne 'FullLanguage') {
    "rmm-language-mode $rmmMode $($PSVersionTable.PSVersion)"
    throw ('the language mode of PowerShell is ' + $rmmMode + ': AppLocker or App Control lets no script of rmm work here')
}
$rmmText = New-Object Text.StringBuilder
$rmmUtf8 = New-Object Text.UTF8Encoding $false
$rmmMany = New-Object Collections.ArrayList
$rmmShow = {
    if ($rmmMany.Count -gt 0) {
        $rmmAll = $rmmMany.ToArray()
        $rmmMany.Clear()
        $rmmAll = ($rmmAll | Out-String -Width 4096).Replace("`r", '').Trim("`n")
        [void]$rmmText.Append(($rmmAll -replace '(?m)(?<! ) +$', '')).Append("`n")
    }
}
$rmmCode = 0
$rmmError = ''
$rmmWarned = New-Object Text.StringBuilder
try {
    $rmmJob = ConvertFrom-Json -InputObject (@($input) -join '').TrimStart([char]0xFEFF)
    if ($rmmJob.script -isnot [string]) { throw 'no script has arrived on standard input' }
    $p = $rmmJob.params
    if ($rmmJob.told) {
        $rmmOut = [Console]::OpenStandardOutput()
        $rmmOut.WriteByte(10)
        $rmmOut.Flush()
    }
    & ([ScriptBlock]::Create($rmmJob.script)) 3>&1 6>&1 | ForEach-Object {
        $rmmLine = $_
        if ($rmmLine -is [Management.Automation.WarningRecord]) {
            [void]$rmmWarned.Append('warning: ' + $rmmLine.Message + "`n")
            return
        }
        $rmmEnd = "`n"
        if ($rmmLine -is [Management.Automation.InformationRecord]) {
            if ($rmmLine.Tags -notcontains 'PSHOST') { return }
            if ($rmmLine.MessageData.NoNewLine) { $rmmEnd = '' }
            $rmmLine = [string]$rmmLine.MessageData
        }
        if ($rmmLine -is [IConvertible]) {
            & $rmmShow
            [void]$rmmText.Append([string]$rmmLine).Append($rmmEnd)
        } elseif ($null -ne $rmmLine) {
            $rmmOwn = $rmmLine -is [Management.Automation.PSCustomObject]
            if ($rmmOwn) { $rmmKind = $rmmLine.PSObject.Properties.Name -join ' ' } else { $rmmKind = $rmmLine.PSObject.TypeNames[-2] }
            if ($rmmMany.Count -gt 0 -and ($rmmKind -ne $rmmLast -or ($rmmOwn -and $rmmMany.Count -ge 1000))) {
                & $rmmShow
                [void]$rmmText.Append("`n")
            }
            $rmmLast = $rmmKind
            [void]$rmmMany.Add($rmmLine)
        }
    }
    & $rmmShow
} catch {
    $rmmCode = 1
    $rmmError = [string]$_.Exception.Message
    if ($_.InvocationInfo.ScriptLineNumber -gt 0 -and $_.InvocationInfo.Line -notlike '*$rmmJob*') { $rmmError = 'line ' + $_.InvocationInfo.ScriptLineNumber + ': ' + $rmmError }
} finally {
    try { & $rmmShow } catch { $rmmMany.Clear() }
    $rmmBytes = $rmmUtf8.GetBytes($rmmText.ToString())
    $rmmOut = [Console]::OpenStandardOutput()
    $rmmOut.Write($rmmBytes, 0, $rmmBytes.Length)
    $rmmOut.Flush()
    $rmmBytes = $rmmUtf8.GetBytes([string]$rmmWarned + $rmmError)
    $rmmOut = [Console]::OpenStandardError()
    $rmmOut.Write($rmmBytes, 0, $rmmBytes.Length)
    $rmmOut.Flush()
}
exit $rmmCode
"#;

/// The command line; cmd and sh read it alike. What is in front of each line for people takes too much room there.
pub(super) fn line() -> String {
    let text: String = BOOTSTRAP.lines().flat_map(|line| [line.trim_start(), "\n"]).collect();
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand {encoded}")
}

/// What the line reads.
#[derive(Serialize)]
struct Job<'a> {
    script: &'a str,
    params: &'a Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    told: bool,
}

/// What is sent to its standard input: one line of ASCII. `told` has it print a line feed before the script begins.
pub(super) fn input(script: &str, params: &Value, told: bool) -> Zeroizing<Vec<u8>> {
    let text = json_text(&Job { script, params, told });
    let text = std::str::from_utf8(&text).unwrap_or_default();
    // As large as it becomes: a buffer that grows leaves its first bytes behind.
    let length: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 6 * c.len_utf16() }).sum();
    let mut out: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(length + 1));
    for c in text.chars() {
        if let Some(byte) = u8::try_from(c).ok().filter(u8::is_ascii) {
            out.push(byte);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out.push(b'\n');
    out
}

/// Whether a script says that Windows PowerShell is too old for it: `#requires -Version 7`.
pub(super) fn requires_newer(script: &str) -> bool {
    let says = |line: &str| {
        let mut words = line.split_whitespace();
        let mut is = |word: &str| words.next().is_some_and(|own| own.eq_ignore_ascii_case(word));
        is("#requires") && is("-version") && words.next().is_some_and(|version| version.starts_with(['6', '7']))
    };
    // What ends the text over several lines, or the comment, that a line stands in: it may be another script.
    let mut end: Option<&str> = None;
    for line in script.lines() {
        let own = line.trim();
        match end {
            Some("#>") if own.contains("#>") => end = None,
            Some(mark) if mark != "#>" && line.starts_with(mark) => end = None,
            None if says(line) => return true,
            None if own.starts_with("<#") && !own.contains("#>") => end = Some("#>"),
            None if own.starts_with('#') => {}
            None if own.ends_with("@'") => end = Some("'@"),
            None if own.ends_with("@\"") => end = Some("\"@"),
            _ => {}
        }
    }
    false
}

/// What a device printed whose PowerShell is restricted: the language mode, and the version. Nothing else can be had of it then.
pub fn language_mode(printed: &[u8]) -> Option<(String, Option<String>)> {
    let line = printed.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty())?;
    let mut words = std::str::from_utf8(line).ok()?.strip_prefix("rmm-language-mode ")?.split(' ');
    let plain = |word: &&str| word.len() <= 40 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    let mode = words.next().filter(plain)?;
    Some((mode.to_owned(), words.next().filter(plain).map(str::to_owned)))
}

/// Script and values for people.
pub(super) fn shown(script: &str, params: &Value) -> String {
    let with = match params.as_object() {
        Some(members) if members.is_empty() => String::new(),
        _ => format!(" with $p = {params}"),
    };
    match super::windows::name_of(script) {
        // One of a few that are always the same, and are used for hundreds of values: its name says which.
        Some(name) => format!("PowerShell {name}{with}"),
        None => format!("PowerShell{with}\n{}", script.trim_matches('\n')),
    }
}

/// The value with every text in it passed through `change`, names of members too.
pub(super) fn each_text(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(list) => list.iter().map(|item| each_text(item, change)).collect(),
        Value::Object(map) => map.iter().map(|(name, item)| (change(name), each_text(item, change))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_line_is_the_same_for_every_script_and_fits_windows() {
        let line = line();
        // cmd has 8191, and whoever starts it says so itself.
        assert!(line.len() < 8000, "{} characters", line.len());
        let encoded = line.rsplit(' ').next().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
        let units: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        assert!(String::from_utf16(&units).unwrap().lines().eq(BOOTSTRAP.lines().map(str::trim_start)));
        assert!(line.bytes().all(|b| b.is_ascii_alphanumeric() || b" -+/=.".contains(&b)), "no shell finds anything to do in it");
    }

    #[test]
    fn nothing_but_the_script_writes_to_the_output() {
        let (before, after) = BOOTSTRAP.split_once("[ScriptBlock]::Create").unwrap();
        assert!(before.contains("$ProgressPreference = 'SilentlyContinue'\n"), "no progress");
        assert!(after.contains(" 3>&1 6>&1 | ForEach-Object"), "warnings and what is written to the host go through our hands");
        assert!(after.contains("$rmmKind -ne $rmmLast"), "no object becomes an empty row of the table of others");
    }

    #[test]
    fn script_and_values_travel_as_one_line_of_ascii_that_json_reads_back() {
        let script = "Write-Output \"gr\u{fc}n \u{1f600}\"\n$p.name";
        let params = json!({"name": "'; Remove-Item C:\\ #\n\u{4e16}", "n": 3});
        let sent = input(script, &params, false);
        assert!(sent.is_ascii());
        assert_eq!(sent.iter().position(|b| *b == b'\n'), Some(sent.len() - 1));
        let back: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!((back["script"].as_str().unwrap(), &back["params"]), (script, &params));
    }

    #[test]
    fn a_restricted_powershell_says_so_before_anything_that_it_refuses() {
        let (check, rest) = BOOTSTRAP.split_once("\n}\n").unwrap();
        for refused in ["New-Object", "[Console]", "[ScriptBlock]", "::"] {
            assert!(!check.contains(refused) && (rest.contains(refused)), "{refused}");
        }
        let of = |text: &str| language_mode(text.as_bytes());
        assert_eq!(
            of("rmm-language-mode ConstrainedLanguage 5.1.22621.4391\r\n"),
            Some(("ConstrainedLanguage".into(), Some("5.1.22621.4391".into())))
        );
        assert_eq!(of("\r\nrmm-language-mode NoLanguage\n"), Some(("NoLanguage".into(), None)));
        for other in ["", "x\nrmm-language-mode ConstrainedLanguage", "rmm-language-mode \u{1b}[2J", "rmm-language-mode"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_script_says_itself_which_powershell_it_requires() {
        for script in ["#requires -Version 7\n$a", "\n# What it does.\n  #Requires -version 7.4\n$a ?? 1", "#REQUIRES  -VERSION 6"] {
            assert!(requires_newer(script), "{script}");
        }
        for script in ["Get-Date", "#requires -Version 5.1\nGet-Date", "'#requires -Version 7'", "#requires -Modules x", "#requires"] {
            assert!(!requires_newer(script), "{script}");
        }
        // Another script, which this one writes, and a comment.
        for [open, close] in [["$text = @'", "'@"], ["Set-Content a.ps1 @\"", "\"@"], ["<# Such as", "#>"]] {
            let script = format!("{open}\n#requires -Version 7\n{close}\n");
            assert!(!requires_newer(&script) && requires_newer(&format!("{script}#requires -Version 7\n")), "{script}");
        }
        assert!(requires_newer("# What ends with @'\n#requires -Version 7\n"));
    }

    #[test]
    fn people_read_the_script_and_its_values() {
        assert_eq!(
            shown("\nStop-Service -Name $p.name\n", &json!({"name": "x"})),
            "PowerShell with $p = {\"name\":\"x\"}\nStop-Service -Name $p.name"
        );
        assert_eq!(shown("Get-Date", &json!({})), "PowerShell\nGet-Date");
        let secret = each_text(&json!({"a": ["hunter2", {"b": "x hunter2"}], "n": 1}), &|text| text.replace("hunter2", "***"));
        assert_eq!(secret, json!({"a": ["***", {"b": "x ***"}], "n": 1}));
    }
}
