# book · lab · test · bench · lint · clean; each makes what it needs and leaves alone what is fresh.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
SOURCES := $(shell find _config.yml _toc.yml _static index.md chapters src -type f -not -path '*/__pycache__/*' \
             -not -path '*.egg-info/*' -not -path '*/.ipynb_checkpoints/*' 2>/dev/null)
# Two test workers share two cores: one thread each.
ONE_THREAD := OMP_NUM_THREADS=1

.PHONY: book lab test bench lint clean

book: _build/.fresh
	@echo "The book is at _build/html/index.html"

lab: $(READY)
	$(BIN)/jupyter lab --notebook-dir=. --LabApp.default_url=/lab/tree/chapters

test: $(READY)
	@$(BIN)/python tests/book/browser.py
	$(MAKE) --no-print-directory book
	$(ONE_THREAD) $(BIN)/pytest -n 2 --doctest-modules --ignore tests/book src tests
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist loadfile --nbval-lax --nbval-current-env chapters
	$(BIN)/pytest -n 2 --dist loadgroup tests/book/test_pages.py tests/book/test_explorers.py
	$(BIN)/pytest tests/book/test_jupyterlab.py

bench: $(READY)
	$(BIN)/python benchmarks/run.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright src/dlbook
	$(BIN)/nbstripout --verify --keep-count chapters/*.ipynb

clean:
	rm -rf _build

# A build that failed must not look finished, and its warnings must come again: forget what was read.
_build/.fresh: $(READY) $(SOURCES)
	@$(BIN)/jupyter-book build . -W -n --keep-going || { rm -rf _build/.doctrees $@; exit 1; }
	@touch $@

$(READY): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) here: install Python 3.11, 3.12 or 3.13 (python.org), or name yours: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "$$($(PYTHON) --version) is not 3.11, 3.12 or 3.13: install one of these, or name it: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python has no venv: install it (on Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
