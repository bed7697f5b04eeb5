"""RESULTS.md: each benchmark owns one section and rewrites it alone."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from scene_depth.io.atomic import atomic_path

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"


def write_section(title: str, lines: Sequence[str], path: Path = RESULTS) -> None:
    """Replaces the section of that title, or adds it at the end.

    Args:
        title: Heading; the section reaches from it to the next heading of the same level.
        lines: Markdown below the heading, with headings of level 3 and below.
        path: The file.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else "# Results\n"
    section = f"## {title.capitalize()}\n\n" + "\n".join(lines).strip() + "\n"
    found = re.search(rf"^## {re.escape(title.capitalize())}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found:
        text = text[: found.start()] + section + ("\n" if found.end() < len(text) else "") + text[found.end() :]
    else:
        text = text.rstrip("\n") + "\n\n" + section
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown, the first column to the left."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def machine() -> str:
    """The processor, in words."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores"
