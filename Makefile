# Everything a contributor needs; each target sets up what it lacks first. Needs git, make and, for system packages
# that are missing, root. `make setup` is idempotent and takes no time when nothing has changed.

PYTHON := .venv/bin/python
STAMP := .venv/.setup-done

.PHONY: demo test test-unprivileged test-all bench lint docs format setup clean

demo: setup
	$(PYTHON) examples/demo.py

test: setup
	$(PYTHON) -m pytest -m "not slow"

# the demo, and the tests of what runs, once more with all privileges dropped
test-unprivileged: setup
	@.ci/unprivileged $(PYTHON)

test-all: setup
	$(PYTHON) -m pytest

bench: setup
	$(PYTHON) -m bench

LINTERS := lint-style lint-format lint-mypy lint-pyright
.PHONY: $(LINTERS)
lint: $(LINTERS)
lint-style: setup
	.venv/bin/ruff check .
lint-format: setup
	.venv/bin/ruff format --check .
lint-mypy: setup
	.venv/bin/mypy
lint-pyright: setup
	.venv/bin/pyright

docs: setup
	$(PYTHON) -m tests.docs.functions_page

format: setup
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# compiled here, because the checkout may be read-only or Python told not to write bytecode when probelang starts
setup:
	@.ci/setup $(STAMP)
	@$(PYTHON) -m compileall -q probelang probelang/runtime
	@$(PYTHON) -c 'from probelang.parse.tables import compile_tables; compile_tables()'

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
