#!/bin/sh
# Measures the time from a value past its threshold to the webhook: a daemon over simulated devices that are asked every
# second, and a receiver on this machine. Each device is told in turn to be busy. Needs python3 and a release build:
#
#   cargo build --release --bin rmm
#   benches/breach.sh [ROUNDS]
#
# It prints, over ROUNDS (50) devices: from the moment of the sample to the receiver, and from the moment at which the device
# became busy to the receiver, which includes the wait for the next second. In milliseconds: median, largest.
set -eu

rounds=${1:-50}
project=$(cd "$(dirname "$0")/.." && pwd)
rmm=${TARGET:-${CARGO_TARGET_DIR:-$project/target}/release}/rmm
[ -x "$rmm" ] || { echo "breach: $rmm is missing; see the head of this file" >&2; exit 1; }
unset RMM_REPO RMM_DB RMM_ENV
work=$(mktemp -d "${TMPDIR:-/tmp}/breach.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
exec python3 - "$rmm" "$work" "$rounds" <<'PYTHON'
import datetime, http.server, json, pathlib, queue, statistics, subprocess, sys, threading, time

rmm, work, rounds = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
arrived = queue.Queue()

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        now = time.time()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        arrived.put((now, body))
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
fleet = work / "fleet"
subprocess.run([rmm, "simulate", str(rounds), str(fleet), "--latency", "5"], check=True, stdout=subprocess.DEVNULL)
control = fleet / "control"
control.write_text("* CPU=5\n")
with open(fleet / "rmm.toml", "a") as toml:
    toml.write(f'''
[monitoring.schedules]
metrics = "* * * * * *"
status = "never"
[notifications.channels.hook]
type = "webhook"
url = "http://127.0.0.1:{server.server_port}/"
''')
(fleet / "thresholds").mkdir(exist_ok=True)
for file in (fleet / "thresholds").iterdir():
    file.unlink()
(fleet / "thresholds" / "cpu.yaml").write_text("CPU: {warning: 80, critical: 95}\n")
(fleet / "notifications.yaml").write_text("rules: {All: {channels: [hook]}}\n")
subprocess.run([rmm, "-C", str(fleet), "validate"], check=True, stdout=subprocess.DEVNULL)
daemon = subprocess.Popen([rmm, "-C", str(fleet), "reconcile"], stderr=open(work / "log", "w"))
try:
    time.sleep(15)
    while not arrived.empty():
        print("early:", arrived.get()[1]["headline"])
    of_sample, of_cause = [], []
    for n in range(1, rounds + 1):
        name = f"sim-{n:04}"
        begun = time.time()
        with open(control, "a") as file:
            file.write(f"{name} CPU=99\n")
        while True:
            now, body = arrived.get(timeout=60)
            if body["alert"]["about"] == name:
                break
            print("another:", body["headline"])
        sampled = datetime.datetime.fromisoformat(body["alert"]["createdAt"].replace("Z", "+00:00")).timestamp()
        of_sample.append((now - sampled) * 1000)
        of_cause.append((now - begun) * 1000)
    for what, times in (("from the sample", of_sample), ("from the cause", of_cause)):
        print(f"{what}: median {statistics.median(times):.0f} ms, largest {max(times):.0f} ms, of {len(times)}")
finally:
    daemon.terminate()
    daemon.wait(90)
PYTHON
