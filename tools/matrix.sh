#!/bin/sh
# The fast tests on every Python that we support and that is found here, then once more on the
# oldest versions of our dependencies that pyproject.toml allows. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."
top=$PWD uv=$PWD/.tools/uv/bin/uv
export CI=true CHAPITEAU_SKIP_UI=1 UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME 2>/dev/null || true
failed=""

try() {  # NAME PYTHON [OPTION OF uv sync]…: in a copy, for what is compiled lies beside the sources
    name=$1 python=$2; shift 2
    place=$top/reports/matrix/$name
    rm -rf "$place" && mkdir -p "$place/.tools"
    git ls-files -z | tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$place"
    cp -r src/chapiteau/dash/static "$place/src/chapiteau/dash/" 2>/dev/null || true
    ln -s "$top/.tools/uv" "$place/.tools/uv"
    echo "── $name: $("$python" -V)"
    (cd "$place" && UV_PROJECT_ENVIRONMENT=.venv "$uv" sync -q --python "$python" "$@" &&
        .venv/bin/python -m pytest -n 2 -q -m "not slow" $tests) || failed="$failed $name"
}

found() {  # VERSION: the interpreter on PATH or of pyenv that really is that one
    for python in "$(command -v "python$1" || true)" \
        "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        [ -x "$python" ] && [ "$("$python" -V 2>/dev/null | cut -d. -f1,2)" = "Python $1" ] &&
            echo "$python" && return
    done
    return 1
}

tests=${*:-tests}
oldest=""
for version in 3.11 3.12 3.13; do
    if python=$(found "$version"); then
        try "$version" "$python" --locked
        [ -n "$oldest" ] || oldest=$python
    else
        echo "── $version: not found, left out"
    fi
done
try lowest "$oldest" --resolution lowest-direct
[ -z "$failed" ] || { echo "FAILED on:$failed"; exit 1; }
