"""Errors by semantic class: known errors on two classes, through rows, reports, JSON and the printed table."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
from rich.console import Console

from scene_depth.datasets.frames import DepthFrame
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import errors_by_class
from scene_depth.evaluation.depth_protocols import DepthCase, make_case
from scene_depth.evaluation.depth_report import DepthReport, report_of, summarize_mask
from scene_depth.evaluation.depth_rows import DepthRow, evaluate_case
from scene_depth.evaluation.depth_runs import DepthRun, DepthSettings, run_depth
from scene_depth.evaluation.depth_tables import CLASSES_SHOWN, report_tables
from scene_depth.io.plain_values import from_plain

NAMES = ("none", "floor", "chair")


def two_classes(name: str = "made") -> DepthFrame:
    """Floor 2 m away on the left, a chair at 4 m on the right, a column without class and one of class 7 at 3 m."""
    classes = np.full((48, 64), 1, np.int32)
    classes[:, 32:], classes[:, 0], classes[:, 63] = 2, 0, 7
    truth = np.select([classes == 1, classes == 2], [2.0, 4.0], 3.0).astype(np.float32)
    return DepthFrame(name, truth, classes=classes, class_names=NAMES)


def wrong(case: DepthCase, floor: float, chair: float) -> DepthRow:
    """The row of an inpainter that is off by so many metres on floor and chair, and by 9 m elsewhere."""
    assert case.classes is not None
    off = np.select([case.classes == 1, case.classes == 2], [floor, chair], 9.0)

    def inpainter(rgb: object, depth: np.ndarray, known: np.ndarray) -> np.ndarray:
        return np.where(known, depth, case.truth + off)

    inpainter.harmonize = False  # type: ignore[attr-defined]
    return evaluate_case(case, inpainter, "wrong")


def made_case(frame: DepthFrame, mask: str = "rand10") -> DepthCase:
    case = make_case(frame, mask)
    assert case is not None
    return case


def test_two_classes_by_hand() -> None:
    truth, prediction = np.array([1.0, 1.0, 2.0, 4.0, 5.0, 1.0]), np.array([2.0, 4.0, 3.0, 5.0, 1.0, 9.0])
    classes, valid = np.array([1, 1, 3, 3, 0, 1]), np.array([True] * 5 + [False])
    first, second = errors_by_class(prediction, truth, classes, ("none", "wall"), valid=valid)
    assert (first.name, second.name) == ("wall", "class 3")
    assert (first.errors.pixels, second.errors.pixels) == (2, 2)
    assert first.errors.abs_rel == pytest.approx((1 + 3) / 2)
    assert first.errors.rmse == pytest.approx(math.sqrt((1 + 9) / 2))
    assert second.errors.abs_rel == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert second.errors.rmse == pytest.approx(1.0)
    assert errors_by_class(prediction, truth, np.zeros(6, int), valid=valid) == []
    with pytest.raises(InputError, match="classes"):
        errors_by_class(prediction, truth, classes[1:], valid=valid)


def test_rows_measure_hidden_pixels_alone() -> None:
    case = made_case(two_classes())
    row = wrong(case, 0.5, 1.0)
    found = {item.name: item.errors for item in row.classes}
    assert list(found) == ["floor", "chair", "class 7"]
    assert found["floor"].abs_rel == pytest.approx(0.25, rel=1e-5)
    assert found["floor"].rmse == pytest.approx(0.5, rel=1e-5)
    assert found["chair"].abs_rel == pytest.approx(0.25, rel=1e-5)
    assert found["chair"].rmse == pytest.approx(1.0, rel=1e-5)
    assert found["floor"].pixels == int((~case.known[:, 1:32]).sum())
    assert from_plain(DepthRow, json.loads(json.dumps(asdict(row), allow_nan=False)), whole=True) == row


def test_summaries_are_means_over_the_frames_that_show_a_class() -> None:
    first, second = two_classes("a"), two_classes("b")
    assert second.classes is not None
    second = replace(second, classes=np.minimum(second.classes, 1))  # no chair
    rows = [wrong(made_case(first), 0.5, 1.0), wrong(made_case(second), 1.0, 1.0)]
    summary = summarize_mask("rand10", "wrong", rows).classes
    assert list(summary) == ["chair", "class 7", "floor"]
    assert summary["chair"]["rmse"].frames == 1
    assert summary["floor"]["rmse"].frames == 2
    assert summary["chair"]["rmse"].mean == pytest.approx(1.0, rel=1e-5)
    assert summary["floor"]["rmse"].mean == pytest.approx((0.5 + 1.0) / 2, rel=1e-5)


@dataclass(frozen=True)
class Kept:
    """A source of a frame that is in memory."""

    frame: DepthFrame
    role: str = "eval"

    @property
    def name(self) -> str:
        return self.frame.name

    def load(self) -> DepthFrame:
        return self.frame


def printed(report: DepthReport) -> str:
    console = Console(width=220)
    with console.capture() as capture:
        console.print(report_tables(report))
    return capture.get()


def reported(rows: list[DepthRow]) -> DepthReport:
    masks = tuple(dict.fromkeys(row.mask for row in rows))
    return report_of(DepthRun(DepthSettings(("wrong",), masks=masks), rows, len(rows), {}))


def test_the_table_is_a_mean_over_masks() -> None:
    frame = two_classes()
    rows = [wrong(made_case(frame), 0.5, 1.0), wrong(made_case(frame, "rand50"), 0.5, 2.0)]
    text = printed(reported(rows))
    (line,) = (line for line in text.splitlines() if "chair" in line)
    assert line.split() == ["chair", "37.50", "1.500", "2"]


def test_rare_classes_are_left_to_the_json() -> None:
    frame = two_classes()
    classes = np.broadcast_to(np.arange(1, 65, dtype=np.int32), frame.truth.shape)
    report = reported([wrong(made_case(replace(frame, classes=classes, class_names=())), 0.5, 1.0)])
    text = printed(report)
    assert sum(line.split()[:1] == ["class"] and line.split()[1].isdigit() for line in text.splitlines()) == CLASSES_SHOWN
    assert f"{64 - CLASSES_SHOWN} rarer classes" in text
    assert len(report.as_dict()["summaries"][0]["classes"]) == 64


def test_a_run_with_and_without_classes() -> None:
    settings = DepthSettings(("nearest", "linear"), masks=("rand10", "rect"), max_size=32)
    frame = two_classes()
    report = report_of(run_depth([Kept(frame)], settings, processes=0))
    text = printed(report)
    assert "by class" in text
    assert "linear: RMSE m" in text
    summaries = json.loads(json.dumps(report.as_dict(), allow_nan=False))["summaries"]
    assert summaries[0]["classes"]["floor"]["rmse"]["frames"] == 1
    plain = report_of(run_depth([Kept(replace(frame, classes=None))], settings, processes=0))
    assert "class" not in printed(plain)
    assert plain.as_dict()["summaries"][0]["classes"] == {}
