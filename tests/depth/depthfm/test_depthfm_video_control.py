"""Video: fits from frame to frame and flicker. Control: the picture that depth ControlNets take."""

from __future__ import annotations

import numpy as np
import pytest

from scene_depth.depth.depthfm import DepthFMModel
from scene_depth.depth.depthfm.inference import LogDepth, relative_depth
from scene_depth.depth.depthfm.video import VideoFrame, fitted_frame, measure_flicker, video_depth
from scene_depth.depth.prior import MonocularMap
from scene_depth.errors import InputError
from scene_depth.geometry.control_image import control_image

SHAPE = (40, 60)
FRAMES = 6


def true_depth(index):
    """A wall with waves that stands still, and a box in front of it that moves."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    depth = 4 + np.sin(x / 9) + 0.02 * y
    depth[10:25, 5 + 4 * index : 20 + 4 * index] = 2.0
    return depth


def picture(index):
    return np.repeat((true_depth(index) / 6)[..., None], 3, axis=2).astype(np.float32)


def trembling(rgb):
    """Right up to scale and shift of log depth, which jump from frame to frame."""
    log_depth = np.log(rgb[..., 0] * 6)
    jump = np.random.default_rng(int(1000 * float(rgb.sum())))
    scale, shift = jump.uniform(0.5, 2), jump.uniform(-2, 2)
    return MonocularMap((log_depth * scale + shift).astype(np.float32), "log", np.full(SHAPE, 0.1 * scale, np.float32))


def test_frames_are_fitted_to_the_one_before():
    frames = [VideoFrame(picture(index)) for index in range(FRAMES)]
    found = list(video_depth(trembling, frames))
    assert len(found) == FRAMES
    pictures, alone = [frame.rgb for frame in frames], [np.exp(trembling(frame.rgb).values) for frame in frames]
    before = measure_flicker(alone, pictures)
    after = measure_flicker([one.depth for one in found], pictures)
    assert before.change > 0.2
    assert after.change < 1e-3
    assert after.pixels == before.pixels < FRAMES * SHAPE[0] * SHAPE[1]
    power = found[0].fit  # the first frame stays as it is; its depth is a power of the truth
    assert (power.scale, power.shift) == (1.0, 0.0)
    truth = np.log(true_depth(FRAMES - 1))
    assert np.corrcoef(np.log(found[-1].depth).ravel(), truth.ravel())[0, 1] > 0.9999


def test_known_pixels_give_the_scale():
    rng = np.random.default_rng(0)
    frames = []
    for index in range(FRAMES):
        known = rng.random(SHAPE) < 0.01
        frames.append(VideoFrame(picture(index), np.where(known, true_depth(index), np.nan), known))
    for index, one in enumerate(video_depth(trembling, frames)):
        np.testing.assert_allclose(one.depth, true_depth(index), rtol=2e-3)
        np.testing.assert_allclose(one.uncertainty, 0.1, rtol=0.01)  # the spread is that of the truth's logarithm


def test_known_pixels_count_as_much_as_the_previous_frame():
    """Ten known pixels that say 2 against a whole frame that says 1: neither is passed over."""
    values = np.linspace(-1, 1, SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(np.float32)
    known = np.zeros(SHAPE, dtype=bool)
    known[::10, ::30] = True
    noise = np.exp(0.4 * np.random.default_rng(0).standard_normal((2, *SHAPE)))
    fitted = fitted_frame(MonocularMap(values, "log"), np.exp(values) * noise[0], 1.5 * np.exp(values) * noise[1], known)
    assert 0.1 < fitted.fit.shift < 0.35


def test_a_frame_without_anything_to_fit_to_stays():
    fitted = fitted_frame(MonocularMap(np.zeros(SHAPE, np.float32), "log"), None, np.full(SHAPE, np.nan), np.ones(SHAPE, bool))
    assert np.array_equal(fitted.depth, np.ones(SHAPE))
    assert fitted.uncertainty is None


def test_flicker_by_hand():
    still = [np.full(SHAPE, 2.0), np.full(SHAPE, 2.2), np.full(SHAPE, 2.0)]
    assert measure_flicker(still).change == pytest.approx(np.log(1.1))
    assert measure_flicker([10 * depth for depth in still]).change == pytest.approx(np.log(1.1))
    pictures = [np.zeros((*SHAPE, 3)) for _ in still]
    pictures[1][:, :30] = 0.5  # half of the picture changes, and does not count
    depths = [still[0], np.where(np.arange(60) < 30, 9.0, 2.2) * np.ones(SHAPE), still[2]]
    found = measure_flicker(depths, pictures)
    assert found.change == pytest.approx(np.log(1.1))
    assert found.pixels == 2 * 30 * SHAPE[0]
    pictures[1][:] = 1.0
    assert measure_flicker(depths, pictures).change is None


def test_bad_videos_are_named():
    with pytest.raises(InputError, match="two or more"):
        measure_flicker([true_depth(0)])
    with pytest.raises(InputError, match="as many pictures"):
        measure_flicker([true_depth(0)] * 2, [picture(0)])
    with pytest.raises(InputError, match="log depth"):
        list(video_depth(lambda rgb: rgb[..., 0], [VideoFrame(picture(0))]))
    with pytest.raises(InputError, match=r"frame 1.*the size of the first"):
        list(video_depth(trembling_of_any_size, [VideoFrame(picture(0)), VideoFrame(picture(1)[:-1])]))


def trembling_of_any_size(rgb):
    return MonocularMap(rgb[..., 0], "log")


def test_a_video_with_the_network(tiny):
    model = DepthFMModel(tiny.checkpoint, num_inference_steps=1, ensemble_size=2, processing_resolution=64, device="cpu")
    frames = [VideoFrame(picture(0)) for _ in range(2)]
    first, second = video_depth(model, frames)
    np.testing.assert_allclose(second.depth, first.depth, rtol=1e-4)  # the same picture and noise


def test_the_control_image():
    depth = np.array([[1.0, 2.0, 4.0], [np.nan, 0.0, 1e6]])
    image = control_image(depth)
    assert image.dtype == np.uint8
    assert image.shape == (2, 3, 3)
    assert (image == image[..., :1]).all()
    assert image[0, :, 0].tolist() == [255, 127, 64]  # 127.49987 and 63.75
    assert image[1, :, 0].tolist() == [0, 0, 0]
    assert np.array_equal(control_image(7 * depth), image)
    assert not control_image(np.full((3, 3), 2.0)).any()
    ramp = 1 / np.linspace(1, 2, 101)[None]
    low, middle, high = control_image(ramp, cut=0.1)[0, [5, 50, 95], 0].tolist()
    assert (low, high) == (0, 255)
    assert middle in (127, 128)  # 127.5, whichever way it rounds


def test_relative_depth_keeps_the_order():
    values = np.array([[-1.0, 0.0, 1.0]], dtype=np.float32)
    found = relative_depth(LogDepth(values, None, (64, 64)), log_range=np.log(10))
    np.testing.assert_allclose(found[0, 2] / found[0, 0], 10, rtol=1e-6)
    assert control_image(found)[0, :, 0].tolist()[0] == 255


@pytest.mark.parametrize("call", [lambda: control_image(np.zeros((2, 2))), lambda: control_image(np.ones(4))])
def test_bad_depth_for_control_is_named(call):
    with pytest.raises(InputError, match="positive depth"):
        call()
    with pytest.raises(InputError, match="cut"):
        control_image(np.ones((2, 2)), cut=0.5)
    with pytest.raises(InputError, match="log_range"):
        relative_depth(LogDepth(np.zeros((1, 1), np.float32), None, (64, 64)), 0)
