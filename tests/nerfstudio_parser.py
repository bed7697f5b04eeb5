"""nerfstudio's data parser in a process of its own, since it pins older versions of packages than ours.

``parse_with_nerfstudio`` is for the tests; run as a script, this file is the other process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
PLAIN = {"orientation_method": "none", "center_method": "none", "auto_scale_poses": False, "load_3D_points": True}


@dataclass(frozen=True)
class Parsed:
    """What their parser and their loaders of images give for a scene.

    Attributes:
        image_filenames, mask_filenames, depth_filenames: Paths of each view; the last two may be empty.
        transform: Their change of frame # [3, 4]
        camera_to_worlds: OpenGL axes # [C, 3, 4]
        intrinsics: # [C, 3, 3]
        sizes: Width and height # [C, 2]
        depths: Of each view that has one, in scene units  # [H, W]
        masks: Of each view that has one  # [H, W] bool
        xyz, rgb: Points; empty if there are none # [N, 3]
    """

    image_filenames: list[Path]
    mask_filenames: list[Path]
    depth_filenames: list[Path]
    transform: NDArray[np.float64]
    camera_to_worlds: NDArray[np.float32]
    intrinsics: NDArray[np.float32]
    sizes: NDArray[np.int64]
    depths: list[NDArray[np.float32]]
    masks: list[NDArray[np.bool_]]
    xyz: NDArray[np.float32]
    rgb: NDArray[np.uint8]


def nerfstudio_folder() -> Path:
    """Folder that holds nerfstudio and the versions it pins; skips the test if there is none."""
    folder = Path(os.environ.get("SCENE_DEPTH_NERFSTUDIO", ROOT / ".venv" / "nerfstudio")).resolve()
    if not (folder / "nerfstudio").is_dir():
        pytest.skip(f"no nerfstudio in {folder}; make test installs it, or set SCENE_DEPTH_NERFSTUDIO to a folder that holds it")
    return folder


def parse_with_nerfstudio(data: Path, output: Path, split: str = "train", images: int = 1 << 30, **options: Any) -> Parsed:
    """Reads a scene with nerfstudio's data parser, every change of frame switched off.

    Args:
        data: Folder of transforms.json.
        output: Folder for what the other process writes.
        split: "train" or "test".
        images: Most depth images and masks to load.
        options: Of its NerfstudioDataParserConfig.
    """
    output.mkdir(parents=True, exist_ok=True)
    file = output / "parsed.npz"
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**own, "PYTHONPATH": os.pathsep.join([str(nerfstudio_folder()), *filter(None, sys.path)])}
    asked = json.dumps({"data": str(data), "split": split, "images": images, "options": {**PLAIN, **options}})
    command = [sys.executable, __file__, asked, str(file)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    with np.load(file) as arrays:
        names = json.loads(str(arrays["names"]))
        return Parsed(
            *([Path(name) for name in names[kind]] for kind in ("image_filenames", "mask_filenames", "depth_filenames")),
            *(arrays[name] for name in ("transform", "camera_to_worlds", "intrinsics", "sizes")),
            depths=[arrays[f"depth{number}"] for number in range(int(arrays["depths"]))],
            masks=[arrays[f"mask{number}"] for number in range(int(arrays["masks"]))],
            xyz=arrays["xyz"],
            rgb=arrays["rgb"],
        )


def _parse(data: str, split: str, images: int, options: dict[str, Any], file: str) -> None:
    sys.modules.setdefault("open3d", SimpleNamespace(io=SimpleNamespace(read_point_cloud=_vertices)))  # type: ignore[arg-type]
    from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
    from nerfstudio.data.utils.data_utils import get_depth_image_from_path, get_image_mask_tensor_from_path

    outputs = NerfstudioDataParserConfig(data=Path(data), **options).setup().get_dataparser_outputs(split=split)
    cameras, metadata = outputs.cameras, outputs.metadata
    depths, masks = metadata.get("depth_filenames") or [], outputs.mask_filenames or []
    arrays: dict[str, Any] = {}
    scale = metadata.get("depth_unit_scale_factor", 1.0) * outputs.dataparser_scale  # as their DepthDataset multiplies
    for number, path in enumerate(depths[:images]):
        size = int(cameras.height[number]), int(cameras.width[number])
        arrays[f"depth{number}"] = get_depth_image_from_path(path, *size, scale)[..., 0].numpy()
    for number, path in enumerate(masks[:images]):
        arrays[f"mask{number}"] = get_image_mask_tensor_from_path(path)[..., 0].numpy()
    names = {"image_filenames": outputs.image_filenames, "mask_filenames": masks, "depth_filenames": depths}
    np.savez(
        file,
        names=json.dumps({kind: [str(path) for path in paths] for kind, paths in names.items()}),
        transform=outputs.dataparser_transform.numpy()[:3],
        camera_to_worlds=cameras.camera_to_worlds.numpy(),
        intrinsics=cameras.get_intrinsics_matrices().numpy(),
        sizes=np.concatenate([cameras.width.numpy(), cameras.height.numpy()], axis=1),
        depths=len(depths[:images]),
        masks=len(masks[:images]),
        xyz=np.zeros((0, 3)) if "points3D_xyz" not in metadata else metadata["points3D_xyz"].numpy(),
        rgb=np.zeros((0, 3)) if "points3D_rgb" not in metadata else metadata["points3D_rgb"].numpy(),
        **arrays,
    )


def _vertices(path: str) -> SimpleNamespace:
    """Stands for open3d, which their parser asks for the vertices of a .ply only."""
    import plyfile

    vertex = plyfile.PlyData.read(path)["vertex"]
    points = np.stack([vertex[axis] for axis in "xyz"], axis=-1)
    return SimpleNamespace(points=points, colors=np.stack([vertex[c] for c in ("red", "green", "blue")], axis=-1) / 255)


if __name__ == "__main__":
    _parse(**json.loads(sys.argv[1]), file=sys.argv[2])
