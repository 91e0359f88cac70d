#!/bin/sh
# Times `rmm validate` and `rmm fmt --check` of a repository of 1,000 files.
#
#   benches/validate1000.sh [RUNS]     RUNS: runs of each command, 5 unless given
#
# RMM=/path/to/rmm names the program; else target/release/rmm of this project, which `cargo build --release` makes.
#
# 400 files of policies, 200 of thresholds, 200 of workflows and 200 of devices (ten in each) in a temporary directory that
# is removed at the end; RMM_BENCH_REPO=DIR writes them there instead and ends.
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
rmm=${RMM:-$project/target/release/rmm}
runs=${1:-5}
unset RMM_REPO RMM_DB RMM_ENV

[ -x "$rmm" ] || { echo "validate1000: $rmm is missing; run 'cargo build --release' or set RMM" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
repo=${RMM_BENCH_REPO:-$work/repo}
mkdir -p "$repo/policies" "$repo/thresholds" "$repo/workflows" "$repo/devices"

printf '[general]\norganization = "Benchmark"\n\n[notifications.channels.mail]\ntype = "email"\nserver = "smtp.example.com"\n' >"$repo/rmm.toml"
{
    printf 'groups:\n  Servers: {}\n'
    i=0
    while [ "$i" -lt 200 ]; do
        printf '  Group %d: {parent: Servers}\n' "$i"
        i=$((i + 1))
    done
} >"$repo/groups.yaml"

i=0
while [ "$i" -lt 400 ]; do
    cat >"$repo/policies/policy-$i.yaml" <<POLICY
policies:
  Policy $i:
    description: What the devices of group $((i % 200)) should look like.
    targets: [Group $((i % 200))]
    exclude: [{tag: lab}, {where: "facts.hardware.memory.total_gb < $((i % 7 + 1))"}]
    settings:
      Timezone: UTC
      Services:
        sshd: {state: running, startup: enabled}
        service-$i: {state: stopped, startup: disabled}
      Packages:
        curl: present
        package-$i: {version: ">=1.2"}
      Files:
        /etc/rmm/policy-$i.conf: {content: "value = $i\\n", mode: "0644"}
    remediate: approve
    schedule: Daily 02:00
    severity: high
    priority: $i
    references: {cis: ["5.1.$i"]}
POLICY
    i=$((i + 1))
done
i=0
while [ "$i" -lt 200 ]; do
    cat >"$repo/thresholds/threshold-$i.yaml" <<THRESHOLD
thresholds:
  CPU of group $i:
    metric: CPU
    targets: [Group $i]
    warning: 80
    critical: 95
    clear: 75
    for: 10m
    overrides:
      - {targets: [{tag: loud}], warning: 90, critical: 98}
THRESHOLD
    cat >"$repo/workflows/workflow-$i.yaml" <<WORKFLOW
workflows:
  Patch group $i:
    trigger: "Schedule: Second Tuesday 10PM"
    timezone: Europe/Berlin
    steps:
      - name: Pilot
        action: Install-Updates -Group 'Group $i'
        onFailure: rollback-and-notify
        timeout: 2h
        retries: 2
        waitForReboot: true
      - {name: Sign-off, approval: {role: Operator, within: 12h}}
      - {name: Tell, action: Send-Notification -Channel mail -Message 'group $i is done', when: 'steps["Pilot"].failed == 0'}
WORKFLOW
    {
        echo 'devices:'
        j=0
        while [ "$j" -lt 10 ]; do
            printf '  device-%d-%d: {address: 192.0.2.%d, os: linux, groups: [Group %d], tags: [%s]}\n' "$i" "$j" "$i" "$i" "$([ "$j" -gt 0 ] && echo quiet || echo loud)"
            j=$((j + 1))
        done
    } >"$repo/devices/devices-$i.yaml"
    i=$((i + 1))
done
[ -z "${RMM_BENCH_REPO:-}" ] || exit 0

measure() {
    i=0
    while [ "$i" -lt "$runs" ]; do
        start=$(date +%s%N)
        "$rmm" -C "$repo" "$@" >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err" >&2; exit 1; }
        end=$(date +%s%N)
        echo $(((end - start) / 1000000))
        i=$((i + 1))
    done | sort -n >"$work/times"
    median=$(sed -n "$((runs / 2 + 1))p" "$work/times")
    echo "rmm $*: median $median ms of $runs runs ($(head -n 1 "$work/times") to $(tail -n 1 "$work/times") ms)"
}

"$rmm" -C "$repo" validate | tail -n 1
measure validate
measure fmt --check
