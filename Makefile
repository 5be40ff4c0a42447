# `make demo` plays the main job, `make test` passes the tests; both set up everything first.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= auto

.PHONY: help demo test lint format clean

help:
	@echo "make demo    play the main job in a throw-away repository"
	@echo "make test    run the tests"
	@echo "make lint    formatter, linter, strict types"
	@echo "make clean   remove the virtual environment and caches"

demo: $(VENV)/installed
	@$(VENV)/bin/planlock demo

test: $(VENV)/installed-dev
	@$(VENV)/bin/python -m pytest -q -n $(JOBS)

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff format --check runner tests
	$(VENV)/bin/ruff check runner tests
	$(VENV)/bin/mypy

format: $(VENV)/installed-dev
	$(VENV)/bin/ruff format runner tests
	$(VENV)/bin/ruff check --fix runner tests

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "planlock needs Python 3.11 or newer; set PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/installed: $(VENV)/bin/python pyproject.toml .ci/constraints.txt
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check -c .ci/constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml .ci/constraints.txt
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
