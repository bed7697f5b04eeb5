"""The table of steps and members that the benchmark prints for given weights and frames."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from scene_depth.evaluation.monocular_scores import monocular_scores

benchmark = pytest.importorskip("benchmarks.depthfm")


@pytest.fixture
def frames(tmp_path):
    """Two frames in rgb/ and depth/."""
    y, x = np.mgrid[:48, :72]
    for index in range(2):
        depth = 2 + np.sin(x / (9 + index)) + 0.02 * y
        for name, values in (("rgb", 80 * depth / 4 + x), ("depth", 1000 * depth)):
            (tmp_path / name).mkdir(exist_ok=True)
            kind = np.uint8 if name == "rgb" else np.uint16
            grey = np.rint(values).astype(kind)
            Image.fromarray(np.repeat(grey[..., None], 3, 2) if name == "rgb" else grey).save(tmp_path / name / f"{index}.png")
    return tmp_path


def test_a_row_for_every_number_of_steps_and_members(tiny, frames, capsys):
    options = ["--steps", "1", "2", "--members", "1", "3", "--resolution", "64"]
    assert benchmark.main(["--weights", str(tiny.checkpoint), "--frames", str(frames), *options]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("| steps | members | AbsRel % |")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[:2] for row in cells] == [["1", "1"], ["1", "3"], ["2", "1"], ["2", "3"]]
    assert [row[5] != "" for row in cells] == [False, True, False, True]  # one member has no spread
    wanted = [scores_by_hand(tiny, frames, steps, members) for steps, members in ((1, 1), (1, 3), (2, 1), (2, 3))]
    assert [row[2] for row in cells] == [f"{100 * one:.2f}" for one in wanted]
    assert len({row[2] for row in cells}) > 1


def scores_by_hand(tiny, folder, steps, members):
    from scene_depth.datasets.frames import find_frames
    from scene_depth.depth.depthfm import DepthFMModel

    model = DepthFMModel(
        tiny.checkpoint, num_inference_steps=steps, ensemble_size=members, processing_resolution=64, device="cpu"
    )
    loaded = [source.load() for source in find_frames(folder)]
    return np.mean([monocular_scores(model(one.rgb), one.truth, one.valid).errors.abs_rel for one in loaded])


def test_weights_and_frames_go_together(tiny, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--weights", str(tiny.checkpoint)])
    assert "--weights and --frames go together" in capsys.readouterr().err
