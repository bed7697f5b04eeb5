"""Reading and writing of splat files: CPU seconds for a million splats of SH degree 3, beside plyfile and gsply.

    python -m benchmarks.splat_files [--splats 1000000] [--repeats 3] [--gsply PYTHON] [--json FILE] [--record]

CPU time of the process, the minimum over repeats that are interleaved, so that a busy machine disturbs all rows alike.
"""

from __future__ import annotations

import json as json_module
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from plyfile import PlyData, PlyElement

from benchmarks.results import machine, write_section
from scene_depth.evaluation.splat_lint import lint_splats
from scene_depth.io.ply_header import map_rows, read_ply_header
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.splats import GaussianSplats

FILES: dict[str, dict[str, Any]] = {
    "a.ply": {},
    "a.compressed.ply": {},
    "3.spz": {"version": 3},
    "4.spz": {"version": 4},
    "a.splat": {},
}
# In an interpreter of its own, which need not have this package; its names of files are those of ``FILES``.
OF_GSPLY = """
import json, sys, time
import gsply, numpy as np
given = np.load(sys.argv[1] + "/given.npz")
data = gsply.GSData(**{name: given[name] for name in given.files})
calls = {
    "a.ply": (lambda path: gsply.plywrite(path, data), gsply.plyread),
    "a.compressed.ply": (lambda path: gsply.plywrite(path, data, compressed=True), gsply.plyread),
    "3.spz": (lambda path: gsply.write_spz(path, data), gsply.read_spz),
    "4.spz": (lambda path: gsply.write_spz(path, data, version=4), gsply.read_spz),
}
seconds = {}
for name, pair in calls.items():
    times = []
    for _ in range(int(sys.argv[2]) + 1):  # the first compiles
        row = []
        for call in pair:
            start = time.process_time()
            call(sys.argv[1] + "/gsply." + name)
            row.append(time.process_time() - start)
        times.append(row)
    seconds[name] = [min(column) for column in zip(*times[1:])]
print(json.dumps(seconds))
"""


def main(
    splats: int = 1_000_000, repeats: int = 3, gsply: Path | None = None, json: Path | None = None, record: bool = False
) -> None:
    """Measures all formats.

    Args:
        splats: Number of splats.
        repeats: Runs of each measurement.
        gsply: Python of an environment that has gsply, for its times in the same run.
        json: File for the rows.
        record: Rewrite this benchmark's section of RESULTS.md.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), trained_like(splats), repeats)
        if gsply is not None:
            rows += measure_gsply(gsply, Path(folder), trained_like(splats), repeats)
    table = ["| file | MB | write s | read s |", "|---|---|---|---|"]
    table += ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in rows]
    print("\n".join(table))
    if json is not None:
        json.write_text(json_module.dumps([{k: None if v != v else v for k, v in row.items()} for row in rows]))
    if record:
        note = f"CPU seconds for {splats:,} splats of SH degree 3, minimum of {repeats} runs; {machine()}."
        write_section("splat files", [note, "`python -m benchmarks.splat_files --record`", "", *table])


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else f"{value:.2f}"


def trained_like(count: int) -> GaussianSplats:
    """Splats with the spread of values that trained scenes have; what is noise in them does not compress."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    sh = normal(count, 16, 3) * 0.1
    sh[:, 0] *= 10
    return GaussianSplats(normal(count, 3) * 5, normal(count, 4), normal(count, 3) - 4, normal(count) * 2, sh)


def measure(folder: Path, splats: GaussianSplats, repeats: int) -> list[dict[str, float | str]]:
    """Best times of every format, of plyfile, and of the linter (as reading)."""
    seconds: dict[str, list[list[float]]] = {name: [] for name in [*FILES, "a.ply by plyfile", "(linter)"]}
    for _ in range(repeats):
        for name, options in FILES.items():
            path = folder / name
            write = _timed(partial(write_splats, path, splats, **options))
            seconds[name].append([write, _timed(partial(read_splats, path))])
        seconds["a.ply by plyfile"].append(_plyfile(folder / "a.ply"))
        seconds["(linter)"].append([float("nan"), _timed(partial(lint_splats, splats))])
    best = {name: np.min(times, axis=0) for name, times in seconds.items()}
    size = {name: (folder / name).stat().st_size / 1e6 for name in FILES} | {
        "a.ply by plyfile": (folder / "a.ply").stat().st_size / 1e6
    }
    return [
        {"file": name, "megabytes": size.get(name, float("nan")), "write_s": float(w), "read_s": float(r)}
        for name, (w, r) in best.items()
    ]


def measure_gsply(python: Path, folder: Path, splats: GaussianSplats, repeats: int) -> list[dict[str, float | str]]:
    """Best times of gsply, which keeps all eight bits of higher bands in .spz files and reads a .ply as views of its rows."""
    names = {"means": splats.means, "scales": splats.log_scales, "quats": splats.quats, "opacities": splats.logit_opacities}
    arrays = {**names, "sh0": splats.sh[:, 0], "shN": splats.sh[:, 1:]}
    with zipfile.ZipFile(folder / "given.npz", "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values.numpy()))
    command = [str(python), "-c", OF_GSPLY, str(folder), str(repeats)]
    seconds = json_module.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    size = {name: (folder / f"gsply.{name}").stat().st_size / 1e6 for name in seconds}
    return [{"file": f"{name} by gsply", "megabytes": size[name], "write_s": w, "read_s": r} for name, (w, r) in seconds.items()]


def _plyfile(path: Path) -> list[float]:
    """plyfile writing the same rows, and reading them into the arrays that a renderer wants."""
    rows = np.array(map_rows(read_ply_header(path), "vertex"))
    copy = path.with_name("copy.ply")
    write = _timed(lambda: PlyData([PlyElement.describe(rows, "vertex")], byte_order="<").write(copy))

    def read() -> np.ndarray:
        data = PlyData.read(copy)["vertex"].data
        return np.stack([data[name] for name in data.dtype.names], axis=1)

    return [write, _timed(read)]


def _timed(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


if __name__ == "__main__":
    tyro.cli(main)
