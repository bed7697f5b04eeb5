"""The scenes of the heal benchmark: what is fitted, what is removed, and what is known of the truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scene_depth_heal.selection import SelectionSource
from scene_depth_synthetic.composited import composite_object, write_composited
from scene_depth_synthetic.composited.compositing import RECIPE

from benchmarks.shared_data import shared
from scene_depth.evaluation.scene_scores import find_holes
from scene_depth.fitting.config import FitConfig
from scene_depth.fitting.fit import fit
from scene_depth.io.atomic import atomic_path
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "out" / "heal_benchmark"
FOX_BOX = "1.75 -0.95 0.05 2.6 2.5 3.7 0.9925 0 0 -0.1219"  # the head and neck, not the board and the wall behind


@dataclass(frozen=True)
class Case:
    """A scene and an object in it that is to go.

    Attributes:
        name: Of the case.
        words: What is removed from what.
        train: Views that are fitted to and healed in; with masks if masks select.
        test: Held-out views: without the object where ``has_truth``, else with it.
        has_truth: Whether what is behind the object is known.
        truth: All views without the object, for pictures; None where it is not known.
        holes: Where the object is in the held-out views; None if only its splats say so  # [H, W] each
        selection: What to remove.
        fit: Parameters of the first fit.
        max_size: Longer side of the pictures that are healed and measured.
    """

    name: str
    words: str
    train: Scene
    test: Scene
    has_truth: bool
    truth: Scene | None
    holes: Mapping[str, NDArray[np.bool_]] | None
    selection: SelectionSource
    fit: FitConfig
    max_size: int


def sample(name: str, words: str) -> Case:
    """A shipped sample scene: ray-traced with the object and without it."""
    folder = ROOT / "scenes" / name
    truth = read_scene(folder / "removed")
    test = read_scene(folder / "removed", split="test")
    return Case(
        name=name,
        words=words,
        train=read_scene(folder, split="train"),
        test=test,
        has_truth=True,
        truth=truth,
        holes=find_holes(test, folder / "masks"),
        selection=SelectionSource(),
        fit=FitConfig(steps=3000, max_size=480),
        max_size=480,
    )


def composited(name: str, words: str, source: str, *, seed: int, held_out_every: int) -> Case:
    """A real RGB-D scene with an object composited into every view; made once and kept below out/heal_benchmark/scenes."""
    path = shared(f"data/{source}")
    folder = OUTPUT / "scenes" / f"{name}-{seed}-{held_out_every}"
    if not (folder / RECIPE).is_file():
        made = composite_object(read_scene(path), seed=seed)
        write_composited(folder, made, every=held_out_every, recipe={"scene": source, "seed": seed})
    test = read_scene(folder / "removed", split="test")
    return Case(
        name=name,
        words=words,
        train=read_scene(folder, split="train"),
        test=test,
        has_truth=True,
        truth=read_scene(folder / "removed"),
        holes=find_holes(test, folder / "masks"),
        selection=SelectionSource(),
        fit=FitConfig(steps=4000, max_size=480),
        max_size=480,
    )


def photographed(name: str, words: str, source: str, selection: SelectionSource) -> Case:
    """A photographed scene whose object nobody took away: every 8th view is held out, what is behind is not known."""
    scene = read_scene(shared(f"data/{source}"))
    train, test = scene.split(8)
    return Case(
        name=name,
        words=words,
        train=train,
        test=test,
        has_truth=False,
        truth=None,
        holes=find_holes(test, None) if selection.by_masks else None,
        selection=selection,
        fit=FitConfig(steps=4000, max_size=480),
        max_size=480,
    )


SAMPLES = ("table", "room", "street")  # shipped with this repository
CASES: dict[str, Callable[[], Case]] = {
    "table": lambda: sample("table", "vase on a table, ray-traced"),
    "room": lambda: sample("room", "armchair in a room, ray-traced"),
    "street": lambda: sample("street", "car in a street, ray-traced"),
    "redwood": lambda: composited(
        "redwood", "vase composited into a living room", "redwood_livingroom", seed=0, held_out_every=8
    ),
    "hololens": lambda: composited(
        "hololens", "vase composited into an office, sensor depth", "hololens_office", seed=0, held_out_every=4
    ),
    "statue": lambda: photographed("statue", "statue in a park, photos and masks", "spinnerf_statue", SelectionSource()),
    "fox": lambda: photographed("fox", "fox's head on a wall, photos and a box", "fox", SelectionSource(box=FOX_BOX)),
}


def fitted(
    case: Case, folder: Path, *, fresh: bool = False, on_progress: OnProgress | None = None
) -> tuple[GaussianSplats, dict[str, float]]:
    """The splats of a case, from an earlier run with the same pictures, cameras and parameters, or fitted now.

    Args:
        case: What to fit.
        folder: Where fits are kept.
        fresh: Fit again, for example after a change of the fitting itself.
        on_progress: Is told how far the fit is.

    Returns:
        The splats, and wall and CPU seconds that their fit took.
    """
    key = _key(case)
    path, record = folder / f"{case.name}-{key}.ply", folder / f"{case.name}-{key}.json"
    if path.is_file() and record.is_file() and not fresh:
        return read_splats(path), json.loads(record.read_text(encoding="utf-8"))
    result = fit(case.train, config=case.fit, on_progress=on_progress)
    if not result.report.finished:
        raise KeyboardInterrupt
    times = {"seconds": result.report.seconds, "cpu_seconds": result.report.cpu_seconds}
    write_splats(path, result.splats)
    with atomic_path(record) as temporary:
        temporary.write_text(json.dumps(times), encoding="utf-8")
    return read_splats(path), times


def _key(case: Case) -> str:
    digest = hashlib.sha256(repr(case.fit).encode())
    for view in case.train.views:
        digest.update(view.camera.camera_to_world.double().numpy().tobytes() + view.camera.K.double().numpy().tobytes())
        digest.update(view.image().tobytes() if view.image_path is None else view.image_path.read_bytes())
    return digest.hexdigest()[:12]
