#!/bin/sh
# Runs a daemon over simulated devices in real time: metrics every 5 minutes, 2 % of the devices flapping. Needs python3, Linux
# and a release build:
#
#   cargo build --release --bin rmm
#   benches/fleet10000.sh [DEVICES] [MINUTES]
#
# Every minute it prints the processor time of that minute (in % of one core) and the memory; at the end the average, the
# samples that were taken and those that were kept. What the first inventory of all devices takes is shown apart.
set -eu

devices=${1:-10000}
minutes=${2:-15}
project=$(cd "$(dirname "$0")/.." && pwd)
rmm=${TARGET:-${CARGO_TARGET_DIR:-$project/target}/release}/rmm
[ -x "$rmm" ] || { echo "fleet10000: $rmm is missing; see the head of this file" >&2; exit 1; }
unset RMM_REPO RMM_DB RMM_ENV
work=$(mktemp -d "${TMPDIR:-/tmp}/fleet10000.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
exec python3 - "$rmm" "$work" "$devices" "$minutes" <<'PYTHON'
import os, pathlib, sqlite3, subprocess, sys, time, urllib.request

rmm, work, devices, minutes = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
fleet = work / "fleet"
subprocess.run([rmm, "simulate", str(devices), str(fleet), "--latency", "40", "--failures", "1", "--hangs", "0", "--flapping", "2"],
               check=True, stdout=subprocess.DEVNULL)
port = 20000 + os.getpid() % 20000
with open(fleet / "rmm.toml", "a") as toml:
    toml.write(f'\n[daemon]\nlisten = "127.0.0.1:{port}"\n')
begun = time.time()
subprocess.run([rmm, "-C", str(fleet), "collect", "--concurrency", "200"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(f"first inventory of {devices} devices: {time.time() - begun:.1f} s", flush=True)
database = sqlite3.connect(fleet / ".rmm" / "rmm.db")
print(f"samples of that inventory: {database.execute('select count(*) from MetricLog').fetchone()[0]}", flush=True)
database.close()
daemon = subprocess.Popen([rmm, "-C", str(fleet), "reconcile"], stderr=open(work / "log", "w"))
tick = os.sysconf("SC_CLK_TCK")
def used():
    fields = open(f"/proc/{daemon.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / tick
def memory():
    lines = open(f"/proc/{daemon.pid}/status").read().splitlines()
    return {l.split(":")[0]: int(l.split()[1]) / 1024 for l in lines if l.startswith(("VmRSS", "VmHWM"))}
last, all_used = 0.0, []
try:
    for minute in range(1, minutes + 1):
        time.sleep(60)
        now = used()
        all_used.append(now - last)
        print(f"{minute:3} min  {(now - last) / 0.6:5.1f} % of a core   {memory()['VmRSS']:6.1f} MB", flush=True)
        last = now
    figures = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    print("\n".join(l for l in figures.splitlines() if not l.startswith("#")))
    print(f"average {sum(all_used) / len(all_used) / 0.6:.1f} % of a core, most memory {memory()['VmHWM']:.1f} MB")
finally:
    daemon.terminate()
    daemon.wait(120)
database = sqlite3.connect(fleet / ".rmm" / "rmm.db")
for table in ("MetricLog", "MetricSamples"):
    each = [row[0] for row in database.execute(f"select count(*) from {table} group by Device")] or [0]
    rows, count, least, most = sum(each), len(each), min(each), max(each)
    print(f"{table}: {rows} rows of {count} devices, {least} to {most} each")
print("alerts:", database.execute("select State, count(*) from Alerts group by 1").fetchall())
print(subprocess.run(["du", "-sh", fleet / ".rmm"], capture_output=True, text=True).stdout.split()[0], "database")
print(open(work / "log").read()[-2000:])
PYTHON
