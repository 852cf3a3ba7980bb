# Rushcart. `make` lists the targets.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first Python that is new enough; `make PYTHON=/path/to/python` takes another one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help install run test check format bench loadtest soak picture lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(STAMP) ## Make .venv with the locked packages (the other targets call it first)

$(STAMP): requirements-dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Rushcart needs Python 3.11 or newer; found: $$(python3 --version 2>&1)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) comes without venv. On Debian and Ubuntu, run this, then make again:"; \
		echo "  sudo apt-get install -y $$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: install ## Start everything on this machine: Postgres, Valkey, API, worker, sandbox provider
	@exec $(BIN)/rushcart run

test: install ## Run all tests on real Postgres and Valkey, and in a real browser
	@$(BIN)/python -m tests.browser
	$(BIN)/pytest -n auto --dist loadfile -rs

check: install ## Lint, types, tidy rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests/test_tidy.py

format: install ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: install ## Measure: requests/s, p50, p99 and the ratio to an echo
	$(BIN)/python -m loadtest.bench

loadtest: install ## Locust, headless: 1,000 mixed requests/s for a minute, HTML report
	$(BIN)/python -m loadtest.run

soak: install ## Ten minutes of load; memory must not grow
	$(BIN)/python -m loadtest.soak

picture: install ## Draw docs/pictures/share_page.png anew, in a browser
	RUSHCART_BROWSER=required RUSHCART_PICTURE=docs/pictures/share_page.png $(BIN)/pytest tests/groups/test_share_page_in_browser.py

lock: install ## Pin the newest allowed packages with hashes
	$(BIN)/pip-compile -q -U --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options --allow-unsafe --strip-extras -o requirements.lock pyproject.toml
	$(BIN)/pip-compile -q -U --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options --allow-unsafe --strip-extras --extra dev -o requirements-dev.lock pyproject.toml

clean: ## Remove what the other targets made (not the data in .data)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build *.egg-info
