"""Readers of single RGB-D frames with truth: one call finds out which data set a folder is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType

from scene_depth.datasets.frames.folders import listed_frames, plain_frames, single_frame
from scene_depth.datasets.frames.frame import DepthFrame, FrameSource
from scene_depth.datasets.frames.hypersim import hypersim_frames
from scene_depth.datasets.frames.kitti import selected_frames, tree_frames
from scene_depth.datasets.frames.nyu import exported_frames, labeled_frames, scene_frames
from scene_depth.datasets.frames.resize import cropped_frame, limited_frame, mirrored_frame, resized_frame
from scene_depth.datasets.frames.scans import arkit_frames, diode_frames, eth3d_frames, ibims_frames, scannet_frames
from scene_depth.datasets.frames.virtual_kitti import virtual_kitti_frames
from scene_depth.errors import InputError

__all__ = [
    "LAYOUTS",
    "DepthFrame",
    "FrameSource",
    "cropped_frame",
    "find_frames",
    "limited_frame",
    "mirrored_frame",
    "resized_frame",
]

LAYOUTS: Mapping[str, tuple[Callable[[Path], list[FrameSource]], str]] = MappingProxyType(
    {
        "list": (listed_frames, "a frames.json and one folder a frame"),
        "frame": (single_frame, "one frame: rgb.* and depth.*, or known_depth.* and mask.*"),
        "nyu": (labeled_frames, "nyu_depth_v2_labeled.mat, with splits.mat beside it for the test split"),
        "kitti": (selected_frames, "KITTI val_selection_cropped: image, velodyne_raw, groundtruth_depth, intrinsics"),
        "kitti-tree": (tree_frames, "KITTI <split>/<drive>/proj_depth/groundtruth/image_0x"),
        "eth3d": (eth3d_frames, "ETH3D <scene>/ground_truth_depth and <scene>/images"),
        "diode": (diode_frames, "DIODE *_depth.npy, *_depth_mask.npy and *.png"),
        "scannet": (scannet_frames, "ScanNet color/, depth/ and intrinsic/, of one scene or many"),
        "ibims": (ibims_frames, "iBims-1 ibims1_core_raw: rgb, depth, calib, mask_invalid, mask_transp"),
        "arkitscenes": (arkit_frames, "ARKitScenes upsampling/<fold>/<video>/highres_depth and wide"),
        "hypersim": (hypersim_frames, "Hypersim ai_*/images/scene_cam_*_geometry_hdf5"),
        "vkitti2": (virtual_kitti_frames, "Virtual KITTI 2 SceneXX/<variation>/frames/depth and rgb"),
        "nyu-scenes": (scene_frames, "NYUv2 <split>/<scene>/<number>.h5 with rgb and depth"),
        "nyu-pictures": (exported_frames, "rgb_*.jpg and sync_depth_*.png or depth_*.png (millimetres)"),
        "plain": (plain_frames, "depth/ and rgb/ with files of the same names"),
    }
)
"""Known layouts by name, in the order in which they are tried, with what they look like."""


SPLIT_LAYOUTS: Mapping[str, Callable[[Path, str], list[FrameSource]]] = MappingProxyType(
    {
        "nyu": labeled_frames,
        "nyu-scenes": scene_frames,
        "kitti-tree": tree_frames,
        "hypersim": hypersim_frames,
        "vkitti2": virtual_kitti_frames,
    }
)
"""Layouts with published splits."""


def find_frames(data: str | PathLike[str], layout: str = "auto", split: str | None = None) -> list[FrameSource]:
    """The frames of a data set folder, a folder of frames, or one frame; files are read when a frame is loaded.

    Args:
        data: The folder, or the labelled file of NYUv2.
        layout: A name of ``LAYOUTS``, or "auto" for the first that fits.
        split: "train", "val" or "test" where the layout has published splits; others have none and are taken whole. By default
            what is for evaluation.

    Raises:
        InputError: If the path is not there, or if no layout fits.
    """
    path = Path(data)
    if layout != "auto" and layout not in LAYOUTS:
        raise InputError("layout", repr(layout), f"auto, {', '.join(LAYOUTS)}")
    if not path.exists():
        raise InputError("data", "no such file or folder", "a folder of RGB-D frames", file=path)
    if not path.is_dir() and path.suffix != ".mat":
        raise InputError("data", "a file", "a folder of RGB-D frames, or nyu_depth_v2_labeled.mat", file=path)
    if not path.is_dir():
        return _unique(labeled_frames(path, split or "test"), path)
    for name, (find, _) in LAYOUTS.items():
        if layout not in ("auto", name):
            continue
        sources = find(path) if split is None or name not in SPLIT_LAYOUTS else SPLIT_LAYOUTS[name](path, split)
        if sources:
            return _unique(sources, path)
    wanted = LAYOUTS if layout == "auto" else [layout]
    raise InputError("data", "no frame", "; or ".join(f"{name}: {LAYOUTS[name][1]}" for name in wanted), file=path)


def _unique(sources: list[FrameSource], path: Path) -> list[FrameSource]:
    names = [source.name for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise InputError("frames", f"the name {twice[0]!r} {names.count(twice[0])} times", "names that occur once", file=path)
    return sources
