# Does nothing. In $p: why.
$bytes = (New-Object System.Text.UTF8Encoding $false).GetBytes([string]$p.why)
$out = [Console]::OpenStandardError()
$out.Write($bytes, 0, $bytes.Length)
$out.Flush()
exit 65
