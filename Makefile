# Three lanes: `check` (under a minute), `test` (what CI and the README call), `nightly` (everything).
# `conformance` is the product's main job on its own reference balancer.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest -p no:cacheprovider
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: conformance check lint fast test nightly bench certify golden matrix soak verdicts prerequisites engine clean

conformance: $(STAMP)
	$(BIN)/pytest --lb-target=reference -n 4

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --editable '.[dev]'
	touch $@

prerequisites:
	@tools/prerequisites

engine:
	@tools/prerequisites --engine

lint: $(STAMP)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache | tail -n 5

check: $(STAMP)
	@$(MAKE) --no-print-directory --output-sync -j 2 lint fast
	@echo "left out: tests marked slow (real balancers, browser, processes, whole batteries), see 'make test'"

fast: $(STAMP)
	$(PYTEST) -q -n 2 -m "not slow" tests

test: prerequisites $(STAMP) lint
	$(PYTEST) -n 2 -q --durations=5 -m "not nightly" --ignore=tests/e2e tests
	$(PYTEST) --durations=5 -m "not nightly" tests/e2e
	@echo "left out: containers, the extended level of products, repeated runs, all pairs of checks and defects, see 'make nightly'"

nightly: engine $(STAMP) lint
	$(PYTEST) -n 2 -q --ignore=tests/e2e tests
	for round in 1 2 3; do $(PYTEST) tests/e2e || exit 1; done
	$(MAKE) matrix bench
	@echo "left out: nothing"

matrix: $(STAMP)
	$(BIN)/python -m tests.matrix

verdicts: $(STAMP)
	$(BIN)/python -m tests.figures

# False alarms: goes on where it was left; some hours for all of it.
SEEDS ?= 1000
ROUNDS ?= 20
soak: prerequisites $(STAMP)
	$(BIN)/python -m tests.soak --seeds=$(SEEDS) --rounds=$(ROUNDS)

bench: prerequisites $(STAMP)
	$(BIN)/python -m bench

# The table of docs/balancers.md: every outcome that is another than the committed one is told.
certify: prerequisites $(STAMP)
	$(BIN)/lbcheck certify reference haproxy nginx envoy caddy httpd -n 4 --expected docs/outcomes.yaml

golden: $(STAMP)
	$(BIN)/python -m tests.targets.golden

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
