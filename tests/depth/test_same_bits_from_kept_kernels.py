"""Kernels that are kept on disk give the bits of the process that compiled them: one seed, one result, on every run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FILL = """
import hashlib
import numpy as np
import torch

from scene_depth.cameras import camera_from_fov
from scene_depth.color.exemplar.inpainter import ExemplarInpainter
from scene_depth.depth.solver import SolverInpainter

rng = np.random.default_rng(3)
y, x = np.mgrid[:72, :96].astype(np.float32)
depth = np.where(x < 50 + 10 * np.sin(y / 9), 2 + y / 60, 4 - x / 80) + rng.normal(0, 0.01, (72, 96))
rgb = np.clip(np.stack([depth / 5, x % 8 / 8, y % 8 / 8], axis=-1) + rng.normal(0, 0.03, (72, 96, 3)), 0, 1).astype(np.float32)
hole = (abs(x - 46) < 16) & (abs(y - 40) < 15)
camera = camera_from_fov(torch.eye(4), 1.0, 96, 72)
filled = SolverInpainter(threads=1)(rgb, np.where(hole, 0, depth), ~hole)
colour = ExemplarInpainter()(rgb, hole, depth=filled.depth, camera=camera)
print(*(hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest() for part in (filled.depth, filled.uncertainty, colour)))
"""


@pytest.mark.slow
def test_the_first_run_and_the_second_give_the_same_bits(tmp_path: Path) -> None:
    own = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", FILL], capture_output=True, text=True, check=True, env=own).stdout for _ in range(2)
    ]
    assert len(runs[0].split()) == 3
    assert runs[0] == runs[1]
