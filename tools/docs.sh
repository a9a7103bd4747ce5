#!/bin/sh
# The documentation with warnings as errors: what a reference page names must exist.
set -eu
cd "$(dirname "$0")/.."
exec .venv/bin/sphinx-build -q -n -W --keep-going -b html docs docs/_build/html
