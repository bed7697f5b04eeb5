"""Benchmarks, each a module that is run: ``python -m benchmarks.NAME``."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the program does, before numpy is imported
