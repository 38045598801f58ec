#!/usr/bin/env bash
# Tests the image in OUT: `test.sh OUT`. The program runs as process 1 of a PID namespace, on a
# read-only root, as the user that the image names. Needs root.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "the test of the container needs root" >&2; exit 1; }
out=$(realpath "$1")
work=$(mktemp -d)
storage=(--storage-driver vfs --root "$work/storage" --runroot "$work/run")
started=()
touch "$work/stderr"

finish() {
    for pid in "${started[@]}"; do
        # The program does not end with unshare.
        { kill -9 $(cat "/proc/$pid/task/$pid/children") "$pid" && wait "$pid"; } 2>/dev/null || true
    done
    buildah "${storage[@]}" umount --all >/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

fail() {
    cat "$work/stderr" >&2
    echo "$1" >&2
    exit 1
}

# Waits until a command succeeds.
eventually() {
    local end=$((SECONDS + 20))
    until "$@"; do
        [ $SECONDS -lt $end ] || fail "not in time: $*"
        sleep 0.05
    done
}

archives=("$out"/sse-clock-*-linux-x64.oci.tar)
container=$(buildah "${storage[@]}" from --quiet "oci-archive:${archives[0]}")
config() { buildah "${storage[@]}" inspect --format "$1" "$container"; }
root=$(buildah "${storage[@]}" mount "$container")

bytes=$(du --summarize --apparent-size --bytes "$root" | cut -f1)
echo "the image has $bytes bytes"
[ "$bytes" -le 8000000 ] || fail "the image has more than 8,000,000 bytes"
user=$(config '{{.OCIv1.Config.User}}')
mapfile -t entrypoint < <(config '{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}' | sed '/^$/d')
[ "$(config '{{.OCIv1.Config.ExposedPorts}}')" = "map[3000/tcp:{}]" ] ||
    fail "port 3000 is not exposed"

for signal in TERM INT; do
    rm -f "$work"/{stdout,stderr,events}
    touch "$work"/{stdout,stderr,events}
    TZ=Europe/Berlin unshare --mount --pid --fork bash -euc '
        root=$1 user=$2
        shift 2
        mount --bind "$root" "$root"
        mount -o remount,bind,ro "$root"
        exec setpriv --no-new-privs chroot --groups= --userspec="$user" "$root" "$@"
    ' run "$root" "$user" "${entrypoint[@]}" --port 0 >"$work/stdout" 2>"$work/stderr" &
    unshare=$!
    started+=("$unshare")
    eventually grep -q listening "$work/stdout"
    port=$(sed -n 's/^Server listening on .*://p' "$work/stdout")
    server=$(cat "/proc/$unshare/task/$unshare/children")
    server=${server// /}

    [ "$(awk '/^NSpid:/ { print $3 }' "/proc/$server/status")" = 1 ] || fail "it is not process 1"
    uids=$(awk '/^Uid:/ { print $2 ":" $3 ":" $4 ":" $5 }' "/proc/$server/status")
    [ "$uids" = 65532:65532:65532:65532 ] || fail "its user is $uids"
    grep -q '^CapEff:\s0*$' "/proc/$server/status" || fail "it has capabilities"
    awk '$5 == "/" { found = $6 ~ /^ro(,|$)/ } END { exit !found }' "/proc/$server/mountinfo" ||
        fail "its root is not read-only"

    # The address of this machine, which is not localhost.
    curl -sN "http://$(hostname -I | cut -d' ' -f1):$port/events?ids" >"$work/events" &
    curl=$!
    started+=("$curl")
    eventually grep -q '^data: ' "$work/events"
    id=$(sed -n 's/^id: //p' "$work/events" | head -n1)
    time=$(sed -n 's/^data: //p' "$work/events" | head -n1)
    expected=$(LC_ALL=C TZ=Europe/Berlin date --date="@$((id / 1000))" '+%-I:%M:%S %p')
    [ "$time" = "$expected" ] || fail "the time is $time instead of $expected"

    kill -s $signal "$server"
    wait "$curl" || fail "SIG$signal: the stream is cut, curl ends with $?"
    wait "$unshare" || fail "SIG$signal: the program ends with $?"
    started=()
    echo "SIG$signal ends the streams and the program"
done
