"""Weights of DepthLab: the official files, or one folder of safetensors made from them.

Official: ``DepthLab/{denoising_unet,reference_unet,mapping_layer}.pth`` beside ``marigold-depth-v1-0/`` (VAE, scheduler,
UNet configuration; its text encoder only for guidance) and ``CLIP-ViT-H-14-laion2B-s32B-b79K/``. Converted: the same parts
as safetensors below one folder with ``model.json``, and the embedding of the empty text in place of the text encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scene_depth.depth.latent.sources import HubFile, HubModel, Wanted, checkpoint_roots, is_hub_id, locate, wanted
from scene_depth.depth.latent.state_dicts import find_state_file
from scene_depth.errors import InputError

CONVERTED = "depthlab-safetensors"  # folder of converted weights among the checkpoints
MARKER = "model.json"
ESTIMATION, REFERENCE, MAPPING = "denoising_unet", "reference_unet", "mapping_layer"
EMPTY_TEXT = "empty_text.safetensors"


def _tensors(stem: str, size: str, other: str) -> HubFile:
    return HubFile((f"{stem}.safetensors", f"{stem}.{other}"), size)


DEPTHLAB = HubModel(
    "Johanan0528/DepthLab",
    (
        HubFile((f"{ESTIMATION}.pth", f"{ESTIMATION}.safetensors"), "3.5 GB"),
        HubFile((f"{REFERENCE}.pth", f"{REFERENCE}.safetensors"), "3.5 GB"),
        HubFile((f"{MAPPING}.pth", f"{MAPPING}.safetensors"), "4 MB"),
    ),
    "Apache-2.0",
)
MARIGOLD = HubModel(
    "prs-eth/marigold-depth-v1-0",
    (
        HubFile(("unet/config.json",)),
        HubFile(("scheduler/scheduler_config.json",)),
        HubFile(("vae/config.json",)),
        _tensors("vae/diffusion_pytorch_model", "0.3 GB", "bin"),
    ),
    "Apache-2.0",
)
TEXT = HubModel(
    MARIGOLD.hub_id,
    (
        HubFile(("text_encoder/config.json",)),
        _tensors("text_encoder/model", "1.4 GB", "bin"),
        HubFile(("tokenizer/vocab.json",)),
        HubFile(("tokenizer/merges.txt",)),
        HubFile(("tokenizer/tokenizer_config.json",)),
        HubFile(("tokenizer/special_tokens_map.json",)),
    ),
)
CLIP = HubModel(
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    (HubFile(("config.json",)), HubFile(("model.safetensors", "pytorch_model.bin"), "3.9 GB, of which 2.5 GB are used")),
    "MIT",
)


@dataclass(frozen=True)
class DepthLabFiles:
    """Where each part is.

    Attributes:
        estimation, reference, mapping: Files of tensors.
        unet: Folder with the UNets' config.json.
        vae, scheduler, image_encoder: Folders.
        empty_text: File with the embedding of the empty text, or None.
        text: Where a folder with text encoder and tokenizer may be found, or None.
    """

    estimation: Path
    reference: Path
    mapping: Path
    unet: Path
    vae: Path
    scheduler: Path
    image_encoder: Path
    empty_text: Path | None = None
    text: Wanted | None = None


def find_depthlab(
    weights: str | Path | None = None, marigold: str | Path | None = None, clip: str | Path | None = None
) -> DepthLabFiles:
    """Finds the files.

    Args:
        weights: A folder with converted weights; a folder with the three official folders in it; the official DepthLab
            folder with the two others beside it; or a hub id, which is downloaded if it is not there. By default the
            folders of ``checkpoint_roots()``, then the hub's local cache.
        marigold, clip: Folder or hub id in place of the official VAE and image encoder.

    Raises:
        InputError: With everything that is missing.
    """
    if weights is not None and not Path(weights).expanduser().exists() and not is_hub_id(str(weights)):
        raise InputError("weights", "no such folder", f"a folder, or a hub id such as {DEPTHLAB.hub_id}", file=weights)
    folder = Path(weights).expanduser() if weights is not None and Path(weights).expanduser().is_dir() else None
    roots: Sequence[Path] = checkpoint_roots() if folder is None else (folder, folder.parent)
    candidates = [folder] if folder is not None else [] if weights is not None else [root / CONVERTED for root in roots]
    for candidate in candidates:
        if (candidate / MARKER).is_file():
            return _converted(candidate)
    download = weights is not None and folder is None
    if folder is None:
        own = wanted(DEPTHLAB, weights, roots)
    else:
        own = Wanted(DEPTHLAB, (folder / DEPTHLAB.folder, folder), cache=False)
    parts = [
        replace(one, download=download or one.download) for one in (wanted(MARIGOLD, marigold, roots), wanted(CLIP, clip, roots))
    ]
    own_folder, marigold_folder, clip_folder = locate([own, *parts], hint="scene-depth weights fetch depthlab")
    text = replace(wanted(TEXT, marigold, roots), download=parts[0].download)
    if parts[0].places:
        text = replace(text, places=(marigold_folder, *text.places), cache=True)
    return _files(own_folder, marigold_folder, clip_folder, text=text)


def _converted(folder: Path) -> DepthLabFiles:
    for part in ("unet", "vae", "scheduler", "image_encoder"):
        if not (folder / part).is_dir():
            raise InputError("weights", f"no folder {part}", "a folder written by `scene-depth weights convert`", file=folder)
    empty = folder / EMPTY_TEXT
    return _files(folder, folder, folder / "image_encoder", empty_text=empty if empty.is_file() else None)


def _files(
    own: Path, marigold: Path, image_encoder: Path, *, empty_text: Path | None = None, text: Wanted | None = None
) -> DepthLabFiles:
    return DepthLabFiles(
        estimation=find_state_file(own, ESTIMATION),
        reference=find_state_file(own, REFERENCE),
        mapping=find_state_file(own, MAPPING),
        unet=marigold / "unet",
        vae=marigold / "vae",
        scheduler=marigold / "scheduler",
        image_encoder=image_encoder,
        empty_text=empty_text,
        text=text,
    )


def found_parts(weights: str | Path | None = None) -> dict[str, Path]:
    """Where each part is, by its name, of those that are loaded without guidance.

    Raises:
        InputError: With everything that is missing.
    """
    return {name: path for name, path in vars(find_depthlab(weights)).items() if isinstance(path, Path)}


def fetch() -> dict[str, Path]:
    """Downloads what is not on this machine into the hub's local cache, 11 GB in all; gives what ``found_parts`` does."""
    return found_parts(DEPTHLAB.hub_id)
