#!/usr/bin/env bash
# Builds the packages for people without Rust into target/packages: `build.sh PLATFORM...`, for
# linux-x64, linux-arm64, win32-x64, darwin-x64 or darwin-arm64. `make packages` runs this script.
set -euo pipefail
cd "$(dirname "$0")/.."
. packages/compile.sh
out=$target/packages
rm -rf "$out"
mkdir -p "$out"
version=$(cargo pkgid)
version=${version##*[#@]}
programs=()

for platform; do
    program=sse-clock
    case $platform in
    linux-x64) triple=x86_64-unknown-linux-gnu ;;
    linux-arm64) triple=aarch64-unknown-linux-gnu ;;
    win32-x64) triple=x86_64-pc-windows-gnu program=sse-clock.exe ;;
    darwin-x64) triple=x86_64-apple-darwin ;;
    darwin-arm64) triple=aarch64-apple-darwin ;;
    *)
        echo "no packages are known for the platform $platform" >&2
        exit 1
        ;;
    esac
    compile build "$triple" --features tls --bin sse-clock
    program=$target/$triple/release/$program
    programs+=("$platform=$program")
    for_target "$triple" packages/python/build.sh "$platform" "$triple" "$out"
    if [ "$platform" = linux-x64 ]; then packages/container/build.sh "$program" "$out"; fi
done
node packages/npm/build.mjs "$out" "$version" "${programs[@]}"
ls -l "$out"
