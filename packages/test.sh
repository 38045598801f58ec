#!/usr/bin/env bash
# Tests the packages that packages/build.sh has built, for Linux x86-64: `make packages-test` runs
# this script.
set -euo pipefail
cd "$(dirname "$0")/.."
. packages/compile.sh

for kind in npm python container; do
    began=$SECONDS
    "packages/$kind/test/test.sh" "$target/packages"
    echo "packages: the tests of $kind took $((SECONDS - began)) s"
done
packages/test-readme.sh "$target/packages"
