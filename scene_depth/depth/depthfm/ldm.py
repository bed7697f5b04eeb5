"""The U-Net of the latent diffusion code in the words of diffusers: its configuration and the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from scene_depth.errors import InputError

NEEDED = ("in_channels", "out_channels", "model_channels", "attention_resolutions", "num_res_blocks", "channel_mult")
# Parameters that have one value in the network that diffusers builds.
FIXED: Mapping[str, Any] = {
    "use_spatial_transformer": True,
    "use_scale_shift_norm": False,
    "resblock_updown": False,
    "conv_resample": True,
    "num_classes": None,
    "adm_in_channels": None,
    "n_embed": None,
    "dims": 2,
}
WITHOUT_EFFECT = {  # on the weights or on inference
    "image_size",
    "legacy",
    "dropout",
    "use_checkpoint",
    "use_fp16",
    "use_bf16",
    "load_from_ckpt",
    "use_new_attention_order",
    "num_heads_upsample",
    "disable_self_attentions",
    "num_attention_blocks",
    "disable_middle_self_attn",
}
OTHERS = {"num_heads", "num_head_channels", "use_linear_in_transformer", "transformer_depth", "context_dim"}

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
OUTER = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
INNER = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def unet_config(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration of the same network for ``UNet2DConditionModel``.

    Args:
        hparams: Constructor arguments of the latent diffusion code's ``UNetModel``.

    Raises:
        InputError: If a parameter is missing, unknown, or asks for something that this network does not have.
    """
    _check(hparams)
    multipliers = [int(value) for value in hparams["channel_mult"]]
    channels = [int(hparams["model_channels"]) * value for value in multipliers]
    attends = [2**level in set(map(int, hparams["attention_resolutions"])) for level in range(len(channels))]
    return {
        "in_channels": int(hparams["in_channels"]),
        "out_channels": int(hparams["out_channels"]),
        "sample_size": int(hparams.get("image_size", 32)),
        "block_out_channels": channels,
        "layers_per_block": _one(hparams["num_res_blocks"], "num_res_blocks"),
        "down_block_types": ["CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if one else "UpBlock2D" for one in reversed(attends)],
        "attention_head_dim": _heads(hparams, channels),  # diffusers calls the number of heads so
        "cross_attention_dim": _one(hparams.get("context_dim"), "context_dim"),
        "transformer_layers_per_block": _one(hparams.get("transformer_depth", 1), "transformer_depth"),
        "use_linear_projection": bool(hparams.get("use_linear_in_transformer", False)),
        "norm_num_groups": 32,
        "act_fn": "silu",
        "flip_sin_to_cos": True,  # the cosine comes first
        "freq_shift": 0,
    }


def _check(hparams: Mapping[str, Any]) -> None:
    missing = [name for name in (*NEEDED, "context_dim") if name not in hparams]
    if missing:
        raise InputError("ldm_hparams", f"no {', '.join(missing)}", "the parameters of a latent diffusion U-Net")
    for name, value in hparams.items():
        if name in FIXED:
            plain = FIXED[name] if value is None and not FIXED[name] else value
            if plain != FIXED[name]:
                raise InputError(f"ldm_hparams {name}", repr(value), repr(FIXED[name]))
        elif name not in WITHOUT_EFFECT | OTHERS | set(NEEDED):
            raise InputError("ldm_hparams", f"the unknown parameter {name} = {value!r}", "a latent diffusion U-Net as DepthFM's")
        elif name.startswith("disable_") and value:
            raise InputError(f"ldm_hparams {name}", repr(value), "self-attention everywhere")


def _one(value: Any, name: str) -> int:
    """One number, also where a list repeats it for every level."""
    values = set(value) if isinstance(value, list | tuple) else {value}
    if len(values) != 1 or not isinstance(next(iter(values)), int):
        raise InputError(f"ldm_hparams {name}", repr(value), "one whole number")
    return int(next(iter(values)))


def _heads(hparams: Mapping[str, Any], channels: list[int]) -> list[int]:
    width, count = hparams.get("num_head_channels", -1), hparams.get("num_heads", -1)
    if width not in (None, -1):
        return [channel // int(width) for channel in channels]
    if count not in (None, -1):
        return [int(count)] * len(channels)
    raise InputError("ldm_hparams", "neither num_head_channels nor num_heads", "one of both")


def ldm_names(names: Iterable[str]) -> dict[str, str]:
    """The latent diffusion code's name of each tensor of a ``UNet2DConditionModel``.

    Args:
        names: All names of the network's state dictionary.
    """
    names = list(names)
    per_block = 1 + max(int(match[4]) for name in names if (match := INNER.match(name)) and match[1] == "down")
    attends = {match[2] for name in names if (match := INNER.match(name)) and match[1] == "up" and match[3] == "attentions"}
    return {name: _ldm_name(name, per_block, attends) for name in names}


def _ldm_name(name: str, per_block: int, attends: set[str]) -> str:
    """Blocks are numbered through in the latent diffusion code: a resampling layer has a number of its own on the way
    down, and shares that of the last layer on the way up.

    Args:
        name: Name in diffusers.
        per_block: Layers of a block on the way down.
        attends: Blocks on the way up that have attention.
    """
    if match := MIDDLE.match(name):
        kind, index, rest = match[1], int(match[2]), match[3]
        return f"middle_block.{2 * index if kind == 'resnets' else 1}.{_within(kind, rest)}"
    if match := INNER.match(name):
        way, block, kind, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
        if kind == "downsamplers":
            return f"input_blocks.{(block + 1) * (per_block + 1)}.0.op.{rest.removeprefix('conv.')}"
        if kind == "upsamplers":
            return f"output_blocks.{block * (per_block + 1) + per_block}.{2 if match[2] in attends else 1}.{rest}"
        number = block * (per_block + 1) + index + (1 if way == "down" else 0)
        side = "input" if way == "down" else "output"
        return f"{side}_blocks.{number}.{0 if kind == 'resnets' else 1}.{_within(kind, rest)}"
    module, _, parameter = name.rpartition(".")
    return f"{OUTER.get(module, module)}.{parameter}"


def _within(kind: str, rest: str) -> str:
    module, _, parameter = rest.partition(".")
    return f"{RESNET.get(module, module)}.{parameter}" if kind == "resnets" else rest
