# Start here: `make run` serves the page, `make test` runs all tests, `make check` is for before a commit.
# `make test-fast` skips the browser, the Qwen engine and slow tests. `make stress` runs all robustness tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
CORES = $(shell $(PYTHON) -c 'import os; print(os.cpu_count() or 1)')
# The fast tests wait a third of their time, for processes to start and connections to close: one more worker uses it.
ONE_MORE = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
# Tests start hundreds of Python processes, one per core at a time. They reuse compiled modules, and start no threads of
# their own, which would busy-wait for the cores.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENCV_FOR_THREADS_NUM=1
TESTS := env PYTHONDONTWRITEBYTECODE= $(ONE_THREAD) $(BIN)/pytest
PINS := requirements/base.txt requirements/qwen.txt requirements/test.txt requirements/docs.txt
TOOLS := cyclonedx-bom==7.5.0 pip-audit==2.10.1
SOURCES := src cli server web clients tests benchmarks scripts

.PHONY: run qwen test test-qwen test-others test-fast stress stress-short stress-ray coverage check fix types docs node browser pins sbom audit clean

run: $(VENV)/run.stamp
	$(BIN)/llm-dit serve --port $(PORT)

# What Qwen-Image needs, step by step: about 110 GB. A repetition continues.
qwen: $(VENV)/run.stamp
	$(BIN)/llm-dit models fetch --qwen

# One process runs the Qwen tests, so that no other process imports torch.
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

# Takes hours and needs an otherwise idle machine, because it checks times.
stress: $(VENV)/test.stamp
	$(BIN)/pytest tests/stress -m "not ray"

# Ray takes 370 MB of disk, so the other tests do without it.
stress-ray: $(VENV)/test.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS:%=--constraint %) --editable '.[ray]'
	$(BIN)/pytest tests/stress/test_ray.py -s

stress-short: $(VENV)/test.stamp
	$(BIN)/pytest tests/stress -m "not long and not ray" --numprocesses $(CORES) --dist loadfile

# Line coverage of src, cli, server and web, including services and workers. Old data is erased first.
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

# Generate the page's types of the HTTP API.
types: $(VENV)/test.stamp
	$(BIN)/python -m scripts.wire_types

# The site of the documentation, in build/site; broken links fail.
docs: $(VENV)/docs.stamp
	$(BIN)/python -m scripts.build_site

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }

$(VENV)/run.stamp: pyproject.toml requirements/base.txt | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements/base.txt --editable .
	@$(BIN)/llm-dit models fetch || echo "Without its networks the classical engine uses only colors and edges." >&2
	@touch $@

# Install torch first and alone: the next command then keeps the installed build.
$(VENV)/test.stamp: pyproject.toml $(PINS) | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS:%=--constraint %) torch
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS:%=--constraint %) --editable '.[test,dev]'
	$(BIN)/llm-dit models fetch
	@touch $@ $(VENV)/run.stamp

$(VENV)/docs.stamp: $(VENV)/run.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS:%=--constraint %) --editable '.[docs]'
	@touch $@

# Browser tests need a browser: find one, or install it.
browser: $(VENV)/test.stamp
	@scripts/ensure_chromium.sh $(BIN)/playwright

node: node_modules/.bin/tsc

node_modules/.bin/tsc: package.json
	@command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' || { echo "Node.js 18 or newer with npm is needed to check and test the page's JavaScript" >&2; exit 1; }
	npm install --no-package-lock --no-audit --no-fund --silent
	@touch $@

# The software bill of materials, in CycloneDX: dist/llm-dit.cdx.json.
sbom: $(VENV)/run.stamp $(VENV)/tools.stamp
	$(BIN)/python -m scripts.write_sbom

# Known vulnerabilities of the pinned versions; says so if no source of advisories can be reached.
audit: $(VENV)/tools.stamp
	$(VENV)/tools/bin/python -m scripts.audit

# In an environment of their own, because they are no part of what they look at.
$(VENV)/tools.stamp: Makefile | $(BIN)/pip
	@$(PYTHON) -m venv $(VENV)/tools
	$(VENV)/tools/bin/pip install --quiet --disable-pip-version-check $(TOOLS)
	@touch $@

# Write the newest compatible versions into requirements/.
pins:
	$(PYTHON) scripts/pin_requirements.py

clean:
	rm -rf $(VENV) build node_modules .pytest_cache .ruff_cache .hypothesis
