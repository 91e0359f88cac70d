#!/bin/sh
# Times `rmm plan` and a converged `rmm apply` of 1,000 resources on this machine, really observed every time.
#
#   benches/local1000.sh [RUNS]     RUNS: runs of each command, 5 unless given
#
# RMM=/path/to/rmm names the program; else target/release/rmm of this project, which `cargo build --release` makes.
#
# The policy repository and the files that it keeps live in a temporary directory that is removed at the end. Nothing
# else of the machine is changed: packages, services and accounts are asked for as they are already. Works best as
# root, and where dpkg is; files take the place of what the machine has too few of.
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
rmm=${RMM:-$project/target/release/rmm}
runs=${1:-5}
unset RMM_REPO RMM_DB RMM_ENV

[ -x "$rmm" ] || { echo "local1000: $rmm is missing; run 'cargo build --release' or set RMM" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
repo=$work/repo
mkdir -p "$repo/policies" "$repo/devices" "$work/files"

printf '[general]\norganization = "Benchmark"\n' >"$repo/rmm.toml"
printf 'devices:\n  here: {connection: {transport: local}}\n' >"$repo/devices/here.yaml"

# What is there already, asked for as it is: up to 250 packages, 10 services and 40 accounts.
dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^ii  *//p' | sort -u | head -n 250 >"$work/packages" || :
cut -d: -f1 /etc/passwd | grep -x '[a-z_][a-z0-9_-]*' | head -n 40 >"$work/users"

"$rmm" -C "$repo" --quiet collect >/dev/null
# The services as the device reports them: `name:`, then state and startup below it.
"$rmm" -C "$repo" facts here software.services 2>/dev/null | awk '
    /^[^ ].*:$/ { name = $1; sub(/:$/, "", name); state = ""; next }
    $1 == "state:" { state = $2 }
    $1 == "startup:" && name ~ /^[A-Za-z0-9_.@-]+$/ && (state == "running" || state == "stopped") && ($2 == "enabled" || $2 == "disabled") {
        if (++n <= 10) printf "        \"%s\": {state: %s, startup: %s}\n", name, state, $2
    }' >"$work/services" || :

lines() { wc -l <"$1" | tr -d ' '; }
files=$((1000 - $(lines "$work/packages") - $(lines "$work/users") - $(lines "$work/services")))

{
    printf 'policies:\n  Thousand:\n    targets: ["*"]\n    remediate: true\n    settings:\n'
    if [ -s "$work/packages" ]; then echo '      Packages:'; sed 's/.*/        "&": present/' "$work/packages"; fi
    echo '      Users:'
    sed 's/.*/        "&": present/' "$work/users"
    if [ -s "$work/services" ]; then echo '      Services:'; cat "$work/services"; fi
    echo '      Files:'
    i=0
    while [ "$i" -lt "$files" ]; do
        name=$(printf '%s/files/%04d.conf' "$work" "$i")
        # As they should be already, so that nothing is left to change.
        printf '# File %d of a benchmark.\nname = value-%d\nlisten = 127.0.0.1\n' "$i" "$i" >"$name"
        chmod 640 "$name"
        printf '        "%s": {content: "# File %d of a benchmark.\\nname = value-%d\\nlisten = 127.0.0.1\\n", mode: "0640"}\n' "$name" "$i" "$i"
        i=$((i + 1))
    done
} >"$repo/policies/thousand.yaml"

# One file differs: the first apply has to see and mend it, so that what is timed below is known to look.
echo changed >"$work/files/0000.conf"
"$rmm" -C "$repo" --quiet apply --auto-approve >"$work/first"
grep -q '1 done' "$work/first" || { cat "$work/first" >&2; echo "local1000: the first apply did not mend the one file" >&2; exit 1; }

echo "$files files, $(lines "$work/packages") packages, $(lines "$work/services") services, $(lines "$work/users") accounts"

# Wall time of one run in milliseconds; the run has to find everything as it should be.
run() {
    start=$(date +%s%N)
    "$rmm" -C "$repo" "$@" --refresh always >"$work/out"
    end=$(date +%s%N)
    grep -q 'nothing to do, 1,000 compliant' "$work/out" || { cat "$work/out" >&2; echo "local1000: not converged" >&2; exit 1; }
    echo $(((end - start) / 1000000))
}

measure() {
    label=$1
    shift
    run "$@" >/dev/null
    i=0
    while [ "$i" -lt "$runs" ]; do
        run "$@"
        i=$((i + 1))
    done | sort -n >"$work/times"
    median=$(sed -n "$((runs / 2 + 1))p" "$work/times")
    echo "$label: median $median ms of $runs runs ($(head -n 1 "$work/times") to $(tail -n 1 "$work/times") ms)"
}

measure 'rmm plan --refresh always' plan
measure 'rmm apply --refresh always' apply --auto-approve
