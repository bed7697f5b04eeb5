"""``ns-train scene-heal``: repairs the run of ``--load-dir`` and trains the new splats on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nerfstudio.engine.trainer import Trainer, TrainerConfig
from nerfstudio.plugins.types import MethodSpecification

from scene_depth.errors import InputError
from scene_depth.io.nerfstudio_run import CONFIG, NerfstudioRun, read_nerfstudio_run
from scene_depth_nerfstudio.pipeline import SceneHealPipeline, SceneHealPipelineConfig
from scene_depth_nerfstudio.scene_data import SceneDataParserConfig
from scene_depth_nerfstudio.scene_splat import STEPS, data_manager, model_config, trainer_config


@dataclass
class SceneHealTrainerConfig(TrainerConfig):
    """As of every method; ``load_dir`` may be the folder of a run too."""

    _target: type = field(default_factory=lambda: SceneHealTrainer)


class SceneHealTrainer(Trainer):
    """Starts from a run of scene-splat, of splatfacto or of a method made from it, in that run's frame."""

    config: SceneHealTrainerConfig
    pipeline: SceneHealPipeline

    def __init__(self, config: SceneHealTrainerConfig, *arguments: Any, **keywords: Any):
        if config.load_dir is None:
            raise InputError("load_dir", "none", "--load-dir RUN, the folder of the trained run that is to be healed")
        self._run = _run_of(config.load_dir)
        self._goes_on = self._run.method == config.method_name and _selects_nothing(config.pipeline)
        parser, model = config.pipeline.datamanager.dataparser, config.pipeline.model
        if not isinstance(parser, SceneDataParserConfig):
            raise InputError("data parser", type(parser).__name__, "scene-data, which takes the frame of the run")
        splats = self._run.splats(in_run=True)
        model.sh_degree, model.rasterize_mode = splats.sh_degree, "antialiased" if splats.antialiased else "classic"
        if self._run.color_logits:
            model.sh_degree = 0
        parser.frame_of = self._run.config.absolute()
        if not parser.scene_options:
            named = () if self._run.format is None else (f"format={self._run.format}",)
            parser.scene_options = self._run.scene_options or named
        if config.data is None and config.pipeline.datamanager.data is None and parser.data == Path():
            if self._run.data is None:
                raise InputError("data", "photos that are not where the run says", "--data FOLDER", file=self._run.config)
            config.data = config.pipeline.datamanager.data = self._run.data.absolute()
        config.load_dir = self._run.checkpoint.parent
        config.save_config()  # with what the run decided
        super().__init__(config, *arguments, **keywords)

    def _load_checkpoint(self) -> None:
        """Takes the splats of the run, heals them, and begins at the step after it."""
        if self._goes_on:
            super()._load_checkpoint()
            return
        model = self.pipeline.model
        step = int(self._run.checkpoint.stem.partition("-")[2])
        with self.train_lock:
            model.optimizers = self.optimizers.optimizers
            model.step = step
            model.exchange_splats(self._run.splats(in_run=True))
            self.pipeline.heal()
        self._start_step = step + 1


def _run_of(path: Path) -> NerfstudioRun:
    """The run of a folder, or of its folder of checkpoints."""
    if path.is_dir() and not (path / CONFIG).is_file() and (path.parent / CONFIG).is_file():
        path = path.parent
    return read_nerfstudio_run(path)


def _selects_nothing(pipeline: SceneHealPipelineConfig) -> bool:
    return all(value is None for value in (pipeline.masks, pipeline.box, pipeline.sphere, pipeline.indices))


scene_heal = MethodSpecification(
    config=trainer_config(
        "scene-heal",
        SceneHealPipelineConfig(datamanager=data_manager(), model=model_config(resolution_schedule=1, num_downscales=0)),
        SceneHealTrainerConfig,
    ),
    description=f"Removes an object from a trained run, repairs the hole and trains the new splats on for {STEPS} steps at most.",
)
