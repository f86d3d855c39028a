# `make` lists what there is. A fresh machine needs Python 3.11 or newer and make, nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --retries 10 --timeout 60

SEEDS ?= 1000
NAME ?=
ARGS ?=

.PHONY: help run test check bench locust simulate fuzz drill fmt clean lock install

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP) ## Replay a day of shopping through the whole stack, then two tablets; kill hosts, count (ARGS="--limit 500 --keep")
	@$(BIN)/atrium demo tour $(ARGS)

test: $(STAMP) ## Run the tests (ARGS="-k journal")
	@$(BIN)/python -m pytest $(ARGS)

check: $(STAMP) ## Lint, format, types, floors; risky code, dependencies, secrets in files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m cluster.checks

bench: $(STAMP) ## Measure against the targets (NAME=http for one)
	@$(BIN)/python -m loadtests.bench $(NAME) $(ARGS)

locust: $(STAMP) ## Locust's users against a running `atrium up` (ARGS="-u 200" for the page, with --headless without it)
	@$(BIN)/locust -f loadtests/locustfile.py $(or $(ARGS),--headless -u 50 -r 10 -t 30s --only-summary)

simulate: $(STAMP) ## Run the runtime, then a clinic with its tablets, under simulated faults (SEEDS=10000)
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)
	@$(BIN)/python -m tests.simulation.tablets --seeds $(SEEDS) $(ARGS)

fuzz: $(STAMP) ## Ask every operation of the API's document right and wrong (ARGS="--examples 500 --seed 7 carts")
	@$(BIN)/python -W ignore -m tests.fuzz $(ARGS)

drill: $(STAMP) ## Restore a real stack to a moment, kill and suspend parts of it under load, and count
	@$(BIN)/python -m loadtests.drill $(ARGS)

fmt: $(STAMP) ## Format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean: ## Remove what was built and cached; the data folder stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: ## Write requirements.lock anew with the newest versions that pyproject.toml allows
	@$(PYTHON) cluster/lockfile.py

install: $(STAMP) ## Create .venv with exactly what requirements.lock says

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "atrium needs Python 3.11 or newer; set PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "atrium needs Python 3.11 or newer, $(PYTHON) is older; set PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "creating $(VENV)"; "$(PYTHON)" -m venv $(VENV); }
	@echo "installing $$(grep -cE '^[A-Za-z0-9]' requirements.lock) packages (once)"
	@for attempt in 1 2 3; do \
		$(PIP) install --quiet --no-deps --requirement requirements.lock && break; \
		test $$attempt -lt 3 || exit 1; \
		echo "trying again"; sleep $$((attempt * 5)); \
	done
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
