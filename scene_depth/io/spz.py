"""``.spz`` (Niantic): about a tenth of a .ply, by quantised streams that are compressed.

Versions 1 to 3 are one gzip stream with a header of 16 bytes; version 4 has a plain header of 32 bytes, a table of
contents and one zstd stream an attribute. All are read; 2, 3 and 4 are written. Specification: README.md and
extensions/README.md of github.com/nianticlabs/spz.

Axes: the specification says that files hold right-up-back axes, while splats in .ply files mostly have right-down-front
ones and the most used converters write what they have, without a turn. Files of both kinds exist and do not say which
they are, unless they carry the record ``SPZ_ADOBE_coordinate_system``. So nothing is turned here unless the file
declares its axes or the caller names them; axes that the caller names are declared in the written file.
"""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import zstandard

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.claims import check_splats
from scene_depth.io.input_files import check_input_file
from scene_depth.io.quantization import check_packable
from scene_depth.io.spz_streams import decode_streams, encode_streams, fraction_bits_for, stream_sizes
from scene_depth.kernels import thread_count
from scene_depth.splat_transforms import transform_splats
from scene_depth.splats import GaussianSplats

MAGIC = b"NGSP"
GZIP_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))  # deflate, no name, no time, unknown system
ANTIALIASED, EXTENDED = 1, 2  # bits of the flags
SHORT_HEADER, LONG_HEADER = struct.Struct("<4sIIBBBB"), struct.Struct("<4sIIBBBBI12x")
TABLE_ROW, RECORD = struct.Struct("<QQ"), struct.Struct("<II")
COORDINATE_SYSTEM = 0xADBE0003
AXES = ("LDB", "RDB", "LUB", "RUB", "LDF", "RDF", "LUF", "RUF")  # numbered from 1 in the record
DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "D": (0, 1, 0), "U": (0, -1, 0), "F": (0, 0, 1), "B": (0, 0, -1)}
EXTENSION_LIMIT = 1 << 20
# Quantised attributes are mostly noise: higher levels take several times as long for a file that is 1 to 3 % smaller.
GZIP_LEVEL, ZSTD_LEVEL = 4, 6
BLOCK = 1 << 20  # bytes that are deflated apart from the others, on as many threads as there are


@dataclass(frozen=True)
class SpzHeader:
    """What an .spz file says about itself."""

    version: int
    count: int
    sh_degree: int
    fraction_bits: int
    flags: int


def read_spz(path: str | os.PathLike[str], *, axes: str | None = None) -> GaussianSplats:
    """Reads an .spz file of version 1 to 4 with SH degree 0 to 3.

    Args:
        path: The file.
        axes: Axes that the file holds, such as "RUB" (see ``AXES``); they are turned to "RDF", those of .ply files.
            None: what the file declares, and no turn if it declares nothing.

    Raises:
        InputError: If the file cannot be read, is cut short, damaged or not an .spz file, or if its SH degree is 4.
    """
    if axes is not None:
        _check_axes(axes)
    path = check_input_file(path, "an .spz file")
    data = path.read_bytes()
    if data[:4] == MAGIC:
        header, streams, records = _read_streams(path, data)
    elif data[:2] == b"\x1f\x8b":
        header, streams, records = _read_gzip(path, data)
    else:
        raise InputError("magic", repr(data[:4]), "gzip data or 'NGSP', with which .spz files begin", file=path)
    axes = axes or _declared_axes(path, records)
    splats = decode_streams(streams, header.count, header.version, header.fraction_bits, header.sh_degree)
    splats = transform_splats(splats, _from_axes(axes)) if axes else splats
    return replace(splats, antialiased=bool(header.flags & ANTIALIASED))


def write_spz(
    path: str | os.PathLike[str],
    splats: GaussianSplats,
    *,
    version: int = 3,
    axes: str | None = None,
    fraction_bits: int | None = None,
    sh_bits: tuple[int, int] = (5, 4),
    inputs: tuple[str | os.PathLike[str], ...] = (),
) -> None:
    """Writes an .spz file. Its order of splats is theirs.

    Half a step of its precision: centres 2^-13 units (with 12 fraction bits), log scales 1/32 within [-10, 5.94],
    opacity 1/510, base colour coefficients 1/77 within +-3.33, higher bands 2^-(bits) within [-1, 1), components of
    quaternions 1/1445 (version 2: 1/255).

    Args:
        path: File to write.
        splats: Splats without NaN. Values outside the ranges above are cut off.
        version: 2, 3 (read by nearly everything) or 4 (smaller, newer).
        axes: None writes centres and rotations as they are and declares nothing; a name such as "RUB" turns them from
            "RDF" to those axes and declares that in the file.
        fraction_bits: Binary digits after the point of centres, 0 to 23; None for 12, or fewer where a scene is larger
            than 2,048 units from the origin.
        sh_bits: Bits kept of coefficients of degree 1 and of higher ones, 1 to 8.
        inputs: Files that the splats were read from; writing over one of them is refused.

    Raises:
        InputError: If an option or a splat cannot be expressed, or if the file cannot be written.
    """
    if version not in (2, 3, 4):
        raise InputError("version", version, "2, 3 or 4", file=path)
    if not all(bits in range(1, 9) for bits in sh_bits):
        raise InputError("sh_bits", sh_bits, "two numbers of bits from 1 to 8", file=path)
    check_packable(splats, path)
    if axes is not None:
        _check_axes(axes)
        splats = transform_splats(splats, torch.linalg.inv(_from_axes(axes)))
    bits = fraction_bits_for(splats, fraction_bits, path)
    flags = ANTIALIASED * splats.antialiased | EXTENDED * (axes is not None)
    header = SpzHeader(version, len(splats), splats.sh_degree, bits, flags)
    record = RECORD.pack(COORDINATE_SYSTEM, 4) + struct.pack("<I", AXES.index(axes) + 1) if axes else b""
    streams = encode_streams(splats, version, bits, sh_bits)
    with atomic_path(path, inputs=inputs) as temporary:
        temporary.write_bytes(_pack_streams(header, streams, record) if version >= 4 else _pack_gzip(header, streams, record))


def _read_gzip(path: Path, data: bytes) -> tuple[SpzHeader, list[np.ndarray], bytes]:
    """Header, streams and extension records of versions 1 to 3; no more is unpacked than the header asks for."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        start = unpacker.decompress(data, SHORT_HEADER.size)
        if len(start) < SHORT_HEADER.size:
            found = f"{len(start)} bytes unpacked from {len(data)}"
            raise InputError("header", found, f"{SHORT_HEADER.size} bytes; the file is cut short", file=path)
        magic, version, count, degree, bits, flags, _ = SHORT_HEADER.unpack(start)
        header = SpzHeader(version, count, degree, bits, flags)
        _check_spz_header(path, magic, header, range(1, 4))
        sizes = stream_sizes(count, version, degree)
        body = unpacker.decompress(unpacker.unconsumed_tail, sum(sizes) + EXTENSION_LIMIT)
    except zlib.error as error:
        raise InputError("gzip data", str(error), "an .spz file; this one is damaged", file=path) from error
    if len(body) < sum(sizes):
        found, accepted = f"{len(body)} bytes of splats", f"{sum(sizes)} bytes for {count} splats; the file is cut short"
        raise InputError("size", found, accepted, file=path)
    if not unpacker.eof:
        raise InputError("gzip data", "no end mark", "a whole gzip stream; the file is cut short or too long", file=path)
    ends = np.cumsum([0, *sizes])
    array = np.frombuffer(body, np.uint8)
    streams = [array[start:end] for start, end in itertools.pairwise(ends)]
    return header, streams, body[ends[-1] :] if flags & EXTENDED else b""


def _read_streams(path: Path, data: bytes) -> tuple[SpzHeader, list[np.ndarray], bytes]:
    """Header, streams and extension records of version 4."""
    if len(data) < LONG_HEADER.size:
        raise InputError("header", f"{len(data)} bytes", f"{LONG_HEADER.size} bytes; the file is cut short", file=path)
    magic, version, count, degree, bits, flags, stream_count, table = LONG_HEADER.unpack_from(data)
    header = SpzHeader(version, count, degree, bits, flags)
    _check_spz_header(path, magic, header, range(4, 5))
    sizes = stream_sizes(count, version, degree)
    present = [size for size in sizes if size]
    if stream_count != len(present):
        raise InputError("streams", stream_count, f"{len(present)} for SH degree {degree}", file=path)
    begin = table + stream_count * TABLE_ROW.size
    if table < LONG_HEADER.size or begin > len(data):
        accepted = f"a table of contents between byte {LONG_HEADER.size} and the end, byte {len(data)}"
        raise InputError("table of contents", f"bytes {table} to {begin}", accepted, file=path)
    rows = [TABLE_ROW.unpack_from(data, table + i * TABLE_ROW.size) for i in range(stream_count)]
    if [size for _, size in rows] != present:
        accepted = f"sizes {present} for {count} splats"
        raise InputError("table of contents", f"sizes {[size for _, size in rows]}", accepted, file=path)
    if (expected := begin + sum(packed for packed, _ in rows)) > len(data):
        raise InputError("size", f"{len(data)} bytes", f"{expected} bytes; the file is cut short", file=path)
    unpacked = iter(list(_unpack_zstd(path, data, begin, rows)))
    streams = [next(unpacked) if size else np.empty(0, np.uint8) for size in sizes]
    return header, streams, data[LONG_HEADER.size : table] if flags & EXTENDED else b""


def _unpack_zstd(path: Path, data: bytes, begin: int, rows: list[tuple[int, int]]) -> Iterator[np.ndarray]:
    for packed, size in rows:
        chunk = data[begin : begin + packed]
        begin += packed
        try:
            if zstandard.frame_content_size(chunk) > size:
                raise InputError("stream", "more data than announced", f"{size} bytes", file=path)
            stream = zstandard.ZstdDecompressor().decompress(chunk, max_output_size=size)
        except zstandard.ZstdError as error:
            raise InputError("zstd data", str(error), "an .spz file; this one is damaged", file=path) from error
        if len(stream) != size:
            raise InputError("stream", f"{len(stream)} bytes", f"{size} bytes", file=path)
        yield np.frombuffer(stream, np.uint8)


def _pack_gzip(header: SpzHeader, streams: list[np.ndarray], record: bytes) -> bytes:
    values = (header.version, header.count, header.sh_degree, header.fraction_bits, header.flags)
    content = memoryview(b"".join([SHORT_HEADER.pack(MAGIC, *values, 0), *(stream.data for stream in streams), record]))
    blocks = [content[start : start + BLOCK] for start in range(0, len(content), BLOCK)]
    with ThreadPoolExecutor(thread_count()) as pool:
        packed = list(pool.map(_deflate, blocks, (block is blocks[-1] for block in blocks)))
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return b"".join([GZIP_HEADER, *packed, trailer])


def _deflate(block: memoryview, is_last: bool) -> bytes:
    """One block of a deflate stream; it ends on a whole byte, so that the blocks of a stream can be put together."""
    packer = zlib.compressobj(level=GZIP_LEVEL, wbits=-zlib.MAX_WBITS)
    return packer.compress(block) + packer.flush(zlib.Z_FINISH if is_last else zlib.Z_FULL_FLUSH)


def _pack_streams(header: SpzHeader, streams: list[np.ndarray], record: bytes) -> bytes:
    present = [stream for stream in streams if len(stream)]
    with ThreadPoolExecutor(thread_count()) as pool:
        packed = list(pool.map(lambda stream: zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(stream.data), present))
    values = (header.version, header.count, header.sh_degree, header.fraction_bits, header.flags)
    start = LONG_HEADER.pack(MAGIC, *values, len(present), LONG_HEADER.size + len(record))
    table = [TABLE_ROW.pack(len(chunk), len(stream)) for chunk, stream in zip(packed, present, strict=True)]
    return b"".join([start, record, *table, *packed])


def _check_spz_header(path: Path, magic: bytes, header: SpzHeader, versions: range) -> None:
    if magic != MAGIC:
        raise InputError("magic", repr(magic), f"{MAGIC!r} in the unpacked data of an .spz file", file=path)
    if header.version not in versions:
        accepted = f"{' or '.join(map(str, versions))} in this kind of file"
        raise InputError("version", header.version, accepted, file=path)
    if header.sh_degree > 3:
        raise InputError("SH degree", header.sh_degree, "0 to 3", file=path)
    if header.count == 0:
        raise InputError("splats", "none", "one or more", file=path)
    if header.fraction_bits > 23:
        raise InputError("fraction bits", header.fraction_bits, "0 to 23", file=path)
    check_splats(path, header.count, sum(stream_sizes(1, header.version, header.sh_degree)))


def _check_axes(axes: str) -> None:
    if axes not in AXES:
        raise InputError("axes", repr(axes), f"{', '.join(AXES)} (right or left, up or down, front or back)")


def _from_axes(axes: str) -> torch.Tensor:
    """Matrix from those axes to right-down-front; a mirror where their handedness differs  # [4, 4]"""
    matrix = torch.eye(4, dtype=torch.float64)
    for column, letter in enumerate(axes):
        matrix[:3, column] = torch.tensor(DIRECTIONS[letter], dtype=torch.float64)
    return matrix


def _declared_axes(path: Path, records: bytes) -> str | None:
    """Axes of the coordinate system record, if there is one; other records are passed over."""
    while len(records) >= RECORD.size:
        kind, size = RECORD.unpack_from(records)
        payload, records = records[RECORD.size : RECORD.size + size], records[RECORD.size + size :]
        if kind == COORDINATE_SYSTEM and len(payload) == 4:
            number = int.from_bytes(payload, "little")
            if not 1 <= number <= len(AXES):
                accepted = f"1 to {len(AXES)}; name the axes yourself to read it all the same"
                raise InputError("coordinate system", number, accepted, file=path)
            return AXES[number - 1]
    return None
