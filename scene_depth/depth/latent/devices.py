"""Chooses where and in which precision a network runs, or is converted."""

from __future__ import annotations

from pathlib import Path

import torch

from scene_depth.errors import InputError
from scene_depth.io.atomic import check_writable

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str = "auto") -> torch.device:
    """The device of a name.

    Args:
        name: "auto" (CUDA, then MPS, then CPU), "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        InputError: If there is no such device here.
    """
    mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError("device", repr(name), "auto, cpu, cuda, cuda:N or mps") from error
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": mps}
    if not there.get(device.type, False):
        raise InputError("device", repr(name), f"auto, or {' or '.join(kind for kind, yes in there.items() if yes)}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError("device", repr(name), f"an index below {torch.cuda.device_count()}, the number of CUDA devices")
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The precision of a name.

    Args:
        name: "fp32", "bf16", "fp16", or "auto": bf16 on CUDA devices that can (fp16 has been seen to give NaN), else fp32.
        device: Where the network will run.

    Raises:
        InputError: If there is no such precision.
    """
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    if name not in DTYPES:
        raise InputError("dtype", repr(name), f"auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def check_conversion(output: str | Path, dtype: str) -> None:
    """Says before gigabytes are read whether converted weights can be written.

    Raises:
        InputError: If there is no such precision, or the folder has something in it or cannot be written.
    """
    if dtype not in DTYPES:
        raise InputError("dtype", repr(dtype), ", ".join(DTYPES))
    if Path(output).is_dir() and any(Path(output).iterdir()):
        raise InputError("output folder", "a folder with files in it", "a new or empty folder", file=output)
    check_writable(Path(output).parent)
