"""Peak memory of a block of code in this process."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Context manager: how much resident memory the block needed on top of what was in use when it began.

    Linux can reset its high-water mark, so every block is measured by itself. Elsewhere the mark only rises over the life of the
    process, and a block that stays below an earlier one shows 0. Memory that the allocator kept from what ran before is in use.

    Attributes:
        megabytes: The peak on top of the start, in MiB; None on systems that do not tell.
    """

    def __init__(self) -> None:
        self.megabytes: float | None = None
        self._start: float | None = None

    def __enter__(self) -> PeakMemory:
        try:
            _RESET.write_text("5")  # sets VmHWM to the present use
        except OSError:
            self._start = _high_water_mark()
        else:
            self._start = _status("VmRSS")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        end = _high_water_mark()
        if self._start is not None and end is not None:
            self.megabytes = max(0.0, end - self._start)


def _high_water_mark() -> float | None:
    mark = _status("VmHWM")
    if mark is not None:
        return mark
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _status(field: str) -> float | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(field + ":")]
    return int(found[0]) / 2**10 if found else None
