"""The reference .ply: bit-exact round trips, real files, another library's reader, and files that are wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement
from splat_samples import (
    assert_same_statistics,
    independent_statistics,
    random_splats,
    rotation_errors,
    same_bits,
    splat_transform,
)

import scene_depth.io.ply as ply_module
from scene_depth.errors import InputError
from scene_depth.io.ply import REQUIRED, read_ply, write_ply
from scene_depth.io.splat_files import read_splats
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats
from scene_depth.splats import GaussianSplats

Shared = Callable[[str], Path]
REAL = ["trained_9k.ply", "tile_14k.ply"]
EXTRA_TYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.float32, torch.float64]
ORDER = "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 {rest} opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3"


@pytest.fixture
def ply(tmp_path: Path) -> Path:
    """Five splats with all bands."""
    path = tmp_path / "splats.ply"
    write_ply(path, random_splats(5))
    return path


def edited(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    return path


def structured(names: list[str], count: int = 3, dtype: str = "f4") -> np.ndarray:
    rows = np.zeros(count, [(name, dtype) for name in names])
    for i, name in enumerate(names):
        rows[name] = i + 1
    return rows


def write_with_plyfile(path: Path, rows: np.ndarray, **options: object) -> Path:
    PlyData([PlyElement.describe(rows, "vertex")], **options).write(path)
    return path


@pytest.mark.parametrize("name", REAL)
def test_real_files_come_back_byte_for_byte(shared: Shared, tmp_path: Path, name: str) -> None:
    source = shared(f"data/splats/{name}")
    splats = read_splats(source)
    write_ply(tmp_path / name, splats)
    assert (tmp_path / name).read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", REAL)
def test_real_files_read_as_another_library_reads_them(shared: Shared, name: str) -> None:
    rows = PlyData.read(shared(f"data/splats/{name}"))["vertex"].data
    splats = read_ply(shared(f"data/splats/{name}"))
    assert splats.sh_degree == 3
    assert not splats.extra
    np.testing.assert_array_equal(splats.means.numpy(), np.stack([rows[c] for c in "xyz"], axis=1))
    np.testing.assert_array_equal(splats.quats[:, 0].numpy(), rows["rot_0"])
    for channel in range(3):
        np.testing.assert_array_equal(splats.sh[:, 0, channel].numpy(), rows[f"f_dc_{channel}"])
        for coefficient in (1, 7, 15):  # channel-major: 15 coefficients of red, then green, then blue
            column = rows[f"f_rest_{15 * channel + coefficient - 1}"]
            np.testing.assert_array_equal(splats.sh[:, coefficient, channel].numpy(), column)


@given(
    count=st.integers(0, 40),
    degree=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
    antialiased=st.booleans(),
    comments=st.lists(st.text("abcäöü 012:", min_size=1).map(lambda s: " ".join(s.split())).filter(bool), max_size=3),
    kinds=st.lists(st.sampled_from(EXTRA_TYPES), max_size=4),
)
@settings(max_examples=60)
def test_any_bits_survive(tmp_path_factory, count, degree, seed, antialiased, comments, kinds) -> None:
    path = tmp_path_factory.mktemp("ply") / "splats.ply"
    generator = np.random.default_rng(seed)

    def noise(dtype: torch.dtype, *shape: int) -> torch.Tensor:  # every bit pattern, NaN and infinity among them
        kind = torch.empty(0, dtype=dtype).numpy().dtype
        data = generator.bytes(int(np.prod(shape)) * kind.itemsize)
        return torch.from_numpy(np.frombuffer(data, kind).reshape(shape).copy())

    f4 = torch.float32
    splats = GaussianSplats(
        noise(f4, count, 3), noise(f4, count, 4), noise(f4, count, 3), noise(f4, count), noise(f4, count, (degree + 1) ** 2, 3),
        {f"extra_{i}": noise(kind, count) for i, kind in enumerate(kinds)}, antialiased, tuple(comments),
    )  # fmt: skip
    write_ply(path, splats)
    assert same_bits(read_ply(path), splats)


@pytest.mark.parametrize(("degree", "rest"), [(0, 0), (1, 9), (2, 24), (3, 45)])
def test_properties_are_in_the_order_of_the_reference_trainer(tmp_path: Path, degree: int, rest: int) -> None:
    write_ply(tmp_path / "a.ply", random_splats(3, degree))
    data = PlyData.read(tmp_path / "a.ply")
    expected = ORDER.format(rest=" ".join(f"f_rest_{i}" for i in range(rest))).split()
    assert [p.name for p in data["vertex"].properties] == expected
    assert {p.val_dtype for p in data["vertex"].properties} == {"f4"}
    assert (data.text, data.byte_order) == (False, "<")
    assert read_ply(tmp_path / "a.ply").sh_degree == degree


def test_properties_in_another_order_and_precision_are_read(tmp_path: Path) -> None:
    names = sorted([*REQUIRED, *(f"f_rest_{i}" for i in range(9))])
    splats = read_ply(write_with_plyfile(tmp_path / "a.ply", structured(names, dtype="f8"), byte_order="<"))
    value = {name: float(i + 1) for i, name in enumerate(names)}
    assert splats.means.dtype == torch.float32
    assert splats.means[0].tolist() == [value["x"], value["y"], value["z"]]
    assert splats.sh[0, 2].tolist() == [value["f_rest_1"], value["f_rest_4"], value["f_rest_7"]]


def test_normals_are_kept_only_if_there_are_some(tmp_path: Path) -> None:
    names = [*REQUIRED, "nx", "ny", "nz"]
    rows = structured(names)
    assert list(read_ply(write_with_plyfile(tmp_path / "a.ply", rows, byte_order="<")).extra) == ["nx", "ny", "nz"]
    rows["nx"] = rows["ny"] = rows["nz"] = 0
    assert not read_ply(write_with_plyfile(tmp_path / "b.ply", rows, byte_order="<")).extra


def test_elements_around_the_splats_are_passed_over(tmp_path: Path) -> None:
    camera = PlyElement.describe(np.ones(2, [("fx", "f4"), ("id", "i2")]), "camera")
    faces = np.empty(1, [("vertex_indices", "O")])
    faces[0] = ([0, 1, 2],)
    splats = PlyElement.describe(structured(list(REQUIRED)), "vertex")
    PlyData([camera, splats, PlyElement.describe(faces, "face")], byte_order="<").write(tmp_path / "a.ply")
    assert read_ply(tmp_path / "a.ply").means[0].tolist() == [1, 2, 3]
    PlyData([PlyElement.describe(faces, "face"), splats], byte_order="<").write(tmp_path / "b.ply")
    with pytest.raises(InputError, match="element face is a list property"):
        read_ply(tmp_path / "b.ply")


@pytest.mark.parametrize(
    ("comment", "antialiased"),
    [("SplatRenderMode: mip", True), ("SplatRenderMode: default", False), ("antialiased 1", True), ("antialiased 0", False)],
)
def test_the_antialiased_mode_is_read_from_comments(ply: Path, comment: str, antialiased: bool) -> None:
    edited(ply, b"element vertex", f"comment {comment}\ncomment Vertical Axis: z\nelement vertex".encode())
    splats = read_ply(ply)
    assert splats.antialiased is antialiased
    assert splats.comments == ("Vertical Axis: z",)


def test_windows_line_ends_and_obj_info_are_read(ply: Path) -> None:
    expected = read_ply(ply)
    header, body = ply.read_bytes().split(b"end_header\n", 1)
    header = header.replace(b"element vertex", b"obj_info made by hand\nelement vertex")
    ply.write_bytes(header.replace(b"\n", b"\r\n") + b"end_header\r\n" + body)
    assert same_bits(read_ply(ply), expected)


def test_non_ascii_paths(tmp_path: Path) -> None:
    path = tmp_path / "größe ☃" / "Ω splats.ply"
    write_ply(path, random_splats(4))
    assert len(read_splats(path)) == 4


def test_memory_is_that_of_the_splats(tmp_path: Path) -> None:
    import tracemalloc

    write_ply(tmp_path / "a.ply", random_splats(150_000))
    size = (tmp_path / "a.ply").stat().st_size
    tracemalloc.start()
    read_ply(tmp_path / "a.ply")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * size  # the splats themselves and a few blocks of rows


@pytest.mark.parametrize("count", ["60", "9999999"])
def test_a_cut_file_says_what_is_there_and_what_should_be(ply: Path, count: str) -> None:
    edited(ply, b"element vertex 5", f"element vertex {count}".encode())
    found = ply.stat().st_size
    with pytest.raises(InputError, match=rf"size: {found} bytes, 5 whole rows of vertex; expected \d+ bytes, {count} rows"):
        read_splats(ply)


def test_cut_anywhere_it_is_one_clear_error(ply: Path) -> None:
    content = ply.read_bytes()
    header = content.index(b"end_header") + len(b"end_header\n")
    for size in [*range(0, header, 97), header - 1, header, header + 1, len(content) - 248, len(content) - 1]:
        ply.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"splats\.ply") as caught:
            read_splats(ply)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{"text": True}, {"byte_order": ">"}], ids=["ascii", "big-endian"])
def test_other_encodings_are_read(tmp_path: Path, options: dict) -> None:
    rows = structured(list(REQUIRED))
    path = write_with_plyfile(tmp_path / "a.ply", rows, **options)
    assert same_bits(read_splats(path), read_splats(write_with_plyfile(tmp_path / "b.ply", rows, byte_order="<")))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"float scale_2", b"float other", "scale_2: no such property .a 2DGS file"),
        (b"float rot_3", b"float other", "properties of vertex: no rot_3; expected all of x, y"),
        (b"float f_rest_44", b"float other", "f_rest: 44 properties; expected 0, 9, 24 or 45"),
        (b"float f_rest_7", b"float other", "f_rest: 44 properties, f_rest_7 is missing"),
        (b"float opacity", b"int opacity", "type of opacity: i4; expected float or double"),
        (b"float opacity", b"list uchar float opacity", "type of opacity is a list"),
        (b"float opacity", b"real opacity", "header line 58 is 'property real opacity'"),
        (b"float nx", b"float ny", "element vertex: more than one property 'ny'"),
        (b"element vertex", b"element face", "elements: face; expected an element 'vertex'"),
        (b"element vertex 5", b"element vertex -5", "header line 3 is 'element vertex -5'"),
        (b"format binary_little_endian 1.0\n", b"", "format: no such line in the header"),
        (b"format binary_little_endian", b"format binary", "header line 2 is 'format binary 1.0'"),
        (b"end_header\n", b"end_headers", "header: damaged"),
        (b"ply\n", b"PLY\n", "magic: b'PLY"),
    ],
)
def test_a_wrong_header_is_said_by_its_field(ply: Path, old: bytes, new: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_splats(edited(ply, old, new))


def test_a_point_cloud_is_called_one(tmp_path: Path) -> None:
    rows = np.zeros(3, [(c, "f4") for c in "xyz"] + [(c, "u1") for c in ("red", "green", "blue")])
    with pytest.raises(InputError, match="a point cloud with red green blue"):
        read_splats(write_with_plyfile(tmp_path / "a.ply", rows, byte_order="<"))


def test_the_largest_whole_degree_can_be_asked_for(ply: Path) -> None:
    complete = read_ply(ply)
    edited(ply, b"float f_rest_44", b"float spare")
    assert read_ply(ply, truncate_sh=True).sh_degree == 0  # 44 coefficients are no three channels
    for i in (44, 43, 42):  # 42 of them: 14 a channel, of which degree 2 takes 8
        text = ply.read_bytes()
        ply.write_bytes(text.replace(f"float f_rest_{i}\n".encode(), f"float spare{i}\n".encode()))
    splats = read_ply(ply, truncate_sh=True)
    assert splats.sh_degree == 2
    assert torch.equal(splats.sh[:, 1:9, 0], complete.sh[:, 1:9, 0])


@pytest.mark.parametrize("content", [b"", b"\x00" * 1000, b"ply", b"ply\n", os.urandom(5000), b"solid stl\n" * 50])
def test_garbage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_splats(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_splats(tmp_path / "none.ply")
    (tmp_path / "folder.ply").mkdir()
    with pytest.raises(InputError, match="a folder"):
        read_splats(tmp_path / "folder.ply")


@pytest.mark.skipif(os.geteuid() == 0, reason="the super-user can read and write everything")
def test_unreadable_and_read_only(tmp_path: Path, ply: Path) -> None:
    ply.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_splats(ply)
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="output folder"):
        write_ply(tmp_path / "new.ply", random_splats(1))


def test_an_input_is_never_overwritten(ply: Path) -> None:
    before = ply.read_bytes()
    with pytest.raises(InputError, match="the path of the input"):
        write_ply(ply.parent / "." / ply.name, read_ply(ply), inputs=(ply,))
    assert ply.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("opacity", torch.zeros(5)),
        ("two words", torch.zeros(5)),
        ("label", torch.zeros(5, dtype=torch.int64)),
        ("m", torch.zeros(5, 2)),
    ],
)
def test_extra_values_that_a_ply_cannot_hold_are_named(ply: Path, name: str, values: torch.Tensor) -> None:
    before = ply.read_bytes()
    with pytest.raises(InputError, match=f"extra.*{name}"):
        write_ply(ply, replace(random_splats(5), extra={name: values}))
    assert ply.read_bytes() == before
    assert list(ply.parent.iterdir()) == [ply]


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_splat_transform_reads_the_same_numbers(tmp_path: Path, degree: int) -> None:
    splats = replace(random_splats(301, degree), antialiased=degree == 1)
    path = tmp_path / "ours.ply"
    write_ply(path, splats)
    report = independent_statistics(path)
    assert (report["gaussian"], report["numGaussians"], report["shBands"]) == (True, 301, degree)
    assert report["model"] == ("antialiased" if degree == 1 else "default")
    assert_same_statistics(report["columns"], splats)


@pytest.mark.parametrize("name", REAL)
def test_splat_transform_agrees_on_real_files(shared: Shared, name: str) -> None:
    source = shared(f"data/splats/{name}")
    assert_same_statistics(independent_statistics(source)["columns"], read_ply(source))


def test_splat_transform_turns_splats_as_we_do(shared: Shared, tmp_path: Path) -> None:
    source = shared("data/splats/trained_9k.ply")
    splat_transform("-w", source, "--rotate=20,30,40", "--translate=1,-2,3", "--scale=2", tmp_path / "turned.ply")
    theirs = read_ply(tmp_path / "turned.ply")
    upright = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))  # its world has y up
    moved = similarity_matrix(scale=2) @ similarity_matrix(euler_rotation(20, 30, 40), (1, -2, 3))
    ours = transform_splats(read_ply(source), upright @ moved @ upright)
    torch.testing.assert_close(ours.means, theirs.means, rtol=1e-6, atol=1e-4)
    torch.testing.assert_close(ours.log_scales, theirs.log_scales, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.sh, theirs.sh, rtol=0, atol=1e-6)
    assert float(rotation_errors(ours.quats, theirs.quats).max()) < 1e-3


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, random_splats(6000, 1))
    whole = ply_module.read_rows

    def shrinking(header, name):
        rows = whole(header, name)
        os.truncate(path, path.stat().st_size - 9)
        return rows

    monkeypatch.setattr(ply_module, "read_rows", shrinking)
    with pytest.raises(InputError, match=r"a\.ply: .*no row 4096 any more"):
        read_ply(path)
