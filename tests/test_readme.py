"""The commands of the README, and of its pages on weights and training, run as they stand there, at a size that fits a test."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from depthfm_samples import write_official_file, write_vae
from depthlab_samples import write_official
from diffusion_samples import write_controlnet, write_pipeline

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOWTO = ROOT / "docs/howto"
PAGES = [README, *((HOWTO / name).read_text(encoding="utf-8") for name in ("published_weights.md", "train_an_inpainter.md"))]

# What makes a command small, by its first words. What is left out here runs as written.
SMALLER = {
    "heal": ["--max-size", "96", "--fit-steps", "60", "--steps", "10", "--most-references", "1"],
    "insert": ["--max-size", "96", "--steps", "10"],
    "fit": ["--steps", "40", "--max-size", "96"],
    "render": ["--max-size", "64"],
    "outpaint": ["--fit-steps", "2", "--fit-size", "64"],
    "eval scene": ["--max-size", "96"],
}
ELSEWHERE = {
    "view": "the browser test of the viewer opens it",
    "eval depth": "its own tests run it on folders of every layout",
    "sparse": "its own tests run it on simulated results and on those of the official codes",
}
# One process runs them all: thirty starts of torch take minutes.
RUN_ALL = """
import json, sys
from scene_depth.cli.app import main
for line in json.loads(sys.argv[1]):
    print("$ scene-depth", *line, flush=True)
    if code := main(line):
        sys.exit(code)
"""


def commands() -> list[list[str]]:
    """Every ``scene-depth`` line of the shell blocks, in order."""
    blocks = [block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines() if line.startswith("scene-depth ")]
    return [shlex.split(line) for line in lines]


def kind(command: list[str]) -> str:
    return " ".join(command[1:3]) if command[1] == "eval" else command[1]


@pytest.mark.slow
@pytest.mark.timeout(1500)  # about thirty commands, of which the first compiles all kernels
def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    (tmp_path / "scenes").symlink_to(ROOT / "scenes")
    (tmp_path / "my_scene").symlink_to(ROOT / "scenes/table")
    write_official(tmp_path / "checkpoints")  # tiny weights where a user has the real ones
    write_official_file(tmp_path / "checkpoints/depthfm-v1.ckpt")
    write_vae(tmp_path / "checkpoints/stable-diffusion-v1-5/vae")
    write_pipeline(tmp_path / "checkpoints/stable-diffusion-inpainting")
    write_controlnet(tmp_path / "checkpoints/control_v11f1p_sd15_depth")
    lines = [[*command[1:], *SMALLER.get(kind(command), [])] for command in commands() if kind(command) not in ELSEWHERE]
    caches = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}  # of rendered training frames
    result = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(lines)], cwd=tmp_path, env=caches, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    ran = {kind(command) for command in commands()}
    assert {"heal", "insert", "fit", "render", "inspect", "convert", "complete", "train", "eval scene"} <= ran
    assert (tmp_path / "out/table/healed.ply").is_file()


def test_every_other_command_is_there() -> None:
    for command in commands():
        if kind(command) in ELSEWHERE:
            words = kind(command).split()
            program = [str(Path(sys.executable).with_name("scene-depth")), *words, "--help"]
            assert subprocess.run(program, capture_output=True, check=False).returncode == 0


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    assert named
    assert named <= targets


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    """As it stands, but for a smaller picture: the blocks go on where the one before ended."""
    (tmp_path / "scenes").symlink_to(ROOT / "scenes")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    assert len([line for line in blocks[0].splitlines() if line]) <= 6  # a whole heal
    small = "sd.heal(scene, splats, max_size=96, config=sd.HealConfig(steps=10, most_references=1))"
    program = "\n".join(blocks).replace("sd.heal(scene, splats)", small)
    assert "most_references" in program
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "healed.ply").is_file()
