"""What comes with the package beside its code: sample scenes, and the notebooks, which ``scene-depth notebooks`` copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import tyro

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path, check_writable


def find_shipped(name: str) -> Path | None:
    """A folder of the checkout, or of the wheel, which has those that ``setup.py`` names; None if it is in neither."""
    here = Path(__file__).resolve()
    return next((folder for folder in (here.parents[2] / name, here.parent / name) if folder.is_dir()), None)


def find_sample(name: str = "table") -> Path:
    """Folder of a sample scene: posed photos with depth and masks, and below ``removed`` the same views without the object.

    Args:
        name: "table", which comes with the package and has splats; a checkout has "room" and "street" too.

    Raises:
        InputError: If there is no such scene here.

    Example:
        >>> import scene_depth as sd
        >>> sd.read_scene(sd.find_sample("table"))
        Scene(32 views of 320 x 240, 32 with masks, 32 with depth, 4,746 points, metric, from ...table)
    """
    found = find_shipped(f"scenes/{name}")
    if found is None or not (found / "transforms.json").is_file():
        hint = f"scene-depth scenes make {name} --output scenes, and scenes/{name} in place of the name"
        raise InputError("sample scene", repr(name), "table, which comes with the package", hint=hint)
    return found


def notebooks(output: tyro.conf.Positional[Path], overwrite: bool = False) -> None:
    """Copy the notebooks into a folder, to run and to change.

    Args:
        output: Folder to copy to, made if missing.
        overwrite: Replace notebooks of the same name that are there already.
    """
    folder = find_shipped("notebooks")
    files = [] if folder is None else sorted(folder.glob("*.ipynb"))
    if not files:
        raise InputError("notebooks", "none beside the package", "a checkout, or a package that was built from one")
    if output.exists() and not output.is_dir():
        raise InputError("output", "a file", "a folder", file=output)
    there = [file.name for file in files if (output / file.name).exists()]
    if there and not overwrite:
        hint = "another folder, or --overwrite, which loses what was changed in them"
        raise InputError("output", f"holds {', '.join(there)}", "a folder without them", file=output, hint=hint)
    check_writable(output)
    for file in files:
        with atomic_path(output / file.name) as temporary:
            shutil.copyfile(file, temporary)
        print(output / file.name)
    print(
        "\nOpen them in JupyterLab, VS Code or another editor of notebooks. What they use: pip install 'scene-depth[notebooks]'."
    )
