# The Windows Update Agent, as its COM objects answer. An update (updates.json): id, revision, kb, installed, hidden, eula, asks, fetched,
# result, hresult, removable, restart, impact, refuses. The agent (agent.json): search, install (errors), restart, busy (how often). Packages of the image (packages.json): name, state, description.
function Save-Update([string]$id, [scriptblock]$change) {
    $all = @(Read-State 'updates')
    foreach ($one in $all) { if ($one.id -eq $id) { & $change $one } }
    Write-State 'updates' $all
}
function New-Update($one) {
    $identity = [pscustomobject]@{ UpdateID = $one.id; RevisionNumber = [int]$one.revision }
    $behaviour = [pscustomobject]@{ CanRequestUserInput = [bool]$one.asks; Impact = [int]$one.impact }
    $update = [pscustomobject]@{ Identity = $identity; Title = $one.id; KBArticleIDs = @($one.kb); InstallationBehavior = $behaviour; EulaAccepted = [bool]$one.eula; IsUninstallable = [bool]$one.removable; Is = $one }
    Add-Member -InputObject $update -MemberType ScriptMethod -Name AcceptEula -Value { $this.EulaAccepted = $true; Write-Call 'AcceptEula' @{ id = $this.Identity.UpdateID } }
    Add-Member -InputObject $update -MemberType ScriptProperty -Name IsDownloaded -Value { $this.EulaAccepted -and [bool]$this.Is.fetched }
    Add-Member -InputObject $update -MemberType ScriptProperty -Name IsHidden -Value { [bool]$this.Is.hidden } -SecondValue {
        param($hidden)
        Write-Call 'IsHidden' @{ id = $this.Identity.UpdateID; hidden = [bool]$hidden }
        if ($this.Is.refuses) { throw 'Access is denied. (Exception from HRESULT: 0x80240044)' }
        $this.Is.hidden = [bool]$hidden
        Save-Update $this.Identity.UpdateID { param($one) $one.hidden = [bool]$hidden }.GetNewClosure()
    }
    $update
}
function New-UpdateColl {
    $coll = New-Object Faked.Collection
    , $coll
}
function New-FakedCom([string]$name) {
    if ($name -eq 'Microsoft.Update.UpdateColl') { $coll = New-UpdateColl; return , $coll }
    if ($name -ne 'Microsoft.Update.Session') { throw "Retrieving the COM class factory for component with CLSID $name failed" }
    $session = [pscustomobject]@{}
    Add-Member -InputObject $session -MemberType ScriptMethod -Name CreateUpdateSearcher -Value {
        $searcher = [pscustomobject]@{ Online = $true }
        Add-Member -InputObject $searcher -MemberType ScriptMethod -Name Search -Value {
            param([string]$what)
            Write-Call 'Search' @{ what = $what; online = $this.Online }
            $state = @(Read-State 'agent')[0]
            if ($state.search) { throw $state.search }
            # Without a word about hidden ones both kinds are found.
            $want = $what -eq 'IsInstalled=1'
            $found = New-UpdateColl
            foreach ($one in @(Read-State 'updates' | Where-Object { [bool]$_.installed -eq $want })) { [void]$found.Add((New-Update $one)) }
            [pscustomobject]@{ Updates = $found; ResultCode = 2 }
        }
        $searcher
    }
    Add-Member -InputObject $session -MemberType ScriptMethod -Name CreateUpdateDownloader -Value {
        $downloader = [pscustomobject]@{ Updates = $null }
        Add-Member -InputObject $downloader -MemberType ScriptMethod -Name Download -Value { 
            Write-Call 'Download' @{ count = $this.Updates.Count }
            $done = [pscustomobject]@{ ResultCode = 3; Updates = $this.Updates }
            Add-Member -InputObject $done -MemberType ScriptMethod -Name GetUpdateResult -Value {
                param([int]$i)
                if ($this.Updates.Item($i).Is.fetched) { return [pscustomobject]@{ ResultCode = 2; HResult = 0 } }
                [pscustomobject]@{ ResultCode = 4; HResult = -2145107924 }
            }
            $done
        }
        $downloader
    }
    Add-Member -InputObject $session -MemberType ScriptMethod -Name CreateUpdateInstaller -Value {
        $state = @(Read-State 'agent')[0]
        $installer = [pscustomobject]@{ Updates = $null; RebootRequiredBeforeInstallation = [bool]$state.restart }
        Add-Member -InputObject $installer -MemberType ScriptProperty -Name IsBusy -Value {
            $state = @(Read-State 'agent')[0]
            if (-not $state.busy) { return $false }
            Write-State 'agent' @(@{ busy = [int]$state.busy - 1 })
            $true
        }
        Add-Member -InputObject $installer -MemberType ScriptMethod -Name Install -Value {
            Write-Call 'Install' @{ ids = @($this.Updates | ForEach-Object { $_.Identity.UpdateID }) }
            $state = @(Read-State 'agent')[0]
            if ($state.install) { throw $state.install }
            $restart = $false
            foreach ($update in $this.Updates) {
                if ($update.Is.result -eq 2) { Save-Update $update.Identity.UpdateID { param($one) $one.installed = $true } }
                if ($update.Is.restart) { $restart = $true }
            }
            $done = [pscustomobject]@{ ResultCode = 3; RebootRequired = $restart; Updates = $this.Updates }
            Add-Member -InputObject $done -MemberType ScriptMethod -Name GetUpdateResult -Value {
                param([int]$i)
                $one = $this.Updates.Item($i).Is
                [pscustomobject]@{ ResultCode = [int]$one.result; HResult = [int]$one.hresult; RebootRequired = [bool]$one.restart }
            }
            $done
        }
        Add-Member -InputObject $installer -MemberType ScriptMethod -Name Uninstall -Value {
            Write-Call 'Uninstall' @{ ids = @($this.Updates | ForEach-Object { $_.Identity.UpdateID }) }
            foreach ($update in $this.Updates) { Save-Update $update.Identity.UpdateID { param($one) $one.installed = $false } }
            [pscustomobject]@{ ResultCode = 2; RebootRequired = $false }
        }
        $installer
    }
    $session
}
function Get-WindowsPackage {
    [CmdletBinding()] param([switch]$Online, [string]$PackageName)
    $all = @(Read-State 'packages')
    if ($PackageName) {
        $one = @($all | Where-Object { $_.name -eq $PackageName })[0]
        if ($null -eq $one) { throw 'The specified package is not valid Windows package.' }
        return [pscustomobject]@{ PackageName = $one.name; PackageState = $one.state; Description = $one.description; SupportInformation = $one.support }
    }
    $all | ForEach-Object { [pscustomobject]@{ PackageName = $_.name; PackageState = $_.state } }
}
function Remove-WindowsPackage {
    [CmdletBinding()] param([switch]$Online, [switch]$NoRestart, [string]$PackageName)
    Write-Call 'Remove-WindowsPackage' $PSBoundParameters
    $all = @(Read-State 'packages')
    foreach ($one in $all) { if ($one.name -eq $PackageName) { $one.state = 'UninstallPending' } }
    Write-State 'packages' $all
    [pscustomobject]@{ Path = ''; Online = $true; RestartNeeded = $true }
}
