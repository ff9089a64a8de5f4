# make demo   create .venv, upscale the clip in examples/, say where the result and the before/after picture are
# make test   create .venv, run the whole test suite
# make check  lint, formatting, types
# make site   the documentation as a site, in build/site
#
# Everything is installed into .venv from the package index, with the exact versions of constraints.txt.
# Another Python: make test PYTHON=python3.12. A CUDA build of torch: see docs/install.md.

PYTHON ?= python3
JOBS ?= 2
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# pip also builds the package itself in an environment of its own; the constraint holds there too.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
TORCH := torch==2.13.0

.PHONY: all demo test check lint types format install dev site clean
.DELETE_ON_ERROR:

all: check test

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "Limpid needs Python 3.11, 3.12 or 3.13; $(PYTHON) is another one. Name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
	  || { echo "$(PYTHON) cannot create environments; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# Repeated runs do nothing here until pyproject.toml or constraints.txt change.
$(VENV)/.core: $(VENV)/.created pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet $(TORCH) -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet $(TORCH) -c constraints.txt -e '.[dev]'
	@touch $@

install: $(VENV)/.core
dev: $(VENV)/.dev

demo: $(VENV)/.core
	@$(BIN)/python examples/demo.py --output build/demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --durations=15 $(PYTEST_ARGS)

check: lint types

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# Without torch: a few seconds on a new machine. A warning is an error.
site: $(VENV)/.created
	$(BIN)/python -m pip install --quiet zensical -c constraints.txt
	$(BIN)/zensical build --strict --clean

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
