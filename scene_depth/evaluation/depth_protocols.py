"""What is hidden, in which view, which prior is given, and where errors are counted: the protocols of depth inpainting."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames.frame import DepthFrame
from scene_depth.datasets.frames.resize import cropped_frame, resized_frame
from scene_depth.depth.masks import MASKS, known_mask, mask_seed, patches, random_share
from scene_depth.depth.masks.content import fill_nearest
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import Regions, split_regions
from scene_depth.evaluation.priorda import PRIORDA, SETTINGS, given_depth

NYU_VIEW = (304, 228)
"""Width and height after halving 640x480 and cropping the centre (Ma and Karaman 2018, section V)."""
KITTI_VIEW = (1216, 352)
"""Width and height of the bottom crop of KITTI depth completion (Uhrig et al. 2017; Ma et al. 2019)."""
NATIVE, OBJECT, NYU500, INPUT = "native", "object", "nyu500", "input:"

PriorKind = Literal["none", "simulated", "frame"]

ERROR = 0.06
"""Mean of |factor - 1| of a simulated prior."""
BLUR = 1 / 320
"""Standard deviation of the blur relative to the width: 2 pixels of 640."""
WAVE = 1 / 12
"""Standard deviation of the noise's smoothing relative to the shorter side: errors of the size of furniture."""

KNOWN_SHARES = (2, 5, 10, 30, 50)
HOLES = ("patch5", "patch30", "silhouette", "segment", "rect", "outpaint", "sensor")
STANDARD = (*(f"rand{share}" for share in KNOWN_SHARES), NYU500, "lidar64", *HOLES, NATIVE)


@dataclass(frozen=True)
class DepthProtocol:
    """One way to measure.

    Attributes:
        name: Its name on the command line.
        about: What it is, in one line.
        masks: What is hidden, one run each; see ``make_case`` for the names.
        region: The pixels whose errors are the headline: the hidden ones, or all with truth.
        view: How frames are cropped and resized.
        millimetres: Whether RMSE and MAE are shown in millimetres.
    """

    name: str
    about: str
    masks: tuple[str, ...]
    region: Literal["hidden", "all"] = "hidden"
    view: Literal["whole", "nyu", "kitti"] = "whole"
    millimetres: bool = False


PROTOCOLS: Mapping[str, DepthProtocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            DepthProtocol("standard", "every kind of mask: scattered points, scan lines, holes, real sensors", STANDARD),
            DepthProtocol("holes", "contiguous holes: what editing a scene needs", HOLES),
            DepthProtocol(
                "depthlab-masks",
                "the mask strategies of DepthLab, table 1; object silhouettes stand for its Grounded-SAM masks",
                ("strokes", "circles", "squares", "mixture", "sparse", "silhouette", "segment"),
            ),
            DepthProtocol(
                "depthlab-known-share",
                "known shares of DepthLab, table 3; the paper does not say whether pixels or blocks, so both",
                tuple(f"{kind}{share}" for kind in ("rand", "patch") for share in KNOWN_SHARES),
            ),
            DepthProtocol("nyu500", "500 points at 304x228 (Ma and Karaman 2018)", (NYU500,), region="all"),
            DepthProtocol(
                "kitti",
                "KITTI depth completion: bottom crop 1216x352, one scan (or scan lines and withheld points), mm and 1/km",
                (NATIVE, "lidar64", "lidar16", "rand50"),
                region="all",
                view="kitti",
                millimetres=True,
            ),
            DepthProtocol(
                "priorda",
                "settings of Prior Depth Anything: missing regions, sparse points, low resolution, mixtures, noise",
                tuple(PRIORDA + name for name in SETTINGS),
            ),
        )
    }
)


@dataclass(frozen=True)
class DepthCase:
    """One frame under one mask: what an inpainter is given, and what it is compared with.

    Attributes:
        frame: Name of the frame.
        dataset: Name of its data set.
        mask: Name of the mask.
        seed: Seed of the mask, also given to the inpainter.
        rgb: sRGB in [0, 1] or None  # [H, W, 3]
        depth: z-depth of the known pixels, 0 elsewhere: hidden truth cannot leak  # [H, W]
        known: True = given  # [H, W]
        camera: One camera or None.
        truth: True z-depth, 0 = none  # [H, W]
        regions: The pixels with truth, split by what was given.
        prior: Relative inverse depth, or None  # [H, W]
        classes: Number of the semantic class, 0 = none; or None  # [H, W]
        class_names: Names of the classes by number.
    """

    frame: str
    dataset: str
    mask: str
    seed: int
    rgb: NDArray[np.float32] | None
    depth: NDArray[np.float32]
    known: NDArray[np.bool_]
    camera: Cameras | None
    truth: NDArray[np.float32]
    regions: Regions
    prior: NDArray[np.float32] | None = None
    classes: NDArray[np.int32] | None = None
    class_names: tuple[str, ...] = ()


def make_case(frame: DepthFrame, mask: str, *, view: str = "whole", prior: PriorKind = "none") -> DepthCase | None:
    """Hides part of a frame, with a seed that depends on the names of frame and mask alone.

    Args:
        frame: A frame with truth.
        mask: A name of ``scene_depth.depth.masks.MASKS``; ``randN`` and ``patchN`` for a share of N %; "nyu500", 500 points
            in the view of NYU; "object", the mask that came with the frame; "native", what the frame's sensor measured;
            "input:NAME", another measured input of the frame; "priorda:NAME", a setting of ``scene_depth.evaluation.priorda``.
        view: "whole", "nyu" or "kitti".
        prior: Which prior to add.

    Returns:
        The case, or None if the frame lacks what the mask or the prior needs, or if nothing with truth would be hidden.

    Raises:
        InputError: If there is no such mask.
    """
    check_mask(mask)
    frame = VIEWS["nyu" if mask == NYU500 else view](frame)
    seed = mask_seed(frame.name, mask)
    given = _given(frame, mask, seed)
    if given is None or not frame.valid.any():
        return None
    depth, known = given
    scored = frame.valid if frame.score_mask is None or mask != NATIVE else frame.valid & frame.score_mask
    regions = split_regions(scored, known)
    cue = frame_prior(frame) if prior == "frame" else None
    if prior == "simulated":
        cue = simulated_prior(frame.truth, mask_seed(frame.name, "prior"))
    if not known.any() or not regions.hidden.any() or (prior != "none" and cue is None):
        return None
    depth = np.where(known, depth, 0).astype(np.float32)
    return DepthCase(
        frame=frame.name,
        dataset=frame.dataset,
        mask=mask,
        seed=seed,
        rgb=frame.rgb,
        depth=depth,
        known=known,
        camera=frame.camera,
        truth=frame.truth,
        regions=regions,
        prior=cue,
        classes=frame.classes,
        class_names=frame.class_names,
    )


def simulated_prior(
    truth: NDArray[np.floating], seed: int, *, error: float = ERROR, blur: float = BLUR, wave: float = WAVE
) -> NDArray[np.float32]:
    """Relative inverse depth as a good monocular model might give it.

    It is made from the truth, so objects and edges are right: what it gains is an upper bound for real models. True
    inverse depth (gaps filled with the nearest truth), blurred, times smooth noise whose mean error is ``error``, under a
    random affine map with positive scale.

    Args:
        truth: z-depth, 0 = none, some of it known  # [H, W]
        seed: Seed of noise and affine map.
        error: Mean of |factor - 1|.
        blur: Standard deviation of the blur relative to the width.
        wave: Standard deviation of the noise's smoothing relative to the shorter side.

    Returns:
        Inverse depth up to scale and shift, positive  # [H, W]
    """
    rng = np.random.default_rng(seed)
    distorted = _distorted(truth, rng, error, blur, wave)
    scale, shift = float(np.exp(rng.uniform(-1.5, 1.5))), float(rng.uniform(0.0, 0.5))
    prior: NDArray[np.float32] = (scale * (distorted + shift * np.median(distorted))).astype(np.float32)
    return prior


def simulated_metric_depth(
    truth: NDArray[np.floating], seed: int, *, error: float = ERROR, blur: float = BLUR, wave: float = WAVE
) -> NDArray[np.float32]:
    """Depth as a good metric model might give it: ``simulated_prior`` without its affine map, as depth  # [H, W]"""
    depth: NDArray[np.float32] = (1.0 / _distorted(truth, np.random.default_rng(seed), error, blur, wave)).astype(np.float32)
    return depth


def _distorted(
    truth: NDArray[np.floating], rng: np.random.Generator, error: float, blur: float, wave: float
) -> NDArray[np.float64]:
    """Inverse depth, blurred, times smooth noise  # [H, W]"""
    inverse = ndimage.gaussian_filter(1.0 / fill_nearest(truth), blur * truth.shape[1], mode="nearest")
    noise = ndimage.gaussian_filter(rng.standard_normal(truth.shape), wave * min(truth.shape), mode="reflect")
    noise -= noise.mean()
    factor = np.exp(noise * (error / max(float(np.abs(noise).mean()), 1e-30)))
    factor = 1.0 + (factor - 1.0) * (error / max(float(np.abs(factor - 1.0).mean()), 1e-30))
    distorted: NDArray[np.float64] = inverse * np.maximum(factor, 0.1)
    return distorted


def frame_prior(frame: DepthFrame) -> NDArray[np.float32] | None:
    """The inverse of the monocular prediction that came with a frame; None if none did  # [H, W]"""
    if frame.prior is None:
        return None
    positive = frame.prior[frame.prior > 0]
    if not positive.size:
        return None
    return (1.0 / np.maximum(frame.prior, 0.01 * float(np.median(positive)))).astype(np.float32)


def check_mask(mask: str) -> None:
    """Raises InputError if there is no mask of that name."""
    share = re.fullmatch(r"(?:rand|patch)(\d+)", mask)
    if mask in MASKS or mask in (NATIVE, OBJECT, NYU500) or mask.startswith(INPUT) or (share and 0 < int(share[1]) < 100):
        return
    if mask.startswith(PRIORDA) and mask.removeprefix(PRIORDA) in SETTINGS:
        return
    accepted = f"{', '.join(MASKS)}, randN or patchN (N %), {NYU500}, {OBJECT}, {NATIVE}, {INPUT}NAME"
    accepted += f", {PRIORDA}NAME with NAME one of {', '.join(SETTINGS)}"
    raise InputError("mask", repr(mask), accepted)


def check_protocol(name: str) -> DepthProtocol:
    """The protocol of that name; InputError if there is none."""
    if name not in PROTOCOLS:
        raise InputError("protocol", repr(name), ", ".join(PROTOCOLS))
    return PROTOCOLS[name]


def nyu_view(frame: DepthFrame) -> DepthFrame:
    """The centre 304x228 after the frame was made to cover 320x240 (640x480 is halved); smaller frames as they are."""
    height, width = frame.truth.shape
    factor = max(320 / width, 240 / height)
    if factor < 1:
        frame = resized_frame(frame, max(1, round(width * factor)), max(1, round(height * factor)))
    return _window(frame, NYU_VIEW, 2)


def kitti_view(frame: DepthFrame) -> DepthFrame:
    """The bottom 352 rows and middle 1216 columns; smaller frames as they are."""
    return _window(frame, KITTI_VIEW, 1)


def _window(frame: DepthFrame, size: tuple[int, int], divisor: int) -> DepthFrame:
    """The middle columns and, of the rows, those below 1 / divisor of the spare ones."""
    height, width = frame.truth.shape
    crop_width, crop_height = min(size[0], width), min(size[1], height)
    return cropped_frame(frame, (width - crop_width) // 2, (height - crop_height) // divisor, crop_width, crop_height)


VIEWS: Mapping[str, Callable[[DepthFrame], DepthFrame]] = MappingProxyType(
    {"whole": lambda frame: frame, "nyu": nyu_view, "kitti": kitti_view}
)


def _given(frame: DepthFrame, mask: str, seed: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Depth and known pixels of the input; None if the frame lacks them."""
    if mask == NATIVE or mask.startswith(INPUT):
        name = next(iter(frame.measured), None) if mask == NATIVE else mask.removeprefix(INPUT)
        measured = frame.measured.get(name) if name is not None else None
        return None if measured is None else (measured, measured > 0)
    if not frame.valid.any():
        return None
    if mask == OBJECT:
        return None if frame.object_mask is None else (frame.truth, frame.valid & ~frame.object_mask)
    if mask.startswith(PRIORDA):
        return given_depth(frame, mask.removeprefix(PRIORDA), seed)
    share = re.fullmatch(r"(rand|patch)(\d+)", mask)
    if share and mask not in MASKS:
        function = random_share if share[1] == "rand" else patches
        return frame.truth, function(frame.truth.shape, seed, int(share[2]) / 100) & frame.valid
    name = "points500" if mask == NYU500 else mask
    return frame.truth, known_mask(name, frame.truth, seed, rgb=frame.rgb, camera=frame.camera)
