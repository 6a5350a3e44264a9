# `make help` lists what there is. Set-up happens by itself, once, and again when a lock file changes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# A process for each verb: what Python compiled once has to be there for the next one.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
STAMPS := .venv/.stamps
WORKERS ?= 2
# What needs nothing but the package set up, and no campaign.
FAST = not slow and not kubo and not geth and not spark and not page
# Anvil comes from PATH where it is installed, else from node_modules (medtoken looks there itself).
ARGS ?=

# --- set-up -------------------------------------------------------------------------------------

.PHONY: help setup setup-dev
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2} \
	  /^# --- / {gsub(/# --- | -+$$/, ""); printf "\n%s\n", $$0}' $(MAKEFILE_LIST)

setup: $(STAMPS)/demo $(STAMPS)/node $(STAMPS)/package ## Set up what the demo needs (no Ape, no linters)

setup-dev: setup $(STAMPS)/dev $(STAMPS)/ape ## Set up everything: tests, linters, Ape

$(STAMPS)/venv: requirements/bootstrap.txt
	@scripts/setup venv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/demo: $(STAMPS)/venv requirements/runtime.txt requirements/build.txt requirements/demo.txt
	@scripts/setup python runtime build demo
	@touch $@

$(STAMPS)/dev: $(STAMPS)/demo requirements/dev.txt
	@scripts/setup python dev
	@touch $@

$(STAMPS)/package: $(STAMPS)/demo pyproject.toml
	@scripts/setup package
	@touch $@

$(STAMPS)/node: $(STAMPS)/venv package.json package-lock.json
	@scripts/setup node
	@touch $@

$(STAMPS)/ape: $(STAMPS)/dev $(STAMPS)/node scripts/setup_ape.py
	@scripts/setup ape
	@touch $@

# --- daily work ---------------------------------------------------------------------------------

.PHONY: build sources deploy-gas page demo test lint format
build: setup ## Compile the contracts that changed into medtoken/artifacts
	@$(BIN)/python scripts/build_contracts.py

sources: build ## Write what explorers verify the contracts' sources with to build/sources
	@$(BIN)/python scripts/build_sources.py

deploy-gas: build setup-dev ## Measure what a deployment's transactions use, into medtoken/deploy/gas.json
	@$(BIN)/python scripts/deploy_gas.py

page: build ## Check and bundle the pages that changed into medtoken/service/static
	@$(BIN)/python scripts/build_page.py

demo: build ## Run the main job on real files with a private chain; results in build/demo
	@$(BIN)/medtoken demo --out build/demo $(ARGS)

test: build page setup-dev ## Run the fast tests (ARGS="-k name" to choose)
	@$(BIN)/pytest -n $(WORKERS) -m "$(FAST) and not e2e" --ignore tests/integration $(ARGS)

.PHONY: powers check-powers
powers: build setup-dev ## Write docs/powers.md: who may do what after a fresh deployment
	@$(BIN)/python scripts/powers_table.py

check-powers: build setup-dev ## Fail where docs/powers.md is not what a deployment gives (`make test` does, too)
	@$(BIN)/python scripts/powers_table.py --check

lint: setup-dev ## Check style, types, spelling and what is tracked
	@$(BIN)/python scripts/lint.py

.PHONY: bench-watermark
bench-watermark: setup-dev ## Measure who leaked copies name, and what marks change, into build/bench/watermark.json
	@$(BIN)/python scripts/bench_watermark.py --out build/bench/watermark.json $(ARGS)

format: setup-dev ## Format Python and Vyper in place
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .
	@$(BIN)/mamushi --quiet --line-length 100 $$(find contracts -name "*.vy" -o -name "*.vyi") || true

# --- longer work --------------------------------------------------------------------------------

.PHONY: test-all test-live test-e2e test-campaign test-ape kubo test-kubo test-spark test-page geth test-geth postgres spark bench-gas bench-store bench-meter bench-royalty bench-audit bench-checks bench-watch dist
test-all: test test-live test-e2e test-campaign test-ape test-kubo test-spark test-geth test-page ## Run every test

test-live: build setup-dev ## Run the parts on a real Anvil: deployment, keepers, audit, watch
	@$(BIN)/pytest -n $(WORKERS) -m "$(FAST)" tests/integration $(ARGS)

test-e2e: build setup-dev ## Run the command line end to end on a real node, with kills
	@$(BIN)/pytest -n $(WORKERS) -m "$(FAST) and e2e" $(ARGS)

test-campaign: build setup-dev ## Run the long campaigns (MEDTOKEN_SWEEP=all: much longer, killing at every step)
	@$(BIN)/pytest -n $(WORKERS) -m "slow and not kubo and not geth and not spark and not page" $(ARGS)

test-ape: build setup-dev ## Run the end-to-end flows through Ape
	@APE_DATA_FOLDER=$(CURDIR)/.build/ape $(BIN)/ape test tests/ape $(ARGS)

kubo: ## Find Kubo on PATH, or build it with Go into .build/bin
	@scripts/setup_kubo

spark: setup-dev ## Install Spark, and Java where there is none, for the audit's checks on it
	@scripts/setup_debian Java java default-jre-headless
	@scripts/setup python spark

postgres: ## Find PostgreSQL's server, or install it with apt, for the tests on it
	@scripts/setup_debian PostgreSQL "initdb /usr/lib/postgresql/*/bin/initdb" postgresql

test-spark: build spark ## Run the audit's checks on Spark too (Java 17), against DuckDB's results
	@MEDTOKEN_NEEDS_SPARK=1 $(BIN)/pytest -m spark $(ARGS)

test-page: build page setup-dev ## Run the pages in a real browser, on a real chain; pictures in build/page
	@# Without letters for Chinese the pictures show boxes.
	@scripts/setup_debian Chromium "chromium chromium-browser" chromium fonts-wqy-microhei
	@scripts/setup python page
	@MEDTOKEN_NEEDS_CHROMIUM=1 $(BIN)/pytest -m page $(ARGS)

test-kubo: build setup-dev kubo ## Run the tests on real IPFS daemons
	@MEDTOKEN_NEEDS_KUBO=1 $(BIN)/pytest -n $(WORKERS) -m kubo $(ARGS)

geth: ## Find geth on PATH, or build it with Go into .build/bin
	@scripts/setup_geth

test-geth: build setup-dev geth ## Run the suite on a second execution client
	@MEDTOKEN_NEEDS_GETH=1 $(BIN)/pytest -m geth $(ARGS)

bench-gas: build setup-dev ## Measure gas, ours and Ocean Protocol's, from real receipts into build/bench/gas.json
	@$(BIN)/python scripts/bench_gas.py --out build/bench/gas.json $(ARGS)

bench-store: build setup-dev kubo ## Measure sealing, CIDs, stores and key releases into build/bench/store.json
	@$(BIN)/python scripts/bench_store.py --out build/bench/store.json $(ARGS)

bench-meter: setup ## Measure the off-chain meters on one core into build/bench/meter.json
	@$(BIN)/python scripts/bench_meter.py --out build/bench/meter.json $(ARGS)

bench-royalty: build setup-dev ## Pay studies of 10, 1,000 and 1,000,000 contributors into build/bench/royalty.json
	@$(BIN)/python scripts/bench_royalty.py --out build/bench/royalty.json $(ARGS)

bench-watch: build setup-dev ## Count what the watcher misses and tells wrongly in simulated months, into build/bench/watch.json
	@$(BIN)/python scripts/bench_watch.py --out build/bench/watch.json $(ARGS)

bench-audit: build setup-dev ## Measure how fast events are read, beside web3.py, Ape and cryo, into build/bench/audit.json
	@$(BIN)/python scripts/bench_audit.py --out build/bench/audit.json $(ARGS)

bench-checks: build setup-dev ## Run every check over ten million made-up events into build/bench/checks.json
	@$(BIN)/python scripts/bench_checks.py --out build/bench/checks.json $(ARGS)

dist: build page ## Build the wheel, with the compiled contracts and the pages in it, into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls -1 dist

# --- upkeep -------------------------------------------------------------------------------------

.PHONY: lock clean clean-all
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-header
lock: $(STAMPS)/venv ## Renew the lock files (UPGRADE=--upgrade to take newer versions)
	@for name in bootstrap node dev; do \
	  echo "==> requirements/$$name.txt"; \
	  UV_SYSTEM_CERTS=true $(COMPILE) $(UPGRADE) requirements/$$name.in -o requirements/$$name.txt; done
	@for name in runtime build demo audit spark page; do \
	  echo "==> requirements/$$name.txt"; \
	  UV_SYSTEM_CERTS=true $(COMPILE) -c requirements/dev.txt requirements/$$name.in -o requirements/$$name.txt; done
	@echo "==> package-lock.json"
	@npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error

clean: ## Remove what builds and runs made
	rm -rf build dist .build contracts/.cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f medtoken/artifacts/*.json
	rm -rf medtoken/service/static

clean-all: clean ## Remove the environments too
	rm -rf .venv node_modules
