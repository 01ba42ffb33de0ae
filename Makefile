# Everything a newcomer or a build machine runs. The first target that needs it sets up $(VENV) by itself:
# Python 3.10 to 3.14, wheels from PyPI in the versions of constraints.txt, no compiler.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DOCS := $(VENV)/.ready-docs
PIP := $(BIN)/python -m pip install --quiet --prefer-binary --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help quickstart test device lint web wheel addon docs constraints newest benchmark clean

help:
	@echo "make quickstart           set up, then \`kws quickstart\`: a first wake word of your own"
	@echo "make test                 every test that needs no GPU and no internet"
	@echo "make device               the wheel without extras on every other Python 3.10 to 3.14 that is here"
	@echo "make lint                 ruff and mypy"
	@echo "make web                  kws/web/vendor/: onnxruntime for browsers, which \`kws web\` copies; needs npm"
	@echo "make wheel                dist/kws-*.whl; with kws/web/vendor/ where npm is"
	@echo "make addon                dist/kws-addon/: an add-on that Home Assistant builds, with the wheel in it"
	@echo "make docs                 site/: guides, results and API reference; warnings are errors"
	@echo "make constraints          constraints.txt anew: the newest versions that pyproject.toml allows"
	@echo "make newest [TESTS=PATH]  which newest versions differ from those, and what breaks with them (hours)"
	@echo "make benchmark DATA=DIR   the table of README anew, from a folder of corpora (hours); goes on where it stopped"
	@echo "make clean                remove what the other targets wrote, but $(VENV)"

quickstart: $(READY)
	$(BIN)/kws quickstart

# Two processes of one thread each: models this small gain nothing from more threads. Tests of a file share what
# they made; files with slow tests come first.
test: $(READY)
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -m "not gpu and not network" -n 2 --dist loadfile --no-loadscope-reorder

# Those that have a name of their own on the path, and those of pyenv; one of each version.
device: $(READY)
	@for python in python3.10 python3.11 python3.12 python3.13 python3.14 $(HOME)/.pyenv/versions/3.*/bin/python3; do \
	    "$$python" -c 'import ensurepip, sys, venv; v = sys.version_info[:2]; \
	        print("%d.%d" % v, sys.executable) if (3, 10) <= v <= (3, 14) else None' 2>/dev/null; \
	done | sort -u -k1,1 | while read -r version python; do \
	    test "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = "$$version" && continue; \
	    echo "Python $$version:"; \
	    DEVICE_PYTHON="$$python" $(BIN)/python -m pytest -q -m slow -k device tests/test_packaging.py </dev/null || exit 1; \
	done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What npm fetches stays in web/node_modules; a second call asks nobody.
web:
	@command -v npm >/dev/null || { \
	    echo "make web needs npm (Debian, Ubuntu: apt-get install npm)" >&2; exit 1; }
	cd web && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --no-update-notifier
	node web/vendor.mjs

wheel: $(READY)
	rm -rf build dist
	@$(MAKE) web || if test -d kws/web/vendor; then echo "the wheel holds kws/web/vendor as it was"; else \
	    echo "the wheel goes without kws/web/vendor, and its \`kws web\` says so"; fi >&2
	$(BIN)/python -m build --wheel --no-isolation

addon: wheel
	rm -rf dist/kws-addon
	cp -R deploy/home-assistant dist/kws-addon
	cp dist/kws-*.whl constraints.txt dist/kws-addon/

docs: $(READY_DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

constraints: | $(BIN)/python
	PYTHON=$(BIN)/python .ci/constraints

newest: | $(BIN)/python
	$(BIN)/python .ci/newest.py $(TESTS)

benchmark: $(READY)
	@test -n "$(DATA)" || { echo "Which data? make benchmark DATA=DIR" >&2; exit 2; }
	$(BIN)/python -m benchmarks.study_data --data "$(DATA)" --output work/manifests $(if $(PEERS),--peers "$(PEERS)")
	$(BIN)/kws study benchmarks/keywords.yaml --root work/manifests --output work/keywords \
	    $(if $(PEERS),,--only '*-auto-*' '*-early-*' '*-scratch-*' '*-enroll-*')

clean:
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find kws data_prep export tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Made again when the dependencies change; the environment itself is kept.
$(READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV): once, some minutes (torch is large)"
	$(PIP) --upgrade pip setuptools
	$(PIP) --no-build-isolation --editable ".[all]"
	@$(PIP) --no-build-isolation --editable ".[esp]" || \
	    echo "No pymicro-wakeword for this system: models of microcontrollers, and their tests, are left out" >&2
	@touch $@

# The site alone needs no torch.
$(READY_DOCS): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --upgrade pip setuptools
	$(PIP) --no-build-isolation --editable ".[docs]"
	@touch $@

$(BIN)/python:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3.10; do \
	    $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' \
	        2>/dev/null && exec $$python -m venv $(VENV); \
	done; \
	echo "No Python 3.10 to 3.14 that can make a virtual environment (tried $(PYTHON) and python3.10 to" \
	    "python3.14). Install one (Debian, Ubuntu: apt-get install python3-venv), or name it:" \
	    "make PYTHON=/path/to/python ..." >&2; \
	exit 1
