"""``scene-depth convert``: splats and scenes from one format to another."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from scene_depth.cli.inputs import SceneOptions, open_splats, read_found
from scene_depth.cli.progress import print_json
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_lint import without_strays
from scene_depth.io.nerfstudio_run import is_nerfstudio_run
from scene_depth.io.output_folder import check_new_file
from scene_depth.io.scenes import detect_format, write_scene
from scene_depth.io.splat_files import lost_in, splat_format, write_splats
from scene_depth.options import split_pairs
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class SplatChanges:
    """Options for files of splats."""

    scale: float = 1.0
    """Factor for the splats; they are scaled, then turned, then moved."""
    rotate: Triple = (0.0, 0.0, 0.0)
    """Turn about the fixed axes x, y, z of the world in that order, degrees."""
    translate: Triple = (0.0, 0.0, 0.0)
    """Move, in units of the written file."""
    sh_degree: int | None = None
    """SH degree of the written splats: higher bands are dropped, or added as zeros."""
    drop_far: bool = False
    """Leave out splats farther than 20 radii of the scene from its centre, which make .spz files coarse."""
    spz_version: Literal[2, 3, 4] | None = None
    """Version of a written .spz; 3, which nearly everything reads, by default."""
    input_axes: str | None = None
    """Axes that a read .spz holds, such as RUB; by default what it declares, and no turn if it declares nothing."""
    output_axes: str | None = None
    """Axes for a written .spz, such as RUB, which the specification names; declared in the file."""


@dataclass(frozen=True)
class Convert:
    """Convert splats (.ply, .compressed.ply, .spz, .splat, .sog, .glb) and scenes (COLMAP, transforms.json and others).

    The format of a splat file is that of its name. What the new format cannot hold is said.
    """

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """File of splats, or folder or JSON file of a scene, or folder of a nerfstudio run: its splats, or with --to its photos. It
    is never changed."""
    output: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUTPUT")]
    """File of splats to write, or new folder for a scene."""
    to: Literal["colmap", "transforms", "rgbd", "scene"] | None = None
    """Format of the written scene."""
    scene_options: SceneOptions = ()
    to_options: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE [KEY=VALUE ...]")] = ()
    """How the scene is written: binary=false for colmap, masks=false depth=false for transforms, depth_format=npy for rgbd,
    reference_images=relative for scene."""
    changes: Annotated[SplatChanges, tyro.conf.arg(name="for splats")] = SplatChanges()
    """Only for files of splats: scenes keep their frame and unit."""
    overwrite: bool = False
    """Replace a file of splats that is there already; the source never."""
    json: bool = False
    """Print what was done as JSON."""

    def run(self) -> None:
        """Runs the command.

        Raises:
            InputError: For bad input, or an option that says nothing of what is converted.
        """
        is_scene = self.source.is_dir() or self.source.suffix.lower() == ".json"
        if is_nerfstudio_run(self.source):
            is_scene = self.to is not None
        lost: list[str] = []
        done = self._convert_scene() if is_scene else self._convert_splats(lost)
        if self.json:
            print_json(done)
            return
        print(f"{self.output}: {done['description']}")
        for sentence in lost:
            print(f"  lost: {sentence}")

    def _convert_scene(self) -> dict[str, object]:
        usual = SplatChanges()
        given = [e.name for e in fields(usual) if getattr(self.changes, e.name) != getattr(usual, e.name)]
        if given:  # options that do nothing must not pass in silence
            raise InputError(", ".join(given), "given for a scene", "files of splats: scenes keep their frame and unit")
        if self.to is None:
            raise InputError("to", "nothing", "--to colmap, transforms, rgbd or scene, for the written scene", file=self.source)
        scene = read_found(self.source, self.scene_options)
        write_scene(self.output, scene, format=self.to, **split_pairs(self.to_options, "to_options"))
        points = 0 if scene.points is None else len(scene.points)
        return {
            "source": str(self.source),
            "output": str(self.output),
            "source_format": detect_format(self.source).name,
            "format": self.to,
            "views": len(scene),
            "points": points,
            "description": f"{len(scene)} views, {points:,} points, as {self.to}",
        }

    def _convert_splats(self, lost: list[str]) -> dict[str, object]:
        source, output, changes = self.source, self.output, self.changes
        for name in ("to", "scene_options", "to_options"):
            if given := getattr(self, name):
                accepted = f"no --{name.replace('_', '-')}: the name of the output says its format"
                raise InputError(name, f"{given!r} for a file of splats", accepted, file=source)
        if not 0 < changes.scale < float("inf"):
            raise InputError("scale", changes.scale, "a positive number")
        matrix = similarity_matrix(euler_rotation(*changes.rotate), changes.translate, changes.scale)
        kind = splat_format(output)
        given = [name for name in ("spz_version", "output_axes") if getattr(changes, name) is not None]
        if given and kind != ".spz":
            accepted = "a written .spz file: no other format has this choice"
            raise InputError(", ".join(given), f"given for a {kind} file", accepted, file=output)
        check_new_file(output, inputs=(source,), overwrite=self.overwrite)
        splats = open_splats(source, axes=changes.input_axes, double=True)
        if len(splats) == 0:
            raise InputError("splats", "none", "one or more", file=source)
        if changes.drop_far:
            read, splats = len(splats), without_strays(splats)
            lost.append(f"{read - len(splats)} splats far from the scene, as asked")
        splats = transform_splats(splats, matrix)
        dropped = changes.sh_degree is not None and changes.sh_degree < splats.sh_degree
        splats = splats if changes.sh_degree is None else splats.with_sh_degree(changes.sh_degree)
        lost += lost_in(kind, splats) + ([f"spherical harmonics above degree {changes.sh_degree}, as asked"] if dropped else [])
        options = {"version": changes.spz_version, "axes": changes.output_axes}
        write_splats(output, splats, inputs=(source,), **{name: value for name, value in options.items() if value is not None})
        degree, size = 0 if kind == ".splat" else splats.sh_degree, output.stat().st_size
        return {
            "source": str(source),
            "output": str(output),
            "format": kind,
            "splats": len(splats),
            "sh_degree": degree,
            "bytes_read": source.stat().st_size,
            "bytes_written": size,
            "lost": lost,
            "description": f"{len(splats):,} splats, SH degree {degree}, {size:,} bytes",
        }


def convert(arguments: Annotated[Convert, tyro.conf.arg(name="")]) -> None:
    """Convert splats and scenes from one format to another."""
    arguments.run()
