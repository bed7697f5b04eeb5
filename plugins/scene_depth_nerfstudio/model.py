"""Splatfacto on the renderer of scene_depth: on a CPU or a GPU, with depth, with masks that count, and resumable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from nerfstudio.cameras.cameras import Cameras as RunCameras
from nerfstudio.model_components.lib_bilagrid import BilateralGrid, total_variation_loss
from nerfstudio.models.splatfacto import SplatfactoModel, SplatfactoModelConfig, random_quat_tensor
from nerfstudio.utils.colors import get_color
from pytorch_msssim import SSIM
from torch import Tensor
from torchmetrics.image import PeakSignalNoiseRatio

from scene_depth.cameras import Cameras
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.depth.supervision import complete_for_supervision
from scene_depth.errors import InputError
from scene_depth.fitting.density import MCMC, Default, Guided, Strategy
from scene_depth.fitting.initialization import neighbour_distances
from scene_depth.fitting.losses import depth_loss, opacity_and_scale_penalty, photometric_loss
from scene_depth.fitting.relocation import Parameters, edit_rows
from scene_depth.geometry.depth_resampling import resize_sparse_depth
from scene_depth.io.posed_views import OPENGL_AXES
from scene_depth.rendering import Render, render
from scene_depth.spherical_harmonics import C0
from scene_depth.splats import GaussianSplats

NAMES = ("means", "scales", "quats", "features_dc", "features_rest", "opacities")
"""Parameters of a splat, by splatfacto's names."""
STRATEGIES: dict[str, Callable[..., Strategy]] = {"guided": Guided, "mcmc": MCMC, "default": Default}
MARKED = torch.tensor([0.9, 0.1, 0.1])  # colour of selected splats in the viewer


@dataclass
class SceneSplatModelConfig(SplatfactoModelConfig):
    """Splatfacto on scene_depth's renderer, with depth."""

    _target: type = field(default_factory=lambda: SceneSplatModel)
    depth_weight: float = 0.2
    """Weight of the mean distance to known depth, in median depths of the view; 0 for none."""
    depth_inpainter: str | None = None
    """Depth inpainter that completes known depth once a view, such as solver or depthlab[weights=FOLDER]; what it fills counts
    the less, the less sure it is. By default known depth is used as it is."""
    densification: Literal["splatfacto", "guided", "mcmc", "default", "none"] = "splatfacto"
    """What adds and removes splats: splatfacto's own rules; those of scene-depth fit within max_splats; or nothing."""
    max_splats: int = 1_000_000
    """Number of splats that densification of scene_depth may reach."""
    densify_steps: int = 30_000
    """Steps of the training that densification of scene_depth reckons with."""


class SceneSplatModel(SplatfactoModel):
    """See the module. Parameters, checkpoints and outputs are those of splatfacto, so that all commands of nerfstudio work.

    Attributes:
        frozen: How many splats, from the first, never change.
        marked: Which splats the viewer shows as selected; None for none  # [N] bool
    """

    config: SceneSplatModelConfig

    def populate_modules(self) -> None:
        """Makes what splatfacto makes, on any device and without a download."""
        config, points = self.config, None if self.config.random_init else self.seed_points
        if points is not None:
            means = points[0].detach().float().clone()
        else:
            means = (torch.rand(config.num_random, 3) - 0.5) * config.random_scale
        widths = torch.from_numpy(neighbour_distances(means.cpu().numpy().astype(np.float64))).float()
        base = torch.rand(len(means), 3)
        if points is not None and len(points[1]):
            share = points[1].float() / 255
            base = (share - 0.5) / C0 if config.sh_degree > 0 else torch.logit(share, eps=1e-10)
        values = {
            "means": means,
            "scales": widths.log()[:, None].repeat(1, 3),
            "quats": random_quat_tensor(len(means)),
            "features_dc": base,
            "features_rest": torch.zeros(len(means), (config.sh_degree + 1) ** 2 - 1, 3),
            "opacities": torch.logit(torch.full((len(means), 1), 0.1)),
        }
        self.gauss_params = torch.nn.ParameterDict({name: torch.nn.Parameter(values[name]) for name in NAMES})
        self.camera_optimizer = config.camera_optimizer.setup(num_cameras=self.num_train_data, device="cpu")
        if config.use_bilateral_grid:
            width, height, depth = config.grid_shape
            self.bil_grids = BilateralGrid(num=self.num_train_data, grid_X=width, grid_Y=height, grid_W=depth)
        self.psnr = PeakSignalNoiseRatio(data_range=1.0)
        self.ssim = SSIM(data_range=1.0, size_average=True, channel=3)
        self.lpips = LpipsIfThere()
        self.step = 0
        self.crop_box = None
        is_random = config.background_color == "random"
        self.background_color = torch.tensor([0.1490, 0.1647, 0.2157]) if is_random else get_color(config.background_color)
        self.frozen = 0
        self.marked: Tensor | None = None
        self._render: Render | None = None
        self._targets: dict[int, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}
        self._inpainter = None if config.depth_inpainter is None else load_depth_inpainter(config.depth_inpainter)
        self.make_strategy()

    def make_strategy(self) -> None:
        """Begins densification anew, as after the splats were exchanged."""
        config = self.config
        if config.densification in STRATEGIES:
            self.strategy = STRATEGIES[config.densification](refine_every=config.refine_every, refine_start=config.warmup_length)
            self.strategy_state = self.strategy.initialize_state(steps=config.densify_steps, max_splats=config.max_splats)
            return
        from gsplat.strategy import DefaultStrategy

        self.strategy = DefaultStrategy(
            prune_opa=config.cull_alpha_thresh,
            grow_grad2d=config.densify_grad_thresh,
            grow_scale3d=config.densify_size_thresh,
            grow_scale2d=config.split_screen_size,
            prune_scale3d=config.cull_scale_thresh,
            prune_scale2d=config.cull_screen_size,
            refine_scale2d_stop_iter=config.stop_screen_size_at,
            refine_start_iter=config.warmup_length,
            refine_stop_iter=config.stop_split_at,
            reset_every=config.reset_alpha_every * config.refine_every,
            refine_every=config.refine_every,
            pause_refine_after_reset=self.num_train_data + config.refine_every,
            absgrad=config.use_absgrad,
            verbose=False,
        )
        self.strategy_state = self.strategy.initialize_state(scene_scale=1.0)

    @property
    def densifies(self) -> bool:
        """Whether splats are added and removed."""
        return self.config.densification != "none" and not self.frozen

    def load_state_dict(self, dict: dict[str, Tensor], **_: Any) -> Any:
        """Takes over a checkpoint of this method or of splatfacto, of any number of splats.

        Parameters stay the tensors that optimizers hold, so that a densified run goes on as it was (nerfstudio #3554).

        Raises:
            InputError: If a parameter of the splats is missing.
        """
        self.step = 30000
        named = {name: dict.get(f"gauss_params.{name}", dict.get(name)) for name in NAMES}
        for name, values in named.items():
            if values is None:
                raise InputError("checkpoint", f"no {name}", f"the parameters {', '.join(NAMES)} of splatfacto")
            self.gauss_params[name].data = values.detach().to(self.device).float().clone()
        own = self.state_dict()
        rest = {key: values for key, values in dict.items() if key in own and not key.startswith("gauss_params.")}
        self.frozen = int(dict.get("frozen", 0))
        self.marked = None
        self.make_strategy()
        return torch.nn.Module.load_state_dict(self, rest, strict=False)

    def state_dict(self, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        """As of every module; and how many splats are frozen, if any are."""
        found: dict[str, Any] = super().state_dict(*arguments, **keywords)
        if self.frozen:
            found[f"{keywords.get('prefix', '')}frozen"] = torch.tensor(self.frozen)
        return found

    def splats(self) -> GaussianSplats:
        """The splats; gradients flow into those that are not frozen."""
        p = {name: self._changing(self.gauss_params[name]) for name in NAMES}
        base = p["features_dc"] if self.config.sh_degree > 0 else (p["features_dc"].sigmoid() - 0.5) / C0
        sh = torch.cat([base[:, None], p["features_rest"]], dim=1)
        antialiased = self.config.rasterize_mode == "antialiased"
        return GaussianSplats(p["means"], p["quats"], p["scales"], p["opacities"].squeeze(-1), sh, antialiased=antialiased)

    def exchange_splats(self, splats: GaussianSplats, frozen: int = 0) -> None:
        """Puts other splats in place of the present ones. The caller holds the train lock.

        Args:
            splats: The new ones, of at most the model's SH degree.
            frozen: How many of them, from the first, are not to change any more.
        """
        splats = splats.detach().to(str(self.device)).with_sh_degree(self.config.sh_degree)
        base = splats.sh[:, 0]
        values = {
            "means": splats.means,
            "scales": splats.log_scales,
            "quats": splats.quats,
            "features_dc": base if self.config.sh_degree > 0 else torch.logit(base * C0 + 0.5, eps=1e-6),
            "features_rest": splats.sh[:, 1:],
            "opacities": splats.logit_opacities[:, None],
        }
        optimizers = getattr(self, "optimizers", {})
        if all(name in optimizers for name in NAMES):
            edit_rows(
                cast("Parameters", self.gauss_params),
                optimizers,
                lambda name, _: values[name].clone(),
                lambda old: old.new_zeros(len(base), *old.shape[1:]),
                NAMES,
            )
        else:
            for name in NAMES:
                self.gauss_params[name].data = values[name].clone()
        self.frozen, self.marked = frozen, None
        self.make_strategy()

    def get_outputs(self, camera: RunCameras) -> dict[str, Any]:
        """Renders a camera: rgb [H, W, 3], depth [H, W, 1], accumulation [H, W, 1] and background."""
        if not isinstance(camera, RunCameras):
            return {}
        factor = self._get_downscale_factor()
        camera.rescale_output_resolution(1 / factor)
        poses = self.camera_optimizer.apply_to_camera(camera) if self.training else camera.camera_to_worlds
        one = to_cameras(camera, poses)
        camera.rescale_output_resolution(factor)
        self.last_size = (one.height, one.width)
        background = self._get_background_color()
        splats = self._shown()
        if splats is None:
            empty: dict[str, Any] = self.get_empty_outputs(one.width, one.height, background)
            return empty
        degree = min(self.step // self.config.sh_degree_interval, self.config.sh_degree)
        probes = self.training and self.densifies
        absgrad = bool(probes and getattr(self.strategy, "absgrad", False))
        probe = torch.zeros(1, len(splats), 2, device=splats.device, requires_grad=True) if probes else None
        image = render(splats, one, sh_degree=degree, background=background, means2d=probe, absgrad=absgrad)
        self._render = image if self.training else None
        if probe is not None:
            self.info = {"means2d": probe, "radii": image.radii, "width": one.width, "height": one.height, "n_cameras": 1}
            self.info["gaussian_ids"] = None  # of packed splats, which gsplat asks for in any case
        rgb = image.rgb.clamp(0, 1)
        if self.config.use_bilateral_grid and self.training and camera.metadata is not None and "cam_idx" in camera.metadata:
            rgb = self._apply_bilateral_grid(rgb, camera.metadata["cam_idx"], one.height, one.width)
        alpha = image.alpha[0][..., None]
        depth = torch.where(alpha > 0, image.depth[0][..., None], image.depth.detach().max())
        shown = background if self.training else background.expand(one.height, one.width, 3)
        return {"rgb": rgb[0], "depth": depth, "accumulation": alpha, "background": shown}

    def get_loss_dict(self, outputs: dict[str, Any], batch: dict[str, Any], metrics_dict: Any = None) -> dict[str, Tensor]:
        """The losses of a picture: colour where its mask counts, depth where it is known, and what the options add."""
        config = self.config
        target = self.composite_with_background(self.get_gt_img(batch["image"]), outputs["background"])
        weight = None
        if "mask" in batch:
            weight = (self._downscale_if_required(batch["mask"].float()) > 0.999).to(self.device).float()[None, ..., 0]
        rgb = outputs["rgb"]
        losses = {"main_loss": photometric_loss(rgb[None], target[None, ..., :3], weight=weight, ssim_weight=config.ssim_lambda)}
        if config.use_scale_regularization and self.step % 10 == 0:
            scales = self.scales.exp()
            ratio = scales.amax(dim=-1) / scales.amin(dim=-1)
            losses["scale_reg"] = 0.1 * (ratio.clamp_min(config.max_gauss_ratio) - config.max_gauss_ratio).mean()
        if not self.training:
            return losses
        if "depth" in batch and config.depth_weight > 0 and self._render is not None:
            losses["depth_loss"] = config.depth_weight * self._depth_loss(batch, weight, self._render)
        if isinstance(self.strategy, MCMC) and self.densifies:
            weights = {"opacity_weight": self.strategy.opacity_penalty, "scale_weight": self.strategy.scale_penalty}
            losses["size_reg"] = opacity_and_scale_penalty(self.opacities, self.scales, **weights)
        self.camera_optimizer.get_loss_dict(losses)
        if config.use_bilateral_grid:
            losses["tv_loss"] = 10 * total_variation_loss(self.bil_grids.grids)
        return losses

    def get_image_metrics_and_images(self, outputs: dict[str, Any], batch: dict[str, Any]) -> tuple[dict[str, float], Any]:
        """Those of splatfacto; and, where depth is known, its mean relative error."""
        metrics, images = super().get_image_metrics_and_images(outputs, batch)
        if "depth" in batch:
            target = batch["depth"].to(self.device)
            known = (target > 0) & (outputs["accumulation"] >= 0.5)
            error = (outputs["depth"] - target).abs()[known] / target[known]
            metrics["depth_abs_rel"] = float(error.mean()) if len(error) else float("nan")
        return metrics, images

    def step_post_backward(self, step: int) -> None:
        """Lets densification act."""
        assert step == self.step
        if not self.densifies:
            return
        own = {name: self.optimizers[name] for name in NAMES}
        if isinstance(self.strategy, Strategy):
            rate = own["means"].param_groups[0]["lr"]
            own_params = cast("Parameters", self.gauss_params)
            self.strategy.step_post_backward(own_params, own, self.strategy_state, step + 1, self.info, rate)
        else:
            self.strategy.step_post_backward(self.gauss_params, own, self.strategy_state, step, self.info, packed=False)
        if self.marked is not None and len(self.marked) != self.num_points:
            self.marked = None

    def _changing(self, values: Tensor) -> Tensor:
        return values if not self.frozen else torch.cat([values[: self.frozen].detach(), values[self.frozen :]])

    def _shown(self) -> GaussianSplats | None:
        """What is drawn; None if the viewer's crop box leaves nothing."""
        splats = self.splats()
        if self.training:
            return splats
        if self.marked is not None:
            sh = splats.sh.detach().clone()
            red = (MARKED.to(sh) - 0.5) / C0
            sh[self.marked.to(sh.device)] *= 0.4
            sh[self.marked.to(sh.device), 0] += 0.6 * red
            splats = GaussianSplats(
                splats.means, splats.quats, splats.log_scales, splats.logit_opacities, sh, antialiased=splats.antialiased
            )
        if self.crop_box is None:
            return splats
        inside = self.crop_box.within(splats.means).squeeze(-1)
        return splats.select(inside) if bool(inside.any()) else None

    def _depth_loss(self, batch: dict[str, Any], weight: Tensor | None, image: Render) -> Tensor:
        index = int(batch["image_idx"])
        if index not in self._targets:
            self._targets[index] = self._target(batch)
        depth, doubt = self._targets[index]
        height, width = image.depth.shape[1:]
        if depth.shape != (height, width):
            depth, doubt = (resize_sparse_depth(values, width, height) for values in (depth, doubt))
        goal, counted = (torch.from_numpy(values)[None].to(image.depth) for values in (depth, doubt))
        known = (goal > 0) & image.depth_valid
        if weight is not None:
            counted = counted * weight
        unit = float(np.median(depth[depth > 0])) if (depth > 0).any() else 1.0
        return depth_loss(image.depth, goal, known, unit=unit, weight=counted)

    def _target(self, batch: dict[str, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Depth of a picture and the weight of each pixel, both 0 where nothing is known  # [H, W] each"""
        depth = batch["depth"][..., 0].cpu().numpy().astype(np.float32)
        if self._inpainter is None:
            return depth, (depth > 0).astype(np.float32)
        image = batch["image"].cpu()
        rgb = (image if image.dtype == torch.uint8 else (image.clamp(0, 1) * 255).round().to(torch.uint8)).numpy()[..., :3]
        return complete_for_supervision(rgb, depth, self._inpainter, key=str(self.config.depth_inpainter))


class LpipsIfThere:
    """LPIPS where torch's cache has its weights; not a number elsewhere. Nothing is ever downloaded."""

    def __init__(self) -> None:
        self._measure: Any = None

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """LPIPS of two batches of pictures in [0, 1]  # [B, 3, H, W] each"""
        if self._measure is None and not any((Path(torch.hub.get_dir()) / "checkpoints").glob("alexnet-*.pth")):
            return torch.tensor(float("nan"))
        if self._measure is None:
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            self._measure = LearnedPerceptualImagePatchSimilarity(normalize=True)
        value: Tensor = self._measure.to(first.device)(first, second)
        return value


def to_cameras(camera: RunCameras, poses: Tensor) -> Cameras:
    """A camera of nerfstudio with a pose  # [1, 3, 4]"""
    bottom = poses.new_tensor([[[0.0, 0.0, 0.0, 1.0]]])
    pose = torch.cat([poses, bottom.expand(len(poses), 1, 4)], dim=1) @ torch.from_numpy(OPENGL_AXES).to(poses)
    return Cameras(pose, camera.get_intrinsics_matrices().to(poses), int(camera.width.item()), int(camera.height.item()))
