# Two commands are enough: `make demo` and `make test`. Each does all of its own set-up.
.PHONY: demo test test-slow test-gl test-browser setup lint lock clean
.DEFAULT_GOAL := help

VENV ?= .venv
PYTHON_IN_VENV = $(VENV)/bin/python
RODENT = $(VENV)/bin/rodent
STAMP = $(VENV)/.installed

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(STAMP)  ## make .venv with the locked versions

$(STAMP): requirements.lock pyproject.toml tools/setup.sh
	bash tools/setup.sh $(VENV)
	@touch $(STAMP)

demo: $(STAMP)  ## train `run`, evaluate, draw and film it; film the shipped policies, record one and report on it
	bash tools/demo.sh $(RODENT)

test: $(STAMP)  ## lint, types and the fast tests; needs no OpenGL
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy benchmarks
	$(PYTHON_IN_VENV) -m pytest -q -n auto --maxprocesses 4 --dist loadfile

test-slow: $(STAMP)  ## training, soak and shipped policies; property tests of cases that were never drawn
	$(PYTHON_IN_VENV) -m pytest -q -m "slow and not gl"
	$(PYTHON_IN_VENV) -m pytest -q -m "hypothesis and not gl and not browser" --hypothesis-profile=explore

test-gl: $(STAMP)  ## what needs OpenGL, shipped policies that see among it; installs Mesa where it may
	bash tools/install_opengl.sh
	$(PYTHON_IN_VENV) -m pytest -q -m gl

test-browser: $(STAMP)  ## what needs a browser; installs Chromium where it may
	bash tools/install_browser.sh $(PYTHON_IN_VENV)
	$(PYTHON_IN_VENV) -m pytest -q -m browser

lint: $(STAMP)  ## format and mend what can be mended
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock: $(STAMP)  ## write requirements.lock from what is installed
	bash tools/lock.sh $(VENV)

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
