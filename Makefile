# Two commands are enough on a machine that has Python 3.10 to 3.13 and make:
#   make demo    see it run
#   make test    style, types and all tests
# Beside them, before a release:
#   make docs         the documentation, into out/docs; NOTEBOOKS=auto runs the notebooks for it, which takes minutes
#   make test-lowest  the core's tests with the lowest versions that pyproject.toml allows, on Python 3.10 or 3.11
#   make test-wheel   wheel and sdist into dist; the wheel in an environment of its own, with nothing but what it needs
# Everything is installed into $(VENV); nothing else is touched.

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
INSTALL := -m pip --disable-pip-version-check --quiet install
PIP := $(BIN)/python $(INSTALL)
LOWEST := $(VENV)/lowest
LOWEST_TESTS := io cli/test_app.py cli/test_complete.py cli/test_convert.py cli/test_fit_command.py rendering fitting depth/test_solver.py \
	depth/test_inpaint.py depth/test_classical.py test_cameras.py test_scene.py test_splats.py
CLEAN := $(abspath $(VENV)/wheel)
# Byte code is written, or every process would compile every module anew.
export PYTHONDONTWRITEBYTECODE :=
export SCENE_DEPTH_NERFSTUDIO := $(abspath $(VENV)/nerfstudio)
export SCENE_DEPTH_NODE := $(abspath $(VENV)/node)

.PHONY: demo test docs test-lowest test-wheel style format bench fuzz scenes clean

demo: $(VENV)/.core
	$(BIN)/scene-depth demo --output out/demo $(if $(HEADLESS),--headless)

test: style
	$(BIN)/python -m pytest -q --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

# nerfstudio pins versions of its own: there is none in this folder, and its tests skip.
test-lowest: export SCENE_DEPTH_NERFSTUDIO := $(abspath $(LOWEST)/nerfstudio)
test-lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/python -m pytest -q --numprocesses auto --dist loadfile $(addprefix tests/,$(LOWEST_TESTS)) $(ARGS)

test-wheel: $(VENV)/.dev
	rm -rf dist $(CLEAN)
	$(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv $(CLEAN)
	$(CLEAN)/bin/python $(INSTALL) -c $(CONSTRAINTS) dist/*.whl
	$(CLEAN)/bin/python -m pip check
	mkdir $(CLEAN)/empty
	cd $(CLEAN)/empty && ../bin/scene-depth --help && ../bin/scene-depth demo --headless && test -s out/demo/healed.ply && ../bin/scene-depth notebooks books

docs: $(VENV)/.dev
	SCENE_DEPTH_NOTEBOOKS=$(or $(NOTEBOOKS),off) $(BIN)/python -m sphinx -W --keep-going docs out/docs

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
	rm -rf $(VENV) out build dist *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "scene_depth needs Python 3.10 to 3.13; name one with: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "this Python has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.core: $(BIN)/python pyproject.toml $(CONSTRAINTS)
	$(PIP) -c $(CONSTRAINTS) -e ".[viewer]"
	@touch $@

# Beside the package and its tools: the programs that tests compare with. nerfstudio and the versions it pins (viser 0.2.7,
# gsplat 1.4) stand apart, in a folder that a process of its own looks in first; torch and the rest are the environment's.
# Tests of the npm program skip, and say so, on a machine without npm.
$(VENV)/.dev: $(VENV)/.core requirements-nerfstudio.txt
	$(PIP) -c $(CONSTRAINTS) -e ".[dev]"
	$(PIP) --no-deps --upgrade --target $(VENV)/nerfstudio -r requirements-nerfstudio.txt
	@if command -v npm >/dev/null; then npm install --silent --no-fund --no-audit --prefix $(VENV)/node @playcanvas/splat-transform@3.7.0; fi
	@touch $@

# The tools of the tests are today's; what the package itself needs is as old as it may be.
$(LOWEST)/.ready: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python $(INSTALL) -c constraints-lowest.txt -e ".[exr,hdf5]" pytest pytest-timeout pytest-xdist hypothesis plyfile
	@touch $@
