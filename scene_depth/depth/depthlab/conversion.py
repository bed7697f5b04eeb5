"""From the official files of DepthLab to one folder of safetensors."""

from __future__ import annotations

from pathlib import Path

from scene_depth.depth.depthlab.model import load_files
from scene_depth.depth.depthlab.weights import find_depthlab
from scene_depth.depth.latent.devices import DTYPES, choose_device
from scene_depth.errors import InputError
from scene_depth.io.atomic import check_writable


def convert(source: str | Path | None, output: str | Path, dtype: str = "fp32") -> list[str]:
    """Loads official weights strictly and saves them as one folder; the text encoder becomes one embedding.

    Args:
        source: As ``weights`` of ``find_depthlab``.
        output: New or empty folder.
        dtype: "fp32", "fp16" or "bf16", of the UNets and the image encoder; halves the files.

    Returns:
        Notes for the user.

    Raises:
        InputError: If something is missing, does not fit, or the folder has something in it.
    """
    if dtype not in DTYPES:
        raise InputError("dtype", repr(dtype), ", ".join(DTYPES))
    output = Path(output)
    if output.is_dir() and any(output.iterdir()):  # before gigabytes are read
        raise InputError("output folder", "a folder with files in it", "a new or empty folder", file=output)
    check_writable(output.parent)
    model = load_files(find_depthlab(source), choose_device("cpu"), DTYPES[dtype])
    notes = []
    try:
        model.unconditional()
    except InputError as error:
        notes.append(f"without guidance above 1, no text encoder was found ({error.found})")
    model.save_pretrained(output)
    return notes
