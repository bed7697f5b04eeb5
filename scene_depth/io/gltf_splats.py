"""Splats in glTF 2.0 (``.glb``, ``.gltf``) by the extension KHR_gaussian_splatting of Khronos.

Attributes of a primitive of points hold centres, quaternions (w last), standard deviations, opacities and spherical harmonics.
In glTF y is up, z forward and -x right; splats of .ply files mostly have y down, z forward and x right: reading and writing turn
by half a turn about z, as other converters do. Placements of nodes are applied. Specification:
extensions/2.0/Khronos/KHR_gaussian_splatting of the glTF repository.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.claims import check_splats
from scene_depth.io.input_files import check_input_file, path_in_file
from scene_depth.io.json_files import is_number
from scene_depth.io.quantization import arrays_of, check_packable, splats_of
from scene_depth.io.scene_notes import note
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splat_transforms import transform_splats
from scene_depth.splats import GaussianSplats, concatenate_splats

EXTENSION = "KHR_gaussian_splatting"
MAGIC, JSON_CHUNK, BINARY_CHUNK = b"glTF", 0x4E4F534A, 0x004E4942
TYPES = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
COMPONENTS: dict[int, np.dtype[Any]] = {
    5120: np.dtype("<i1"),
    5121: np.dtype("<u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5126: np.dtype("<f4"),
}
FROM_GLTF = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
DEEPEST = 64  # nodes above each other
LARGEST_LOGIT = 9.21  # of 0.9999


@dataclass(frozen=True)
class _Asset:
    """A glTF file: its JSON, and its buffers by number."""

    path: Path
    tree: dict[str, Any]
    binary: bytes | None

    def item(self, kind: str, index: object) -> dict[str, Any]:
        items = self.tree.get(kind)
        if isinstance(items, list) and isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(items):
            found = items[index]
            if isinstance(found, dict):
                return found
        raise InputError(kind, f"no number {index!r}", "an entry of the file", file=self.path)

    def buffer(self, index: object) -> bytes:
        uri = self.item("buffers", index).get("uri")
        if uri is None and index == 0 and self.binary is not None:
            return self.binary
        if not isinstance(uri, str):
            raise InputError("buffers", repr(uri), "bytes in the file, a data URI or a file beside it", file=self.path)
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition(",")[2], validate=True)
            except (ValueError, binascii.Error) as error:
                raise InputError("buffers: uri", str(error), "data in base64", file=self.path) from error
        if Path(path_in_file(uri, file=self.path, field="buffers: uri")).name != uri:
            raise InputError("buffers: uri", repr(uri)[:80], "the name of a file beside it", file=self.path)
        return check_input_file(self.path.parent / uri, "a buffer of a glTF file").read_bytes()

    def values(self, name: str, index: object, kinds: tuple[str, ...]) -> NDArray[np.float32]:
        """Values of an accessor as floats; normalised integers are divided by their largest  # [N, 1, 3 or 4]"""
        accessor = self.item("accessors", index)
        kind, dtype, count = accessor.get("type"), COMPONENTS.get(_integer(accessor, "componentType", 0)), accessor.get("count")
        if kind not in kinds or dtype is None or not isinstance(count, int) or "sparse" in accessor:
            found = f"{kind} of component type {accessor.get('componentType')}, count {count}"
            raise InputError(name, found, f"{' or '.join(kinds)} of floats or normalised integers, not sparse", file=self.path)
        view = self.item("bufferViews", accessor.get("bufferView"))
        row = TYPES[kind] * dtype.itemsize
        stride = _integer(view, "byteStride", row)
        offset, begin = _integer(accessor, "byteOffset", 0), _integer(view, "byteOffset", 0)
        data = memoryview(self.buffer(view.get("buffer")))[begin : begin + _integer(view, "byteLength", 0)]
        needed = offset + (count - 1) * stride + row if count > 0 else 0
        if count < 1 or min(offset, begin) < 0 or stride < row or needed > len(data):
            found = f"{count} rows of {row} bytes, every {stride}, from byte {offset} of {len(data)}"
            raise InputError(name, found, "rows within their buffer; the file is cut short or damaged", file=self.path)
        rows = np.lib.stride_tricks.as_strided(np.frombuffer(data, np.uint8, offset=offset), (count, row), (stride, 1))
        values = np.ascontiguousarray(rows).view(dtype).astype(np.float32)
        if dtype.kind in "iu" and accessor.get("normalized") is True:
            values = np.maximum(values / np.float32(np.iinfo(dtype).max), -1.0)
        return np.asarray(values, np.float32)


def read_gltf_splats(path: str | os.PathLike[str]) -> GaussianSplats:
    """Reads the splats of a ``.glb`` or ``.gltf`` file, all of them as one set, with right-down-front axes.

    Raises:
        InputError: If the file is no glTF 2.0, holds no splats, or holds them compressed or damaged.
    """
    asset = _read_asset(check_input_file(path, "a glTF file"))
    found = [
        transform_splats(_splats_of(asset, primitive), FROM_GLTF @ placement) for placement, primitive in _splat_primitives(asset)
    ]
    if not found:
        used = asset.tree.get("extensionsUsed") or ["none"]
        extensions = ", ".join(map(str, used))[:80] if isinstance(used, list) else "none"
        raise InputError("meshes", f"no splats (extensions: {extensions})", f"a primitive with {EXTENSION}", file=asset.path)
    degree = min(splats.sh_degree for splats in found)
    if degree < max(splats.sh_degree for splats in found):
        note(asset.path, f"parts of it have no spherical harmonics above degree {degree}: those of the others are left out")
    return concatenate_splats([splats.with_sh_degree(degree) for splats in found])


def write_gltf_splats(
    path: str | os.PathLike[str], splats: GaussianSplats, *, inputs: tuple[str | os.PathLike[str], ...] = ()
) -> None:
    """Writes a ``.glb`` file: floats, and a colour for programs that show splats as points.

    Args:
        path: File to write.
        splats: Splats without NaN.
        inputs: Files that the splats were read from; writing over one of them is refused.

    Raises:
        InputError: If a splat cannot be expressed, or if the file cannot be written.
    """
    check_packable(splats, path)
    attributes = _attributes(transform_splats(splats, torch.linalg.inv(FROM_GLTF)))
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    blocks, begin = [], 0
    for name, values in attributes.items():
        views.append({"buffer": 0, "byteOffset": begin, "byteLength": values.nbytes, "target": 34962})
        kind = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[values.shape[1]]
        accessor: dict[str, Any] = {"bufferView": len(accessors), "componentType": 5126, "count": len(values), "type": kind}
        if name == "POSITION":
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        accessors.append(accessor)
        blocks.append(values.tobytes())
        begin += values.nbytes
    extension = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    primitive = {"attributes": {name: i for i, name in enumerate(attributes)}, "mode": 0, "extensions": {EXTENSION: extension}}
    tree = {
        "asset": {"version": "2.0", "generator": "scene_depth"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": begin}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + begin
    if total >= 1 << 32:
        raise InputError("splats", f"{len(splats):,} of {total:,} bytes", "less than 4 GiB, the most of a .glb", file=path)
    with atomic_path(path, inputs=inputs) as temporary, temporary.open("wb") as stream:
        stream.write(struct.pack("<4sIIII", MAGIC, 2, total, len(text), JSON_CHUNK) + text)
        stream.write(struct.pack("<II", begin, BINARY_CHUNK))
        stream.writelines(blocks)


def _attributes(splats: GaussianSplats) -> dict[str, NDArray[np.float32]]:
    arrays = arrays_of(splats)
    quats = arrays["quats"].astype(np.float64)
    quats = quats / np.linalg.norm(quats, axis=1, keepdims=True)
    opacity = splats.logit_opacities.detach().cpu().double().sigmoid().numpy()[:, None]
    color = np.concatenate([np.clip(0.5 + SH_C0 * arrays["sh"][:, 0], 0, 1), opacity], axis=1)
    found: dict[str, NDArray[Any]] = {
        "POSITION": arrays["means"],
        "COLOR_0": color,
        f"{EXTENSION}:ROTATION": np.roll(quats, -1, axis=1),
    }
    found[f"{EXTENSION}:SCALE"] = np.exp(arrays["log_scales"].astype(np.float64))
    found[f"{EXTENSION}:OPACITY"] = opacity
    found |= {name: arrays["sh"][:, i] for i, name in enumerate(_coefficients(splats.sh_degree))}
    return {name: np.ascontiguousarray(values, np.float32) for name, values in found.items()}


def _coefficients(degree: int) -> list[str]:
    return [f"{EXTENSION}:SH_DEGREE_{band}_COEF_{n}" for band in range(degree + 1) for n in range(2 * band + 1)]


def _integer(values: dict[str, Any], key: str, default: int) -> int:
    found = values.get(key, default)
    return found if isinstance(found, int) and not isinstance(found, bool) else -1


def _read_asset(path: Path) -> _Asset:
    data = path.read_bytes()
    text, binary = data, None
    if data[:4] == MAGIC:
        text, binary = _chunks(path, data)
    try:
        tree = json.loads(text)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError("content", str(error)[:80] or type(error).__name__, "glTF 2.0", file=path) from error
    asset = tree.get("asset") if isinstance(tree, dict) else None
    version = asset.get("version") if isinstance(asset, dict) else None
    if not isinstance(version, str) or not version.startswith("2."):
        raise InputError("asset.version", repr(version), "'2.0'", file=path)
    return _Asset(path, tree, binary)


def _chunks(path: Path, data: bytes) -> tuple[bytes, bytes | None]:
    """JSON and binary chunk of a .glb file."""
    if len(data) < 20:
        raise InputError("header", f"{len(data)} bytes", "20 bytes; the file is cut short", file=path)
    version, total = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise InputError("version", version, "2", file=path)
    if total > len(data):
        raise InputError("size", f"{len(data):,} bytes", f"{total:,} bytes; the file is cut short", file=path)
    chunks, place = [], 12
    while place + 8 <= total:
        size, kind = struct.unpack_from("<II", data, place)
        chunks.append((kind, data[place + 8 : place + 8 + size]))
        place += 8 + size + -size % 4
    text = next((chunk for kind, chunk in chunks if kind == JSON_CHUNK), None)
    if text is None:
        raise InputError("chunks", "no JSON", "a JSON chunk first", file=path)
    return text, next((chunk for kind, chunk in chunks if kind == BINARY_CHUNK), None)


def _splat_primitives(asset: _Asset) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Primitives that are splats with their placement in the world, through the nodes of the scene."""
    scenes = asset.tree.get("scenes")
    roots = asset.item("scenes", asset.tree.get("scene", 0)).get("nodes", []) if scenes else []
    waiting: list[tuple[object, Tensor, int]] = [(root, torch.eye(4, dtype=torch.float64), 0) for root in roots]
    while waiting:
        index, placement, depth = waiting.pop()
        node = asset.item("nodes", index)
        if depth > DEEPEST:
            raise InputError("nodes", f"more than {DEEPEST} above each other", "a tree without circles", file=asset.path)
        placement = placement @ _node_matrix(asset, node)
        waiting += [(child, placement, depth + 1) for child in reversed(node.get("children", []))]
        if "mesh" in node:
            for primitive in asset.item("meshes", node["mesh"]).get("primitives", []):
                if isinstance(primitive, dict) and EXTENSION in (primitive.get("extensions") or {}):
                    yield placement, primitive


def _node_matrix(asset: _Asset, node: dict[str, Any]) -> Tensor:
    def numbers(key: str, default: list[float]) -> Tensor:
        found = node.get(key, default)
        if not isinstance(found, list) or len(found) != len(default) or not all(map(is_number, found)):
            raise InputError(f"nodes: {key}", repr(found)[:60], f"{len(default)} finite numbers", file=asset.path)
        return torch.tensor(found, dtype=torch.float64)

    if "matrix" in node:
        return numbers("matrix", torch.eye(4).flatten().tolist()).reshape(4, 4).T
    matrix = torch.eye(4, dtype=torch.float64)
    x, y, z, w = numbers("rotation", [0.0, 0.0, 0.0, 1.0])
    rotation = quaternions_to_matrices(torch.stack([w, x, y, z])[None])[0]
    matrix[:3, :3] = rotation * numbers("scale", [1.0, 1.0, 1.0])
    matrix[:3, 3] = numbers("translation", [0.0, 0.0, 0.0])
    return matrix


def _splats_of(asset: _Asset, primitive: dict[str, Any]) -> GaussianSplats:
    extension, attributes = primitive["extensions"][EXTENSION], primitive.get("attributes")
    inner = extension.get("extensions") if isinstance(extension, dict) else None
    if inner:
        found = ", ".join(inner) if isinstance(inner, dict) else repr(inner)[:60]
        raise InputError("splats", f"compressed or extended by {found}", f"plain {EXTENSION}", file=asset.path)
    if not isinstance(attributes, dict):
        raise InputError("attributes", repr(attributes)[:60], "an object", file=asset.path)

    def values(name: str, *kinds: str) -> NDArray[np.float32]:
        if name not in attributes:
            raise InputError("attributes", f"no {name}", f"{name}, as {EXTENSION} asks for it", file=asset.path)
        return asset.values(name, attributes[name], kinds)

    means = values("POSITION", "VEC3")
    check_splats(asset.path, len(means), means.nbytes // len(means))
    parts = {
        name: values(f"{EXTENSION}:{name}", kind)
        for name, kind in (("ROTATION", "VEC4"), ("SCALE", "VEC3"), ("OPACITY", "SCALAR"))
    }
    degree = max((band for band in range(4) if f"{EXTENSION}:SH_DEGREE_{band}_COEF_0" in attributes), default=0)
    sh = [values(name, "VEC3") for name in _coefficients(degree)]
    for name, array in (*parts.items(), *(("spherical harmonics", array) for array in sh)):
        if len(array) != len(means):
            raise InputError(name, f"{len(array)} values", f"{len(means)}, one a splat", file=asset.path)
    logits = _logits(asset, parts["OPACITY"][:, 0])
    log_scales = _log_scales(asset, parts["SCALE"])
    color_space = extension.get("colorSpace") if isinstance(extension, dict) else None
    if color_space == "lin_rec709_display":
        note(asset.path, "its colours are linear, and are taken as they are: they will look dark")
    return splats_of(means, np.roll(parts["ROTATION"], 1, axis=1), log_scales, logits, np.stack(sh, axis=1))


def _logits(asset: _Asset, opacity: NDArray[np.float32]) -> NDArray[np.float64]:
    if wrong := int((~((opacity >= 0) & (opacity <= 1))).sum()):
        raise InputError("OPACITY", f"outside 0 to 1 in {wrong} of {len(opacity)} splats", "0 to 1", file=asset.path)
    low = 1 / (1 + math.exp(LARGEST_LOGIT))
    bounded = np.clip(opacity.astype(np.float64), low, 1 - low)
    return np.asarray(np.log(bounded / (1 - bounded)))


def _log_scales(asset: _Asset, scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithms of sizes; files of the extension's drafts hold those already, which negative numbers betray."""
    if not np.isfinite(scales).all():
        raise InputError("SCALE", "NaN or infinity", "finite sizes", file=asset.path)
    if (scales < 0).any():
        note(asset.path, "its sizes are logarithms, as in drafts of the extension")
        return scales
    with np.errstate(divide="ignore"):
        return np.log(scales)
