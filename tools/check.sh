#!/bin/sh
# Everything that can be said about the code without running it. Says one line per step.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin

step() {
    name=$1; shift; log=$(mktemp)
    if "$@" >"$log" 2>&1; then echo "ok      $name"; rm -f "$log"
    else code=$?; echo "FAILED  $name: $*"; cat "$log"; rm -f "$log"; exit "$code"; fi
}

step "lock file is current" .tools/uv/bin/uv lock --check --offline
step "format" $bin/ruff format --check .
step "lint" $bin/ruff check .
step "contracts" $bin/lint-imports --no-logo pyproject.toml
step "sizes and words" $bin/python tools/house.py
step "types" $bin/mypy
step "types of the public face" $bin/mypy --no-incremental tests/typing
