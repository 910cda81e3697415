# The whole life of a clone: `make demo` and `make test` need only Python 3.11, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: demo test check bench fmt lock schema clean

demo: $(VENV)/.ready
	@exec $(BIN)/tickgraph demo

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

fmt: $(VENV)/.dev
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks $(NAME)

schema: $(VENV)/.ready
	@$(BIN)/tickgraph schema > graphql_schema/schema.graphql

lock:
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra demo --group build pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra demo --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock

$(VENV)/.created:
	@echo "setup: creating $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tickgraph needs Python 3.11 or newer; try: make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.ready: $(VENV)/.created requirements.lock pyproject.toml
	@echo "setup: installing Python packages"
	@$(PIP) install -q --require-hashes -r requirements.lock
	@$(PIP) install -q --no-deps --no-build-isolation --editable .
	@echo "setup: installing the embedded database"
	@$(BIN)/python -m app.embedded.install
	@touch $@

$(VENV)/.dev: $(VENV)/.ready requirements-dev.lock
	@echo "setup: installing test and check tools"
	@$(PIP) install -q --require-hashes -r requirements-dev.lock
	@touch $@

clean:
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache
