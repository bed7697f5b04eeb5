"""The demo on tiny samples: what it leaves, and that a full disk costs nothing that was there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import scene_depth_heal.demo as demo
from scene_depth_synthetic import sample_scene, write_sample_scene
from write_events import changes_in, contents, file_size_limit, result_in

from scene_depth.cli.app import main
from scene_depth.fitting.config import FitConfig
from scene_depth.fitting.fit import fit
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import write_splats

FILES = ("splats.ply", "healed.ply", "measures.json", "demo.png")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two samples of seven tiny views, alike but for their splats; the heals of the first are done once, at the first demo."""
    folder = tmp_path_factory.mktemp("samples")
    drawn = sample_scene("table", 0.1)
    write_sample_scene(folder / "table", replace(drawn, cameras=drawn.cameras[::5]))
    shutil.copytree(folder / "table", folder / "other")
    splats = fit(read_scene(folder / "table", split="train"), config=FitConfig(steps=4)).splats
    write_splats(folder / "table" / "splats.ply", splats)
    write_splats(folder / "other" / "splats.ply", splats.select(slice(1, None)))
    heal, done = demo._heals, []

    def heal_once(before, *others):
        done.extend([] if done else [heal(before, *others)])
        cut = -1 if len(before) < len(splats) else None
        return {name: replace(result, splats=result.splats.select(slice(cut))) for name, result in done[0].items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "find_sample", lambda name: folder / name)
        patch.setattr(demo, "_heals", heal_once)
        patch.setattr(demo, "HealConfig", partial(demo.HealConfig, steps=2, most_references=1))
        yield folder


def run(root: Path, *more: str) -> int:
    return main(["demo", "--headless", "--output", str(root / "out"), *more])


@pytest.fixture(scope="module")
def earlier(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo of the first sample."""
    root = tmp_path_factory.mktemp("earlier")
    assert run(root) == 0
    return root


@pytest.fixture(scope="module")
def later(samples: Path, earlier: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], int]:
    """Files of the demo of the other sample in that folder, and how many changes it makes there."""
    root = tmp_path_factory.mktemp("later") / "root"
    shutil.copytree(earlier, root)
    with changes_in(root) as count:
        assert run(root, "--scene", "other") == 0
    return contents(root), next(count)


def test_a_demo_leaves_its_four_files_and_measures_all_ways(earlier: Path) -> None:
    assert set(contents(earlier, hidden=False)) == {
        f"out/{name}" for name in ("splats.ply", "healed.ply", "measures.json", "demo.png")
    }
    assert set(json.loads((earlier / "out" / "measures.json").read_text())["measures"]) == set(demo.WAYS)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_full_disk_is_one_line_and_leaves_the_earlier_demo_or_the_new_one(
    earlier: Path, later: tuple[dict[str, str], int], tmp_path: Path, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    new, events = later
    root = tmp_path / "root"
    shutil.copytree(earlier, root)
    with changes_in(root, "full", int(share * events)):
        code = run(root, "--scene", "other")
    check(root, code, capsys.readouterr().err, "No space left on device", earlier, new)


def test_a_disk_that_is_full_in_the_middle_of_a_file_likewise(
    earlier: Path, later: tuple[dict[str, str], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(earlier, root)
    with file_size_limit(3000):
        code = run(root, "--scene", "other")
    check(root, code, capsys.readouterr().err, "File too large", earlier, later[0])


def check(root: Path, code: int, said: str, reason: str, earlier: Path, new: dict[str, str]) -> None:
    plain = {name: text for name, text in new.items() if "/." not in name}
    assert result_in(root) in (contents(earlier, hidden=False), plain)
    assert code in (0, 2)
    assert (code == 2) == (reason in said), said
    assert "Traceback" not in said
    if code:
        assert said.splitlines()[-1].startswith("scene-depth: ")
    assert run(root, "--scene", "other") == 0
    assert contents(root) == new
