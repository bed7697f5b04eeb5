"""Pipelines: splatfacto's with an editor in the viewer, and the one that repairs a trained run before it trains on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from nerfstudio.pipelines.base_pipeline import VanillaPipeline, VanillaPipelineConfig
from nerfstudio.utils.rich_utils import CONSOLE
from scene_depth_heal.hole import HealView
from scene_depth_heal.inputs import load_views, photos_beside
from scene_depth_heal.masks import fit_masks
from scene_depth_heal.selection import Box, Region, SelectionSource, Sphere, parse_region, select
from scene_depth_heal.workflow import HealConfig, HealResult, heal_views
from torch import Tensor
from torch.nn.functional import interpolate

from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.placement import check_likeness
from scene_depth.rotations import matrices_to_quaternions, multiply_quaternions
from scene_depth.work import Progress
from scene_depth_nerfstudio.editor import SceneEditor
from scene_depth_nerfstudio.model import SceneSplatModel
from scene_depth_nerfstudio.scene_data import NAMES, SceneDataParser


@dataclass
class ScenePipelineConfig(VanillaPipelineConfig):
    """Splatfacto's pipeline with an editor in the viewer."""

    _target: type = field(default_factory=lambda: ScenePipeline)
    inpainter: str = "solver"
    """Depth inpainter of heals, by name or module:attribute, with options as in depthlab[weights=FOLDER]."""
    color: str = "exemplar"
    """Image inpainter of heals (exemplar, diffusion), or module:attribute."""
    heal_steps: int = 300
    """Steps that a heal fits its new splats for; 0 leaves them as they are made."""
    heal_max_size: int = 640
    """Longer side of the pictures that heals work on, in pixels."""


@dataclass
class SceneHealPipelineConfig(ScenePipelineConfig):
    """What is removed from the run of --load-dir, and how its place is repaired. Without masks, box, sphere and indices the masks
    of the scene select, and a run of scene-heal goes on training."""

    _target: type = field(default_factory=lambda: SceneHealPipeline)
    masks: Path | None = None
    """Folder of masks named like the images, white on the object."""
    box: str | None = None
    """"CX CY CZ SX SY SZ [QW QX QY QZ]" in the frame and unit of the photos, or a JSON file."""
    sphere: str | None = None
    """"CX CY CZ R" in the frame and unit of the photos, or a JSON file."""
    indices: Path | None = None
    """.npy or text file of the indices of splats."""
    mask_white: Literal["object", "keep"] | None = None
    """What white in masks is."""
    grow: int = 0
    """Steps by which the selection grows, or shrinks if negative."""
    check_placement: bool = True
    """Stop where the splats do not look like the photos from their cameras."""

    @property
    def source(self) -> SelectionSource:
        """What is removed, as scene-depth heal says it."""
        return SelectionSource(self.masks, self.box, self.sphere, self.indices, self.mask_white, grow=self.grow)


class ScenePipeline(VanillaPipeline):
    """Splatfacto's pipeline; ``editor`` shows under Custom Elements in the viewer."""

    config: ScenePipelineConfig

    def __init__(self, config: ScenePipelineConfig, device: str, **options: Any):
        super().__init__(config, device, **options)
        if not isinstance(self.model, SceneSplatModel):
            raise InputError("pipeline.model", type(self.model).__name__, "the model of scene-splat")
        self.editor = SceneEditor(self)

    @property
    def parser(self) -> SceneDataParser:
        """The data parser, which knows the scene.

        Raises:
            InputError: If it is another one.
        """
        parser = self.datamanager.dataparser
        if not isinstance(parser, SceneDataParser):
            raise InputError("data parser", type(parser).__name__, "scene-data, which heals take photos, masks and depth from")
        return parser

    def views_for_heals(self, source: SelectionSource | None = None) -> list[HealView]:
        """All photos at the working size, in the frame of the run."""
        return load_views(self.parser.scene_in_run(), self.config.heal_max_size, source)

    def show_in_photos(self, result: HealResult) -> None:
        """Lets training see the healed scene where the photos show what was removed."""
        states = {state.name: state for state in result.states}
        dataset = self.datamanager.train_dataset
        for index, name in enumerate(dataset.metadata[NAMES]):
            cached, state = self.datamanager.cached_train[index], states.get(name)
            if state is None:
                continue
            camera = dataset.cameras[index : index + 1].to(self.device)
            was_training = self.model.training
            self.model.eval()
            with torch.no_grad():
                now = self.model.get_outputs(camera)["rgb"]
            self.model.train(was_training)
            gone = interpolate(state.object_pixels[None, None].float(), now.shape[:2], mode="area")[0, 0] > 0
            image = cached["image"]
            now = now.to(image.device)
            now = (now * 255).round().to(torch.uint8) if image.dtype == torch.uint8 else now
            cached["image"] = torch.where(gone[..., None].to(image.device), now, image[..., :3])
            if "depth" in cached:
                cached["depth"] = torch.where(gone[..., None].to(cached["depth"].device), 0.0, cached["depth"])


class SceneHealPipeline(ScenePipeline):
    """Repairs the splats of a run, freezes the old ones and trains the new ones."""

    config: SceneHealPipelineConfig

    def heal(self) -> HealResult:
        """Removes what the configuration names and repairs the hole; the kept splats are frozen from now on, bit for bit.

        Raises:
            InputError: If the selection holds nothing or everything, or an input does not fit.
        """
        model, source = self.model, self.config.source
        depth_inpainter, image_inpainter = load_depth_inpainter(self.config.inpainter), load_image_inpainter(self.config.color)
        views = self.views_for_heals(source)
        with torch.no_grad():
            splats = model.splats().detach()
        check_likeness(splats, photos_beside(views), stop=self.config.check_placement)
        views, notes = fit_masks(splats, views)
        region = self._region()
        chosen = select(splats, views, source if region is None else region, self.config.grow)
        config = HealConfig(steps=self.config.heal_steps)
        result = heal_views(splats, chosen, views, depth_inpainter, image_inpainter, config, on_progress=say_progress)
        for note in (*notes, *result.report.notes):
            CONSOLE.print(note)
        kept = len(result.splats) - result.new
        CONSOLE.print(f"{len(splats) - kept:,} splats were removed and {result.new:,} made; {kept:,} are frozen.")
        model.exchange_splats(result.splats, frozen=kept)
        self.show_in_photos(result)
        return result

    def _region(self) -> Region | None:
        """The region that is removed, in the frame of the run."""
        named = ((self.config.box, Box), (self.config.sphere, Sphere))
        found = next(((text, kind) for text, kind in named if text is not None), None)
        if found is None:
            return None
        parser = self.parser
        region, (turn, scale) = parse_region(*found), parser.frame
        center = scale * (turn[:, :3] @ torch.tensor(region.center, dtype=torch.float64) + turn[:, 3])
        x, y, z = center.tolist()
        if isinstance(region, Sphere):
            return Sphere((x, y, z), scale * region.radius)
        width, height, depth = (scale * edge for edge in region.size)
        return Box((x, y, z), (width, height, depth), _turned(turn[:, :3], region.rotation))


def _turned(turn: Tensor, quat: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    w, x, y, z = multiply_quaternions(matrices_to_quaternions(turn), torch.tensor([quat], dtype=torch.float64)).flatten().tolist()
    return (w, x, y, z)


def say_progress(now: Progress) -> None:
    """Prints the end of each part of a heal."""
    if now.done == now.total or now.message:
        CONSOLE.log(f"heal, {now.stage}: {now.done} of {now.total}{'; ' if now.message else ''}{now.message}")
