#!/usr/bin/env bash
# Tests the wheel in OUT in empty folders: `test.sh OUT`. Other packages come from PyPI. The variable
# PYTHONS lists the Pythons to test with; without it, python3.
set -euo pipefail
out=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
unset SSE_CLOCK_BINARY PYTHONPATH

# Installs the wheel alone: `install PYTHON OPTION ...`.
install() {
    "$1" -m pip install --quiet --no-index --find-links "$out" "${@:2}" sse-clock
}

for base in ${PYTHONS:-python3}; do
    "$base" --version
    folder=$work/$(basename "$base")
    python=$folder/venv/bin/python
    "$base" -m venv "$folder/venv"
    install "$python"
    "$python" -m pip install --quiet --requirement "$here/requirements.txt"
    cp "$here"/*.py "$folder"
    (cd "$folder" && "$python" -m pytest --quiet -p no:cacheprovider test_sse_clock.py)
done

# In the last of the environments. mypy takes the types from the installed package, which has py.typed.
cd "$folder"
"$python" -m mypy --strict --cache-dir "$work/mypy" --package sse_clock
"$python" -m mypy --strict --cache-dir "$work/mypy" test_sse_clock.py
"$python" -m mypy --strict --cache-dir "$work/mypy" --python-version 3.9 typed.py

# Outside a virtual environment the program is elsewhere.
install "$python" --target target
PYTHONPATH=target "$base" -m sse_clock --version
install "$python" --prefix prefix --ignore-installed
PYTHONPATH=$(echo prefix/lib/*/site-packages) "$base" -m sse_clock --version
rm prefix/bin/sse-clock
missing=0
error=$(PYTHONPATH=$(echo prefix/lib/*/site-packages) "$base" -m sse_clock --version 2>&1) || missing=$?
case $missing:$error in
"1:error: the program sse-clock is not installed with this package"*) ;;
*) echo "a missing program ends with $missing: $error" >&2 && exit 1 ;;
esac

for process in /proc/[0-9]*; do
    case $(readlink "$process/exe" || true) in
    "$work"/*/sse-clock) echo "left behind: $process" >&2 && exit 1 ;;
    esac
done
echo "the wheel works"
