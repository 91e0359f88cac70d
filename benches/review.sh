#!/bin/sh
# Measures `rmm review` on 10,000 devices in a repository of 200 files: a change of one threshold, one policy value and one group.
#
#   RMM_BENCH_REPO=/tmp/fleet cargo bench --bench plan && benches/review.sh /tmp/fleet [RMM]
#
# The folder becomes a Git repository. Prints the wall time and memory from the database and from a state file, and the file's size.
set -eu
dir=$1
rmm=${2:-target/release/rmm}
rmm=$(realpath "$rmm")
cd "$dir"
if [ ! -d .git ]; then
    git init -q -b main
    printf '.rmm/\n*.state\n' > .gitignore
    mkdir -p thresholds
    i=0
    while [ $i -lt 180 ]; do
        case $((i % 2)) in
            0) printf 'policies:\n  Extra%s:\n    targets: [{tag: rack-%s}]\n    settings:\n      Sysctl: {vm.overcommit_ratio: 50}\n' $i $((1000 + i)) > policies/extra-$i.yaml ;;
            1) printf 'thresholds:\n  Disk%s:\n    metric: DiskSpace\n    targets: [{tag: rack-%s}]\n    warning: 20\n    critical: 10\n' $i $((1000 + i)) > thresholds/extra-$i.yaml ;;
        esac
        i=$((i + 1))
    done
    git add -A
    git -c user.name=bench -c user.email=bench@example.org commit -q -m base
    git checkout -q -b change
    sed -i 's/PasswordMinLength: 12/PasswordMinLength: 16/' policies/fleet.yaml
    sed -i 's/warning: 20/warning: 25/' thresholds/extra-1.yaml
    sed -i 's/total_gb < 8/total_gb < 10/' groups.yaml
    git -c user.name=bench -c user.email=bench@example.org commit -q -a -m change
fi
timed() {
    echo "$*"
    for _ in 1 2 3 4 5; do
        start=$(date +%s%N)
        "$@" > /tmp/rmm-review.$$ || [ $? -eq 6 ]
        end=$(date +%s%N)
        printf '  %s ms\n' $(((end - start) / 1000000))
    done
}
"$rmm" state export --out fleet.state
ls -l fleet.state
timed "$rmm" review main..change
tail -4 /tmp/rmm-review.$$
timed "$rmm" review main..change --state fleet.state
timed "$rmm" review main..change --state fleet.state --format markdown
wc -c < /tmp/rmm-review.$$
timed "$rmm" review main..main
rm -f /tmp/rmm-review.$$
