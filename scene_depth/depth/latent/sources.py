"""Finds the weights of a model: a local folder first, then the hub's local cache, a download only on request.

A model release often is spread over several hub repositories. ``locate`` finds all of them or says in one error what is
missing, with ids, files and sizes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scene_depth.errors import InputError, first_line

VARIABLE = "SCENE_DEPTH_CHECKPOINTS"
DEFAULT_ROOT = "checkpoints"


@dataclass(frozen=True)
class HubFile:
    """One file of a repository.

    Attributes:
        names: Path inside the repository, then accepted alternatives such as another format; the first found is taken.
        size: Size in words such as "3.5 GB"; empty for small files.
    """

    names: tuple[str, ...]
    size: str = ""

    def __str__(self) -> str:
        return " or ".join(self.names) + (f" ({self.size})" if self.size else "")


@dataclass(frozen=True)
class HubModel:
    """One repository of the hub, and the files of it that are needed.

    Attributes:
        hub_id: ``owner/name``.
        files: The files needed.
        license: As its model card says; "" if it is not known here.
    """

    hub_id: str
    files: tuple[HubFile, ...]
    license: str = ""

    @property
    def folder(self) -> str:
        """Name of its folder among the checkpoints, as official instructions have it."""
        return self.hub_id.rpartition("/")[2]

    def missing_in(self, folder: Path) -> list[HubFile]:
        """The files that a local folder lacks."""
        return [file for file in self.files if not any((folder / name).is_file() for name in file.names)]


@dataclass(frozen=True)
class Wanted:
    """A model and where it may come from.

    Attributes:
        model: The model.
        places: Local folders to look into, the best first.
        cache: Whether the hub's local cache may be used.
        download: Whether missing files may be fetched; only where the user asked for this model by its id.
    """

    model: HubModel
    places: tuple[Path, ...] = ()
    cache: bool = True
    download: bool = False


def checkpoint_roots() -> tuple[Path, ...]:
    """Folders that hold one folder a model: that of the environment variable if it is set, then ``checkpoints``."""
    named = os.environ.get(VARIABLE)
    return (*([Path(named).expanduser()] if named else []), Path(DEFAULT_ROOT))


def wanted(model: HubModel, source: str | Path | None = None, roots: Sequence[Path] | None = None) -> Wanted:
    """What a user's words mean.

    Args:
        model: The model, with its default hub id.
        source: A local folder with the model's files; or a hub id, which may be downloaded; or None for the default:
            ``ROOT/NAME`` of the roots, then the hub's local cache.
        roots: Folders that hold one folder a model; ``checkpoint_roots()`` by default.

    Raises:
        InputError: If ``source`` is neither a folder nor looks like a hub id.
    """
    if source is None:
        return Wanted(model, tuple(root / model.folder for root in (checkpoint_roots() if roots is None else roots)))
    folder = Path(source).expanduser()
    if folder.is_dir():
        return Wanted(model, (folder,), cache=False)
    if not is_hub_id(str(source)):
        raise InputError("weights", "no such folder", f"a folder with {model.hub_id}, or a hub id", file=source)
    return Wanted(replace(model, hub_id=str(source)), download=True)


def is_hub_id(text: str) -> bool:
    """Whether a text has the form ``owner/name``, and is no path by its look."""
    return text.count("/") == 1 and not text.startswith(("/", ".", "~")) and not text.endswith("/") and "\\" not in text


def locate(models: Sequence[Wanted], hint: str | None = None) -> list[Path]:
    """The local folder of each model.

    Args:
        models: The models.
        hint: The command that fetches what is missing, for the error.

    Raises:
        InputError: One for all models that are not there, with their ids, licences, missing files and sizes.
    """
    found = [_find(one) for one in models]
    lacking = [_said(one) for one, folder in zip(models, found, strict=True) if folder is None]
    if lacking:
        looked = ", ".join(dict.fromkeys(str(place.parent) for one in models for place in one.places)) or "the given folder"
        raise InputError(
            "weights",
            f"not on this machine (looked in {looked}, and the hub's local cache): " + "; ".join(lacking),
            f"these files in folders named like the models in ./{DEFAULT_ROOT} or in ${VARIABLE}, or a folder, or a hub id to "
            "download from",
            hint=hint,
        )
    return [folder for folder in found if folder is not None]


def _find(one: Wanted) -> Path | None:
    missing = {place: one.model.missing_in(place) for place in one.places}
    for place, files in missing.items():
        if not files:
            return place
    if missing and not one.cache:  # the user named this very folder
        place = min(missing, key=lambda folder: len(missing[folder]))
        raise InputError("weights", f"no {missing[place][0]}", _listed(one.model.files), file=place)
    cached = _cached(one.model) if one.cache else None
    if cached is None and one.download:
        return _downloaded(one.model)
    return cached


def _cached(model: HubModel) -> Path | None:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        return None
    try:
        folder = Path(snapshot_download(model.hub_id, local_files_only=True))
    except Exception:  # the hub's errors for "not in the cache" share no base over its versions
        return None
    return None if model.missing_in(folder) else folder


def _downloaded(model: HubModel) -> Path:
    try:
        paths = [_fetch(model.hub_id, file.names) for file in model.files]
    except Exception as error:  # network, hub and file errors share no base
        raise InputError(
            f"weights {model.hub_id}",
            f"could not be fetched ({first_line(error)})",
            f"a local folder, or the hub's model {model.hub_id!r} within reach, with {_listed(model.files)}",
        ) from error
    return paths[0]


def _fetch(hub_id: str, names: Sequence[str]) -> Path:
    """Fetches the first of the names that the repository has, and gives the repository's local folder."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in names[:-1]:
        try:
            return Path(hf_hub_download(hub_id, name)).parents[name.count("/")]
        except LocalEntryNotFoundError:  # the hub is out of reach; it is a kind of EntryNotFoundError
            raise
        except EntryNotFoundError:
            continue
    return Path(hf_hub_download(hub_id, names[-1])).parents[names[-1].count("/")]


def _said(one: Wanted) -> str:
    """The model and its large files, each by its first name: an error has little room."""
    terms = f" ({one.model.license})" if one.model.license else ""
    large = [f"{file.names[0]} ({file.size})" for file in one.model.files if file.size]
    return f"{one.model.hub_id}{terms} with {', '.join(large) or _listed(one.model.files)}"


def _listed(files: Sequence[HubFile]) -> str:
    return ", ".join(str(file) for file in files)
