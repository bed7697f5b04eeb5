"""``scene-depth convert``, called as from a shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import tyro
from splat_samples import independent_statistics, random_splats, same_bits, splat_transform

from scene_depth.cli.app import STYLE
from scene_depth.cli.convert import convert
from scene_depth.errors import InputError
from scene_depth.io.ply import read_ply, write_ply
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats
from scene_depth.io.spz import read_spz

Shared = Callable[[str], Path]
FORMATS = [".ply", ".compressed.ply", ".spz", ".splat"]


def run(*arguments: object) -> None:
    tyro.cli(convert, args=[str(argument) for argument in arguments], config=STYLE)


@pytest.fixture
def ply(tmp_path: Path) -> Path:
    path = tmp_path / "möbel.ply"
    write_ply(path, replace(random_splats(300, 2), antialiased=True))
    return path


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_every_format_to_every_format(ply: Path, capsys, first: str, second: str) -> None:
    a, b = ply.with_name(f"a{first}"), ply.with_name(f"b{second}")
    run(ply, a)
    capsys.readouterr()
    run(a, b, "--json")
    report = json.loads(capsys.readouterr().out)
    degree = 0 if ".splat" in (first, second) else 2
    back = read_splats(b)
    assert (len(back), back.sh_degree, back.antialiased) == (300, degree, ".splat" not in (first, second))
    assert (report["splats"], report["sh_degree"], report["format"]) == (300, degree, second)
    assert report["bytes_written"] == b.stat().st_size
    assert not list(ply.parent.glob(".*"))


def test_ply_to_ply_keeps_every_bit(shared: Shared, tmp_path: Path) -> None:
    source = shared("data/splats/trained_9k.ply")
    run(source, tmp_path / "a.ply")
    assert (tmp_path / "a.ply").read_bytes() == source.read_bytes()


def test_splats_are_scaled_turned_and_moved_in_that_order(tmp_path: Path) -> None:
    one = replace(random_splats(1, 0), means=torch.tensor([[1.0, 0.0, 0.0]]))
    write_ply(tmp_path / "a.ply", one)
    run(tmp_path / "a.ply", tmp_path / "b.ply", "--scale", 2, "--rotate", 0, 0, 90, "--translate", 10, -1, 0)
    moved = read_ply(tmp_path / "b.ply")
    assert moved.means[0].tolist() == pytest.approx([10, 1, 0], abs=1e-6)
    torch.testing.assert_close(moved.scales, 2 * one.scales)


def test_the_sh_degree_is_lowered_or_raised(ply: Path, capsys) -> None:
    run(ply, ply.with_name("low.ply"), "--sh-degree", 1)
    assert "lost: spherical harmonics above degree 1, as asked" in capsys.readouterr().out
    run(ply, ply.with_name("high.ply"), "--sh-degree", 3)
    assert "lost" not in capsys.readouterr().out
    low, high, source = (read_ply(path) for path in (ply.with_name("low.ply"), ply.with_name("high.ply"), ply))
    assert torch.equal(low.sh, source.sh[:, :4])
    assert torch.equal(high.sh[:, :9], source.sh)
    assert not high.sh[:, 9:].any()


def test_versions_and_axes_of_spz(ply: Path) -> None:
    source = read_ply(ply)
    four, three = ply.with_name("4.spz"), ply.with_name("3.spz")
    run(ply, four, "--spz-version", 4, "--output-axes", "RUB")
    assert four.read_bytes()[:4] == b"NGSP"
    run(ply, three)
    assert three.read_bytes()[:2] == b"\x1f\x8b"
    for path in (four, three):
        torch.testing.assert_close(read_spz(path).means, source.means, rtol=0, atol=2**-12)
    run(three, ply.with_name("turned.ply"), "--input-axes", "RUB")
    turned = read_ply(ply.with_name("turned.ply")).means
    torch.testing.assert_close(turned * torch.tensor([1.0, -1, -1]), source.means, rtol=0, atol=2**-12)


def test_what_is_lost_is_said(ply: Path, capsys) -> None:
    write_ply(ply, replace(random_splats(30), extra={"label": torch.zeros(30, dtype=torch.uint8)}))
    run(ply, ply.with_name("a.splat"))
    said = capsys.readouterr().out
    assert "lost: .splat has no place for the extra properties label" in said
    assert "lost: .splat holds base colours only" in said


@pytest.mark.parametrize(
    ("name", "second"), [("trained_9k.ply", ".compressed.ply"), ("trained_9k.ply", ".spz"), ("biker.spz", ".ply")]
)
def test_splat_transform_reads_what_we_convert(shared: Shared, tmp_path: Path, name: str, second: str) -> None:
    source = shared(f"data/splats/{name}")
    run(source, tmp_path / f"a{second}")
    ours, original = independent_statistics(tmp_path / f"a{second}"), independent_statistics(source)
    assert (ours["numGaussians"], ours["shBands"]) == (original["numGaussians"], original["shBands"])
    for column, values in ours["columns"].items():
        assert values["nanCount"] == values["infCount"] == 0, column
        if column in "xyz":
            span = original["columns"][column]["max"] - original["columns"][column]["min"]
            assert values["median"] == pytest.approx(original["columns"][column]["median"], abs=2e-3 * span)


def test_we_convert_what_splat_transform_writes(ply: Path) -> None:
    splat_transform("-w", ply, ply.with_name("theirs.spz"))
    run(ply.with_name("theirs.spz"), ply.with_name("ours.ply"))
    torch.testing.assert_close(read_ply(ply.with_name("ours.ply")).means, read_ply(ply).means, rtol=0, atol=2**-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["empty.ply", "b.ply"], r"empty\.ply: splats: none; expected one or more"),
        (["a.ply", "a.ply"], "output: the path of the input"),
        (["a.ply", "b.ksplat"], r"extension is '.ksplat'; expected .ply, .compressed.ply, .spz, .splat"),
        (["a.png", "b.ply"], "extension is '.png'"),
        (["none.ply", "b.ply"], "No such file"),
        (["a.ply", "folder.ply"], "output is a folder"),
        (["a.ply", "a.ply/b.ply"], "output folder: "),
        (["a.ply", "b.ply", "--scale", "0"], "scale is 0.0"),
        (["a.ply", "b.ply", "--sh-degree", "4"], "degree is 4"),
        (["a.ply", "b.ply", "--spz-version", "4"], "spz_version: given for a .ply file"),
        (["a.ply", "b.ply", "--input-axes", "RUB"], "axes: 'RUB' for a .ply file"),
        (["a.ply", "b.spz", "--output-axes", "up"], "axes is 'up'; expected LDB"),
        (["a.ply", "b.ply", "--to", "colmap"], "to: 'colmap' for a file of splats"),
        (["folder.ply", "b", "--sh-degree", "1", "--rotate", "1", "0", "0"], "rotate, sh_degree: given for a scene"),
        (["folder.ply", "b"], "to: nothing"),
        (["folder.ply", "b", "--to", "colmap"], "scene is a folder of another kind"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path: Path, monkeypatch, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_ply(tmp_path / "a.ply", random_splats(3, 0))
    write_ply(tmp_path / "empty.ply", random_splats(0))
    before = read_ply(tmp_path / "a.ply")
    Path("folder.ply").mkdir()
    with pytest.raises(InputError, match=message) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"a.ply", "empty.ply", "folder.ply"}
    assert same_bits(read_ply(tmp_path / "a.ply"), before)


def test_a_cut_file_leaves_nothing_behind(ply: Path) -> None:
    ply.write_bytes(ply.read_bytes()[:-1])
    with pytest.raises(InputError, match="cut short"):
        run(ply, ply.with_name("b.spz"))
    assert list(ply.parent.iterdir()) == [ply]


@pytest.mark.parametrize("to", ["colmap", "transforms", "scene"])
def test_scenes_change_their_format(shared: Shared, tmp_path: Path, capsys, to: str) -> None:
    source = shared("data/mobilebrick")
    run(source, tmp_path / "out", "--to", to, "--json")
    report = json.loads(capsys.readouterr().out)
    before, after = read_scene(source), read_scene(tmp_path / "out")
    assert (report["views"], report["format"], report["source_format"]) == (len(before), to, "transforms")
    by_name = {view.name: view for view in after.views}
    for view in before.views:
        other = next(by_name[name] for name in by_name if Path(name).stem == Path(view.name).stem)
        torch.testing.assert_close(other.camera.camera_to_world, view.camera.camera_to_world, rtol=0, atol=1e-6)
        torch.testing.assert_close(other.camera.K, view.camera.K, rtol=0, atol=1e-4)
    with pytest.raises(InputError, match="output folder is a folder with files in it"):
        run(source, tmp_path / "out", "--to", to)
