# Pending updates as the Windows Update Agent found them at its last scan: no network is used. One JSON document.
# Categories by their numbers: the names are translated.
$ErrorActionPreference = 'Stop'
# In some languages the calendar and the separators are others.
$inv = [System.Globalization.CultureInfo]::InvariantCulture
$searcher = (New-Object -ComObject Microsoft.Update.Session).CreateUpdateSearcher()
$searcher.Online = $false
$updates = @(foreach ($u in $searcher.Search('IsInstalled=0').Updates) {
    [pscustomobject]@{
        title      = [string]$u.Title
        kb         = @($u.KBArticleIDs | ForEach-Object { [string]$_ })
        id         = [string]$u.Identity.UpdateID
        revision   = [int]$u.Identity.RevisionNumber
        categories = @($u.Categories | ForEach-Object { [string]$_.CategoryID })
        severity   = [string]$u.MsrcSeverity
        driver     = ($u.Type -eq 2)
        hidden     = [bool]$u.IsHidden
        # The agent tells moments in UTC without saying so: converting would move them.
        released   = $u.LastDeploymentChangeTime.ToString('yyyy-MM-ddTHH:mm:ssZ', $inv)
    }
})
$last = (New-Object -ComObject Microsoft.Update.AutoUpdate).Results.LastSearchSuccessDate
$checked = if ($last) { ([datetime]$last).ToString('yyyy-MM-ddTHH:mm:ssZ', $inv) } else { $null }
# A scan of rmm is none of the automatic updates; where those are off it is the only one.
$hive = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
$noted = $hive.OpenSubKey('SOFTWARE\rmm\updates')
$own = if ($null -ne $noted) { [string]$noted.GetValue('searched') } else { '' }
if ($own -match '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$' -and [string]::CompareOrdinal($own, [string]$checked) -gt 0) { $checked = $own }
ConvertTo-Json -Depth 4 -Compress -InputObject ([pscustomobject]@{ checked = $checked; updates = $updates })
