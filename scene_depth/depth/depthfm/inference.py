"""From a picture to normalised log depth (resolution, ensemble, uncertainty), and from that to depth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scene_depth.arrays import MAD_TO_SIGMA, Array, Mask
from scene_depth.cameras import Cameras
from scene_depth.depth.alignment import GlobalFit, apply_fit, fit_globally
from scene_depth.depth.depthfm.encoding import condition_maps
from scene_depth.depth.depthfm.flow import euler, noised, standard_normal
from scene_depth.depth.depthfm.network import DepthFM
from scene_depth.depth.latent.vae import decode, encode
from scene_depth.errors import InputError
from scene_depth.geometry.normals import normals_from_depth

MULTIPLE = 64  # eight pixels a latent cell, three halvings in the U-Net
LOG_RANGE = 2.5  # ln(d98 / d2) that a normalised range of 2 is taken for: depths of 1 to 12, as a room or a street


@dataclass(frozen=True)
class LogDepth:
    """What DepthFM says about one picture.

    Attributes:
        values: Normalised log depth, free in scale and shift: ln d = a values + b, a > 0  # [H, W]
        uncertainty: Population standard deviation over the members, in the unit of ``values``; None for one member
            # [H, W]
        processed: Height and width at which the network worked.
    """

    values: NDArray[np.float32]
    uncertainty: NDArray[np.float32] | None
    processed: tuple[int, int]


@dataclass(frozen=True)
class Samples:
    """What the flow gives, at the size at which the network works.

    Attributes:
        latents: Final state of every member  # [B, E, 4, h, w]
        log_depth: Decoded: normalised log depth of every member  # [B, E, H, W]
    """

    latents: Tensor
    log_depth: Tensor

    @property
    def mean(self) -> Tensor:
        """Mean over the members  # [B, H, W]"""
        return self.log_depth.mean(dim=1)

    @property
    def spread(self) -> Tensor:
        """Population standard deviation over the members, the paper's confidence  # [B, H, W]"""
        return self.log_depth.std(dim=1, unbiased=False)


def processing_size(height: int, width: int, processing_resolution: int = 0) -> tuple[int, int]:
    """Height and width at which the network works.

    As the official code: the longer side becomes ``processing_resolution``, then both are rounded to multiples of 64 (halves to
    the even multiple). Where that gives 0, for thin images, 64 is taken.

    Args:
        height, width: Size of the picture.
        processing_resolution: Longer side; 0 for the picture's own.

    Raises:
        InputError: If a number is negative or there is no pixel.
    """
    if min(height, width) < 1 or processing_resolution < 0:
        found = f"{width} x {height} pixels, processing_resolution {processing_resolution}"
        raise InputError("size, processing_resolution", found, "at least one pixel, a resolution of at least 0")
    longest = processing_resolution or max(height, width)
    factor = min(longest / width, longest / height)
    sides = (round(int(side * factor) / MULTIPLE) * MULTIPLE for side in (height, width))
    rows, columns = (max(side, MULTIPLE) for side in sides)
    return rows, columns


def network_image(rgb: Array | NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """The picture as the network takes it: 8 bits, resized bilinearly by Pillow, in [-1, 1].

    Args:
        rgb: sRGB in [0, 1], or uint8  # [H, W, 3]
        size: Height and width.

    Returns:
        # [3, height, width]
    """
    eight = rgb if rgb.dtype == np.uint8 else np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    resized = np.asarray(Image.fromarray(eight).resize((size[1], size[0]), Image.Resampling.BILINEAR), dtype=np.float32)
    return torch.from_numpy(resized / 127.5 - 1.0).permute(2, 0, 1)


@torch.no_grad()
def sample(
    model: DepthFM,
    images: Tensor,
    *,
    num_inference_steps: int,
    ensemble_size: int = 1,
    noise: Tensor | None = None,
    seed: int = 0,
    maps: Tensor | None = None,
    batch: int | None = None,
) -> Samples:
    """Runs the flow for a batch of pictures, each with its members.

    Args:
        model: The networks.
        images: In [-1, 1], sides multiples of 64  # [B, 3, H, W]
        num_inference_steps: Euler steps.
        ensemble_size: Members E of every picture.
        noise: Standard normal, picture by picture; drawn from the seed if None  # [B * E, 4, H/8, W/8]
        seed: Seed of the noise.
        maps: For the completion model the maps of ``condition_maps`` of every picture  # [B, 2, 1, H, W]
        batch: Most members that go through the networks at once; all by default. It does not change the noise.

    Raises:
        InputError: If a number is below 1, or the model takes known depth and there is none or the other way round.
    """
    if num_inference_steps < 1 or ensemble_size < 1 or (batch is not None and batch < 1):
        raise InputError(
            "num_inference_steps, ensemble_size, batch",
            f"{num_inference_steps}, {ensemble_size}, {batch}",
            "whole numbers of at least 1",
        )
    if (maps is None) != (model.encoding is None):
        found = "none" if maps is None else "some, and a model without it"
        raise InputError("known depth", found, "known depth for a completion model, none for a depth model")
    image_latents = encode(model.vae, images).float()
    condition = image_latents
    if maps is not None:
        encoded = encode(model.vae, maps.flatten(0, 1)).float().reshape(len(images), -1, *image_latents.shape[2:])
        condition = torch.cat([image_latents, encoded], dim=1)
    if noise is None:
        noise = standard_normal((len(images) * ensemble_size, *image_latents.shape[1:]), seed)
    starts = noised(image_latents.repeat_interleave(ensemble_size, 0), noise.to(model.device), model.noising_step)
    conditions = condition.repeat_interleave(ensemble_size, 0)
    rows = batch or len(starts)
    latents, depths = [], []
    for start, fixed in zip(torch.split(starts, rows), torch.split(conditions, rows), strict=True):
        final = euler(partial(model.velocity, condition=fixed), start, num_inference_steps)
        latents.append(final)
        depths.append(decode(model.vae, final).float()[:, 0])
    by_picture = (torch.cat(parts).reshape(len(images), ensemble_size, *parts[0].shape[1:]) for parts in (latents, depths))
    return Samples(*by_picture)


def published_depth(mean_log_depth: Tensor) -> Tensor:
    """The map that the official code returns: exp, then each picture's range to [0, 1]. It is a power of depth, no depth.

    Args:
        mean_log_depth: Mean over the members  # [B, H, W]

    Returns:
        In [0, 1]; 0 where a picture's map is constant (NaN in the official code)  # [B, H, W]
    """
    values = mean_log_depth.exp()
    low, high = values.amin(dim=(1, 2), keepdim=True), values.amax(dim=(1, 2), keepdim=True)
    extent = high - low
    return torch.where(extent > 0, (values - low) / extent.clamp_min(torch.finfo(values.dtype).tiny), torch.zeros_like(values))


def predict_log_depth(
    model: DepthFM,
    rgb: Array | NDArray[np.uint8],
    *,
    depth: Array | None = None,
    known: Mask | None = None,
    num_inference_steps: int = 2,
    ensemble_size: int = 4,
    processing_resolution: int = 0,
    seed: int = 0,
    batch: int | None = None,
) -> LogDepth:
    """Predicts one picture of any size.

    Args:
        model: The networks.
        rgb: sRGB in [0, 1], or uint8  # [H, W, 3]
        depth, known: For the completion model, z-depth and where it is measured  # [H, W]
        num_inference_steps, ensemble_size, seed, batch: As in ``sample``.
        processing_resolution: As in ``processing_size``.

    Raises:
        InputError: As ``sample`` and ``processing_size``, or if the networks learnt linear depth.
    """
    if model.normalization != "log":
        raise InputError("normalization of the weights", model.normalization, "log")
    height, width = rgb.shape[:2]
    size = processing_size(height, width, processing_resolution)
    maps = None
    if model.encoding is not None:
        if depth is None or known is None:
            raise InputError("known depth", None, "known depth, the completion model needs it")
        maps = condition_maps(depth, known, size, model.encoding)[None]
    image = network_image(rgb, size)[None]
    samples = sample(
        model, image, num_inference_steps=num_inference_steps, ensemble_size=ensemble_size, seed=seed, maps=maps, batch=batch
    )
    spread = _resized(samples.spread, (height, width)) if ensemble_size > 1 else None
    return LogDepth(_resized(samples.mean, (height, width)), spread, size)


def _resized(maps: Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
    """The first map at another size."""
    resized = F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized[0, 0].cpu().numpy()


@dataclass(frozen=True)
class MetricDepth:
    """A prediction in the unit of known depth.

    Attributes:
        depth: z-depth  # [H, W]
        uncertainty: Relative standard deviation: that of the members, together with what the fit leaves at known pixels
            # [H, W]
        fit: ln d = scale * x + shift.
        normals: Unit normals in the camera's OpenCV frame, towards the camera; None without a camera  # [H, W, 3]
    """

    depth: NDArray[np.float64]
    uncertainty: NDArray[np.float32]
    fit: GlobalFit
    normals: NDArray[np.float32] | None = None


def metric_depth(prediction: LogDepth, depth: Array, known: Mask, camera: Cameras | None = None) -> MetricDepth:
    """Fits scale and shift of log depth robustly to known pixels (the paper's evaluation fits by least squares, in the
    same space) and takes the exponential.

    Args:
        prediction: From ``predict_log_depth``  # [H, W]
        depth: z-depth, read where known  # [H, W]
        known: True = measured, at least one  # [H, W]
        camera: One pinhole camera of the same size, for normals.
    """
    fit = fit_globally(prediction.values, depth, known, "log")
    fitted = apply_fit(fit, prediction.values, depth[known])
    normals = None if camera is None else normals_from_depth(fitted, camera)
    return MetricDepth(fitted, relative_uncertainty(prediction, fit), fit, normals)


def relative_uncertainty(prediction: LogDepth, fit: GlobalFit) -> NDArray[np.float32]:
    """Standard deviation of log depth, which is the relative one of depth, in every pixel  # [H, W]"""
    rest = MAD_TO_SIGMA * fit.residual
    spread = np.zeros(prediction.values.shape) if prediction.uncertainty is None else fit.scale * prediction.uncertainty
    return np.hypot(spread, rest).astype(np.float32)


def relative_depth(prediction: LogDepth, log_range: float = LOG_RANGE) -> NDArray[np.float64]:
    """Depth of free scale from a prediction alone, for uses that need its shape, such as ``control_image``.

    Normalised log depth spans 2 over the range of the training data, whose extent was never published; the exponent is
    therefore an assumption. Where depth is known in some pixels, ``metric_depth`` needs none.

    Args:
        prediction: From ``predict_log_depth``  # [H, W]
        log_range: ln(d98 / d2) of the training data.
    """
    if not 0 < log_range < 50:
        raise InputError("log_range", log_range, "a positive number, the logarithm of far over near")
    return np.exp(0.5 * log_range * prediction.values.astype(np.float64))
