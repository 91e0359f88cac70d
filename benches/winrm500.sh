#!/usr/bin/env bash
# 500 WinRM sessions in flight against the endpoint of the tests: how much memory, how long, and whether anything is left behind.
#   benches/winrm500.sh [RMM] [DEVICES]      RMM: target/release/rmm unless given
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
rmm=$(realpath "${1:-$here/target/release/rmm}")
devices=${2:-500}
place=$(mktemp -d)
trap 'exec 9>&-; rm -rf "$place"' EXIT
python=$("$here/tests/winrm/environment")

cat >"$place/endpoint.json" <<JSON
{"users": {"kim": "Secret-1"}, "log": "$place/log", "patience": 1, "listen": "0.0.0.0"}
JSON
mkfifo "$place/port" "$place/open"
"$python" "$here/tests/winrm/endpoint.py" "$place/endpoint.json" <"$place/open" >"$place/port" &
exec 9>"$place/open"
read -r port <"$place/port"

mkdir "$place/fleet"
cat >"$place/fleet/rmm.toml" <<TOML
[general]
organization = "Bench"
[connections]
max_concurrent = 500
winrm_timeout = "120s"
command_timeout = "300s"
TOML
{
    echo "devices:"
    for n in $(seq "$devices"); do
        # Another address is another device.
        echo "  ws-$n: {os: windows, address: 127.1.$((n / 250)).$((n % 250 + 1)), connection: {user: kim, password: {secret: win}, scheme: http, port: $port}}"
    done
} >"$place/fleet/devices.yaml"
cd "$place/fleet"
export RMM_SECRET_WIN=Secret-1 RMM_STATE_DIR="$place/state"

# Each command waits until all are signed in: that is what 500 in flight means.
/usr/bin/time -f '%M %e' -o "$place/time" "$rmm" exec '*' --yes --concurrency 500 --output json -- sleep "${SECONDS_EACH:-30}" >"$place/answers" || true
read -r kib seconds < <(tail -1 "$place/time")
exec 9>&-
sleep 1

"$python" - "$place/log" "$place/answers" "$devices" "$kib" "$seconds" <<'PYTHON'
import collections, json, sys

log, answers, devices, kib, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
events = [json.loads(line) for line in open(log)]
count = collections.Counter(event["event"] for event in events)
most, now = 0, 0
for event in events:
    now += {"shell": 1, "deleted": -1}.get(event["event"], 0)
    most = max(most, now)
said = collections.Counter(str(item.get("stdout")) for item in json.load(open(answers))["items"])
print(f"devices {devices}, connections {count['connected']}, shells {count['shell']}, at once {most}, left behind {count['shell'] - count['deleted']}")
print(f"messages in clear {count['clear']}, answers {said}")
print(f"memory {kib / 1024:.0f} MiB at most, {seconds:.1f} s")
good = count["connected"] == devices and count["shell"] == count["deleted"] == devices and not count["clear"] and kib < 1 << 20
sys.exit(0 if good and said == {"slept\r\n": devices} else 1)
PYTHON
