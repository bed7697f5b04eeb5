# Two commands are enough on a machine that has Python 3.10 to 3.13 and make:
#   make demo    see it run
#   make test    style, types and all tests
# Everything is installed into $(VENV); nothing else is touched.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export SCENE_DEPTH_NERFSTUDIO := $(abspath $(VENV)/nerfstudio)
export SCENE_DEPTH_NODE := $(abspath $(VENV)/node)

.PHONY: demo test style format bench fuzz scenes clean

demo: $(VENV)/.core
	$(BIN)/scene-depth demo --output out/demo $(if $(HEADLESS),--headless)

test: style
	$(BIN)/python -m pytest -q --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.rasterizer

fuzz: $(VENV)/.dev
	$(BIN)/python tests/fuzz/harness.py --inputs 100000 $(ARGS)

scenes: $(VENV)/.core
	$(BIN)/scene-depth scenes make all --output scenes

clean:
	rm -rf $(VENV) out build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "scene_depth needs Python 3.10 to 3.13; name one with: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "this Python has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e ".[viewer]"
	@touch $@

# Beside the package and its tools: the programs that tests compare with. nerfstudio and the versions it pins (viser 0.2.7,
# gsplat 1.4) stand apart, in a folder that a process of its own looks in first; torch and the rest are the environment's.
# Tests of the npm program skip, and say so, on a machine without npm.
$(VENV)/.dev: $(VENV)/.core requirements-nerfstudio.txt
	$(PIP) install -c constraints.txt -e ".[dev]"
	$(PIP) install --no-deps --upgrade --target $(VENV)/nerfstudio -r requirements-nerfstudio.txt
	@if command -v npm >/dev/null; then npm install --silent --no-fund --no-audit --prefix $(VENV)/node @playcanvas/splat-transform@3.7.0; fi
	@touch $@
