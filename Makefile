# The door for people who work on Chapiteau: every target is one command. CONTRIBUTING.md says more.
.PHONY: setup demo check test coverage test-matrix docs bench fix changelog release ci
.DEFAULT_GOAL := help
.SILENT:
DEMO ?= stay

help:
	grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 13

setup: ## make .venv with everything (Debian packages for tests included)
	sh tools/setup.sh tests

demo: ## set up, show the whole idea on real data in three minutes, run on until Ctrl-C
	sh tools/setup.sh && exec .venv/bin/python tools/demo.py $(DEMO)

check: ## format, lint, contracts, sizes, types: a minute
	sh tools/setup.sh && sh tools/check.sh

test: ## set up, then every check and every test: what CI runs
	sh tools/setup.sh tests && sh tools/test.sh $(TESTS)

coverage: ## how much of what decides the fast tests run: core whole, the rest 90 %
	sh tools/setup.sh tests && exec sh tools/coverage.sh $(TESTS)

test-matrix: ## the fast tests on each Python found here, and on the oldest dependencies allowed
	sh tools/setup.sh && exec sh tools/matrix.sh $(TESTS)

docs: ## the documentation, into docs/_build/html
	sh tools/setup.sh && .venv/bin/python tools/gen_docs.py && sh tools/docs.sh

bench: ## comparisons with others, as ratios (bench/README.md)
	sh tools/setup.sh tests && exec sh bench/run.sh

fix: ## format, and repair what ruff can
	sh tools/setup.sh && .venv/bin/ruff format -q . && .venv/bin/ruff check -q --fix .

changelog: ## CHANGELOG.md from changes/, for the version in pyproject.toml
	sh tools/setup.sh && .venv/bin/towncrier build --yes --version "$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)"

release: ## all that goes to PyPI into dist/, built twice, and proved: wheels for each platform, sdist
	sh tools/setup.sh && exec .venv/bin/python tools/release.py

ci: test
