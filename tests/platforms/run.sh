#!/usr/bin/env bash
# Builds the program and the examples for other platforms, and tests the builds with the black-box
# specification: Windows under wine, ARM64 under qemu. `make platforms` runs this script.
#
# Arguments choose steps. Without arguments: static arm64 windows macos. The step native builds and
# tests for the machine itself: Linux, Windows in the bash of Git, or macOS with GNU coreutils.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD/tests/platforms
. packages/compile.sh
work=$target/platforms
mkdir -p "$work"

# What of the specification is about the program, and not about this crate's code in the test.
modules=(node:: lab:: command:: server::lifetime:: server::limits::
    suite::cases suite::judge suite::runners)

# The link-time optimization of a release is off: it takes minutes and finds no fault.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1

# Runs the specification against a command, without the tests that the lists have:
# `specification COMMAND LIST...`.
specification() {
    local command=$1 list name skipped=()
    shift
    for list; do
        while read -r name _; do
            case $name in '' | '#'*) ;; *) skipped+=(--skip "$name") ;; esac
        done <"$here/$list"
    done
    cargo build --workspace --features tls --example suite # a test runs it
    # An emulated program takes longer, and the tests have time limits.
    local -x RUST_TEST_THREADS=4 SSE_CLOCK_BIN=$command SKIPPED=$work/skipped.txt
    local spec=(cargo test --workspace --features tls --test spec --)
    "${spec[@]}" "${modules[@]}" ${skipped[@]+"${skipped[@]}"} | tee "$work/spec.log" && return
    # Wine now and then ends a program by a signal when the program exits, and a busy machine makes
    # an emulated program late. So up to three tests that fail are run once more.
    local failed
    failed=($(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$work/spec.log"))
    [ ${#failed[@]} -gt 0 ] && [ ${#failed[@]} -le 3 ] || return 1
    echo "platforms: once more: ${failed[*]}"
    "${spec[@]}" --include-ignored --exact "${failed[@]}"
}

# Runs the tests of the page in Chromium against a command: `page COMMAND LIST`.
page() {
    local modules=(page:: --include-ignored --skip webkit::)
    specification "$@"
}

# Starts the program over HTTPS, and two examples, and reads an event of each:
# `examples PROGRAM FOLDER SUFFIX EMULATOR`.
examples() {
    local program=$1 folder=$2 suffix=$3 name event port=18300
    shift 3
    "$@" "$program" --tls --port $port >/dev/null 2>&1 &
    event=$(curl -skN --retry 30 --retry-connrefused --retry-delay 1 --max-time 60 -w '%{http_version}' \
        "https://localhost:$port/stream?count=1" || true)
    kill -9 $!
    [[ $event == *"data: hello"*2 ]] || { echo "the program does not speak HTTP/2" >&2; return 1; }
    echo "the program speaks HTTP/2"
    for name in minimal notify; do
        port=$((port + 1))
        PORT=$port "$@" "$folder/$name$suffix" >/dev/null 2>&1 &
        event=$(curl -sN --retry 30 --retry-connrefused --retry-delay 1 --max-time 60 \
            "http://localhost:$port/events" | head -c 2 || true)
        kill -9 $!
        [ -n "$event" ] || { echo "the example $name sends no event" >&2; return 1; }
        echo "the example $name sends events"
    done
}

static() {
    local release=$target/x86_64-unknown-linux-gnu/release
    compile build x86_64-unknown-linux-gnu --features tls --bins --examples
    if ! ldd "$release/sse-clock" 2>&1 | grep -E "statically linked|not a dynamic executable"; then
        echo "$release/sse-clock is not static" >&2
        return 1
    fi
    examples "$release/sse-clock" "$release/examples" "" env
}

arm64() {
    local release=$target/aarch64-unknown-linux-gnu/release
    compile build aarch64-unknown-linux-gnu --features tls --bins --examples
    examples "$release/sse-clock" "$release/examples" "" qemu-aarch64
    specification "qemu-aarch64 $release/sse-clock" arm64.txt
}

windows() {
    local release=$target/x86_64-pc-windows-gnu/release tested=0
    compile build x86_64-pc-windows-gnu --features tls --bins --examples
    # The library is beside copies of the programs, so that no package can contain it.
    cp "$release"/*.exe "$release"/examples/{minimal,notify}.exe "$work"
    x86_64-w64-mingw32-gcc -O2 -shared -o "$work/bcryptprimitives.dll" "$here/process_prng.c" -ladvapi32
    local -x WINEDEBUG=-all WINEPREFIX=$work/wine
    wineboot --init >"$work/wineboot.log" 2>&1
    # The first program starts services of wine, which keep its stderr open as long as there are
    # programs. So the first program is none of a test, and runs until the end.
    wine "$work/sse-clock.exe" --port 0 >"$work/first.log" 2>&1 &
    local first=$!
    until grep -q listening "$work/first.log"; do kill -0 $first; sleep 0.1; done
    examples "$work/sse-clock.exe" "$work" .exe wine || tested=$?
    specification "wine $work/sse-clock.exe" windows.txt || tested=$?
    page "wine $work/sse-clock.exe" windows.txt || tested=$?
    kill -9 $first
    return $tested
}

# There is no linker, and no C compiler, which TLS needs.
macos() {
    compile check aarch64-apple-darwin --bins
    compile check x86_64-apple-darwin --bins
}

native() {
    local triple flags='' suffix='' lists=()
    triple=$(rustc -vV | sed -n 's/^host: //p')
    case $triple in
    *-linux-*) flags="-C target-feature=+crt-static" ;;
    *-apple-*) lists=(proc.txt macos.txt) ;;
    *-windows-*) lists=(proc.txt windows.txt windows-native.txt) suffix=.exe ;;
    esac
    local release=$target/$triple/release
    RUSTFLAGS=$flags compile build "$triple" --features tls --bins --examples
    examples "$release/sse-clock$suffix" "$release/examples" "$suffix" env
    specification "$release/sse-clock$suffix" ${lists[@]+"${lists[@]}"}
}

[ $# -gt 0 ] || set -- static arm64 windows macos
for step; do
    began=$SECONDS
    "$step"
    echo "platforms: $step took $((SECONDS - began)) s"
done
