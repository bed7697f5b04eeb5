"""Pictures at several sizes: what is far from known depth, and large pictures, solved small and brought to full size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import scene_depth as sd
from scene_depth.cameras import camera_from_fov
from scene_depth.depth.completion import CompletionSettings, complete_frames, make_completer
from scene_depth.depth.completion_files import find_frame_files
from scene_depth.depth.masks import random_points, rectangle
from scene_depth.depth.solver import SolverInpainter, sizes
from scene_depth.depth.solver.energy import DataParameters
from scene_depth.depth.solver.inpainter import BRITTLE
from scene_depth.depth.solver.problem import Problem
from scene_depth.depth.solver.sizes import halved_sizes, halvings
from scene_depth.errors import InputError
from scene_depth.geometry import normals
from scene_depth.io.depth_images import write_depth
from scene_depth.io.images import write_image
from scene_depth.work import Work

SMALL = SolverInpainter(processing_resolution=40)


def plane(height: int, width: int) -> np.ndarray:
    """Depth of a plane: inverse depth is affine in the pixel coordinates."""
    y, x = np.mgrid[:height, :width]
    return (1.0 / (1.0 + 0.4 * x / width - 0.3 * y / height)).astype(np.float32)


def two_boxes(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A near box before a slanted wall, and the picture in which both have their own colour."""
    depth, rgb = 3.0 * plane(height, width), np.full((height, width, 3), (0.7, 0.6, 0.5), dtype=np.float32)
    box = np.s_[height // 4 : 3 * height // 4, width // 3 : 2 * width // 3]
    depth[box], rgb[box] = 1.0, (0.1, 0.2, 0.5)
    return depth, rgb


def scan_lines(shape: tuple[int, int], step: int = 9) -> np.ndarray:
    known = np.zeros(shape, bool)
    known[step // 2 :: step] = True
    return known


@pytest.mark.parametrize(
    ("size", "resolution", "count"),
    [
        ((960, 1280), None, 0),
        ((1000, 1500), None, 0),
        ((1001, 1500), None, 1),
        ((3000, 4000), None, 2),
        ((3000, 4000), 0, 0),
        ((3000, 4000), 2000, 1),
        ((3000, 4000), 1999, 2),
        ((12, 4000), 100, 0),
    ],
)
def test_how_often_a_picture_is_halved(size, resolution, count):
    assert halvings(*size, resolution) == count


@settings(max_examples=8)
@given(
    st.integers(33, 90), st.integers(33, 110), st.integers(0, 10_000), st.sampled_from(["points", "hole", "lines"]), st.booleans()
)
def test_known_depth_stays_and_all_is_depth(height, width, seed, kind, colors):
    rng = np.random.default_rng(seed)
    depth = np.exp(ndimage.gaussian_filter(rng.normal(size=(height, width)), 3) * 4).astype(np.float32)
    rgb = rng.random((height, width, 3)).astype(np.float32) if colors else None
    masks = {
        "points": lambda: random_points((height, width), seed, 9),
        "hole": lambda: rectangle((height, width), seed, smallest=0.2, largest=0.5),
        "lines": lambda: scan_lines((height, width)),
    }
    known = masks[kind]()
    found = sd.inpaint_depth(SMALL, rgb, depth, known)
    doubled = sd.inpaint_depth(SMALL, rgb, depth * 4, known)
    assert np.array_equal(found.depth[known], depth[known])
    assert np.isfinite(found.depth).all()
    assert (found.depth > 0).all()
    assert np.array_equal(doubled.depth, found.depth * 4)
    assert found.uncertainty is not None
    assert np.isfinite(found.uncertainty).all()
    assert (found.uncertainty >= 0).all()
    assert (found.uncertainty[known] == 0).all()
    assert found.uncertainty[~known].max() > 0
    low, high = depth[known].min(), depth[known].max()
    assert found.depth.min() >= 0.7 * low
    assert found.depth.max() <= high / 0.6


@pytest.mark.parametrize("kind", ["points", "hole", "lines"])
@pytest.mark.parametrize("shape", [(96, 128), (75, 101)])
def test_constant_and_planar_depth_are_continued(kind, shape):
    known = {
        "points": random_points(shape, 3, 60),
        "hole": rectangle(shape, 3, smallest=0.2, largest=0.2),
        "lines": scan_lines(shape),
    }[kind]
    even = sd.inpaint_depth(SMALL, None, np.full(shape, 2.5, np.float32), known).depth
    assert even == pytest.approx(np.full(shape, 2.5), rel=1e-5)
    tilted = sd.inpaint_depth(SMALL, None, plane(*shape), known).depth
    error = np.abs(tilted / plane(*shape) - 1)
    assert error.mean() < (0.005 if kind == "points" else 0.001)
    assert error.max() < (0.05 if kind == "points" else 0.006)


@pytest.mark.parametrize("kind", ["points", "hole"])
def test_edges_of_depth_lie_on_edges_of_the_picture(kind):
    depth, rgb = two_boxes(120, 160)
    known = random_points(depth.shape, 1, 400) if kind == "points" else np.ones(depth.shape, bool)
    if kind == "hole":
        known[20:60, 30:120] = False  # the box's upper end and what is around it
    found = sd.inpaint_depth(SMALL, rgb, depth, known)
    wrong = np.abs(found.depth / depth - 1) > 0.2
    assert wrong[~known].mean() < 0.01
    assert found.details["model"] == {"solved_at": [30, 40], "finished": True}


def test_no_step_at_the_rim_of_known_depth():
    y, x = np.mgrid[:120, :160]
    depth = (plane(120, 160) * (1 + 0.02 * np.sin(x / 3) * np.sin(y / 4))).astype(np.float32)  # finer than the small picture
    known = np.ones(depth.shape, bool)
    known[40:80, 50:110] = False
    step, least = (
        sd.inpaint_depth(SolverInpainter(processing_resolution=side), None, depth, known).seam.depth_jump for side in (40, 0)
    )
    assert step < 1.2 * least


def solved_to(values: dict[int, float]) -> sizes.SizedSolver:
    """A solver that finds one value in all holes, by the width of the picture, and is as sure of it as that width is large."""

    def solve(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        width = problem.known.shape[1]
        found = np.where(problem.known, problem.values, np.float32(values[width]))
        return found, np.where(problem.known, 0, np.float32(1 / width))

    return sizes.SizedSolver(solve, lambda rows: np.moveaxis(rows, -1, 0), 0.0, BRITTLE, DataParameters(), smallest=100)


def test_far_from_known_depth_the_smaller_size_counts():
    known = np.zeros((200, 400), bool)
    known[:, :6], known[:, -6:] = True, True
    picture, inverse = np.zeros((200, 400, 1), np.float32), np.ones((200, 400))
    found = solved_to({400: 1.1, 200: 1.2, 100: 1.25})(inverse, known, picture, 0, Work())
    distance = ndimage.distance_transform_edt(~known)
    assert (found.values[known] == 1).all()
    assert (found.values[(distance > 0) & (distance <= 4)] == np.float32(1.1)).all()
    assert found.values[distance > 160] == pytest.approx(1.25, abs=2e-3)  # 80 pixels of the half size, more than it counts in
    row = found.values[100, 5:200]
    assert (np.diff(row) > -2e-3).all()
    assert found.sigma[distance > 160] == pytest.approx(1 / 100, rel=1e-3)
    assert found.sigma[distance == 1] == pytest.approx(1 / 400)
    assert found.details == {}


def test_sizes_that_nothing_is_far_in_are_not_solved():
    known = np.zeros((200, 400), bool)
    known[::5, ::5] = True
    found = solved_to({400: 1.1})(np.ones((200, 400)), known, np.zeros((200, 400, 1), np.float32), 0, Work())
    assert (found.values[~known] == np.float32(1.1)).all()


def test_neither_bands_nor_threads_show(monkeypatch):
    depth, rgb = two_boxes(400, 96)
    rgb = np.clip(rgb + np.random.default_rng(0).normal(0, 0.02, rgb.shape), 0, 1).astype(np.float32)
    known = random_points(depth.shape, 1, 300)
    whole = sd.inpaint_depth(SMALL, rgb, depth, known)
    monkeypatch.setattr(sizes, "BAND_PIXELS", 1)
    banded = sd.inpaint_depth(SolverInpainter(processing_resolution=40, threads=2), rgb, depth, known)
    assert np.array_equal(banded.depth, whole.depth)
    assert np.array_equal(banded.uncertainty, whole.uncertainty)


def test_bands_do_not_show_in_normals(monkeypatch):
    depth, _ = two_boxes(40, 50)
    camera = camera_from_fov(torch.eye(4), 0.9, 50, 40)
    known = random_points(depth.shape, 1, 1200)
    whole = normals.normals_from_depth(depth, camera, known)

    def in_bands(rows, first, end, work_a_row, *arguments) -> None:
        for start in range(first, end, 7):
            rows(start, min(start + 7, end), *arguments)

    monkeypatch.setattr(normals, "run_rows", in_bands)
    assert np.array_equal(normals.normals_from_depth(depth, camera, known), whole)


def test_small_pictures_are_solved_as_they_are():
    depth, rgb = two_boxes(60, 80)
    known = random_points(depth.shape, 1, 200)
    usual, own = (sd.inpaint_depth(SolverInpainter(processing_resolution=side), rgb, depth, known) for side in (None, 0))
    assert np.array_equal(usual.depth, own.depth)
    assert "model" not in usual.details


def test_a_prior_keeps_its_detail():
    depth, rgb = two_boxes(120, 160)
    known = np.ones(depth.shape, bool)
    known[:, 40:120] = False
    prior = 3.0 / depth + 1.0  # inverse depth up to scale and shift
    led = SolverInpainter(prior=prior, prior_space="inverse", processing_resolution=40)
    assert sd.inpaint_depth(led, rgb, depth, known).depth == pytest.approx(depth, rel=0.02)
    metric = SolverInpainter(prior=1.3 * depth, prior_space="depth", fit="scale", processing_resolution=40)
    assert sd.inpaint_depth(metric, rgb, depth, known).depth == pytest.approx(depth, rel=0.05)


def test_steps_are_told_and_can_be_stopped():
    depth, rgb = two_boxes(120, 160)
    known = random_points(depth.shape, 1, 300)
    told: list[sd.Progress] = []
    whole = sd.inpaint_depth(SMALL, rgb, depth, known, on_progress=told.append)
    assert [step.done for step in told] == sorted(step.done for step in told)
    assert "solving at 40 x 30 pixels" in told[0].message
    assert told[-1].done < told[-1].total
    ended = sd.inpaint_depth(SMALL, rgb, depth, known, on_progress=lambda step: False)
    assert ended.details["model"]["finished"] is False
    assert np.array_equal(ended.depth[known], depth[known])
    assert not np.array_equal(ended.depth, whole.depth)
    assert np.abs(ended.depth / depth - 1).mean() < 0.1


def test_a_frame_tells_its_steps_and_is_not_written_when_stopped(tmp_path):
    depth, rgb = two_boxes(120, 160)
    write_image(tmp_path / "a.png", rgb)
    write_depth(tmp_path / "a.npy", np.where(random_points(depth.shape, 1, 300), depth, 0))
    frames = find_frame_files(tmp_path / "a.png", tmp_path / "a.npy", None, None, None)
    chosen = CompletionSettings(inpainter="solver[processing_resolution=40]", points=False)
    completer, told = make_completer(chosen, frames), []

    def stop_at_the_second(step: sd.Progress) -> bool:
        told.append(step)
        return len(told) < 3

    report = complete_frames(frames, completer, tmp_path / "out", on_progress=stop_at_the_second)
    assert not report.finished
    assert not list((tmp_path / "out").rglob("*.npy"))
    assert told[1].message == "a: solving at 40 x 30 pixels, 0% done"
    assert (told[1].done, told[1].total) == (0, 1)
    report = complete_frames(frames, completer, tmp_path / "out")
    assert report.finished
    assert report.frames[0].details["model"]["solved_at"] == [30, 40]


def test_halving_takes_the_nearer_of_two_surfaces():
    values = np.array([[0.0, 0.0, 1.0, 1.02], [0.0, 0.5, 2.0, 0.0], [0.0, 0.0, 1.0, 1.02]], np.float32)
    sizes = halved_sizes(values, np.zeros((3, 4, 1), np.float32), 1)
    assert sizes[0].values.shape == (4, 4)
    assert sizes[1].values == pytest.approx(np.array([[0.5, 2.0], [0.0, 1.01]]))


def test_a_working_size_below_zero_is_refused():
    with pytest.raises(InputError, match="processing_resolution is -1"):
        SolverInpainter(processing_resolution=-1)
