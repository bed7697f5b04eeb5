"""The network of DepthFM on stock classes of diffusers: attention, loading, saving, converting, one evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from scene_depth.depth.depthfm.checkpoint import (
    NORMALIZATIONS,
    SETTINGS,
    TEXT,
    Weights,
    checked,
    read_folder,
    read_official,
    write_folder,
)
from scene_depth.depth.depthfm.encoding import ConditionEncoding
from scene_depth.depth.latent.devices import DTYPES, check_conversion, choose_device, choose_dtype
from scene_depth.depth.latent.packages import diffusers_class, package_class
from scene_depth.depth.latent.sources import HubFile, HubModel, checkpoint_roots, is_hub_id, locate, wanted
from scene_depth.depth.latent.state_dicts import load_strictly
from scene_depth.depth.latent.vae import WEIGHTS, load_vae, write_vae
from scene_depth.errors import InputError, first_line
from scene_depth.io.atomic import atomic_folder

OFFICIAL = "depthfm-v1.ckpt"
ADDRESS = f"https://ommer-lab.com/files/depthfm/{OFFICIAL}"
LICENSE = "MIT, as its code"
FOLDER = "depthfm"
VAE = HubModel(
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    (
        HubFile(("vae/config.json", "config.json")),
        HubFile(tuple(f"{place}{WEIGHTS}{suffix}" for place in ("vae/", "") for suffix in (".safetensors", ".bin")), "0.3 GB"),
    ),
    "CreativeML OpenRAIL-M",
)
DEPTH_CHANNELS, COMPLETION_CHANNELS = 8, 16
AttentionVariant = Literal["plain", "official"]
VARIANTS = ("plain", "official")


@dataclass(frozen=True)
class DepthFM:
    """The networks of DepthFM, ready to be evaluated.

    Attributes:
        unet: ``UNet2DConditionModel``; its input is (x, image latent) or (x, image, known depth, distance), 4 channels each.
        vae: ``AutoencoderKL`` of Stable Diffusion 1.5.
        text: Embedding of the empty text, on the networks' device  # [1, 77, C]
        noising_step: Noise level at the start of the flow.
        encoding: How known depth is encoded; None for the depth model, which takes none.
        normalization: "log" or "linear", what the networks learnt of depth.
    """

    unet: Any
    vae: Any
    text: Tensor
    noising_step: int
    encoding: ConditionEncoding | None = None
    normalization: str = NORMALIZATIONS[0]

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.text.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the networks."""
        return self.text.dtype

    def velocity(self, x: Tensor, t: float, condition: Tensor) -> Tensor:
        """One evaluation of the network.

        Args:
            x: State of the flow  # [B, 4, h, w]
            t: Time in [0, 1], which the network embeds as it is (not multiplied by 1000).
            condition: Image latent, for the completion model also those of known depth and distance  # [B, 4 or 12, h, w]

        Returns:
            dx/dt in float32  # [B, 4, h, w]
        """
        rows = len(x)
        sample = torch.cat([x, condition], dim=1).to(self.device, self.dtype)
        time = torch.full((rows,), t, dtype=torch.float32, device=self.device)
        predicted: Tensor = self.unet(sample, time, encoder_hidden_states=self.text.expand(rows, -1, -1)).sample
        return predicted.float()

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes everything that ``from_pretrained`` needs, as safetensors."""
        folder = Path(folder)
        write_vae(self.vae, folder / "vae")
        state = self.unet.state_dict()
        config = _plain_config(self.unet.config)
        weights = Weights(config, state, self.text, self.noising_step, self.encoding, normalization=self.normalization)
        write_folder(weights, folder)

    @classmethod
    def from_pretrained(cls, checkpoint: str | Path | None = None, **options: Any) -> DepthFM:
        """Loads a model; the arguments are those of ``load_depthfm``."""
        return load_depthfm(checkpoint, **options)


class ScaledByTokens:
    """Attention processor of diffusers: self-attention scaled by sqrt(ln N / ln 4N / d), with N tokens and heads of width d."""

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        """Args are those of processors of diffusers; ``hidden_states`` # [B, N, C]."""
        query, key, value = (
            layer(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2) for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        tokens, width = query.shape[-2:]
        scale = math.sqrt(math.log(tokens) / math.log(4 * tokens) / width)
        mixed = F.scaled_dot_product_attention(query, key, value, scale=scale)
        for layer in attn.to_out:
            mixed = layer(mixed.transpose(1, 2).flatten(2) if mixed.ndim == 4 else mixed)
        return mixed


def set_attention(unet: Any, variant: AttentionVariant) -> None:
    """Chooses how a ``UNet2DConditionModel`` attends.

    "plain": self-attention is scaled by 1 / sqrt(d), as the official code does with xformers, which its requirements list.
    "official": as it does without; see ``ScaledByTokens``. Cross-attention is the same in both.

    Raises:
        InputError: If there is no such variant.
    """
    plain = package_class("diffusers.models.attention_processor", "AttnProcessor2_0")
    if variant not in VARIANTS:
        raise InputError("attention", repr(variant), f"one of {', '.join(VARIANTS)}")
    scaled = variant == "official"
    unet.set_attn_processor(
        {name: ScaledByTokens() if scaled and name.endswith("attn1.processor") else plain() for name in unet.attn_processors}
    )


def load_depthfm(
    checkpoint: str | Path | None = None,
    vae: str | Path | None = None,
    *,
    attention: AttentionVariant = "plain",
    device: str = "auto",
    dtype: str = "auto",
) -> DepthFM:
    """Loads DepthFM with its autoencoder.

    Args:
        checkpoint: The official ``depthfm-v1.ckpt``, a folder in the form of diffusers (see ``read_folder``), or a hub id
            of one; by default ``depthfm/`` or ``depthfm-v1.ckpt`` among the checkpoints (``checkpoint_roots``).
        vae: Folder or hub id of Stable Diffusion 1.5 or of its autoencoder; by default ``vae/`` in the folder of the
            checkpoint, then Stable Diffusion 1.5 among the checkpoints and in the hub's local cache.
        attention: "plain", as the official code attends with xformers; "official", as it attends without.
        device: "auto", "cpu", "cuda", "mps".
        dtype: "auto", "fp32", "bf16", "fp16".

    Raises:
        InputError: If weights are missing, unreadable or of another architecture, or an option is wrong.
    """
    chosen = choose_device(device)
    precision = choose_dtype(dtype, chosen)
    weights = read_weights(checkpoint)
    vae_folder = find_vae(vae, weights.file)
    unet = build_unet(weights, precision, chosen)
    set_attention(unet, attention)
    autoencoder = load_vae(vae_folder, dtype=precision, device=chosen)
    if autoencoder.config.latent_channels != 4:
        raise InputError("VAE", f"{autoencoder.config.latent_channels} latent channels", "4", file=vae_folder)
    text = weights.text.to(chosen, precision)
    return DepthFM(unet, autoencoder, text, weights.noising_step, weights.encoding, weights.normalization)


def read_weights(checkpoint: str | Path | None = None) -> Weights:
    """Finds and reads the weights without the autoencoder; argument and errors as in ``load_depthfm``."""
    path = find_checkpoint(checkpoint)
    return read_folder(path) if path.is_dir() else read_official(path)


def build_unet(weights: Weights, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Any:
    """The U-Net with its tensors, in evaluation mode.

    Raises:
        InputError: If the tensors do not fit the configuration.
    """
    unet_class = diffusers_class("UNet2DConditionModel")
    try:
        with torch.device("meta"):
            unet = unet_class.from_config(weights.config)
    except (TypeError, ValueError) as error:
        raise InputError("configuration of the U-Net", first_line(error), "that of DepthFM", file=weights.file) from error
    load_strictly(unet, weights.state, name="U-Net", file=weights.file, dtype=dtype, device=device)
    return unet.eval().requires_grad_(False)


def find_checkpoint(checkpoint: str | Path | None = None) -> Path:
    """The official file, or the folder of weights; argument and errors as in ``load_depthfm``."""
    if checkpoint is None:
        places = [root / name for root in checkpoint_roots() for name in (FOLDER, OFFICIAL, f"{FOLDER}/{OFFICIAL}")]
        found = next((place for place in places if place.is_file() or (place / "unet").is_dir()), None)
        if found is None:
            looked = ", ".join(str(root) for root in checkpoint_roots())
            lacking = f"no {OFFICIAL} (up to 3.5 GB, {LICENSE}) in {looked}"
            accepted = "it there, or its path, or a converted folder"
            raise InputError("checkpoint", lacking, accepted, hint="scene-depth weights fetch depthfm")
        return found
    path = Path(checkpoint).expanduser()
    if path.is_dir() and not (path / "unet").is_dir() and (path / OFFICIAL).is_file():
        return path / OFFICIAL
    if path.exists() or not is_hub_id(str(checkpoint)) or path.suffix in (".ckpt", ".safetensors"):
        if not path.exists():
            raise InputError("checkpoint", "no such file or folder", f"{OFFICIAL}, a folder of weights or a hub id", file=path)
        return path
    files = (
        HubFile(("unet/config.json",)),
        HubFile((f"unet/{WEIGHTS}.safetensors", f"unet/{WEIGHTS}.bin"), "1.7 to 3.5 GB"),
        HubFile((f"{TEXT}.safetensors",)),
        HubFile((SETTINGS,)),
    )
    return locate([wanted(HubModel(str(checkpoint), files), checkpoint)])[0]


def find_vae(vae: str | Path | None, checkpoint: Path | None) -> Path:
    """Folder of the autoencoder; arguments as in ``load_depthfm``.

    Raises:
        InputError: If it is not on this machine and no hub id was given.
    """
    if vae is None and checkpoint is not None:
        folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
        if (folder / "vae" / "config.json").is_file():
            return folder / "vae"
    found = locate([wanted(VAE, vae)], hint="scene-depth weights fetch depthfm")[0]
    return found / "vae" if (found / "vae" / "config.json").is_file() else found


def convert(source: str | Path | None, output: str | Path, dtype: str = "fp32", vae: str | Path | None = None) -> list[str]:
    """Reads weights strictly and writes them, with the autoencoder where that is found, as ``read_folder`` reads them.

    Args:
        source: The official file, a folder or a hub id, as ``checkpoint`` of ``load_depthfm``.
        output: New or empty folder.
        dtype: "fp32", "fp16" or "bf16", of what is written.
        vae: As in ``load_depthfm``; if it is None and there is none on this machine, the folder is written without it.

    Returns:
        Notes for the user.

    Raises:
        InputError: As in ``load_depthfm``; also if the folder has something in it.
    """
    check_conversion(output, dtype)
    weights = read_weights(source)
    build_unet(replace(weights, state={name: value.to("meta") for name, value in weights.state.items()}), device="meta")
    notes, autoencoder = [], None
    try:
        autoencoder = load_vae(find_vae(vae, weights.file))
    except InputError as error:
        if vae is not None:
            raise
        notes.append(f"without an autoencoder, which has to be named when this is used ({error.found})")
    with atomic_folder(output) as folder:
        write_folder(weights, folder, DTYPES[dtype])
        if autoencoder is not None:
            write_vae(autoencoder, folder / "vae", DTYPES[dtype])
    return notes


def found_parts(source: str | Path | None = None) -> dict[str, Path]:
    """Where the weights and the autoencoder are; nothing is downloaded.

    Raises:
        InputError: If one is not on this machine.
    """
    path = find_checkpoint(source)
    return {"depthfm": path, "vae": find_vae(None, path)}


def fetch() -> dict[str, Path]:
    """Downloads the official file into the first folder of checkpoints, and the autoencoder into the hub's local cache.

    Raises:
        InputError: If one is not within reach.
    """
    file = checkpoint_roots()[0] / OFFICIAL
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(ADDRESS, str(file))
        except OSError as error:
            raise InputError(OFFICIAL, f"could not be fetched ({first_line(error)})", f"{ADDRESS} within reach") from error
    beside = file.parent / "vae" / "config.json"
    return {"depthfm": file, "vae": find_vae(None if beside.is_file() else VAE.hub_id, file)}


def completion_model(model: DepthFM, encoding: ConditionEncoding | None = None) -> DepthFM:
    """A completion model that starts as the depth model: the first convolution gets 8 more input channels, all zero.

    Until it is trained it predicts exactly what the depth model predicts, whatever is known.

    Args:
        model: The depth model.
        encoding: How known depth will be encoded.
    """
    if model.encoding is not None:
        raise InputError("model", "a completion model", "a depth model")
    state = dict(model.unet.state_dict())
    kernel = state["conv_in.weight"]
    state["conv_in.weight"] = torch.cat([kernel, torch.zeros_like(kernel)], dim=1)
    config = _plain_config(model.unet.config) | {"in_channels": COMPLETION_CHANNELS}
    weights = checked(Weights(config, state, model.text, model.noising_step, encoding or ConditionEncoding()))
    unet = build_unet(weights, model.dtype, model.device)
    unet.set_attn_processor(model.unet.attn_processors)
    return replace(model, unet=unet, encoding=weights.encoding)


def _plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dict(config).items() if not name.startswith("_")}
