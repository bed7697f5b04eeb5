"""``.sog`` (PlayCanvas): splats in lossless WebP pictures, a pixel a splat, about a fifteenth of a .ply.

One zip file, or a folder with ``meta.json``. Version 2 (code books) and the earlier version 1 (ranges) are read, version 2 is
written. Specification: "The SOG Format" in the manual of PlayCanvas. Axes are those of the .ply that it was made of.
"""

from __future__ import annotations

import io
import json
import math
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.claims import check_splats
from scene_depth.io.input_files import check_input_file
from scene_depth.io.json_files import is_number
from scene_depth.io.quantization import (
    arrays_of,
    check_packable,
    join_largest,
    opacity_bytes,
    opacity_logits,
    splats_of,
    split_largest,
)
from scene_depth.splats import GaussianSplats

META = "meta.json"
BANDS = {1: 3, 2: 8, 3: 15}  # coefficients above degree 0
PALETTE_WIDTH = 64  # entries in a row of the palette's picture
LARGEST_PALETTE = 1 << 14  # the format allows 1 << 16; nearest entries are searched by brute force
LARGEST_META = 1 << 24
ROUNDS = 10  # of k-means
QUAT_TAG = 252

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class _Parts:
    """The files of one set of splats: bytes by name, and where they come from."""

    path: Path
    meta: Mapping[str, Any]
    load: Callable[[str], bytes]

    def section(self, name: str) -> dict[str, Any]:
        found = self.meta.get(name)
        if not isinstance(found, dict):
            raise InputError(f"{META}: {name}", repr(found), "an object with the names of its pictures", file=self.path)
        return found

    def numbers(self, section: str, key: str, count: int) -> NDArray[np.float64]:
        """Numbers of a section; one number stands for as many as are asked for."""
        found = self.section(section).get(key)
        values = [found] * count if is_number(found) else found
        if not isinstance(values, list) or len(values) != count or not all(map(is_number, values)):
            raise InputError(f"{META}: {section}.{key}", repr(found)[:60], f"{count} finite numbers", file=self.path)
        return np.array(values, np.float64)

    def pixels(self, section: str, which: int, count: int, channels: int) -> Bytes:
        """Pixels of one picture of a section, row by row  # [count, channels]"""
        return self.picture(section, which, count, channels).reshape(-1, channels)[:count]

    def picture(self, section: str, which: int, count: int, channels: int) -> Bytes:
        """A picture that holds ``count`` pixels or little more  # [H, W, channels]"""
        files = self.section(section).get("files")
        if not isinstance(files, list) or len(files) <= which or not isinstance(files[which], str):
            raise InputError(f"{META}: {section}.files", repr(files)[:60], f"{which + 1} names of pictures", file=self.path)
        name = files[which]
        try:
            with warnings.catch_warnings(), Image.open(io.BytesIO(self.load(name))) as image:
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                if not count <= image.width * image.height <= 4 * count + (1 << 16):
                    found = f"{image.width} x {image.height} pixels"
                    raise InputError(name, found, f"{count:,} pixels, or a row more", file=self.path)
                return np.asarray(image.convert("RGBA"))[..., :channels]
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise InputError(name, str(error) or type(error).__name__, "a lossless WebP picture", file=self.path) from error


def read_sog(path: str | os.PathLike[str]) -> GaussianSplats:
    """Reads a ``.sog`` file, or ``meta.json`` with its pictures beside it.

    Raises:
        InputError: If a part is missing, damaged, of another size than it says, or of another version.
    """
    path = check_input_file(path, "a .sog file")
    if path.name == META:
        return _decode(_Parts(path, _meta(path, path.read_bytes()), _files_beside(path)))
    try:
        with zipfile.ZipFile(path) as bundle:
            load = _members(path, bundle)
            return _decode(_Parts(path, _meta(path, load(META)), load))
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError) as error:
        raise InputError(
            "content", str(error) or "no zip file", "a zip file with meta.json and its pictures", file=path
        ) from error


def write_sog(path: str | os.PathLike[str], splats: GaussianSplats, *, inputs: tuple[str | os.PathLike[str], ...] = ()) -> None:
    """Writes a ``.sog`` file of version 2, in the order of the splats.

    Centres have 16 bits of log(1 + |x|) between their ends along each axis, rotations 8 bits a component, opacities 8 bits, sizes
    and base colours the nearest of 256 values, higher spherical harmonics the nearest of at most 16,384 sets (k-means).

    Args:
        path: File to write.
        splats: Splats without NaN.
        inputs: Files that the splats were read from; writing over one of them is refused.

    Raises:
        InputError: If a splat cannot be expressed, or if the file cannot be written.
    """
    check_packable(splats, path)
    parts = _encode(splats)
    with atomic_path(path, inputs=inputs) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as bundle:
        for name, data in parts.items():
            bundle.writestr(zipfile.ZipInfo(name), data)  # without the hour: the same splats give the same bytes


def _members(path: Path, bundle: zipfile.ZipFile) -> Callable[[str], bytes]:
    def load(name: str) -> bytes:
        try:
            member = bundle.getinfo(name)
        except KeyError as error:
            raise InputError("content", f"no {name} in it", "meta.json and the pictures that it names", file=path) from error
        if member.file_size > max(LARGEST_META, 2 * path.stat().st_size) or member.flag_bits & 1:
            found = f"{name} of {member.file_size:,} bytes" + (", encrypted" if member.flag_bits & 1 else "")
            raise InputError("content", found, "pictures as stored", file=path)
        try:
            return bundle.read(member)
        except (OSError, RuntimeError, ValueError, zlib.error, zipfile.BadZipFile) as error:
            raise InputError("content", f"{name}: {error}", "an undamaged zip file", file=path) from error

    return load


def _files_beside(path: Path) -> Callable[[str], bytes]:
    def load(name: str) -> bytes:
        if name != Path(name).name or name in ("", ".", ".."):
            raise InputError(f"{META}: files", repr(name), "names of files beside it", file=path)
        return check_input_file(path.parent / name, "a picture of splats").read_bytes()

    return load


def _meta(path: Path, data: bytes) -> dict[str, Any]:
    try:
        meta = json.loads(data)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(META, str(error) or type(error).__name__, "JSON", file=path) from error
    if not isinstance(meta, dict):
        raise InputError(META, type(meta).__name__, "an object", file=path)
    if "means" not in meta:
        accepted = "an object with means, scales, quats and sh0, as .sog files have it"
        raise InputError(META, f"the keys {', '.join(map(str, meta))[:60]}", accepted, file=path)
    return meta


def _decode(parts: _Parts) -> GaussianSplats:
    version = parts.meta.get("version", 1)
    if version not in (1, 2):
        raise InputError(f"{META}: version", repr(version), "1 or 2", file=parts.path)
    count = parts.meta.get("count") if version == 2 else (parts.section("means").get("shape") or [None])[0]
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InputError(f"{META}: count", repr(count), "one or more splats", file=parts.path)
    check_splats(parts.path, count, 0)
    splats = splats_of(
        _decode_means(parts, count),
        _decode_quats(parts, count),
        _coded(parts, "scales", parts.pixels("scales", 0, count, 3), version),
        *_decode_colors(parts, count, version),
    )
    return replace(splats, antialiased=parts.meta.get("antialias") is True)


def _decode_means(parts: _Parts, count: int) -> NDArray[np.float64]:
    low, high = parts.numbers("means", "mins", 3), parts.numbers("means", "maxs", 3)
    steps = parts.pixels("means", 1, count, 3).astype(np.uint16) << 8 | parts.pixels("means", 0, count, 3)
    logs = low + steps / 65535 * (high - low)
    if np.abs(logs).max() > 88:
        raise InputError(f"{META}: means", f"log(1 + |x|) up to {np.abs(logs).max():.3g}", "at most 88", file=parts.path)
    return np.asarray(np.sign(logs) * np.expm1(np.abs(logs)))


def _decode_quats(parts: _Parts, count: int) -> NDArray[np.float32]:
    pixels = parts.pixels("quats", 0, count, 4)
    largest = pixels[:, 3].astype(np.int64) - QUAT_TAG
    if wrong := int(((largest < 0) | (largest > 3)).sum()):
        found = f"a tag outside 252 to 255 in {wrong} of {count} splats"
        raise InputError("quats", found, "252 to 255 in alpha; a lossy picture spoils them", file=parts.path)
    return join_largest(largest, (pixels[:, :3] / 255 - 0.5) * math.sqrt(2))


def _decode_colors(parts: _Parts, count: int, version: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Logits of opacities, and spherical harmonics of all degrees."""
    pixels = parts.pixels("sh0", 0, count, 4)
    if version == 2:
        base, logits = _coded(parts, "sh0", pixels[:, :3], 2), opacity_logits(pixels[:, 3])
    else:
        low, high = parts.numbers("sh0", "mins", 4), parts.numbers("sh0", "maxs", 4)
        values = low + pixels / 255 * (high - low)
        base, logits = values[:, :3], values[:, 3].astype(np.float32)
    if "shN" not in parts.meta:
        return logits, base[:, None]
    return logits, np.concatenate([base[:, None], _decode_palette(parts, count, version)], axis=1)


def _decode_palette(parts: _Parts, count: int, version: int) -> NDArray[np.float64]:
    section = parts.section("shN")
    labels = parts.pixels("shN", 1, count, 2).astype(np.int64) @ (1, 256)
    entries = int(labels.max()) + 1
    if version == 2:
        bands, stated = section.get("bands"), section.get("count")
        coefficients = BANDS.get(bands, 0) if isinstance(bands, int) else 0
        if not coefficients or not isinstance(stated, int) or entries > stated:
            found = f"bands {bands!r}, count {stated!r}, labels up to {entries - 1}"
            raise InputError(f"{META}: shN", found, "bands 1 to 3 and labels below the count", file=parts.path)
        entries = stated
    else:
        shape = section.get("shape")
        coefficients = shape[1] // 3 if isinstance(shape, list) and len(shape) == 2 and isinstance(shape[1], int) else 0
        if coefficients not in BANDS.values():
            raise InputError(f"{META}: shN.shape", repr(shape), "[splats, 9, 24 or 45]", file=parts.path)
    rows = math.ceil(entries / PALETTE_WIDTH)
    if entries > 1 << 16:
        raise InputError(f"{META}: shN.count", entries, "at most 65536", file=parts.path)
    picture = parts.picture("shN", 0, rows * PALETTE_WIDTH * coefficients, 3)
    if picture.shape[1] != PALETTE_WIDTH * coefficients:
        raise InputError("shN centroids", f"{picture.shape[1]} pixels wide", f"{PALETTE_WIDTH * coefficients}", file=parts.path)
    palette = _coded(parts, "shN", picture.reshape(-1, coefficients, 3)[:entries], version, shared=True)
    return np.asarray(palette[labels])


def _coded(parts: _Parts, section: str, values: Bytes, version: int, *, shared: bool = False) -> NDArray[np.float64]:
    """Values of bytes: by the code book of version 2, or between the ends of version 1, a channel or all (``shared``)."""
    if version == 2:
        return parts.numbers(section, "codebook", 256)[values]
    channels = 1 if shared else values.shape[-1]
    low, high = parts.numbers(section, "mins", channels), parts.numbers(section, "maxs", channels)
    return np.asarray(low + values / 255 * (high - low))


def _encode(splats: GaussianSplats) -> dict[str, bytes]:
    """The pictures and meta.json, by name."""
    arrays, count = arrays_of(splats), len(splats)
    width = max(math.ceil(math.sqrt(count) / 4) * 4, 4)
    logs = np.sign(arrays["means"]) * np.log1p(np.abs(arrays["means"].astype(np.float64)))
    low, high = logs.min(axis=0), logs.max(axis=0)
    steps = np.rint((logs - low) / np.maximum(high - low, 1e-12) * 65535).astype(np.uint16)
    largest, three = split_largest(arrays["quats"])
    quats = np.concatenate([np.clip(np.rint((three / math.sqrt(2) + 0.5) * 255), 0, 255), QUAT_TAG + largest[:, None]], axis=1)
    scales, scale_book = _code(np.maximum(arrays["log_scales"], -30))
    base, base_book = _code(arrays["sh"][:, 0])
    alpha = opacity_bytes(arrays["logit_opacities"])[:, None]
    meta: dict[str, Any] = {
        "version": 2,
        "asset": {"generator": "scene_depth"},
        "count": count,
        "antialias": splats.antialiased,
        "means": {"mins": low.tolist(), "maxs": high.tolist(), "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": scale_book, "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": base_book, "files": ["sh0.webp"]},
    }
    pictures: dict[str, NDArray[Any]] = {"means_l.webp": steps & 255, "means_u.webp": steps >> 8, "quats.webp": quats}
    pictures |= {"scales.webp": scales, "sh0.webp": np.concatenate([base, alpha], axis=1)}
    parts = {name: _webp(pixels, width) for name, pixels in pictures.items()}
    if splats.sh_degree:
        rest = arrays["sh"][:, 1:].reshape(count, -1)
        palette, labels = _find_palette(rest)
        codes, book = _code(palette)
        meta["shN"] = {"count": len(palette), "bands": splats.sh_degree, "codebook": book}
        meta["shN"]["files"] = ["shN_centroids.webp", "shN_labels.webp"]
        parts["shN_centroids.webp"] = _webp(codes.reshape(-1, 3), PALETTE_WIDTH * rest.shape[1] // 3)
        parts["shN_labels.webp"] = _webp(np.stack([labels & 255, labels >> 8, 0 * labels], axis=1), width)
    return {META: json.dumps(meta).encode(), **parts}


def _webp(pixels: NDArray[Any], width: int) -> bytes:
    """A lossless picture of pixels row by row; the last row is filled up with zeros."""
    height = math.ceil(len(pixels) / width)
    picture = np.zeros((height * width, 4), np.uint8)
    picture[:, 3] = 255
    picture[: len(pixels), : pixels.shape[1]] = pixels
    stream = io.BytesIO()
    Image.fromarray(picture.reshape(height, width, 4)).save(stream, "WEBP", lossless=True, exact=True, quality=80, method=4)
    return stream.getvalue()


def _code(values: NDArray[Any]) -> tuple[Bytes, list[float]]:
    """Nearest of 256 values for each number, and those values: k-means along a line, from equal shares of the numbers."""
    flat = np.sort(values.reshape(-1).astype(np.float64))
    levels = np.unique(flat)
    if len(levels) > 256:
        sums = np.concatenate([[0.0], np.cumsum(flat)])
        levels = flat[(np.arange(256) * 2 + 1) * len(flat) // 512]
        for _ in range(ROUNDS):
            ends = np.searchsorted(flat, (levels[1:] + levels[:-1]) / 2)
            starts, stops = np.concatenate([[0], ends]), np.concatenate([ends, [len(flat)]])
            counts = stops - starts
            levels = np.sort(np.where(counts > 0, (sums[stops] - sums[starts]) / np.maximum(counts, 1), levels))
    book = np.concatenate([levels, np.full(256 - len(levels), levels[-1])])
    codes = np.searchsorted((levels[1:] + levels[:-1]) / 2, values.reshape(-1)).reshape(values.shape)
    return codes.astype(np.uint8), book.tolist()


def _find_palette(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """A palette of rows and the entry of each: all rows that differ if they are few, else k-means from a sample."""
    size = min(1024 << max(int(math.log2(max(len(rows) // 1024, 1))), 0), LARGEST_PALETTE)
    distinct, labels = np.unique(rows, axis=0, return_inverse=True)
    if len(distinct) <= size:
        return distinct, labels.reshape(-1)
    generator = np.random.default_rng(0)
    sample = torch.from_numpy(rows[generator.permutation(len(rows))[: 8 * size]])
    palette = sample[:size].clone()
    for _ in range(ROUNDS):
        nearest = _nearest(sample, palette)
        counts = torch.bincount(nearest, minlength=size)
        sums = torch.zeros_like(palette).index_add_(0, nearest, sample)
        palette = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], palette)
    return palette.numpy(), _nearest(torch.from_numpy(rows), palette).numpy()


def _nearest(rows: torch.Tensor, palette: torch.Tensor) -> torch.Tensor:
    squares = (palette**2).sum(dim=1)
    chunks = torch.split(rows, 2048)
    return torch.cat([(squares - 2 * chunk @ palette.T).argmin(dim=1) for chunk in chunks])
