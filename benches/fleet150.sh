#!/bin/sh
# Measures the collection of a fleet on this machine: one SSH server on a high port that answers on 127.0.1.1 to
# 127.0.1.150, so every device is real to rmm. Linux only; needs sshd, ssh-keygen and a release build:
#
#   cargo build --release --bins --examples
#   benches/fleet150.sh [ROUNDS]
#
# Each of the ROUNDS (5 unless given) runs in turn, so that a busy moment of the machine hits all of them:
#   true     a bare SSH client runs `true` on every device
#   script   the bare client runs the very script that rmm runs for a full inventory
#   collect  rmm collect --force: the same, parsed and stored
#   first    rmm collect --force --every 1s --rounds 2: the first round, which connects ...
#   second   ... and the second, over the same sessions
# It prints seconds, MB of memory at the peak (where /usr/bin/time is GNU time), and the medians.
#
# DEVICES (150, at most 250) and IN_FLIGHT (50) change the size; TARGET (target/release) says where the programs are;
# KEEP=1 leaves the server running and the directory in place until Enter is pressed. ANSIBLE=/path/to/ansible measures
# `ansible -m setup` on the same devices at the end, with pipelining and IN_FLIGHT forks.
# Everything is kept below one temporary directory, which is removed at the end together with the server.
set -eu

rounds=${1:-5}
devices=${DEVICES:-150}
in_flight=${IN_FLIGHT:-50}
project=$(cd "$(dirname "$0")/.." && pwd)
target=${TARGET:-${CARGO_TARGET_DIR:-$project/target}/release}
rmm=$target/rmm
bare=$target/examples/bare_ssh
print_script=$target/examples/print_script
for program in "$rmm" "$bare" "$print_script" /usr/sbin/sshd; do
    [ -x "$program" ] || { echo "fleet150: $program is missing; see the head of this file" >&2; exit 1; }
done
unset RMM_REPO RMM_DB RMM_ENV SSH_AUTH_SOCK
USER=$(id -un)
export USER

work=$(mktemp -d "${TMPDIR:-/tmp}/fleet150.XXXXXX")
chmod 755 "$work"
server=
clean() {
    trap '' INT TERM
    [ -z "$server" ] || kill "$server" 2>/dev/null || :
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# The server: keys of its own, and room for everybody at once. It takes at most 16 addresses to listen on, so it listens on
# all of them, and lets nobody in who comes from elsewhere. SHLVL keeps bash from reading
# ~/.bashrc for every command, which would measure what the user of this machine has put there.
# Privilege separation wants a directory of its own.
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -C fleet150 -f "$work/host"
ssh-keygen -q -t ed25519 -N '' -C fleet150 -f "$work/key"
cp "$work/key.pub" "$work/authorized_keys"
addresses=$(seq -f '127.0.1.%.0f' 1 "$devices")
start() {
    port=$((20000 + ($$ * 7 + $1 * 131) % 20000))
    cat >"$work/sshd_config" <<CONFIG
ListenAddress 0.0.0.0:$port
AllowUsers $USER@127.0.0.0/8
HostKey $work/host
AuthorizedKeysFile $work/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 1000:1:2000
MaxSessions 50
UseDNS no
SetEnv SHLVL=2
LogLevel VERBOSE
CONFIG
    /usr/sbin/sshd -D -f "$work/sshd_config" -E "$work/sshd.log" &
    server=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        sleep 0.1
        kill -0 "$server" 2>/dev/null || return 1
        ! grep -q '^Server listening on ' "$work/sshd.log" || return 0
    done
    return 1
}
tries=0
until start "$tries"; do
    tries=$((tries + 1))
    [ "$tries" -lt 10 ] || { cat "$work/sshd.log" >&2; echo "fleet150: the server does not start" >&2; exit 1; }
    rm -f "$work/sshd.log"
done

# The policy repository.
mkdir "$work/fleet"
cat >"$work/fleet/rmm.toml" <<'TOML'
[general]
organization = "Fleet of one machine"
TOML
{
    echo 'devices:'
    for address in $addresses; do
        printf '[%s]:%s %s\n' "$address" "$port" "$(cat "$work/host.pub")" >>"$work/known_hosts"
        cat <<YAML
  d${address##*.}:
    address: $address
    os: linux
    connection: {transport: ssh, user: $USER, port: $port, identityFiles: [$work/key], knownHosts: $work/known_hosts}
YAML
    done
} >"$work/fleet/devices.yaml"
"$print_script" >"$work/script"

timed=
! /usr/bin/time -f %M true 2>/dev/null || timed=1
run() {
    if [ -n "$timed" ]; then /usr/bin/time -o "$work/kb" -f %M "$@"; else "$@"; fi
}
# The seconds out of "..., 1.234 s, ..." and "... in 1.2 s ...", one per line.
seconds() {
    sed -n 's/.*[ ,]\([0-9][0-9.]*\) s[,. ].*/\1/p'
}
keep() {
    printf '%s\n' "$2" >>"$work/figures.$1"
    printf '%s %s s' "$1" "$2"
    if [ -n "${3:-}" ] && [ -n "$timed" ]; then
        mb=$(tail -n 1 "$work/kb" | awk '{ printf "%.1f", $1 / 1024 }')
        printf '%s\n' "$mb" >>"$work/figures.$1.mb"
        printf ' (%s MB)' "$mb"
    fi
    printf '   '
}
# What went wrong is shown, and ends the measurement.
checked() {
    "$@" >"$work/out" 2>"$work/err" || { cat "$work/out" "$work/err" >&2; exit 1; }
}

echo "$devices devices on port $port, $in_flight in flight, $(wc -c <"$work/script") bytes of script"
for round in $(seq "$rounds"); do
    printf '%2s: ' "$round"
    checked "$bare" "$work/key" "$port" "$in_flight" 1 "$devices" -- true
    keep true "$(seconds <"$work/out")"
    checked "$bare" "$work/key" "$port" "$in_flight" 1 "$devices" --input "$work/script" -- /bin/sh
    keep script "$(seconds <"$work/out")"
    checked run "$rmm" -C "$work/fleet" collect --force --concurrency "$in_flight"
    keep collect "$(seconds <"$work/out")" mb
    checked run "$rmm" -C "$work/fleet" collect --force --every 1s --rounds 2 --concurrency "$in_flight"
    keep first "$(seconds <"$work/out" | sed -n 1p)"
    keep second "$(seconds <"$work/out" | sed -n 2p)" mb
    echo
done
printf 'median: '
for name in true script collect first second; do
    printf '%s %s s   ' "$name" "$(sort -n "$work/figures.$name" | sed -n "$(((rounds + 1) / 2))p")"
done
if [ -n "$timed" ]; then
    printf 'most memory: %s MB' "$(sort -n "$work"/figures.*.mb | tail -n 1)"
fi
echo
grep -c 'Accepted publickey' "$work/sshd.log" | sed 's/$/ sign-ins/'
grep -c 'Failed publickey' "$work/sshd.log" | sed 's/$/ attempts refused/' || :
if [ -n "${ANSIBLE:-}" ]; then
    for address in $addresses; do echo "$address"; done >"$work/inventory"
    printf 'ansible -m setup: '
    export ANSIBLE_PIPELINING=True ANSIBLE_FORKS="$in_flight" ANSIBLE_LOCAL_TEMP="$work/ansible" ANSIBLE_HOME="$work/ansible"
    export ANSIBLE_SSH_ARGS="-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=$work/known_hosts"
    for round in $(seq "$rounds"); do
        # New sessions each time, as rmm has them.
        ANSIBLE_SSH_CONTROL_PATH_DIR=$work/control.$round
        export ANSIBLE_SSH_CONTROL_PATH_DIR
        begun=$(date +%s%N)
        checked run "$ANSIBLE" all -i "$work/inventory" -u "$USER" --private-key "$work/key" -e "ansible_port=$port" \
            -e ansible_python_interpreter=/usr/bin/python3 -m ansible.builtin.setup
        keep ansible "$(awk "BEGIN { printf \"%.1f\", ($(date +%s%N) - $begun) / 1e9 }")"
        # Its sessions stay for a minute; the next round is not to share the processor with them.
        pkill -f "$work/control" || :
    done
    echo
fi
if [ "${KEEP:-}" = 1 ]; then
    echo "The fleet is in $work/fleet; press Enter to end."
    read -r _
fi
