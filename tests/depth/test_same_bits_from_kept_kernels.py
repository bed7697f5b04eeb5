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
from scene_depth.color.exemplar.inpainter import ExemplarInpainter
from scene_depth.datasets.procedural import generate_frame
from scene_depth.depth.solver import SolverInpainter

frame = generate_frame("room", 3, 96, 72)
hole = np.zeros((72, 96), dtype=bool)
hole[25:55, 30:62] = True
filled = SolverInpainter(threads=1)(frame.rgb, np.where(hole, 0, frame.depth), ~hole & (frame.depth > 0))
colour = ExemplarInpainter()(frame.rgb, hole, depth=filled.depth, camera=frame.camera)
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
