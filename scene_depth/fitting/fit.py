"""Fitting splats to posed photos."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.fitting.camera_refinement import RefinedCameras
from scene_depth.fitting.checkpoint import FitState, check_same_fit
from scene_depth.fitting.config import FitConfig, SettledConfig
from scene_depth.fitting.density import MCMC, Default, State, seeded, views_info
from scene_depth.fitting.frozen import FrozenByView, FrozenNeighbours, join_frozen
from scene_depth.fitting.initialization import initial_splats, viewing_distance
from scene_depth.fitting.losses import depth_loss, opacity_and_scale_penalty, photometric_loss
from scene_depth.fitting.parameters import Trainable, load_trainable, save_parameters, trainable_splats
from scene_depth.fitting.training_views import Target, TrainingViews
from scene_depth.io.json_reports import JsonReport, versions
from scene_depth.io.splat_files import with_origin
from scene_depth.rendering import Render, render
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress, Progress

LOSSES_KEPT = 100


@dataclass(frozen=True)
class FitReport(JsonReport):
    """Record of a fit.

    Attributes:
        finished: Whether all steps were done.
        steps: Steps done, those before a resume included.
        loss: Mean loss of the last steps, at most 100.
        splats: Number of fitted splats, without frozen ones.
        frozen_splats: Number of frozen splats.
        frozen_sha256: Hash of the frozen splats after the fit, which is that before it.
        views: Number of views fitted to.
        width, height: Size of the first view's picture in pixels.
        extent: Size of the scene that learning rates are in, in scene units.
        seconds: Wall time of the steps, those before a resume included.
        cpu_seconds: Process time of the steps, over all threads.
        seed: Seed of all randomness.
        device: Where the fit ran.
        config: All parameters.
        cameras: How far refinement turned and moved the cameras, and its factors of focal lengths; None without it.
        unit, origin: Of the scene: see ``Scene.unit``, and the point of its files that is the zero of the splats.
        scene_notes: What was said when the scene was read: photos left out, units that were stated or assumed.
        versions: Of what decides the numbers.
        test: Measures on views that were held out, if there were any; their cameras are never refined.
        psnr_test: Mean PSNR of the held-out views in decibels.
        ssim_test: Mean SSIM of the held-out views.
    """

    finished: bool
    steps: int
    loss: float
    splats: int
    frozen_splats: int
    frozen_sha256: str | None
    views: int
    width: int
    height: int
    extent: float
    seconds: float
    cpu_seconds: float
    seed: int
    device: str
    config: dict[str, Any]
    unit: str
    origin: tuple[float, float, float]
    scene_notes: tuple[str, ...]
    versions: dict[str, str] = field(default_factory=versions)
    test: list[dict[str, Any]] = field(default_factory=list)
    psnr_test: float | None = None
    ssim_test: float | None = None
    cameras: dict[str, Any] | None = None


@dataclass(frozen=True)
class FitResult:
    """Outcome of a fit.

    Attributes:
        splats: Fitted splats, without the frozen ones.
        report: What was done.
        state: Where the fit stands, to go on from; None if it was broken off in the middle of a change.
        cameras: Refined cameras of the fitted views by name, of the size of the photos, for ``Scene.with_cameras``; empty unless
            ``FitConfig.cameras`` asks for them.

    Example:
        >>> import scene_depth as sd
        >>> scene = sd.read_scene("scenes/table")
        >>> sd.fit(scene, config=sd.FitConfig(steps=2, max_size=64))
        FitResult(... splats after 2 steps, loss ..., finished)
    """

    splats: GaussianSplats
    report: FitReport
    state: FitState | None
    cameras: dict[str, Cameras] = field(default_factory=dict)

    def __repr__(self) -> str:
        end = "finished" if self.report.finished else "stopped"
        return f"FitResult({self.report.splats:,} splats after {self.report.steps} steps, loss {self.report.loss:.4g}, {end})"


def fit(
    scene: Scene,
    *,
    initial: GaussianSplats | None = None,
    config: FitConfig | None = None,
    frozen: GaussianSplats | None = None,
    on_progress: OnProgress | None = None,
    resume: FitState | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    on_state: Callable[[FitState], None] | None = None,
    state_seconds: float = 120.0,
) -> FitResult:
    """Fits splats so that their renders look like the views of a scene.

    Args:
        scene: Views with images. All of them are fitted to; hold out test views with ``scene.split``.
        initial: Splats to start from, without their extra values; None starts as ``config.start`` says.
        config: Parameters; None takes the defaults.
        frozen: Splats that are rendered with the fitted ones and never change, by no bit: they have neither gradient
            nor optimizer, and density control does not see them.
        on_progress: Called after each step with ``measures`` loss and splats; ``snapshot`` gives a copy of the splats as they
            are, frozen ones first. False stops the fit, and so does KeyboardInterrupt, wherever it is raised.
        resume: State of a stopped fit of the same scene, config and seed; the result is that of a fit that was never
            stopped, bit for bit.
        seed: Of all randomness.
        device: Where to fit; None takes CUDA if it is there.
        on_state: Called with the state every so often, to save it.
        state_seconds: Least time between two such calls.

    Returns:
        Splats, which name the scene's origin if it has one, report and state; of the steps that were done, if it was stopped.

    Raises:
        InputError: If views lack images, sizes differ from their cameras', or parameters do not fit together.

    Example:
        >>> import scene_depth as sd
        >>> scene = sd.read_scene("scenes/table")
        >>> result = sd.fit(scene, config=sd.FitConfig(steps=3, max_size=64), seed=0)
        >>> result.report.steps, result.report.finished
        (3, True)
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    settled = (config or FitConfig()).settled(device.type)
    run = _prepare(scene, initial, settled, frozen, resume, seed, device)
    started, cpu_started = time.perf_counter(), time.process_time()
    seconds, cpu_seconds = (resume.seconds, resume.cpu_seconds) if resume else (0.0, 0.0)
    whole, saved = True, started

    def state_now() -> FitState:
        return run.state(seconds + time.perf_counter() - started, cpu_seconds + time.process_time() - cpu_started)

    try:
        while run.step < settled.steps:
            loss = run.forward_backward()
            whole = False
            run.update()
            whole = True
            run.losses.append(loss)
            if on_state is not None and time.perf_counter() - saved >= state_seconds and run.step < settled.steps:
                on_state(state_now())
                saved = time.perf_counter()
            if on_progress is not None and on_progress(run.progress(loss)) is False:
                break
    except KeyboardInterrupt:
        pass
    state = state_now()
    splats = with_origin(_finished(run.trainable, None), scene.origin)
    refined = [] if run.cameras is None else run.cameras.finished([view.camera for view in scene.views])
    cameras = {view.name: camera for view, camera in zip(scene.views, refined, strict=False)}
    return FitResult(splats, _report(run, state, scene), state if whole else None, cameras)


@dataclass
class _Run:
    """A fit under way; ``forward_backward`` and ``update`` together are one step."""

    config: SettledConfig
    views: TrainingViews
    frozen: GaussianSplats | None
    frozen_sha256: str | None
    trainable: Trainable
    cameras: RefinedCameras | None
    density_state: State
    extent: float
    depth_unit: float
    seed: int
    device: torch.device
    step: int
    losses: deque[float]
    info: State = field(default_factory=dict)  # what density control reads of the step's views

    def __post_init__(self) -> None:
        self.neighbours = None if self.frozen is None else FrozenNeighbours(self.frozen)
        self.visible: FrozenByView | None = None
        if self.frozen is not None and self.cameras is None and self.config.density is None:
            self.visible = FrozenByView(self.frozen, self.config.cache_bytes)

    def progress(self, loss: float) -> Progress:
        """Where the fit is after a step of that loss."""
        measures = {"loss": loss, "splats": len(self.trainable)}
        snapshot = partial(_finished, self.trainable, self.frozen)
        return Progress("fit", self.step, self.config.steps, measures=measures, snapshot=snapshot)

    def forward_backward(self) -> float:
        """Loss of the next step; gradients are left in the parameters."""
        config, step, density, trainable = self.config, self.step + 1, self.config.density, self.trainable
        trainable.raise_sh_degree(min(config.sh_degree, step // config.sh_every))
        absgrad = isinstance(density, Default) and density.absgrad
        total, seen = 0.0, []
        for index in views_of_step(len(self.views), config.batch, step, self.seed):
            target = self.views.target(index, reduction=self._reduction(step), device=self.device)
            probe = self._probe() if density is not None and density.needs_gradients else None
            splats = trainable.splats()
            image = render(
                self._with_frozen(splats, index, target.camera),
                target.camera if self.cameras is None else self.cameras.camera(index, target.camera),
                background=self._background(step, index),
                means2d=probe,
                absgrad=absgrad,
            )
            loss = self._loss(image, target) / config.batch
            torch.autograd.backward(loss)
            total += float(loss.detach())
            if probe is not None:
                seen.append(self._seen(image, probe, target, absgrad))
        if isinstance(density, MCMC):
            p = trainable.parameters
            weights = {"opacity_weight": density.opacity_penalty, "scale_weight": density.scale_penalty}
            torch.autograd.backward(opacity_and_scale_penalty(p["opacities"], p["scales"], unit=self.extent, **weights))
        if not math.isfinite(total):
            raise InputError(
                "loss", f"{total} at step {step}", "finite numbers: lower learning rates, or check the initial splats"
            )
        self.info = views_info(seen, absgrad) if seen else {}
        return total

    def update(self) -> None:
        """Lets the optimizers and density control act."""
        step, trainable, density = self.step + 1, self.trainable, self.config.density
        rates = self.config.rates.at(step / self.config.steps, self.extent)
        trainable.set_learning_rates(rates)
        trainable.step()
        if self.cameras is not None:
            self.cameras.step(step / self.config.steps)
        if density is not None:
            with seeded(self.seed, step, self.device):
                density.step_post_backward(
                    trainable.parameters, trainable.optimizers, self.density_state, step, self.info, rates["means"]
                )
        self.step = step

    def state(self, seconds: float, cpu_seconds: float) -> FitState:
        return FitState(
            step=self.step,
            seed=self.seed,
            config=self.config,
            views=tuple(view.name for view in self.views.views),
            trainable=save_parameters(self.trainable.parameters, self.trainable.optimizers),
            density=dict(self.density_state),
            cameras={} if self.cameras is None else self.cameras.state(),
            losses=tuple(self.losses),
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            frozen_sha256=self.frozen_sha256,
        )

    def _with_frozen(self, splats: GaussianSplats, index: int, camera: Cameras) -> GaussianSplats:
        """The changing splats after the frozen ones; where nobody asks for those, without the ones that do not show."""
        if self.visible is not None:
            return self.visible.join(splats, (index, camera.width, camera.height), camera)
        return splats if self.neighbours is None else self.neighbours.join(splats)

    def _reduction(self, step: int) -> int:
        low = self.config.low_resolution_steps * self.config.steps
        return 4 if step <= low else 2 if step <= 2 * low else 1

    def _background(self, step: int, index: int) -> Tensor:
        if self.config.random_background:
            return torch.from_numpy(np.random.default_rng([self.seed, 2, step, index]).random(3, np.float32)).to(self.device)
        return torch.tensor(self.config.background, device=self.device)

    def _probe(self) -> Tensor:
        count = len(self.trainable) + (0 if self.frozen is None else len(self.frozen))
        return torch.zeros(1, count, 2, device=self.device, requires_grad=True)

    def _loss(self, image: Render, target: Target) -> Tensor:
        weight = None if target.counts is None else target.counts[None]
        loss = photometric_loss(image.rgb, target.image[None], weight=weight, ssim_weight=self.config.ssim_weight)
        if target.depth is not None:
            known = (target.depth > 0)[None] & image.depth_valid
            if target.counts is not None:
                known = known & target.counts[None]
            loss = loss + self.config.depth_weight * depth_loss(image.depth, target.depth[None], known, unit=self.depth_unit)
        return loss

    def _seen(self, image: Render, probe: Tensor, target: Target, absgrad: bool) -> tuple[Tensor, Tensor]:
        first = 0 if self.frozen is None else len(self.frozen)
        gradients = vars(probe)["absgrad"] if absgrad else probe.grad
        assert gradients is not None
        half = gradients.new_tensor([target.camera.width / 2, target.camera.height / 2]) * self.config.batch
        return gradients[:, first:] * half, image.radii[:, first:]


def views_of_step(count: int, batch: int, step: int, seed: int) -> list[int]:
    """Views of a step: all views in random order, then all in another order, and so on, decided by seed and step alone."""
    chosen = []
    for position in range((step - 1) * batch, step * batch):
        order = np.random.default_rng([seed, 1, position // count]).permutation(count)
        chosen.append(int(order[position % count]))
    return chosen


def scene_extent(views: TrainingViews) -> float:
    """Size of a scene: 1.1 times the largest distance of a camera from their mean (the reference trainer's measure), or a
    tenth of the viewing distance where cameras hardly move."""
    cameras = [views.camera(i) for i in range(len(views))]
    centers = np.stack([camera.centers[0].numpy() for camera in cameras])
    spread = 1.1 * float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())
    return max(spread, 0.1 * viewing_distance(cameras))


def _prepare(
    scene: Scene,
    initial: GaussianSplats | None,
    config: SettledConfig,
    frozen: GaussianSplats | None,
    resume: FitState | None,
    seed: int,
    device: torch.device,
) -> _Run:
    for name, splats in (("initial", initial), ("frozen", frozen)):
        if splats is not None and splats.antialiased != config.antialiased:
            raise InputError("antialiased", config.antialiased, f"{splats.antialiased}, as the {name} splats are")
    views = TrainingViews(scene.views, config.max_size, config.mask_use, config.depth_weight > 0, config.cache_bytes)
    extent, frozen_sha256 = scene_extent(views), None if frozen is None else frozen.sha256()
    if resume is not None:
        check_same_fit(resume, config, seed, tuple(view.name for view in scene.views), frozen_sha256)
        trainable = load_trainable(resume.trainable, config.antialiased)
        density_state = {k: v.clone() if isinstance(v, Tensor) else v for k, v in resume.density.items()}
    else:
        trainable, density_state = trainable_splats(_first_splats(scene, views, initial, config, seed).to(device), config), {}
        if config.density is not None:
            config.density.check_sanity(trainable.parameters, trainable.optimizers)
            density_state = config.density.initialize_state(extent, steps=config.steps, max_splats=config.max_splats)
    cameras = None
    if config.cameras is not None:
        given = [views.camera(index) for index in range(len(views))]
        saved = None if resume is None else resume.cameras
        cameras = RefinedCameras(config.cameras, given, extent, anchored=frozen is not None, saved=saved)
    return _Run(
        config=config,
        views=views,
        frozen=None if frozen is None else frozen.detach().to(device),
        frozen_sha256=frozen_sha256,
        trainable=trainable,
        cameras=cameras,
        density_state=density_state,
        extent=extent,
        depth_unit=_median_depth(views, extent),
        seed=seed,
        device=device,
        step=resume.step if resume else 0,
        losses=deque(resume.losses if resume else (), maxlen=LOSSES_KEPT),
    )


def _first_splats(
    scene: Scene, views: TrainingViews, initial: GaussianSplats | None, config: SettledConfig, seed: int
) -> GaussianSplats:
    if initial is None:
        return initial_splats(scene, views, config, seed)
    if len(initial) == 0:
        raise InputError("initial", "no splats", "one or more splats")
    for name in ("means", "quats", "log_scales", "logit_opacities", "sh"):
        values = getattr(initial, name)
        if not bool(torch.isfinite(values).all()):
            raise InputError(f"initial.{name}", "numbers that are not finite", "finite numbers")
    return initial


def _median_depth(views: TrainingViews, extent: float) -> float:
    """Median known depth of the first view that has any; the scene's extent if none has."""
    for index in range(len(views)) if views.with_depth else ():
        depth = views.target(index).depth
        if depth is not None and bool((depth > 0).any()):
            return float(depth[depth > 0].median())
    return extent


def _finished(trainable: Trainable, frozen: GaussianSplats | None) -> GaussianSplats:
    return join_frozen(frozen, trainable.splats().detach().map(torch.clone))


def _report(run: _Run, state: FitState, scene: Scene) -> FitReport:
    camera = run.views.camera(0)
    return FitReport(
        finished=run.step >= run.config.steps,
        steps=run.step,
        loss=float(np.mean(run.losses)) if run.losses else math.nan,
        splats=len(run.trainable),
        frozen_splats=0 if run.frozen is None else len(run.frozen),
        frozen_sha256=None if run.frozen is None else run.frozen.sha256(),
        views=len(run.views),
        width=camera.width,
        height=camera.height,
        extent=run.extent,
        seconds=state.seconds,
        cpu_seconds=state.cpu_seconds,
        seed=run.seed,
        device=str(run.device),
        config=run.config.as_dict(),
        cameras=None if run.cameras is None else run.cameras.measures(),
        unit=scene.unit,
        origin=scene.origin,
        scene_notes=scene.notes,
    )
