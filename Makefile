# Two commands: `make lab` to read the course, `make test` to check everything it claims.
# Both set `.venv` up first. Choose another Python with PYTHON=..., another PyTorch with TORCH=...

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

# Tests and notebook runs: two workers, one thread each. Two thread pools on two busy cores can be
# twenty times slower than one.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
WORKERS ?= 2
NOTEBOOKS ?= $(sort $(wildcard notebooks/[0-9]*.ipynb notebooks/bugs_*.ipynb notebooks/solutions/[0-9]*.ipynb))

.PHONY: help setup lab test book check lint run train chapter outputs lock

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name words; do printf '  %-13s %s\n' "$$name" "$$words"; done

setup:  ## make .venv complete (the others call it)
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
	  for candidate in $(BIN)/python python3.13 python3.12 python3.11 python3 python; do \
	    if $$candidate -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	    then python=$$candidate; break; fi; \
	  done; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "No Python 3.11, 3.12 or 3.13 with its venv module was found. Install one (on Debian and Ubuntu:"; \
	  echo "python3 and python3-venv), or name yours: make lab PYTHON=/path/to/python3.12"; exit 1; \
	fi; \
	exec "$$python" tools/setup_env.py $(TORCH)

lab: setup  ## open the course in JupyterLab (LAB_ARGS=... goes to JupyterLab)
	@$(BIN)/course lab $(LAB_ARGS)

test: setup  ## run every test, every notebook included (PYTEST_ARGS=... goes to pytest)
	$(ONE_THREAD) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --nbval-lax --durations 15 $(PYTEST_ARGS) tests $(NOTEBOOKS)

book: setup  ## render the website from the committed notebooks
	@$(BIN)/course book

check: setup  ## say what works on this machine, and how to mend what does not
	@$(BIN)/course check

lint: setup  ## ruff over code and notebooks, mypy over the library
	$(BIN)/ruff check .
	$(BIN)/ruff format --check course_lib tests tools
	$(BIN)/mypy

run: setup  ## execute one chapter into runs/: make run NN=07 [PROFILE=cpu]
	@$(BIN)/course run $(NN) --profile $(or $(PROFILE),fast)

train: setup  ## train one model into runs/: make train NAME=... [TRAIN_ARGS=...]
	@$(BIN)/course train $(NAME) $(TRAIN_ARGS)

chapter: setup  ## start a chapter from the template: make chapter NAME=34_flow_matching
	@$(BIN)/python tools/new_chapter.py $(NAME) $(if $(TITLE),"$(TITLE)")

outputs: setup  ## execute the notebooks in place, keeping outputs and widget state
	@$(ONE_THREAD) $(BIN)/python tools/execute_notebooks.py $(NOTEBOOKS)

lock: setup  ## resolve pyproject.toml anew into requirements.lock
	@$(BIN)/python tools/lock.py
