"""The command that repeats a training, from its report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scene_depth.training.log import REPORT


def training_command(name: str, preset: Any, folder: Path) -> str:
    """``scene-depth train NAME`` with everything that differs from the preset "default".

    Args:
        name: What was trained.
        preset: Its default configuration.
        folder: Folder of the training, with its report.
    """
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    usual = dict(_leaves(json.loads(json.dumps(asdict(preset)))))
    used = [(key, value) for key, value in _leaves(report["config"]) if key in usual or ".options." in key]
    changed = [f"{key}={_written(value)}" for key, value in used if usual.get(key) != value]
    options = f" --set {' '.join(changed)}" if changed else ""
    return f"`scene-depth train {name}{options}`"


def _leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its place, as ``--set`` names it: ``data.0.options.width``."""
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = {str(index): one for index, one in enumerate(value)}
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _written(value: Any) -> str:
    return shlex.quote(value if isinstance(value, str) else json.dumps(value, separators=(",", ":")))
