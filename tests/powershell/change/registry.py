"""Values of the registry: set, removed, told as they were; the registries of users; templates of the security policy."""
import json
from device import *

KEPT = stripped(source("src/script/windows/kept.ps1"))
ONE = KEPT + stripped(source("src/script/windows/registry.ps1"))
USERS = KEPT + stripped(source("src/script/windows/registry_of_users.ps1"))
POLICY = stripped(source("src/script/windows/security_policy.ps1"))
SHOW = """
$key = [Microsoft.Win32.Registry]::Open($p.key)
if ($null -eq $key) { 'no key'; return }
$told = @()
foreach ($name in ($key.GetValueNames() | Sort-Object)) {
    $value = $key.GetValue($name, $null, [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
    $told += @{ name = $name; kind = [string]$key.GetValueKind($name); value = $value }
}
ConvertTo-Json -Compress -Depth 3 -InputObject @($told)
"""


def check(dll, say):
    device = Device(dll)
    try:
        show = lambda key: (lambda out: out if out == "no key" else json.loads(out))(device.run(SHOW, dict(key=key))[1].decode().strip())

        def one(path, name, kind=None, value=None):
            params = dict(path=path, name=name, absent=kind is None)
            if kind:
                params.update(kind=kind, value=value)
            code, out, err = device.run(ONE, params)
            return json.loads(out) if code == 0 else (code, err)

        key, full = "HKLM\\SOFTWARE\\rmm test\\a[b]*", "HKEY_LOCAL_MACHINE\\SOFTWARE\\rmm test\\a[b]*"
        absent = dict(existed=False, kind=None, value=None)
        values = [("dword", "d", 4294967295, 0), ("dword", "d0", 0, 4294967295), ("qword", "q", 9223372036854775807, 1), ("string", "s", "gr\u00fcn '\"`$x %PATH% \U0001f600", ""),
                  ("expandString", "e", "%SystemRoot%\\x", "plain"), ("multiString", "m", ["a", "b c"], ["one"]), ("multiString", "m0", [], ["x", ""]), ("binary", "b", "00FF10", "AB"),
                  ("binary", "b0", "", "00"), ("string", "", "the default value", "another"), ("string", "name\\with", "x", "y")]
        for kind, name, value, _ in values:
            told = one(key, name, kind, value)
            say("%s %r is set, and was not there" % (kind, name), told == absent, told)
        for kind, name, value, next in values:
            told = one(key, name, kind, next)
            say("%s %r is told as it was" % (kind, name), told == dict(existed=True, kind=kind, value=value), told)
            told = one(key, name, kind, value)
            say("%s %r is told as it was then" % (kind, name), told == dict(existed=True, kind=kind, value=next), told)
        say("another kind is told, and takes the place", one(key, "d", "string", "x") == dict(existed=True, kind="dword", value=4294967295))
        told = one(key, "d")
        say("a value is removed", told == dict(existed=True, kind="string", value="x"), told)
        say("a value that is not there is removed already", one(key, "d") == absent)
        say("a value of a key that is not there too, and makes none", one("HKLM\\SOFTWARE\\nope\\x", "d") == absent and show("HKEY_LOCAL_MACHINE\\SOFTWARE\\nope") == "no key")
        told = one("HKLM\\SOFTWARE\\Locked\\x", "d", "dword", 1)
        say("what nobody may write is an error", isinstance(told, tuple) and "not allowed" in told[1], told)
        for hive, name in (("HKCU", "CURRENT_USER"), ("HKU", "USERS"), ("HKCR", "CLASSES_ROOT"), ("HKCC", "CURRENT_CONFIG")):
            one(hive + "\\x\\y", "v", "dword", 7)
            told = show("HKEY_" + name + "\\x\\y")
            say("the hive " + hive, told == [dict(name="v", kind="DWord", value=7)], told)

        def users(only, name, kind=None, value=None):
            params = dict(only=only, path="Software\\X", name=name, absent=kind is None)
            if kind:
                params.update(kind=kind, value=value)
            code, out, err = device.run(USERS, params)
            return json.loads(out) if code == 0 else (code, err)
        # What was made above is no user.
        told = users(None, "a", "dword", 1)
        say("nobody is signed in", isinstance(told, tuple) and "nobody" in told[1], told)
        for sid in ("S-1-5-18", "S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1001_Classes", "S-1-12-1-5-6-7-8", "S-1-5-80-1-2-3-4-5", ".DEFAULT"):
            device.run("[void][Microsoft.Win32.Registry]::Users.CreateSubKey($p.sid)", dict(sid=sid))
        say("every user who is signed in", users(None, "a", "multiString", ["x"]) == dict(users=2))
        for sid, there in (("S-1-5-21-1-2-3-1001", True), ("S-1-12-1-5-6-7-8", True), ("S-1-5-18", False), ("S-1-5-80-1-2-3-4-5", False), (".DEFAULT", False), ("S-1-5-21-1-2-3-1001_Classes", False)):
            told = show("HKEY_USERS\\" + sid + "\\Software\\X")
            say("registry of " + sid, told == ([dict(name="a", kind="MultiString", value=["x"])] if there else "no key"), told)
        say("one user alone", users("S-1-12-1-5-6-7-8", "a") == dict(users=1) and show("HKEY_USERS\\S-1-5-21-1-2-3-1001\\Software\\X") != [] and show("HKEY_USERS\\S-1-12-1-5-6-7-8\\Software\\X") == [])

        # The template is gone when secedit has ended: it is kept by the one that stands for it.
        secedit = device.root / "bin/secedit.exe"
        secedit.unlink()
        secedit.write_text("#!/bin/sh\nprintf 'secedit.exe %s\\n' \"$*\" >> \"$RMM_FAKE/calls\"\ncp \"$5\" \"$RMM_FAKE/template\"\nprintf 'one\\r\\ntwo\\r\\n' > \"$9\"\nexit ${SECEDIT:-0}\n")
        secedit.chmod(0o755)

        def policy(section, entries, **more):
            device.calls()
            (device.root / "template").unlink(missing_ok=True)
            device.env.update(more)
            code, out, err = device.run(POLICY, dict(section=section, entries=entries))
            for name in more:
                del device.env[name]
            text = (device.root / "template").read_bytes().decode("utf-16") if (device.root / "template").exists() else None
            return code, text, err
        code, text, err = policy("System Access", [dict(name="MinimumPasswordLength", value="14"), dict(name="NewGuestName", value='"gr\u00fcn"')])
        say("a template of the security policy", code == 0 and text.splitlines()[5:] == ["[System Access]", "MinimumPasswordLength = 14", 'NewGuestName = "gr\u00fcn"'], (text, err))
        say("secedit is told which area", "/areas SECURITYPOLICY" in device.calls()[0])
        cim = [dict({"class": "Win32_ComputerSystem"}, instances=[dict(PartOfDomain=False, DomainRole=0, Domain="WORKGROUP")]),
               dict({"class": "Win32_UserAccount"}, instances=[dict(SID="S-1-5-21-1-2-3-500", LocalAccount=True), dict(SID="S-1-5-21-1-2-3-501", LocalAccount=True), dict(SID="S-1-5-21-9-9-9-501", LocalAccount=False)])]
        device.state("cim", cim)
        right = lambda *accounts, **more: policy("Privilege Rights", [dict(name="SeDenyNetworkLogonRight", accounts=list(accounts))], **more)
        last = lambda text: text.splitlines()[-1] if text else text
        code, text, err = right("S-1-5-32-546", "S-1-5-21-*-501")
        say("a right, with the guest of this machine", last(text) == "SeDenyNetworkLogonRight = *S-1-5-32-546,*S-1-5-21-1-2-3-501", (text, err))
        code, text, err = right()
        say("a right that nobody has", last(text).rstrip() == "SeDenyNetworkLogonRight =", (text, err))
        code, text, err = right("S-1-5-21-*-512", "S-1-5-32-544")
        say("outside a domain nobody is its administrator", last(text) == "SeDenyNetworkLogonRight = *S-1-5-32-544", (text, err))
        code, text, err = right("S-1-5-21-*-1099")
        say("an account that is not there is an error, and nothing is written", code == 1 and text is None and "1099" in err, (text, err))
        (device.root / "accounts").write_text("S-1-5-21-7-7-7-502 firma.example\\krbtgt\nS-1-5-21-7-7-7-501 FIRMA\\Gast\nS-1-5-21-8-8-8-502 example\\krbtgt\n")
        cim[0]["instances"][0].update(PartOfDomain=True, DomainRole=1, Domain="firma.example")
        device.state("cim", cim)
        code, text, err = right("S-1-5-21-*-512", "S-1-5-21-*-501")
        say("in a domain its administrators and the guest of this machine", last(text) == "SeDenyNetworkLogonRight = *S-1-5-21-7-7-7-512,*S-1-5-21-1-2-3-501", (text, err))
        code, text, err = right("S-1-5-21-*-519", RMM_FAKE_FOREST="DC=example")
        say("who is in the first domain of the forest alone", last(text) == "SeDenyNetworkLogonRight = *S-1-5-21-8-8-8-519", (text, err))
        code, text, err = right("S-1-5-21-*-519")
        say("a forest that is not told is an error", code == 1 and text is None, (text, err))
        cim[0]["instances"][0].update(DomainRole=5)
        device.state("cim", cim)
        code, text, err = right("S-1-5-21-*-501")
        say("the guest of a domain controller", last(text) == "SeDenyNetworkLogonRight = *S-1-5-21-7-7-7-501", (text, err))
        code, text, err = right("S-1-5-21-*-500")
        say("an account that the domain does not have", code == 1 and text is None, (text, err))
        code, text, err = right("S-1-5-32-544", SECEDIT="1")
        say("secedit that fails is an error in its own words", code == 1 and "ended with 1" in err and "two" in err, err)
        say("no folder stays", not list(__import__("pathlib").Path("/tmp").glob("rmm-[0-9a-f]*/rmm.inf")))
    finally:
        device.close()
