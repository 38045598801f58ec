#!/usr/bin/env bash
# Runs README's commands for npm and PyPI as they are written: `test-readme.sh OUT`. Port 3000 is free
# in a network of their own. That network reaches no registry, so the packages need nothing else.
# README's commands for the container need podman; packages/container/test runs the image.
set -euo pipefail
out=$(realpath "$1")
cd "$(dirname "$0")/.."
readme=$PWD/README.md
version=$(cargo pkgid)
grep -q "sse-clock:${version##*[#@]}" "$readme" || { echo "README names another version" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export npm_config_offline=true PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1
unset SSE_CLOCK_BINARY RUST_LOG PORT
python3 -m venv "$work/venv"
export PATH=$work/venv/bin:$PATH

for tool in npm PyPI; do
    mapfile -t commands < <(sed -n "s/^- $tool: //p" "$readme" | grep -o '`[^`]*`' | tr -d '`')
    echo "readme: ${commands[0]}; ${commands[1]}"
    # What make packages PLATFORMS=linux-x64 builds.
    mkdir -p "$work/$tool/target/packages"
    ln -s "$out"/sse-clock-[0-9]*.tgz "$out"/*linux-x64* "$out"/*x86_64.whl "$work/$tool/target/packages"
    cd "$work/$tool"
    # With the first process of the PID namespace all others end.
    unshare --net --pid --fork --mount-proc --kill-child bash -euc '
        ip link set lo up
        eval "$1"
        eval "$2 &"
        curl -sN --retry 30 --retry-connrefused --retry-delay 1 --max-time 60 \
            "localhost:3000/stream?count=1" | grep "^data: hello from server sent events"
    ' run "${commands[@]}"
done
