"""How long a heal takes: a scene of 26 views of 640 x 480 with 100,000 splats, stage by stage; its vase, and a small hole.

Then strokes of the repair brush in an open scene: two over the vase, one after the other, and one each over what is even.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from scene_depth_heal.demo import HEAL, WAYS
from scene_depth_heal.hole import SHARE_OF_OBJECT, HealView, share_of, weight_of
from scene_depth_heal.inputs import load_views
from scene_depth_heal.selection import select
from scene_depth_heal.session import EditSession
from scene_depth_heal.workflow import HealConfig, HealResult, heal_views
from scene_depth_viewer.edit_panel import BRUSH_PHOTOS, BRUSH_STEPS

from benchmarks.heal_cases import CASES, OUTPUT, fitted
from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.fitting.config import FitConfig
from scene_depth.io.scenes import read_scene
from scene_depth.rendering import render
from scene_depth.splats import GaussianSplats
from scene_depth.work import Progress

SPLATS, FIT_STEPS, SIZE = 100_000, 1200, 640
EVEN = {"wall": (450, 170), "sideboard": (560, 330), "floor": (430, 440)}  # pixels of one view that show it
FACING = 13  # that view
TARGETS = {"vase": 25.0}  # seconds
A_STROKE = 5.0  # seconds, all others
PREVIEW = 2.0  # seconds after which a stroke is to show something
SMALL = 0.02  # share of the view that shows most of it, of the small hole


def measure_speed() -> list[dict[str, Any]]:
    """Seconds of each stage, the first fit apart, with all views of the composited living room in use.

    Kernels are compiled, or read from their cache, by a small heal before the clock starts. The small hole is in the middle of
    the vase, the scene being open: its views and selection are there.
    """
    case = CASES["redwood"]()
    source = case.train.source
    assert source is not None
    case = replace(case, name="speed", train=read_scene(source), max_size=SIZE)
    config = FitConfig(steps=FIT_STEPS, max_size=SIZE, max_splats=SPLATS, start_splats=SPLATS)
    splats, _ = fitted(replace(case, fit=config), OUTPUT / "fits")
    for size in (96, SIZE):
        started, cpu = time.perf_counter(), time.process_time()
        views = load_views(case.train, size, case.selection)
        loaded = time.perf_counter()
        removed = select(splats, views, case.selection)
        before = {"read views": loaded - started, "select": time.perf_counter() - loaded}
        vase = _heal_once(splats, removed, views, before, time.process_time() - cpu)
    views = [replace(view, mask=None) for view in views]
    part = small_part(splats, removed, views)
    small = _heal_once(splats, part, views, {}, 0.0)
    return [{"case": "vase", **vase}, {"case": "small hole", **small}, *_strokes(splats, removed, part, views)]


def _strokes(
    splats: GaussianSplats, removed: torch.Tensor, part: torch.Tensor, views: Sequence[HealView]
) -> list[dict[str, Any]]:
    """Two strokes of the repair brush over an object: its middle, and as much of what is left of it."""
    session = _opened(splats, views)
    first, result = _stroke(session, part)
    left = torch.cat([(removed & ~part)[~result.removed], torch.zeros(result.new, dtype=torch.bool)])
    second, _ = _stroke(session, small_part(session.splats, left, session.views))
    found = [{"case": "first stroke", **first}, {"case": "second stroke", **second}]
    camera, all_splats = views[FACING].camera, torch.ones_like(removed)
    depth = render(splats, camera).depth
    for what, (column, row) in EVEN.items():
        pixel = torch.tensor([[column + 0.5, row + 0.5]])
        place = camera.unproject_pixels(pixel, depth[:, row, column][:, None])[0, 0]
        chosen = small_part(splats, all_splats, views, place)
        found.append({"case": f"stroke on the {what}", **_stroke(_opened(splats, views), chosen)[0]})
    return found


def _opened(splats: GaussianSplats, views: Sequence[HealView]) -> EditSession:
    session = EditSession(splats, views)
    session.draw_ahead()  # as the page does
    return session


def _stroke(session: EditSession, part: torch.Tensor) -> tuple[dict[str, Any], HealResult]:
    """Repairs what a stroke passed over  # [N] bool"""
    started, cpu = time.perf_counter(), time.process_time()
    previews: list[float] = []

    def watch(now: Progress) -> None:
        if now.stage != "hole" and now.snapshot is not None:
            previews.append(time.perf_counter() - started)

    config = HealConfig(steps=BRUSH_STEPS, most_references=BRUSH_PHOTOS)
    result = session.heal(WAYS[HEAL][0], "exemplar", config, watch, removed=part)
    seconds = time.perf_counter() - started
    facts = _facts(result, session.views, seconds, time.process_time() - cpu)
    return {"preview s": min(previews, default=seconds), **facts}, result


def small_part(
    splats: GaussianSplats, removed: torch.Tensor, views: Sequence[HealView], middle: torch.Tensor | None = None
) -> torch.Tensor:
    """Those splats of an object about a place, by default its middle, that show in at most ``SMALL`` of any view  # [N] bool"""
    middle = splats.means[removed].median(dim=0).values if middle is None else middle
    order = torch.where(removed, (splats.means - middle).norm(dim=1), torch.inf).argsort()
    low, high = 1, int(removed.sum())
    while low < high:
        count, chosen = (low + high + 1) // 2, torch.zeros_like(removed)
        chosen[order[:count]] = True
        largest = max(share_of(weight_of(splats, chosen, view.camera) > SHARE_OF_OBJECT) for view in views)
        low, high = (count, high) if largest <= SMALL else (low, count - 1)
    chosen = torch.zeros_like(removed)
    chosen[order[:low]] = True
    return chosen


def _heal_once(
    splats: GaussianSplats, removed: torch.Tensor, views: Sequence[HealView], before: dict[str, float], cpu_before: float
) -> dict[str, Any]:
    started, cpu = time.perf_counter(), time.process_time()
    inpainter, painter = load_depth_inpainter(WAYS[HEAL][0]), load_image_inpainter("exemplar")
    result = heal_views(splats, removed, views, inpainter, painter, HealConfig())
    seconds = time.perf_counter() - started
    facts = _facts(result, views, seconds, time.process_time() - cpu + cpu_before)
    return {**facts, "seconds": {**before, **facts["seconds"], "all": seconds + sum(before.values())}}


def _facts(result: HealResult, views: Sequence[HealView], seconds: float, cpu_seconds: float) -> dict[str, Any]:
    report, camera = result.report, result.states[0].camera
    return {
        "size": [camera.width, camera.height],
        "views": len(views),
        "splats": len(result.removed),
        "removed": report.removed_splats,
        "most shown %": 100 * max(share_of(state.object_pixels) for state in result.states),
        "new": report.new_splats,
        "references": len(report.references),
        "seconds": {**report.seconds, "all": seconds},
        "part_seconds": report.part_seconds,
        "cpu_seconds": cpu_seconds,
        "threads": torch.get_num_threads(),
    }


def speed_lines(found: list[dict[str, Any]]) -> list[str]:
    """The tables: stages, and the parts of the stages hole and fill."""
    aims = "; ".join(f"{row['case']} {row['seconds']['all']:.1f} s of {TARGETS.get(row['case'], A_STROKE):g} s" for row in found)
    previews = "; ".join(f"{row['case']} {row['preview s']:.1f} s" for row in found if "preview s" in row)
    lines = [
        f"{found[0]['threads']} threads; the first fit ({FIT_STEPS} steps) is not counted. Aims: {aims}. "
        f"First preview of {previews}, of {PREVIEW:g} s."
    ]
    facts = ["case", "size", "views", "splats", "removed", "most shown %", "new", "references"]
    for what in ("seconds", "part_seconds"):
        stages = list(dict.fromkeys(stage for row in found for stage in row[what]))
        heads = facts if what == "seconds" else ["case"]
        lines += ["", _row([*heads, *(f"{stage} s" for stage in stages), *(["CPU s"] if what == "seconds" else [])])]
        lines.append(_row(["---"] + ["---:"] * (lines[-1].count("|") - 2)))
        for row in found:
            cells = [_cell(row[head]) for head in heads] + [f"{row[what].get(stage, 0.0):.1f}" for stage in stages]
            lines.append(_row(cells + ([f"{row['cpu_seconds']:.1f}"] if what == "seconds" else [])))
    return lines


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
