#!/bin/sh
# Every check and every test, in the order in which they cost; the last line is pytest's summary.
# Arguments go to pytest. Needs tools/setup.sh tests to have run.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin
export CI=true
# Node for the page's own tests, where tools/setup.sh had to fetch one.
[ -x .tools/uv/bin/node ] && PATH="$PWD/.tools/uv/bin:$PATH" && export PATH
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME 2>/dev/null || true

step() {
    name=$1; shift; log=$(mktemp)
    if "$@" >"$log" 2>&1; then echo "ok      $name"; rm -f "$log"
    else code=$?; echo "FAILED  $name: $*"; cat "$log"; rm -f "$log"; exit "$code"; fi
}

wheel() {  # built once, and used where nothing else of this folder can be seen
    rm -rf reports/wheel && mkdir -p reports/wheel
    .tools/uv/bin/uv build -q --wheel --out-dir reports/wheel
    .tools/uv/bin/uv venv -q --python "$bin/python" reports/wheel/venv
    .tools/uv/bin/uv pip install -q --python reports/wheel/venv/bin/python reports/wheel/*.whl
    reports/wheel/venv/bin/python -I tools/release_use.py
}

sh tools/check.sh
step "wheel in a clean environment" wheel
step "reference pages are fresh" $bin/python tools/gen_docs.py --check
step "documentation" sh tools/docs.sh

# Three workers for two cores: two rows of slow tests mostly wait, the third one computes.
exec $bin/python -m pytest -n 3 --dist loadgroup "$@"
