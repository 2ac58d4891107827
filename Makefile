# Everything starts here: `make run` for the page, `make test` for every test, `make check` before a commit.
# `make test-fast` leaves the browser, the Qwen engine and what is slow out. `make stress` is what the service bears, in full.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
CORES = $(shell $(PYTHON) -c 'import os; print(os.cpu_count() or 1)')
# A third of the time of the fast tests is waiting for processes to start and connections to end: another one works then.
ONE_MORE = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
# Tests start hundreds of Python processes, as many at a time as there are cores: none of them has to compile our modules
# again, or to start threads for small pictures and models, which wait for a processor by turning around.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENCV_FOR_THREADS_NUM=1
TESTS := env PYTHONDONTWRITEBYTECODE= $(ONE_THREAD) $(BIN)/pytest
PINS := requirements/base.txt requirements/qwen.txt requirements/test.txt
SOURCES := src cli server web tests benchmarks scripts

.PHONY: run test test-qwen test-others test-fast stress stress-short coverage check fix types node browser pins clean

run: $(VENV)/run.stamp
	$(BIN)/llm-dit serve --port $(PORT)

# The Qwen engine has a process of its own beside the others: no other one has to import torch.
test: $(VENV)/test.stamp browser node
	npm test --silent
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-qwen test-others

test-qwen:
	$(TESTS) tests/browser/test_qwen.py tests/qwen

test-others:
	$(TESTS) --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder --ignore tests/qwen --ignore tests/browser/test_qwen.py

test-fast: $(VENV)/test.stamp node
	npm test --silent
	$(TESTS) --numprocesses $(ONE_MORE) --dist loadfile --no-loadscope-reorder -m "not slow" --ignore tests/browser --ignore tests/qwen

# Hours, on a machine that does nothing else: it holds to floors of time.
stress: $(VENV)/test.stamp
	$(BIN)/pytest tests/stress

stress-short: $(VENV)/test.stamp
	$(BIN)/pytest tests/stress -m "not long" --numprocesses $(CORES) --dist loadfile

# Lines of src, cli, server and web that tests run, services and workers included; every process begins from nothing.
coverage: $(VENV)/test.stamp browser
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(VENV)/test.stamp node
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/pyright
	$(BIN)/python -m scripts.wire_types --check
	node_modules/.bin/tsc --noEmit
	node_modules/.bin/biome check --error-on-warnings

fix: $(VENV)/test.stamp node
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	node_modules/.bin/biome check --write

# What the page's JavaScript knows of the HTTP API.
types: $(VENV)/test.stamp
	$(BIN)/python -m scripts.wire_types

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }

$(VENV)/run.stamp: pyproject.toml requirements/base.txt | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements/base.txt --editable .
	@$(BIN)/llm-dit models fetch || echo "Without its networks the classical engine tells things by color alone." >&2
	@touch $@

# torch by itself first: what comes after then takes the build that is there, and asks for no other.
$(VENV)/test.stamp: pyproject.toml $(PINS) | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS:%=--constraint %) torch
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS:%=--constraint %) --editable '.[test,dev]'
	$(BIN)/llm-dit models fetch
	@touch $@ $(VENV)/run.stamp

# The browser tests fail without a browser, so it is looked for, then installed.
browser: $(VENV)/test.stamp
	@scripts/ensure_chromium.sh $(BIN)/playwright

node: node_modules/.bin/tsc

node_modules/.bin/tsc: package.json
	@command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' || { echo "Node.js 18 or newer with npm is needed to check and test the page's JavaScript" >&2; exit 1; }
	npm install --no-package-lock --no-audit --no-fund --silent
	@touch $@

# Write today's newest versions that work together into requirements/.
pins:
	$(PYTHON) scripts/pin_requirements.py

clean:
	rm -rf $(VENV) node_modules .pytest_cache .ruff_cache .hypothesis
