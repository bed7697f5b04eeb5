"""Frames of the shared layout, real ones where they are there, and their other sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scene_depth.datasets.frames import DepthFrame, cropped_frame, find_frames, limited_frame, resized_frame
from scene_depth.datasets.frames.frame import pinhole
from scene_depth.datasets.frames.resize import mirrored_frame
from scene_depth.errors import InputError


def test_every_listed_frame_is_as_its_list_says(shared: Callable[[str], Path]) -> None:
    folder = shared("data/frames.json").parent
    entries = json.loads((folder / "frames.json").read_text())["frames"]
    sources = find_frames(folder)
    assert [source.name for source in sources] == [entry["name"] for entry in entries]
    for source, entry in zip(sources, entries, strict=True):
        if "depth" not in entry or entry["role"] != "eval":
            continue
        frame = source.load()
        assert frame.truth.shape == (entry["height"], entry["width"])
        assert frame.valid.mean() == pytest.approx(entry["valid_fraction"], abs=1e-4)
        assert frame.truth.max() == pytest.approx(entry["depth_max_m"], abs=1e-3)
        assert frame.truth[frame.valid].min() == pytest.approx(entry["depth_min_m"], abs=1e-3)
        if frame.camera is not None:
            K = json.loads((folder / entry["name"] / "K.json").read_text())
            assert frame.camera.K[0, 0, 2].item() == pytest.approx(K["cx"] + 0.5)
            assert frame.camera.K[0, 1, 2].item() == pytest.approx(K["cy"] + 0.5)


def test_special_frames(shared: Callable[[str], Path]) -> None:
    frames = {source.name: source for source in find_frames(shared("data/frames.json").parent)}
    glass = frames["cleargrasp_bottles"].load()
    assert list(glass.measured) == ["sensor_depth"]
    assert glass.score_mask is not None
    assert 0 < glass.score_mask.mean() < 0.5
    counter = frames["depthlab_counter"].load()
    assert counter.object_mask is not None
    assert counter.valid.all()
    assert counter.score_mask is None
    phone = frames["rgbdd_toy"].load()
    assert np.count_nonzero(phone.measured["lowres"]) == pytest.approx(192 * 144, rel=0.02)
    room = frames["kinect_hotel_room"].load()
    assert room.prior is not None
    assert np.corrcoef(room.prior[room.valid], room.truth[room.valid])[0, 1] > 0.7  # grows with depth
    with pytest.raises(InputError, match="qualitative"):
        frames["arkit_library"].load()


def test_a_frame_folder_alone_and_a_scene_folder(shared: Callable[[str], Path]) -> None:
    (source,) = find_frames(shared("data/nyu_basement_a"))
    assert source.name == "nyu_basement_a"
    listed = next(other for other in find_frames(shared("data")) if other.name == source.name)
    np.testing.assert_array_equal(source.load().truth, listed.load().truth)
    views = find_frames(shared("data/hololens_office"))
    assert len(views) == 27
    assert views[0].load().camera is not None


def frame(height: int, width: int, share: float, seed: int = 0) -> DepthFrame:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1, 9, (height, width)).astype(np.float32) * (rng.random((height, width)) < share)
    return DepthFrame(
        "made",
        truth,
        rgb=rng.random((height, width, 3)).astype(np.float32),
        camera=pinhole(50, 51, 20, 16, width, height, first_center=0.5),
        measured={"lidar": truth * (rng.random((height, width)) < 0.1)},
        object_mask=rng.random((height, width)) < 0.5,
        prior=truth + 1,
    )


def test_halving_by_hand() -> None:
    whole = frame(20, 28, 1.0)
    half = resized_frame(whole, 14, 10)
    assert half.rgb is not None
    assert whole.rgb is not None
    np.testing.assert_allclose(half.rgb, whole.rgb.reshape(10, 2, 14, 2, 3).mean((1, 3)), atol=1e-6)
    np.testing.assert_array_equal(half.truth, whole.truth[1::2, 1::2])
    assert half.camera is not None
    assert half.camera.K[0].tolist() == [[25, 0, 10], [0, 25.5, 8], [0, 0, 1]]


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 1000))
def test_sparse_points_move_and_the_nearest_wins(height: int, width: int, seed: int) -> None:
    whole = frame(30, 40, 0.05, seed)
    small = resized_frame(whole, width, height)
    expected = np.zeros((height, width), np.float32)
    for row, column in np.argwhere(whole.truth > 0):
        place = int((row + 0.5) * height / 30), int((column + 0.5) * width / 40)
        if expected[place] == 0 or whole.truth[row, column] < expected[place]:
            expected[place] = whole.truth[row, column]
    np.testing.assert_array_equal(small.truth, expected)


def test_a_window_keeps_the_rays() -> None:
    whole = frame(20, 28, 1.0)
    window = cropped_frame(whole, 4, 3, 10, 12)
    np.testing.assert_array_equal(window.truth, whole.truth[3:15, 4:14])
    assert whole.camera is not None
    assert window.camera is not None
    rays = whole.camera.ray_directions()[0, 3:15, 4:14]
    np.testing.assert_allclose(window.camera.ray_directions()[0].numpy(), rays.numpy())
    with pytest.raises(InputError, match="window"):
        cropped_frame(whole, 20, 3, 10, 12)


def test_classes_stay_with_their_pixels() -> None:
    """Depth tells the class, before and after; the names go along."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 9, (20, 28)).astype(np.int32)
    whole = DepthFrame("made", classes + np.float32(1), classes=classes, class_names=("none", "wall"))
    for changed in (resized_frame(whole, 13, 11), cropped_frame(whole, 4, 3, 10, 12), mirrored_frame(whole)):
        assert changed.classes is not None
        assert changed.classes.dtype == np.int32
        np.testing.assert_array_equal(changed.classes + 1, changed.truth)
        assert changed.class_names == ("none", "wall")
    np.testing.assert_array_equal(mirrored_frame(whole).truth[:, 0], classes[:, -1] + 1)
    with pytest.raises(InputError, match="classes: size 27 x 20"):
        DepthFrame("made", classes + np.float32(1), classes=classes[:, 1:])


def test_limits() -> None:
    whole = frame(20, 28, 1.0)
    assert limited_frame(whole, None) is whole
    assert limited_frame(whole, 28) is whole
    assert limited_frame(whole, 14).truth.shape == (10, 14)
    with pytest.raises(InputError, match="max-size"):
        limited_frame(whole, 0)
    with pytest.raises(InputError, match="size"):
        resized_frame(whole, 56, 40)
