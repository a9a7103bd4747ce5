#!/bin/sh
# Makes a release: CHANGELOG.md from changes/, then the wheel and the sdist in dist/.
# The version comes from pyproject.toml. Commits and tags nothing: look at it, then do so.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

git diff --quiet HEAD || { echo "release: commit or put aside what you have changed first" >&2; exit 1; }
.venv/bin/towncrier build --yes --version "$version"
rm -rf dist
.tools/uv/bin/uv build -q --out-dir dist
ls dist
echo "now: git commit -am 'Release $version' && git tag v$version"
