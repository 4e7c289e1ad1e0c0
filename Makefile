# Every target sets up .venv by itself, once. `make help` lists them.
.POSIX:
.SUFFIXES:
.PHONY: help run test soak check bench lock clean

PY = .venv/bin/python
PORT ?= 8501
ARGS ?=
# Test processes at a time, more than cores, for they wait more than they compute; 0: all in one, for a debugger.
JOBS ?= 3
# A file's tests share servers and browsers, so they stay together; the files begin in the order of tests/conftest.py.
# What their assertions are turned into is kept, whatever the environment says: 16 s of computing for each process.
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
MINUTES ?= 60
CODE = opstore dashboard.py pages tests bench
LOCK = uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--custom-compile-command "make lock"

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /make \1	/' | expand -t 14

run: ## start opstore: make run, or make run PORT=8600
	@.ci/setup.sh requirements.txt
	@PORT=$(PORT) exec $(PY) -m opstore serve $(ARGS)

test: ## run the tests: make test, or make test ARGS="tests/test_store.py -x" JOBS=0
	@.ci/setup.sh requirements.txt tests/requirements.txt
	@$(PYTEST) $(ARGS)

soak: ## random runs for an hour, sweeps and all dear tests: make soak, or make soak MINUTES=20 ARGS="--seed 1"
	@.ci/setup.sh requirements.txt tests/requirements.txt
	@$(PYTEST) -m soak --soak $(MINUTES) -rP $(ARGS)

check: ## format, lint, types, import rules
	@.ci/setup.sh requirements.txt tests/requirements.txt
	@echo "check: format" && $(PY) -m ruff format --check $$(ls -d $(CODE) 2>/dev/null)
	@echo "check: lint" && $(PY) -m ruff check --quiet $$(ls -d $(CODE) 2>/dev/null)
	@echo "check: types" && $(PY) -m mypy $$(ls -d $(CODE) 2>/dev/null)
	@echo "check: front end" && .ci/front.sh
	@echo "check: import rules" && $(PY) -m pytest -q tests/test_imports.py tests/test_paths.py

bench: ## measure, and print the table
	@.ci/setup.sh requirements.txt tests/requirements.txt
	@$(PY) -m bench $(ARGS)

lock: ## pin the newest releases that pyproject.toml allows: make lock, or make lock ARGS=--upgrade
	@.ci/setup.sh requirements.txt tests/requirements.txt
	@PATH="$$PATH:.venv/bin" && $(LOCK) $(ARGS) pyproject.toml --output-file requirements.txt
	@PATH="$$PATH:.venv/bin" && $(LOCK) $(ARGS) --group dev --constraints requirements.txt --output-file tests/requirements.txt

clean: ## remove .venv and every cache; data/ stays
	rm -rf .venv tests/front/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
