#!/usr/bin/env bash
# Builds the wheel of a platform: `build.sh PLATFORM TRIPLE OUT`. packages/build.sh calls this script
# with cargo's environment for the target. maturin runs cargo once more, which finds the program built.
set -euo pipefail
platform=$1 triple=$2 out=$(realpath -m "$3")
cd "$(dirname "$0")"
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-../../target}")
export CARGO_TARGET_DIR
maturin=$CARGO_TARGET_DIR/maturin-venv

case $platform in
linux-*) tag=manylinux2014 ;;
*) tag=pypi ;;
esac
if [ requirements.txt -nt "$maturin/installed" ]; then
    python3 -m venv --clear "$maturin"
    "$maturin/bin/python" -m pip install --quiet --requirement requirements.txt
    touch "$maturin/installed"
fi
"$maturin/bin/maturin" build --release --target "$triple" --compatibility "$tag" --out "$out"
