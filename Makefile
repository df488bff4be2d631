# Needs GNU make and Python >= 3.11; all else is installed into .venv.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# Files of tests run in as many processes as there are cores; each process has a Ray of its own.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help search test test-slow test-all test-long check clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

search: $(VENV)/installed ## Run an architecture search; ARGS="--seed 1" passes arguments on.
	$(BIN)/archsearch run $(ARGS)

test: check ## Check style, types and imports, and run the tests of each day; ARGS goes to pytest.
	$(PYTEST) $(ARGS)

test-slow: $(VENV)/installed-dev ## Run what `test` leaves out, but the tests that take an hour together.
	$(PYTEST) -m "slow and not long" $(ARGS)

test-all: check ## As `test` and `test-slow` together.
	$(PYTEST) -m "not long" $(ARGS)

test-long: check ## All tests; those marked long take more than an hour.
	$(PYTEST) -m "long or not long" $(ARGS)

check: $(VENV)/installed-dev ## Check style, types and imports only.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## Remove the environment, builds and caches; results in runs/ and mlflow.db stay.
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV); the first time this takes some minutes."
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV); the first time this takes some minutes."
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/installed
