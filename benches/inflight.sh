#!/bin/sh
# One action on a whole simulated fleet, hundreds of devices at once: how long it takes, whether the memory stays level, and whether
# anybody can see how far it is. Once by hand (rmm run), and once as a workflow that does the same twice. Needs python3, Linux and a
# release build:
#
#   cargo build --release --bin rmm
#   benches/inflight.sh [DEVICES] [AT ONCE] [MILLISECONDS OF AN ANSWER] [hand|workflow|both]
#
# A simulated device is a machine with files and services in the memory of the process that asks it, and stays there: that is no memory of
# the engine. The second step of the workflow asks the same machines again: what grows there belongs to the engine, what grows in the first
# step and not in the second belongs to the machines.
#
# Every second it prints the memory and how many devices are done and under way; at the end the time, the most that were under way,
# the largest memory of the first and of the last third (level where they are alike), and the lines of progress that were written.
set -eu

devices=${1:-10000}
atonce=${2:-500}
latency=${3:-400}
which=${4:-both}
project=$(cd "$(dirname "$0")/.." && pwd)
rmm=${TARGET:-${CARGO_TARGET_DIR:-$project/target}/release}/rmm
[ -x "$rmm" ] || { echo "inflight: $rmm is missing; see the head of this file" >&2; exit 1; }
unset RMM_REPO RMM_DB RMM_ENV
work=$(mktemp -d "${TMPDIR:-/tmp}/inflight.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
exec python3 - "$rmm" "$work" "$devices" "$atonce" "$latency" "$which" <<'PYTHON'
import json, pathlib, sqlite3, subprocess, sys, threading, time

rmm, work, devices, atonce, latency = sys.argv[1], pathlib.Path(sys.argv[2]), *map(int, sys.argv[3:6])
which = sys.argv[6]
fleet = work / "fleet"
subprocess.run([rmm, "simulate", str(devices), str(fleet), "--latency", str(latency)], check=True, stdout=subprocess.DEVNULL,
               stderr=subprocess.DEVNULL)
(fleet / "workflows").mkdir(exist_ok=True)
(fleet / "workflows" / "all.yaml").write_text(
    "Restart:\n  steps:\n" + "".join(
        f"    - name: {name}\n      action: ServiceControl\n      on: All Simulated\n"
        f"      with: {{name: nginx, state: restart}}\n      maxParallel: {atonce}\n" for name in ("First", "Again")))
settings = fleet / "rmm.toml"
usual = settings.read_text()
# What scripts go by is known before, as it is of every fleet that is managed.
subprocess.run([rmm, "-C", str(fleet), "collect", "--concurrency", "500"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def memory(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0

def measure(what, args, total):
    begun = time.time()
    process = subprocess.Popen([rmm, "-C", str(fleet), *args, "--output", "jsonl"], stdout=subprocess.PIPE, stderr=open(work / "log", "w"), text=True)
    state = {"running": set(), "done": 0, "failed": 0, "most": 0, "lines": 0}
    def read():
        for line in process.stdout:
            state["lines"] += 1
            event = json.loads(line)
            if event.get("event") != "job":
                continue
            job = event["job"] if isinstance(event["job"], dict) else event
            if job["state"] in ("succeeded", "failed", "interrupted", "skipped"):
                state["done"] += 1
                state["failed"] += job["state"] != "succeeded"
    reader = threading.Thread(target=read)
    reader.start()
    seen = []
    database = sqlite3.connect(f"file:{fleet}/.rmm/rmm.db?mode=ro", uri=True, timeout=10)
    while process.poll() is None:
        try:
            used = memory(process.pid)
            running = database.execute("SELECT count(*) FROM Jobs WHERE State = 'running'").fetchone()[0]
        except (FileNotFoundError, ProcessLookupError, sqlite3.OperationalError):
            used, running = 0, 0
        state["most"] = max(state["most"], running)
        if used:
            seen.append((state["done"], used))
            print(f"{what}: {time.time() - begun:5.1f} s  {used:7.1f} MB  {running:4} under way  {state['done']:6} done", flush=True)
        time.sleep(1)
    reader.join()
    counted = dict(database.execute("SELECT State, count(*) FROM Jobs WHERE Run = (SELECT Run FROM Jobs ORDER BY N DESC LIMIT 1) GROUP BY State"))
    def most(first, last):
        """The largest memory while this share of all devices was done."""
        return max((used for done, used in seen if first * total <= done <= last * total), default=0)
    shares = [(0, 1 / 3), (2 / 3, 1)] if total == devices else [(0, 1 / 6), (1 / 3, 1 / 2), (1 / 2, 2 / 3), (5 / 6, 1)]
    names = ["first third", "last third"] if total == devices else ["first third of First", "last third of First", "first third of Again", "last third of Again"]
    memory_of = ", ".join(f"{most(*share):.0f} MB in the {name}" for share, name in zip(shares, names))
    print(f"{what}: {total} jobs in {time.time() - begun:.1f} s, exit code {process.returncode}, {counted}; {state['most']} under way at most; "
          f"memory {memory_of}; {state['lines']} lines of progress", flush=True)

if which in ("hand", "both"):
    # A person says how many at once.
    measure("by hand", ["run", "ServiceControl", "--on", "All Simulated", "-p", "name=nginx", "-p", "state=restart", "--concurrency", str(atonce), "--yes"], devices)
if which in ("workflow", "both"):
    # A workflow has as many at once as the configuration allows.
    settings.write_text(usual.replace("max_concurrent = 100", f"max_concurrent = {atonce}"))
    measure("workflow", ["workflow", "run", "Restart", "--yes"], 2 * devices)
PYTHON
