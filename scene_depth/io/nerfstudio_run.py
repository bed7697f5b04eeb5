"""A training run of nerfstudio's splatfacto, or of a method made from it: ``config.yml``, a checkpoint and the change of frame.

``config.yml`` is YAML whose tags name Python objects to build. Here only its tree of nodes is read: tags are text, and no
object is built. Checkpoints are read as tensors and plain values alone.

A run trains in a frame of its own: ``dataparser_transforms.json`` holds how points of the original data come into it, turned
and moved by ``transform``, then multiplied by ``scale``. Where the photos' ``transforms.json`` says that an
``applied_transform`` and ``applied_scale`` stand between the original data and its own matrices, that is undone, so that
splats of a run lie in the frame and the unit that ``read_scene`` gives its photos.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.errors import InputError, first_line
from scene_depth.io.input_files import check_input_file
from scene_depth.io.json_files import is_number, read_json_object
from scene_depth.io.scene_notes import note
from scene_depth.io.torch_files import numpy_numbers, read_torch
from scene_depth.spherical_harmonics import C0
from scene_depth.splat_transforms import transform_splats
from scene_depth.splats import GaussianSplats

CONFIG, TRANSFORMS, CHECKPOINTS = "config.yml", "dataparser_transforms.json", "nerfstudio_models"
CHECKPOINT = re.compile(r"step-(\d+)\.ckpt")
LARGEST_CONFIG = 4 << 20  # bytes; those of nerfstudio have about 10,000
FORMATS_OF_PARSERS = {"NerfstudioDataParserConfig": "transforms", "ColmapDataParserConfig": "colmap"}
OWN_PARSER = "scene_depth_nerfstudio."
"""Module of the data parser whose runs are in the frame of ``read_scene`` but for what dataparser_transforms.json says."""
NAMES = ("means", "scales", "quats", "features_dc", "features_rest", "opacities")


@dataclass(frozen=True)
class NerfstudioRun:
    """A run on disk.

    Attributes:
        config: Its ``config.yml``.
        checkpoint: The newest checkpoint.
        method: Name of the method, such as "splatfacto".
        data: Where its photos are; None if the place that the run names does not exist here.
        format: Key of ``scene_depth.io.scenes.FORMATS`` that its data parser reads; None for what the data look like.
        scene_options: ``KEY=VALUE`` with which its photos were read, where this package's data parser read them.
        photos_to_run: Maps points in the frame of the photos into that of the run, float64  # [4, 4]
        antialiased: Whether it was trained with ``rasterize_mode: antialiased``.
        color_logits: Whether base colours are logits, as where ``sh_degree`` is 0.
    """

    config: Path
    checkpoint: Path
    method: str
    data: Path | None
    format: str | None
    scene_options: tuple[str, ...]
    photos_to_run: Tensor
    antialiased: bool
    color_logits: bool

    def splats(self, *, in_run: bool = False, double: bool = False) -> GaussianSplats:
        """The trained splats.

        Args:
            in_run: Leave them in the frame of the run, as ``ns-export`` does; else in that of the photos.
            double: Give centres in float64, to be moved before they are rounded.

        Raises:
            InputError: If the checkpoint cannot be read or holds no splats.
        """
        content = read_torch(self.checkpoint, "checkpoint of a nerfstudio run", allowed=numpy_numbers())
        splats = splats_of_checkpoint(content, self.checkpoint, antialiased=self.antialiased, color_logits=self.color_logits)
        if in_run:
            return splats
        moved = transform_splats(replace(splats, means=splats.means.double()), torch.linalg.inv(self.photos_to_run))
        return moved if double else moved.map(lambda values: values.float())


def is_nerfstudio_run(path: str | PathLike[str]) -> bool:
    """Whether a path is the folder of a run, its ``config.yml`` or one of its checkpoints."""
    return _config_of(Path(path)) is not None


def read_nerfstudio_run(path: str | PathLike[str]) -> NerfstudioRun:
    """Reads what a run says of itself; its tensors are read when its splats are asked for.

    Args:
        path: Folder of the run, its ``config.yml``, or one of its checkpoints, which is then the one that counts.

    Raises:
        InputError: If a file of it is missing or broken.
    """
    path = Path(path)
    config = _config_of(path)
    if config is None:
        accepted = f"the folder of a nerfstudio run with {CONFIG} and {CHECKPOINTS}, or one of these files"
        raise InputError("run", "nothing at this path" if not path.exists() else "not one of nerfstudio", accepted, file=path)
    root = _read_config(config)
    model = _find(root, "pipeline", "model")
    models = config.parent / (_text(root, "relative_model_dir") or CHECKPOINTS)
    checkpoint = path if path.suffix == ".ckpt" else _newest(models)
    parser_node = _find(root, "pipeline", "datamanager", "dataparser")
    parser, options = _tag(parser_node), _find(parser_node, "scene_options")
    data = _data(root, config)
    format = FORMATS_OF_PARSERS.get(parser.rpartition(".")[2])
    return NerfstudioRun(
        config=config,
        checkpoint=checkpoint,
        method=_text(root, "method_name") or "",
        data=data,
        format=format,
        scene_options=tuple(str(option.value) for option in options.value) if getattr(options, "id", "") == "sequence" else (),
        photos_to_run=_photos_to_run(config.parent / TRANSFORMS, data, parser, format),
        antialiased=_text(model, "rasterize_mode") == "antialiased",
        color_logits=_text(model, "sh_degree") == "0",
    )


def splats_of_checkpoint(
    content: Any, file: str | PathLike[str], *, antialiased: bool = False, color_logits: bool = False
) -> GaussianSplats:
    """Splats from the content of a checkpoint, in the frame of the run.

    Args:
        content: What ``torch.load`` gave.
        file: Where it comes from, for messages.
        antialiased: Whether it was trained so.
        color_logits: Whether base colours are logits.

    Raises:
        InputError: If there is no complete set of splats in it.
    """
    pipeline = content.get("pipeline") if isinstance(content, dict) else None
    accepted = f"gauss_params of {', '.join(NAMES)}, as splatfacto and methods made from it save them"
    if not isinstance(pipeline, dict):
        raise InputError("checkpoint", "no part named pipeline", accepted, file=file)
    found: dict[str, Tensor] = {}
    for key, values in pipeline.items():
        *rest, name = str(key).split(".")
        if name in NAMES and isinstance(values, Tensor) and rest and rest[-1] in ("gauss_params", "_model"):
            found[name] = values.detach().float()
    missing = [name for name in NAMES if name not in found]
    if missing:
        raise InputError("checkpoint", f"no {', '.join(missing)}", accepted, file=file)
    base, higher = found["features_dc"], found["features_rest"]
    if base.ndim != 2 or higher.ndim != 3:
        raise InputError("checkpoint", f"colours of shape {tuple(base.shape)} and {tuple(higher.shape)}", accepted, file=file)
    if color_logits:
        base = (base.sigmoid() - 0.5) / C0
    adjusted = next((v for k, v in pipeline.items() if str(k).endswith("camera_optimizer.pose_adjustment")), None)
    if isinstance(adjusted, Tensor) and bool(adjusted.any()):
        note(file, "the run moved its cameras a little while it trained; those of the photos' files are used")
    try:
        return GaussianSplats(
            found["means"],
            found["quats"],
            found["scales"],
            found["opacities"].flatten(),
            torch.cat([base[:, None], higher], dim=1),
            antialiased=antialiased,
        )
    except (InputError, RuntimeError) as error:
        raise InputError("checkpoint", first_line(error), accepted, file=file) from error


def _config_of(path: Path) -> Path | None:
    """The ``config.yml`` of a run; None if a path is none."""
    if path.suffix == ".ckpt" and os.path.isfile(path):
        return next((folder / CONFIG for folder in path.parents[:3] if (folder / CONFIG).is_file()), None)
    config = path / CONFIG if os.path.isdir(path) else path  # which has an answer for names that no disk takes, too
    named = config.name == CONFIG and os.path.isfile(config)
    return config if named and (path.is_file() or any((path / name).exists() for name in (CHECKPOINTS, TRANSFORMS))) else None


def _newest(folder: Path) -> Path:
    """The checkpoint of the most steps."""
    files = {int(match[1]): file for file in folder.glob("step-*.ckpt") if (match := CHECKPOINT.fullmatch(file.name))}
    if not files:
        raise InputError("checkpoints", "none", "one or more files step-000000000.ckpt, which ns-train writes", file=folder)
    return files[max(files)]


def _read_config(path: Path) -> Any:
    """The tree of nodes of a YAML file; nothing that its tags name is looked up, built or called."""
    import yaml

    check_input_file(path, "config.yml of a nerfstudio run")
    if (size := path.stat().st_size) > LARGEST_CONFIG:
        raise InputError("size", f"{size:,} bytes", f"a {CONFIG} of at most {LARGEST_CONFIG:,}", file=path)
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError("text", first_line(error), "YAML as ns-train writes it", file=path) from error
    if not isinstance(root, yaml.MappingNode):
        raise InputError("YAML", type(root).__name__, "a configuration as ns-train writes it", file=path)
    return root


def _find(node: Any, *keys: str) -> Any:
    """The node below a mapping, by its keys; None if there is none."""
    for key in keys:
        pairs = node.value if getattr(node, "id", None) == "mapping" else ()
        node = next((value for name, value in pairs if name.value == key), None)
    return node


def _text(node: Any, key: str) -> str | None:
    """A scalar below a mapping, as it is written; a list of parts, which nerfstudio makes of a path, with slashes between."""
    found = _find(node, key)
    if getattr(found, "id", None) == "sequence":
        parts = [part.value for part in found.value]
        return str(PurePosixPath(*parts)) if parts and all(isinstance(part, str) for part in parts) else None
    is_text = getattr(found, "id", None) == "scalar" and not found.tag.endswith(":null")
    return str(found.value) if is_text else None


def _tag(node: Any) -> str:
    """Class of the object that a node stands for, as text; "" if it says none."""
    return str(getattr(node, "tag", "")).rpartition("python/object:")[2]


def _data(root: Any, config: Path) -> Path | None:
    """Where the photos are, if they are there: as named, or in the folder that ns-train was run in."""
    manager = _find(root, "pipeline", "datamanager")
    places = ((root, "data"), (manager, "data"), (_find(manager, "dataparser"), "data"))
    named = next((text for node, key in places if (text := _text(node, key)) not in (None, ".")), None)
    if named is None:
        return None
    below = [_text(root, key) for key in ("output_dir", "experiment_name", "method_name", "timestamp")]
    depth = len(PurePosixPath(*filter(None, below)).parts)
    starts = [Path(), *config.absolute().parent.parents[depth - 1 : depth]]  # it does not matter to an absolute path
    return next((start / named for start in starts if (start / named).exists()), None)


def _photos_to_run(file: Path, data: Path | None, parser: str, format: str | None) -> Tensor:
    """The map from the frame of the photos into that of the run  # [4, 4]"""
    content = read_json_object(file)
    scale = _positive(content.get("scale"), "scale", file)
    matrix = _rigid(content.get("transform"), "transform", file)
    own = file if data is None else data if data.suffix == ".json" else data / "transforms.json"
    if format != "colmap" and not parser.startswith(OWN_PARSER) and own != file and own.is_file():
        meta = read_json_object(own)
        if "applied_transform" in meta or (own.parent / "colmap" / "sparse" / "0").is_dir():
            usual = [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0]]  # nerfstudio's, where the file is silent
            matrix = matrix @ np.linalg.inv(_rigid(meta.get("applied_transform", usual), "applied_transform", own))
        scale /= _positive(meta.get("applied_scale", 1.0), "applied_scale", own)
    elif data is None and format == "transforms":
        note(file, "the run's photos are not where it says; if their transforms.json has an applied_transform, it is not undone")
    matrix[:3] *= scale
    return torch.from_numpy(matrix)


def _positive(value: Any, field: str, file: Path) -> float:
    if not is_number(value) or not float(value) > 0:
        raise InputError(field, repr(value), "a positive number", file=file)
    return float(value)


def _rigid(rows: Any, field: str, file: Path) -> NDArray[np.float64]:
    """A turn, possibly a mirror, and a move, from three rows or four  # [4, 4]"""
    try:
        matrix = np.array(rows, np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape not in ((3, 4), (4, 4)) or not np.isfinite(matrix).all():
        raise InputError(field, f"shape {matrix.shape}", "3 x 4 finite numbers", file=file)
    if not np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-3):
        raise InputError(field, "not a rotation", "a rotation and a translation", file=file)
    return np.vstack([matrix[:3], [0.0, 0.0, 0.0, 1.0]])
