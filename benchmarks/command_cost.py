"""What a command of scene-depth costs: processor seconds and peak memory of its process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Of one run: processor seconds, and peak resident memory in 1e9 bytes."""

    seconds: float
    gigabytes: float


def cost_of(*arguments: str) -> Cost:
    """Runs ``scene-depth`` on one thread. The caller should be small: a child's peak counts from that of its parent.

    Raises:
        SystemExit: If it fails.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "scene_depth.cli.app", *arguments], env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"scene-depth {arguments[0]} ended with {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9)
