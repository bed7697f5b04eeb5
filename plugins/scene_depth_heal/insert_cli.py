"""``scene-depth insert``: put something into a splat scene, or paint one of its surfaces anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from scene_depth.cli.inputs import open_scene, open_splats
from scene_depth.cli.progress import end_if_stopped, print_json, report_console, save_snapshots, watch_progress
from scene_depth.depth.protocol import DepthInpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.placement import check_likeness, photos_of
from scene_depth.fitting.training_views import fitted_camera
from scene_depth.io.images import write_image
from scene_depth.io.json_files import read_json
from scene_depth.io.output_folder import claim_folder
from scene_depth.io.splat_files import with_origin, write_splats
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress
from scene_depth_heal.edit import EditConfig, EditFiles, EditResult
from scene_depth_heal.inputs import SPLATS, DepthSource, SceneSource, check_finite, posed_views, view_named
from scene_depth_heal.painted import PaintedFiles, Upright, insert_painted, read_depth_image, read_painted
from scene_depth_heal.place import Place, Placement
from scene_depth_heal.placement import insert_splats, scene_up
from scene_depth_heal.selection import inside_region, parse_region
from scene_depth_heal.texture import retexture as retexture_surface

EDITED, REPORT, PICTURES = "edited.ply", "report.json", "views"
PICTURES_KEPT = 6
NAMES = (EDITED, REPORT, PICTURES, SPLATS)
Edit = Callable[[GaussianSplats, OnProgress], EditResult]


@dataclass(frozen=True)
class Output:
    """What comes out."""

    output: Path
    """Folder for the results; made if missing."""
    overwrite: bool = False
    """Replace files in the output folder that something else wrote; never those that are read."""
    save_every: float = 2.0
    """Minutes between two copies of the work so far, in OUTPUT/unfinished; 0 saves at the end alone."""
    json: bool = False
    """Print the report as JSON to standard output."""


@dataclass(frozen=True)
class Picture:
    """A picture of one view that was painted in."""

    painted: tuple[str, Path] | None = None
    """Name of a view, and its picture with something painted in."""
    mask: Path | None = None
    """White where it was painted; by default what differs from the photo, or from the render."""
    mask_white: Literal["object", "keep"] | None = None
    """What white in the mask is: what was painted (object), or the rest (keep)."""
    mask_id: tuple[str, ...] = ()
    """Labels of what was painted, in a mask of several: numbers, or colours such as #ff0000."""
    retexture: bool = False
    """Keep the shape of what is there; the painted colours replace its own."""


@dataclass(frozen=True)
class ShapeSource(DepthSource):
    """What gives a painted object its shape; one of these."""

    shape: Literal["inpainted", "upright"] = "inpainted"
    """Inpainted from the surfaces around it, or an upright plane where it stands."""
    depth_image: Path | None = None
    """Depth of the painted picture of any scale and shift; fitted to the known depth around the mask."""

    @property
    def given(self) -> list[str]:
        """The options that were asked for and decide the shape."""
        shaping = {
            "--depth-image": self.depth_image is not None,
            "--prior": self.prior is not None,
            "--shape": self.shape != "inpainted",
            "--inpainter": self.inpainter != "solver" or bool(self.inpainter_options),
        }
        return [name for name, is_given in shaping.items() if is_given]

    def load(self, files: PaintedFiles) -> DepthInpainter | None:
        """The inpainter of the object's depth; None for an upright one, which needs the trained scene."""
        if self.depth_image is not None:
            return read_depth_image(self.depth_image, files)
        return None if self.shape == "upright" else self.depth_inpainter()


@dataclass(frozen=True, kw_only=True)
class AddedSplats(Place):
    """Another file of splats and where it goes; one of at, pixel and transform."""

    ply: Path | None = None
    """Splats to insert: .ply, .compressed.ply, .spz, .splat, .sog or .glb."""
    part: str | None = None
    """Region of the file to insert alone: "CX CY CZ R" (sphere), "CX CY CZ SX SY SZ [QW QX QY QZ]" (box), or a JSON file;
    in the coordinates of the scene that they were made from, where they name another origin."""
    transform: Path | None = None
    """JSON file of a 4x4 similarity, rows first, from the file's to the scene's coordinates."""

    def read(self) -> GaussianSplats:
        """The splats of the file that are to be inserted.

        Raises:
            InputError: If the file or the region cannot be read, or the region holds no splat.
        """
        assert self.ply is not None
        splats = check_finite(open_splats(self.ply), self.ply)
        if self.part is None:
            return splats
        inside = inside_region(splats, parse_region(self.part))
        if not inside.any():
            found = f"a region without any of the {len(splats)} splats"
            raise InputError("part", found, "a region with splats in it", file=self.ply)
        return splats.select(inside)

    def placement(self, scene: Scene, max_size: int) -> Placement:
        """The placement, with the pixel in the working size.

        Raises:
            InputError: If not one place is named, the view is not there, the pixel lies outside its photo, or the file
                holds no 4x4 matrix.
        """
        options = {each.name: getattr(self, each.name) for each in fields(Place)}
        if self.pixel is not None:
            name, column, row = self.pixel
            view = view_named(scene.views, name)
            camera, small = view.camera, fitted_camera(view.camera, max_size)
            if not (0 <= column < camera.width and 0 <= row < camera.height):
                accepted = f"column and row of the photo, {camera.width} x {camera.height}"
                raise InputError("pixel", f"({column:g}, {row:g})", accepted)
            across, down = small.width / camera.width, small.height / camera.height
            options["pixel"] = (view.name, (column + 0.5) * across, (row + 0.5) * down)
        return Placement(**options, transform=None if self.transform is None else read_matrix(self.transform))


def insert(
    scene: tyro.conf.Positional[Path],
    output: Annotated[Output, tyro.conf.arg(name="output")],
    picture: Annotated[Picture, tyro.conf.arg(name="painted picture")] = Picture(),
    shape: Annotated[ShapeSource, tyro.conf.arg(name="shape of a painted object")] = ShapeSource(),
    added: Annotated[AddedSplats, tyro.conf.arg(name="other splats")] = AddedSplats(),
    source: Annotated[SceneSource, tyro.conf.arg(name="scene")] = SceneSource(),  # noqa: B008
    config: Annotated[EditConfig, tyro.conf.arg(name="quality")] = EditConfig(),  # noqa: B008
) -> None:
    """Insert an object into a splat scene, or give one of its surfaces another texture.

    Either from a picture of one view that was painted in (--painted), which becomes an object before the scene's surfaces
    or, with --retexture, their new colour; or from another file of splats (--ply), which by default stands on the surface
    at --pixel or below --at. Writes edited.ply (in the frame of the input, old splats bit for bit and first), report.json
    and pictures before and after. Ctrl-C keeps what was done.

    Args:
        scene: Posed photos: COLMAP folder, transforms.json, RGB-D folder or saved scene.
        output: What comes out.
        picture: A picture of one view that was painted in.
        shape: What gives a painted object its shape.
        added: Another file of splats and where it goes.
        source: How the scene is read, its splats, and the size of its pictures.
        config: Parameters of the fit of painted edits.
    """
    _check_options(picture, shape, added)
    inputs = tuple(path for path in (source.splats, added.ply) if path is not None)
    painted = () if picture.painted is None else (picture.painted[1],)
    read = (*inputs, *painted, picture.mask, shape.depth_image, added.transform)
    folder = claim_folder(output.output, "insert", NAMES, scenes=(scene,), inputs=read, overwrite=output.overwrite)
    posed = open_scene(scene, source.scene_options)
    views = posed_views(posed, source.max_size)
    if picture.painted is not None:
        name, file = picture.painted
        files = read_painted(
            posed, name, file, picture.mask, source.max_size, mask_white=picture.mask_white, mask_id=picture.mask_id
        )
        edit = _painted_edit(files, views, shape, picture.retexture, config)
    else:
        edit = _ply_edit(added.placement(posed, source.max_size), views, added.read())

    def save(path: Path, splats: GaussianSplats) -> None:
        write_splats(path, with_origin(splats.to("cpu"), posed.origin))

    with folder.stage() as stage:
        before = source.trained_splats(posed, stage.path, config.seed)
        likeness = check_likeness(before, photos_of(posed), stop=source.check_placement)
        with watch_progress() as on_progress:
            watched = save_snapshots(on_progress, lambda splats: save(folder.unfinished / EDITED, splats), output.save_every)
            result = edit(before, watched)
        named = EditFiles(source.splats, picture.painted, picture.mask, added.ply, added.part, source.max_size)
        result.report.files, result.report.likeness = named, likeness
        result.report.describe_scene(posed)
        result = replace(result, splats=with_origin(result.splats, posed.origin))
        _write(stage.path, result)
        stage.finished, place = result.report.finished, folder.place(result.report.finished)
    if output.json:
        print_json(result.report)
    else:
        _print(result, place)
    end_if_stopped(result.report)


def _check_options(picture: Picture, shape: ShapeSource, added: AddedSplats) -> None:
    if (picture.painted is None) == (added.ply is None):
        found = "both" if picture.painted else "neither"
        raise InputError("painted, ply", found, "one of --painted VIEW PICTURE and --ply FILE")
    if added.ply is not None and (picture != Picture() or shape.given):
        raise InputError("ply", "also options of a painted picture", "--ply with options of its place alone")
    if picture.painted is not None and added != AddedSplats():
        raise InputError("painted", "also options of a place", "--painted alone; the picture says where it is")
    if picture.retexture and shape.given:
        raise InputError("retexture", f"also {shape.given[0]}", "--retexture alone: the shape stays as it is")
    if len(shape.given) > 1:
        raise InputError("shape of the object", " and ".join(shape.given), "one of them")


def _painted_edit(files: PaintedFiles, views: list[View], source: ShapeSource, retexture: bool, config: EditConfig) -> Edit:
    depth = None if retexture else source.load(files)

    def edit(splats: GaussianSplats, on_progress: OnProgress) -> EditResult:
        painted = files.against(splats)
        if retexture:
            return retexture_surface(splats, views, painted, config, on_progress=on_progress)
        shape = depth or Upright(_vertical(splats, views))
        return insert_painted(splats, views, painted, shape, config, on_progress=on_progress)

    return edit


def _vertical(splats: GaussianSplats, views: list[View]) -> tuple[float, float, float]:
    up, _ = scene_up(splats, [view.camera for view in views])
    if up is None:
        raise InputError("shape", "upright, and nothing tells which way is up", "--depth-image, --prior or inpainted")
    return (float(up[0]), float(up[1]), float(up[2]))


def _ply_edit(placement: Placement, views: list[View], added: GaussianSplats) -> Edit:
    return lambda splats, on_progress: insert_splats(splats, views, added, placement, on_progress=on_progress)


def _write(folder: Path, result: EditResult) -> None:
    write_splats(folder / EDITED, result.splats.to("cpu"))
    result.report.save(folder / REPORT)
    for view in result.telling_views()[:PICTURES_KEPT]:
        name = re.sub(r"[^\w.-]+", "_", Path(view.name).stem)
        write_image(folder / PICTURES / f"{name}.png", result.picture(view))


def _print(result: EditResult, folder: Path) -> None:
    report = result.report
    replaced = f"{report.removed_splats:,} splats were replaced, and " if report.removed_splats else ""
    counts = f"{replaced}{report.new_splats:,} splats are new; {report.kept_as_they_were()}."
    places = f"Written: {folder / EDITED}", f"Pictures: {folder / PICTURES}"
    for line in (counts, *report.checks.sentences(), *report.notes, *places):
        report_console().print(line)


def read_matrix(path: Path) -> tuple[tuple[float, ...], ...]:
    """A 4x4 matrix from JSON: four rows of four numbers, 16 numbers row by row, or either under "matrix" or "transform".

    Raises:
        InputError: If the file holds anything else.
    """
    accepted = "a 4x4 matrix: four rows of four numbers, or the same under the name matrix"
    content = read_json(path)
    if isinstance(content, dict):
        content = next((content[name] for name in ("matrix", "transform") if name in content), None)
    try:
        values = np.array(content, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError("transform", json.dumps(content)[:80], accepted, file=path) from error
    if values.shape not in ((4, 4), (16,)) or not np.isfinite(values).all():
        raise InputError("transform", f"shape {values.shape}", accepted + ", all finite", file=path)
    return tuple(tuple(float(value) for value in row) for row in values.reshape(4, 4))
