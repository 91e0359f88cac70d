"""Runs everything, and compares it with cases.py and expected.json."""
import json
import os
import sys

import cases
from engine import Device, Engine, part, parts

EXPECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected.json")
PASSING = ("boot_time", "not_after", "process", "timezone", "modified", "owner")
differences, counted = [], {}


def differs(what, expected, seen):
    short = lambda value: json.dumps(value, ensure_ascii=False)[:400]
    differences.append(what)
    print(f"DIFFERS  {what}\n    expected {short(expected)}\n    seen     {short(seen)}", flush=True)


def compare(what, expected, seen):
    if expected != seen:
        differs(what, expected, seen)


def count(what, number=1):
    counted[what] = counted.get(what, 0) + number


def matches(expected, seen):
    """Reasons by their beginnings: they are the words of another version and language elsewhere."""
    if isinstance(expected, dict) and set(expected) & {"error", "unsupported"}:
        (kind, why), = expected.items()
        return isinstance(seen, dict) and list(seen) == [kind] and seen[kind].startswith(why) and len(seen[kind]) <= 300
    return expected == seen


def steady(value):
    """Without what is another thing every time, or on another machine."""
    if isinstance(value, dict):
        return {name: steady(one) for name, one in value.items() if name not in PASSING}
    return [steady(one) for one in value] if isinstance(value, list) else value


def bootstrap(engine):
    for script, code, out, err in cases.BOOTSTRAP:
        done = engine.run(script, cases.PARAMETERS)
        seen = (done.returncode, done.stdout.decode(), err if err in done.stderr.decode() else done.stderr.decode())
        compare(f"bootstrap: {script[:60]!r}", (code, out, err), seen)
        count("scripts")
    for data, code, out in cases.INPUT:
        done = engine.raw(data)
        compare(f"bootstrap: {data!r} on standard input", (code, out.decode()), (done.returncode, done.stdout.decode()))
        count("scripts")


def frame(engine):
    said, _ = engine.frame([(name, script, seconds, None) for name, script, seconds, _ in cases.PARTS], RMM_FAKE_PROGRAM="chatty")
    for name, script, _, expected in cases.PARTS:
        if not matches(expected, said.get(name)):
            differs(f"frame: {name}: {script[:60]!r}", expected, said.get(name))
        count("scripts")
    compare("frame: ended", True, said["ended"])
    # More that hang than run at once, and time that is too short for all of them.
    hang = [(f"hang{n}", "[System.Threading.Thread]::Sleep(600000)", 4, None) for n in range(7)]
    said, _ = engine.frame(hang + [("good", "@{a = 1}", 4, None)], seconds=30)
    compare("frame: behind seven that hang", ({"d": {"a": 1}}, True), (said.get("good"), said["ended"]))
    said, _ = engine.frame(hang + [("good", "@{a = 1}", 4, None)], seconds=3)
    compare("frame: out of time", ([{"timeout": True}] * 8, True), ([said.get(f"hang{n}") for n in range(7)] + [said.get("good")], said["ended"]))


def every_part(engine, modes):
    names = [name for name in parts() if not name.startswith("probe-")]
    for mode in modes:
        said, other = engine.frame([(name, part(name), 30, None) for name in names], seconds=90, **cases.MODES[mode])
        for name in names:
            one = said.get(name) or {}
            if not set(one) & {"d", "error", "unsupported"} or not isinstance(one.get("d", {}), (dict, str)):
                differs(f"{mode}: {name}", "an object, an error or that it is not supported", one)
            count("parts")
        compare(f"{mode}: what else is printed", [], other)


def probes(engine, expected, write):
    for mode in cases.PROBE_MODES:
        asked = [(name, part(name), 30, wanted) for name, wanted in cases.PROBES.items()]
        said, _ = engine.frame(asked, seconds=90, **cases.MODES[mode])
        for name in cases.PROBES:
            seen = steady(said.get(name))
            what = f"{mode}: {name}"
            if write:
                expected[what] = seen
            compare(what, expected.get(what), seen)
            count("probes", len(cases.PROBES[name]))


def events(engine, expected, write):
    for mode in cases.EVENT_MODES:
        for known, logs in cases.LOGS.items():
            done = engine.run(part("eventlog"), {**cases.EVENTS, "logs": logs}, **cases.MODES[mode])
            lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
            for line in lines:
                if len(line.get("Message", "")) > 100:
                    line["Message"] = f"{len(line['Message'])} characters"
            what = f"{mode}: events where {known}"
            if write:
                expected[what] = lines
            compare(what, expected.get(what), lines)
            count("events", len(lines))


def device(engine, expected, write):
    one = Device(engine)
    try:
        code, out, _ = one.rmm("doctor", "pc", "--output", "json")
        verdicts = {step["STEP" if "STEP" in step else "step"]: step.get("VERDICT", step.get("verdict")) for step in json.loads(out)["items"]}
        wanted = ["name", "connection", "signing in", "shell", "language mode", "running scripts", "rights", "clock"]
        compare("rmm doctor", (0, {name: "good" for name in wanted}), (code, verdicts))
        for mode, environment in cases.MODES.items():
            sections, facts = one.seen(**environment)
            told = {name: status for name, (status, reason) in sections.items() if name not in cases.OWN and "not observed on Windows" not in reason}
            what = f"{mode}: sections"
            if write:
                expected[what] = told
            wrong = {name: status for name, status in told.items() if expected.get(what, {}).get(name) != status}
            for name, status in wrong.items():
                differs(f"{mode}: {name}", expected.get(what, {}).get(name), f"{status} {sections[name][1]}")
            compare(f"{mode}: which sections", sorted(expected.get(what, {})), sorted(told))
            count("sections", len(told))
            if mode in ("good", "one"):
                flat = {f"{group}.{name}": steady(value) for group, all_ in facts.items() for name, value in all_.items()}
                for name, value in flat.items():
                    if name in cases.OWN or name not in told:
                        continue
                    what = f"{mode}: {name}"
                    if write:
                        expected[what] = value
                    compare(what, expected.get(what), value)
                    count("facts")
    finally:
        one.end()


def main():
    write = "--write" in sys.argv[1:]
    expected = {}
    if not write:
        with open(EXPECTED, encoding="utf-8") as file:
            expected = json.load(file)
    engine = Engine()
    try:
        bootstrap(engine)
        frame(engine)
        every_part(engine, [mode for mode in cases.MODES if mode != "hung"])
        probes(engine, expected, write)
        events(engine, expected, write)
        device(engine, expected, write)
    finally:
        engine.end()
    if write:
        with open(EXPECTED, "w", encoding="utf-8") as file:
            lines = [f"{json.dumps(what)}: {json.dumps(value, sort_keys=True)}" for what, value in sorted(expected.items())]
            file.write("{\n" + ",\n".join(lines) + "\n}\n")
    print(", ".join(f"{number} {what}" for what, number in counted.items()) + f": {len(differences)} differences")
    sys.exit(1 if differences else 0)


main()
