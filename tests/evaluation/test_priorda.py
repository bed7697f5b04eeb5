"""The settings of Prior Depth Anything, their published figures, the plan that is said first, and the plot."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scene_depth.cli.app import main
from scene_depth.datasets.frames import DepthFrame, find_frames
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import errors_by_rim
from scene_depth.evaluation.depth_plot import check_plot
from scene_depth.evaluation.depth_protocols import make_case
from scene_depth.evaluation.depth_published import PRIORDA_SETS, priorda_columns
from scene_depth.evaluation.depth_runs import DepthSettings, describe_plan
from scene_depth.evaluation.priorda import SETTINGS, given_depth, keypoints, low_resolution


def made_frame(height: int = 120, width: int = 160) -> DepthFrame:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    truth = (2.0 + 3.0 * columns / width + (rows > height / 2)).astype(np.float32)
    truth[rng.random(truth.shape) < 0.1] = 0
    return DepthFrame("made", truth, rng.random((height, width, 3)).astype(np.float32))


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_hides_something_and_leaks_nothing(setting: str) -> None:
    case = make_case(made_frame(), f"priorda:{setting}")
    assert case is not None
    assert case.regions.hidden.any()
    assert (case.depth[case.known] > 0).all()
    assert (case.depth[~case.known] == 0).all()
    assert (case.truth[case.known] > 0).all()
    again = make_case(made_frame(), f"priorda:{setting}")
    assert again is not None
    np.testing.assert_array_equal(case.depth, again.depth)
    if setting not in ("low8", "low16", "l+m", "s+l", "noise"):
        np.testing.assert_array_equal(case.depth[case.known], case.truth[case.known])


def test_what_is_known_in_each_setting() -> None:
    frame = made_frame()
    given = {name: given_depth(frame, name, 5) for name in SETTINGS}
    known = {name: pair[1] for name, pair in given.items() if pair is not None}
    assert known["extreme"].sum() == 100
    np.testing.assert_array_equal(known["s+l"], low_resolution(frame.truth, 16)[1])  # fewer than 100 are there
    assert 0 < known["s+m"].sum() < 100
    np.testing.assert_array_equal(known["range"], frame.valid & (frame.truth < 3))
    far = replace(frame, truth=(4 * frame.truth).astype(np.float32))
    outdoors = given_depth(far, "range", 5)
    assert outdoors is not None
    assert far.truth[outdoors[1]].max() == pytest.approx(15, rel=0.01)
    square = frame.valid & ~known["shape"]  # of 80 to 200 pixels of 480
    height, width = (int(np.ptp(axis)) + 1 for axis in np.nonzero(square))
    assert height == pytest.approx(width, abs=2)
    assert 18 <= height <= 50
    lines = np.unique(np.nonzero(known["lidar"][:, 80])[0])
    assert set(lines) <= set(np.round(120 * np.tan(np.linspace(-0.5, 0.5, 8)) + 60).astype(int))
    noisy = given["noise"]
    assert noisy is not None
    error = np.abs(noisy[0] / frame.truth.clip(1e-3) - 1)[noisy[1]]
    assert 0.01 < np.median(error) < 0.02  # 0.67 sigma
    assert 0.005 < (error > 0.1).mean() < 0.03
    assert given_depth(replace(frame, rgb=None), "sfm", 5) is None
    labels = np.zeros(frame.truth.shape, np.int32)
    labels[30:60, 40:90] = 3
    of_object = given_depth(replace(frame, instances=labels), "object", 5)
    assert of_object is not None
    assert not of_object[1][30:60, 40:90].any()
    assert of_object[1][70:].sum() == frame.valid[70:].sum()


def test_low_resolution_samples_a_plane_exactly_and_lands_where_the_sampler_puts_it() -> None:
    truth = (1 + np.add.outer(np.arange(64), 2 * np.arange(96)) / 100).astype(np.float32)
    truth[5, 7] = 0  # needed by no sample that is kept
    depth, known = low_resolution(truth, 8)
    rows, columns = np.nonzero(known)
    assert len(rows) == 8 * 12
    assert set(rows) == set(range(0, 64, 8))
    assert set(columns) == set(range(0, 96, 8))
    wanted = 1 + (rows / 8 * 63 / 7 + 2 * columns / 8 * 95 / 11) / 100
    np.testing.assert_allclose(depth[known], wanted, rtol=0.02)
    truth[8, 8] = 0  # no truth where a sample would be put
    assert not low_resolution(truth, 8)[1][8, 8]


def test_keypoints_are_blobs_and_corners_but_no_edges() -> None:
    rows, columns = np.mgrid[:96, :96]
    blob = np.exp(-((rows - 40) ** 2 + (columns - 60) ** 2) / (2 * 4.0**2))
    found = keypoints(np.repeat(blob[..., None], 3, axis=2).astype(np.float32))
    places = np.argwhere(found)
    assert 1 <= len(places) <= 4
    assert np.hypot(*(places - (40, 60)).T).min() <= 1.5
    edge = np.repeat((columns > 48).astype(np.float32)[..., None], 3, axis=2)
    assert not keypoints(edge)[8:-8].any()


def test_errors_by_distance_from_the_rim() -> None:
    known = np.zeros((1, 20), bool)
    known[0, 0] = True
    truth = np.ones((1, 20))
    found = errors_by_rim(truth + np.arange(20) / 100, truth, known, ~known)
    pixels = [(item.near, item.far, item.errors.pixels) for item in found]
    assert pixels == [(0, 2, 1), (2, 4, 2), (4, 8, 4), (8, 16, 8), (16, 32, 4)]
    assert found[1].errors.abs_rel == pytest.approx(0.025)


def test_published_rows() -> None:
    """Spot checks against the published pictures, and that the known order of the methods holds on shapes."""
    methods, nyu = priorda_columns("NYUv2")
    assert methods == ["PriorDA v1.1", "Marigold-DC", "OMNI-DC", "DepthLab"]
    assert nyu["shape"] == [1.97, 2.37, 5.94, 2.66]
    assert nyu["s+l"] == [3.05, 3.82, 3.81, 5.80]
    assert priorda_columns("KITTI")[1]["extreme"] == [3.61, 5.62, 4.17, 40.29]
    assert len(PRIORDA_SETS) == 5
    for name in PRIORDA_SETS:
        columns = priorda_columns(name)[1]
        assert [*columns, "noise"] == list(SETTINGS)
        assert all(len(values) == 4 for values in columns.values())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder, frame = tmp_path / "data", made_frame(48, 64)
    for place in ("rgb", "depth"):
        (folder / place).mkdir(parents=True)
    for number in range(2):
        picture = np.zeros((48, 64, 3)) if frame.rgb is None else 255 * frame.rgb
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"rgb/{number}.png")
        Image.fromarray((1000 * frame.truth).astype(np.uint16)).save(folder / f"depth/{number}.png")
    return folder


def test_the_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "plot.png"
    start = ["eval", "depth", str(data), "--protocol", "priorda", "--processes", "0", "--plot", str(plot)]
    assert main([*start, "--inpainter", "nearest", "linear"]) == 0
    out, err = capsys.readouterr()
    assert "2 frames, 12 masks, 2 inpainters: at most 48 results, about a few seconds (64 x 48 pixels, 1 at a time)" in err
    measured, published = out.split("Published, not measured here: AbsRel % on NYUv2")
    assert re.search(r"^shape +nearest +\d", measured, re.MULTILINE)
    assert re.search(r"^shape +1\.97 +2\.37 +5\.94 +2\.66$", published, re.MULTILINE)
    tables = out.split("Any2Full")[0].splitlines()
    assert max(len(line) for line in tables) <= 80
    with Image.open(plot) as picture:
        assert picture.size[0] > 1000
    assert main([*start, "--inpainter", "nearest"]) == 2  # the plot is there already
    assert "plot.png" in capsys.readouterr().err


def test_a_plot_that_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"plot\.txt.*\.png, \.pdf, \.svg"):
        check_plot(tmp_path / "plot.txt")
    monkeypatch.setattr("scene_depth.evaluation.depth_plot.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"matplotlib is not installed.*pip install matplotlib"):
        check_plot(tmp_path / "plot.png")


def test_the_plan(data: Path) -> None:
    sources = find_frames(data)
    many = [replace(source, name=f"{index}") for index, source in enumerate(sources * 500)]  # type: ignore[type-var]
    plan = describe_plan(many, DepthSettings(("solver",), "holes"), processes=2)
    assert plan == "1000 frames, 7 masks, 1 inpainters: at most 7,000 results, about 18 minutes (64 x 48 pixels, 2 at a time)"
    unknown = describe_plan(sources, DepthSettings(("depthlab", "nearest"), masks=("rect",)), processes=1)
    assert "about a few seconds without depthlab, seen after the first" in unknown
    assert "how long depthlab takes is seen after the first" in describe_plan(sources, DepthSettings(("depthlab",)), processes=1)
