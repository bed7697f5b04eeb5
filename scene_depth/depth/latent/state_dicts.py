"""Reads, writes and strictly loads the tensors of a network."""

from __future__ import annotations

import errno
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scene_depth.errors import InputError, first_line
from scene_depth.io.atomic import atomic_path
from scene_depth.io.torch_files import check_archive

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
CHECK_SUM = "crc32"  # in the metadata: of all names and bytes, sorted by name
SHOWN = 4  # names of tensors in an error

# Older files of diffusers name the projections of the VAE's attention differently and store them as 1 x 1 convolutions.
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
OLD_NAME = re.compile(r"(.*\.attentions\.\d+)\.(query|key|value|proj_attn)\.(weight|bias)")


def find_state_file(folder: Path, stem: str) -> Path:
    """The file of tensors ``STEM.safetensors``, or another of ``SUFFIXES``, the first that is there.

    Raises:
        InputError: If there is none.
    """
    for suffix in SUFFIXES:
        if (path := folder / f"{stem}{suffix}").is_file():
            return path
    raise InputError("weights", f"no {stem} file", " or ".join(f"{stem}{suffix}" for suffix in SUFFIXES[:2]), file=folder)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Reads tensors by name from a .safetensors file or one that ``torch.save`` wrote; never runs code of the file.

    Raises:
        InputError: If the file cannot be read, holds other objects than tensors or no tensor at all.
    """
    state = read_checkpoint(path)
    wrong = next((name for name, value in state.items() if not isinstance(value, Tensor)), None)
    if wrong is not None or not state:
        found = "no tensors" if wrong is None else f"{wrong!r} of type {type(state[wrong]).__name__}"
        raise InputError("weights", found, "tensors by name", file=path)
    return state


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a dictionary of tensors and plain values; refuses files that would run code.

    Raises:
        InputError: If the file is missing, cannot be read, or holds no dictionary.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("weights", "no such file", f"a file that ends in {', '.join(SUFFIXES)}", file=path)
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        content = _torch_load(path)
    except InputError:
        raise
    except Exception as error:  # unpickling fails in many ways
        raise InputError(
            "weights", f"unreadable ({first_line(error)})", "a .safetensors file, or tensors alone by torch.save", file=path
        ) from error
    if not isinstance(content, Mapping):
        raise InputError("weights", f"a {type(content).__name__}", "a dictionary of tensors by name", file=path)
    return dict(content)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Their sizes are checked by the package; what ``write_state_dict`` wrote has a check sum too."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        state, told = {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get(CHECK_SUM)  # noqa: SIM118
    if told is not None and told != _check_sum(state):
        raise ValueError("tensors that do not fit the check sum in the file")
    return state


def _check_sum(state: Mapping[str, Tensor]) -> str:
    total = 0
    for name in sorted(state):
        total = zlib.crc32(state[name].reshape(-1).view(torch.uint8).numpy().data, zlib.crc32(name.encode(), total))
    return f"{total:08x}"


def _torch_load(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        check_archive(path, "a whole file by torch.save")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:  # files of torch before 1.6 cannot be mapped
        if "mmap" not in str(error):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)


def load_strictly(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    name: str,
    file: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> None:
    """Gives a network its tensors; every name and shape must agree.

    The tensors replace those of the network, so it may be built on the meta device and takes no memory twice.

    Args:
        module: The network.
        state: Tensors by name, in any floating type.
        name: What the network is called in errors.
        file: Where the tensors come from.
        dtype: Type that floating tensors get, whatever they are stored in.
        device: Where they go.

    Raises:
        InputError: With the names of missing, extra and mis-shaped tensors.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in state]
    extra = [key for key in state if key not in own]
    shapes = {key: (tuple(state[key].shape), tuple(own[key].shape)) for key in own if key in state}
    misshaped = [f"{key} {found} instead of {expected}" for key, (found, expected) in shapes.items() if found != expected]
    if missing or extra or misshaped:
        parts = [_said(missing, "missing"), _said(extra, "not known to it"), _said(misshaped, "of another shape")]
        found = "; ".join(part for part in parts if part)
        raise InputError(name, found, f"the {len(own)} tensors of this architecture, by name and shape", file=file)
    cast = {
        key: value.to(device=device, dtype=dtype if value.is_floating_point() else value.dtype) for key, value in state.items()
    }
    module.load_state_dict(cast, strict=True, assign=True)


def _said(names: Sequence[str], what: str) -> str:
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} tensors {what}: {', '.join(names[:SHOWN])}{more}"


def with_current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a VAE under the names of today's diffusers; others stay as they are."""
    renamed = {}
    for key, value in state.items():
        match = OLD_NAME.fullmatch(key)
        if match:
            key = f"{match[1]}.{OLD_ATTENTION[match[2]]}.{match[3]}"
            value = value.flatten(1) if match[3] == "weight" else value
        renamed[key] = value
    return renamed


def write_state_dict(path: str | Path, state: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> None:
    """Writes tensors to a .safetensors file, through a temporary file.

    Args:
        path: File to write.
        state: Tensors by name.
        dtype: Type that floating tensors are stored in; as they are by default.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    stored = {
        key: value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous() for key, value in state.items()
    }
    with atomic_path(path) as temporary:
        try:
            save_file(stored, temporary, metadata={"format": "pt", CHECK_SUM: _check_sum(stored)})
        except SafetensorError as error:  # which says the system's number in its text alone
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error
