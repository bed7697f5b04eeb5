"""Protocols: the same frame and mask name give the same case everywhere, and hidden truth never reaches an inpainter."""

from __future__ import annotations

import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest

from scene_depth.datasets.frames import DepthFrame
from scene_depth.datasets.frames.frame import pinhole
from scene_depth.depth.masks import MASKS
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_fit import fit_depth
from scene_depth.evaluation.depth_protocols import (
    PROTOCOLS,
    STANDARD,
    check_mask,
    frame_prior,
    kitti_view,
    make_case,
    nyu_view,
    simulated_prior,
)


def made_frame(height: int = 96, width: int = 128, valid: float = 0.9) -> DepthFrame:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    truth = 1.5 + 2.0 * columns / width + (rows > height / 2) * 1.0
    truth = np.where(rng.random(truth.shape) < valid, truth, 0).astype(np.float32)
    measured = np.where(rng.random(truth.shape) < 0.3, truth * 1.01, 0).astype(np.float32)
    mask = np.zeros(truth.shape, bool)
    mask[20:40, 30:80] = True
    return DepthFrame(
        "made",
        truth,
        rng.random((height, width, 3)).astype(np.float32),
        pinhole(120, 120, width / 2, height / 2, width, height, first_center=0.5),
        measured={"sensor_depth": measured, "lidar": measured * 2},
        object_mask=mask,
        score_mask=mask,
        prior=truth * 3 + 0.5,
    )


@pytest.mark.parametrize("mask", [*STANDARD, "patch2", "rand7", "object", "input:lidar", "strokes", "lidar16"])
def test_cases(mask: str) -> None:
    frame = made_frame(240, 320)
    case = make_case(frame, mask)
    assert case is not None
    again = make_case(frame, mask)
    assert again is not None
    np.testing.assert_array_equal(case.known, again.known)
    assert case.seed == zlib.crc32(f"made/{mask}".encode())
    assert (case.depth[~case.known] == 0).all()
    assert (case.depth[case.known] > 0).all()
    assert not (case.regions.hidden & case.known).any()
    assert (case.truth[case.regions.all] > 0).all()
    assert case.regions.hidden.any()
    if mask not in ("native", "input:lidar"):
        np.testing.assert_array_equal(case.depth[case.known], case.truth[case.known])
    other = make_case(replace(frame, name="other"), mask)
    assert other is not None
    if mask not in ("native", "input:lidar", "object", "outpaint"):
        assert (other.known != case.known).any()


def test_a_case_is_the_same_in_a_fresh_process() -> None:
    program = """
import sys
sys.path.insert(0, "tests/evaluation")
from test_depth_protocols import made_frame
from scene_depth.evaluation.depth_protocols import make_case
import zlib
for mask in ("rand10", "silhouette", "sensor", "lidar64"):
    print(zlib.crc32(make_case(made_frame(), mask, prior="simulated").known.tobytes()))
    print(zlib.crc32(make_case(made_frame(), mask, prior="simulated").prior.tobytes()))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    expected = []
    for mask in ("rand10", "silhouette", "sensor", "lidar64"):
        case = make_case(made_frame(), mask, prior="simulated")
        assert case is not None
        assert case.prior is not None
        expected += [zlib.crc32(case.known.tobytes()), zlib.crc32(case.prior.tobytes())]
    assert [int(line) for line in result.stdout.split()] == expected


def test_native_input_is_the_sensor_scored_where_the_frame_says() -> None:
    frame = made_frame()
    case = make_case(frame, "native")
    assert case is not None
    assert frame.score_mask is not None
    np.testing.assert_array_equal(case.depth, frame.measured["sensor_depth"])
    assert not case.regions.all[~frame.score_mask].any()
    assert not make_case(frame, "rand10").regions.all[frame.truth == 0].any()  # type: ignore[union-attr]


def test_what_a_frame_lacks() -> None:
    bare = replace(made_frame(), measured={}, object_mask=None, score_mask=None, prior=None)
    assert make_case(bare, "native") is None
    assert make_case(bare, "object") is None
    assert make_case(bare, "input:lidar") is None
    assert make_case(bare, "rand10", prior="frame") is None
    assert make_case(replace(bare, truth=np.zeros_like(bare.truth)), "rand10") is None
    everything = replace(bare, measured={"lidar": np.where(bare.truth > 0, bare.truth, 1).astype(np.float32)})
    assert make_case(everything, "native") is None  # nothing hidden


def test_views() -> None:
    assert nyu_view(made_frame(480, 640)).truth.shape == (228, 304)
    assert nyu_view(made_frame(256, 320)).truth.shape == (228, 304)
    assert nyu_view(made_frame(375, 1242)).truth.shape == (228, 304)
    assert nyu_view(made_frame(100, 120)).truth.shape == (100, 120)
    whole = made_frame(480, 640, valid=1.0)
    np.testing.assert_array_equal(nyu_view(whole).truth, whole.truth[1::2, 1::2][6:234, 8:312])
    raw = made_frame(375, 1242)
    np.testing.assert_array_equal(kitti_view(raw).truth, raw.truth[23:, 13:1229])
    assert kitti_view(made_frame(352, 1216)).truth.shape == (352, 1216)
    case = make_case(made_frame(375, 1242), "lidar64", view="kitti")
    assert case is not None
    assert case.camera is not None
    assert case.camera.K[0, :2, 2].tolist() == [621 - 13, 187.5 - 23]


def test_every_mask_of_every_protocol_exists() -> None:
    for protocol in PROTOCOLS.values():
        for mask in protocol.masks:
            check_mask(mask)
    for mask in MASKS:
        check_mask(mask)


@pytest.mark.parametrize("mask", ["rand0", "rand100", "patch", "nonsense", "inputs"])
def test_no_such_mask(mask: str) -> None:
    with pytest.raises(InputError, match="mask"):
        make_case(made_frame(), mask)


def test_a_simulated_prior_has_the_error_it_says() -> None:
    frame = made_frame(240, 320)
    errors = []
    for seed in range(5):
        prior = simulated_prior(frame.truth, seed)
        assert prior.dtype == np.float32
        assert (prior > 0).all()
        fit = fit_depth(1 / prior, frame.truth, space="inverse")
        fitted = fit.apply(1 / prior)
        inverse_error = np.abs(1 / fitted - 1 / np.where(frame.valid, frame.truth, 1)) * frame.truth
        errors.append(float(inverse_error[frame.valid].mean()))
    assert 0.03 < np.mean(errors) < 0.065  # 6 % before the fit, which takes some of it away
    smooth = simulated_prior(frame.truth, 0, error=1e-9, blur=1e-9)
    inverse = 1 / frame.truth[frame.valid].astype(np.float64)
    scale, shift = np.polyfit(smooth[frame.valid], inverse, 1)
    np.testing.assert_allclose(scale * smooth[frame.valid] + shift, inverse, rtol=1e-4)
    assert scale > 0


def test_the_prior_of_a_frame_is_inverted() -> None:
    frame = made_frame(valid=1.0)
    prior = frame_prior(frame)
    assert prior is not None
    assert frame.prior is not None
    np.testing.assert_allclose(prior, 1 / frame.prior, rtol=1e-6)
    assert frame_prior(replace(frame, prior=np.zeros_like(frame.prior))) is None
