//! What was learnt about PowerShell the hard way, held against every script: no PowerShell runs here, so what a script must not do is looked for in
//! its text, and what has to come before what.

use super::powershell::{all, all_files};

/// A text without its comments.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect()
}

/// Every script, by where it stands.
fn every() -> impl Iterator<Item = (String, String)> {
    all_files().into_iter().chain(all()).map(|(name, text)| (name, code(&text)))
}

/// What is wrong with a script; `collector` where it is a part of an observation.
fn mistakes(text: &str, collector: bool) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut must = |holds: bool, what: &'static str| {
        if !holds {
            found.push(what);
        }
    };
    let before = |at: usize| &text[..at];
    let redirects = text.match_indices("2>&1").all(|(at, _)| before(at).contains("$ErrorActionPreference = 'Continue'"));
    must(redirects, "a line of a program's error output ends the script before its exit code is known");
    let own = !collector || !text.contains("SystemDirectory") || text.contains("function Invoke-Program(");
    must(own, "what a program says of errors ends the part: Invoke-Program runs it");
    let people = text.contains("-like 'S-1-5-21-") || text.contains("S-1-5-21-[");
    must(!people || text.contains("S-1-12-1-"), "accounts of the cloud are left out");
    let dates = text.match_indices("ToString('yyyy").all(|(at, _)| text[at..].split(')').next().is_some_and(|call| call.contains("$inv")));
    must(dates, "a date in the calendar of the device");
    let functions =
        ["Get-MpPreference", "Get-MpComputerStatus", "Get-WindowsFeature", "Get-ScheduledTask", "Get-NetFirewallRule", "Get-SmbShare"];
    let told = |name: &str| {
        text.match_indices(name)
            .all(|(at, _)| text[at..].split(['|', '\n', ';', ')']).next().is_some_and(|call| call.contains("-ErrorAction")))
    };
    must(!collector || functions.into_iter().all(told), "a function of a module does not see how errors are dealt with outside of it");
    let cut = text.lines().all(|line| !line.contains(".exe") || !line.contains("| Select-Object -First"));
    must(cut, "a program whose output is cut short leaves no exit code");
    let first = text.match_indices("Select-Object -First ").all(|(at, found)| text[at + found.len()..].starts_with('6'));
    must(!collector || first, "what is cut off a list passes for absent");
    let kept = text.lines().all(|line| !collector || !line.contains("]::Delete($folder, $true)") || line.contains("try {"));
    must(kept, "a folder that stays behind keeps back what was found");
    for (word, what) in [
        ("SHA256]::Create", "refused where only certified cryptography is allowed"),
        ("MD5", "refused where only certified cryptography is allowed"),
        ("Global\\", "what has a name alone any user can hold"),
        ("CommonApplicationData", "every user can prepare a folder there"),
        ("Win32_Product", "asking it repairs every package"),
        ("Get-LocalGroupMember", "fails for a group with a member that is gone"),
        ("Start-Job", "starts a process of its own for each"),
    ] {
        must(!text.contains(word), what);
    }
    found
}

#[test]
fn no_script_makes_a_mistake_that_was_made_before() {
    let mut looked_at = 0;
    for (name, text) in every() {
        assert_eq!(mistakes(&text, name.contains("collectors/windows")), Vec::<&str>::new(), "{name}");
        looked_at += 1;
    }
    assert!(looked_at > 80, "only {looked_at} scripts");
}

#[test]
fn such_mistakes_are_found() {
    for wrong in [
        "$told = & auditpol.exe /get 2>&1",
        "$null = & ([Environment]::SystemDirectory + '\\auditpol.exe') /backup",
        "if ($sid -like 'S-1-5-21-*') { 1 }",
        "$when.ToString('yyyy-MM-dd')",
        "@(Get-ScheduledTask | ForEach-Object { 1 })",
        "$lines = & w32tm.exe /query | Select-Object -First 6",
        "@($found | Select-Object -First 1000)",
        "[System.IO.Directory]::Delete($folder, $true)",
        "[System.Security.Cryptography.SHA256]::Create()",
        "New-Object System.Threading.Mutex $false, 'Global\\x'",
    ] {
        assert_eq!(mistakes(wrong, true).len(), 1, "{wrong}");
    }
}

/// The one script of which the path ends so, or the one that holds this.
fn script(name: &str, holds: &str) -> String {
    let found: Vec<String> = every().filter(|(of, text)| of.ends_with(name) && text.contains(holds)).map(|(_, text)| text).collect();
    assert_eq!(found.len(), 1, "{name} with {holds}");
    found.into_iter().next().unwrap_or_default()
}

/// Each fragment after the one before it.
#[track_caller]
fn in_order(name: &str, fragments: &[&str]) {
    let text = script(name, fragments[0]);
    let mut at = 0;
    for fragment in fragments {
        let found = text[at..].find(fragment);
        at += found.unwrap_or_else(|| panic!("{name}: no `{fragment}` after what has to come before it")) + fragment.len();
    }
}

#[test]
fn what_must_not_be_the_other_way_round_is_not() {
    // A job is taken, judged, remembered, begun; of what it says nothing is read before its signature is checked.
    in_order(
        "runner.ps1",
        &[
            "function Read-Job",
            "-gt $largest",
            "Test-Signature $bytes $signature",
            "$utf8.GetString($bytes)",
            "$job.device -cne",
            "$job.expires",
            "$end = Get-Forgotten",
        ],
    );
    in_order(
        "runner.ps1",
        &[
            "function Step-Job",
            "[System.IO.File]::Move(",
            "Read-Job $taken",
            "$read.refused",
            "New-Item -ItemType Directory -Path $entry",
            "'expires'",
            "Invoke-Job $read.job",
        ],
    );
    in_order("runner.ps1", &["function Write-Answer", "WriteAllBytes($beside", "::Move($beside"]);
    // What was the end of the last job that is forgotten is noted before any is.
    in_order(
        "runner.ps1",
        &["function Remove-Old", "New-Item -ItemType Directory -Path (Join-Path $home0 $mark)", "foreach ($entry in $gone)"],
    );
    // What cannot be tidied up keeps no job from its turn.
    in_order(
        "runner.ps1",
        &["'interrupted' } 1 } catch", "try { Step-Interrupted } catch", "try { Remove-Old } catch", "Step-Job $file.BaseName"],
    );
    // What runs is ended where its answer cannot be waited for.
    in_order(
        "runner.ps1",
        &["function Invoke-Job", "[System.Diagnostics.Process]::Start($start)", "-not $process.HasExited", "Stop-Tree", "throw"],
    );
    // Nothing is encrypted before its recovery password is where it was asked to be, and no message holds one.
    in_order(
        "bitlocker.rhai",
        &[
            "-RecoveryPasswordProtector",
            "Backup-BitLockerKeyProtector",
            "& manage-bde.exe",
            "(recovery password)",
            "throw ('manage-bde",
            "Enable-BitLockerAutoUnlock",
        ],
    );
    // The old rule goes once Windows has taken the new one.
    in_order("firewall-rules.rhai", &["New-NetFirewallRule @options", "Remove-NetFirewallRule -Name $rule.Name", "Rename-NetFirewallRule"]);
    // Whoever cannot claim does nothing.
    in_order("begin.ps1", &["Write-Whole 'claim'", "[System.IO.File]::Move(", "exit 0", "[System.Diagnostics.Process]::Start"]);
    // Whole, on the disk, then in its place.
    in_order("write.ps1", &["CreateNew", "Flush($true)", "Dispose()", "::Replace($beside, $path"]);
    // Each file is judged while it is held, before it is deleted.
    in_order(
        "clear-temp.rhai",
        &[
            "Test-Real $folder.FullName",
            "FileMode]::CreateNew",
            "Test-Real $file",
            "GetFileSystemInfos",
            "::ReparsePoint",
            "Test-Real $entry.FullName",
            "FileMode]::Open",
            "Test-Real $entry.FullName",
            "$entry.Delete()",
            "$held.Dispose()",
        ],
    );
    assert_eq!(script("clear-temp.rhai", "Test-Real").matches("Delete()").count(), 1);
    // An account that is not there is said: left out, a right would be that of fewer than were asked for.
    in_order("security_policy", &["Resolve-Account", "throw ('there is no account with the number ", "secedit"]);
    // What hangs is left behind, and the end is told before the process is ended for it.
    in_order(
        "run.ps1",
        &["function Send-Line", "BeginInvoke", "BeginStop", "timeout = $true", "Send-Line 'done'", "[Environment]::Exit(0)"],
    );
}
