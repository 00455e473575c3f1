# Two commands matter: `make run` and `make test`. Both make what they need; no root, no Docker, no Redis.
# Settings reach the programs through the environment: `PORT=9000 make run` and `make run PORT=9000` do the same.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PYTEST = $(BIN)/python -m pytest -n auto --dist worksteal $(if $(SEED),--randomly-seed=$(SEED))
unexport PYTHONDONTWRITEBYTECODE # or each process of a run compiles everything anew

.DEFAULT_GOAL := help
.PHONY: help run quick test coverage lint bench swarm faults scenarios clean-data migration hooks lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## start everything on this machine (PORT=8000 WEB=1 WORKERS=1); Ctrl-C stops it
	@exec $(BIN)/tiketi up

quick: lint ## lint, types and the tests that are done soon: for while you work
	@$(PYTEST) -m 'not (slow or browser or faults or model or postgres)'

test: lint ## lint, types and the whole suite, on its own Redis and database (SEED=n: again in that order)
	@$(PYTEST)

coverage: $(READY) ## the whole suite, and which lines it runs through
	@$(PYTEST) --cov --cov-report=term:skip-covered

lint: $(READY) ## style and types only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY) ## measure the hot paths, as ratios within one run (ONLY="poll join": just these)
	@exec $(BIN)/python -m loadtest.bench $(ONLY)

swarm: $(READY) ## send a crowd and print the verdict (USERS= RATE= DURATION= HOST= EVENT= SEED= ACCOUNTS=1 LOBBY=1 ORIGIN=demo-shop ADVERSARY=macro|repeater|flooder|none)
	@exec $(BIN)/python -m loadtest

faults: $(READY) ## kill, stop, pause, fill and cut off a system of its own while a crowd uses it, by a seeded plan (SEED= RUNS=)
	@exec $(BIN)/python -m loadtest.faults

scenarios: $(READY) ## the four load scenarios with ApacheBench and wrk, beside their targets (ONLY="1 3", WEB=, WORKERS=)
	@exec $(BIN)/python -m loadtest.scenarios $(ONLY)

clean-data: $(READY) ## delete every event, place in line and reservation
	@exec $(BIN)/tiketi clean-data

migration: $(READY) ## write the unreleased product's only migration anew, after a change of app/ledger/tables
	@$(BIN)/python -m app.ledger.migrations.make

hooks: $(READY) ## before each commit, run what `make lint` runs
	@$(BIN)/pre-commit install

lock: $(READY) ## choose all dependency versions anew and write constraints.txt
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
		--no-emit-index-url --no-header pyproject.toml -o constraints.txt

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Tiketi needs Python 3.11 or newer, and $(PYTHON) is not. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making $(VENV) with the locked dependencies; this takes about a minute."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
