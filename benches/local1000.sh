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

# What is there already, asked for as it is: 250 packages, up to 10 services, up to 40 accounts.
dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^ii  *//p' | sort -u | head -n 250 >"$work/packages" || :
cut -d: -f1 /etc/passwd | grep -x '[a-z_][a-z0-9_-]*' | head -n 40 >"$work/users"
ls /etc/init.d 2>/dev/null | grep -x '[A-Za-z0-9][A-Za-z0-9_.-]*' | head -n 10 >"$work/services" || :

lines() { wc -l <"$1" | tr -d ' '; }
files=$((1000 - $(lines "$work/packages") - $(lines "$work/users") - $(lines "$work/services")))

{
    printf 'policies:\n  Thousand:\n    targets: ["*"]\n    remediate: true\n    settings:\n'
    if [ -s "$work/packages" ]; then echo '      Packages:'; sed 's/.*/        "&": present/' "$work/packages"; fi
    echo '      Users:'
    sed 's/.*/        "&": present/' "$work/users"
    # Filled in below, once it is known how the services are.
    if [ -s "$work/services" ]; then echo '      Services: {}' ; fi
    echo '      Files:'
    i=0
    while [ "$i" -lt "$files" ]; do
        printf '        "%s/files/%04d.conf": {content: "# File %d of a benchmark.\\nname = value-%d\\nlisten = 127.0.0.1\\n", mode: "0640"}\n' \
            "$work" "$i" "$i" "$i"
        i=$((i + 1))
    done
} >"$repo/policies/thousand.yaml"

echo "repo made: $repo"
