"""Endless rows of frames: every frame by (seed, index), sizes and windows, the cache of procedural frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scene_depth_synthetic.procedural import generate_frame
from scene_depth_synthetic.stream import procedural_frames

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames import LAYOUTS, DepthFrame
from scene_depth.datasets.streams import (
    FRAME_STREAMS,
    MixedStream,
    ShuffledStream,
    SourceConfig,
    ViewConfig,
    drawn_view,
    open_stream,
    procedural_source,
    shuffled_position,
    training_view,
)
from scene_depth.errors import InputError


@dataclass(frozen=True)
class Numbered:
    """A frame whose depth says which one it is."""

    number: int
    role: str = "train"

    @property
    def name(self) -> str:
        return str(self.number)

    def load(self) -> DepthFrame:
        return DepthFrame(self.name, np.full((2, 2), self.number + 1, np.float32))


def row(stream, seed: int, count: int) -> list[int]:
    return [int(stream.sample(seed, index).truth[0, 0]) for index in range(count)]


@given(st.integers(1, 300), st.integers(0, 2**31), st.integers(0, 5))
def test_every_epoch_has_each_frame_once(count: int, seed: int, epoch: int) -> None:
    places = [shuffled_position(count, seed, epoch * count + i) for i in range(count)]
    assert sorted(places) == list(range(count))


def test_the_order_changes_with_seed_and_epoch_only() -> None:
    stream = ShuffledStream([Numbered(i) for i in range(50)])
    first, second = row(stream, 0, 100)[:50], row(stream, 0, 100)[50:]
    assert first != second
    assert first != row(stream, 1, 50)
    assert row(stream, 0, 50) == first
    assert first != sorted(first)


def test_mixtures_keep_their_shares() -> None:
    few, many = (ShuffledStream([Numbered(start + i) for i in range(10)]) for start in (0, 100))
    numbers = np.array(row(MixedStream((few, many), (1.0, 9.0)), 3, 3000))
    assert np.mean(numbers > 100) == pytest.approx(0.9, abs=0.02)
    assert len(set(numbers)) == 20
    with pytest.raises(InputError, match="weights"):
        MixedStream((few, many), (1.0, 0.0))
    with pytest.raises(InputError, match="frames"):
        ShuffledStream([])


def test_procedural_frames_are_those_of_the_generator_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = procedural_frames("table_top", 3, 5, 32, 24, samples=1, cache=tmp_path)[1]
    first = source.load()
    truth = generate_frame("table_top", source.seed, 32, 24, samples=1)
    assert np.array_equal(first.truth, truth.depth)
    assert np.array_equal(first.instances, truth.instances)
    assert np.array_equal(first.classes, truth.classes)
    assert first.class_names[1:3] == ("floor", "wall")
    assert first.rgb is not None
    assert np.abs(first.rgb - truth.rgb).max() <= 0.5 / 255 + 1e-6
    assert first.camera is not None
    assert torch.equal(first.camera.K, truth.camera.K.double())
    (kept,) = tmp_path.rglob("*.npz")
    monkeypatch.setattr("scene_depth_synthetic.stream.generate_frame", None)  # must not be asked again
    again = source.load()
    assert np.array_equal(again.rgb, first.rgb)
    assert np.array_equal(again.truth, first.truth)
    assert np.array_equal(again.classes, first.classes)
    with np.load(kept) as file:
        early = {name: file[name] for name in file.files if name != "classes"}
    np.savez_compressed(kept, allow_pickle=False, **early)
    assert source.load().classes is None
    monkeypatch.undo()
    kept.write_bytes(kept.read_bytes()[:100])  # cut short, as by a full disk
    assert np.array_equal(source.load().truth, first.truth)


def a_frame(height: int = 20, width: int = 30) -> DepthFrame:
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 5, (height, width)).astype(np.float32)
    K = torch.tensor([[[25.0, 0, 13.0], [0, 26.0, 9.0], [0, 0, 1]]], dtype=torch.float64)
    labels = np.arange(height * width, dtype=np.int32).reshape(height, width)
    camera = Cameras(torch.eye(4, dtype=torch.float64)[None], K, width, height)
    return DepthFrame(
        "a", depth, rng.random((height, width, 3)).astype(np.float32), camera, {"lidar": depth}, instances=labels, classes=labels
    )


def test_views_keep_pixels_labels_and_camera_together() -> None:
    """A point that is unprojected from the view lies where it lay in the frame, or in its mirror image."""
    frame = a_frame()
    config = ViewConfig(width=16, height=8, scale=1.0)
    windows = set()
    for seed in range(20):
        view = training_view(frame, config, np.random.default_rng(seed))
        assert view.instances is not None
        assert view.camera is not None
        rows, columns = np.divmod(view.instances, 30)
        assert np.array_equal(view.truth, frame.truth[rows, columns])
        assert np.array_equal(view.rgb, frame.rgb[rows, columns])
        assert np.array_equal(view.measured["lidar"], view.truth)
        mirrored = columns[0, 0] > columns[0, 1]
        x = (np.arange(16) + 0.5 - float(view.camera.K[0, 0, 2])) / float(view.camera.K[0, 0, 0])
        before = (columns[0] + 0.5 - 13.0) / 25.0
        assert np.allclose(x, -before if mirrored else before)
        windows.add((int(rows[0, 0]), int(columns.min()), bool(mirrored)))
    assert len(windows) > 10
    assert {mirrored for *_, mirrored in windows} == {True, False}


def test_frames_without_depth_are_passed_over() -> None:
    class Patchy:
        def sample(self, seed: int, index: int) -> DepthFrame:
            return replace(a_frame(), truth=np.full((20, 30), 7.0 if seed >= 5 else 0.0, np.float32), measured={})

    config, rng = ViewConfig(width=16, height=8), np.random.default_rng(0)
    assert drawn_view(Patchy(), 3, 0, config, rng).truth.min() == 7
    with pytest.raises(InputError, match="16 frames without valid depth"):
        drawn_view(Patchy(), -100, 0, config, rng)


def test_views_without_chance_take_the_centre_or_the_bottom() -> None:
    frame = a_frame()
    for anchor, top in (("center", 6), ("random", 6), ("bottom", 12)):
        view = training_view(frame, ViewConfig(width=16, height=8, scale=1.0, anchor=anchor), None)
        assert view.instances is not None
        assert view.instances[0, 0] == top * 30 + 7
    covering = training_view(frame, ViewConfig(width=15, height=10), None)
    assert covering.truth.shape == (10, 15)
    half = training_view(frame, ViewConfig(width=12, height=8, scale=0.5, anchor="center"), None)
    assert half.truth.shape == (8, 12)
    with pytest.raises(InputError, match="30 x 20 pixels"):
        training_view(frame, ViewConfig(width=32, height=8), None)


def test_sources_are_opened_from_their_configuration(tmp_path: Path) -> None:
    (tmp_path / "depth").mkdir()
    for number in range(3):
        np.save(tmp_path / "depth" / f"{number}.npy", np.full((4, 4), number + 1, np.float32))
    plain = SourceConfig(layout="plain", path=str(tmp_path))
    assert sorted(row(open_stream([plain]), 0, 3)) == [1, 2, 3]
    assert len(open_stream([plain, SourceConfig(layout="plain", path=str(tmp_path), limit=2)])) == 5
    for source, message in (
        (SourceConfig(layout="plain"), "path: none"),
        (SourceConfig(layout="plain", path=str(tmp_path / "missing")), "no such file"),
        (procedural_source(count=0, cache="none"), "count"),
        (procedural_source(samples=3, cache="none"), "power of two"),
        (procedural_source(sides=3), "sides"),
        (replace(plain, options={"count": 3}), "options: count"),
    ):
        with pytest.raises(InputError, match=message):
            open_stream([source])
    with pytest.raises(InputError, match="layout is 'nyuu'"):
        SourceConfig(layout="nyuu")
    with pytest.raises(InputError, match="at least one"):
        open_stream([])
    program = (
        "from scene_depth.datasets.frames import find_frames\n\ndef last(path, first=0):\n    return find_frames(path)[first:]\n"
    )
    (tmp_path / "mine.py").write_text(program)
    mine = SourceConfig(layout=f"{tmp_path / 'mine.py'}:last[first=1]", path=str(tmp_path))
    assert sorted(row(open_stream([mine]), 0, 2)) == [2, 3]


def test_layouts_and_the_generator_are_frame_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {entry.name: entry for entry in FRAME_STREAMS.available()}
    assert set(LAYOUTS) | {"procedural"} <= set(entries)
    assert all(entry.problem is None for entry in entries.values())
    assert {"kinds", "count", "seed", "cache"} <= {option.name for option in entries["procedural"].options}
    monkeypatch.setattr("scene_depth.registry.entry_points", lambda group: ())
    with pytest.raises(InputError, match="'procedural', which is not installed; expected the package scene_depth_synthetic"):
        open_stream([SourceConfig()])
