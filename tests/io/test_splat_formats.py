"""Packed splat formats: round trips within bounds that follow from their bits, real files, another program, bad files."""

from __future__ import annotations

import gzip
import math
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from splat_samples import assert_same_statistics, independent_statistics, random_splats, rotation_errors, splat_transform
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.io import spz
from scene_depth.io.compressed_ply import write_compressed_ply
from scene_depth.io.ply import read_ply, write_ply
from scene_depth.io.splat import read_splat, write_splat
from scene_depth.io.splat_files import lost_in, read_splats, write_splats
from scene_depth.io.spz import AXES, read_spz, write_spz
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats
from scene_depth.splats import SH_C0, GaussianSplats

Shared = Callable[[str], Path]
ROUNDING = 1e-6  # of float32, on top of half a quantisation step


def three_smallest_bound(step: float) -> float:
    """Largest angle by which a quaternion turns whose three smallest components are rounded to multiples of ``step``.

    The three move by at most e = sqrt(3) step / 2. The largest, w = sqrt(1 - v v), is at least 1/2, so the others are at
    most sqrt(3)/2 long, and it moves by at most |v| e / w = sqrt(3) e to first order, and e e / w^3 to second. A distance
    d on the sphere of quaternions is an angle of 4 asin(d / 2).
    """
    e = math.sqrt(3) * step / 2
    d = math.hypot(e, math.sqrt(3) * e + 8 * e * e)
    return 4 * math.asin(d / 2) + 1e-3 * d


def difference(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max()) if a.numel() else 0.0


def matched(source: GaussianSplats, packed: GaussianSplats) -> GaussianSplats:
    """``source`` in the order of ``packed``, found by the nearest centre; every splat has exactly one partner."""
    _, index = cKDTree(source.means.numpy()).query(packed.means.numpy())
    assert sorted(index) == list(range(len(source)))
    return source.select(torch.from_numpy(index))


samples = st.builds(random_splats, st.integers(1, 600), st.integers(0, 3), st.integers(0, 2**32 - 1))


class TestSpz:
    @given(splats=samples, version=st.sampled_from([2, 3, 4]), antialiased=st.booleans())
    @settings(max_examples=40)
    def test_round_trip_within_half_a_step(self, tmp_path_factory, splats, version, antialiased) -> None:
        path = tmp_path_factory.mktemp("spz") / "a.spz"
        splats = replace(splats, antialiased=antialiased)
        write_spz(path, splats, version=version)
        back = read_spz(path)
        assert (len(back), back.sh_degree, back.antialiased) == (len(splats), splats.sh_degree, antialiased)
        assert difference(back.means, splats.means) <= 2**-13 + ROUNDING
        assert difference(back.opacities, splats.opacities) <= 0.5 / 255 + ROUNDING
        in_range = splats.log_scales.clamp(-10, 255 / 16 - 10)
        assert difference(back.log_scales, in_range) <= 1 / 32 + ROUNDING
        limit = 0.5 / 0.15
        assert difference(back.sh[:, 0], splats.sh[:, 0].clamp(-limit, limit)) <= 0.5 / 255 / 0.15 + ROUNDING
        largest = 127 / 128  # the highest byte
        assert difference(back.sh[:, 1:4], splats.sh[:, 1:4].clamp(-1, largest)) <= 4 / 128 + ROUNDING
        assert difference(back.sh[:, 4:], splats.sh[:, 4:].clamp(-1, largest)) <= 8 / 128 + ROUNDING
        if version >= 3:
            assert float(rotation_errors(back.quats, splats.quats).max()) <= three_smallest_bound(math.sqrt(0.5) / 511)
        else:  # x, y, z in steps of 1/127.5; w, the root of the rest, is at its worst where it is near 0
            unit = torch.nn.functional.normalize(splats.quats, dim=1)
            unit = torch.where(unit[:, :1] < 0, -unit, unit)
            assert difference(back.quats[:, 1:], unit[:, 1:]) <= 0.5 / 127.5 + ROUNDING
            assert float((back.quats.norm(dim=1) - 1).abs().max()) < 0.01

    @pytest.mark.parametrize("version", [3, 4])
    def test_what_was_packed_once_is_packed_the_same_again(self, tmp_path: Path, version: int) -> None:
        write_spz(tmp_path / "a.spz", random_splats(500), version=version)
        once = read_spz(tmp_path / "a.spz")
        write_spz(tmp_path / "b.spz", once, version=version)
        twice = read_spz(tmp_path / "b.spz")
        for name in ("means", "log_scales", "logit_opacities", "sh"):
            assert torch.equal(getattr(once, name), getattr(twice, name)), name
        # where two components are equally large, another one may be the one left out
        same = (once.quats == twice.quats).all(dim=1)
        assert float(same.float().mean()) > 0.98
        assert float(rotation_errors(once.quats, twice.quats).max()) <= three_smallest_bound(math.sqrt(0.5) / 511)

    def test_more_bits_can_be_kept(self, tmp_path: Path) -> None:
        splats = random_splats(200)
        write_spz(tmp_path / "a.spz", splats, fraction_bits=18, sh_bits=(8, 8))
        back = read_spz(tmp_path / "a.spz")
        assert difference(back.means, splats.means) <= 2**-19 + ROUNDING
        assert difference(back.sh[:, 1:], splats.sh[:, 1:].clamp(-1, 127 / 128)) <= 0.5 / 128 + ROUNDING

    def test_a_large_scene_takes_fewer_binary_digits(self, tmp_path: Path) -> None:
        splats = transform_splats(random_splats(100), similarity_matrix(scale=1000))
        write_spz(tmp_path / "a.spz", splats)
        farthest = float(splats.means.abs().max())
        step = 2.0 ** (math.ceil(math.log2(farthest / 2**23)))
        assert difference(read_spz(tmp_path / "a.spz").means, splats.means) <= step / 2 + farthest * 2**-24
        with pytest.raises(InputError, match="means: coordinates up to"):
            write_spz(tmp_path / "b.spz", splats, fraction_bits=12)

    def test_infinite_logits_and_vanishing_sizes_are_cut_off(self, tmp_path: Path) -> None:
        splats = random_splats(4)
        splats.logit_opacities[:2] = torch.tensor([-math.inf, math.inf])
        splats.log_scales[2] = -math.inf
        write_spz(tmp_path / "a.spz", splats)
        back = read_spz(tmp_path / "a.spz")
        assert back.opacities[:2].tolist() == pytest.approx([0.25 / 255, 254.75 / 255], abs=1e-5)
        assert back.log_scales[2].tolist() == [-10, -10, -10]

    @pytest.mark.parametrize("axes", AXES)
    @pytest.mark.parametrize("version", [3, 4])
    def test_named_axes_are_declared_and_undone(self, tmp_path: Path, axes: str, version: int) -> None:
        splats = random_splats(50)
        write_spz(tmp_path / "a.spz", splats, version=version, axes=axes, sh_bits=(8, 8))
        back = read_spz(tmp_path / "a.spz")
        assert difference(back.means, splats.means) <= 2**-13 + ROUNDING
        assert difference(back.sh[:, 1:], splats.sh[:, 1:].clamp(-1, 1)) <= 1.01 / 128

    def test_right_up_back_is_half_a_turn_about_x(self, tmp_path: Path) -> None:
        splats = random_splats(50)
        write_spz(tmp_path / "plain.spz", splats)
        write_spz(tmp_path / "turned.spz", transform_splats(splats, similarity_matrix(euler_rotation(180, 0, 0))))
        turned = read_spz(tmp_path / "turned.spz", axes="RUB")
        plain = read_spz(tmp_path / "plain.spz")
        assert difference(turned.means, plain.means) <= 2**-12
        assert float(rotation_errors(turned.quats, plain.quats).max()) <= 2 * three_smallest_bound(math.sqrt(0.5) / 511)
        assert difference(turned.sh, plain.sh) <= 16 / 128 + ROUNDING

    def test_version_1_has_half_floats_and_three_bytes_a_rotation(self, tmp_path: Path) -> None:
        header = struct.pack("<4sIIBBBB", b"NGSP", 1, 2, 0, 12, 0, 0)
        positions = np.array([1.5, -2, 0.25, 100, 0, -0.5], "<f2").tobytes()
        body = positions + bytes([51, 204]) + bytes([0, 128, 255] * 2) + bytes([160] * 6) + bytes([255, 127, 128] * 2)
        (tmp_path / "a.spz").write_bytes(gzip.compress(header + body))
        splats = read_spz(tmp_path / "a.spz")
        assert splats.means.tolist() == [[1.5, -2, 0.25], [100, 0, -0.5]]
        assert splats.opacities.tolist() == pytest.approx([0.2, 0.8])
        assert splats.log_scales.unique().tolist() == [0]
        assert splats.quats[0].tolist() == pytest.approx([0, 1, 0, 0], abs=0.01)

    def test_the_bytes_are_those_of_the_specification(self, tmp_path: Path) -> None:
        one = GaussianSplats(
            torch.tensor([[1.0, -0.5, 2.0]]), torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[0.0, -2.0, 1.0]]),
            torch.tensor([0.0]), torch.tensor([[[0.0, 1.0, -1.0], [0.5, 0, 0], [0, 0.25, 0], [0, 0, -1.0]]]),
        )  # fmt: skip
        write_spz(tmp_path / "a.spz", one)
        data = gzip.decompress((tmp_path / "a.spz").read_bytes())
        assert data[:16] == struct.pack("<4sIIBBBB", b"NGSP", 3, 1, 1, 12, 0, 0)
        assert data[16:25] == b"\x00\x10\x00\x00\xf8\xff\x00\x20\x00"  # 24 bits, 12 after the point
        assert data[25:26] == bytes([128])  # opacity 0.5
        assert data[26:29] == bytes([128, 166, 89])  # 255 (0.15 f_dc + 0.5)
        assert data[29:32] == bytes([160, 128, 176])  # 16 (log scale + 10)
        assert data[32:36] == struct.pack("<I", 3 << 30)  # w, the fourth, is the largest
        assert list(data[36:]) == [192, 128, 128, 128, 160, 128, 128, 128, 0]  # colour is the inner index

    def test_streams_of_version_4(self, tmp_path: Path) -> None:
        write_spz(tmp_path / "a.spz", random_splats(10, 2), version=4, axes="RDF")
        data = (tmp_path / "a.spz").read_bytes()
        magic, version, count, degree, bits, flags, streams, table = struct.unpack_from("<4sIIBBBBI", data)
        assert (magic, version, count, degree, bits, flags, streams, table) == (b"NGSP", 4, 10, 2, 12, 2, 6, 44)
        assert struct.unpack_from("<III", data, 32) == (0xADBE0003, 4, 6)
        rows = [struct.unpack_from("<QQ", data, 44 + 16 * i) for i in range(6)]
        assert [size for _, size in rows] == [90, 10, 30, 30, 40, 240]
        assert 44 + 96 + sum(packed for packed, _ in rows) == len(data)

    @pytest.mark.parametrize("version", [3, 4])
    def test_cut_anywhere_or_changed_it_is_one_clear_error(self, tmp_path: Path, version: int) -> None:
        path = tmp_path / "a.spz"
        write_spz(path, random_splats(300), version=version)
        content = path.read_bytes()
        for size in [1, 3, 4, 10, 15, 16, 31, 32, 33, 100, len(content) // 2, len(content) - 8, len(content) - 1]:
            path.write_bytes(content[:size])
            with pytest.raises(InputError, match=r"a\.spz: .*; expected"):
                read_spz(path)
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 255
        path.write_bytes(damaged)
        if version == 3:  # gzip has a check sum
            with pytest.raises(InputError, match=r"damaged|cut short"):
                read_spz(path)

    @pytest.mark.parametrize(
        ("at", "value", "message"),
        [
            (0, b"NGSX", "magic"),
            (4, struct.pack("<I", 9), "version is 9; expected 1 or 2 or 3"),
            (8, struct.pack("<I", 0), "splats: none"),
            (8, struct.pack("<I", 4_000_000_000), r"count is 4,000,000,000; expected at most 100,000,000"),
            (12, b"\x04", "SH degree is 4; expected 0 to 3"),
            (13, b"\x1f", "fraction bits is 31"),
        ],
    )
    def test_a_wrong_header_of_versions_1_to_3(self, tmp_path: Path, at: int, value: bytes, message: str) -> None:
        write_spz(tmp_path / "a.spz", random_splats(5))
        data = bytearray(gzip.decompress((tmp_path / "a.spz").read_bytes()))
        data[at : at + len(value)] = value
        (tmp_path / "a.spz").write_bytes(gzip.compress(data))
        with pytest.raises(InputError, match=message):
            read_spz(tmp_path / "a.spz")

    @pytest.mark.parametrize(
        ("at", "value", "message"),
        [
            (4, struct.pack("<I", 3), "version is 3; expected 4 in this kind of file"),
            (8, struct.pack("<I", 6), "table of contents: sizes"),
            (15, b"\x05", "streams is 5; expected 6"),
            (16, struct.pack("<I", 8), "table of contents: bytes 8"),
            (16, struct.pack("<I", 1 << 30), "table of contents"),
            (32, struct.pack("<Q", 1 << 40), "size: .* the file is cut short"),
        ],
    )
    def test_a_wrong_header_of_version_4(self, tmp_path: Path, at: int, value: bytes, message: str) -> None:
        write_spz(tmp_path / "a.spz", random_splats(5), version=4)
        data = bytearray((tmp_path / "a.spz").read_bytes())
        data[at : at + len(value)] = value
        (tmp_path / "a.spz").write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_spz(tmp_path / "a.spz")

    def test_a_stream_that_unpacks_to_more_than_announced(self, tmp_path: Path) -> None:
        bomb = zstandard.ZstdCompressor().compress(bytes(1 << 20))
        head = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, 1, 0, 12, 0, 5, 32)
        table = b"".join(struct.pack("<QQ", len(bomb), size) for size in (9, 1, 3, 3, 4))
        (tmp_path / "a.spz").write_bytes(head + table + bomb * 5)
        with pytest.raises(InputError, match="stream: more data than announced"):
            read_spz(tmp_path / "a.spz")

    @pytest.mark.parametrize(
        "options", [{"version": 1}, {"version": 5}, {"axes": "XYZ"}, {"fraction_bits": 24}, {"sh_bits": (0, 4)}]
    )
    def test_wrong_options(self, tmp_path: Path, options: dict) -> None:
        with pytest.raises(InputError, match=next(iter(options))):
            write_spz(tmp_path / "a.spz", random_splats(5), **options)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("version", [3, 4])
    def test_splat_transform_reads_ours(self, tmp_path: Path, version: int) -> None:
        splats = replace(random_splats(400), antialiased=True)
        write_spz(tmp_path / "a.spz", splats, version=version)
        report = independent_statistics(tmp_path / "a.spz")
        assert (report["numGaussians"], report["shBands"], report["model"]) == (400, 3, "antialiased")
        assert_same_statistics(report["columns"], read_spz(tmp_path / "a.spz"))

    @pytest.mark.parametrize("version", [3, 4])
    def test_we_read_those_of_splat_transform(self, tmp_path: Path, version: int) -> None:
        splats = random_splats(400)
        write_ply(tmp_path / "a.ply", splats)
        splat_transform("-w", tmp_path / "a.ply", "--spz-version", str(version), tmp_path / "theirs.spz")
        write_spz(tmp_path / "ours.spz", splats, version=version)
        ours, theirs = read_spz(tmp_path / "ours.spz"), read_spz(tmp_path / "theirs.spz")
        assert torch.equal(ours.quats, theirs.quats)
        assert torch.equal(ours.log_scales, theirs.log_scales)
        assert torch.equal(ours.logit_opacities, theirs.logit_opacities)
        assert torch.equal(ours.sh[:, 0], theirs.sh[:, 0])
        assert difference(ours.means, theirs.means) <= 2**-12  # they round in float32
        # they round twice, to a 128th and then to a step, so that a few values go to the farther step
        assert float((ours.sh != theirs.sh).float().mean()) < 0.07
        assert difference(ours.sh[:, 1:4], theirs.sh[:, 1:4]) <= 8 / 128
        assert difference(ours.sh[:, 4:], theirs.sh[:, 4:]) <= 16 / 128
        assert (ours.sh - splats.sh)[:, 1:].abs().mean() <= (theirs.sh - splats.sh)[:, 1:].abs().mean()


class TestCompressedPly:
    @given(splats=samples, antialiased=st.booleans())
    @settings(max_examples=40)
    def test_round_trip_within_half_a_step(self, tmp_path_factory, splats, antialiased) -> None:
        path = tmp_path_factory.mktemp("packed") / "a.compressed.ply"
        splats = replace(splats, antialiased=antialiased, comments=("by a test",))
        write_compressed_ply(path, splats)
        back = read_splats(path)
        assert (len(back), back.sh_degree, back.antialiased) == (len(splats), splats.sh_degree, antialiased)
        assert back.comments == ("by a test",)
        source = matched_by_box(splats, back)
        steps = torch.tensor([2047.0, 1023.0, 2047.0])
        for start in range(0, len(back), 256):
            part, origin = (values.select(slice(start, start + 256)) for values in (back, source))
            for name, intervals in (("means", steps), ("log_scales", steps), ("base_colors", torch.tensor(255.0))):
                found, expected = getattr(part, name), getattr(origin, name)
                size = expected.amax(0) - expected.amin(0)
                assert bool(((found - expected).abs() <= size / intervals / 2 + 4e-6).all()), name
        assert difference(back.opacities, source.opacities.clamp(1 / 255, 254 / 255)) <= 0.5 / 255 + ROUNDING
        assert difference(back.sh[:, 1:], source.sh[:, 1:].clamp(-4, 4)) <= 4 / 256 + ROUNDING
        assert float(rotation_errors(back.quats, source.quats).max()) <= three_smallest_bound(math.sqrt(2) / 1023)

    @pytest.mark.parametrize("count", [1, 255, 256, 257, 512])
    def test_chunks_at_their_borders(self, tmp_path: Path, count: int) -> None:
        write_compressed_ply(tmp_path / "a.ply", random_splats(count, 0))
        assert len(read_splats(tmp_path / "a.ply")) == count  # known by its header, not by its name
        with pytest.raises(InputError, match="read_compressed_ply reads these"):
            read_ply(tmp_path / "a.ply")

    def test_real_file_against_the_same_capture_in_spz(self, shared: Shared) -> None:
        packed = read_splats(shared("data/splats/biker.compressed.ply"))
        spz = read_splats(shared("data/splats/biker.spz"), axes="RUB")
        assert len(packed) == len(spz) == 152_746
        columns, others = (
            torch.cat([splats.means, splats.log_scales.clamp(-10, 5.9375) * 0.02, splats.base_colors * 0.02], dim=1)
            for splats in (packed, spz)
        )
        _, index = cKDTree(others.numpy()).query(columns.numpy())
        assert len(set(index)) > 0.998 * len(spz)  # one to one, but for twins
        partner = spz.select(torch.from_numpy(index))
        chunk = torch.arange(len(packed)) // 256
        boxes = [packed.means[chunk == i] for i in range(int(chunk[-1]) + 1)]
        size = torch.stack([box.amax(0) - box.amin(0) for box in boxes])
        bound = size[chunk] / torch.tensor([2046.0, 1022.0, 2046.0]) / 2 + 2**-13 + ROUNDING
        within = ((packed.means - partner.means).abs() <= bound).all(dim=1)
        assert float(within.float().mean()) > 0.998
        assert float((packed.opacities - partner.opacities)[within].abs().quantile(0.995)) <= 1 / 255 + ROUNDING
        # the quaternions may differ by half a turn about an axis of the Gaussian, which looks the same
        axes = quaternions_to_matrices(packed.quats).transpose(1, 2) @ quaternions_to_matrices(partner.quats)
        alignment = axes.diagonal(dim1=1, dim2=2).abs().amin(dim=1)[within]
        assert float(alignment.quantile(0.01)) > math.cos(0.012)
        assert difference(packed.opacities.sort()[0], spz.opacities.sort()[0]) <= 1 / 255 + ROUNDING

    @pytest.mark.parametrize("degree", [0, 2, 3])
    def test_splat_transform_reads_ours(self, tmp_path: Path, degree: int) -> None:
        splats = replace(random_splats(700, degree), antialiased=True)
        write_compressed_ply(tmp_path / "a.compressed.ply", splats)
        report = independent_statistics(tmp_path / "a.compressed.ply")
        assert (report["numGaussians"], report["shBands"], report["model"]) == (700, degree, "antialiased")
        assert_same_statistics(report["columns"], read_splats(tmp_path / "a.compressed.ply"))

    def test_we_read_those_of_splat_transform(self, tmp_path: Path) -> None:
        splats = random_splats(700)
        write_ply(tmp_path / "a.ply", splats)
        splat_transform("-w", tmp_path / "a.ply", tmp_path / "theirs.compressed.ply")
        theirs = read_splats(tmp_path / "theirs.compressed.ply")
        source = matched(splats, theirs)
        assert difference(theirs.means, source.means) <= 0.02
        assert difference(theirs.opacities, source.opacities) <= 0.5 / 255 + ROUNDING
        assert difference(theirs.sh[:, 1:], source.sh[:, 1:]) <= 4 / 256 + ROUNDING
        assert float(rotation_errors(theirs.quats, source.quats).max()) <= three_smallest_bound(math.sqrt(2) / 1023)
        splat_transform("-w", tmp_path / "theirs.compressed.ply", tmp_path / "unpacked.ply")
        unpacked = read_ply(tmp_path / "unpacked.ply")
        for name in ("means", "quats", "log_scales", "sh"):
            torch.testing.assert_close(getattr(theirs, name), getattr(unpacked, name), rtol=1e-6, atol=1e-6)

    def test_the_older_form_without_colour_bounds(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ply"
        columns = [f"{end}_{p}{axis}" for p in ("", "scale_") for end in ("min", "max") for axis in "xyz"]
        chunk = np.array([0, 0, 0, 2, 4, 8, -5, -5, -5, -1, -1, -1], "<f4")
        vertex = np.array(
            [2047 << 21 | 0 << 11 | 2047, 0 << 30 | 512 << 20 | 512 << 10 | 512, 0, 255 << 24 | 51 << 8 | 255], "<u4"
        )
        header = ["ply", "format binary_little_endian 1.0", "element chunk 1", *(f"property float {name}" for name in columns)]
        header += ["element vertex 1", *(f"property uint packed_{n}" for n in ("position", "rotation", "scale", "color"))]
        path.write_bytes("\n".join([*header, "end_header", ""]).encode() + chunk.tobytes() + vertex.tobytes())
        splats = read_splats(path)
        assert splats.means.tolist() == [[2, 0, 8]]
        assert splats.log_scales.tolist() == [[-5, -5, -5]]
        assert splats.base_colors[0].tolist() == pytest.approx([1, 0, 0.2], abs=1e-6)
        assert splats.quats[0].tolist() == pytest.approx([1, 0, 0, 0], abs=2e-3)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (b"uint packed_scale", b"uint packed_size", "properties of vertex: no packed_scale of type u4"),
            (b"float max_scale_z", b"float max_scale_w", "properties of chunk: no max_scale_z"),
            (b"float max_b", b"float max_c", "properties of chunk are a part of the colour bounds"),
            (b"element chunk 2", b"element chunk 1", "element chunk: 1 chunks for 300 splats"),
            (b"element sh 300", b"element sh 299", "element sh: 299 rows"),
            (b"uchar f_rest_44", b"uchar f_rest_45", "element sh: 45 properties"),
            (b"binary_little_endian", b"ascii", "format: ascii"),
        ],
    )
    def test_a_wrong_header(self, tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
        path = tmp_path / "a.ply"
        write_compressed_ply(path, random_splats(300))
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new, 1))
        with pytest.raises(InputError, match=message):
            read_splats(path)

    def test_cut_anywhere_it_is_one_clear_error(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ply"
        write_compressed_ply(path, random_splats(300))
        content = path.read_bytes()
        body = content.index(b"end_header\n") + 11
        for size in [body - 20, body, body + 100, body + 144, body + 2000, len(content) - 45, len(content) - 1]:
            path.write_bytes(content[:size])
            with pytest.raises(InputError, match="cut short"):
                read_splats(path)


def matched_by_box(source: GaussianSplats, packed: GaussianSplats) -> GaussianSplats:
    """``source`` in the order of ``packed``; few splats lie far apart, so that the nearest centre is the same one."""
    return matched(source, packed) if len(source) > 1 else source


class TestSplat:
    @given(splats=samples)
    @settings(max_examples=40)
    def test_round_trip_within_half_a_step(self, tmp_path_factory, splats) -> None:
        path = tmp_path_factory.mktemp("splat") / "a.splat"
        write_splat(path, splats)
        assert path.stat().st_size == 32 * len(splats)
        back = read_splat(path)
        source = matched(splats, back)
        assert torch.equal(back.means, source.means)
        torch.testing.assert_close(back.log_scales, source.log_scales, rtol=1e-6, atol=1e-6)
        assert difference(back.base_colors, source.base_colors.clamp(0, 1)) <= 0.5 / 255 + ROUNDING
        assert difference(back.opacities, source.opacities) <= 0.5 / 255 + ROUNDING
        # components in steps of 1/128, but +1 as 127/128: off by at most (3 / 4 + 1)^0.5 / 128 in all
        assert float(rotation_errors(back.quats, source.quats).max()) <= 4 * math.asin(math.sqrt(1.75) / 128 / 2) + 1e-3

    def test_large_opaque_splats_come_first(self, tmp_path: Path) -> None:
        splats = random_splats(300)
        write_splat(tmp_path / "a.splat", splats)
        back = read_splat(tmp_path / "a.splat")
        importance = back.log_scales.sum(1) + back.opacities.log()
        assert bool((importance.diff() < 0.5).all())
        assert float(importance[:30].min()) > float(importance[-30:].max())

    def test_splat_transform_reads_ours(self, tmp_path: Path) -> None:
        write_splat(tmp_path / "a.splat", random_splats(200))
        splat_transform("-w", tmp_path / "a.splat", tmp_path / "a.ply")
        theirs, ours = read_ply(tmp_path / "a.ply"), read_splat(tmp_path / "a.splat")
        assert torch.equal(theirs.means, ours.means)
        torch.testing.assert_close(theirs.sh, ours.sh, rtol=0, atol=1e-5)
        torch.testing.assert_close(theirs.log_scales, ours.log_scales, rtol=0, atol=1e-5)
        assert difference(theirs.opacities, ours.opacities) <= 0.3 / 255
        # it reads bytes as b / 127.5 - 1 where writers store 128 q + 128: half a step apart at most
        assert float(rotation_errors(theirs.quats, ours.quats).max()) < 4 * math.asin(2 * 0.5 / 127.5 / 2)

    @pytest.mark.parametrize(
        "content", [b"\x00" * 31, b"\x00" * 33, b"ply\n" + b"a" * 28, b"\x1f\x8b" + bytes(30), b"PK\x03\x04" + bytes(28)]
    )
    def test_what_is_no_splat_file(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.splat").write_bytes(content)
        with pytest.raises(InputError, match=r"a\.splat: (content|size)"):
            read_splats(tmp_path / "a.splat")

    def test_garbage_of_the_right_size(self, tmp_path: Path) -> None:
        (tmp_path / "a.splat").write_bytes(os.urandom(32 * 50))
        with pytest.raises(InputError, match="scales: negative or NaN"):
            read_splats(tmp_path / "a.splat")

    def test_a_zero_quaternion_is_no_rotation(self, tmp_path: Path) -> None:
        row = np.zeros(1, [("xyz", "<f4", 3), ("scales", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
        row["scales"], row["quat"] = 1, 128
        row.tofile(tmp_path / "a.splat")
        assert read_splat(tmp_path / "a.splat").quats.tolist() == [[1, 0, 0, 0]]


WRITERS = {"a.spz": write_spz, "a.compressed.ply": write_compressed_ply, "a.splat": write_splat}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("means", math.nan),
        ("means", math.inf),
        ("quats", math.nan),
        ("quats", 0.0),
        ("sh", -math.inf),
        ("log_scales", math.inf),
        ("logit_opacities", math.nan),
    ],
)
def test_values_that_no_packed_format_can_hold(tmp_path: Path, name: str, field: str, value: float) -> None:
    splats = random_splats(10)
    getattr(splats, field)[3] = value
    with pytest.raises(InputError, match=f"{field}: .* in 1 of 10 splats"):
        WRITERS[name](tmp_path / name, splats)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", WRITERS)
def test_no_splats_cannot_be_packed(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="splats: none"):
        write_splats(tmp_path / name, random_splats(0))


@pytest.mark.parametrize("name", WRITERS)
def test_empty_folder_missing_and_input(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="size: 0 bytes"):
        read_splats(tmp_path / name)
    with pytest.raises(InputError, match="No such file"):
        read_splats(tmp_path / "other" / name)
    (tmp_path / "folder" / name).mkdir(parents=True)
    with pytest.raises(InputError, match="a folder"):
        read_splats(tmp_path / "folder" / name)
    with pytest.raises(InputError, match="output is a folder"):
        write_splats(tmp_path / "folder" / name, random_splats(3))
    with pytest.raises(InputError, match="the path of the input"):
        write_splats(tmp_path / name, random_splats(3), inputs=(tmp_path / name,))
    assert (tmp_path / name).read_bytes() == b""


@pytest.mark.parametrize("name", ["a.ksplat", "a", "a.npz", "a.PLYX"])
def test_an_unknown_extension_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    accepted = r"expected \.ply, \.compressed\.ply, \.spz, \.splat"
    with pytest.raises(InputError, match=accepted):
        read_splats(tmp_path / name)
    with pytest.raises(InputError, match=accepted):
        write_splats(tmp_path / name, random_splats(3))


def test_extensions_in_capitals_and_non_ascii_names(tmp_path: Path) -> None:
    for name in ("Ä.PLY", "Ä.Compressed.PLY", "Ä.SPZ", "Ä.Splat"):
        write_splats(tmp_path / name, random_splats(3, 0))
        assert len(read_splats(tmp_path / name)) == 3


def test_blocks_of_a_gzip_stream_are_one_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splats = random_splats(300)
    write_spz(tmp_path / "whole.spz", splats)
    whole = gzip.decompress((tmp_path / "whole.spz").read_bytes())
    monkeypatch.setattr(spz, "BLOCK", 1000)
    files = []
    for threads in (1, 3):
        monkeypatch.setattr(spz, "thread_count", lambda threads=threads: threads)
        write_spz(tmp_path / "blocks.spz", splats)
        files.append((tmp_path / "blocks.spz").read_bytes())
    assert files[0] == files[1]
    assert gzip.decompress(files[0]) == whole
    assert len(whole) > 5000
    assert torch.equal(read_spz(tmp_path / "blocks.spz").means, read_spz(tmp_path / "whole.spz").means)


def test_options_belong_to_spz(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"options: version for a \.ply file"):
        write_splats(tmp_path / "a.ply", random_splats(3), version=4)
    write_splats(tmp_path / "a.ply", random_splats(3))
    with pytest.raises(InputError, match=r"axes: 'RUB' for a \.ply file"):
        read_splats(tmp_path / "a.ply", axes="RUB")


def test_what_a_format_loses_is_said(tmp_path: Path) -> None:
    splats = replace(random_splats(10), extra={"label": torch.arange(10)}, antialiased=True)
    splats.log_scales[0] = -12
    splats.sh[1, 0] = 9 / SH_C0
    assert lost_in(".ply", splats) == []
    text = {kind: "\n".join(lost_in(kind, splats)) for kind in (".spz", ".compressed.ply", ".splat")}
    assert "extra properties label" in text[".spz"]
    assert "3 of 30 values of log_scales lie outside [-10, 5.97]" in text[".spz"]
    assert "3 of 30 values of base colour coefficients" in text[".spz"]
    assert "extra properties" in text[".compressed.ply"]
    assert "log_scales" not in text[".compressed.ply"]
    assert "degree 1 to 3 are dropped" in text[".splat"]
    assert "antialiased" in text[".splat"]
    assert "values of base colours lie outside" in text[".splat"]
