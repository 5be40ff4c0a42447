# `make demo` plays the main job, `make test` passes the tests; both set up everything first.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= auto
MUTANT_JOBS ?= 2
FUZZ_RUNS ?= 20000
# What decides whether a step may run; of plan.py only the digests.
MUTANTS ?= $(patsubst %,'runner.core.%.*',approval canonical command_line gate globs policy \
  policy_checks policy_warnings quorum risks rules) 'runner.core.plan.x_step_digests*'

.PHONY: help demo test lint format bench mutants fuzz clean

help:
	@echo "make demo     play the main job in a throw-away repository"
	@echo "make test     run the tests"
	@echo "make lint     formatter, linter, strict types"
	@echo "make bench    what steps, workspaces, plans and more cost, against the disk, git and peers"
	@echo "make mutants  change the rules in many small ways, and see which changes no test notices"
	@echo "make fuzz     try FUZZ_RUNS odd inputs on each thing that reads or shows what strangers wrote"
	@echo "make clean    remove the virtual environment and caches"

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

bench: $(VENV)/installed-dev
	@set -e; for name in startup steps workspaces peers plans scale approvals router commands; do \
	  $(VENV)/bin/python -m tests.benchmarks.$$name; done

mutants: $(VENV)/installed-mutation
	$(VENV)/bin/mutmut run --max-children $(MUTANT_JOBS) $(MUTANTS)
	@$(VENV)/bin/mutmut results | grep -v 'not checked' || echo "every mutant was killed"

fuzz: $(VENV)/installed-fuzz
	@$(VENV)/bin/python -m tests.fuzz --runs $(FUZZ_RUNS)

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

$(VENV)/installed-mutation: $(VENV)/installed-dev
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check -c .ci/constraints.txt -e '.[dev,mutation]'
	@touch $@

$(VENV)/installed-fuzz: $(VENV)/installed-dev
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check -c .ci/constraints.txt -e '.[dev,fuzz]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis mutants build dist
