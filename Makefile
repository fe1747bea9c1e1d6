# make run and make test need only Python >= 3.10 and make; both build and share one virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE = .venv-lock/bin/uv --no-config pip compile --quiet --universal --generate-hashes --python-version 3.10 \
	--default-index https://pypi.org/simple --custom-compile-command "make lock" $(ARGS)

.PHONY: run test lint docs test-all lock clean
.DELETE_ON_ERROR:

run: $(STAMP)
	$(BIN)/textsieve run seeds/*.txt -o out --force
	$(BIN)/textsieve explain seeds/*.txt

test: $(STAMP) lint
	$(BIN)/python -m pytest -q

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(PIP) -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "open site/index.html"

test-all:
	for v in 3.10 3.11 3.12 3.13; do $(MAKE) test PYTHON=python$$v VENV=.venv-$$v || exit 1; done

# Exactly what is in the lock files, each file checked against its SHA-256. Isolated builds would fetch what is not locked.
$(STAMP): pyproject.toml requirements/build.lock requirements/dev.lock
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements/build.lock
	$(PIP) --require-hashes --no-build-isolation -r requirements/dev.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

# Writes the lock files anew; keeps the versions that still fit. For the newest of all: make lock ARGS=--upgrade
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) requirements/build.in -o requirements/build.lock
	$(COMPILE) pyproject.toml --extra dev -c requirements/build.lock -o requirements/dev.lock

clean:
	rm -rf $(VENV) .venv-* out build dist site
