# Set-up and every command that the README names. GNU make, Python >= 3.11, nothing else.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Package and folder have one name, which setuptools warns of and which is meant.
EDITABLE := PYTHONWARNINGS="ignore:Editable installation" $(BIN)/pip install --quiet

# torch has a step of its own: with its version given pip takes the small build for processors where
# an index has one, while torch as a dependency is the newest, with gigabytes of CUDA. Where there is
# a GPU that is what one wants: then nothing pins it.
GPU := $(shell nvidia-smi >/dev/null 2>&1 && echo yes)
TORCH := $(if $(GPU),torch,$(shell grep '^torch==' constraints.txt))
PINS := .venv/constraints.txt

# Some images set it. Tests start hundreds of Pythons, and without what the first one leaves each
# would compile all of our modules: a tenth of the processor time of a short run.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint golden signatures docs bench clean-venv lock help

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: .venv/compiled  ## set up, then clean a corpus made from text on this machine
	$(BIN)/unrote demo demo --fresh

test: .venv/test-installed .venv/compiled chromium .venv/spark-classes.jsa  ## set up what tests need, and pass them all
	$(BIN)/python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder  # much of it waits

.PHONY: test-long
test-long: .venv/test-installed .venv/compiled .venv/spark-classes.jsa  ## the starts and kills of engines that make test leaves out
	$(BIN)/python -m pytest --numprocesses 2 -m long

.PHONY: crash
crash: .venv/test-installed .venv/compiled java  ## SIGKILL in every phase of every engine, and on it goes
	$(BIN)/python -m pytest tests/pipelines/test_crash.py -m "long or not long"

MINUTES ?= 60
.PHONY: fuzz
fuzz: .venv/test-installed .venv/compiled  ## damaged input of every kind, for an hour: make fuzz MINUTES=5
	$(BIN)/python -m benchmarks.hostile --minutes $(MINUTES)

.PHONY: conformance
conformance: .venv/test-installed .venv/compiled java  ## every engine on all that the conformance suite has; an hour
	$(BIN)/python -m pytest tests/conformance --full-matrix -m "long or not long"

# Beside .venv, which has the newest: only Spark itself is another one. Of old ones pyspark leaves
# sockets open, which the tests take for faults of ours unless warnings are printed only.
SPARKS ?= 3.5 4.0
.PHONY: spark-versions
spark-versions: .venv/test-installed .venv/compiled java  ## the tests of Spark with older versions of it; minutes
	@for version in $(SPARKS); do \
	  [ -d build/spark-$$version/pyspark ] || $(BIN)/python -m pip install --quiet --no-compile --target build/spark-$$version "pyspark==$$version.*" || exit 1; \
	  echo "Spark $$version"; \
	  PYTHONPATH=$(CURDIR)/build/spark-$$version:$(CURDIR) $(BIN)/python -m pytest -p no:cacheprovider -W default tests/programs/test_spark.py tests/conformance/test_spark.py -k "not Cluster" || exit 1; \
	done

lint: .venv/lint-installed  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: .venv/test-installed  ## what every stage answers, by its version
	$(BIN)/python -m tests.golden

signatures: .venv/test-installed  ## which kernels are compiled beforehand, for which types
	$(BIN)/python -m tests.kernels

docs: .venv/installed  ## what is documented from the code: settings and the example
	$(BIN)/python docs/generate.py

.PHONY: site
site: .venv/test-installed  ## the pages of docs/ as a site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

bench: .venv/bench-installed .venv/compiled  ## us beside the peers, in one run; writes benchmarks/README.md
	$(BIN)/python benchmarks/run.py

lock:  ## pin what make installs: the newest versions that pyproject.toml allows
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/lock/bin/pip install --quiet '$(TORCH)'
	build/lock/bin/pip install --quiet --editable '.[all]' --group test --group lint
	build/lock/bin/pip freeze --exclude-editable | sed '/^torch==/s/+.*//' > constraints.txt
	rm -rf build/lock

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 with venv found; install one, or name it: make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'  # the first that knows --group
	$(if $(GPU),grep -v '^torch==',cat) constraints.txt > $(PINS)
	$(BIN)/pip install --quiet --constraint $(PINS) '$(TORCH)'
	$(EDITABLE) --constraint $(PINS) --editable '.[pii,score]'
	@touch $@

# Kernels and detectors are compiled here, once, and not by the first command.
.venv/compiled: .venv/installed corpus/signatures.json $(wildcard corpus/*.py dedup/*.py memorization/text_features.py pii/*.py pii/*.toml pii/deid/*.py)
	$(BIN)/python -m unrote.corpus.compiling >/dev/null
	$(BIN)/python -m unrote.pii.compiling
	@touch $@

.venv/test-installed: .venv/installed
	$(EDITABLE) --constraint $(PINS) --editable '.[all]' --group test
	@touch $@

.venv/lint-installed: .venv/test-installed
	$(BIN)/pip install --quiet --constraint $(PINS) --group lint
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

# Spark is tested in a real Spark. JAVA_HOME says which Java, where it is set.
.PHONY: java
java:
	@java=$${JAVA_HOME:+$$JAVA_HOME/bin/}java; \
	new() { "$$java" -version 2>&1 | grep -qE 'version "(1[7-9]|[2-9][0-9])'; }; \
	new || { [ -z "$$JAVA_HOME" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless >/dev/null && new; } \
	  || { echo "Spark's tests need Java 17 or newer, and $$java is none: apt-get install openjdk-17-jre-headless, or your platform's way"; exit 1; }

.venv/spark-classes.jsa: .venv/test-installed tests/java.py tests/java_archive.py | java
	$(BIN)/python -m tests.java_archive 2>/dev/null

clean-venv:  ## drop the virtual environment
	rm -rf .venv
