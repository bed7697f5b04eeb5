"""LiDAR scans with KITTI calibrations: projection against plain loops, hidden points against traced rays, the command."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tyro
from PIL import Image

from scene_depth.cli.app import STYLE
from scene_depth.cli.complete import Complete
from scene_depth.errors import InputError
from scene_depth.geometry.scan_projection import scan_depth, shining_through
from scene_depth.io.depth_images import read_depth
from scene_depth.io.velodyne import read_scan_calibration, read_velodyne

WIDTH, HEIGHT = 310, 94
P2 = np.array([[180.0, 0, 152.0, 11.0], [0, 180.0, 43.0, 0.05], [0, 0, 1, 0.003]])
TO_CAMERA = np.array([[0.0, -1, 0, 0.01], [0, 0, -1, -0.08], [1, 0, 0, -0.27]])  # scanner axes to the camera's, metres


def turn(axis: int, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.eye(3)
    a, b = [i for i in range(3) if i != axis]
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


RECTIFY = turn(0, 0.01) @ turn(1, -0.02)


def numbers(matrix: np.ndarray) -> str:
    return " ".join(f"{value:.12e}" for value in matrix.ravel())


def write_calibration(folder: Path, kind: str) -> Path:
    """The same cameras as the three benchmarks write them."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "object":
        path = folder / "000000.txt"
        lines = [f"P{i}: {numbers(P2 if i == 2 else np.eye(3, 4))}" for i in range(4)]
        path.write_text("\n".join([*lines, f"R0_rect: {numbers(RECTIFY)}", f"Tr_velo_to_cam: {numbers(TO_CAMERA)}", ""]))
        return path
    if kind == "odometry":
        path = folder / "calib.txt"
        path.write_text(f"P2: {numbers(P2)}\nTr: {numbers(RECTIFY @ TO_CAMERA)}\n")
        return path
    (folder / "calib_cam_to_cam.txt").write_text(
        f"calib_time: 09-Jan-2012 13:57:47\nS_rect_02: {WIDTH}.0 {HEIGHT}.0\n"
        f"R_rect_00: {numbers(RECTIFY)}\nP_rect_02: {numbers(P2)}\n"
    )
    (folder / "calib_velo_to_cam.txt").write_text(
        f"calib_time: x\nR: {numbers(TO_CAMERA[:, :3])}\nT: {numbers(TO_CAMERA[:, 3])}\n"
    )
    return folder


def write_scan(path: Path, points: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.hstack([points, np.zeros((len(points), 1))]).astype("<f4").tofile(path)
    return path


def random_points(count: int = 4000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(-20, 40, count), rng.uniform(-20, 20, count), rng.uniform(-2, 3, count)])


def projected_by_hand(points: np.ndarray) -> np.ndarray:
    """Point by point with KITTI's 4x4 chain; a pixel holds what rounds to it, since P counts from the first pixel's centre."""
    depth = np.zeros((HEIGHT, WIDTH))
    tr, rect = np.eye(4), np.eye(4)
    tr[:3], rect[:3, :3] = TO_CAMERA, RECTIFY
    for point in points.astype(np.float32).astype(np.float64):
        u, v, w = P2 @ rect @ tr @ np.append(point, 1)
        if w <= 0:
            continue
        column, row = int(np.floor(u / w + 0.5)), int(np.floor(v / w + 0.5))
        if 0 <= column < WIDTH and 0 <= row < HEIGHT and (depth[row, column] == 0 or w < depth[row, column]):
            depth[row, column] = w
    return depth


@pytest.mark.parametrize("kind", ["object", "odometry", "raw"])
def test_a_scan_lands_where_an_independent_projection_puts_it(tmp_path: Path, kind: str) -> None:
    points = random_points()
    calibration = read_scan_calibration(write_calibration(tmp_path, kind))
    scan = read_velodyne(write_scan(tmp_path / "0.bin", points))
    depth = scan_depth(scan[:, :3], calibration.camera_from_scanner, calibration.K, WIDTH, HEIGHT)
    expected = projected_by_hand(points)
    assert np.array_equal(depth > 0, expected > 0)
    assert np.allclose(depth, expected, rtol=1e-5)
    assert (depth > 0).sum() > 300


class World:
    """A wall, the ground, a wide box and a thin pole, in the camera's frame; hits are computed in closed form."""

    boxes = (((-3.0, 0.2, 8.0), (-0.5, 1.65, 10.0)), ((1.0, -1.5, 6.0), (1.3, 1.65, 6.3)), ((2.5, 0.4, 12.0), (5.5, 1.65, 16.0)))

    def distance(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Ray parameter of the first hit  # [N, 3] -> [N]"""
        with np.errstate(divide="ignore", invalid="ignore"):
            wall, ground = (30.0 - origin[2]) / rays[:, 2], (1.65 - origin[1]) / rays[:, 1]
            found = np.minimum(np.where(wall > 0, wall, np.inf), np.where(ground > 0, ground, np.inf))
            for low, high in self.boxes:
                a, b = (np.array(low) - origin) / rays, (np.array(high) - origin) / rays
                enter, leave = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
                found = np.where((enter < leave) & (enter > 0), np.minimum(found, enter), found)
        return found


def spinning_scan(world: World, scanner: np.ndarray) -> np.ndarray:
    """Hits of 64 beams in the camera's frame  # [N, 3]"""
    azimuth, elevation = np.meshgrid(np.radians(np.arange(-42, 42, 0.2)), np.radians(np.linspace(-24.8, 2.0, 64)))
    rays = np.stack([np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), np.cos(azimuth) * np.cos(elevation)], axis=-1)
    rays = rays.reshape(-1, 3)
    return scanner + rays * world.distance(scanner, rays)[:, None]


def test_points_behind_what_the_camera_sees_are_found() -> None:
    """Truth: a point is visible if a ray from the camera reaches it first."""
    world, K = World(), np.array([[720.0, 0, 620.5], [0, 720.0, 187.5], [0, 0, 1]])
    points = spinning_scan(world, np.array([0.06, -0.6, -0.27]))  # well above the camera, so that much shines through
    reached = world.distance(np.zeros(3), points)
    visible = reached > 0.99
    depth = scan_depth(points, np.eye(4), K, 1241, 376)
    projected = points @ K.T
    pixels = np.floor(projected[:, :2] / projected[:, 2:]).astype(int)
    inside = (points[:, 2] > 0) & (pixels >= 0).all(axis=1) & (pixels < [1241, 376]).all(axis=1)
    kept = inside.copy()
    kept[inside] = np.isclose(depth[pixels[inside, 1], pixels[inside, 0]], points[inside, 2], rtol=1e-5)
    hidden = np.zeros(len(points), bool)
    hidden[kept] = shining_through(depth)[pixels[kept, 1], pixels[kept, 0]]
    behind, in_sight = kept & ~visible, kept & visible
    assert behind.sum() > 200
    assert hidden[behind].mean() > 0.85
    assert hidden[in_sight].mean() < 0.01


def test_a_step_in_depth_alone_hides_little() -> None:
    depth = np.zeros((60, 80), np.float32)
    depth[::4, ::3] = 20
    depth[::4, :40:3] = 5
    assert not shining_through(depth, reach=(9, 7))[:, 43:].any()
    assert not shining_through(depth.T.copy(), reach=(9, 7))[41:].any()
    depth[21:40:4, 21] = 20  # behind the near half
    assert np.array_equal(shining_through(depth, reach=(9, 7))[:, :40], (depth == 20)[:, :40])


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Two scans with pictures and a calibration each, as in the object benchmark."""
    for number in range(2):
        name = f"{number:06d}"
        write_scan(tmp_path / "velodyne" / f"{name}.bin", random_points(seed=number))
        (tmp_path / "image_2").mkdir(exist_ok=True)
        picture = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "image_2" / f"{name}.png")
        (tmp_path / "calib").mkdir(exist_ok=True)
        write_calibration(tmp_path / "written", "object").rename(tmp_path / "calib" / f"{name}.txt")
    return tmp_path


def run(*arguments: object):
    return tyro.cli(Complete, args=[*(str(argument) for argument in arguments), "--inpainter", "nearest"], config=STYLE).run()


def test_a_folder_of_scans_is_completed_in_kittis_format_and_goes_on(scene: Path) -> None:
    arguments = (scene / "image_2", scene / "velodyne", "--calibration", scene / "calib", "--output", scene / "out")
    report = run(*arguments)
    assert [frame.name for frame in report.frames] == ["000000", "000001"]
    stored = np.asarray(Image.open(scene / "out" / "depth" / "000000.png"))
    assert stored.dtype in (np.uint16, np.int32)
    assert stored.shape == (HEIGHT, WIDTH)
    assert stored.min() > 0
    expected = projected_by_hand(random_points(seed=0))
    expected[shining_through(expected.astype(np.float32))] = 0
    measured = read_depth(scene / "out" / "measured" / "000000.png", format="kitti")
    assert np.array_equal(measured > 0, expected > 0)
    assert np.allclose(measured, expected, atol=1 / 512 + 1e-4)
    assert np.array_equal(stored[expected > 0], np.rint(expected[expected > 0] * 256))
    assert report.frames[0].hidden_pixels > 0
    assert report.frames[0].intrinsics.endswith("000000.txt")
    again = run(*arguments)
    assert again.resumed == 2
    (scene / "calib" / "000001.txt").write_text((scene / "calib" / "000001.txt").read_text() + "\n")
    assert run(*arguments).resumed == 1
    assert json.loads((scene / "out" / "report.json").read_text())["planned"] == 2


def test_processes_share_the_frames_of_a_folder(scene: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """One after the other here; that processes know their numbers is seen where the training runs in two."""
    waited = SimpleNamespace(wait_for_everyone=lambda: None)
    monkeypatch.setattr("scene_depth.depth.completion_report._state", lambda: waited)
    files = (scene / "image_2", scene / "velodyne", "--calibration", scene / "calib", "--output", scene / "out")
    for rank in (1, 0):
        for module in ("scene_depth.depth.completion", "scene_depth.cli.complete"):
            monkeypatch.setattr(f"{module}.process_share", lambda rank=rank: (rank, 2))
        report = run(*files)
        assert bool(capsys.readouterr().out) == (rank == 0)
        assert (scene / "out" / "report.json").is_file() == (rank == 0)
    assert [frame.name for frame in report.frames] == ["000000", "000001"]
    assert report.resumed == 0
    assert not list((scene / "out").glob("report_*"))
    monkeypatch.undo()
    assert run(*files).resumed == 2


def test_without_pictures_the_raw_calibration_says_the_size(tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "7.bin", random_points())
    folder = write_calibration(tmp_path / "date", "raw")
    report = run("-", scan, "--calibration", folder, "--output", tmp_path / "out", "--no-hide-behind")
    assert (report.frames[0].width, report.frames[0].height) == (WIDTH, HEIGHT)
    assert report.frames[0].hidden_pixels == 0
    assert report.frames[0].known_share == pytest.approx((projected_by_hand(random_points()) > 0).mean())


def test_what_is_wrong_is_said_before_anything_is_written(scene: Path) -> None:
    picture, scan, file = scene / "image_2" / "000000.png", scene / "velodyne" / "000000.bin", scene / "calib" / "000000.txt"
    out = scene / "out"

    def refused(message: str, *arguments: object) -> None:
        with pytest.raises(InputError, match=message):
            run(*arguments, "--output", out)
        assert not list(out.rglob("*.png"))

    refused("RGB: none", "-", scan, "--calibration", file)
    refused("mask: given", picture, scan, "--calibration", file, "--mask", picture)
    refused("no calib_cam_to_cam.txt or 000000.txt", picture, scan, "--calibration", scene / "image_2")
    refused("RGB: no such file", scene / "none.png", scan, "--calibration", file)
    refused("no RGB named 000001", _only(scene, "000000"), scene / "velodyne", "--calibration", scene / "calib")
    (scene / "cut.bin").write_bytes(scan.read_bytes()[:-3])
    refused("size: .* a multiple of 16", picture, scene / "cut.bin", "--calibration", file)
    (scene / "empty.bin").write_bytes(b"")
    refused("0 bytes", picture, scene / "empty.bin", "--calibration", file)
    refused("no point", picture, write_scan(scene / "zeros.bin", np.zeros((5, 3))), "--calibration", file)
    refused("unit: the median distance", picture, write_scan(scene / "mm.bin", 1000 * random_points()), "--calibration", file)
    behind = random_points() * [-1, 1, 1] - [50, 0, 0]
    refused("none of 4000 points", picture, write_scan(scene / "behind.bin", behind), "--calibration", file)
    run(picture, scene / "mm.bin", "--calibration", file, "--unit", 0.001, "--output", scene / "declared")


def _only(scene: Path, name: str) -> Path:
    folder = scene / "one"
    folder.mkdir()
    (folder / f"{name}.png").write_bytes((scene / "image_2" / f"{name}.png").read_bytes())
    return folder


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("P2:", "P9:", "P2: missing"),
        ("R0_rect: ", "R0_rect: 7 ", "R0_rect: 10 values"),
        ("R0_rect", "R9_rect", "R0_rect: missing"),
        (numbers(RECTIFY), numbers(2 * RECTIFY), "rectification"),
        (numbers(P2[0]), numbers(P2[0] * [1, 1, 4, 1]), "principal point"),
        (numbers(P2[0]), numbers(P2[0] * [-1, 1, 1, 1]), "projection"),
    ],
)
def test_calibrations_that_do_not_fit_are_refused(scene: Path, before: str, after: str, message: str) -> None:
    file = scene / "calib" / "000000.txt"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    picture, scan = scene / "image_2" / "000000.png", scene / "velodyne" / "000000.bin"
    with pytest.raises(InputError, match=message):
        run(picture, scan, "--calibration", file, "--output", scene / "out")


def test_a_raw_calibration_of_another_size_is_refused(tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "7.bin", random_points())
    folder = write_calibration(tmp_path / "date", "raw")
    Image.new("RGB", (WIDTH - 10, HEIGHT)).save(tmp_path / "7.png")
    with pytest.raises(InputError, match="calibration: for 310 x 94 pixels; expected one for 300 x 94"):
        run(tmp_path / "7.png", scan, "--calibration", folder, "--output", tmp_path / "out")
