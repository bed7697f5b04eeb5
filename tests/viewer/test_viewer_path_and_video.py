"""Camera paths between key frames, their files, and videos that other programs read."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene_depth_viewer.camera_path import (
    CameraPath,
    Key,
    camera_of,
    check_video,
    key_of,
    read_path,
    video_suffixes,
    write_path,
    write_video,
)
from scipy.spatial.transform import Rotation

from scene_depth.errors import InputError
from scene_depth.io.camera_paths import read_camera_path


def key(degrees: float, x: float, fov: float = 0.8) -> Key:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    pose[:3, 3] = x, 0.5, -x
    return Key(pose, fov)


def test_frames_pass_through_the_keys_at_their_times() -> None:
    keys = [key(0, 0), key(40, 1, 1.0), key(60, 3), key(30, 4, 0.6)]
    frames = CameraPath(keys, seconds=1.5, fps=20).frames()
    assert len(frames) == 91
    for number, expected in enumerate(keys):
        assert np.allclose(frames[30 * number].camera_to_world, expected.camera_to_world, atol=1e-9)
        assert frames[30 * number].fov == pytest.approx(expected.fov)
    rotations = np.stack([frame.camera_to_world[:3, :3] for frame in frames])
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert min(frame.fov for frame in frames) >= 0.6 - 1e-12


def test_the_motion_is_smooth_where_keys_meet() -> None:
    frames = CameraPath([key(0, 0), key(80, 1), key(90, 5)], seconds=1, fps=500).frames()
    places = np.stack([frame.camera_to_world[:3, 3] for frame in frames])
    speed = np.diff(places, axis=0)
    rotations = Rotation.from_matrix([frame.camera_to_world[:3, :3] for frame in frames])
    turning = (rotations[:-1].inv() * rotations[1:]).magnitude()
    for change in (np.abs(np.diff(speed, axis=0)).max() / np.abs(speed).max(), np.abs(np.diff(turning)).max() / turning.max()):
        assert change < 0.02  # a corner would be a jump of its whole size


def test_a_straight_even_path_is_even() -> None:
    frames = CameraPath([key(0, 0), key(0, 1), key(0, 2)], seconds=1, fps=10).frames()
    assert np.allclose([frame.camera_to_world[0, 3] for frame in frames], np.linspace(0, 2, 21), atol=1e-9)


def test_a_closed_path_ends_where_it_began() -> None:
    frames = CameraPath([key(0, 0), key(50, 1), key(10, 2)], seconds=1, fps=10, closed=True).frames()
    assert len(frames) == 31
    assert np.allclose(frames[0].camera_to_world, frames[-1].camera_to_world, atol=1e-9)


def test_too_few_or_too_many_frames_are_refused() -> None:
    with pytest.raises(InputError, match="1 key frames; expected two or more"):
        CameraPath([key(0, 0)]).frames()
    with pytest.raises(InputError, match="frames"):
        CameraPath([key(0, 0), key(0, 1)], seconds=1e6).frames()


def test_cameras_keep_their_place(tmp_path: Path) -> None:
    there = key(30, 2, 1.1)
    camera = camera_of(there, 320, 200)
    back = key_of(camera)
    assert np.allclose(back.camera_to_world, there.camera_to_world)
    assert back.fov == pytest.approx(1.1)
    assert float(camera.K[0, 1, 1]) == pytest.approx(100 / math.tan(0.55))


def test_files_are_read_back_and_by_the_render_command(tmp_path: Path) -> None:
    path = CameraPath([key(0, 0), key(40, 1, 1.0), key(-20, 3)], seconds=0.5, fps=10, closed=True)
    file = tmp_path / "path.json"
    write_path(file, path, 640, 360)
    back = read_path(file)
    assert (back.seconds, back.fps, back.closed) == (0.5, 10, True)
    assert len(back.keys) == 3
    for one, other in zip(back.keys, path.keys, strict=True):
        assert np.allclose(one.camera_to_world, other.camera_to_world)
        assert one.fov == pytest.approx(other.fov)
    cameras, fps = read_camera_path(file)
    assert (len(cameras), fps, cameras.width, cameras.height) == (16, 10.0, 640, 360)
    assert np.allclose(cameras.camera_to_world.numpy(), [frame.camera_to_world for frame in path.frames()])


def test_files_without_key_frames_and_damaged_ones(tmp_path: Path) -> None:
    file = tmp_path / "path.json"
    write_path(file, CameraPath([key(0, 0), key(9, 1)], seconds=1, fps=4), 64, 36)
    content = json.loads(file.read_text())
    del content["keyframes"]
    file.write_text(json.dumps(content))
    assert len(read_path(file).keys) == 5
    content["keyframes"] = [{"matrix": [1, 2], "fov": 50}]
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"path\.json: keyframes"):
        read_path(file)


@pytest.fixture
def frames() -> list[np.ndarray]:
    """Five pictures of odd size whose grey grows."""
    return [np.full((37, 51, 3), 40 * number, dtype=np.uint8) for number in range(5)]


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_animations(tmp_path: Path, frames: list[np.ndarray], suffix: str) -> None:
    write_video(tmp_path / f"a{suffix}", frames, 10)
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert (image.n_frames, image.size) == (5, (51, 37))
        image.seek(3)
        assert abs(int(np.asarray(image.convert("RGB")).mean()) - 120) < 6
        assert image.info["duration"] == 100


def test_mp4(tmp_path: Path, frames: list[np.ndarray]) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    assert video_suffixes()[0] == ".mp4"
    write_video(tmp_path / "a.mp4", frames, 12.5)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == 12.5
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [image.shape for image in decoded] == [(38, 52, 3)] * 5  # even sides
    assert np.allclose([image.mean() for image in decoded], [0, 40, 80, 120, 160], atol=6)


def test_pictures_in_a_folder(tmp_path: Path, frames: list[np.ndarray]) -> None:
    write_video(tmp_path / "shots", frames, 10)
    assert [path.name for path in sorted((tmp_path / "shots").iterdir())] == [f"0000{number}.png" for number in range(5)]


def test_bad_names_are_refused_and_a_failed_video_leaves_nothing(
    tmp_path: Path, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"'\.avi'"):
        check_video(tmp_path / "a.avi")
    with pytest.raises(InputError, match="no frame"):
        write_video(tmp_path / "a.webp", [], 10)

    def breaking():
        yield from frames[:2]
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write_video(tmp_path / "a.webp", breaking(), 10)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install av"):
        check_video(tmp_path / "a.mp4")
