# Needs python3 (3.11 or newer, with venv) and make; everything else is installed into .venv.
PYTHON ?= python3
RUN := .venv/bin/python
PYTEST := $(RUN) -m pytest

# With it every program would compile all of its packages anew at every start: half of the time of `make up`.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help environment up demo test test-long check bench docs pictures

help:
	@echo "make up         start everything in the sandbox; Ctrl-C stops it"
	@echo "make demo       a tour on the running system, under three minutes"
	@echo "make test       the suite, against real neighbours on loopback"
	@echo "make test-long  the slow tests: kill -9 everywhere, simulations, browser"
	@echo "make check      lint, types, layers"
	@echo "make bench      measurements, each as a ratio"
	@echo "make docs       write the generated parts of docs/"
	@echo "make pictures   take the README's pictures anew, in a browser that buys a first IP"

environment:
	@$(PYTHON) deploy/bootstrap.py

up: environment
	@exec $(RUN) -m sandbox.up

demo: environment
	@exec $(RUN) -m sandbox.demo

test: environment
	@sh deploy/install-test-packages.sh
	@$(PYTEST) -q -m "not long" tests

test-long: environment
	@sh deploy/install-test-packages.sh
	@$(PYTEST) -q -m long tests

check: environment
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@$(PYTEST) -q tests/test_layers.py

bench: environment
	@$(RUN) -m bench

docs: environment
	@$(RUN) deploy/configuration_doc.py
	@$(RUN) -m bench.decisions --write >/dev/null

pictures: environment
	@sh deploy/install-test-packages.sh
	@WARMPATH_TEST_PICTURES=docs/pictures $(PYTEST) -q tests/browser/test_first_ip.py
