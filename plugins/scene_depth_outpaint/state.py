"""What an outpainting keeps: one folder a view in ``steps/NNN``, written whole or not at all, and the plan that they follow."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.arrays import Mask
from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path, clear_strays, temporary_prefix
from scene_depth.io.depth_images import read_depth, write_depth
from scene_depth.io.images import read_image, read_mask, write_image, write_mask
from scene_depth.io.json_files import read_json_object
from scene_depth.io.json_reports import JsonReport, plain
from scene_depth.io.plain_values import from_plain

STEPS, PLAN = "steps", "plan.json"
CAMERA, IMAGE, DEPTH, KNOWN, MASK, REPORT = "camera.json", "image.png", "depth.npy", "known.png", "mask.png", "report.json"
FORMAT = 1


@dataclass(frozen=True)
class StepReport(JsonReport):
    """Record of one view: nothing in it depends on the machine's speed, so that the same work gives the same bits.

    Attributes:
        index: Number of its folder.
        kind: "start", or "step" for a view that was made.
        waypoint: Number of the trajectory's camera that it is or leads to; -1 at the start.
        planned: Number of the planned step that it belongs to; -1 at the start.
        reached: Whether it is that step, and not a smaller one on the way.
        new_share: Share of its pixels that nothing known showed.
        points: New pixels that became points; the others lie between edges.
        prompt: What was asked of the generator.
        seed: Seed of its random choices.
        attempt: How many attempts were refused before it, from the same camera.
        seam_jump, seam_beside: Median step of depth across the border of what is known, and beside it, relative; None where there
            is no border but outlines.
        pushed_share: Share of new pixels that were moved back since an earlier view sees through where they stood.
        in_front_share: Share of new pixels that stand before what an earlier view sees all the same.
        out_of_range_share: Share of new pixels far nearer or farther than everything known.
        hidden_share: Largest share of an earlier view that the new surfaces would hide.
        refusals: Why it was refused; accepted all the same where acceptance is switched off.
        depth_details: What the depth inpainter says of its work.
    """

    index: int
    kind: str
    waypoint: int = -1
    planned: int = -1
    reached: bool = True
    new_share: float = 0.0
    points: int = 0
    prompt: str = ""
    seed: int = 0
    attempt: int = 0
    seam_jump: float | None = None
    seam_beside: float | None = None
    pushed_share: float = 0.0
    in_front_share: float = 0.0
    out_of_range_share: float = 0.0
    hidden_share: float = 0.0
    refusals: tuple[str, ...] = ()
    depth_details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OutpaintedView:
    """One view of the grown scene.

    Attributes:
        camera: One camera.
        image: sRGB in 8 bits  # [H, W, 3]
        depth: z-depth, float32, complete  # [H, W]
        known: Pixels whose depth was given: measured at the start, shown by earlier views at a step  # [H, W]
        report: What was done.
    """

    camera: Cameras
    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    known: Mask
    report: StepReport

    def __repr__(self) -> str:
        height, width = self.known.shape
        return f"OutpaintedView({self.report.kind} {self.report.index}, {width} x {height}, {self.report.new_share:.0%} new)"


def step_folder(folder: Path, index: int) -> Path:
    """Where a view is kept."""
    return folder / STEPS / f"{index:03d}"


def write_view(folder: Path, view: OutpaintedView) -> None:
    """Writes a view; it is there when its folder has its name."""
    with put_folder(step_folder(folder, view.report.index)) as new:
        _write_camera(new / CAMERA, view.camera)
        write_image(new / IMAGE, view.image / np.float32(255))
        write_depth(new / DEPTH, view.depth)
        write_mask(new / KNOWN, view.known)
        view.report.save(new / REPORT)


def write_task(folder: Path, index: int, camera: Cameras, image: NDArray[np.uint8], known: Mask) -> Path:
    """Writes what is to be painted elsewhere: the picture, black where it is new, and the mask, white there; gives the folder."""
    place = step_folder(folder, index)
    with put_folder(place) as new:
        _write_camera(new / CAMERA, camera)
        write_image(new / IMAGE, image / np.float32(255))
        write_mask(new / KNOWN, known)
        write_mask(new / MASK, ~known)
    return place


def read_views(folder: Path) -> list[OutpaintedView]:
    """The views that are whole, in order.

    Raises:
        InputError: If a file of one is missing or broken.
    """
    views: list[OutpaintedView] = []
    while (place := step_folder(folder, len(views)) / REPORT).exists():
        views.append(_read_view(place.parent))
    return views


def undo_step(folder: Path) -> int:
    """Removes the last view that was made; gives its number.

    Raises:
        InputError: If the folder holds no outpainting, or only its start.
    """
    clear_strays(folder, (STEPS,))
    if not (folder / PLAN).is_file():
        raise InputError("output folder", "holds no outpainting", "the folder of one", file=folder)
    last = len(read_views(folder)) - 1
    if last < 0 or read_json_object(step_folder(folder, last) / REPORT).get("kind") != "step":
        raise InputError("steps", "none after the start", "a step to take back", file=folder)
    for index in (last + 1, last):  # what waits for a picture goes with it
        _remove(step_folder(folder, index))
    return last


def write_plan(folder: Path, settings: dict[str, Any], steps: Sequence[dict[str, Any]]) -> None:
    """Keeps the settings and the planned steps of an outpainting."""
    with atomic_path(folder / PLAN) as temporary:
        content = {"format": FORMAT, "settings": plain(settings), "steps": plain(list(steps))}
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def check_settings(folder: Path, settings: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The planned steps of the outpainting in a folder, None if there is none.

    Raises:
        InputError: If it was begun with other settings.
    """
    if not (folder / PLAN).exists():
        return None
    content = read_json_object(folder / PLAN)
    former, now = content.get("settings"), plain(settings)
    if content.get("format") != FORMAT or not isinstance(former, dict) or not isinstance(content.get("steps"), list):
        raise InputError("plan", "of another kind", f"format {FORMAT} of this program", file=folder / PLAN)
    if different := [name for name in now if former.get(name) != now[name]]:
        name = different[0]
        plainly = isinstance(now[name], str | int | float | None) and len(str(now[name])) < 40
        found = f"begun with {former.get(name)!r}, not {now[name]!r}" if plainly else "begun with another one"
        raise InputError(name, found, "the settings that this folder was begun with, or a new folder", file=folder)
    steps: list[dict[str, Any]] = content["steps"]
    return steps


def camera_as_plain(camera: Cameras) -> dict[str, Any]:
    """A camera as ``camera.json`` has it."""
    return {
        "width": camera.width,
        "height": camera.height,
        "K": camera.K[0].double().tolist(),
        "camera_to_world": camera.camera_to_world[0].double().tolist(),
    }


def camera_from_plain(content: dict[str, Any], *, file: Path) -> Cameras:
    """The opposite of ``camera_as_plain``.

    Raises:
        InputError: If a field is missing or of another kind.
    """
    try:
        K, pose = (torch.tensor(content[key], dtype=torch.float64)[None] for key in ("K", "camera_to_world"))
        return Cameras(pose, K, int(content["width"]), int(content["height"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise InputError(error.field, error.found, error.accepted, file=file) from None
        raise InputError("camera", f"unusable ({error})", "width, height, K and camera_to_world", file=file) from error


def hash_of(*arrays: NDArray[Any]) -> str:
    """A hash of the bits of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _write_camera(path: Path, camera: Cameras) -> None:
    path.write_text(json.dumps(camera_as_plain(camera), indent=1) + "\n", encoding="utf-8")


def _read_view(place: Path) -> OutpaintedView:
    camera = camera_from_plain(read_json_object(place / CAMERA), file=place / CAMERA)
    image = np.rint(read_image(place / IMAGE) * 255).astype(np.uint8)
    depth, known = read_depth(place / DEPTH), read_mask(place / KNOWN)
    shape = camera.height, camera.width
    if image.shape[:2] != shape or depth.shape != shape or known.shape != shape:
        found = f"pictures of {image.shape[:2]}, {depth.shape}, {known.shape}"
        raise InputError("step", found, f"{shape}, the size of its camera", file=place)
    report = from_plain(StepReport, read_json_object(place / REPORT), file=place / REPORT)
    return OutpaintedView(camera, image, depth, known, report)


@contextmanager
def put_folder(path: Path) -> Iterator[Path]:
    """Gives an empty folder that takes the place of another when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=path.parent, prefix=temporary_prefix()))
    try:
        new.chmod(path.parent.stat().st_mode & 0o777)
        yield new
        _remove(path)
        new.rename(path)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _remove(path: Path) -> None:
    """Removes a folder, which leaves its place by one rename first, so that it is never half there."""
    if path.exists():
        gone = Path(tempfile.mkdtemp(dir=path.parent, prefix=temporary_prefix()))
        path.rename(gone / "old")
        shutil.rmtree(gone, ignore_errors=True)
