"""What a file claims of its size, checked before memory is asked for.

Two things are held against a claim: the file's own length, from which no packing in use can make more than a certain multiple,
and a limit on pixels and splats that a person can raise (``scene-depth COMMAND --max-pixels N --max-splats N``).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from PIL import Image

from scene_depth.errors import InputError

DEFLATE_RATIO = 1032
"""Bytes that one byte of deflate (PNG, gzip, zip) can hold at most; LZW and run lengths stay below twice that."""
FREE_BYTES = 1 << 26
"""Claims up to this size are not worth a question."""


class OpenedFile(io.BufferedReader):
    """A file that takes memory for no more bytes than it has, however many the readers of others ask for."""

    def __init__(self, path: str | PathLike[str]):
        super().__init__(io.FileIO(path))
        self._size = Path(path).stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """At most the bytes that are left."""
        return super().read(size if size is None or size < 0 else min(size, max(self._size - self.tell(), 0)))


@dataclass(frozen=True)
class Limits:
    """Largest sizes that are read.

    Attributes:
        max_pixels: Of one picture or depth image.
        max_splats: Of one file of splats, and points of one cloud.
    """

    max_pixels: int = 180_000_000
    max_splats: int = 100_000_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise InputError(name, value, "1 or more")


_limits = ContextVar("limits", default=Limits())  # noqa: B039  # frozen


@contextmanager
def reading_limits(limits: Limits) -> Iterator[None]:
    """Reads with other limits inside the block."""
    token, pillow = _limits.set(limits), Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = limits.max_pixels  # it refuses at twice that, and warns below
    try:
        yield
    finally:
        _limits.reset(token)
        Image.MAX_IMAGE_PIXELS = pillow


def check_pixels(path: Path, width: int, height: int, bytes_each: float = 1, *, ratio: float | None = DEFLATE_RATIO) -> None:
    """Checks the size that an image's header claims.

    Args:
        path: The file.
        width, height: What it claims.
        bytes_each: Stored bytes of a pixel, unpacked.
        ratio: Unpacked bytes that a byte of the file can hold; None if its packing knows no bound.

    Raises:
        InputError: If the picture is larger than the limit, or than the file can hold.
    """
    limit, count = _limits.get().max_pixels, width * height
    if count > limit:
        accepted = f"at most {limit:,} pixels; --max-pixels {count} allows it"
        raise InputError("size", f"{width:,} x {height:,} pixels", accepted, file=path)
    _check_bytes(path, f"{width:,} x {height:,} pixels", count * bytes_each, ratio)


def check_splats(path: Path, count: int, bytes_each: float, *, ratio: float = 64) -> None:
    """Checks the number of splats or points that a header claims; arguments as of ``check_pixels``.

    Raises:
        InputError: If they are more than the limit, or than the file can hold.
    """
    limit = _limits.get().max_splats
    if count > limit:
        raise InputError("count", f"{count:,}", f"at most {limit:,}; --max-splats {count} allows it", file=path)
    if count * bytes_each > FREE_BYTES and limit == Limits().max_splats:
        _check_bytes(path, f"{count:,}", count * bytes_each, ratio)


def _check_bytes(path: Path, claim: str, needed: float, ratio: float | None) -> None:
    size = path.stat().st_size
    if ratio is not None and needed > ratio * size + 4096:
        found = f"{claim}, {needed:,.0f} bytes unpacked, in a file of {size:,} bytes"
        raise InputError("size", found, "a file that can hold what it claims; this one is damaged or cut short", file=path)
