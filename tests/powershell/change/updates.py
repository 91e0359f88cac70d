"""The Windows Update Agent: what is installed, taken off, hidden, and what is said of the rest."""
import json
from device import *

WORKER = "$worker = @'\n" + source("src/script/windows/updates_worker.ps1") + "'@\n"
UPDATES = WORKER + source("src/script/windows/updates.ps1")


def update(id, kb=None, **more):
    return dict(dict(id=id, revision=200, kb=[] if kb is None else [kb], installed=False, hidden=False, eula=True, asks=False, fetched=True, result=2, hresult=0, removable=False, restart=False, refuses=False, impact=0), **more)


def number(n):
    return "%08X-1111-4111-8111-111111111111" % n


def check(dll, say):
    device = Device(dll)
    try:
        def ask(what, *updates):
            device.calls()
            code, out, err = device.run(UPDATES, dict(what=what, updates=[dict(name=name, id=id) for name, id in updates]))
            return json.loads(out) if code == 0 else (code, err, out)

        a, b, c, d, e, f = (number(n) for n in range(1, 7))
        device.state("agent", [{}])
        device.state("cim", [dict({"class": "Win32_QuickFixEngineering"}, instances=[])])
        device.state("updates", [update(a, "5034441", restart=True), update(b, "5034442", asks=True), update(c, "5034443", hidden=True), update(d, "5034444", eula=False), update(e, "5034445", fetched=False), update(f, "5034446", result=4, hresult=-2145124329), update(number(7), "5034441")])
        told = ask("install", ("KB5034441:" + a, a + ":200"), ("KB5034442", b + ":200"), ("KB5034443", c + ":200"), ("KB5034444", d + ":200"), ("KB5034445", e + ":200"), ("KB5034446", f + ":200"), ("KB1", number(99) + ":1"))
        calls = device.calls()
        say("what is named is installed, and nothing else", isinstance(told, dict) and {one["to"] for one in told["installed"]} == {a + ":200", d + ":200"}, told)
        left = {one["version"]: one["reason"] for one in told["left"]} if isinstance(told, dict) else {}
        say("what asks is left", "ask" in left.get(b + ":200", ""), told)
        say("what is hidden is left", "holds it back" in left.get(c + ":200", ""), told)
        say("what cannot be fetched is left", "fetched: 0x8024402c" in left.get(e + ":200", ""), told)
        say("what fails is left with its number", "0x80240017" in left.get(f + ":200", ""), told)
        say("what is not offered is left", "not offered" in left.get(number(99) + ":1", ""), told)
        say("a restart is told", told["restart"] is True)
        say("terms are accepted once", sum("AcceptEula" in one for one in calls) == 1, calls)
        say("the task is gone", device.read("tasks") == [] and any("Unregister" in one for one in calls), calls)
        say("it is a task of the system", any("Register-ScheduledTask" in one and "S-1-5-18" in one for one in calls))
        say("nothing stays in the registry", json.loads(device.run("ConvertTo-Json -Compress -InputObject @([Microsoft.Win32.Registry]::Open('HKEY_LOCAL_MACHINE\\SOFTWARE\\rmm\\updates').GetValueNames())")[1]) == [])
        told = ask("install", ("KB5034441:" + a, a + ":200"))
        say("what is installed already is left", isinstance(told, dict) and told["installed"] == [] and len(told["left"]) == 1, told)
        told = ask("install", ("KB5034441", "KB5034441"))
        say("one that was known by its article alone", isinstance(told, dict) and [one["to"] for one in told["installed"]] == [number(7) + ":200"], told)

        device.state("updates", [update(a, "5034441"), update(b, "5034442", impact=2), update(c, "5034443", impact=2, result=4, hresult=-2145124330)])
        told = ask("install", ("KB5034441", a + ":200"), ("KB5034442", b + ":200"), ("KB5034443", c + ":200"))
        say("what wants to be alone is installed alone, and first", [json.loads(one[8:])["ids"] for one in device.calls() if one.startswith("Install ")] in ([b, c, a], [[b], [c], [a]]), told)
        say("and told each", isinstance(told, dict) and sorted(one["to"] for one in told["installed"]) == [a + ":200", b + ":200"] and [one["version"] for one in told["left"]] == [c + ":200"], told)
        for what, state in (("has to be restarted before", dict(restart=True)), ("0x80240016", dict(install="Exception from HRESULT: 0x80240016"))):
            device.state("agent", [state])
            device.state("updates", [update(a, "5034441")])
            told = ask("install", ("KB5034441", a + ":200"))
            say("nothing is installed: " + what, isinstance(told, dict) and told["installed"] == [] and what in told["left"][0]["reason"] and told["restart"] is bool(state.get("restart")), told)
        device.state("agent", [dict(busy=2)])
        told = ask("install", ("KB5034441", a + ":200"))
        say("another installation is waited for", isinstance(told, dict) and len(told["installed"]) == 1, told)
        device.state("agent", [{}])
        device.run("[void][Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\\rmm\\updates'); $key = [Microsoft.Win32.Registry]::Open('HKEY_LOCAL_MACHINE\\SOFTWARE\\rmm\\updates'); $key.SetValue('job', $p.job); $key.SetValue('result', $p.result); $key.SetValue('ended', [DateTime]::UtcNow.ToString('o', [System.Globalization.CultureInfo]::InvariantCulture))",
                   dict(job='{"what":"install","updates":[{"name":"KB5034441","id":"' + a + ':200"}]}', result='{"installed":[{"package":"KB5034441","from":null,"to":"x"}],"left":[],"restart":false,"touched":0}'))
        told = ask("install", ("KB5034441", a + ":200"))
        say("the answer to the same job whose session broke off is its answer", isinstance(told, dict) and told["installed"] and told["installed"][0]["to"] == "x" and not any(one.startswith("Search") for one in device.calls()), told)

        device.state("updates", [update(a, "5034441"), update(b, None), update(number(7), "5034441")])
        told = ask("hide", ("KB5034441:" + a, ""), (b, ""), ("KB77", ""))
        say("one of two with the same article is hidden, and one without an article", isinstance(told, dict) and told["touched"] == 2 and [one["hidden"] for one in device.read("updates")] == [True, True, False], (told, device.read("updates")))
        say("what is not offered cannot be hidden", isinstance(told, dict) and [one["package"] for one in told["left"]] == ["KB77"], told)
        told = ask("show", ("KB5034441", ""))
        say("all with the article are shown", isinstance(told, dict) and told["touched"] == 2 and [one["hidden"] for one in device.read("updates")] == [False, True, False], told)
        device.state("updates", [update(a, "5034441", refuses=True)])
        told = ask("hide", ("KB5034441", ""))
        say("what Windows refuses to hide is an error", isinstance(told, tuple) and "0x80240044" in told[1], told)
        device.state("agent", [dict(search="0x8024402c")])
        told = ask("install", ("KB5034441", a + ":200"))
        say("a search that fails is an error", isinstance(told, tuple) and "0x8024402c" in told[1], told)
        device.state("agent", [{}])

        lcu = "Package_for_RollupFix~31bf3856ad364e35~amd64~~22621.4460.1.9"
        device.state("packages", [dict(name=lcu, state="Installed", description="Fix for KB5034441", support=""), dict(name="Package_for_KB5034999~31bf~amd64~~1.0", state="Installed", description="", support="")])
        device.state("updates", [update(a, "5034441", installed=True), update(b, "5034777", installed=True, removable=True), update(c, "5034888", installed=True)])
        told = ask("uninstall", ("KB5034777", b + ":200"))
        say("what the agent takes off", isinstance(told, dict) and told["installed"] == [dict({"package": "KB5034777", "from": b + ":200", "to": None})] and device.read("updates")[1]["installed"] is False, told)
        told = ask("uninstall", ("KB5034441", ""))
        say("the cumulative update, by its package", isinstance(told, dict) and [one["from"] for one in told["installed"]] == [a + ":200"] and told["restart"], told)
        told = ask("uninstall", ("KB5034441", ""))
        say("once more: asked for already", isinstance(told, dict) and told["installed"] == [] and told["left"] == [] and told["restart"], told)
        told = ask("uninstall", ("KB5034999", ""))
        say("a package of its own", isinstance(told, dict) and [one["from"] for one in told["installed"]] == ["KB5034999"], told)
        told = ask("uninstall", ("KB5034888", ""))
        calls = device.calls()
        say("what is neither goes by wusa.exe", isinstance(told, dict) and len(told["installed"]) == 1 and any('wusa.exe ["/uninstall", "/kb:5034888", "/quiet", "/norestart"]' in one for one in calls), (told, calls))
        device.answer("wusa", 87)
        told = ask("uninstall", ("KB5034888", ""))
        say("wusa.exe that fails", isinstance(told, dict) and "0x00000057" in told["left"][0]["reason"], told)
        told = ask("uninstall", ("KB1", ""), ("KB2:" + number(50), number(50) + ":1"))
        say("what is not there is gone already", isinstance(told, dict) and told["installed"] == [] and told["left"] == [], told)
    finally:
        device.close()
