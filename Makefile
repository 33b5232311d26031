# `make demo` predicts example sequences with a base install, `make test` checks the whole project.
# Each makes its own environment from Python 3.11 or newer and pip; nothing else has to be there.

PYTHON ?= python3
WEIGHTS ?=
BUNDLED := $(wildcard zoo/pretrained/original.safetensors)

.PHONY: help demo test lint bench clean

help:
	@echo "make demo                 predict the example sequences (until weights are bundled: WEIGHTS=DeepSTARR.model.h5)"
	@echo "make test                 lint, types and tests"
	@echo "make bench                the benchmarks"
	@echo "make clean                remove the environments and what the demo made"

# without PyTorch: what `pip install deepstarr-zoo` gives
.venv-demo/installed: pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python -m pip install --quiet --upgrade -c constraints.txt -e .
	touch $@

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=python3.12')"
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade -c constraints.txt -e ".[dev]"
	touch $@

demo: .venv-demo/installed
ifeq ($(WEIGHTS)$(BUNDLED),)
	@echo "no weights are bundled yet: make demo WEIGHTS=DeepSTARR.model.h5, the published file of Zenodo record 5502060"; exit 2
endif
	@mkdir -p demo
ifneq ($(WEIGHTS),)
	.venv-demo/bin/zoo import $(WEIGHTS) -o demo/original.safetensors --overwrite
	.venv-demo/bin/zoo predict --weights demo/original.safetensors docs/example.fa
else
	.venv-demo/bin/zoo predict docs/example.fa
endif

test: lint
	.venv/bin/python -m pytest

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

bench: .venv/installed
	.venv/bin/python -m pytest benchmarks

clean:
	rm -rf .venv .venv-demo demo build
