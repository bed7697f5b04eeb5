"""``scene-depth convert``: splats and scenes from one format to another."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from scene_depth.errors import InputError
from scene_depth.io.atomic import check_output
from scene_depth.io.scenes import detect_format, read_scene, write_scene
from scene_depth.io.splat_files import lost_in, read_splats, splat_format, write_splats
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats

Triple = tuple[float, float, float]
NO_MOVE: Triple = (0.0, 0.0, 0.0)
SPZ_OPTIONS = {"version": "spz_version", "axes": "output_axes"}


def convert(
    source: Annotated[Path, tyro.conf.Positional],
    output: Annotated[Path, tyro.conf.Positional],
    to: Literal["colmap", "transforms", "rgbd", "scene"] | None = None,
    sh_degree: int | None = None,
    scale: float = 1.0,
    rotate: Triple = NO_MOVE,
    translate: Triple = NO_MOVE,
    spz_version: Literal[2, 3, 4] | None = None,
    input_axes: str | None = None,
    output_axes: str | None = None,
    json: bool = False,
) -> None:
    """Convert splats between .ply, .compressed.ply, .spz and .splat, and scenes between COLMAP, transforms.json and others.

    The format of a splat file is that of its name. What the new format cannot hold is said.

    Args:
        source: File of splats, or folder or JSON file of a scene. It is never changed.
        output: File of splats to write, or new folder for a scene.
        to: Format of the written scene.
        sh_degree: SH degree of the written splats: higher bands are dropped, or added as zeros.
        scale: Factor for the splats; they are scaled, then turned, then moved.
        rotate: Turn about the fixed axes x, y, z of the world in that order, degrees.
        translate: Move, in units of the written file.
        spz_version: Version of a written .spz; 3, which nearly everything reads, by default.
        input_axes: Axes that a read .spz holds, such as RUB; by default what it declares, and no turn if it declares nothing.
        output_axes: Axes for a written .spz, such as RUB, which the specification names; declared in the file.
        json: Print what was done as JSON.
    """
    if source.is_dir() or source.suffix.lower() == ".json":
        given = {"scale": scale != 1.0, "rotate": rotate != NO_MOVE, "translate": translate != NO_MOVE}
        named = {"sh_degree": sh_degree, "spz_version": spz_version, "input_axes": input_axes, "output_axes": output_axes}
        _refuse_for_scenes([*(name for name in given if given[name]), *(name for name in named if named[name] is not None)])
        done = _convert_scene(source, output, to)
    else:
        if to is not None:
            raise InputError("to", f"{to!r} for a file of splats", "no --to: the name of the output says its format", file=source)
        matrix = similarity_matrix(euler_rotation(*rotate), translate, _positive(scale))
        options = {"version": spz_version, "axes": output_axes}
        given_options = {name: value for name, value in options.items() if value is not None}
        done = _convert_splats(source, output, sh_degree, matrix, input_axes, given_options)
    if json:
        print(json_module.dumps(done))
        return
    print(f"{done['output']}: {done['description']}")
    for sentence in done.get("lost", []):
        print(f"  lost: {sentence}")


def _convert_splats(
    source: Path, output: Path, sh_degree: int | None, matrix: Any, axes: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    kind = splat_format(output)
    if options and kind != ".spz":
        names = ", ".join(SPZ_OPTIONS[name] for name in options)
        raise InputError(names, f"given for a {kind} file", "a written .spz file: no other format has this choice", file=output)
    check_output(output, inputs=(source,))
    splats = read_splats(source, axes=axes)
    if len(splats) == 0:
        raise InputError("splats", "none", "one or more", file=source)
    splats = transform_splats(splats, matrix)
    dropped = sh_degree is not None and sh_degree < splats.sh_degree
    splats = splats.with_sh_degree(sh_degree) if sh_degree is not None else splats
    lost = lost_in(kind, splats)
    write_splats(output, splats, inputs=(source,), **options)
    degree = 0 if kind == ".splat" else splats.sh_degree
    return {
        "source": str(source),
        "output": str(output),
        "format": kind,
        "splats": len(splats),
        "sh_degree": degree,
        "bytes_read": source.stat().st_size,
        "bytes_written": output.stat().st_size,
        "lost": lost + ([f"spherical harmonics above degree {sh_degree}, as asked"] if dropped else []),
        "description": f"{len(splats):,} splats, SH degree {degree}, {output.stat().st_size:,} bytes",
    }


def _convert_scene(source: Path, output: Path, to: str | None) -> dict[str, Any]:
    if to is None:
        raise InputError("to", "nothing", "--to colmap, transforms, rgbd or scene, for the written scene", file=source)
    scene = read_scene(source)
    write_scene(output, scene, format=to)
    points = 0 if scene.points is None else len(scene.points)
    return {
        "source": str(source),
        "output": str(output),
        "source_format": detect_format(source).name,
        "format": to,
        "views": len(scene),
        "points": points,
        "description": f"{len(scene)} views, {points:,} points, as {to}",
    }


def _refuse_for_scenes(given: list[str]) -> None:
    """Options that say something of splats do nothing to a scene, which must not pass in silence."""
    if given:
        raise InputError(", ".join(given), "given for a scene", "files of splats: scenes keep their frame and unit")


def _positive(scale: float) -> float:
    if not 0 < scale < float("inf"):
        raise InputError("scale", scale, "a positive number")
    return scale
