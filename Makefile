# Set-up and every command that the README names. GNU make, Python >= 3.11, nothing else.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: demo test lint docs bench clean-venv lock help

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: .venv/installed  ## set up, then clean a corpus made from text on this machine
	$(BIN)/unrote demo demo --fresh

test: .venv/test-installed chromium  ## set up what tests need, and pass them all
	$(BIN)/python -m pytest

lint: .venv/lint-installed  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed  ## what is documented from the code: settings and the example
	$(BIN)/python docs/generate.py

bench: .venv/bench-installed  ## us beside the peers, in one run; writes benchmarks/README.md
	$(BIN)/python benchmarks/run.py

lock:  ## pin what make installs: the newest versions that pyproject.toml allows
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/lock/bin/pip install --quiet --editable . --group test --group lint
	build/lock/bin/pip freeze --exclude-editable > constraints.txt
	rm -rf build/lock

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 with venv found; install one, or name it: make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'  # the first that knows --group
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.venv/test-installed: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --group test
	@touch $@

.venv/lint-installed: .venv/test-installed
	$(BIN)/pip install --quiet --constraint constraints.txt --group lint
	@touch $@

.venv/bench-installed: .venv/test-installed
	$(BIN)/python benchmarks/peers/setup.py
	@touch $@

# The report is tested in a real browser.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	  || { echo "the report's tests need Chromium: apt-get install chromium, or your platform's way"; exit 1; }

clean-venv:  ## drop the virtual environment
	rm -rf .venv
