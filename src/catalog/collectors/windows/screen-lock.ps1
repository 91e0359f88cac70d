# After how many idle seconds the machine locks itself.
@{ seconds = Get-Registry 'SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System' 'InactivityTimeoutSecs' }
