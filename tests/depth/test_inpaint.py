"""The wrapper around every inpainter: known depth exact to the bit, defined answers to unusual input, a usable result."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene_depth.cameras import camera_from_fov
from scene_depth.depth import model
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.masks import MASKS
from scene_depth.depth.model import DepthModel, ExactInpainter
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.depth.registry import DEPTH_INPAINTERS, load_depth_inpainter
from scene_depth.errors import InputError

INPAINTERS = ("nearest", "linear", "harmonic", "harmonic_color", "colorization", "ip_basic", "geodesic", "solver")
NEED_WEIGHTS = {"priorda", "any2full", "auxiliary", "depthfm", "depthlab", "marigold", "refined", "transformers"}
NEED_A_PRIOR = {"lucid_dreamer", "scale_and_shift", "text2room"}  # tests/depth/test_aligned_prior.py
DTYPES = ("float16", "float32", "float64", ">f4", "uint8", "uint16", "int16", "int32", "uint32", "int64")


def moving(rgb, depth, known):
    """A user's function that changes every pixel, known ones too, and fills a part with nonsense."""
    filled = np.where(known, depth * 1.1, depth[known].mean())
    filled[0, 0] = np.nan
    filled[-1, -1] = -3.0
    return filled


def bits(values):
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def a_frame(shape, dtype, seed):
    """Depth with all kinds of unknown values, and a picture."""
    rng = np.random.default_rng(seed)
    smooth = 3 + np.add.outer(np.linspace(0, 2, shape[0]), np.linspace(0, 1, shape[1])) + (rng.random(shape) < 0.3)
    kind = np.dtype(dtype).kind
    depth = (smooth * 10).astype(dtype) if kind in "iu" else (smooth * rng.uniform(0.999, 1.001, shape)).astype(dtype)
    holes = rng.random(shape) < 0.1
    if kind == "f":
        depth[holes] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -1.0], size=int(holes.sum()))
    else:
        depth[holes] = 0 if kind == "u" else -1
    return rng.random((*shape, 3)).astype(np.float32), depth


def completed_type(dtype):
    """The type of the result: floats keep theirs in the machine's byte order, integers get one that holds every value."""
    given_type = np.dtype(dtype)
    if given_type.kind == "f":
        return given_type.newbyteorder("=")
    return np.dtype("f8" if given_type.itemsize > 2 else "f4")


def check_result(result, depth, known, expected_type):
    usable = known & np.isfinite(depth) & (depth > 0)
    assert result.depth.dtype == expected_type
    assert np.array_equal(bits(result.depth[usable]), bits(depth[usable].astype(expected_type)))
    assert np.isfinite(result.depth).all()
    assert (result.depth > 0).all()
    if result.uncertainty is not None:
        assert (result.uncertainty[usable] == 0).all()
        assert np.isfinite(result.uncertainty).all()
        assert (result.uncertainty >= 0).all()
    json.dumps(result.details, allow_nan=False)


@given(
    st.sampled_from([*INPAINTERS, moving]),
    st.sampled_from(sorted(MASKS)),
    st.sampled_from(DTYPES),
    st.integers(2, 24),
    st.integers(2, 24),
    st.integers(0, 2**31),
    st.booleans(),
    st.sampled_from([None, True, False]),
)
@settings(max_examples=250)
def test_known_depth_is_exact_to_the_bit(inpainter, mask, dtype, height, width, seed, with_picture, harmonize):
    rgb, depth = a_frame((height, width), dtype, seed)
    usable = np.isfinite(depth.astype(float)) & (depth > 0)
    if not usable.any():
        return
    known = MASKS[mask](rgb, np.where(usable, depth, 0).astype(np.float64), seed, None)
    before = depth.copy()
    if not (known & usable).any():
        with pytest.raises(InputError, match="known"):
            inpaint_depth(inpainter, rgb, depth, known)
        return
    result = inpaint_depth(inpainter, rgb if with_picture else None, depth, known, seed=seed, harmonize=harmonize)
    check_result(result, depth, known, completed_type(dtype))
    assert depth.tobytes() == before.tobytes()


def test_every_registered_inpainter_that_needs_no_weights_is_tested_here():
    assert set(INPAINTERS) == set(DEPTH_INPAINTERS.built_in) - NEED_WEIGHTS - NEED_A_PRIOR


@pytest.mark.parametrize("inpainter", [*INPAINTERS, moving])
def test_known_depth_is_exact_under_every_mask_in_every_type(inpainter):
    """The property above draws at random; here every mask meets every inpainter, and every type too."""
    shape = (13, 18)
    for number, mask in enumerate(sorted(MASKS)):
        for dtype in (DTYPES[number % len(DTYPES)], DTYPES[(number + 5) % len(DTYPES)], "float32"):
            rgb, depth = a_frame(shape, dtype, number)
            usable = np.isfinite(depth.astype(float)) & (depth > 0)
            known = MASKS[mask](rgb, np.where(usable, depth, 0).astype(np.float64), number, None)
            known.flat[np.flatnonzero(usable)[0]] = True
            check_result(inpaint_depth(inpainter, rgb, depth, known), depth, known, completed_type(dtype))


@pytest.mark.parametrize("inpainter", [*INPAINTERS, moving])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2), (1, 2), (3, 50)])
def test_thin_images(inpainter, shape):
    rng = np.random.default_rng(0)
    depth = 2 + rng.random(shape).astype(np.float32)
    known = rng.random(shape) < 0.4
    known.flat[0] = True
    result = inpaint_depth(inpainter, rng.random((*shape, 3)), depth, known)
    check_result(result, depth, known, np.float32)


@pytest.mark.parametrize("inpainter", INPAINTERS)
def test_one_known_pixel_spreads_its_value(inpainter):
    depth = np.zeros((12, 15), dtype=np.float32)
    depth[4, 9] = 2.5
    result = inpaint_depth(inpainter, None, depth)
    np.testing.assert_allclose(result.depth, 2.5, rtol=1e-4)
    assert result.depth[4, 9] == np.float32(2.5)


@pytest.mark.parametrize("inpainter", INPAINTERS)
def test_constant_depth_stays_constant(inpainter):
    rng = np.random.default_rng(1)
    depth = np.where(rng.random((20, 25)) < 0.3, 1.7, 0.0)
    np.testing.assert_allclose(inpaint_depth(inpainter, rng.random((20, 25, 3)), depth).depth, 1.7, rtol=1e-4)


@pytest.mark.parametrize("inpainter", INPAINTERS)
@given(power=st.integers(-30, 30), seed=st.integers(0, 10**6))
@settings(max_examples=10)
def test_the_unit_does_not_matter(inpainter, power, seed):
    """Powers of two, which change no digit: random depth is rough, and a robust solver may take another turn for one."""
    rng = np.random.default_rng(seed)
    depth = 2 + rng.random((16, 18))
    known, rgb, unit = rng.random((16, 18)) < 0.5, rng.random((16, 18, 3)), 2.0**power
    known[0, 0] = True
    one = inpaint_depth(inpainter, rgb, depth, known).depth
    other = inpaint_depth(inpainter, rgb, depth * unit, known).depth / unit
    np.testing.assert_allclose(other, one, rtol=1e-6)


@pytest.mark.parametrize("inpainter", INPAINTERS)
def test_runs_repeat(inpainter):
    rgb, depth = a_frame((24, 31), "float32", 3)
    first, second = (inpaint_depth(inpainter, rgb, depth, seed=4) for _ in range(2))
    assert np.array_equal(first.depth, second.depth)
    assert np.array_equal(first.uncertainty, second.uncertainty)


def test_all_known_runs_nothing():
    def never(rgb, depth, known):
        raise AssertionError("called")

    depth = np.random.default_rng(0).random((5, 6)) + 1
    result = inpaint_depth(never, None, depth)
    assert np.array_equal(result.depth, depth)
    assert (result.uncertainty == 0).all()
    assert result.seam is None
    assert "nothing was predicted" in result.details["notes"][0]


def test_nothing_known_is_an_error():
    for depth in (np.zeros((4, 5)), np.full((4, 5), np.nan), np.full((4, 5), -2.0)):
        with pytest.raises(InputError, match=r"known: no pixel with known depth"):
            inpaint_depth("nearest", None, depth)
    with pytest.raises(InputError, match="no pixel with known depth"):
        inpaint_depth("nearest", None, np.ones((4, 5)), np.zeros((4, 5), dtype=bool))


def test_known_pixels_without_depth_are_predicted_and_noted():
    depth = np.full((6, 7), 2.0)
    depth[1, 1], depth[2, 2], depth[3, 3], depth[4, 4] = np.nan, np.inf, 0.0, -1.0
    result = inpaint_depth("nearest", None, depth, np.ones((6, 7), dtype=bool))
    assert (result.depth == 2.0).all()
    assert "4 pixels marked known" in result.details["notes"][0]


@pytest.mark.parametrize(
    ("values", "dtype"), [((0, 1), np.uint8), ((0, 255), np.uint8), ((0, 1), np.float64), ((0, 1), np.int64), ((255,), np.uint8)]
)
def test_masks_of_two_values(values, dtype):
    rng = np.random.default_rng(0)
    known = rng.choice(values, size=(6, 7)).astype(dtype)
    depth = 1 + rng.random((6, 7))
    expected = inpaint_depth("nearest", None, depth, known > 0).depth
    assert np.array_equal(inpaint_depth("nearest", None, depth, known).depth, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": np.ones((0, 5))}, r"depth: shape \(0, 5\)"),
        ({"depth": np.ones((4, 5, 1))}, r"depth: shape \(4, 5, 1\)"),
        ({"depth": np.ones((4, 5), dtype=complex)}, "depth: type complex128"),
        ({"depth": np.ones((4, 5), dtype=bool)}, "depth: type bool"),
        ({"depth": np.full((4, 5), "x")}, "depth: type"),
        ({"depth": np.full((4, 5), 1e200)}, "1e-12 to 1e12"),
        ({"known": np.ones((5, 4), dtype=bool)}, r"known: shape \(5, 4\)"),
        ({"known": np.full((4, 5), 0.5)}, "known: 1 values: 0.5"),
        ({"known": np.arange(20).reshape(4, 5)}, r"known: 20 values: 0, 1, 2, 3, 4, \.\.\."),
        ({"known": np.full((4, 5), 7)}, "known: 1 values: 7"),
        ({"known": np.full((4, 5), "a")}, "known: type"),
        ({"rgb": np.zeros((4, 6, 3))}, "rgb: 6 x 4 pixels; expected 5 x 4"),
        ({"rgb": np.zeros((4, 5))}, r"rgb: shape \(4, 5\)"),
        ({"rgb": np.zeros((4, 5, 4))}, r"rgb: shape \(4, 5, 4\)"),
        ({"rgb": np.full((4, 5, 3), 200.0)}, "rgb: values from 200 to 200"),
        ({"rgb": np.full((4, 5, 3), np.nan)}, "rgb: no finite value"),
        ({"rgb": np.zeros((4, 5, 3), dtype=np.int32)}, "rgb: type int32"),
        ({"camera": camera_from_fov(torch.eye(4), 1.0, 6, 4)}, "camera: 1 cameras of 6 x 4"),
        ({"camera": camera_from_fov(torch.eye(4).repeat(2, 1, 1), 1.0, 5, 4)}, "camera: 2 cameras"),
        ({"inpainter": "nix"}, "inpainter is 'nix'; expected one of"),
        ({"inpainter": 3}, "inpainter: int"),
        ({"inpainter": lambda rgb, depth, known: depth[1:]}, r"result of the inpainter: shape \(3, 5\)"),
        ({"inpainter": lambda rgb, depth, known: None}, "result of the inpainter"),
        (
            {"inpainter": lambda rgb, depth, known: DepthPrediction(depth + 1, np.ones(3))},
            r"uncertainty of the inpainter: shape \(3,\)",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    depth = np.ones((4, 5))
    depth[0, 0] = 0
    arguments = {"inpainter": "nearest", "rgb": None, "depth": depth, **arguments}
    with pytest.raises(InputError, match=message):
        inpaint_depth(**arguments)


def test_bad_input_is_found_before_the_inpainter_runs():
    def never(rgb, depth, known):
        raise AssertionError("called")

    with pytest.raises(InputError):
        inpaint_depth(never, np.zeros((3, 3, 3)), np.array([[1.0, 0.0]]))


@pytest.mark.parametrize("scale", [(np.uint8, 255), (np.uint16, 65535), (np.float64, 1), (np.float16, 1)])
def test_pictures_reach_the_inpainter_as_floats_in_0_1(scale):
    dtype, largest = scale
    seen = {}

    def spy(rgb, depth, known):
        seen["rgb"] = rgb
        return depth + 1

    values = np.random.default_rng(0).integers(0, 256, (4, 5, 3)) / 255
    inpaint_depth(spy, (values * largest).round(0 if largest > 1 else 6).astype(dtype), np.eye(4, 5))
    assert seen["rgb"].dtype == np.float32
    np.testing.assert_allclose(seen["rgb"], values, atol=3e-3)


def test_the_inpainter_sees_zero_at_unknown_pixels_and_may_write_into_its_arguments():
    seen = {}

    def greedy(rgb, depth, known):
        seen["depth"], seen["known"] = depth.copy(), known.copy()
        depth[~known] = 5.0
        known[:] = True
        rgb[:] = 0
        return depth

    depth = np.array([[1.0, np.nan, 2.0], [3.0, 7.0, -1.0]], dtype=np.float16)
    rgb, known = np.ones((2, 3, 3), dtype=np.float32), np.array([[1, 1, 1], [1, 0, 1]])
    result = inpaint_depth(greedy, rgb, depth, known, harmonize=False)
    assert np.array_equal(seen["depth"], [[1, 0, 2], [3, 0, 0]])
    assert seen["depth"].dtype == np.float32  # float16 is too coarse to compute in
    assert np.array_equal(seen["known"], [[1, 0, 1], [1, 0, 0]])
    assert np.array_equal(result.depth, np.array([[1, 5, 2], [3, 5, 5]], dtype=np.float16))
    assert (rgb == 1).all()
    assert known.tolist() == [[1, 1, 1], [1, 0, 1]]


def test_results_without_use_are_replaced_by_the_nearest_usable_ones():
    def broken(rgb, depth, known):
        return np.where(known, np.nan, np.array([[0, np.nan, 4.0, np.inf, -1.0, 1e30]]))

    depth = np.array([[2.0, 0, 0, 0, 0, 0]])
    result = inpaint_depth(broken, None, depth, harmonize=False)
    assert np.array_equal(result.depth, [[2, 2, 4, 4, 4, 4]])
    assert "4 predicted pixels" in result.details["notes"][0]
    hopeless = inpaint_depth(lambda rgb, depth, known: np.full(depth.shape, np.nan), None, depth)
    assert (hopeless.depth == 2.0).all()


def test_integers_of_any_size_keep_their_value():
    big = 2**50 + 1
    depth = np.array([[1, 0]], dtype=np.int64)
    assert inpaint_depth("nearest", None, depth).depth.dtype == np.float64
    with pytest.raises(InputError, match="1e-12 to 1e12"):
        inpaint_depth("nearest", None, np.array([[big, 0]]))
    result = inpaint_depth("nearest", None, np.array([[65535, 0, 1]], dtype=np.uint16)).depth
    assert result.dtype == np.float32
    assert result[0, 0] == 65535


def test_float16_results_stay_in_its_range():
    depth = np.array([[6.0e4, 0.0, 6.1e4]], dtype=np.float16)
    result = inpaint_depth(lambda rgb, depth, known: np.full(depth.shape, 1e9), None, depth, harmonize=False)
    assert result.depth[0, 1] == np.finfo(np.float16).max


def test_uncertainty_is_zero_where_known_and_finite_elsewhere():
    def unsure(rgb, depth, known, *, camera=None, seed=0):
        return DepthPrediction(np.full(depth.shape, 2.0), np.array([[0.5, np.nan, 0.2, -1.0]]))

    result = inpaint_depth(unsure, None, np.array([[1.0, 0, 0, 0]]))
    assert result.uncertainty.dtype == np.float32
    np.testing.assert_allclose(result.uncertainty, [[0, 0.2, 0.2, 0.2]])
    assert inpaint_depth(lambda rgb, depth, known: depth + 1, None, np.array([[1.0, 0]])).uncertainty is None


def test_camera_and_seed_reach_those_who_take_them():
    seen = {}

    def full(rgb, depth, known, *, camera=None, seed=0):
        seen["full"] = (camera, seed)
        return DepthPrediction(depth + 1)

    def partly(rgb, depth, known, seed):
        seen["partly"] = seed
        return depth + 1

    def anything(rgb, depth, known, **keywords):
        seen["anything"] = keywords
        return depth + 1

    camera, depth = camera_from_fov(torch.eye(4), 1.0, 5, 4), np.eye(4, 5)
    for inpainter in (full, partly, anything):
        inpaint_depth(inpainter, None, depth, camera=camera, seed=9)
    assert seen == {"full": (camera, 9), "partly": 9, "anything": {"camera": camera, "seed": 9}}


def test_normals_come_with_a_camera():
    camera = camera_from_fov(torch.eye(4, dtype=torch.float64), 1.0, 40, 30)
    depth = np.full((30, 40), 2.0)
    depth[10:20, 10:20] = 0
    result = inpaint_depth("harmonic", None, depth, camera=camera)
    np.testing.assert_allclose(result.normals, np.broadcast_to([0, 0, -1], (30, 40, 3)), atol=1e-4)
    assert result.seam.normal_jump < 1e-2
    assert inpaint_depth("harmonic", None, depth).normals is None


def test_the_wrapper_is_an_inpainter_itself_and_does_not_stack():
    calls = []

    def counted(rgb, depth, known):
        calls.append(1)
        return depth + 1

    wrapped = ExactInpainter(counted, "counted")
    assert isinstance(wrapped, DepthInpainter)
    depth = np.eye(4, 5)
    assert wrapped(None, depth).details["inpainter"] == "counted"
    assert inpaint_depth(wrapped, None, depth).details["inpainter"] == "counted"
    assert len(calls) == 2


@dataclass(frozen=True)
class Off(DepthModel):
    """Predicts more than is known, everywhere, and spoils what it was given."""

    share: float
    name: ClassVar[str] = "off"

    def predict(self, view, *, seed):
        prediction = DepthPrediction(np.where(view.known, view.depth, 2.0) * (1 + self.share), details={"notes": ["said"]})
        view.depth[:], view.known[:] = -1, False
        return prediction


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_call_checks_pastes_and_measures_once(share, monkeypatch):
    counts = Counter()

    def count(name):
        original = getattr(model, name)

        def counted(*arguments, **keywords):
            counts[name] += 1
            return original(*arguments, **keywords)

        monkeypatch.setattr(model, name, counted)

    steps = ("check_input", "border_offsets", "harmonize", "measure_seam", "normals_from_depth")
    for name in steps:
        count(name)
    camera = camera_from_fov(torch.eye(4), 1.0, 12, 10)
    depth = np.full((10, 12), 2.0)
    depth[3:6, 4:9] = 0
    result = Off(share)(None, depth, camera=camera)
    assert np.array_equal(result.depth[depth > 0], depth[depth > 0])
    np.testing.assert_allclose(result.depth, 2.0)  # the seam of half of everything is taken out
    assert result.details["notes"] == ["said"]
    moved = share > 0  # then the seam is measured before and after it is taken out
    assert [counts[name] for name in steps] == [1, 1, int(moved), 1 + int(moved), 1]
    for inpainter in (load_depth_inpainter(Off, share=share), Off(share)):
        assert np.array_equal(inpaint_depth(inpainter, None, depth, camera=camera).depth, result.depth)


def test_torch_tensors_are_taken():
    result = inpaint_depth("nearest", torch.zeros(4, 5, 3), torch.eye(4, 5), torch.eye(4, 5).bool())
    assert result.depth.dtype == np.float32
    assert math.isclose(float(result.depth.mean()), 1.0)
