"""Time and memory of what runs on a device: a CUDA device works on after a call has returned."""

from __future__ import annotations

from types import TracebackType

import torch

from scene_depth.evaluation.depth_rows import PeakMemory


def wait_for_device() -> None:
    """Returns when everything that was given to the CUDA device is done; at once where there is none."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class PeakDeviceMemory:
    """Context manager: MiB that the block needed on top of what was in use, of the CUDA device if it used one, else resident.

    Attributes:
        megabytes: The peak on top of the start; None on systems that do not tell.
    """

    def __init__(self) -> None:
        self.megabytes: float | None = None
        self._resident, self._start = PeakMemory(), 0

    def __enter__(self) -> PeakDeviceMemory:
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self._start = torch.cuda.memory_allocated()
        self._resident.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._resident.__exit__(kind, error, trace)
        used = torch.cuda.max_memory_allocated() - self._start if torch.cuda.is_available() else 0
        self.megabytes = used / 2**20 if used > 0 else self._resident.megabytes
