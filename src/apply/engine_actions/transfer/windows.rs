//! Copying for PowerShell: pieces travel as base64. Parsed in a test; it has not run on a Windows device yet.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::model::operation::{Operation, Shell};
use crate::transport::Command;

const LOOK: &str = "if (-not (Test-Path -LiteralPath $p.path)) { exit 43 }
if (-not (Test-Path -LiteralPath $p.path -PathType Leaf)) { exit 44 }
(Get-Item -LiteralPath $p.path -Force).Length.ToString()
(Get-FileHash -LiteralPath $p.path -Algorithm SHA256).Hash
";
const GATHERED: &str =
    "if (Test-Path -LiteralPath $p.part -PathType Leaf) { (Get-Item -LiteralPath $p.part -Force).Length.ToString() } else { '0' }
";
const APPEND: &str = "$mode = [System.IO.FileMode]::Open
if ($p.at -eq 0) { $mode = [System.IO.FileMode]::Create }
$file = New-Object System.IO.FileStream $p.part, $mode, ([System.IO.FileAccess]::Write), ([System.IO.FileShare]::None)
try {
    if ($file.Length -ne $p.at) { exit 45 }
    [void]$file.Seek(0, [System.IO.SeekOrigin]::End)
    $bytes = [Convert]::FromBase64String($p.piece)
    $file.Write($bytes, 0, $bytes.Length)
} finally { $file.Dispose() }
";
const FINISH: &str = "if ((Get-FileHash -LiteralPath $p.part -Algorithm SHA256).Hash -ne $p.sha256) { exit 46 }
if (Test-Path -LiteralPath $p.path -PathType Container) { exit 44 }
if (Test-Path -LiteralPath $p.path) {
    [System.IO.File]::Replace($p.part, $p.path, [NullString]::Value)
} else {
    [System.IO.File]::Move($p.part, $p.path)
}
";
const FORGET: &str = "if (Test-Path -LiteralPath $p.part -PathType Leaf) { Remove-Item -LiteralPath $p.part -Force }
";
const READ: &str = "if (-not (Test-Path -LiteralPath $p.path -PathType Leaf)) { exit 43 }
$file = New-Object System.IO.FileStream $p.path, ([System.IO.FileMode]::Open), ([System.IO.FileAccess]::Read), ([System.IO.FileShare]::ReadWrite)
try {
    [void]$file.Seek($p.at, [System.IO.SeekOrigin]::Begin)
    $bytes = New-Object byte[] $p.length
    $count = 0
    do {
        $more = $file.Read($bytes, $count, $bytes.Length - $count)
        $count = $count + $more
    } while ($more -gt 0 -and $count -lt $bytes.Length)
    [Convert]::ToBase64String($bytes, 0, $count)
} finally { $file.Dispose() }
";

fn command(script: &str, params: Value) -> Command {
    let rendered = crate::script::render(&Operation::PowerShell { script: script.to_owned(), params }, Shell::PowerShell);
    Command { line: rendered.line, input: rendered.input.unwrap_or_default(), elevate: true, ..Command::default() }
}

pub(super) fn look(path: &str) -> Command {
    command(LOOK, json!({ "path": path }))
}

pub(super) fn gathered(part: &str) -> Command {
    command(GATHERED, json!({ "part": part }))
}

pub(super) fn append(part: &str, at: u64, piece: &[u8]) -> Command {
    let piece = base64::engine::general_purpose::STANDARD.encode(piece);
    command(APPEND, json!({ "part": part, "at": at, "piece": piece }))
}

pub(super) fn finish(part: &str, path: &str, sha256: &str) -> Command {
    command(FINISH, json!({ "part": part, "path": path, "sha256": sha256 }))
}

pub(super) fn forget(part: &str) -> Command {
    command(FORGET, json!({ "part": part }))
}

pub(super) fn read(path: &str, at: u64, length: u64) -> Command {
    command(READ, json!({ "path": path, "at": at, "length": length }))
}

#[cfg(test)]
pub(in crate::apply::engine_actions) const SCRIPTS: [&str; 6] = [LOOK, GATHERED, APPEND, FINISH, FORGET, READ];
