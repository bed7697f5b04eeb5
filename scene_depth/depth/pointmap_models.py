"""Pointmap models run in this process, where their packages and weights are: from photos to a ``PointmapRun`` in one call.

Each is called as its own documentation shows; what it gives is saved as it would save it and read like any other file, so that
conventions and mappings are checked the same way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.depth.latent.devices import choose_device
from scene_depth.errors import InputError, first_line
from scene_depth.io.atomic import atomic_path
from scene_depth.io.pointmaps import read_pointmaps
from scene_depth.io.pointmaps.photos import Photos, list_photos
from scene_depth.pointmaps import PointmapRun

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class PointmapModel:
    """A model that can be run here.

    Attributes:
        name: As ``read_pointmaps`` names it.
        package: Name of the package that is imported.
        entry: Module and class of the network, which has ``from_pretrained``.
        checkpoint: Weights that its documentation names: a hub id.
        run: Gives the arrays of a file, from a network, the photos' files and a device.
        install: How to get the package.
        license: Of the weights.
    """

    name: str
    package: str
    entry: tuple[str, str]
    checkpoint: str
    run: Callable[[Any, list[str], torch.device], Arrays]
    install: str
    license: str


def run_pointmap_model(
    photos: Photos,
    model: str,
    *,
    checkpoint: str | None = None,
    network: Any | None = None,
    device: str = "auto",
    save: str | PathLike[str] | None = None,
    trust_file: bool = False,
) -> PointmapRun:
    """Depth and cameras of photos by a model whose package is installed.

    Args:
        photos: A folder, or files in the order in which the model is to see them.
        model: "vggt", "da3", "dust3r" or "mapanything".
        checkpoint: Hub id or local folder of the weights; by default those of the model's documentation, which are fetched by
            its own package if they are not on this machine.
        network: A network that is loaded already, in place of a checkpoint.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        save: Where to keep the arrays as ``.npz``, for ``read_pointmaps``.
        trust_file: As of ``read_pointmaps``.

    Raises:
        InputError: If there is no such model, its package is not installed or its weights cannot be loaded, there are fewer
            than two photos, or the model fails on them.

    Example:
        >>> from scene_depth.depth.pointmap_models import run_pointmap_model
        >>> run_pointmap_model("photos", "colmap")
        Traceback (most recent call last):
            ...
        scene_depth.errors.InputError: model: colmap; expected vggt, da3, dust3r, mapanything
    """
    if model not in POINTMAP_MODELS:
        raise InputError("model", model, ", ".join(POINTMAP_MODELS))
    entry = POINTMAP_MODELS[model]
    files = [str(photo.path) for photo in list_photos(photos)[0]]
    if len(files) < 2:
        raise InputError("photos", f"{len(files)} files", "two or more")
    chosen = choose_device(device)
    if network is None:
        network = _load(entry, checkpoint or entry.checkpoint)
    try:
        with torch.no_grad() if entry.name != "dust3r" else torch.enable_grad():  # the aligner of DUSt3R optimises
            arrays = entry.run(network.to(chosen), files, chosen)
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError, OSError) as error:
        raise InputError(f"model {model}", f"could not be run ({first_line(error)})", "", hint=entry.install) from error
    arrays["names"] = np.array([Path(file).name for file in files])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{entry.name}.npz"
        if save is not None:
            path = Path(save)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        else:
            np.savez(path, allow_pickle=False, **arrays)
        return read_pointmaps(path, files, model=entry.name, trust_file=trust_file)


def _load(entry: PointmapModel, checkpoint: str) -> Any:
    try:
        network_class = getattr(import_module(entry.entry[0]), entry.entry[1])
    except (ImportError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"package {entry.package}", f"could not be imported ({first_line(error)})", "", hint=entry.install
        ) from error
    try:
        return network_class.from_pretrained(checkpoint)
    except Exception as error:  # whatever hubs, archives and networks raise
        accepted = f"a local folder, or a hub model in the local cache or within reach ({entry.license})"
        raise InputError(f"weights {checkpoint}", first_line(error), accepted, hint=f"hf download {checkpoint}") from error


def _numbers(value: Any) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(value.detach().float().cpu() if isinstance(value, torch.Tensor) else value)
    return array


def _run_vggt(network: Any, files: list[str], device: torch.device) -> Arrays:
    images = import_module("vggt.utils.load_fn").load_and_preprocess_images(files).to(device)
    dtype = torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float16
    with torch.autocast(device.type, dtype, enabled=device.type == "cuda"):
        found = network(images)
    decode = import_module("vggt.utils.pose_enc").pose_encoding_to_extri_intri
    extrinsic, intrinsic = decode(found["pose_enc"], images.shape[-2:])
    arrays = {key: _numbers(found[key])[0] for key in ("pose_enc", "depth", "depth_conf")}
    arrays |= {"extrinsic": _numbers(extrinsic)[0], "intrinsic": _numbers(intrinsic)[0], "images": _numbers(images)}
    unproject = import_module("vggt.utils.geometry").unproject_depth_map_to_point_map
    arrays["world_points_from_depth"] = _numbers(unproject(arrays["depth"], arrays["extrinsic"], arrays["intrinsic"]))
    return arrays


def _run_da3(network: Any, files: list[str], device: torch.device) -> Arrays:
    found = network.inference(files)
    missing = [key for key in ("depth", "extrinsics", "intrinsics") if getattr(found, key, None) is None]
    if missing:
        raise ValueError(f"this checkpoint gives no {', '.join(missing)}: an any-view one does")
    arrays = {"image": _numbers(found.processed_images), "depth": _numbers(found.depth), "extrinsics": _numbers(found.extrinsics)}
    arrays["extrinsics"] = arrays["extrinsics"][:, :3]
    arrays["intrinsics"] = _numbers(found.intrinsics)
    if getattr(found, "conf", None) is not None:
        arrays["conf"] = _numbers(found.conf)
    return arrays


def _run_dust3r(network: Any, files: list[str], device: torch.device) -> Arrays:
    images = import_module("dust3r.utils.image").load_images(files, size=512)
    pairs = import_module("dust3r.image_pairs").make_pairs(images, scene_graph="complete", prefilter=None, symmetrize=True)
    output = import_module("dust3r.inference").inference(pairs, network, device, batch_size=1)
    alignment = import_module("dust3r.cloud_opt")
    scene = alignment.global_aligner(output, device=device, mode=alignment.GlobalAlignerMode.PointCloudOptimizer)
    scene.compute_global_alignment(init="mst", niter=300, schedule="cosine", lr=0.01)
    arrays = {"poses": _numbers(scene.get_im_poses()), "intrinsics": _numbers(scene.get_intrinsics())}
    maps = {"depth": scene.get_depthmaps(), "pts3d": scene.get_pts3d(), "im_conf": list(scene.im_conf), "img": scene.imgs}
    for key, values in maps.items():
        arrays |= {f"{key}_{index}": _numbers(value) for index, value in enumerate(values)}
    return arrays


def _run_mapanything(network: Any, files: list[str], device: torch.device) -> Arrays:
    views = import_module("mapanything.utils.image").load_images(files)
    outputs: Sequence[dict[str, Any]] = network.infer(
        views, memory_efficient_inference=False, use_amp=device.type == "cuda", amp_dtype="bf16", apply_mask=True, mask_edges=True
    )
    keys = ("depth_z", "conf", "mask", "intrinsics", "camera_poses", "img_no_norm")
    return {key: np.concatenate([_numbers(output[key]) for output in outputs]) for key in keys if key in outputs[0]}


POINTMAP_MODELS = {
    "vggt": PointmapModel(
        "vggt",
        "vggt",
        ("vggt.models.vggt", "VGGT"),
        "facebook/VGGT-1B",
        _run_vggt,
        "pip install git+https://github.com/facebookresearch/vggt",
        "VGGT License, non-commercial but for a checkpoint of its own",
    ),
    "da3": PointmapModel(
        "depth_anything_3",
        "depth_anything_3",
        ("depth_anything_3.api", "DepthAnything3"),
        "depth-anything/DA3-BASE",
        _run_da3,
        "pip install depth-anything-3",
        "Apache-2.0",
    ),
    "dust3r": PointmapModel(
        "dust3r",
        "dust3r",
        ("dust3r.model", "AsymmetricCroCo3DStereo"),
        "naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt",
        _run_dust3r,
        "git clone --recursive https://github.com/naver/dust3r, and put it on PYTHONPATH",
        "CC BY-NC-SA 4.0",
    ),
    "mapanything": PointmapModel(
        "mapanything",
        "mapanything",
        ("mapanything.models", "MapAnything"),
        "facebook/map-anything-apache",
        _run_mapanything,
        "pip install git+https://github.com/facebookresearch/map-anything",
        "Apache-2.0",
    ),
}
"""Models that can be run in this process, by the name on the command line (``--model``)."""
