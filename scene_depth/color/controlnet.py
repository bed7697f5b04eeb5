"""Depth ControlNets for the pipelines of diffusers: loading one, and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError

KIND = "ControlNetModel"
PICTURE_CHANNELS = 3
SIZES = ("cross_attention_dim", "block_out_channels", "layers_per_block")  # in these a ControlNet is a copy of the U-Net


def load_controlnet(controlnet: str, model: str, *, local_files_only: bool = True) -> Any:
    """Loads a ControlNet, after its configuration has been compared with that of the pipeline.

    Args:
        controlnet: Local folder or hub id of a ``ControlNetModel``.
        model: Local folder or hub id of the pipeline that it is for.
        local_files_only: Take the weights from disk or from the hub's cache only.

    Raises:
        InputError: If it is not there, is something else, lacks weights, or is made for a U-Net of another size.
    """
    from diffusers import ControlNetModel, UNet2DConditionModel

    accepted = f"a {KIND} in a local folder or, by its id, in the hub's cache (local_files_only=False fetches it)"
    where = {"local_files_only": local_files_only}
    try:
        own = ControlNetModel.load_config(controlnet, **where)
    except (OSError, ValueError) as error:
        raise InputError("controlnet", not_loaded(controlnet, error), accepted) from error
    kind = own.get("_class_name") if isinstance(own, Mapping) else None
    if kind != KIND:
        raise InputError("controlnet", f"{controlnet!r}, which is {kind or 'of an unknown kind'}", accepted)
    try:
        unet = UNet2DConditionModel.load_config(model, subfolder="unet", **where)
    except (OSError, ValueError) as error:
        raise InputError("diffusion model", not_loaded(model, error), "a pipeline with a U-Net, as ControlNets need") from error
    check_fit(controlnet, own, model, unet)
    try:
        loader: Any = ControlNetModel  # diffusers does not annotate its loading
        network, told = loader.from_pretrained(controlnet, output_loading_info=True, **where)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError("controlnet", not_loaded(controlnet, error), accepted) from error
    if told["missing_keys"]:  # the library would go on with random numbers in their place
        missing = sorted(told["missing_keys"])
        raise InputError("controlnet", f"{controlnet!r} without {len(missing)} tensors such as {missing[0]}", "all weights")
    return network


def check_fit(controlnet: str, own: Mapping[str, Any], model: str, unet: Mapping[str, Any]) -> None:
    """Compares the configurations of a ControlNet and of a U-Net; a size that one of them does not name is not compared.

    Args:
        controlnet, model: Their names in errors.
        own, unet: The configurations.

    Raises:
        InputError: If the ControlNet takes other pictures than those of three channels, or has another size.
    """
    channels = own.get("conditioning_channels", PICTURE_CHANNELS)
    if channels != PICTURE_CHANNELS:
        found = f"{controlnet!r}, which takes pictures of {channels} channels"
        raise InputError("controlnet", found, f"one that takes depth as a picture of {PICTURE_CHANNELS} channels")
    pairs = {name: (own.get(name), unet.get(name)) for name in SIZES}
    pairs["in_channels"] = (own.get("in_channels"), unet.get("out_channels"))  # those of the latent, without mask and picture
    for name, (mine, theirs) in pairs.items():
        if mine is not None and theirs is not None and _per_level(mine, own) != _per_level(theirs, unet):
            raise InputError("controlnet", f"{controlnet!r} with {name} {mine}", f"{theirs}, as {model!r} has it")


def _per_level(size: Any, configuration: Mapping[str, Any]) -> list[Any]:
    """A size for each level of the network, whether it is written once or for each."""
    return list(size) if isinstance(size, list | tuple) else [size] * len(configuration.get("block_out_channels", [0]))


def not_loaded(source: str, error: Exception) -> str:
    """Why a folder or hub id could not be loaded, in one line; of a folder that is not there libraries speak as of a hub id."""
    if Path(source).is_dir():
        return f"{source!r}: {str(error).splitlines()[0]}"
    return f"{source!r}, which is neither a folder nor complete in the hub's cache"
