#!/bin/sh
# How much of what decides is run by the tests that start no process. Needs tools/setup.sh tests.
# Apart from tools/test.sh: on Python 3.11 coverage may fail to install itself in a thread that begins
# while another one does ("Cannot install a trace function while another trace function is being
# installed"), and tests of threads and processes begin many.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
export CI=true
$python -m coverage erase
$python -m pytest -n 2 -q -m "not slow" --cov --cov-report= "$@"
$python -m coverage report --include='src/chapiteau/core/*' --fail-under=100
$python -m coverage report --fail-under=90
