"""From any checkpoint of DepthFM to one folder of safetensors, which loads faster and without unpickling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scene_depth.depth.depthfm.checkpoint import write_folder
from scene_depth.depth.depthfm.network import build_unet, find_checkpoint, find_vae, read_weights, write_vae
from scene_depth.depth.latent.devices import DTYPES
from scene_depth.depth.latent.vae import load_vae
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder


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
    if dtype not in DTYPES:
        raise InputError("dtype", repr(dtype), ", ".join(DTYPES))
    output = Path(output)
    if output.is_dir() and any(output.iterdir()):  # before gigabytes are read
        raise InputError("output folder", "a folder with files in it", "a new or empty folder", file=output)
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
