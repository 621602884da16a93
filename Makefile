# Needs python3 (3.11 or newer), make and git. TORCH_INDEX may name a package index to take torch from.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUN := HF_HUB_OFFLINE=1 $(BIN)/python -m

.PHONY: install demo app test test-all test-gpu check clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) install --quiet -c constraints.txt -e ".[demo,dev]"
	touch $@

demo: install
	$(BIN)/clipcond generate "a red heart to the left of a (fox:1.3)" --candidates 8 --keep 4 --out out/demo

app: install
	$(BIN)/clipcond app

test: install
	$(RUN) pytest -n 2 -m "not slow and not gpu and not browser"

test-all: check
	$(RUN) pytest -n 2 -m "not gpu" --durations=10

test-gpu: install
	$(RUN) pytest -m gpu

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/mypy

clean:
	rm -rf out dist build .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
