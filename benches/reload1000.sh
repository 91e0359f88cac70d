#!/bin/sh
# How long it takes from the last write to the new policy set in force, with 1,000 files of policies.
#
#   benches/reload1000.sh [ROUNDS]      RMM=/path/to/rmm uses that program; else target/release/rmm
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
rmm="${RMM:-$project/target/release/rmm}"
rounds="${1:-20}"
work=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT

mkdir -p "$work/policies"
printf '[monitoring.schedules]\nstatus = "never"\nmetrics = "never"\ninventory = "never"\nupdates = "never"\nsecurity = "never"\n' >"$work/rmm.toml"
printf 'devices:\n  one: {os: linux, connection: {transport: local}}\n' >"$work/devices.yaml"
i=0
while [ "$i" -lt 1000 ]; do
    printf 'policies:\n  P%s: {targets: "*", settings: {Files: {/tmp/rmm-bench-%s: absent}}}\n' "$i" "$i" >"$work/policies/p$i.yaml"
    i=$((i + 1))
done
"$rmm" -C "$work" reconcile 2>"$work/log" &
pid=$!
until grep -q 'at work' "$work/log"; do sleep 0.1; done
sleep 1

round=1
while [ "$round" -le "$rounds" ]; do
    before=$(grep -c 'in force' "$work/log" || true)
    printf 'policies:\n  P0: {targets: "*", settings: {Files: {/tmp/rmm-bench-round-%s: absent}}}\n' "$round" >"$work/policies/p0.yaml"
    written=$(date +%s%3N)
    until [ "$(grep -c 'in force' "$work/log" || true)" -gt "$before" ]; do sleep 0.005; done
    at=$(grep 'in force' "$work/log" | tail -n 1 | cut -d' ' -f1)
    echo $(($(date -d "$at" +%s%3N) - written))
    round=$((round + 1))
done | sort -n | awk '{ all[NR] = $1 } END { printf "%d rounds, 1,000 files: median %d ms, worst %d ms\n", NR, all[int((NR + 1) / 2)], all[NR] }'
