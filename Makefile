# `make run` and `make test` need Python 3.11 or newer and nothing else; .ci/env makes the rest.
PY := .venv/bin/python
PROJECTS := pyproject.toml $(wildcard constraints.txt kernel/pyproject.toml drivers/*/pyproject.toml plugins/*/pyproject.toml)
SOURCES := $(wildcard kernel/src drivers/*/src plugins/*/src)
ARGS :=

.PHONY: help run test servers vectors bench attack chaos mutants lint types docs
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

run: .venv/.run ## start the server on 127.0.0.1:8000; make run ARGS="-port 8123 -home DIR"
	.venv/bin/bkjs web -db-create-tables $(ARGS)

test: .venv/.dev ## every test, against each real server that this machine can have; ARGS go to pytest
	$(PY) tests/run.py $(ARGS)

servers: ## fetch what tests start (tests/servers), so that a run need not
	@for name in $$(find tests/servers -type f -perm -u+x | sort); do $$name install || true; done

vectors: .venv/.dev ## only the golden vectors
	$(PY) -m pytest -m vectors $(ARGS)

bench: .venv/.bench ## ratios against raw clients and peers, ten minutes; ARGS="--only P1,D --dry" for a part
	$(PY) tests/bench/run.py $(ARGS)

attack: .venv/.dev ## attacks on a running server in full; make test has a short form of each
	BKJS_ATTACK=full $(PY) -m pytest tests/attack $(ARGS)

chaos: .venv/.dev ## kills, restarts, clients that leave, for a quarter of an hour; make test has a short form
	BKJS_CHAOS=full $(PY) tests/run.py -v tests/chaos $(ARGS)

mutants: .venv/.dev ## wrong lines in the kernel and its drivers: which do the tests not notice; ARGS="memory --every 5"
	$(PY) tests/mutants/run.py $(ARGS)

lint: .venv/.dev ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: .venv/.dev ## mypy --strict over every package
	$(PY) -m mypy $(SOURCES)

docs: .venv/.dev ## build docs/_build/html; warnings are errors
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html

.venv/.run: $(PROJECTS) .ci/env
	@.ci/env run

.venv/.bench: tests/bench/requirements.txt .venv/.dev
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -r $<
	@touch $@

.venv/.dev: $(PROJECTS) .ci/env
	@.ci/env dev
