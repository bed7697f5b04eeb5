"""The same bits on any number of threads, from many threads, inside each other and in forked processes."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.rasterizer_accuracy import with_gradients
from benchmarks.rasterizer_scenes import pinhole, random_splats
from scene_depth.cameras import Cameras
from scene_depth.rendering import render
from scene_depth.splats import PARAMETERS


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def draw(seed: int) -> list[Tensor]:
    """Images, radii and all gradients of a scene of several chunks of splats and many tiles."""
    one = pinhole(150, 110, fx=120, fy=130, cx=70, cy=61)
    cameras = Cameras(one.camera_to_world.expand(2, 4, 4), one.K.expand(2, 3, 3), 150, 110)
    splats, cameras = with_gradients(random_splats(9000, seed=seed), cameras, torch.float32)
    probe = torch.zeros(2, 9000, 2, requires_grad=True)
    drawn = render(splats, cameras, median_depth=True, means2d=probe, absgrad=True)
    (drawn.rgb.square().sum() + drawn.depth.sum() + drawn.alpha.sum()).backward()
    images = [drawn.rgb, drawn.alpha, drawn.depth, drawn.median_depth, drawn.radii]
    gradients = [getattr(splats, name).grad for name in PARAMETERS]
    found = [*images, *gradients, cameras.camera_to_world.grad, probe.grad, probe.absgrad]  # type: ignore[attr-defined]
    return [values.detach().clone() for values in found]


def same_bits(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(x.numpy().tobytes() == y.numpy().tobytes() for x, y in zip(a, b, strict=True))


def test_same_bits_for_any_number_of_threads() -> None:
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(draw(0))
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])


def test_calls_from_many_threads() -> None:
    torch.set_num_threads(2)
    alone = [draw(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(draw, [0, 1, 2, 3, 3, 2, 1, 0]))
    for expected, found in zip([*alone, *alone[::-1]], together, strict=True):
        assert same_bits(expected, found)


def test_a_call_inside_the_backward_pass_of_another() -> None:
    torch.set_num_threads(2)
    splats, cameras = with_gradients(random_splats(500), pinhole(64, 64, fx=50, fy=50), torch.float32)
    expected = render(splats, cameras)
    expected.rgb.sum().backward()
    inner: list[Tensor] = []
    again, views = with_gradients(splats, cameras, torch.float32)
    drawn = render(again, views)
    drawn.rgb.register_hook(lambda gradient: inner.append(render(splats.detach(), cameras).rgb.detach()))
    drawn.rgb.sum().backward()
    assert torch.equal(inner[0], expected.rgb)
    assert torch.equal(again.means.grad, splats.means.grad)


def _draw_in_child(queue: Any) -> None:
    torch.set_num_threads(2)
    with torch.no_grad():
        drawn = render(random_splats(200), pinhole(48, 40, fx=40, fy=40))
    queue.put(drawn.rgb.numpy().tobytes())


@pytest.mark.skipif(sys.platform != "linux", reason="fork is not safe elsewhere")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_renders_too() -> None:
    torch.set_num_threads(2)
    expected = render(random_splats(200), pinhole(48, 40, fx=40, fy=40)).rgb.numpy().tobytes()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_draw_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(timeout=60)
    assert child.exitcode == 0
