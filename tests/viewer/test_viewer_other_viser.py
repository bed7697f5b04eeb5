"""The tests of the page once more, with viser 0.2.7, which stands beside with nerfstudio."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nerfstudio_parser import nerfstudio_folder

HERE = Path(__file__).parent
AGAIN = ("test_viewer_server.py", "test_viewer_safety.py", "test_viewer_browser.py")
RUN = "import sys, pytest, viser; assert viser.__file__.startswith(sys.argv[1]); sys.exit(pytest.main(sys.argv[2:]))"


@pytest.mark.slow
def test_the_page_with_the_older_viser(tmp_path: Path) -> None:
    folder = nerfstudio_folder()
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = os.pathsep.join([str(folder), *filter(None, [own.get("PYTHONPATH")])])
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'again'}"]
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), *options, *(str(HERE / name) for name in AGAIN)],
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE.parents[1],
        env={**own, "PYTHONPATH": paths},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    skipped = [line for line in run.stdout.splitlines() if line.startswith("SKIPPED")]
    if skipped:
        pytest.skip("; ".join(skipped))
