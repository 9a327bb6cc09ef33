# Everything a contributor or a curious user needs; `make` alone explains itself.
.DEFAULT_GOAL := help
.PHONY: help demo test unit reliability lint format bench lock clean

PYTHON ?= python3
VENV := .venv
# Many tests wait for others; who is done with their own takes some of who is not.
SPREAD := -n 3 --dist worksteal
BIN := $(VENV)/bin
READY := $(VENV)/.ready

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements.txt controller/pyproject.toml sandbox/pyproject.toml plugins/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Trapline needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) (once; takes about a minute) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e sandbox -e plugins -e controller
	@touch $@

demo: $(READY)  ## Run the whole trapline on this machine, in a temporary home
	@$(BIN)/trapline demo

test: lint $(READY)  ## Lint, type-check and run every test this machine can run
	$(BIN)/pytest $(SPREAD)

unit: $(READY)  ## The quick tests only, without Docker and without a package index
	$(BIN)/pytest -q $(SPREAD) -m "not docker and not network" --ignore tests/e2e --ignore tests/reliability --ignore tests/bench

reliability: $(READY)  ## Kill the controller 200 times while alerts are on their way (ten minutes)
	TRAPLINE_TEST_KILLS=200 $(BIN)/pytest -s tests/reliability/test_alerts.py

lint: $(READY)  ## ruff, mypy --strict and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY)  ## Rewrite the code in the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## Print the benchmarks: ratios against named baselines, in one run
	$(BIN)/python -m tests.bench

lock: $(READY)  ## Resolve requirements.txt anew (no registry host is written into it)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-emit-find-links \
	  --no-emit-package trapline --no-emit-package trapline-sandbox --no-emit-package trapline-plugins \
	  $(LOCK_FLAGS) tests/requirements.in -o requirements.txt

clean:  ## Remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
