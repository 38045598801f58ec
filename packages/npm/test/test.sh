#!/usr/bin/env bash
# Tests the packages from npm, for Linux x86-64: `test.sh OUT`, where OUT has the packages.
set -euo pipefail
packages=("$1"/sse-clock-[0-9]*.tgz "$1"/sse-clock-linux-x64-*.tgz)
root=$(cd "$(dirname "$0")/../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset SSE_CLOCK_BINARY RUST_LOG PORT

step() {
    local began=$SECONDS
    echo "npm: $*"
    "$@"
    echo "npm: $((SECONDS - began)) s"
}

# The packages alone, from these files alone.
mkdir "$work/alone"
cp "$root"/packages/npm/test/*.{mjs,cjs} "$work/alone"
cd "$work/alone"
step npm install --silent --offline --no-audit --no-fund --ignore-scripts "${packages[@]}"
step node esm.mjs
step node cjs.cjs
step node parents.mjs
step node npx.mjs

# Beside other people's programs. Two of these packages have a program named node. Not npm ci, which
# refuses a lock file without the packages for other systems.
cp -r "$root/packages/npm/test" "$work/beside"
cd "$work/beside"
step npm install --silent --no-audit --no-fund --no-bin-links --ignore-scripts --no-save "${packages[@]}"
oldest=node_modules/node-oldest/bin/node newest=node_modules/node-newest/bin/node
step "$oldest" esm.mjs
step "$oldest" cjs.cjs
step "$newest" esm.mjs
step "$newest" cjs.cjs
step "$newest" node_modules/typescript/bin/tsc --strict --noEmit --module nodenext --target es2022 types.mts types.cts
step "$newest" types.mts
step "$newest" node_modules/vitest/vitest.mjs run vitest.test.mjs
CHROMIUM=$(command -v chromium) step "$newest" node_modules/@playwright/test/cli.js test playwright.spec.mjs
step node_modules/@deno/linux-x64-glibc/deno run --allow-all deno.mjs
step "$newest" suite.mjs "$root/clients/results.json"
