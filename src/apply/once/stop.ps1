# Ends what runs under a key; where nothing was begun yet, nothing will be. In $p: key.
#common
$claim = Read-Claim $file
if ($null -eq $claim) {
    $mine = $file + '~' + [guid]::NewGuid().ToString('n') + '.cut'
    [System.IO.File]::WriteAllText($mine, "cut`n", $utf8)
    try {
        [System.IO.File]::Move($mine, $file)
    } catch [System.IO.IOException] {
        # Begun in this very moment.
        [System.IO.File]::Delete($mine)
        $claim = Read-Claim $file
    }
}
if ($null -ne $claim -and $claim.hash -ne 'cut') {
    [System.IO.File]::WriteAllText((Join-Name $claim.folder 'cut'), '', $utf8)
    if (-not [System.IO.File]::Exists((Join-Name $claim.folder 'code')) -and (Test-Alive $claim)) {
        $ErrorActionPreference = 'Continue'
        $null = & ([Environment]::SystemDirectory + '\taskkill.exe') /PID $claim.process /T /F
    }
}
