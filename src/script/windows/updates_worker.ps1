# What the system does about updates: exactly those that are named, and nothing that asks a question.
$ErrorActionPreference = 'Stop'
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\rmm\updates')
$script:installed = @()
$script:left = @()
$script:restart = $false
function Get-Id($update) { [string]$update.Identity.UpdateID + ':' + [string]$update.Identity.RevisionNumber }
function Add-Left($one, $reason) { $script:left += @{ package = [string]$one.name; version = [string]$one.id; reason = $reason } }
function Get-Number($one) { if ([string]$one.name -match '^KB([0-9]+)(:|$)') { $Matches[1] } else { '' } }
# The number of the update itself, where it is told: in its name, behind the article where there is one, or as what was installed.
function Get-Own($one) {
    $own = ([string]$one.name) -replace '^KB[0-9]+(:|$)', ''
    if ($own -eq '') {
        $own = [string]$one.id
        if ($own -notmatch '^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}(:|$)') { $own = '' }
    }
    ($own -split ':')[0]
}
function Test-Article($update, $number) {
    @($update.KBArticleIDs | ForEach-Object { ([string]$_) -replace '^KB', '' }) -contains $number
}
# Whether an update of the agent is the one that is named: by its number, which tells it from others with the same article, or by that
# of its article alone.
function Test-Named($update, $one) {
    $own = Get-Own $one
    $number = Get-Number $one
    if ($own -eq '' -and $number -eq '') { return $false }
    if ($own -ne '' -and $own -ne [string]$update.Identity.UpdateID) { return $false }
    ($number -eq '') -or (Test-Article $update $number)
}
function Search-Updates($what) {
    $searcher = $session.CreateUpdateSearcher()
    if ($what -ne 'IsInstalled=0') { $searcher.Online = $false }
    $searcher.Search($what).Updates
}
# Packages of the image with this number. The cumulative update says it in its details only.
function Get-Package($number) {
    if ($number -eq '') { return }
    $whole = '(^|[^0-9])' + $number + '([^0-9]|$)'
    foreach ($package in @(Get-WindowsPackage -Online)) {
        if (@('Installed', 'InstallPending', 'UninstallPending') -notcontains [string]$package.PackageState) { continue }
        $name = [string]$package.PackageName
        if ($name -match ('^Package_for_KB' + $number + '~')) { $package; continue }
        if ($name -like 'Package_for_RollupFix~*') {
            $more = Get-WindowsPackage -Online -PackageName $name
            if (([string]$more.SupportInformation + ' ' + [string]$more.Description) -match $whole) { $package }
        }
    }
}
# Which one an update of the agent is: by its number and revision. One that the agent did not know when it was taken off is known by
# its article alone.
function Get-Wanted($update, $wanted) {
    $id = Get-Id $update
    if ($wanted.ContainsKey($id)) { return $wanted[$id] }
    foreach ($known in $wanted.Keys) {
        $one = $wanted[$known]
        if ($known -match '^KB[0-9]+$' -and (Test-Named $update $one)) { return $one }
    }
}
function New-Installer {
    $installer = $session.CreateUpdateInstaller()
    # Windows itself may be at it, or somebody at the device.
    for ($i = 0; $installer.IsBusy -and $i -lt 360; $i++) { Start-Sleep -Seconds 5 }
    if ($installer.IsBusy) { throw 'another installation is under way' }
    $installer
}
# What becomes of each is told, also where all of them fail: others may be there already.
function Install-Some($updates, $wanted) {
    $done = $null
    $why = 'the device has to be restarted before'
    try {
        $installer = New-Installer
        if ($installer.RebootRequiredBeforeInstallation) {
            $script:restart = $true
        } else {
            $installer.Updates = $updates
            $done = $installer.Install()
        }
    } catch {
        $why = [string]$_.Exception.Message
    }
    if ($null -ne $done -and $done.RebootRequired) { $script:restart = $true }
    for ($i = 0; $i -lt $updates.Count; $i++) {
        $update = $updates.Item($i)
        $one = Get-Wanted $update $wanted
        if ($null -eq $done) { Add-Left $one $why; continue }
        $answer = $done.GetUpdateResult($i)
        # 2 succeeded, 3 with errors that do not matter.
        if (@(2, 3) -contains [int]$answer.ResultCode) {
            $script:installed += @{ package = [string]$one.name; from = $null; to = (Get-Id $update) }
        } else {
            Add-Left $one ('it failed with 0x{0:x8}' -f [int]$answer.HResult)
        }
    }
}
function Install-All($list) {
    $wanted = @{}
    foreach ($one in $list) { $wanted[[string]$one.id] = $one }
    $todo = New-Object -ComObject Microsoft.Update.UpdateColl
    $ready = New-Object -ComObject Microsoft.Update.UpdateColl
    $seen = @{}
    foreach ($update in (Search-Updates 'IsInstalled=0')) {
        $one = Get-Wanted $update $wanted
        if ($null -eq $one) { continue }
        $seen[[string]$one.id] = $true
        if ($update.IsHidden) { Add-Left $one 'the device holds it back'; continue }
        if ($update.InstallationBehavior.CanRequestUserInput) { Add-Left $one 'it would ask a question'; continue }
        if (-not $update.EulaAccepted) { $update.AcceptEula() }
        [void]$todo.Add($update)
    }
    if ($todo.Count -gt 0) {
        $downloader = $session.CreateUpdateDownloader()
        $downloader.Updates = $todo
        $got = $downloader.Download()
    }
    for ($i = 0; $i -lt $todo.Count; $i++) {
        $update = $todo.Item($i)
        if (-not $update.IsDownloaded) {
            Add-Left (Get-Wanted $update $wanted) ('it could not be fetched: 0x{0:x8}' -f [int]$got.GetUpdateResult($i).HResult)
            continue
        }
        # One that wants to be alone is, and before the others: they may need it.
        if ([int]$update.InstallationBehavior.Impact -eq 2) {
            $alone = New-Object -ComObject Microsoft.Update.UpdateColl
            [void]$alone.Add($update)
            Install-Some $alone $wanted
        } else {
            [void]$ready.Add($update)
        }
    }
    if ($ready.Count -gt 0) { Install-Some $ready $wanted }
    foreach ($id in $wanted.Keys) {
        $one = $wanted[$id]
        if (-not $seen.ContainsKey($id)) { Add-Left $one 'it is not offered: installed already, or replaced' }
    }
}
function Uninstall-One($one) {
    $number = Get-Number $one
    $packages = @(Get-Package $number)
    # Asked for already, and done with the next start.
    if ($packages.Count -gt 0 -and @($packages | Where-Object { [string]$_.PackageState -ne 'UninstallPending' }).Count -eq 0) {
        $script:restart = $true
        return
    }
    $updates = @(Search-Updates 'IsInstalled=1' | ForEach-Object { $_ })
    $known = @($updates | Where-Object { Test-Named $_ $one })
    # Packages of the image and wusa.exe know articles alone.
    $others = @($updates | Where-Object { $number -ne '' -and (Test-Article $_ $number) -and -not (Test-Named $_ $one) })
    $listed = @(Get-CimInstance -ClassName Win32_QuickFixEngineering | Where-Object { [string]$_.HotFixID -eq ('KB' + $number) })
    if ($packages.Count + $known.Count + $listed.Count -eq 0) { return }
    $was = [string]$one.id
    if ($was -eq '' -and $known.Count -gt 0) { $was = Get-Id $known[0] }
    if ($was -eq '') { $was = 'KB' + $number }
    $gone = @{ package = [string]$one.name; from = $was; to = $null }
    $removable = @($known | Where-Object { $_.IsUninstallable })
    if ($removable.Count -gt 0) {
        $todo = New-Object -ComObject Microsoft.Update.UpdateColl
        foreach ($update in $removable) { [void]$todo.Add($update) }
        $installer = New-Installer
        $installer.Updates = $todo
        $done = $installer.Uninstall()
        if (@(2, 3) -contains [int]$done.ResultCode) {
            if ($done.RebootRequired) { $script:restart = $true }
            $script:installed += $gone
            return
        }
    }
    if ($others.Count -gt 0) { Add-Left $one ('other updates of KB' + $number + ' are installed, which cannot be told from it here'); return }
    # What the agent cannot take off, and wusa.exe no longer takes off without a question, is a package of the image.
    if ($packages.Count -gt 0) {
        foreach ($package in @($packages | Where-Object { [string]$_.PackageState -ne 'UninstallPending' })) {
            $done = Remove-WindowsPackage -Online -NoRestart -PackageName $package.PackageName
            if ($done.RestartNeeded) { $script:restart = $true }
        }
        $script:installed += $gone
        return
    }
    if ($number -eq '') { Add-Left $one 'Windows does not let it be taken off'; return }
    $process = Start-Process -FilePath ($env:SystemRoot + '\System32\wusa.exe') -ArgumentList @('/uninstall', ('/kb:' + $number), '/quiet', '/norestart') -PassThru
    # Without its handle the exit code is lost.
    [void]$process.Handle
    if (-not $process.WaitForExit(1800000)) { $process.Kill(); Add-Left $one 'wusa.exe did not end within 30 minutes'; return }
    # 3010 wants a restart, 2359303 says that it is not there.
    if ($process.ExitCode -eq 3010) { $script:restart = $true }
    if (@(0, 3010) -contains $process.ExitCode) { $script:installed += $gone; return }
    if ($process.ExitCode -ne 2359303) { Add-Left $one ('wusa.exe ended with 0x{0:x8}' -f $process.ExitCode) }
}
try {
    $session = New-Object -ComObject Microsoft.Update.Session
    $job = ConvertFrom-Json -InputObject $key.GetValue('job')
    $list = @($job.updates)
    $touched = 0
    if ($job.what -eq 'install') {
        Install-All $list
    } elseif ($job.what -eq 'uninstall') {
        foreach ($one in $list) {
            try { Uninstall-One $one } catch { Add-Left $one ([string]$_.Exception.Message) }
        }
    } else {
        $found = @{}
        foreach ($update in (Search-Updates 'IsInstalled=0')) {
            $meant = @($list | Where-Object { Test-Named $update $_ })
            if ($meant.Count -eq 0) { continue }
            foreach ($one in $meant) { $found[[string]$one.name] = $true }
            $touched = $touched + 1
            $hide = $job.what -eq 'hide'
            if ([bool]$update.IsHidden -ne $hide) { $update.IsHidden = $hide }
        }
        foreach ($one in $list) {
            if (-not $found.ContainsKey([string]$one.name)) { Add-Left $one 'it is not offered: installed already, or replaced' }
        }
    }
    $result = @{ installed = $script:installed; left = $script:left; restart = $script:restart; touched = $touched }
} catch {
    $result = @{ error = [string]$_.Exception.Message }
}
$key.SetValue('ended', [DateTime]::UtcNow.ToString('o', [System.Globalization.CultureInfo]::InvariantCulture))
$key.SetValue('result', (ConvertTo-Json -Compress -Depth 4 -InputObject $result))
