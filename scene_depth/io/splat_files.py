"""Splats from and to any supported file, by its name and content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError
from scene_depth.io.compressed_ply import is_compressed_ply, read_compressed_ply, write_compressed_ply
from scene_depth.io.ply import read_ply, write_ply
from scene_depth.io.ply_header import read_ply_header
from scene_depth.io.splat import read_splat, write_splat
from scene_depth.io.spz import read_spz, write_spz
from scene_depth.splats import GaussianSplats

COMPRESSED = ".compressed.ply"
WRITERS = {".ply": write_ply, COMPRESSED: write_compressed_ply, ".spz": write_spz, ".splat": write_splat}
ACCEPTED = ", ".join(WRITERS)


def splat_format(path: str | os.PathLike[str]) -> str:
    """Format that a file has by its name: ".ply", ".compressed.ply", ".spz" or ".splat".

    Raises:
        InputError: If the extension is another one.
    """
    name = Path(path).name.lower()
    found = next((extension for extension in (COMPRESSED, *WRITERS) if name.endswith(extension)), None)
    if found is None:
        raise InputError("extension", repr(Path(path).suffix), ACCEPTED, file=path)
    return found


def read_splats(path: str | os.PathLike[str], *, axes: str | None = None) -> GaussianSplats:
    """Reads splats; a packed .ply is told from an ordinary one by its header.

    Args:
        path: A .ply, .compressed.ply, .spz or .splat file.
        axes: For .spz, the axes that the file holds (see ``read_spz``); None for what it declares.

    Raises:
        InputError: If the extension is unknown, or if the file cannot be read as what it is called.

    Example:
        >>> import scene_depth as sd
        >>> sd.read_splats("scenes/table/splats.spz").sh_degree
        3
    """
    kind = splat_format(path)
    if kind == ".spz":
        return read_spz(path, axes=axes)
    if axes is not None:
        raise InputError("axes", f"{axes!r} for a {kind} file", "no axes, as only .spz files have a choice of them", file=path)
    if kind == ".splat":
        return read_splat(path)
    return read_compressed_ply(path) if is_compressed_ply(read_ply_header(path)) else read_ply(path)


def splats_beside(scene: str | os.PathLike[str] | None) -> Path | None:
    """The trained splats that lie with a scene: ``splats`` with any extension that is read, in its folder.

    Args:
        scene: Folder of a scene, or a file in it; None for a scene that was never a file.

    Returns:
        The file, a .ply before others; None if there is none.
    """
    if scene is None:
        return None
    folder = Path(scene) if Path(scene).is_dir() else Path(scene).parent
    files = (folder / f"splats{extension}" for extension in WRITERS)
    return next((file for file in files if file.is_file()), None)


def write_splats(
    path: str | os.PathLike[str],
    splats: GaussianSplats,
    *,
    inputs: tuple[str | os.PathLike[str], ...] = (),
    **options: Any,
) -> None:
    """Writes splats in the format that the name says; ``lost_in`` tells what that format cannot hold.

    Args:
        path: A .ply, .compressed.ply, .spz or .splat file.
        splats: What to write.
        inputs: Files that the splats were read from; writing over one of them is refused.
        **options: For .spz: ``version``, ``axes``, ``fraction_bits``, ``sh_bits`` (see ``write_spz``).

    Raises:
        InputError: If the extension is unknown, an option is not one of the format, the splats cannot be expressed, or
            the file cannot be written.

    Example:
        >>> import tempfile
        >>> import scene_depth as sd
        >>> splats = sd.read_splats("scenes/table/splats.spz")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sd.write_splats(f"{folder}/table.ply", splats)
        ...     len(sd.read_splats(f"{folder}/table.ply")) == len(splats)
        True
    """
    kind = splat_format(path)
    if kind == ".spz":
        write_spz(path, splats, inputs=inputs, **options)
    elif options:
        raise InputError("options", f"{', '.join(options)} for a {kind} file", "none, as only .spz has options", file=path)
    else:
        WRITERS[kind](path, splats, inputs=inputs)


def lost_in(kind: str, splats: GaussianSplats) -> list[str]:
    """What writing splats in a format loses beyond the precision of its numbers, one sentence each.

    Args:
        kind: One of the formats of ``splat_format``.
        splats: What is to be written.
    """
    lost = []
    if kind != ".ply" and splats.extra:
        lost.append(f"{kind} has no place for the extra properties {', '.join(splats.extra)}")
    if kind == ".splat" and splats.sh_degree and bool(splats.sh[:, 1:].any()):
        lost.append(f"{kind} holds base colours only: spherical harmonics of degree 1 to {splats.sh_degree} are dropped")
    if kind == ".splat" and splats.antialiased:
        lost.append(f"{kind} cannot say that the splats were trained for the antialiased renderer")
    for name, values, low, high in _ranges(kind, splats):
        if count := int(((values < low) | (values > high)).sum()):
            lost.append(f"{count} of {values.numel()} values of {name} lie outside [{low:.3g}, {high:.3g}] and are cut off")
    return lost


def _ranges(kind: str, splats: GaussianSplats) -> list[tuple[str, Any, float, float]]:
    """Values that a format cuts off, with its range widened by half a step."""
    if kind == ".spz":
        ranges = [("log_scales", splats.log_scales, -10 - 1 / 32, 255 / 16 - 10 + 1 / 32)]
        ranges.append(("base colour coefficients", splats.sh[:, 0], -0.5 / 0.15 - 0.014, 0.5 / 0.15 + 0.014))
        return [*ranges, ("higher SH coefficients", splats.sh[:, 1:], -1.0, 1.0)]
    if kind == COMPRESSED:
        return [("log_scales", splats.log_scales, -20.0, 20.0), ("higher SH coefficients", splats.sh[:, 1:], -4.0, 4.0)]
    if kind == ".splat":
        return [("base colours", splats.base_colors, -0.5 / 255, 1 + 0.5 / 255)]
    return []
