"""What scripts may do, and what has to come of it."""

# Around scripts: script, exit code, standard output, what is in standard error.
BOOTSTRAP = [
    ("'a'; 'b'", 0, "a\nb\n", ""),
    ("'gr\u00fcn \u4e16\u754c \U0001f600'", 0, "gr\u00fcn \u4e16\u754c \U0001f600\n", ""),
    ("$p.text; @($p.list).Count; $null -eq $p.none", 0, "\"\u00fc'\n\n1\nTrue\n", ""),
    ("'before'\nthrow 'bad \u00fc'", 1, "before\n", "line 2: bad \u00fc"),
    ("Write-Error 'soft'; 'after'", 1, "", "soft"),
    ("'a' +", 1, "", "must provide a value"),
    ("'x'; exit 7", 7, "x\n", ""),
    ("Get-Nope", 1, "", "line 1: The term 'Get-Nope'"),
    ("& /bin/sh -c 'echo out; echo err >&2; exit 4'; $LASTEXITCODE", 0, "out\n4\n", "err"),
    ("Write-Warning w; Write-Progress -Activity a; 'x'", 0, "x\n", ""),
    ("@($input).Count", 0, "0\n", ""),
    # Objects: one table of what looks alike, and nothing becomes an empty row of the table of others.
    ("[pscustomobject]@{a = 1}; [pscustomobject]@{a = 2}", 0, "a\n-\n1\n2\n", ""),
    ("[pscustomobject]@{a = 1}; [pscustomobject]@{b = 2}; 'x'; [pscustomobject]@{b = 3}; exit 3", 3, "a\n-\n1\n\nb\n-\n2\nx\nb\n-\n3\n", ""),
    ("[pscustomobject]@{a = 1} | Format-List; [version]'1.2' | Select-Object Major", 0, "a : 1\n\nMajor\n-----\n    1\n", ""),
    ("1..1000 | ForEach-Object { [pscustomobject]@{a = 'x'} }; [pscustomobject]@{a = 'whole'}", 0, "a\n-\n" + "x\n" * 1000 + "\na\n-\nwhole\n", ""),
    ("Write-Host -NoNewline a; Write-Host b; [pscustomobject]@{a = 1}; throw 'no'", 1, "ab\na\n-\n1\n", "line 1: no"),
    ("function f { Write-Warning w; 1 }; $x = f; $x + 1", 0, "2\n", "warning: w\n"),
    ("'x' * 300000", 0, "x" * 300000 + "\n", ""),
]
PARAMETERS = {"text": "\"\u00fc'\n", "list": [1], "none": None}

# What arrives in place of a job, exit code and standard output.
INPUT = [
    (b"", 1, b""),
    (b"\n", 1, b""),
    (b"{", 1, b""),
    (b"{}\n", 1, b""),
    (b"null\n", 1, b""),
    (b'{"script":null,"params":{}}\n', 1, b""),
    (b'{"script":"","params":{}}\n', 0, b""),
    (b'{"script":"\'a\'","params":{},"told":true}\n', 0, b"\na\n"),
    (b'{"script":"\'a\'",\n"params":{}}\n', 0, b"a\n"),
]

# Parts of an observation: name, script, seconds, what is said: a value, or a kind and the beginning of a reason.
HANG = {"timeout": True}
PARTS = [
    ("ok", "@{a = 1}", 10, {"d": {"a": 1}}),
    ("sleeps", "Start-Sleep 600; @{a = 1}", 3, HANG),
    ("spins", "while ($true) { }", 3, HANG),
    ("outside", "[System.Threading.Thread]::Sleep(600000)", 3, HANG),
    ("throws", "throw 'no way'", 10, {"error": "no way"}),
    ("method", "[int]::Parse('x')", 10, {"error": "Input string"}),
    ("rubbish", "'junk'; @{a = 1}", 10, {"d": ["junk", {"a": 1}]}),
    ("prints", "Write-Host hello; [Console]::Write('half a line'); Write-Warning w; Write-Verbose v -Verbose; @{a = 1}", 10, {"d": {"a": 1}}),
    ("soft", "Write-Error 'soft'; @{a = 1}", 10, {"error": "soft"}),
    ("nothing", "", 10, {"d": None}),
    ("one", "@{items = @(1 | ForEach-Object { @{x = $_} })}", 10, {"d": {"items": [{"x": 1}]}}),
    ("none", "@{items = @(@() | ForEach-Object { $_ })}", 10, {"d": {"items": []}}),
    ("many", "@{items = @(1..10000 | ForEach-Object { $_ })}", 20, {"d": {"items": list(range(1, 10001))}}),
    ("letters", "@{t = [string]'gr\u00fcn \u4e16 \U0001f600'; half = [string][char]0xD83D; bell = [string][char]7}", 10, {"d": {"t": "gr\u00fcn \u4e16 \U0001f600", "half": "\ufffd", "bell": "\u0007"}}),
    ("numbers", "@{u = [uint64]::MaxValue; i = [long]::MinValue; b = [byte]200; f = 1.5}", 10, {"d": {"u": 2**64 - 1, "i": -(2**63), "b": 200, "f": 1.5}}),
    ("moments", "@{m = Format-Moment ([datetime]'2026-11-22T01:02:03Z'); n = Format-Moment $null}", 10, {"d": {"m": "2026-11-22T01:02:03Z", "n": None}}),
    ("bytes", "@{b = [byte[]](1, 2); e = [byte[]]@(); n = $null; s = [string]$null}", 10, {"d": {"b": [1, 2], "e": [], "n": None, "s": ""}}),
    ("exits", "exit 3", 10, None),
    ("unsupported", "Stop-Unsupported 'not here'", 10, {"unsupported": "not here"}),
    ("no-command", "Get-Nope", 10, {"unsupported": "The term 'Get-Nope'"}),
    ("no-class", "Get-CimInstance -ClassName Nope", 10, {"error": "Invalid class"}),
    ("tpm", "Get-CimInstance -Namespace root/nope -ClassName Nope", 10, {"unsupported": "Invalid namespace"}),
    ("parses", "@{a = ", 10, {"error": ""}),
    ("asks", "Read-Host", 10, {"error": ""}),
    ("long", "throw ('y' * 5000)", 10, {"error": "y" * 300}),
    ("program", "Invoke-Program 'w32tm.exe' '/query', '/status' | Select-Members 'code', 'errors'", 10, {"d": {"code": 0, "errors": "Warnung: etwas"}}),
    ("late", "Start-Sleep 1; @{a = 1}", 10, {"d": {"a": 1}}),
]

# Modes of a device.
MODES = {
    "good": {},
    "one": {"RMM_FAKE_MODE": "one"},
    "silent": {"RMM_FAKE_MODE": "silent"},
    "absent": {"RMM_FAKE_MODE": "absent"},
    "denied": {"RMM_FAKE_MODE": "denied"},
    "broken": {"RMM_FAKE_MODE": "broken"},
    "null": {"RMM_FAKE_MODE": "null"},
    "hung": {"RMM_FAKE_MODE": "hung", "RMM_FAKE_OF": "Win32_Service|MSFT_NetRoute"},
    "programs complain": {"RMM_FAKE_PROGRAM": "chatty"},
    "programs refuse": {"RMM_FAKE_PROGRAM": "denied"},
    "programs say nothing": {"RMM_FAKE_PROGRAM": "silent"},
    "Defender is switched off": {"RMM_FAKE_MODE": "absent", "RMM_FAKE_OF": "Defender", "RMM_FAKE_SERVICE": "Stopped"},
    "Defender does not answer": {"RMM_FAKE_MODE": "absent", "RMM_FAKE_OF": "Defender", "RMM_FAKE_SERVICE": "Running"},
    "the security centre does not answer": {"RMM_FAKE_MODE": "denied", "RMM_FAKE_OF": "SecurityCenter2"},
}

# Told by the machine that this runs on, and not by fakes.
OWN = ["network.interfaces", "network.dns", "performance.network"]


def key(name, value):
    return {"key": name, "name": value}


EXAMPLE = "HKLM\\SOFTWARE\\Example"
VALUES = ["", "Number", "Large", "Text", "Expand", "Many", "One", "None", "Bytes", "NoBytes", "Odd", "absent"]


def classes(*asked):
    return [dict(zip(("namespace", "class", "property"), one)) for one in asked]


# Probes: the part, and what is asked for.
PROBES = {
    "probe-registry": [key(EXAMPLE, value) for value in VALUES] + [
        key("HKLM\\SOFTWARE\\Nope", "x"), key("HKU\\S-1-5-21-1-2-3-1001\\Control Panel\\Desktop", "ScreenSaveActive"), key("HKLM\\SOFTWARE\\Secret", "x"),
    ],
    "probe-registry-key": [key(EXAMPLE, None), key("HKLM\\SOFTWARE\\Nope", None), key("HKLM\\SOFTWARE\\Secret", None)],
    "probe-registry-users": [key("Control Panel\\Desktop", "ScreenSaveActive"), key("Nope", "x")],
    "probe-files": [{"path": path} for path in ["/etc/hostname/x", "/nope", "C:\\nope", "", "/proc"]],
    "probe-cim": classes(
        ("root/cimv2", "Win32_OperatingSystem", "Version"), ("root\\cimv2", "Win32_Service", "Name"), ("root/cimv2", "Win32_SystemEnclosure", "ChassisTypes"),
        ("root/wmi", "WmiMonitorID", "UserFriendlyName"), ("root/cimv2", "Nope", "X"), ("root/nope", "X", "Y"), ("root/cimv2", "Win32_OperatingSystem", "Nope"),
        ("root/cimv2", "Win32_OperatingSystem; x", "Version"), ("root/cimv2", "Win32_DiskDrive", "SerialNumber"),
    ),
    "probe-defender": [{"name": name} for name in [
        "DisableRealtimeMonitoring", "ScanScheduleDay", "ScanScheduleTime", "ExclusionPath", "ExclusionProcess", "One", "Since", "Nope",
        "AttackSurfaceReductionRules.D4F940AB-401B-4EFC-AADC-AD5F3C50688A", "AttackSurfaceReductionRules.00000000-0000-0000-0000-000000000000",
    ]],
    "probe-process-mitigations": [{"name": name} for name in ["System", "x.exe", "absent.exe"]],
}
PROBE_MODES = ["good", "one", "silent", "absent", "denied"]

# The event log: what is asked for.
EVENTS = {"levels": [1, 2, 3], "failures": True, "most": 1000, "bytes": 1000000, "seconds": 20, "longest": 2000}
LOGS = {
    "nothing is known": [{"name": "System"}],
    "some are known": [{"name": "Application", "number": 104, "at": 1795327304000}, {"name": "Security", "number": 100, "at": 1}],
    "it was cleared": [{"name": "System", "number": 500, "at": 1}],
    "all are known": [{"name": "Security", "number": 110, "at": 1795327310000}],
}
EVENT_MODES = ["good", "one", "silent", "absent", "denied"]
