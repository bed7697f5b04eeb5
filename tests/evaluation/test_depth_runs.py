"""Whole runs: processes, resumption, interrupts, the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tyro
from PIL import Image

from scene_depth.cli.app import STYLE
from scene_depth.cli.eval import eval
from scene_depth.datasets.frames import find_frames
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_report import geometric_mean, report_of
from scene_depth.evaluation.depth_rows import DepthRow, FitOptions
from scene_depth.evaluation.depth_runs import DepthSettings, read_journal, run_depth
from scene_depth.work import Progress

SETTINGS = DepthSettings(inpainters=("nearest", "linear"), masks=("rand10", "rect", "native"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three frames of a tilted plane with a box, millimetres."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    for number in range(3):
        rows, columns = np.mgrid[:48, :64]
        depth = 1000 / (0.2 + 0.004 * columns + 0.003 * rows + 0.05 * number)
        depth[10:30, 20 : 40 + number] *= 0.6
        (folder / "rgb").mkdir(parents=True, exist_ok=True)
        (folder / "depth").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(folder / "rgb" / f"{number}.png")
        Image.fromarray(depth.astype(np.uint16)).save(folder / "depth" / f"{number}.png")
    return folder


def numbers(rows: list[DepthRow]) -> list[tuple[str, str, str, float | None]]:
    return [(row.frame, row.mask, row.inpainter, row.hidden.abs_rel) for row in rows]


def test_processes_do_not_change_the_result(data: Path) -> None:
    sources = find_frames(data)
    alone = run_depth(sources, SETTINGS, processes=0)
    split = run_depth(sources, SETTINGS, processes=2)
    assert numbers(alone.rows) == numbers(split.rows)
    assert len(alone.rows) == alone.planned == 3 * 2 * 2
    assert alone.skipped == {"native": ["0", "1", "2"]}
    assert [row.frame for row in alone.rows] == ["0"] * 4 + ["1"] * 4 + ["2"] * 4
    assert all(row.seconds and row.known_exact for row in split.rows)


def test_a_run_goes_on_where_it_ended(data: Path, tmp_path: Path) -> None:
    sources, journal = find_frames(data), tmp_path / "rows.jsonl"
    first = run_depth(sources[:2], SETTINGS, processes=0, journal=journal)
    with journal.open("ab") as file:
        file.write(b'{"settings": "cut sh')
    done = []
    second = run_depth(sources, SETTINGS, processes=0, journal=journal, on_progress=done.append)
    assert len(done) == 4  # the third frame alone
    assert done[-1].done == second.planned == 12
    assert second.rows[:8] == first.rows
    third = run_depth(sources, SETTINGS, processes=0, journal=journal, on_progress=done.append)
    assert len(done) == 4
    assert third.rows == second.rows
    assert len(read_journal(journal, SETTINGS.fingerprint())) == 12
    other = DepthSettings(inpainters=("nearest",), masks=("rand10",), max_size=32)
    assert read_journal(journal, other.fingerprint()) == {}
    assert run_depth(sources, other, processes=0, journal=journal).rows[0].width == 32


def test_an_interrupt_keeps_what_is_done(data: Path, tmp_path: Path) -> None:
    def interrupt(now: Progress) -> None:
        if now.done == 4:
            raise KeyboardInterrupt

    journal = tmp_path / "rows.jsonl"
    run = run_depth(find_frames(data), SETTINGS, processes=0, journal=journal, on_progress=interrupt)
    assert not run.finished
    assert len(run.rows) == 4
    assert not report_of(run).complete
    rest = run_depth(find_frames(data), SETTINGS, processes=0, journal=journal)
    assert rest.finished
    assert report_of(rest).complete


def test_reports(data: Path) -> None:
    run = run_depth(find_frames(data), SETTINGS, processes=0)
    report = report_of(run)
    summary = report.summary("rect", "linear")
    assert summary is not None
    rows = [row for row in run.rows if (row.mask, row.inpainter) == ("rect", "linear")]
    values = [row.hidden.abs_rel or 0.0 for row in rows]
    assert summary.frames == 3
    assert summary.hidden["abs_rel"].mean == pytest.approx(np.mean(values))
    assert summary.hidden["abs_rel"].geometric_mean == pytest.approx(geometric_mean(values))
    assert summary.known["mae"].mean == 0.0
    over_all = {item.inpainter: item for item in report.inpainters}
    means = [report.summary(mask, "linear").hidden["abs_rel"].geometric_mean for mask in ("rand10", "rect")]  # type: ignore[union-attr]
    assert over_all["linear"].geometric_mean_abs_rel == pytest.approx(geometric_mean([mean or 0.0 for mean in means]))
    assert over_all["linear"].masks == 2
    text = json.dumps(report.as_dict(), allow_nan=False)
    content = json.loads(text)
    assert len(content["rows"]) == 12
    assert content["settings"]["masks"] == ["rand10", "rect", "native"]
    assert content["rows"][0]["hidden"]["delta1"] <= 1


def test_a_broken_frame_does_not_end_the_run(data: Path) -> None:
    (data / "depth" / "1.png").write_bytes(b"not a png")
    run = run_depth(find_frames(data), DepthSettings(("nearest",), masks=("rand10",)), processes=0)
    assert [row.failure is None for row in run.rows] == [True, False, True]
    assert "1.png" in (run.rows[1].failure or "")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (DepthSettings(inpainters=("nothing",)), "inpainter"),
        (DepthSettings(inpainters=()), "inpainter"),
        (DepthSettings(("nearest",), protocol="imagenet"), "protocol"),
        (DepthSettings(("nearest",), masks=("blob",)), "mask"),
        (DepthSettings(("nearest",), max_size=3), "max-size"),
    ],
)
def test_bad_settings(data: Path, settings: DepthSettings, field: str) -> None:
    with pytest.raises(InputError, match=field):
        run_depth(find_frames(data), settings, processes=0)


RUN = """
import sys
import tyro
from scene_depth.cli.app import STYLE
from scene_depth.cli.eval import eval
if __name__ == "__main__":
    try:
        tyro.cli(eval, args=sys.argv[1:], config=STYLE)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_the_command_prints_tables_and_writes_a_report(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    arguments = ["depth", str(data), "--inpainter", "nearest", "linear", "--masks", "rand10", "rect", "--processes", "0"]
    tyro.cli(eval, args=[*arguments, "--output", str(output)], config=STYLE)
    printed = capsys.readouterr().out
    assert "AbsRel" in printed
    assert "rect" in printed
    content = json.loads((output / "report.json").read_text())
    assert content["complete"]
    assert len(content["rows"]) == 12
    tyro.cli(eval, args=[*arguments, "--output", str(output), "--json", "--frames", "0", "2"], config=STYLE)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["frame"] for row in rows] == ["0"] * 4 + ["2"] * 4
    assert rows[0]["seconds"] == content["rows"][0]["seconds"]  # from the journal
    tyro.cli(eval, args=[*arguments, "--output", str(output), "--json", "--limit", "1", "--fresh"], config=STYLE)
    assert json.loads(capsys.readouterr().out)["rows"][0]["seconds"] != content["rows"][0]["seconds"]


def test_the_command_with_published_figures(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--inpainter", "nearest", "--processes", "0", "--limit", "1"]
    tyro.cli(eval, args=["depth", str(data), "--protocol", "depthlab-known-share", *arguments], config=STYLE)
    printed = capsys.readouterr().out
    assert "3.3 %" in printed
    assert "patch50" in printed
    tyro.cli(eval, args=["depth", str(data), "--protocol", "kitti", *arguments], config=STYLE)
    printed = capsys.readouterr().out
    assert "RMSE" in printed
    assert "iRMSE" in printed
    assert "native: not for 0" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--inpainter", "nothing"], "nothing"),
        (["--frames", "no*"], r"no\*"),
        (["--roles", "train"], "roles"),
        (["--limit", "0"], "limit"),
        (["--layout", "kitti"], "no frame"),
        (["--output", "{data}/depth/0.png"], "output folder"),
    ],
)
def test_the_command_on_wrong_input(data: Path, arguments: list[str], message: str) -> None:
    arguments = [argument.format(data=data) for argument in arguments]
    start = ["depth", str(data), *(["--inpainter", "nearest"] if "--inpainter" not in arguments else [])]
    with pytest.raises(InputError, match=message):
        tyro.cli(eval, args=[*start, *arguments], config=STYLE)


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
@pytest.mark.usefixtures("control_c")
def test_ctrl_c_prints_the_partial_table(data: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\nimport numpy as np\n"
        "def slow(rgb, depth, known):\n    time.sleep(0.5)\n    return np.where(known, depth, depth[known].mean())\n"
    )
    output = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "depth", data, "--inpainter", f"{slow}:slow", "--output", output, "--processes", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            journal = output / "rows.jsonl"
            if journal.is_file() and journal.read_text().count("\n") >= 2:
                break
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does: the workers get it too
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert "incomplete" in stdout
    content = json.loads((output / "report.json").read_text())
    assert not content["complete"]
    assert 2 <= len(content["rows"]) < content["planned"]


def test_real_frames(shared: Callable[[str], Path]) -> None:
    sources = [source for source in find_frames(shared("data/frames.json").parent) if source.name.startswith("matterport")]
    settings = DepthSettings(("nearest", "linear"), masks=("native", "silhouette"), fit=FitOptions("inverse"))
    run = run_depth(sources, settings, processes=0)
    assert len(run.rows) == run.planned == 12
    assert all(row.failure is None for row in run.rows)
    assert all(row.fit is not None for row in run.rows)
    assert all(row.hidden.abs_rel is not None and 0 < row.hidden.abs_rel < 5 for row in run.rows)
