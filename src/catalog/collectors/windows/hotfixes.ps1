# Updates that Windows lists as installed. The day is a text of several forms; it is read elsewhere. PowerShell puts a member of its own
# over it, which reads the text in the language of the device; here it is taken as the class has it.
@{
    items = @(Get-CimInstance -ClassName Win32_QuickFixEngineering | ForEach-Object {
        [ordered]@{
            HotFixID = [string]$_.HotFixID; Description = [string]$_.Description
            InstalledOn = [string]$_.CimInstanceProperties['InstalledOn'].Value
        }
    })
}
