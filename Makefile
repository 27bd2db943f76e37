# Cordboard's verbs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SAM := var/sam

.DEFAULT_GOAL := help
.PHONY: help setup check test interop canary demo dev bench sam deploy-check lock clean

help:  ## list the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## create .venv with the locked versions

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Cordboard needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@echo "setup: installing the locked versions into $(VENV) (about a minute)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

check: $(STAMP)  ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy runtime functions tests bench samples/functions agent_tools
	$(BIN)/lint-imports

test: $(STAMP)  ## every test that needs no program from outside
	$(BIN)/python -m pytest -n 2 -q tests --ignore=tests/interop --ignore=tests/deploy

interop: $(STAMP)  ## the tests against real SIP clients
	@bash tests/interop/install
	$(BIN)/python -m pytest -q tests/interop

canary: $(STAMP)  ## the newest cartesia-line against the tests that meet a real agent
	@bash .ci/canary

demo: $(STAMP)  ## three real calls with a cartesia-line agent; sound and timelines in out/demo/
	$(BIN)/cordboard demo --out out/demo

dev: $(STAMP)  ## edge, workers and stand-in kept running for your own phone
	$(BIN)/cordboard dev

bench: $(STAMP)  ## the simulator's speed and what a turn costs
	$(BIN)/python bench/simulator.py
	$(BIN)/python -m bench.turns

sam: $(SAM)/.installed  ## the SAM CLI in an environment of its own

$(SAM)/.installed: requirements/sam.txt
	@echo "sam: installing the locked SAM CLI into $(SAM) (331 MB, about a minute)" >&2
	@test -x $(SAM)/bin/python || $(PYTHON) -m venv $(SAM)
	@$(SAM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/sam.txt
	@touch $@

deploy-check: $(STAMP) sam  ## template.yaml is valid, builds, and what it builds takes a call
	$(BIN)/python -m pytest -q tests/deploy

lock: $(STAMP)  ## write requirements/*.txt anew
	$(BIN)/pip-compile -q --allow-unsafe --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links -o requirements/runtime.txt pyproject.toml
	$(BIN)/pip-compile -q --allow-unsafe --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --extra aws -o requirements/edge.txt pyproject.toml
	$(BIN)/pip-compile -q --allow-unsafe --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --extra dev -o requirements/dev.txt pyproject.toml
	$(BIN)/pip-compile -q --allow-unsafe --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links -o requirements/agent.txt requirements/agent.in
	$(BIN)/pip-compile -q --allow-unsafe --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links -o requirements/sam.txt requirements/sam.in

clean:  ## remove what the verbs made
	rm -rf $(VENV) out var .mypy_cache .ruff_cache .import_linter_cache .hypothesis
