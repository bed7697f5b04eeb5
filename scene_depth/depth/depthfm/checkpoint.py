"""Reads and writes the weights of DepthFM: the official file, or a folder in the layout of diffusers."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scene_depth.depth.depthfm.encoding import ConditionEncoding
from scene_depth.depth.depthfm.ldm import ldm_names, unet_config
from scene_depth.depth.latent.packages import diffusers_class, package_class
from scene_depth.depth.latent.state_dicts import find_state_file, read_checkpoint, read_state_dict, write_state_dict
from scene_depth.depth.latent.vae import WEIGHTS, read_config
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path

SETTINGS = "depthfm.json"
NORMALIZATIONS = ("log", "linear")
TEXT = "empty_text_embedding"
FIELDS = ("noising_step", TEXT, "ldm_hparams", "state_dict")
NOISING_STEP = 400  # of the published model, for folders that do not say
LARGEST_STEP = 1000
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Weights:
    """The weights of DepthFM without its autoencoder.

    Attributes:
        config: Configuration of the ``UNet2DConditionModel``.
        state: Its tensors under the names of diffusers.
        text: Embedding of the empty text, which every cross-attention looks at  # [1, 77, C]
        noising_step: How much noise the image latent gets at the start of the flow, 0 (none) to 1000.
        encoding: How known depth is encoded, for weights of the completion model; else None.
        file: Where the weights came from.
        normalization: "log" or "linear": whether the logarithm of depth was learnt, as published, or depth itself.
    """

    config: dict[str, Any]
    state: dict[str, Tensor]
    text: Tensor
    noising_step: int
    encoding: ConditionEncoding | None = None
    file: Path | None = None
    normalization: str = NORMALIZATIONS[0]


class _Settings:
    """Stands for the classes of OmegaConf, so that reading a file neither needs nor runs that package."""


def _plain_dict(*_: Any) -> dict[Any, Any]:
    return {}


def _allowed() -> list[Any]:
    """All that a checkpoint may name beyond tensors, and what is made of it."""
    reconstruct = np.zeros(1).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    found: list[Any] = [(np.ndarray, "numpy.ndarray"), (np.dtype, "numpy.dtype")]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # before and since numpy 2
        found += [(reconstruct, f"{module}._reconstruct"), (scalar, f"{module}.scalar")]
    for kind in ("f2", "f4", "f8", "i4", "i8", "?"):
        dtype = type(np.dtype(kind))
        found.append((dtype, f"{dtype.__module__}.{dtype.__qualname__}"))
    for name in ("dictconfig.DictConfig", "listconfig.ListConfig", "base.ContainerMetadata", "base.Metadata"):
        found.append((_Settings, f"omegaconf.{name}"))
    for name in ("AnyNode", "IntegerNode", "FloatNode", "BooleanNode", "StringNode"):
        found.append((_Settings, f"omegaconf.nodes.{name}"))
    for name in ("Any", "Union", "Dict", "List", "Optional"):  # types in OmegaConf's notes on its values
        found.append((_Settings, f"typing.{name}"))
    found.append((_plain_dict, "collections.defaultdict"))
    return found + [(kind, f"builtins.{kind.__name__}") for kind in (dict, list, tuple, int, float, str, bool)]


def read_official(path: str | Path) -> Weights:
    """Reads a file in the layout of the official ``depthfm-v1.ckpt``.

    Only tensors, plain values, numpy arrays and OmegaConf settings are read; a file that names anything else is refused
    before any of it runs.

    Raises:
        InputError: If the file is unreadable or not allowed, of another architecture, or its tensors do not fit.
    """
    path = Path(path)
    content = _read_allowed(path)
    missing = [name for name in FIELDS if name not in content]
    if missing:
        names = [str(name) for name in content][:4]
        raise InputError(
            "checkpoint", f"{', '.join(names)}, ... without {', '.join(missing)}", "a checkpoint of DepthFM", file=path
        )
    hparams, text = plain_values(content["ldm_hparams"]), content[TEXT]
    if not isinstance(hparams, Mapping):
        raise InputError("ldm_hparams", type(hparams).__name__, "a dictionary of parameters", file=path)
    try:
        config = unet_config(hparams)
    except InputError as error:
        raise InputError(error.field, error.found, error.accepted, file=path) from error
    state = with_names_of_diffusers(content["state_dict"], config, path)
    return checked(Weights(config, state, torch.as_tensor(text), _noising_step(content["noising_step"], path), file=path))


def _read_allowed(path: Path) -> dict[str, Any]:
    if not hasattr(torch.serialization, "safe_globals"):
        raise InputError("package torch", torch.__version__, "version 2.6 or later, to read official checkpoints safely")
    with _LOCK, torch.serialization.safe_globals(_allowed()):
        if path.is_file() and path.suffix != ".safetensors":
            _refuse(path)
        return read_checkpoint(path)


def _refuse(path: Path) -> None:
    try:
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # other formats and damaged files: reading them says what is wrong
        return
    if unsafe:
        raise InputError(
            "checkpoint",
            f"objects that could run code: {', '.join(sorted(unsafe)[:4])}",
            "tensors, plain values, numpy arrays and OmegaConf settings",
            file=path,
        )


def plain_values(value: Any) -> Any:
    """Settings of OmegaConf, numpy numbers and nested containers as plain Python values."""
    if isinstance(value, _Settings):
        inner = vars(value)
        return plain_values(inner["_content"] if "_content" in inner else inner.get("_val"))
    if isinstance(value, Mapping):
        return {str(plain_values(key)): plain_values(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(one) for one in value]
    if isinstance(value, Tensor):
        value = value.numpy()
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.size == 1 else value


def _noising_step(value: Any, file: Path | None) -> int:
    number = plain_values(value)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= LARGEST_STEP:
        raise InputError("noising_step", repr(number), f"a whole number from 0 to {LARGEST_STEP}", file=file)
    return number


def _normalization(value: Any, file: Path) -> str:
    if not isinstance(value, str) or value not in NORMALIZATIONS:
        raise InputError("normalization", repr(value), " or ".join(NORMALIZATIONS), file=file)
    return value


def with_names_of_diffusers(state: Any, config: Mapping[str, Any], file: Path | None = None) -> dict[str, Tensor]:
    """Tensors under latent diffusion names, renamed.

    Args:
        state: Tensors by name, without prefix.
        config: From ``unet_config``.
        file: For errors.

    Raises:
        InputError: With the names, as they are in the file, of tensors that are missing or not known.
    """
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError("state_dict", type(state).__name__, "tensors by name", file=file)
    with torch.device("meta"):
        names = ldm_names(diffusers_class("UNet2DConditionModel").from_config(dict(config)).state_dict())
    missing = [name for name in names.values() if name not in state]
    extra = sorted(set(state) - set(names.values()))
    if missing or extra:
        both = ((missing, "missing"), (extra, "not known to it"))
        parts = [f"{len(some)} tensors {what}: {', '.join(some[:4])}" for some, what in both if some]
        raise InputError("state_dict", "; ".join(parts), f"the {len(names)} tensors that ldm_hparams describe", file=file)
    return {name: state[ldm] for name, ldm in names.items()}


def checked(weights: Weights) -> Weights:
    """The weights, if they are of a network of this kind.

    Raises:
        InputError: If channels or the text embedding do not fit.
    """
    config, text, file = weights.config, weights.text, weights.file
    expected = 8 if weights.encoding is None else 16
    channels = (config.get("in_channels"), config.get("out_channels"))
    if channels != (expected, 4):
        found = f"{channels[0]} channels in, {channels[1]} out"
        raise InputError("architecture", found, f"{expected} channels in and 4 out, as DepthFM has", file=file)
    width = config.get("cross_attention_dim")
    if text.ndim != 3 or text.shape[0] != 1 or text.shape[2] != width:
        raise InputError(TEXT, f"shape {tuple(text.shape)}", f"(1, tokens, {width})", file=file)
    if not bool(torch.isfinite(text).all()):
        raise InputError(TEXT, "values that are not finite", "finite values", file=file)
    return weights


def read_folder(folder: str | Path) -> Weights:
    """Reads a folder with the U-Net in the form of diffusers.

    ``unet/config.json``, ``unet/diffusion_pytorch_model.*``, ``empty_text_embedding.*`` and ``depthfm.json``. Without the
    embedding, ``text_encoder/`` and ``tokenizer/`` make it; without ``depthfm.json`` it is the published depth model.

    Raises:
        InputError: If files are missing or are not those of DepthFM.
    """
    folder = Path(folder)
    settings = read_config(folder, SETTINGS) if (folder / SETTINGS).is_file() else {}
    config = {name: value for name, value in read_config(folder / "unet").items() if not name.startswith("_")}
    path = find_state_file(folder / "unet", WEIGHTS)
    encoding = settings.get("encoding")
    return checked(
        Weights(
            config,
            read_state_dict(path),
            empty_text(folder),
            _noising_step(settings.get("noising_step", NOISING_STEP), folder / SETTINGS),
            None if encoding is None else ConditionEncoding.from_plain(encoding, folder / SETTINGS),
            folder,
            _normalization(settings.get("normalization", NORMALIZATIONS[0]), folder / SETTINGS),
        )
    )


def empty_text(folder: Path) -> Tensor:
    """Embedding of the empty text: from its file, or by ``text_encoder/`` and ``tokenizer/``  # [1, 77, C]

    Raises:
        InputError: If neither is there.
    """
    if (folder / "text_encoder").is_dir() and not any(folder.glob(f"{TEXT}.*")):
        tokenizer = package_class("transformers", "CLIPTokenizer").from_pretrained(folder / "tokenizer")
        encoder = package_class("transformers", "CLIPTextModel").from_pretrained(folder / "text_encoder")
        tokens = tokenizer("", padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt")
        with torch.no_grad():
            embedding: Tensor = encoder(tokens.input_ids).last_hidden_state
            return embedding
    path = find_state_file(folder, TEXT)
    state = read_state_dict(path)
    if TEXT not in state:
        raise InputError("weights", f"no tensor {TEXT}", f"the tensor {TEXT}", file=path)
    return state[TEXT]


def write_folder(weights: Weights, folder: str | Path, dtype: torch.dtype | None = None) -> None:
    """Writes the form that ``read_folder`` reads, as safetensors.

    Args:
        weights: The weights.
        folder: Folder to write; its ``depthfm.json`` is written last.
        dtype: Type that tensors are stored in; as they are by default.
    """
    folder = Path(folder)
    write_state_dict(folder / "unet" / f"{WEIGHTS}.safetensors", weights.state, dtype)
    config = {"_class_name": "UNet2DConditionModel", **weights.config}
    _write_json(folder / "unet" / "config.json", config)
    write_state_dict(folder / f"{TEXT}.safetensors", {TEXT: weights.text})
    encoding = None if weights.encoding is None else asdict(weights.encoding)
    settings = {"noising_step": weights.noising_step, "encoding": encoding, "normalization": weights.normalization}
    _write_json(folder / SETTINGS, settings)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
