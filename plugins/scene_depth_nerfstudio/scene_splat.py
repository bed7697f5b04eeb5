"""``ns-train scene-splat``: what it is called with, by default for the machine at hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from nerfstudio.configs.base_config import MachineConfig, ViewerConfig
from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanagerConfig
from nerfstudio.engine.optimizers import AdamOptimizerConfig
from nerfstudio.engine.schedulers import ExponentialDecayScheduler, ExponentialDecaySchedulerConfig
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.plugins.types import MethodSpecification

from scene_depth_nerfstudio.dataset import SceneDataManager
from scene_depth_nerfstudio.model import SceneSplatModelConfig
from scene_depth_nerfstudio.pipeline import ScenePipelineConfig
from scene_depth_nerfstudio.scene_data import SceneDataParserConfig

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
STEPS = 30_000 if DEVICE == "cuda" else 3_000
"""Steps of a training; everything that is scheduled by steps keeps its share of them."""


@dataclass
class FallingRateConfig(ExponentialDecaySchedulerConfig):
    """nerfstudio's exponential decay, in plain numbers."""

    _target: type = field(default_factory=lambda: FallingRate)


class FallingRate(ExponentialDecayScheduler):
    """Gives learning rates as numbers of Python: those of NumPy in a checkpoint make torch 2.6 and later refuse it."""

    def get_scheduler(self, optimizer: torch.optim.Optimizer, lr_init: float) -> Any:
        """The scheduler of an optimizer."""
        scheduler = super().get_scheduler(optimizer, lr_init)
        scheduler.lr_lambdas = [lambda step, share=share: float(share(step)) for share in scheduler.lr_lambdas]
        for group in optimizer.param_groups:
            group["lr"] = float(group["lr"])
        scheduler._last_lr = [float(rate) for rate in scheduler._last_lr]
        return scheduler


def optimizers(steps: int = STEPS) -> dict[str, Any]:
    """Optimizers of splatfacto, with learning rates that fall over that many steps."""
    rates = {"features_dc": 0.0025, "features_rest": 0.0025 / 20, "opacities": 0.05, "scales": 0.005, "quats": 0.001}
    fixed = {name: {"optimizer": AdamOptimizerConfig(lr=rate, eps=1e-15), "scheduler": None} for name, rate in rates.items()}

    def falling(rate: float, last: float, **warmup: Any) -> dict[str, Any]:
        scheduler = FallingRateConfig(lr_final=last, max_steps=steps, **warmup)
        return {"optimizer": AdamOptimizerConfig(lr=rate, eps=1e-15), "scheduler": scheduler}

    warm = {"warmup_steps": steps // 30, "lr_pre_warmup": 0}
    return {
        "means": falling(1.6e-4, 1.6e-6),
        **fixed,
        "camera_opt": falling(1e-4, 5e-7, **warm),
        "bilateral_grid": falling(2e-3, 1e-4, **warm),
    }


def model_config(steps: int = STEPS, **options: Any) -> SceneSplatModelConfig:
    """The model's options with splatfacto's schedule over that many steps."""
    share = steps / 30_000
    schedule = {
        "warmup_length": round(500 * share),
        "resolution_schedule": max(1, round(3000 * share)),
        "sh_degree_interval": max(1, round(1000 * share)),
        "stop_screen_size_at": round(4000 * share),
        "stop_split_at": round(15_000 * share),
        "densify_steps": steps,
        "max_splats": 1_000_000 if DEVICE == "cuda" else 50_000,
    }
    return SceneSplatModelConfig(**{**schedule, **options})


def trainer_config(
    method: str, pipeline: ScenePipelineConfig, kind: type[TrainerConfig] = TrainerConfig, **options: Any
) -> TrainerConfig:
    """A method's configuration, on CUDA if it is there."""
    return kind(
        method_name=method,
        steps_per_eval_batch=0,
        steps_per_eval_image=100,
        steps_per_eval_all_images=1000,
        steps_per_save=STEPS // 15,
        max_num_iterations=STEPS,
        mixed_precision=False,
        machine=MachineConfig(device_type=DEVICE),
        pipeline=pipeline,
        optimizers=optimizers(),
        viewer=ViewerConfig(num_rays_per_chunk=1 << 15),
        vis="viewer",
        **options,
    )


def data_manager() -> FullImageDatamanagerConfig:
    """Whole pictures with depth, of any scene."""
    return FullImageDatamanagerConfig(_target=SceneDataManager, dataparser=SceneDataParserConfig(), cache_images_type="uint8")


scene_splat = MethodSpecification(
    config=trainer_config("scene-splat", ScenePipelineConfig(datamanager=data_manager(), model=model_config())),
    description="Splatfacto on scene_depth's renderer: CPU or GPU, depth supervision, masks that count, resume.",
)
