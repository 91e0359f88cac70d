"""Settings and actions: every script with the values that its examples give, and with what devices have."""
import concurrent.futures, difflib, json, re
from device import *

NAMED = {
    "registry": lambda: source("src/script/windows/kept.ps1") + source("src/script/windows/registry.ps1"),
    "registry_of_users": lambda: source("src/script/windows/kept.ps1") + source("src/script/windows/registry_of_users.ps1"),
    "security_policy": lambda: source("src/script/windows/security_policy.ps1"),
    "updates": lambda: "$worker = @'\n" + source("src/script/windows/updates_worker.ps1") + "'@\n" + source("src/script/windows/updates.ps1"),
}


def texts():
    """The rhai texts of settings and actions by name."""
    found = {}
    for at in [*(REPO / "src/catalog/settings").glob("*.rhai"), *(REPO / "src/catalog/actions").glob("*.rhai")]:
        text = at.read_text()
        found[re.search(r"^//! (?:setting|action): (\w+)", text, re.M).group(1)] = text
    return found


TEXTS = texts()


def members(script):
    return set(re.findall(r"\$p\.(\w+)", script))


def script_of(name, params):
    """The PowerShell between backticks in a setting or an action that reads these values."""
    fitting = [one for one in re.findall(r"`\n(.*?)`", TEXTS[name], re.S) if members(one) <= set(params)]
    return max(fitting, key=lambda one: len(members(one)), default=None)


def snapshot(name):
    return (REPO / "src/catalog/tests/snapshots" / name).read_text().split("\n---\n", 1)[1]


def of_settings():
    """(what, script, values) of what the examples of settings ask for."""
    what = None
    for line in snapshot("rmm__catalog__tests__windows__settings_on_windows.snap").splitlines():
        if line and not line.startswith(" "):
            what = line
            continue
        told = re.match(r"    PowerShell(?: ([a-z_]+))?(?: with \$p = (.*))?$", line)
        if not told:
            continue
        params = json.loads(told.group(2)) if told.group(2) else {}
        script = NAMED[told.group(1)]() if told.group(1) else script_of(what.split(" ", 1)[0], params)
        assert script is not None, line
        yield what, script, params


def of_actions():
    """The same of actions: there the snapshot holds the scripts."""
    for part in re.split(r"^== ", snapshot("rmm__catalog__tests__actions_elsewhere__actions_on_windows.snap"), flags=re.M)[1:]:
        what, _, rest = part.partition(" on windows\n")
        for told in re.finditer(r"^PowerShell(?: ([a-z_]+))?(?: with \$p = ([^\n]*))?$\n?(.*?)(?=^PowerShell(?: |$)|\Z)", rest, re.M | re.S):
            script = NAMED[told.group(1)]() if told.group(1) else told.group(3)
            yield what, script, json.loads(told.group(2)) if told.group(2) else {}


# Beyond the examples: what is there already, what is not, what fails. (what, setting, values, states of the device, answers of programs)
SECRET = "111111-222222-333333-444444-555555-666666-777777-888888"
NO_RULE = dict(direction="in", action="allow", protocol="tcp", localPorts=["80", "8080-8090"], remotePorts=None, remoteAddresses=["10.0.0.0/8"], program=None, profiles=["domain"])


def volume(mount, kind, status, protectors=(), on="Off", unlock=False):
    return dict(MountPoint=mount, VolumeType=kind, VolumeStatus=status, ProtectionStatus=on, AutoUnlockEnabled=unlock, KeyProtector=[dict(KeyProtectorType=one, KeyProtectorId="{%s}" % one) for one in protectors])


def bare(mount="C:", escrow=None, method=None):
    return dict(mount=mount, escrow=escrow, method=method)


MORE = [
    ("BitLocker of a system volume", "BitLocker", bare(escrow="EntraID", method="xts_aes256"), dict(volumes=[volume("C:", "OperatingSystem", "FullyDecrypted")]), {}),
    ("BitLocker that is suspended", "BitLocker", bare(), dict(volumes=[volume("C:", "OperatingSystem", "FullyEncrypted", ["RecoveryPassword", "TpmPin"])]), {}),
    ("BitLocker that was halted", "BitLocker", bare(), dict(volumes=[volume("C:", "OperatingSystem", "EncryptionPaused", ["RecoveryPassword", "Tpm"])]), {}),
    ("BitLocker that is being decrypted", "BitLocker", bare(), dict(volumes=[volume("C:", "OperatingSystem", "DecryptionInProgress", ["RecoveryPassword", "Tpm"])]), {}),
    ("BitLocker of a data volume", "BitLocker", bare("D:", "ActiveDirectory"), dict(volumes=[volume("C:", "OperatingSystem", "FullyEncrypted", ["Tpm"], "On"), volume("D:", "Data", "FullyDecrypted")]), {}),
    ("BitLocker of a data volume before that of the system", "BitLocker", bare("D:"), dict(volumes=[volume("C:", "OperatingSystem", "FullyDecrypted"), volume("D:", "Data", "FullyDecrypted")]), {}),
    ("BitLocker that fails", "BitLocker", bare(), dict(volumes=[volume("C:", "OperatingSystem", "FullyDecrypted")]), {"manage-bde": (-1, "Password: " + SECRET, "ERROR: no TPM")}),
    ("Administrators who leave", "LocalAdmins", dict(names=["EXAMPLE\\Office", "bob"], stay=["Administrator"]), dict(groups=[dict(Name="Administratoren", SID="S-1-5-32-544", Members=["EXAMPLE\\Office", "bob"])]), {}),
    ("Administrators: who signs in", "LocalAdmins", dict(names=["WS-1\\admin"], stay=[]), {}, {}),
    ("Administrators: the group of who signs in", "LocalAdmins", dict(names=["FIRMA\\Admins"], stay=["bob"]), {}, {}),
    ("Administrators who come back", "LocalAdmins", dict(names=["bob", "anna"]), dict(groups=[dict(Name="Administratoren", SID="S-1-5-32-544", Members=["bob"])]), {}),
    ("Defender: a list", "DefenderPreferences", dict(name="ExclusionPath", value=None, add=["C:\\a b"], remove=["C:\\c"]), {}, {}),
    ("Defender: what it does not have", "DefenderPreferences", dict(name="NoSuchThing", value=1, add=[], remove=[]), {}, {}),
    ("A rule in place of another", "FirewallRules", dict(name="web", state="made", rule=NO_RULE), dict(rules=[dict(Name="web", Group=None, Enabled="True"), dict(Name="web rmm-new", Group=None, Enabled="True")]), {}),
    ("A rule that Windows refuses", "FirewallRules", dict(name="web", state="made", rule=dict(NO_RULE, localPorts=["x y"])), dict(rules=[dict(Name="web", Group=None, Enabled="True")]), {}),
    ("A rule that is gone already", "FirewallRules", dict(name="nope", state="absent", rule={}), {}, {}),
    ("A rule that is not there", "FirewallRules", dict(name="nope", state="Enabled", rule={}), {}, {}),
    ("A rule that goes", "FirewallRules", dict(name="web", state="absent", rule={}), dict(rules=[dict(Name="web", Group=None, Enabled="True")]), {}),
    ("A package that winget does not know", "Packages", dict(id="nothing.known", version=None, what="install"), {}, {}),
    ("A package that fails", "Packages", dict(id="broken.package", version="1", what="update"), {}, {}),
    ("A plan that is not there", "PowerPlan", dict(plan="0", changes=[]), {}, {"powercfg": (1, "", "Invalid Parameters")}),
    ("Mitigations that go", "ProcessMitigations", dict(program="x.exe", on=[], off=["DEP"]), {}, {}),
    ("A weekly task", "ScheduledTasks", dict(task="\\rmm\\weekly", state="made", command="C:\\x.exe", arguments=None, directory="C:\\", user="LOCAL SERVICE", schedule="weekly", at=None, day="monday"), {}, {}),
    ("A task at the start", "ScheduledTasks", dict(task="\\start", state="made", command="C:\\x.exe", arguments="-a \"b c\"", directory=None, user="SYSTEM", schedule="start", at=None, day="sunday"), {}, {}),
    ("A task when somebody signs in", "ScheduledTasks", dict(task="\\logon", state="made", command="C:\\x.exe", arguments=None, directory=None, user="NETWORK SERVICE", schedule="logon", at=None, day="sunday"), {}, {}),
    ("A task that is not there", "ScheduledTasks", dict(task="\\nope", state="Disabled", command=None, arguments=None, directory=None, user=None, schedule=None, at=None, day=None), {}, {}),
    ("A service that is not there", "Services", dict(name="nope", startup="Disabled", action=None), {}, {}),
    ("A service that is disabled", "Services", dict(name="off", startup=None, action="start"), dict(services=[dict(Name="off", Status="Stopped", StartType="Disabled", Needs=[])]), {}),
    ("A share of another folder", "Shares", dict(name="data", path="D:\\Data", description=None, full=[], change=[], read=[]), dict(shares=[dict(Name="data", Path="C:\\Other", Special=False)]), {}),
    ("A share for somebody who is not known", "Shares", dict(name="data", path="D:\\Data", description=None, full=["EXAMPLE\\Office"], change=[], read=["nobody"]), dict(shares=[dict(Name="data", Path="C:\\Other", Special=False)]), {}),
    ("A share of a folder that is not there", "Shares", dict(name="data", path="/nope", description=None, full=[], change=[], read=[]), {}, {}),
    ("A share of Windows", "Shares", dict(name="C$"), dict(shares=[dict(Name="C$", Path="C:\\", Special=True)]), {}),
    ("A share that is gone already", "Shares", dict(name="nope"), {}, {}),
    ("A time service that fails", "TimeSync", dict(servers=["a.example"]), {}, {"w32tm": (-2147023834, "The following error occurred: The service has not been started. (0x80070426)", "")}),
    ("An account that is made", "Users", dict(name="kim", what="create", comment="Kim Lee", locked=True, groups=["docker"], leave=[]), {}, {}),
    ("An account that is there", "Users", dict(name="bob", what="create", comment=None, locked=None, groups=[], leave=[]), {}, {}),
    ("An account that changes", "Users", dict(name="bob", what="change", comment="", locked=False, groups=[], leave=["docker"]), dict(groups=[dict(Name="docker", SID="S-1-5-21-1-2-3-1100", Members=["bob"])]), {}),
    ("An account that is gone already", "Users", dict(name="nope", what="remove", comment=None, locked=None, groups=[], leave=[]), {}, {}),
    ("A role", "WindowsFeatures", dict(name="Web-Server", kind="role", on=True), {}, {}),
    ("A role that fails", "WindowsFeatures", dict(name="Broken", kind="role", on=False), {}, {}),
    ("A feature", "WindowsFeatures", dict(name="SMB1Protocol", kind="feature", on=False), {}, {}),
    ("A feature that comes", "WindowsFeatures", dict(name="TelnetClient", kind="feature", on=True), {}, {}),
    ("A capability", "WindowsFeatures", dict(name="OpenSSH.Server~~~~0.0.1.0", on=True, worker=True), {}, {}),
    ("A capability that fails", "WindowsFeatures", dict(name="Broken~~~~0.0.1.0", on=True, worker=True), {}, {}),
    ("Auditing that fails", "AuditPolicy", dict(id="0CCE922B-69AE-11D9-BED3-505054503030", success="enable", failure=None), {}, {"auditpol": (87, "", "Error 0x00000057 occurred:\nThe parameter is incorrect.\n")}),
    ("Data execution prevention that fails", "DataExecutionPrevention", dict(policy="OptOut"), {}, {"bcdedit": (1, "The boot configuration data store could not be opened.", "")}),
    ("The firewall, profile by profile", "WindowsFirewall", dict(names=["public"], enabled=False, inbound=None, outbound="allow", notify=False, logDropped=False, logAllowed=True, logMaxKb=None), {}, {}),
    ("Services that hang or have ended", "RestartHungServices", {}, dict(
        cim=[dict({"class": "Win32_Service"}, instances=[dict(Name="a", State="Stop Pending", StartMode="Auto", ExitCode=0, ProcessId=900), dict(Name="b", State="Stopped", StartMode="Auto", ExitCode=1067, ProcessId=0),
            dict(Name="c", State="Running", StartMode="Auto", ExitCode=0, ProcessId=901), dict(Name="d", State="Start Pending", StartMode="Manual", ExitCode=0, ProcessId=901), dict(Name="e", State="Stopped", StartMode="Auto", ExitCode=1077, ProcessId=0)])],
        services=[dict(Name=name, Status=status, StartType="Automatic", Needs=[]) for name, status in (("a", "Stopped"), ("b", "Stopped"), ("c", "Running"), ("d", "StartPending"), ("e", "Stopped"))]), {}),
    ("A service that is not known", "ServiceControl", dict(name="nope", state="start"), {}, {}),
    ("A service of which others depend", "ServiceControl", dict(name="Spooler", state="stop"), dict(services=[dict(Name="Spooler", Status="Running", StartType="Automatic", Needs=["Fax"]), dict(Name="Fax", Status="Running", StartType="Manual", Needs=[])]), {}),
    ("A process that is not there", "ProcessKill", dict(pid=4711, name=None), {}, {}),
    ("Policies that cannot be fetched", "GPUpdate", dict(target="all", force=False), {}, {"gpupdate": (1, "", "The processing of Group Policy failed.")}),
    ("A restart that is refused", "Reboot", dict(seconds=0, message=""), {}, {"shutdown": (1190, "", "A system shutdown has already been scheduled.(1190)")}),
]


def of_more():
    for what, name, params, states, answers in MORE:
        if params.get("worker"):
            params = dict(params, worker=re.search(r"fn worker\(\) \{\n    `\n(.*?)`", TEXTS[name], re.S).group(1))
        script = script_of(name, params)
        assert script is not None, what
        yield what, script, params, states, answers


def furnished(dll):
    """A device that has what settings ask for."""
    device = Device(dll)
    device.state("agent", [{}])
    device.state("cim", [dict({"class": "Win32_ComputerSystem"}, instances=[dict(PartOfDomain=False, DomainRole=0, Domain="WORKGROUP")]), dict({"class": "Win32_UserAccount"}, instances=[dict(SID="S-1-5-21-1-2-3-%d" % n, LocalAccount=True) for n in (500, 501)])])
    device.state("services", [dict(Name=name, Status="Stopped", StartType="Manual", Needs=[]) for name in ("WinDefend", "mpssvc", "w32time", "ssh", "WinRM", "Spooler", "nginx", "wuauserv", "bits", "cryptsvc", "msiserver")])
    device.state("rules", [dict(Name="RemoteDesktop-UserMode-In-TCP", Group="@FirewallAPI.dll,-28752", Enabled="False"), dict(Name="RemoteDesktop-UserMode-In-UDP", Group="@FirewallAPI.dll,-28752", Enabled="False")])
    device.state("tasks", [dict(TaskPath="\\Microsoft\\XblGameSave\\", TaskName="XblGameSaveTask", Enabled=True, Process=0), dict(TaskPath="\\Example\\", TaskName="Old", Enabled=True, Process=0)])
    device.state("shares", [dict(Name="old", Path="C:\\Old", Special=False)])
    device.state("users", [dict(Name=name, FullName="", Enabled=True) for name in ("guest", "olduser", "bob")])
    device.state("groups", [dict(Name=name, SID=sid, Members=[]) for name, sid in (("Administrators", "S-1-5-32-544"), ("docker", "S-1-5-21-1-2-3-1100"), ("Users", "S-1-5-32-545"), ("sudo", "S-1-5-21-1-2-3-1101"), ("Remote Desktop Users", "S-1-5-32-555"))])
    device.state("processes", [dict(Id=100, ProcessName="explorer", SessionId=2, UserName="WS-1\\anna")])
    (device.root / "accounts").write_text("S-1-5-11 NT-AUTORIT\u00c4T\\Authentifizierte Benutzer\nS-1-5-21-7-7-7-1105 EXAMPLE\\Office\nS-1-5-21-7-7-7-512 FIRMA\\Admins\n")
    (device.root / "share").mkdir()
    for key in ("HKEY_USERS\\S-1-5-21-1-2-3-1001", "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server\\WinStations\\RDP-Tcp", "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\W32Time\\Parameters",
                "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList"):
        with open(device.root / "registry", "a") as file:
            parts = key.split("\\")
            for n in range(1, len(parts) + 1):
                from urllib.parse import quote
                file.write(quote("\\".join(parts[:n]), safe="") + "\n")
    return device


SECEDIT = """#!/bin/sh
iconv -f UTF-16 -t UTF-8 "$5" | tr -d '\\r' | sed -n '6,$p' | sed "s/^/secedit.exe $7: /" >> "$RMM_FAKE/calls"
"""


def values(device):
    """The values of the registry, one line each."""
    from urllib.parse import unquote
    lines = []
    for line in (device.root / "registry").read_text().splitlines():
        parts = [unquote(part) for part in line.split("\t")]
        if len(parts) > 3:
            lines.append("%s!%s = %s %r" % (parts[0], parts[1], parts[2], parts[3]))
    return lines


def plain(device, text):
    text = re.sub(r"/tmp/rmm-[0-9a-f]{32}", "TEMP", text.replace(str(device.root), "@"))
    return re.sub(r"(SOFTWARE.rmm.\w+!(?:job|worker|result|ended) = \w+).*", r"\1 ...", text)


def one(dll, what, script, params, states=None, answers=None):
    device = furnished(dll)
    try:
        secedit = device.root / "bin/secedit.exe"
        secedit.unlink()
        secedit.write_text(SECEDIT)
        secedit.chmod(0o755)
        for name, state in (states or {}).items():
            device.state(name, state)
        for name, answer in (answers or {}).items():
            device.answer(name, *answer)
        # A folder of this system in place of one of Windows.
        if params.get("path", "").startswith("D:"):
            params = dict(params, path=str(device.root / "share"))
        code, out, err = device.run(script, params, told=True)
        lines = [what] + device.calls() + values(device)
        shown = out.decode()[1:].strip()
        if shown.startswith("{"):
            shown = json.dumps(json.loads(shown), sort_keys=True)
        lines += ["= " + shown] if shown else []
        lines += ["! %d %s" % (code, err.strip())] if code or err else []
        return plain(device, "\n    ".join(lines))
    finally:
        device.close()


def check(dll, say):
    todo = [*of_settings(), *of_actions(), *of_more()]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() + 1) as pool:
        lines = list(pool.map(lambda job: one(dll, *job), todo))
    golden = HERE / "settings.expected"
    if os.environ.get("RMM_UPDATE") == "always":
        golden.write_text("\n".join(lines) + "\n")
    known = golden.read_text().splitlines() if golden.exists() else []
    text = "\n".join(lines).splitlines()
    differs = list(difflib.unified_diff(known, text, "expected", "seen", lineterm=""))
    say("%d scripts of settings and actions do what they are known to do" % len(todo), not differs, "\n".join(differs))
    say("no line of it holds a recovery password", SECRET not in "\n".join(text))
