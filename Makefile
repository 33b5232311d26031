# `make demo` predicts example sequences with a base install, `make test` checks the whole project.
# Both make the environment they need from Python 3.11 or newer and pip; nothing else has to be there.

PYTHON ?= python3
INSTALL := .venv/bin/python -m pip install --quiet --no-compile -c constraints.txt

.PHONY: help demo test lint bench docs packages clean

help:
	@echo "make demo     predict the example sequences"
	@echo "make test     lint, types and tests"
	@echo "make bench    the benchmarks"
	@echo "make docs     the documentation site, in site/"
	@echo "make packages sdist and wheel, installed and tried on every Python that is here"
	@echo "make clean    remove the environment and what was built"

# Two steps of one environment: what `pip install deepstarr-zoo` gives, without PyTorch, and all that the tests need.
# The second finds the package installed and adds what its extra needs: its C files are compiled once.
# Modules are compiled when they are first imported (--no-compile): most of a large package never is.
.venv/base: pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv
	$(INSTALL) -e .
	touch $@

.venv/dev: .venv/base constraints.txt
	$(INSTALL) "deepstarr-zoo[dev]"
	touch $@

demo: .venv/base
	.venv/bin/zoo predict docs/example.fa

# Files are taken in the order of tests/conftest.py, the long ones first (--no-loadscope-reorder).
# The examples that hypothesis draws are the same in every run (its profile `ci`); `pytest` alone draws others each time.
test: lint
	.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --hypothesis-profile=ci

lint: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/dev
	.venv/bin/python -m pytest benchmarks

# It needs the network for the first installation only. To search in the pages, serve them with python -m http.server.
.venv/docs: .venv/base constraints.txt
	$(INSTALL) "deepstarr-zoo[docs]"
	touch $@

docs: .venv/docs
	.venv/bin/mkdocs build --strict

packages:
	@$(PYTHON) .ci/packages

clean:
	rm -rf .venv build site
