"""PSNR and SSIM against scikit-image and against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scene_depth.errors import InputError
from scene_depth.evaluation.images import psnr, ssim

RNG = np.random.default_rng(0)
REFERENCE = RNG.random((40, 33, 3))
IMAGE = np.clip(REFERENCE + 0.1 * RNG.normal(size=REFERENCE.shape), 0, 1)


def test_psnr_by_hand() -> None:
    assert psnr(np.full((4, 5, 3), 0.6), np.full((4, 5, 3), 0.5)) == pytest.approx(20.0)
    assert psnr(np.full((4, 5, 3), 7.0), np.ones((4, 5, 3))) == math.inf  # clipped as in a file


def test_psnr_in_mask_sees_nothing_else() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1, 2] = True
    image = np.ones((4, 5, 3))
    image[1, 2] = 0.4
    assert psnr(image, np.full((4, 5, 3), 0.5), mask) == pytest.approx(20.0)
    assert math.isnan(psnr(image, image, np.zeros((4, 5), bool)))


def test_both_match_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    assert psnr(IMAGE, REFERENCE) == pytest.approx(metrics.peak_signal_noise_ratio(REFERENCE, IMAGE, data_range=1))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1, "channel_axis": 2}
    interior = np.zeros(REFERENCE.shape[:2], bool)
    interior[5:-5, 5:-5] = True  # scikit-image leaves the border out
    assert ssim(IMAGE, REFERENCE, interior) == pytest.approx(metrics.structural_similarity(IMAGE, REFERENCE, **options), abs=1e-9)


def test_ssim_of_equal_pictures_is_one() -> None:
    assert ssim(REFERENCE, REFERENCE) == pytest.approx(1.0)
    assert ssim(IMAGE, REFERENCE) < 0.99


@pytest.mark.parametrize(
    ("image", "mask", "field"),
    [
        (np.zeros((4, 4, 3)), None, "image"),
        (np.zeros((40, 33, 3), np.uint8), None, "image"),
        (IMAGE, np.zeros((40, 33), np.uint8), "mask"),
        (IMAGE, np.zeros((4, 4), bool), "mask"),
    ],
)
def test_bad_input(image: np.ndarray, mask: np.ndarray | None, field: str) -> None:
    for measure in (psnr, ssim):
        with pytest.raises(InputError, match=field):
            measure(image, REFERENCE, mask)
