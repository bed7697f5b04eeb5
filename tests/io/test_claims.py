"""Small files cannot take the machine: what a header claims is checked before memory is asked for."""

from __future__ import annotations

import gzip
import io
import os
import resource
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard
from PIL import Image
from scene_depth_heal.selection import read_region

from scene_depth.cli.app import main
from scene_depth.depth.solver.gate import load_gate
from scene_depth.errors import InputError
from scene_depth.io.camera_paths import read_camera_path
from scene_depth.io.claims import Limits, reading_limits
from scene_depth.io.colmap_text import read_points_text
from scene_depth.io.depth_images import depth_size, read_depth
from scene_depth.io.images import read_image, read_mask
from scene_depth.io.json_files import read_json_object
from scene_depth.io.numpy_files import read_array, read_arrays
from scene_depth.io.point_ply import read_point_ply
from scene_depth.io.splat_files import read_splats
from scene_depth.io.tracked_points import read_tracked_points


@pytest.fixture(autouse=True)
def small_machine() -> Iterator[None]:
    """No more than 300 MB beside what is in use."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def png(width: int, height: int, bits: int = 16) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def npy(shape: str, kind: str = "<f4", data: bytes = b"") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def npz(content: bytes, name: str = "depth.npy") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def spz3(count: int) -> bytes:
    return gzip.compress(struct.pack("<4sIIBBBB", b"NGSP", 3, count, 0, 12, 0, 0) + bytes(1000))


def spz4(count: int) -> bytes:
    sizes = [count * size for size in (9, 1, 3, 3, 4)]
    chunks = [zstandard.compress(bytes(100)) for _ in sizes]
    table = b"".join(struct.pack("<QQ", len(chunk), size) for chunk, size in zip(chunks, sizes, strict=True))
    return struct.pack("<4sIIBBBBI12x", b"NGSP", 4, count, 0, 12, 0, 5, 32) + table + b"".join(chunks)


def ply(encoding: str, count: str) -> bytes:
    properties = "".join(f"property float {axis}\n" for axis in "xyz")
    return f"ply\nformat {encoding} 1.0\nelement vertex {count}\n{properties}end_header\n".encode() + b"0 0 1\n" * 4


CLAIMS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "flat.png": (png(16, 8_000_000), read_depth),
    "photo.png": (png(40_000, 4_000, 8), read_image),
    "mask.png": (png(100_000, 100_000, 1), read_mask),
    "many.spz": (spz3(60_000_000), read_splats),
    "many4.spz": (spz4(4_000_000_000), read_splats),
    "some4.spz": (spz4(50_000_000), read_splats),
    "large.npy": (npy("(1000000, 1000000)"), read_depth),
    "largest.npy": (npy(f"({1 << 62}, 4)"), depth_size),
    "negative.npy": (npy("(-1, 4)"), depth_size),
    "objects.npy": (npy("(1,)", "|O", bytes(8)), lambda path: read_array(path, "")),
    "deep.npy": (npy("(" * 5000), depth_size),
    "large.npz": (npz(npy("(1000000, 1000000)")), read_depth),
    "bomb.npz": (npz(npy("(20000, 20000)") + bytes(4096)), read_depth),
    "member.npz": (npz(b"no array"), read_tracked_points),
    "binary.ply": (ply("binary_little_endian", "4000000000"), read_point_ply),
    "ascii.ply": (ply("ascii", "4000000000"), read_point_ply),
    "digits.ply": (ply("ascii", "9" * 5000), read_point_ply),
    "deep.json": (b"[" * 100_000, read_json_object),
    "digits.json": (b'{"a": ' + b"9" * 5000 + b"}", read_json_object),
    "region.json": (b"[" * 100_000, read_region),
    "path.json": (
        b'{"render_width": 8, "render_height": 8, "camera_path": [{"camera_to_world": [], "fov": 1}]}',
        read_camera_path,
    ),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_beyond_the_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, read = CLAIMS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)
    assert str(caught.value).isprintable()


BROKEN: dict[str, Callable[[Path], object]] = {
    "camera_path_fov_overflow.json": read_camera_path,
    "colmap_points_id_overflow.txt": read_points_text,
    "depth_381B_takes_1.5GB.png": read_depth,
    "depth_display_window_1e5.exr": read_depth,
    "gate_zlib_error.npz": load_gate,
    "indices_token_error.npy": read_arrays,
    "json_deep_for_region_or_camera_path.json": read_region,
    "ply_header_5000_digits.ply": read_splats,
    "points_member_without_npy.npz": read_tracked_points,
    "spz4_172B_claims_4e9_splats.spz": read_splats,
    "spz4_183kB_300M_splats.spz": read_splats,
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_of_public_reports(shared: Callable[[str], Path], name: str) -> None:
    path = shared(f"cases/broken_files/{name}")
    with pytest.raises(InputError, match=name):
        BROKEN[name](path)


def test_large_files_that_hold_what_they_claim_are_read(tmp_path: Path) -> None:
    mask = np.zeros((5000, 6000), bool)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").shape == mask.shape
    np.savez_compressed(tmp_path / "map.npz", depth=np.zeros((3000, 4000), np.float32))
    assert read_depth(tmp_path / "map.npz").shape == (3000, 4000)


def test_limits_are_raised_by_whoever_knows_the_file(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(tmp_path / "a.png")
    with reading_limits(Limits(max_pixels=1999)):
        with pytest.raises(InputError, match=r"50 x 40 pixels; expected at most 1,999 pixels; --max-pixels 2000 allows it"):
            read_image(tmp_path / "a.png")
        with reading_limits(Limits(max_pixels=2000)):
            assert read_image(tmp_path / "a.png").shape == (40, 50, 3)


def test_every_command_takes_the_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "many.spz").write_bytes(spz3(600_000))
    assert main(["inspect", str(tmp_path / "many.spz"), "--max-splats", "1000"]) == 2
    assert "--max-splats 600000 allows it" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "many.spz"), "--max-splats=600000"]) == 2
    assert "cut short" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "many.spz"), "--max-splats", "many"]) == 2
    assert "--max-splats is 'many'" in capsys.readouterr().err


@pytest.mark.parametrize("read", [read_splats, read_image, read_json_object, read_depth])
def test_a_pipe_is_not_waited_for(tmp_path: Path, read: Callable[[Path], object]) -> None:
    for suffix in (".ply", ".png"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
    with pytest.raises(InputError, match="a pipe or device"):
        read(tmp_path / ("pipe.ply" if read is read_splats else "pipe.png"))


@pytest.mark.parametrize("name", ["n" * 300 + ".ply", "a\0.ply"])
def test_a_name_that_no_disk_has(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="path"):
        read_splats(tmp_path / name)
