"""The arithmetic of the benchmark of depth inpainting, and the file that it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scene_depth.evaluation.depth_metrics import DepthErrors
from scene_depth.evaluation.depth_rows import DepthRow

benchmark = pytest.importorskip("benchmarks.depth_inpainting")
results = pytest.importorskip("benchmarks.results")


def row(frame: str, mask: str, inpainter: str, abs_rel: float | None) -> DepthRow:
    return DepthRow(frame, "", mask, inpainter, 0, 10, 10, 0.5, hidden=DepthErrors(50 if abs_rel else 0, abs_rel=abs_rel))


def test_ratio_of_geometric_means_by_hand() -> None:
    figures = {
        ("solver", "rect"): (0.02, 0.08),
        ("nearest", "rect"): (0.04, 0.16),
        ("linear", "rect"): (0.1, 0.1),
        ("solver", "rand2"): (0.01, 0.01),
        ("nearest", "rand2"): (0.01, 0.04),
        ("linear", "rand2"): (0.02, 0.02),
    }
    rows = [
        row(frame, mask, inpainter, values[index])
        for (inpainter, mask), values in figures.items()
        for index, frame in enumerate(("a", "b"))
    ]
    comparison = benchmark.compare(rows, ["solver", "nearest", "linear"], ["rand2", "rect", "native"])
    assert comparison.masks == ["rand2", "rect"]  # no frame has native input
    np.testing.assert_allclose(comparison.means, [[0.01, 0.02, 0.02], [0.04, 0.08, 0.1]])
    assert comparison.best == "nearest"
    assert comparison.ratio == pytest.approx(0.5)
    assert comparison.interval[0] <= 0.5 <= comparison.interval[1]
    assert comparison.frames == [2, 2]
    lines = benchmark.comparison_lines(comparison)
    assert "| rect | **4.00** | 8.00 | 10.00 | 0.50 | 2 |" in lines


def test_a_frame_without_a_mask_is_left_out_of_that_mask_alone() -> None:
    rows = [row("a", "rect", name, value) for name, value in (("solver", 0.1), ("nearest", 0.2))]
    rows += [row("b", "rect", name, None) for name in ("solver", "nearest")]
    rows += [row("b", "rand2", name, value) for name, value in (("solver", 0.1), ("nearest", 0.1))]
    comparison = benchmark.compare(rows, ["solver", "nearest"], ["rand2", "rect"])
    assert comparison.frames == [1, 1]
    assert comparison.ratio == pytest.approx(np.sqrt(0.5))


def test_sections_of_the_results_do_not_touch_each_other(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    results.write_section("depth inpainting", ["old", "", "### part", "x"], path)
    results.write_section("rendering", ["fast"], path)
    results.write_section("depth inpainting", ["new"], path)
    assert path.read_text() == "# Results\n\n## Depth inpainting\n\nnew\n\n## Rendering\n\nfast\n"
    results.write_section("rendering", ["faster"], path)
    assert path.read_text() == "# Results\n\n## Depth inpainting\n\nnew\n\n## Rendering\n\nfaster\n"
