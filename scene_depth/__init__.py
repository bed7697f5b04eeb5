"""Repair and extend 3D scenes with depth inpainting.

The names below are the public face; each is loaded when it is first used, so that ``import scene_depth`` is quick. What is
neither here nor in the ``__init__`` of a plug-in is private by convention and may change without notice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scene_depth_heal import (
        Box,
        Click,
        HealConfig,
        HealResult,
        Sphere,
        Stroke,
        clone,
        find_sample,
        heal,
        insert,
        retexture,
        select,
    )
    from scene_depth_outpaint import OutpaintConfig, OutpaintResult, outpaint
    from scene_depth_sparse import refine_pointmaps
    from scene_depth_viewer import view

    from scene_depth.cameras import Cameras
    from scene_depth.color.registry import available_image_inpainters, load_image_inpainter
    from scene_depth.depth.inpaint import inpaint_depth
    from scene_depth.depth.masks import known_mask
    from scene_depth.depth.model import DepthModel
    from scene_depth.depth.monocular import available_monocular_models, load_monocular_model
    from scene_depth.depth.protocol import DepthPrediction
    from scene_depth.depth.registry import available_depth_inpainters, load_depth_inpainter
    from scene_depth.errors import InputError
    from scene_depth.evaluation.depth_report import DepthReport, evaluate_depth
    from scene_depth.evaluation.depth_runs import DepthSettings
    from scene_depth.evaluation.scene_scores import SceneScore, evaluate_scene, mean_scores
    from scene_depth.fitting.config import CameraRefinement, FitConfig, Rates
    from scene_depth.fitting.density import MCMC, Default, Guided
    from scene_depth.fitting.fit import FitResult, fit
    from scene_depth.geometry.scan_projection import project_scan
    from scene_depth.io.pointmaps import read_pointmaps
    from scene_depth.io.scenes import read_scene, write_scene
    from scene_depth.io.splat_files import read_splats, write_splats
    from scene_depth.pointmaps import PointmapRun
    from scene_depth.rendering.rasterization import Render, render
    from scene_depth.scene import PointCloud, Scene, View
    from scene_depth.splats import GaussianSplats
    from scene_depth.work import Progress

    __version__: str

_HOMES = {
    "scene_depth.cameras": ("Cameras",),
    "scene_depth.color.registry": ("available_image_inpainters", "load_image_inpainter"),
    "scene_depth.depth.inpaint": ("inpaint_depth",),
    "scene_depth.depth.masks": ("known_mask",),
    "scene_depth.depth.model": ("DepthModel",),
    "scene_depth.depth.monocular": ("available_monocular_models", "load_monocular_model"),
    "scene_depth.depth.protocol": ("DepthPrediction",),
    "scene_depth.depth.registry": ("available_depth_inpainters", "load_depth_inpainter"),
    "scene_depth.errors": ("InputError",),
    "scene_depth.evaluation.depth_report": ("DepthReport", "evaluate_depth"),
    "scene_depth.evaluation.depth_runs": ("DepthSettings",),
    "scene_depth.evaluation.scene_scores": ("SceneScore", "evaluate_scene", "mean_scores"),
    "scene_depth.fitting.config": ("CameraRefinement", "FitConfig", "Rates"),
    "scene_depth.fitting.density": ("Default", "Guided", "MCMC"),
    "scene_depth.fitting.fit": ("FitResult", "fit"),
    "scene_depth.geometry.scan_projection": ("project_scan",),
    "scene_depth.io.pointmaps": ("read_pointmaps",),
    "scene_depth.io.scenes": ("read_scene", "write_scene"),
    "scene_depth.io.splat_files": ("read_splats", "write_splats"),
    "scene_depth.pointmaps": ("PointmapRun",),
    "scene_depth.rendering.rasterization": ("Render", "render"),
    "scene_depth.scene": ("PointCloud", "Scene", "View"),
    "scene_depth.splats": ("GaussianSplats",),
    "scene_depth.work": ("Progress",),
    "scene_depth_heal": (
        "Box",
        "Click",
        "HealConfig",
        "HealResult",
        "Sphere",
        "Stroke",
        "clone",
        "find_sample",
        "heal",
        "insert",
        "retexture",
        "select",
    ),
    "scene_depth_outpaint": ("OutpaintConfig", "OutpaintResult", "outpaint"),
    "scene_depth_sparse": ("refine_pointmaps",),
    "scene_depth_viewer": ("view",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "MCMC",
    "Box",
    "CameraRefinement",
    "Cameras",
    "Click",
    "Default",
    "DepthModel",
    "DepthPrediction",
    "DepthReport",
    "DepthSettings",
    "FitConfig",
    "FitResult",
    "GaussianSplats",
    "Guided",
    "HealConfig",
    "HealResult",
    "InputError",
    "OutpaintConfig",
    "OutpaintResult",
    "PointCloud",
    "PointmapRun",
    "Progress",
    "Rates",
    "Render",
    "Scene",
    "SceneScore",
    "Sphere",
    "Stroke",
    "View",
    "__version__",
    "available_depth_inpainters",
    "available_image_inpainters",
    "available_monocular_models",
    "clone",
    "evaluate_depth",
    "evaluate_scene",
    "find_sample",
    "fit",
    "heal",
    "inpaint_depth",
    "insert",
    "known_mask",
    "load_depth_inpainter",
    "load_image_inpainter",
    "load_monocular_model",
    "mean_scores",
    "outpaint",
    "project_scan",
    "read_pointmaps",
    "read_scene",
    "read_splats",
    "refine_pointmaps",
    "render",
    "retexture",
    "select",
    "view",
    "write_scene",
    "write_splats",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("scene-depth")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'scene_depth' has no attribute {name!r}")
    try:
        module = import_module(home)
    except ModuleNotFoundError as error:
        if error.name != home:
            raise
        raise AttributeError(f"scene_depth.{name} needs the plug-in {home}, which is not installed") from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
