"""Pointmap runs made of a sample scene, written in the layout of each model: true depth and cameras, small pictures."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import scene_depth as sd
from scene_depth.io.colmap_files import write_colmap_model
from scene_depth.io.colmap_model import ColmapImage, ColmapModel, no_points
from scene_depth.io.distortion import LENS_MODELS, LensCamera
from scene_depth.io.pointmaps.resizing import RULES, Resizing
from scene_depth.rotations import matrices_to_quaternions

ROOT = Path(__file__).resolve().parents[1]
OPENGL = np.diag([1.0, -1, -1, 1])


@dataclass(frozen=True)
class Sample:
    """One view of a true run; conventions as in this package.

    Attributes:
        name: Of the photo.
        depth: z-depth at processed size  # [H, W]
        K: At processed size, first pixel's centre at 0.5  # [3, 3]
        pose: camera_to_world  # [4, 4]
        image: What a model would have seen  # [H, W, 3]
        resizing: How it came from the photo.
    """

    name: str
    depth: NDArray[np.float64]
    K: NDArray[np.float64]
    pose: NDArray[np.float64]
    image: NDArray[np.float32]
    resizing: Resizing

    @property
    def points(self) -> NDArray[np.float64]:
        """World points of all pixels  # [H, W, 3]"""
        rows, columns = np.mgrid[: self.depth.shape[0], : self.depth.shape[1]] + 0.5
        x, y = (columns - self.K[0, 2]) / self.K[0, 0], (rows - self.K[1, 2]) / self.K[1, 1]
        return self.depth[..., None] * np.stack([x, y, np.ones_like(x)], -1) @ self.pose[:3, :3].T + self.pose[:3, 3]


def make_samples(photos: Path, rule: str, target: int, count: int = 4, portrait: tuple[int, ...] = ()) -> list[Sample]:
    """Views of the sample scene of a table as a loader would bring them to a model, and their photos written to a folder.

    Args:
        photos: Folder for the photos, which is made.
        rule: Name of the loader's rule.
        target: Its target size.
        count: Number of views.
        portrait: Views of which only the upright middle is the photo.
    """
    photos.mkdir(exist_ok=True)
    cut = []
    for index in range(count):
        image, depth, K, pose = _table_view(2 * index)
        K = K.copy()
        if index in portrait:
            image, depth = image[:, 80:240], depth[:, 80:240]
            K[0, 2] -= 80
        name = f"photo_{index}.png"
        Image.fromarray(np.rint(image * 255).astype(np.uint8)).save(photos / name)
        cut.append((name, image, depth, K, pose))
    resizings = RULES[rule].resize([(image.shape[1], image.shape[0]) for _, image, *_ in cut], target)
    return [_sample(*parts, resizing) for parts, resizing in zip(cut, resizings, strict=True)]


@cache
def _table_view(index: int) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    view = _table().views[index]
    camera = view.camera
    depth = np.asarray(view.depth(), np.float64)
    return view.image(), depth, camera.K[0].double().numpy(), camera.camera_to_world[0].double().numpy()


@cache
def _table() -> sd.Scene:
    return sd.read_scene(ROOT / "scenes/table")


def _sample(
    name: str,
    image: NDArray[np.float32],
    depth: NDArray[np.float64],
    K: NDArray[np.float64],
    pose: NDArray[np.float64],
    resizing: Resizing,
) -> Sample:
    x, y = (resizing.offset[i] + resizing.scale[i] * (np.arange(resizing.size[i]) + 0.5) for i in (0, 1))
    inside = ((y >= 0) & (y < depth.shape[0]))[:, None] & ((x >= 0) & (x < depth.shape[1]))[None]
    at = np.ix_(np.clip(y, 0, depth.shape[0] - 1).astype(int), np.clip(x, 0, depth.shape[1] - 1).astype(int))
    small = K.copy()
    for axis in (0, 1):
        small[axis, axis] /= resizing.scale[axis]
        small[axis, 2] = (K[axis, 2] - resizing.offset[axis]) / resizing.scale[axis]
    seen = np.where(inside[..., None], image[at], np.float32(1))
    return Sample(name, np.where(inside, depth[at], 0.7), small, pose, seen, resizing)


@dataclass(frozen=True)
class Mix:
    """How a file is meant to be wrong: each names what is changed before writing."""

    inverse: bool = False
    opengl: bool = False
    ray: bool = False
    half: bool = False
    swapped: tuple[int, int] | None = None
    translation: float = 1.0
    focal: float = 1.0


RIGHT = Mix()


def _poses(samples: Sequence[Sample], mix: Mix, world_to_camera: bool) -> NDArray[np.float64]:
    poses = np.stack([sample.pose for sample in samples])
    if mix.swapped is not None:
        poses[list(mix.swapped)] = poses[list(mix.swapped)[::-1]]
    poses[:, :3, 3] *= mix.translation
    poses = poses @ OPENGL if mix.opengl else poses
    return np.linalg.inv(poses) if world_to_camera != mix.inverse else poses


def _K(samples: Sequence[Sample], mix: Mix) -> NDArray[np.float64]:
    Ks = np.stack([sample.K for sample in samples])
    Ks[:, :2, 2] -= 0.0 if mix.half else 0.5
    Ks[:, [0, 1], [0, 1]] *= mix.focal
    return Ks


def _depth(sample: Sample, mix: Mix) -> NDArray[np.float32]:
    if not mix.ray:
        return sample.depth.astype(np.float32)
    return np.linalg.norm(sample.points - sample.pose[:3, 3], axis=-1).astype(np.float32)


def write_vggt(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT, omega: bool = False) -> Path:
    depth = np.stack([_depth(sample, mix) for sample in samples])
    arrays = {
        "extrinsic": _poses(samples, mix, world_to_camera=True)[:, :3].astype(np.float32),
        "intrinsic": _K(samples, mix).astype(np.float32),
        "depth": depth[..., None],
        "depth_conf": 1 + depth,
        "images": np.stack([sample.image.transpose(2, 0, 1) for sample in samples]),
        "world_points_from_depth": np.stack([sample.points for sample in samples]),
    }
    if omega:
        arrays["camera_and_register_tokens"] = np.zeros((len(samples), 2, 3), np.float32)
    else:
        arrays["world_points"] = arrays["world_points_from_depth"].astype(np.float32) * np.float32(1.01)
        arrays["pose_enc_list"] = np.array(None, dtype=object)
    np.savez(path, **arrays)
    return path


def write_da3(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT, whole_photo: bool = False) -> Path:
    Ks = _K(samples, mix)
    if whole_photo:
        for sample, K in zip(samples, Ks, strict=True):
            K[0, 2], K[1, 2] = sample.resizing.size[0] / 2, sample.resizing.size[1] / 2
            K[:2] *= np.array(sample.resizing.photo)[:, None] / np.array(sample.resizing.size)[:, None]
    np.savez(
        path,
        image=np.stack([np.rint(sample.image * 255).astype(np.uint8) for sample in samples]),
        depth=np.round(np.stack([_depth(sample, mix) for sample in samples]), 6),
        conf=np.full((len(samples), *samples[0].depth.shape), 1.5, np.float32),
        extrinsics=_poses(samples, mix, world_to_camera=True)[:, :3].astype(np.float32),
        intrinsics=Ks.astype(np.float32),
    )
    return path


def write_mapanything(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT) -> Path:
    depth = np.stack([_depth(sample, mix) for sample in samples])
    mask = np.ones(depth.shape, bool)
    mask[0, :4] = False
    np.savez(
        path,
        extrinsic=_poses(samples, mix, world_to_camera=False).astype(np.float32),
        intrinsic=_K(samples, mix).astype(np.float32),
        world_points=np.stack([sample.points for sample in samples]).astype(np.float32),
        conf=1 + depth,
        depth=depth[..., None],
        images=np.stack([sample.image for sample in samples]),
        final_mask=mask,
    )
    return path


def write_mapanything_outputs(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT) -> Path:
    depth = np.stack([_depth(sample, mix) for sample in samples])
    np.savez(
        path,
        camera_poses=_poses(samples, mix, world_to_camera=False).astype(np.float32),
        intrinsics=_K(samples, mix).astype(np.float32),
        depth_z=depth[..., None],
        conf=1 + depth,
        mask=np.ones((*depth.shape, 1), bool),
        img_no_norm=np.stack([sample.image for sample in samples]),
    )
    return path


def write_pi3(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT) -> Path:
    conf = np.full((len(samples), *samples[0].depth.shape, 1), 0.9, np.float32)
    conf[0, 0] = 0
    np.savez(
        path,
        points=np.stack([sample.points for sample in samples]).astype(np.float32),
        conf=conf,
        camera_poses=_poses(samples, mix, world_to_camera=False).astype(np.float32),
        images=np.stack([sample.image for sample in samples]),
    )
    return path


def write_dust3r(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT) -> Path:
    arrays = {"poses": _poses(samples, mix, world_to_camera=False).astype(np.float32), "intrinsics": _K(samples, mix)}
    arrays["names"] = np.array([f"/data/elsewhere/{sample.name}" for sample in samples])
    for index, sample in enumerate(samples):
        arrays[f"depth_{index}"] = _depth(sample, mix)
        arrays[f"pts3d_{index}"] = sample.points.astype(np.float32)
        arrays[f"im_conf_{index}"] = 1 + _depth(sample, mix)
        arrays[f"img_{index}"] = np.rint(sample.image * 255).astype(np.uint8)
    np.savez(path, **arrays)
    return path


def write_cut3r(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT) -> Path:
    for name in ("depth", "conf", "color", "camera"):
        (path / name).mkdir(parents=True)
    poses, Ks = _poses(samples, mix, world_to_camera=False), _K(samples, mix)
    for index, sample in enumerate(samples):
        np.save(path / "depth" / f"{index:06d}.npy", _depth(sample, mix))
        np.save(path / "conf" / f"{index:06d}.npy", 1 + _depth(sample, mix))
        np.savez(path / "camera" / f"{index:06d}.npz", pose=poses[index], intrinsics=Ks[index])
        Image.fromarray(np.rint(sample.image * 255).astype(np.uint8)).save(path / "color" / f"{index:06d}.png")
    return path


def write_monst3r(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT, w_last: bool = False) -> Path:
    path.mkdir(parents=True)
    poses = _poses(samples, mix, world_to_camera=False)
    lines = []
    for index, sample in enumerate(samples):
        np.save(path / f"frame_{index:04d}.npy", _depth(sample, mix))
        np.save(path / f"conf_{index}.npy", _depth(sample, mix))
        Image.fromarray(np.rint(sample.image * 255).astype(np.uint8)).save(path / f"frame_{index:04d}.png")
        quat = _quaternion(poses[index])
        numbers = [float(index), *poses[index, :3, 3], *(np.roll(quat, -1) if w_last else quat)]
        lines.append(" ".join(map(str, numbers)))
    (path / "pred_traj.txt").write_text("\n".join(lines) + "\n")
    np.savetxt(path / "pred_intrinsics.txt", _K(samples, mix).reshape(-1, 9))
    return path


def _quaternion(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    return matrices_to_quaternions(torch.from_numpy(pose[:3, :3].copy())).numpy()


def _colmap_model(samples: Sequence[Sample], mix: Mix, forget_the_crop: bool) -> ColmapModel:
    cameras, images = {}, []
    for index, (sample, pose) in enumerate(zip(samples, _poses(samples, mix, world_to_camera=True), strict=True), start=1):
        (width, height), scale, offset = sample.resizing.photo, sample.resizing.scale, sample.resizing.offset
        numbers = [sample.K[axis, axis] * scale[axis] * mix.focal for axis in (0, 1)]
        centers = [sample.K[axis, 2] * scale[axis] + offset[axis] for axis in (0, 1)]
        if forget_the_crop:
            whole = width / sample.resizing.size[0], height / sample.resizing.size[1]
            numbers, centers = [sample.K[axis, axis] * whole[axis] for axis in (0, 1)], [width / 2, height / 2]
        cameras[index] = LensCamera(LENS_MODELS["PINHOLE"], *numbers, *centers, (), width, height)
        images.append(ColmapImage(index, sample.name, _quaternion(pose), pose[:3, 3], index))
    return ColmapModel(cameras, tuple(images), no_points())


def write_instantsplat(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT) -> Path:
    folder = path / f"sparse_{len(samples)}" / "0"
    folder.mkdir(parents=True)
    write_colmap_model(folder, _colmap_model(samples, mix, forget_the_crop=True))
    np.save(folder / "points3D_all.npy", np.stack([sample.points for sample in samples]).astype(np.float32))
    np.save(folder / "pointsColor_all.npy", np.stack([sample.image for sample in samples]))
    np.save(folder / "confidence.npy", np.stack([1 + sample.depth.reshape(-1) for sample in samples]))
    return path


def write_colmap(path: Path, samples: Sequence[Sample], mix: Mix = RIGHT) -> Path:
    (path / "sparse/0").mkdir(parents=True)
    (path / "depth").mkdir()
    write_colmap_model(path / "sparse/0", _colmap_model(samples, mix, forget_the_crop=False))
    for sample in samples:
        np.save(path / "depth" / f"{sample.name}.npy", _depth(sample, mix))
    return path


def write_glb(path: Path, samples: Sequence[Sample], kept: float = 0.9) -> Path:
    """The demo's scene of a model whose principal point is the middle, without the last pixels of every tenth row or so."""
    data, accessors, views, meshes, images = b"", [], [], [], []

    def add(content: bytes) -> int:
        nonlocal data
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(content)})
        data += content + b"\0" * (-len(content) % 4)
        return len(views) - 1

    def accessor(array: NDArray[np.float64]) -> int:
        kind = {2: "VEC2", 3: "VEC3"}[array.shape[1]]
        view = add(array.astype("<f4").tobytes())
        accessors.append({"componentType": 5126, "type": kind, "bufferView": view, "count": len(array)})
        return len(accessors) - 1

    left_out = np.random.default_rng(0).random(samples[0].depth.shape) > kept
    cloud = np.concatenate([sample.points[~left_out] for sample in samples])
    meshes.append({"primitives": [{"attributes": {"POSITION": accessor(cloud)}, "mode": 0}]})
    for index, sample in enumerate(samples):
        corners = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
        pixels = corners * np.array(sample.depth.shape[::-1])
        focal, center = sample.K[[0, 1], [0, 1]], sample.K[:2, 2] - 0.5
        rays = np.concatenate([(pixels - center) / focal, np.ones((4, 1))], axis=1)
        plane = 0.03 * rays @ sample.pose[:3, :3].T + sample.pose[:3, 3]
        file = io.BytesIO()
        Image.fromarray(np.rint(sample.image * 255).astype(np.uint8)).save(file, "png")
        images.append({"bufferView": add(file.getvalue()), "mimeType": "image/png"})
        attributes = {"POSITION": accessor(plane), "TEXCOORD_0": accessor(corners)}
        meshes.append({"primitives": [{"attributes": attributes, "mode": 4, "material": index}]})
        tip = accessor(np.concatenate([plane, sample.pose[None, :3, 3]]))
        meshes.append({"primitives": [{"attributes": {"POSITION": tip}, "mode": 4}]})
    content = {
        "meshes": meshes,
        "accessors": accessors,
        "bufferViews": views,
        "images": images,
        "textures": [{"source": index} for index in range(len(samples))],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": index}}} for index in range(len(samples))],
    }
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    header = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(data)) + struct.pack("<I4s", len(text), b"JSON")
    path.write_bytes(header + text + struct.pack("<I4s", len(data), b"BIN\0") + data)
    return path


Write = Callable[..., Path]
LAYOUTS: dict[str, tuple[Write, str, str, int]] = {
    "vggt": (write_vggt, "predictions.npz", "vggt crop", 84),
    "vggt_omega": (lambda *args: write_vggt(*args, omega=True), "predictions.npz", "omega balanced", 96),
    "depth_anything_3": (write_da3, "results.npz", "da3 upper_bound_resize", 84),
    "mapanything": (write_mapanything, "predictions.npz", "mapanything longest_side", 84),
    "mapanything outputs": (write_mapanything_outputs, "outputs.npz", "mapanything longest_side", 84),
    "pi3": (write_pi3, "predictions.npz", "pi3", 6_000),
    "dust3r": (write_dust3r, "scene.npz", "dust3r 512", 96),
    "cut3r": (write_cut3r, "run", "dust3r 512", 96),
    "monst3r": (write_monst3r, "run", "dust3r 512", 96),
    "instantsplat": (write_instantsplat, "scene", "dust3r 512", 96),
    "colmap": (write_colmap, "scene", "not resized", 0),
}
"""For each layout: its writer, the name of what it writes, the loader's rule and target size."""


def sampled(photos: Path, layout: str, count: int = 4) -> list[Sample]:
    """The samples of a layout, for COLMAP at a quarter of the photo."""
    _, _, rule, target = LAYOUTS[layout]
    samples = make_samples(photos, rule, target, count)
    if layout != "colmap":
        return samples
    return [
        replace(
            sample,
            depth=sample.depth[2::4, 2::4],
            K=sample.K / np.array([[4.0], [4], [1]]),
            image=sample.image[2::4, 2::4],
            resizing=Resizing((320, 240), (80, 60), (4.0, 4.0), (0.0, 0.0)),
        )
        for sample in samples
    ]
