"""Commands stop where splats do not stand where the cameras look, and go on when told to."""

from __future__ import annotations

from pathlib import Path

import pytest
import scene_depth_heal as sh

from scene_depth.cli.app import main
from scene_depth.errors import InputError
from scene_depth.io.json_files import read_json_object
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats

TABLE = Path(__file__).parents[2] / "scenes/table"


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "half.ply"
    scaled = similarity_matrix(euler_rotation(0, 0, 0), (0, 0, 0), 0.5)
    write_splats(path, transform_splats(read_splats(TABLE / "splats.spz"), scaled))
    return path


def test_heal_stops_before_it_selects_and_goes_on_when_told(half: Path, tmp_path: Path, capsys) -> None:
    command = ["heal", str(TABLE), "--output", str(tmp_path / "out"), "--splats", str(half), "--max-size", "64", "--dry-run"]
    assert main(command) != 0
    assert "they are 0.5 times as large" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out/healed.ply").exists()
    assert main([*command, "--sphere", "0 0 0.45 0.1", "--no-check-placement"]) == 0
    report = read_json_object(tmp_path / "out/report.json")
    assert report["likeness"] < 0.4


def test_insert_stops_too_and_good_splats_are_measured(half: Path) -> None:
    scene, good = read_scene(TABLE), read_splats(TABLE / "splats.spz")
    cup, place = good.select(slice(0, 100)), sh.Placement(at=(0.3, 0, 0.9), stand="no")
    with pytest.raises(InputError, match=r"they are 0\.5 times as large"):
        sh.insert(scene, read_splats(half), cup, placement=place, max_size=64)
    result = sh.insert(scene, good, cup, placement=place, max_size=64)
    assert result.report.likeness > 0.8
