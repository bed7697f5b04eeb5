"""What is fuzzed: for every reader a small valid file, made by this program or by hand, and what must hold of what is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pointmap_samples import make_samples, write_dust3r, write_glb, write_monst3r, write_pi3, write_vggt
from scene_depth_heal.insert_cli import read_matrix
from scene_depth_heal.selection import Box, SelectionSource, read_region, write_region
from scene_depth_viewer.camera_path import read_path
from scene_samples import sample_scene, smooth_image
from splat_samples import random_splats

import scene_depth as sd
from scene_depth.cameras import Cameras
from scene_depth.depth.latent.state_dicts import read_state_dict, write_state_dict
from scene_depth.depth.solver.gate import EMBEDDED, load_gate, save_gate
from scene_depth.io.camera_paths import read_camera_path
from scene_depth.io.colmap import write_colmap
from scene_depth.io.depth_images import depth_size, read_depth, write_depth
from scene_depth.io.images import image_size, read_image, read_mask
from scene_depth.io.intrinsics_files import read_intrinsics
from scene_depth.io.point_ply import read_point_ply, write_point_ply
from scene_depth.io.scenes import read_scene, write_scene
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.io.torch_files import write_torch
from scene_depth.io.tracked_points import read_tracked_points, write_tracked_points
from scene_depth.io.trajectories import read_trajectory
from scene_depth.io.velodyne import read_scan_calibration, read_velodyne
from scene_depth.pointmaps import PointmapRun
from scene_depth.scene import PointCloud, Scene
from scene_depth.splats import GaussianSplats
from scene_depth.training.checkpoints import CHECKPOINT, Checkpoint, load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        make: Writes a valid input into an empty folder; gives the file to mutate.
        read: Reads the input, given the mutated file.
        check: Whether what was read can be used; what fails here was wrong in silence.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    check: Callable[[Any], bool] = lambda value: True


def splats_file(name: str, degree: int = 1, **options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write_splats(folder / name, random_splats(12, degree), **options)
        return folder / name

    return make


def depth_file(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write_depth(folder / name, np.linspace(0.5, 9, 20 * 16, dtype=np.float32).reshape(16, 20))
        return folder / name

    return make


def color_scene_file(name: str) -> Callable[[Path], Path]:
    """A folder in the layout of TUM RGB-D, whose frames are paired by the times in lists."""

    def make(folder: Path) -> Path:
        root = folder / "scene"
        for part in ("rgb", "depth"):
            (root / part).mkdir(parents=True)
        times = (1.0, 1.1, 1.2)
        for index, time in enumerate(times):
            Image.fromarray(smooth_image(16, 20, index)).save(root / "rgb" / f"{time:.6f}.png")
            write_depth(root / "depth" / f"{time + 0.005:.6f}.png", np.full((16, 20), 2, np.float32), format="tum")
        (root / "rgb.txt").write_text("# color images\n" + "".join(f"{time:.6f} rgb/{time:.6f}.png\n" for time in times))
        (root / "depth.txt").write_text("".join(f"{time + 0.005:.6f} depth/{time + 0.005:.6f}.png\n" for time in times))
        (root / "groundtruth.txt").write_text("".join(f"{time:.4f} {time} 0 1 0 0 0 1\n" for time in times))
        (root / "intrinsics.txt").write_text("20 20 10 8\n")
        return root / name

    return make


def image_file(name: str, mode: str = "RGB") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        Image.fromarray(smooth_image(16, 20)).convert(mode).save(folder / name)
        return folder / name

    return make


def scene_file(format: str, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "photos").mkdir()
        write_scene(folder / "scene", sample_scene(folder / "photos", views=2, points=5, masks=False), format=format)
        return next(iter(sorted((folder / "scene").rglob(name))))

    return make


def colmap_text_file(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "photos").mkdir()
        scene = sample_scene(folder / "photos", views=2, points=5, masks=False)
        plain = [replace(view, name=f"{index}.png") for index, view in enumerate(scene.views)]
        seen = {view.name: indices for view, indices in zip(plain, scene.points.observations.values(), strict=True)}
        points = replace(scene.points, observations=seen)
        write_colmap(folder / "scene", replace(scene, views=tuple(plain), points=points), binary=False)
        return folder / "scene" / "sparse" / "0" / name

    return make


def text_file(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text, encoding="utf-8")
        return folder / name

    return make


def point_file(folder: Path) -> Path:
    write_point_ply(folder / "points.ply", PointCloud(np.random.default_rng(0).normal(size=(9, 3)), np.full((9, 3), 7, np.uint8)))
    return folder / "points.ply"


def ascii_point_file(folder: Path) -> Path:
    rows = "\n".join(f"{x} {x + 1} {x - 1} 10 20 30" for x in np.linspace(-1, 1, 8))
    names = [*(f"property float {axis}" for axis in "xyz"), *(f"property uchar {color}" for color in ("red", "green", "blue"))]
    header = "\n".join(["ply", "format ascii 1.0", "element vertex 8", *names, "end_header"])
    return text_file("points.ply", f"{header}\n{rows}\n")(folder)


def tracked_file(folder: Path) -> Path:
    seen = {"a.png": np.array([0, 2]), "b.png": np.array([1])}
    write_tracked_points(folder / "points.npz", PointCloud(np.eye(3), np.full((3, 3), 7, np.uint8), np.ones(3), seen))
    return folder / "points.npz"


def camera_path_file(folder: Path) -> Path:
    pose = np.eye(4).reshape(-1).tolist()
    path = {
        "render_width": 64,
        "render_height": 48,
        "fps": 24,
        "camera_path": [{"camera_to_world": pose, "fov": 50.0, "aspect": 1.3}] * 2,
    }
    return text_file("path.json", json.dumps(path))(folder)


def region_file(folder: Path) -> Path:
    write_region(folder / "region.json", Box((0, 0, 1), (1, 2, 3)))
    return folder / "region.json"


def gate_file(folder: Path) -> Path:
    save_gate(folder / "gate.npz", vars(load_gate(EMBEDDED)))
    return folder / "gate.npz"


def calibration_folder(folder: Path) -> Path:
    lines = "".join(
        f"S_rect_0{camera}: 1242 375\nP_rect_0{camera}: 721.5 0 609.5 44.8 0 721.5 172.8 0.2 0 0 1 0.003\n" for camera in range(4)
    )
    text_file("calib_velo_to_cam.txt", "R: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.08 -0.27\n")(folder)
    return text_file("calib_cam_to_cam.txt", f"R_rect_00: 1 0 0 0 1 0 0 0 1\n{lines}")(folder)


def scan_file(folder: Path) -> Path:
    np.random.default_rng(0).uniform(1, 30, (40, 4)).astype("<f4").tofile(folder / "000000.bin")
    return folder / "000000.bin"


def weights_file(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        state = {"enter.weight": torch.ones(3, 2), "leave.bias": torch.zeros(4)}
        write = write_state_dict if name.endswith(".safetensors") else write_torch
        write(folder / name, state)
        return folder / name

    return make


def training_checkpoint(folder: Path) -> Path:
    save_checkpoint(folder, Checkpoint(3, {"train": {"steps": 9}}, {"a": torch.ones(3)}, {"state": {}}, None, 0, None, 1.5))
    return folder / CHECKPOINT


def indices_file(folder: Path) -> Path:
    np.save(folder / "indices.npy", np.array([0, 3, 7]))
    return folder / "indices.npy"


def chosen_indices(path: Path) -> torch.Tensor:
    return SelectionSource(indices=path).chosen(random_splats(12), ())


def usable_splats(splats: GaussianSplats) -> bool:
    return len(splats) > 0 and splats.means.shape == (len(splats), 3)


def usable_depth(depth: np.ndarray) -> bool:
    return depth.ndim == 2 and bool(np.isfinite(depth).all()) and bool((depth >= 0).all())


def usable_cameras(cameras: Cameras) -> bool:
    return bool(torch.isfinite(cameras.camera_to_world).all() and torch.isfinite(cameras.K).all())


def usable_scene(scene: Scene) -> bool:
    points = scene.points is None or bool(np.isfinite(scene.points.xyz).all())
    return len(scene) > 0 and points and all(usable_cameras(view.camera) for view in scene.views)


def read_whole_scene(path: Path) -> Scene:
    """The scene that a file belongs to, and every photo and depth of it."""
    folder = next(parent for parent in path.parents if parent.name == "scene")
    scene = read_scene(folder)
    for view in scene.views:
        view.image()
        if view.load_depth is not None:
            view.depth()
    return scene


CALIBRATION = "\n".join(
    [
        "P2: 721.5 0 609.5 44.8 0 721.5 172.8 0.2 0 0 1 0.002",
        "R0_rect: 1 0 0 0 1 0 0 0 1",
        "Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27",
        "",
    ]
)
POSES = "".join(f"{time} {time} 0 1 0 0 0 1\n" for time in (0.1, 0.2, 0.3))


def usable_points(points: PointCloud) -> bool:
    return bool(np.isfinite(points.xyz).all())


def usable_lens(value: Any) -> bool:
    return bool(np.isfinite(value.K).all())


K_JSON = json.dumps({"fx": 500, "fy": 510.5, "cx": 320, "cy": 240, "width": 640, "height": 480})


def pointmap_file(write: Callable[..., Path], name: str, file: str = "") -> Callable[[Path], Path]:
    """A run of two small views; ``file`` is what is mutated where the run is a folder."""

    def make(folder: Path) -> Path:
        samples = make_samples(folder / "photos", "dust3r 512", 32, count=2)
        return write(folder / name, samples) / file if file else write(folder / name, samples)

    return make


def read_pointmap_folder(path: Path) -> PointmapRun:
    return sd.read_pointmaps(next(parent for parent in path.parents if parent.name == "run"))


def usable_run(run: PointmapRun) -> bool:
    cameras = all(usable_cameras(view.camera) for view in run.views)
    return cameras and all(bool(np.isfinite(view.depth).all() and (view.depth >= 0).all()) for view in run.views)


POINTMAPS: dict[str, tuple[Callable[..., Path], str]] = {
    "vggt": (write_vggt, "a.npz"),
    "dust3r": (write_dust3r, "b.npz"),
    "pi3": (write_pi3, "c.npz"),
    "glb": (write_glb, "d.glb"),
}
SPLATS: dict[str, dict[str, Any]] = {
    "a.ply": {"degree": 1},
    "b.compressed.ply": {"degree": 1},
    "c.splat": {"degree": 0},
    "d.spz": {"degree": 1, "version": 2},
    "e.spz": {"degree": 2, "version": 3, "axes": "RUB"},
    "f.spz": {"degree": 1, "version": 4},
    "g.sog": {"degree": 1},
    "h.glb": {"degree": 1},
}
DEPTHS = ("a.png", "b.tif", "c.pgm", "d.npy", "e.npz", "f.exr", "g.pfm", "h.bin")
PHOTOS = {"a.png": "RGB", "b.png": "P", "c.png": "RGBA", "d.jpg": "RGB", "e.tif": "RGB", "f.webp": "RGB", "g.bmp": "RGB"}
SCENES = (
    ("transforms", "transforms.json"),
    ("scene", "*.json"),
    ("colmap", "cameras.*"),
    ("colmap", "images.*"),
    ("colmap", "points3D.*"),
    ("rgbd", "*.txt"),
)
TARGETS: dict[str, Target] = {
    **{f"splats {name}": Target(splats_file(name, **options), read_splats, usable_splats) for name, options in SPLATS.items()},
    **{f"depth {name}": Target(depth_file(name), read_depth, usable_depth) for name in DEPTHS},
    **{f"size of depth {name}": Target(depth_file(name), depth_size) for name in DEPTHS},
    **{f"photo {name} {mode}": Target(image_file(name, mode), read_image) for name, mode in PHOTOS.items()},
    "mask": Target(image_file("a.png", "L"), read_mask),
    "size of photo": Target(image_file("a.png"), image_size),
    "points binary": Target(point_file, read_point_ply, usable_points),
    "points ascii": Target(ascii_point_file, read_point_ply, usable_points),
    "tracked points": Target(tracked_file, read_tracked_points),
    "camera path": Target(camera_path_file, read_camera_path, lambda value: usable_cameras(value[0])),
    "camera path of the viewer": Target(camera_path_file, read_path),
    "region": Target(region_file, read_region),
    "indices": Target(indices_file, chosen_indices),
    "indices text": Target(text_file("a.txt", "0\n3\n7\n"), chosen_indices),
    "matrix": Target(text_file("m.json", json.dumps({"matrix": np.eye(4).tolist()})), read_matrix),
    "gate": Target(gate_file, load_gate),
    **{f"weights {name}": Target(weights_file(name), read_state_dict) for name in ("a.safetensors", "b.pt")},
    "checkpoint of a training": Target(training_checkpoint, lambda path: load_checkpoint(path.parent)),
    "scan": Target(scan_file, read_velodyne, lambda points: bool(np.isfinite(points[:, :3]).all())),
    "calibration": Target(text_file("calib.txt", CALIBRATION), read_scan_calibration, usable_lens),
    "calibration folder": Target(calibration_folder, lambda path: read_scan_calibration(path.parent), usable_lens),
    "intrinsics text": Target(text_file("K.txt", "500 0 320\n0 510 240\n0 0 1\n"), read_intrinsics, usable_lens),
    "intrinsics json": Target(text_file("K.json", K_JSON), read_intrinsics, usable_lens),
    "trajectory": Target(text_file("poses.txt", POSES), read_trajectory),
    **{f"scene {kind} {name}": Target(scene_file(kind, name), read_whole_scene, usable_scene) for kind, name in SCENES},
    **{
        f"scene colmap text {name}": Target(colmap_text_file(name), read_whole_scene, usable_scene)
        for name in ("cameras.txt", "images.txt", "points3D.txt")
    },
    **{
        f"pointmaps {name}": Target(pointmap_file(*how), lambda path: sd.read_pointmaps(path, trust_file=True), usable_run)
        for name, how in POINTMAPS.items()
    },
    "pointmaps monst3r": Target(pointmap_file(write_monst3r, "run", "pred_traj.txt"), read_pointmap_folder, usable_run),
    **{
        f"scene tum {name}": Target(color_scene_file(name), read_whole_scene, usable_scene)
        for name in ("rgb.txt", "depth.txt", "groundtruth.txt", "intrinsics.txt")
    },
}
