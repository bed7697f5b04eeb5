"""Benchmarks, each a module that is run: ``python -m benchmarks.NAME``."""

import os

from scene_depth.cli.app import QUIET_THREADS

for name, value in QUIET_THREADS.items():  # as the program does, before numpy and torch are imported
    os.environ.setdefault(name, value)
