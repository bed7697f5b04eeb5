"""``scene-depth weights``: weights of depth models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from scene_depth.cli.progress import print_json, report_console
from scene_depth.depth.checkpoints import CHECKPOINTS, COMPLETION_CHECKPOINTS, SEGMENTATION_CHECKPOINTS, Checkpoint
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_tables import text_table
from scene_depth.registry import load_object

CONVERSIONS = {
    "depthlab": "scene_depth.depth.depthlab.networks:convert",
    "depthfm": "scene_depth.depth.depthfm.network:convert",
}
"""Model -> function (source, output, dtype) -> notes."""
FINDERS = {
    "depthlab": "scene_depth.depth.depthlab.weights:found_parts",
    "depthfm": "scene_depth.depth.depthfm.network:found_parts",
}
"""Model -> function (source) -> path of each part."""


@dataclass(frozen=True)
class Convert:
    """Convert the official weights of a model once to a folder of safetensors, which loads faster and runs no code."""

    model: Annotated[Literal["depthlab", "depthfm"], tyro.conf.Positional]
    """Which model."""
    source: Annotated[str, tyro.conf.Positional]
    """Folder with the official files, or a hub id, which is downloaded. For depthlab the folder that holds DepthLab/,
    marigold-depth-v1-0/ and CLIP-ViT-H-14-laion2B-s32B-b79K/; for depthfm the file depthfm-v1.ckpt, with Stable Diffusion's
    vae/ beside it if it is to be part of the folder."""
    output: Annotated[Path, tyro.conf.Positional]
    """New folder, such as checkpoints/depthlab-safetensors, where it is found by itself."""
    dtype: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Precision of what is written; 16 bits halve the size."""
    json: bool = False
    """Print what was done as JSON."""

    def run(self) -> None:
        """Runs the command.

        Raises:
            InputError: If files are missing or do not fit the model.
        """
        notes = load_object(CONVERSIONS[self.model], self.model)(self.source, self.output, self.dtype)
        files = {
            path.relative_to(self.output).as_posix(): path.stat().st_size
            for path in sorted(self.output.rglob("*"))
            if path.is_file()
        }
        if self.json:
            print_json({"output": str(self.output), "bytes": files, "notes": notes})
            return
        print(f"{len(files)} files, {sum(files.values()) / 1e9:.3g} GB, in {self.output}")
        for note in notes:
            print(note)


FETCHERS = {
    "depthlab": "scene_depth.depth.depthlab.weights:fetch",
    "depthfm": "scene_depth.depth.depthfm.network:fetch",
}
"""Model -> function () -> path of each part."""


@dataclass(frozen=True)
class Fetch:
    """Download the official weights of a model, with what belongs to them, where they are found by themselves.

    depthlab: 11 GB; DepthLab and Marigold (Apache-2.0), CLIP (MIT). depthfm: up to 3.5 GB (MIT, as its code) and the autoencoder
    of Stable Diffusion 1.5, 0.3 GB (CreativeML OpenRAIL-M). What is there already is not fetched again.
    """

    model: Annotated[Literal["depthlab", "depthfm"], tyro.conf.Positional]
    """Which model."""

    def run(self) -> None:
        """Runs the command.

        Raises:
            InputError: If something is not within reach.
        """
        for part, path in load_object(FETCHERS[self.model], self.model)().items():
            print(f"{part}: {path}")


@dataclass(frozen=True)
class Find:
    """Say where the weights of a model are on this machine, or which files are missing; nothing is downloaded."""

    model: Annotated[Literal["depthlab", "depthfm"], tyro.conf.Positional]
    """Which model."""
    source: str | None = None
    """Folder to look into, or file, in place of the usual ones."""

    def run(self) -> None:
        """Runs the command.

        Raises:
            InputError: With what is missing.
        """
        if self.source is not None and not Path(self.source).expanduser().exists():
            raise InputError("source", "no such file or folder", "a folder or a file of weights", file=self.source)
        for part, path in load_object(FINDERS[self.model], self.model)(self.source).items():
            print(f"{part}: {path}")


@dataclass(frozen=True)
class Listing:
    """List the weights of monocular models, completion networks and SAM 2 with size and licence; nothing is downloaded.

    What stands under "name" is what --prior or --inpainter takes, or view --sam2. Other models of transformers work as
    transformers:ID as well.
    """

    json: bool = False
    """Print the list as JSON."""

    def run(self) -> None:
        """Runs the command."""
        if self.json:
            print_json(
                {
                    "checkpoints": [_facts(one) for one in CHECKPOINTS],
                    "inpainters": [_facts(one) for one in COMPLETION_CHECKPOINTS],
                    "segmentation": [_facts(one) for one in SEGMENTATION_CHECKPOINTS],
                }
            )
            return
        for title, checkpoints in (
            ("Monocular models (--prior NAME)", CHECKPOINTS),
            ("Completion networks (--inpainter NAME)", COMPLETION_CHECKPOINTS),
            ("Objects by clicks (view --sam2 NAME)", SEGMENTATION_CHECKPOINTS),
        ):
            table = [[one.name, f"{one.gigabytes:g}", one.license, "yes" if one.cached else "no"] for one in checkpoints]
            report_console().print(text_table(title, ["name", "GB", "licence", "here"], table))
        print("fetched on first use, check sums said first, or now with: hf download ID")
        print("depthlab, depthfm: scene-depth weights fetch --help")


def _facts(one: Checkpoint) -> dict[str, object]:
    return {"name": one.name, "hub": one.hub, "gigabytes": one.gigabytes, "license": one.license, "here": one.cached}


_Convert = Annotated[Convert, tyro.conf.subcommand("convert", prefix_name=False)]
_Fetch = Annotated[Fetch, tyro.conf.subcommand("fetch", prefix_name=False)]
_Find = Annotated[Find, tyro.conf.subcommand("find", prefix_name=False)]
_Listing = Annotated[Listing, tyro.conf.subcommand("list", prefix_name=False)]


def weights(arguments: Annotated[_Convert | _Fetch | _Find | _Listing, tyro.conf.arg(name="")]) -> None:
    """List, fetch, find and convert the weights of depth models."""
    arguments.run()
