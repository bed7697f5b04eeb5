"""Reports save as strict JSON, whatever they hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scene_depth.io.json_reports import JsonReport, versions


@dataclass(frozen=True)
class Report(JsonReport):
    values: dict[Any, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)


def test_everything_becomes_what_json_knows(tmp_path: Path) -> None:
    values = {
        "nan": float("nan"),
        "infinite": [np.float32("inf"), -float("inf")],
        "half": np.float16(0.5),
        "array": np.array([[1, 2], [3, 4]]),
        "flags": (True, np.bool_(False), None),
        3: Path("folder") / "ü.ply",
    }
    Report(values).save(tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "ü" in text
    read = json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
    assert read["values"] == {
        "nan": None,
        "infinite": [None, None],
        "half": 0.5,
        "array": [[1, 2], [3, 4]],
        "flags": [True, False, None],
        "3": str(Path("folder") / "ü.ply"),
    }
    assert {"python", "scene-depth", "torch"} <= set(read["versions"])
    assert json.loads(Report(values).as_json()) == Report(values).as_dict()
