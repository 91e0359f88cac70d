function Get-MpPreference {
    [CmdletBinding()] param()
    if ([Fakes.Mode]::Is('denied', 'MpPreference')) { Write-Error 'Access is denied.'; return }
    if ([Fakes.Mode]::Is('silent', 'MpPreference')) { return }
    [pscustomobject]@{
        DisableRealtimeMonitoring = $false; ScanScheduleDay = [byte]0; ScanScheduleTime = [timespan]'02:00:00'; ExclusionPath = [string[]]@('C:\Temp', 'N/A: Must be an administrator to view exclusions')
        ExclusionProcess = $null; AttackSurfaceReductionRules_Ids = [string[]]@('d4f940ab-401b-4efc-aadc-ad5f3c50688a'); AttackSurfaceReductionRules_Actions = [byte[]](1)
        SignatureFirstAuGracePeriod = [uint32]120; Since = [datetime]'2026-11-01T00:00:00Z'; One = [string[]]@('x'); PUAProtection = [byte]1
    }
}
