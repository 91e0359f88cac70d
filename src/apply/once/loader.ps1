# Starts begin.ps1 of the folder where this process was started. Always the same: nothing is pasted in.
$ErrorActionPreference = 'Stop'
$folder = [Environment]::CurrentDirectory
& ([ScriptBlock]::Create([System.IO.File]::ReadAllText([System.IO.Path]::Combine($folder, 'begin.ps1')))) $folder
