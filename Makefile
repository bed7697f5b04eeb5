# Two commands are enough on a machine that has Python 3.10 to 3.12 and make:
#   make demo    see it run
#   make test    style, types and all tests
# Everything is installed into $(VENV); nothing else is touched.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export SCENE_DEPTH_PEERS := $(abspath $(VENV)/peers)
export SCENE_DEPTH_NODE := $(abspath $(VENV)/node)
export SCENE_DEPTH_VISER := $(abspath $(VENV)/viser1)

.PHONY: demo test style format bench scenes clean

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

scenes: $(VENV)/.core
	$(BIN)/scene-depth scenes make all --output scenes

clean:
	rm -rf $(VENV) out build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
		|| { echo "scene_depth needs Python 3.10 to 3.12; name one with: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "this Python has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e ".[viewer]"
	@touch $@

# Beside the package and its tools: the programs that tests and benchmarks compare with. gsplat 1.5 and viser 1 stand apart
# because nerfstudio asks for 1.4 and 0.2.7; what viser 1 needs, 0.2.7 brings. Tests of the npm program skip, and say so, on
# a machine without npm.
$(VENV)/.dev: $(VENV)/.core
	$(PIP) install -c constraints.txt -e ".[dev]"
	$(PIP) install --no-deps --upgrade --target $(VENV)/peers gsplat==1.5.3
	$(PIP) install --no-deps --upgrade --target $(VENV)/viser1 viser==1.1.1
	@if command -v npm >/dev/null; then npm install --silent --no-fund --no-audit --prefix $(VENV)/node @playcanvas/splat-transform@3.7.0; fi
	@touch $@
