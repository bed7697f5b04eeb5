"""Splats from and to any supported file, by its name and content."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scene_depth.errors import InputError
from scene_depth.io.compressed_ply import is_compressed_ply, largest_chunk, read_compressed_ply, write_compressed_ply
from scene_depth.io.gltf_splats import read_gltf_splats, write_gltf_splats
from scene_depth.io.nerfstudio_run import is_nerfstudio_run, read_nerfstudio_run
from scene_depth.io.ply import read_ply, write_ply
from scene_depth.io.ply_header import read_ply_header
from scene_depth.io.scene_notes import note
from scene_depth.io.sog import META, read_sog, write_sog
from scene_depth.io.splat import read_splat, write_splat
from scene_depth.io.spz import read_spz, write_spz
from scene_depth.io.spz_streams import FRACTION_BITS, fraction_bits_for
from scene_depth.splats import GaussianSplats

COMPRESSED, RUN = ".compressed.ply", "nerfstudio run"
SOG, GLB = ".sog", ".glb"
WRITERS = {
    ".ply": write_ply,
    COMPRESSED: write_compressed_ply,
    ".spz": write_spz,
    ".splat": write_splat,
    SOG: write_sog,
    GLB: write_gltf_splats,
}
READERS = {".splat": read_splat, SOG: read_sog, GLB: read_gltf_splats}
ONLY_READ = {META: SOG, ".gltf": GLB}
ACCEPTED = ", ".join(WRITERS)
ORIGIN = re.compile(r"origin ([-+.\deE]+) ([-+.\deE]+) ([-+.\deE]+)")
ENOUGH = 100  # splats from which a range of values says how they were stored
LARGEST_LOGIT = 9.21  # of 0.9999


def splat_format(path: str | os.PathLike[str]) -> str:
    """Format that a file has by its name: ".ply", ".compressed.ply", ".spz", ".splat", ".sog" or ".glb".

    Raises:
        InputError: If the extension is another one.
    """
    name = Path(path).name.lower()
    found = next((extension for extension in (COMPRESSED, *WRITERS) if name.endswith(extension)), None)
    found = found or next((kind for end, kind in ONLY_READ.items() if name.endswith(end)), None)
    if found is None:
        raise InputError("extension", repr(Path(path).suffix), ACCEPTED, file=path)
    return found


def read_splats(path: str | os.PathLike[str], *, axes: str | None = None, double: bool = False) -> GaussianSplats:
    """Reads splats; a packed .ply is told from an ordinary one by its header.

    Opacities of exactly 0 or 1, which are infinite before the sigmoid, are bounded; opacities of a .ply that were stored
    after the sigmoid are turned back. Both are said.

    Args:
        path: A .ply, .compressed.ply, .spz, .splat, .sog, .glb or .gltf file, or the meta.json of an unpacked .sog; or a run
            of nerfstudio (its folder, ``config.yml`` or a checkpoint), whose splats come in the frame and unit of its photos.
        axes: For .spz, the axes that the file holds (see ``read_spz``); None for what it declares.
        double: Keep centres that a .ply has as doubles, and those of a run, in float64, to be moved before they are rounded.

    Raises:
        InputError: If the extension is unknown, or if the file cannot be read as what it is called.

    Example:
        >>> import scene_depth as sd
        >>> sd.read_splats("scenes/table/splats.spz").sh_degree
        3
    """
    kind = RUN if is_nerfstudio_run(path) else splat_format(path)
    if kind == ".spz":
        return read_spz(path, axes=axes)
    if axes is not None:
        raise InputError("axes", f"{axes!r} for a {kind} file", "no axes, as only .spz files have a choice of them", file=path)
    if kind == RUN:
        return read_nerfstudio_run(path).splats(double=double)
    if kind in READERS:
        return READERS[kind](path)
    if is_compressed_ply(read_ply_header(path)):
        return read_compressed_ply(path)
    return _with_usable_opacities(read_ply(path, double=double), path)


def _with_usable_opacities(splats: GaussianSplats, path: str | os.PathLike[str]) -> GaussianSplats:
    logits = splats.logit_opacities
    if len(splats) >= ENOUGH and bool(((logits >= 0) & (logits <= 1)).all()) and logits.min() < 0.1 and logits.max() > 0.9:
        note(path, "opacities lie within 0 to 1, as stored after the sigmoid: their logits were taken")
        return replace(splats, logit_opacities=logits.logit(eps=1e-4))
    if count := int(torch.isinf(logits).sum()):
        note(path, f"{count} opacities of exactly 0 or 1 were bounded to 0.0001 and 0.9999")
        bounded = logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
        return replace(splats, logit_opacities=torch.where(torch.isinf(logits), bounded, logits))
    return splats


def splat_origin(splats: GaussianSplats) -> tuple[float, float, float]:
    """Point of the scene's files that is the zero of the splats, as a comment says; the zero of the files without one."""
    found = (ORIGIN.fullmatch(line.strip()) for line in splats.comments)
    match = next((match for match in found if match is not None), None)
    return (0.0, 0.0, 0.0) if match is None else (float(match[1]), float(match[2]), float(match[3]))


def with_origin(splats: GaussianSplats, origin: tuple[float, float, float]) -> GaussianSplats:
    """The splats with the comment that their zero is a point of the scene's files; without it for the zero of the files."""
    others = tuple(line for line in splats.comments if not ORIGIN.fullmatch(line.strip()))
    said = (f"origin {origin[0]!r} {origin[1]!r} {origin[2]!r}",) if any(origin) else ()
    return replace(splats, comments=(*said, *others))


def splats_about_origin(splats: GaussianSplats, origin: tuple[float, float, float]) -> GaussianSplats:
    """The splats in float32 with their zero at a point of the scene's files, which a comment says unless it is their zero.

    Where nothing moves, centres keep their bits. Centres that are float64 are moved before they are rounded.
    """
    shift = np.array(splat_origin(splats)) - np.array(origin)
    means = splats.means.double() + torch.from_numpy(shift).to(splats.device) if shift.any() else splats.means
    return with_origin(replace(splats, means=means.float()), origin)


def splats_beside(scene: str | os.PathLike[str] | None) -> Path | None:
    """The trained splats that lie with a scene: ``splats`` with any extension that is read, in its folder; or its run's.

    Args:
        scene: Folder of a scene, or a file in it; None for a scene that was never a file.

    Returns:
        The file, a .ply before others; None if there is none.
    """
    if scene is None:
        return None
    if is_nerfstudio_run(scene):
        return Path(scene)
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
        path: A .ply, .compressed.ply, .spz, .splat, .sog or .glb file.
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
    if not os.fspath(path).lower().endswith(kind):
        raise InputError("extension", repr(Path(path).name), f"{kind}, in which one file holds everything", file=path)
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
    if kind in (".spz", ".splat", SOG, GLB) and any(splat_origin(splats)):
        lost.append(f"{kind} cannot say that the zero of the splats is the point {splat_origin(splats)} of their scene's files")
    if kind in (".splat", GLB) and splats.antialiased:
        lost.append(f"{kind} cannot say that the splats were trained for the antialiased renderer")
    if len(splats) and bool(torch.isfinite(splats.means).all()):
        lost += _coarse_centers(kind, splats)
    for name, values, low, high in _ranges(kind, splats):
        if count := int(((values < low) | (values > high)).sum()):
            lost.append(f"{count} of {values.numel()} values of {name} lie outside [{low:.3g}, {high:.3g}] and are cut off")
    return lost


def _coarse_centers(kind: str, splats: GaussianSplats) -> list[str]:
    """Steps of the written centres that show: more than a quarter of the size of the median splat."""
    size = float(splats.log_scales.amax(dim=1).median().exp())
    distances = splats.means.double().abs().amax(dim=1)
    farthest = float(distances.max())
    if kind == ".spz":
        bits = fraction_bits_for(splats, None, "")
        nearer = distances[distances < 0.1 * farthest]
        step, without = 2.0**-bits, 0.5**FRACTION_BITS
        while len(nearer) and float(nearer.max()) > without * (1 << 23):
            without *= 2
        strays = len(splats) - len(nearer)
        hint = ""
        if len(nearer) and 10 * strays < len(splats) and without < step:
            far = f"the {strays} farthest, up to {farthest:.6g} away"
            hint = f"; without {far}, they would be {without:.3g} (--drop-far leaves strays out)"
        elif bits < FRACTION_BITS:
            hint = "; --translate moves the scene to the origin"
    elif kind == COMPRESSED:
        step = largest_chunk(splats.means.detach().cpu().float().numpy()) / 2047
        hint = "; --drop-far leaves strays out, which widen a chunk"
    else:
        step = float(np.spacing(np.float32(farthest))) if splats.means.dtype == torch.float64 else 0.0  # else it was lost before
        hint = "; --translate moves the scene to the origin before it is rounded"
    if step <= 0.25 * size:
        return []
    return [f"centres are kept in steps of {step:.3g}, while the median splat has a size of {size:.3g}{hint}"]


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
