# Needs python3 (3.11 or newer), make and git. TORCH_INDEX may name a package index to take torch from.
# GPU_PYTHON runs `make test-gpu`: .venv's where there is one, else python3 with the torch, transformers, diffusers,
# accelerate, jaxtyping and pytest that it has; CLIPCOND_TEST_DEVICE=cpu runs the same tests without a GPU.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
GPU_PYTHON ?= $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
BENCH := .venv-bench
RUN := HF_HUB_OFFLINE=1 $(BIN)/python -m

.PHONY: install demo app docs test test-all test-gpu test-real bench-install bench figures check clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) install --quiet -c constraints.txt -e ".[demo,dev]"
	touch $@

$(STAMP)-all: $(STAMP)
	$(PIP) install --quiet -c constraints.txt -e ".[quantization,ray]"
	touch $@

$(STAMP)-docs: $(STAMP)
	$(PIP) install --quiet -c constraints.txt -e ".[docs]"
	touch $@

demo: install
	$(BIN)/clipcond generate "a red heart to the left of a (fox:1.3)" --candidates 8 --keep 4 --out out/demo

app: install
	$(BIN)/clipcond app

# the site, in out/site; NO_MKDOCS_2_WARNING: MkDocs' own news are no warnings about these pages
docs: $(STAMP)-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

test: install
	$(RUN) pytest -n 2 -m "not slow and not gpu and not browser"

test-all: check docs $(STAMP)-all
	$(RUN) pytest -n 2 -m "not gpu" --durations=10
	CLIPCOND_TEST_DEVICE=cpu $(MAKE) test-gpu

# without the options of pyproject.toml that need packages for development, and with other versions' warnings
test-gpu:
	HF_HUB_OFFLINE=1 PYTHONPATH=.:$$PYTHONPATH $(GPU_PYTHON) -m pytest -m gpu tests/gpu -o filterwarnings=default \
		-o addopts="--import-mode=importlib --strict-markers -ra"

# on published tokenizers: REAL is a folder that holds them (see tests/real); skips without it
test-real: install
	CLIPCOND_REAL=$(abspath $(REAL)) $(RUN) pytest tests/real

# an environment of its own, with what the benchmarks race against
bench-install: $(BENCH)/.installed

$(BENCH)/.installed: pyproject.toml constraints.txt $(wildcard benchmarks/requirements*.txt)
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(BENCH)/bin/python -m pip install --quiet -c constraints.txt -e ".[ray,search,train]" compel psutil
	$(BENCH)/bin/python -m pip install --quiet --no-deps -r benchmarks/requirements.txt
	$(BENCH)/bin/python -m pip install --quiet --no-deps --target $(BENCH)/apart -r benchmarks/requirements-apart.txt
	touch $@

# on an idle machine
bench: bench-install
	HF_HUB_OFFLINE=1 $(BENCH)/bin/python -m benchmarks --json benchmarks/rows.json
	HF_HUB_OFFLINE=1 $(BENCH)/bin/python -m benchmarks.page

# Every figure, page and picture that rests on the shipped model, on an idle machine, in about two hours and a half; OPENMOJI is a folder of that
# font's pictures (weights/lab/measure/openmoji.py): without it the figures for another drawing style stay as they are.
figures: install
	$(RUN) weights.lab.measure.oracle --json weights/oracle.json
	$(RUN) weights.lab.evaluate --json weights/evaluation.json
	$(if $(OPENMOJI),$(RUN) weights.lab.measure.openmoji --folder $(OPENMOJI) --json weights/openmoji.json)
	$(RUN) benchmarks.demo --json weights/speed.json
	$(RUN) weights.lab.measure.weighting --pairs 40
	$(RUN) weights.lab.measure.reranking --prompts 28
	$(RUN) weights.lab.measure.steps
	$(RUN) weights.lab.measure.evaluating
	$(RUN) benchmarks.evaluating --json benchmarks/evaluating.json
	$(PIP) install --quiet scikit-learn
	$(RUN) weights.lab.measure.training $(if $(OPENMOJI),--openmoji $(OPENMOJI)/../..)
	$(RUN) weights.lab.card
	rm -rf out/figures
	$(BIN)/clipcond generate "a red heart to the left of a (fox:1.3)" --candidates 8 --keep 4 --out out/figures
	cp out/figures/*-grid.png docs/demo.png
	$(RUN) demos.screenshots

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/mypy

clean:
	rm -rf out dist build .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
