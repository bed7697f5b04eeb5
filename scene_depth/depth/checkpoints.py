"""Published weights of models of other packages: what to ask for, how large they are, and what their licence allows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError, first_line

MARIGOLD = "prs-eth/marigold-depth-v1-1"
DEPTH_ANYTHING = "depth-anything/Depth-Anything-V2-Small-hf"
MOGE = "Ruicheng/moge-2-vits-normal"
DEPTH_ANYTHING_3 = "depth-anything/DA3MONO-LARGE"
PRIORDA = "Rain729/Prior-Depth-Anything"
ANY2FULL = "zhiyuandaily/Any2Full"
SAM2 = "facebook/sam2.1-hiera-small"
PARTS = " --include '*.json' --include '*.txt' --include '*.fp16.safetensors'"  # of Marigold's repositories, which hold more


@dataclass(frozen=True)
class Checkpoint:
    """Weights that a model can be given.

    Attributes:
        hub: Id on the hub.
        model: Name of the monocular model or depth inpainter that runs them.
        gigabytes: What is fetched, from the parameter counts.
        license: As the model card says; "see its card" where we have not read it.
        file: A file that is there when the weights are.
        short: A name that stands for model and id.
    """

    hub: str
    model: str
    gigabytes: float
    license: str = "see its card"
    file: str = "config.json"
    short: str | None = None

    @property
    def name(self) -> str:
        """What ``--prior`` or ``--inpainter`` takes."""
        return self.short or f"{self.model}:{self.hub}"

    @property
    def cached(self) -> bool:
        """Whether it is in the hub's local cache."""
        from huggingface_hub import try_to_load_from_cache

        return isinstance(try_to_load_from_cache(self.hub, self.file), str)


CHECKPOINTS = tuple(
    Checkpoint(*facts)
    for facts in (
        (DEPTH_ANYTHING, "transformers", 0.1, "Apache-2.0", "config.json", "small"),
        ("depth-anything/Depth-Anything-V2-Base-hf", "transformers", 0.4, "CC-BY-NC-4.0"),
        ("depth-anything/Depth-Anything-V2-Large-hf", "transformers", 1.3, "CC-BY-NC-4.0"),
        ("depth-anything/prompt-depth-anything-vits-hf", "transformers", 0.1, "Apache-2.0"),
        ("depth-anything/prompt-depth-anything-vitl-hf", "transformers", 1.4),
        ("Intel/dpt-large", "transformers", 1.4),
        ("Intel/zoedepth-nyu-kitti", "transformers", 1.4, "MIT"),
        ("apple/DepthPro-hf", "transformers", 1.9),
        (MARIGOLD, "marigold", 2.6, "RAIL++-M", "model_index.json", "marigold"),
        ("prs-eth/marigold-depth-lcm-v1-0", "marigold", 2.6, "see its card", "model_index.json"),
        (MOGE, "moge", 0.1, "MIT", "model.pt", "moge"),
        ("Ruicheng/moge-2-vitl-normal", "moge", 1.3, "MIT", "model.pt"),
        (DEPTH_ANYTHING_3, "da3", 1.4, "Apache-2.0", "config.json", "da3"),
        ("depth-anything/DA3METRIC-LARGE", "da3", 1.4, "Apache-2.0"),
    )
)
"""Those of monocular models that are known here; any other id or local folder works as well."""
COMPLETION_CHECKPOINTS = (
    Checkpoint(PRIORDA, "priorda", 0.8, "Apache-2.0, CC-BY-NC-4.0", "prior_depth_anything_vitb_1_1.pth", "priorda"),
    Checkpoint(ANY2FULL, "any2full", 1.6, "Apache-2.0", "checkpoints/Any2Full_vitl.pth.tar", "any2full"),
)
"""Those of depth inpainters."""
SEGMENTATION_CHECKPOINTS = tuple(
    Checkpoint(f"facebook/sam2.1-hiera-{size}", "sam2", gigabytes, "Apache-2.0", "config.json", f"facebook/sam2.1-hiera-{size}")
    for size, gigabytes in (("tiny", 0.2), ("small", 0.2), ("base-plus", 0.3), ("large", 0.9))
)
"""Those of SAM 2, by which clicks pick objects."""
_BY_HUB = {one.hub: one for one in (*CHECKPOINTS, *COMPLETION_CHECKPOINTS, *SEGMENTATION_CHECKPOINTS)}
WEIGHTS, SHOWN_FILES = (".safetensors", ".pt", ".pth", ".tar", ".bin", ".ckpt"), 6


def missing_weights(checkpoint: str, reason: str) -> InputError:
    """The error for weights that are not there, with their size, their licence and the command that fetches them."""
    facts = describe_checkpoint(checkpoint)
    model = f"the hub's model {checkpoint!r}{f' ({facts})' if facts else ''}"
    accepted = f"a local folder, or {model} in the local cache or within reach"
    hint = f"hf download {checkpoint}{PARTS if checkpoint.startswith('prs-eth/') else ''}"
    return InputError(f"weights {checkpoint}", reason, accepted, hint=hint)


def describe_checkpoint(checkpoint: str) -> str:
    """Size and licence in words; empty if they are not known."""
    known = _BY_HUB.get(checkpoint)
    if known is None:
        return ""
    return f"about {known.gigabytes:g} GB" + ("" if known.license.startswith("see") else f", {known.license}")


def fetch_weights(checkpoint: str, load: Callable[[bool], Any], download: bool) -> Any:
    """Loads what is on this machine, else says what is fetched and fetches it; an error says what is missing and how large it is.

    Everything is caught: the hub's, safetensors' and the network's own errors share no base.
    """
    folder = Path(checkpoint).expanduser()
    if not folder.is_dir() and (folder.is_absolute() or checkpoint.startswith((".", "~")) or checkpoint.count("/") > 1):
        raise InputError("weights", "no such folder", "a folder with a saved model, or a hub id", file=checkpoint)
    try:
        return load(True)
    except Exception as error:
        local = error
    if download and not folder.is_dir():
        say_before_fetch(checkpoint)
        try:
            return load(False)
        except Exception as error:
            raise missing_weights(checkpoint, f"could not be fetched ({first_line(error)})") from error
    raise missing_weights(checkpoint, first_line(local) if folder.is_dir() else "not on this machine") from local


def say_before_fetch(checkpoint: str, file: str | None = None) -> None:
    """Says on the error stream what is fetched now, and the check sums of weights that the hub gives.

    Args:
        checkpoint: Hub id.
        file: The only file that is fetched of it.
    """
    facts = describe_checkpoint(checkpoint) or "size and licence not known here"
    what = checkpoint if file is None else f"{file} of {checkpoint}"
    print(f"fetching {what} from the hub ({facts})", file=sys.stderr)
    for line in _sums_of(checkpoint, file):
        print(f"  {line}", file=sys.stderr)


def _sums_of(checkpoint: str, file: str | None) -> list[str]:
    """Names, sizes and SHA-256 of files of weights; none where the hub does not answer, which the fetch itself will tell."""
    from huggingface_hub import HfApi

    try:
        siblings = HfApi().model_info(checkpoint, files_metadata=True, timeout=10).siblings or []
    except Exception:
        return []
    stored = [
        one for one in siblings if one.lfs is not None and one.rfilename.endswith(WEIGHTS) and file in (None, one.rfilename)
    ]
    shown = [one for one in stored if one.rfilename.endswith(".safetensors")] or stored
    lines = [f"{one.rfilename}: {one.lfs.size / 1e6:,.0f} MB, SHA-256 {one.lfs.sha256}" for one in shown[:SHOWN_FILES] if one.lfs]
    return lines + [f"and {len(shown) - SHOWN_FILES} more files"] * (len(shown) > SHOWN_FILES)


def find_cached(checkpoint: str, file: str) -> str:
    """A file of a checkpoint in the hub's local cache.

    Raises:
        InputError: If it is not there.
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(checkpoint, file)
    if not isinstance(found, str):
        raise missing_weights(checkpoint, "not on this machine")
    return found
