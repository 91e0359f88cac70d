param($source, $target)
$all = @{}
foreach ($one in Get-ChildItem (Join-Path $PSHOME 'ref') -Filter *.dll) { $all[$one.Name] = $one.FullName }
foreach ($type in [psobject], [Microsoft.Win32.RegistryKey], [System.Security.Principal.WindowsIdentity]) {
    $place = $type.Assembly.Location
    if (-not $all.ContainsKey([IO.Path]::GetFileName($place))) { $all[[IO.Path]::GetFileName($place)] = $place }
}
Add-Type -TypeDefinition (Get-Content -Raw $source) -OutputAssembly $target -ReferencedAssemblies @($all.Values)
