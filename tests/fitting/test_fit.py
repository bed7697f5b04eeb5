"""Fitting small scenes: quality, frozen splats, stopping and resuming, masks, depth, bad input."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fit_scenes import blobs, rendered_scene

from scene_depth.errors import InputError
from scene_depth.evaluation.scene_scores import score_views
from scene_depth.fitting.checkpoint import load_state, save_state
from scene_depth.fitting.config import FitConfig, Rates
from scene_depth.fitting.density import MCMC, Default, Guided
from scene_depth.fitting.fit import FitResult, fit, views_of_step
from scene_depth.rendering import render
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import Progress

TRUTH = blobs()
SCENE = rendered_scene(TRUTH, views=12)
TRAIN, TEST = SCENE.split(6)
OFTEN = {"refine_start": 50, "refine_every": 25}
SHORT = FitConfig(sh_degree=0, max_splats=150, density=Guided(**OFTEN), low_resolution_steps=0)
SOON = {"refine_every": 10, "refine_start": 5}
QUICK = FitConfig(steps=40, sh_degree=1, sh_every=10, density=Guided(**SOON), max_splats=80, start_splats=60)


def bits(result: FitResult) -> str:
    return result.splats.sha256()


def mean_psnr(splats: GaussianSplats, scene: Scene) -> float:
    return float(np.mean([score.psnr for score in score_views(splats, scene, max_size=48)]))


@pytest.mark.parametrize(
    ("density", "least"),
    [
        (Guided(refine_stop=0.6, **OFTEN), 26),
        (MCMC(refine_stop=0.6, **OFTEN), 26),
        (Default(refine_stop=0.6, grow_gradient=0.002, **OFTEN), 19),
    ],
)
def test_recovers_a_scene_from_points(density: Guided | MCMC | Default, least: float) -> None:
    config = replace(SHORT, density=density, steps=250)
    losses: list[float] = []
    result = fit(TRAIN, config=config, on_progress=lambda now: losses.append(now.measures["loss"]))
    assert mean_psnr(result.splats, TEST) > least
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])
    assert result.report.finished
    assert 60 < result.report.splats == len(result.splats) <= 150


def test_recovers_a_scene_without_points() -> None:
    train, test = rendered_scene(TRUTH, views=40, points=False).split(8)
    result = fit(train, config=replace(SHORT, steps=700, start_splats=200, max_splats=250))
    assert mean_psnr(result.splats, test) > 19


def test_depth_loss_brings_the_surface_to_where_it_is() -> None:
    scene = rendered_scene(TRUTH, views=8, depth=True, points=False)
    errors = []
    for weight in (0.0, 1.0):
        config = FitConfig(steps=150, sh_degree=0, start="random", start_splats=200, density=None, depth_weight=weight)
        result = fit(scene, config=config)
        image = render(result.splats, scene.views[0].camera)
        truth = torch.from_numpy(scene.views[0].depth())
        both = image.depth_valid[0] & (truth > 0)
        errors.append((image.depth[0] - truth).abs()[both].mean().item())
    assert errors[1] < 0.6 * errors[0]


def test_masked_pixels_have_no_say() -> None:
    white = np.zeros((40, 48), bool)
    white[:, :24] = True

    def spoiled(view: View, use: str) -> View:
        ignored = white if use == "ignore" else ~white
        image = np.where(ignored[..., None], np.float32(1), view.image())
        return replace(view, load_image=lambda: image, load_mask=lambda: white)

    for use in ("keep", "ignore"):
        results = [
            fit(Scene(views, TRAIN.points), config=replace(QUICK, mask_use=use, low_resolution_steps=0))  # type: ignore[arg-type]
            for views in (
                tuple(replace(view, load_mask=lambda: white) for view in TRAIN.views),
                tuple(spoiled(view, use) for view in TRAIN.views),
            )
        ]
        assert bits(results[0]) == bits(results[1])


@pytest.mark.parametrize("density", [Guided(**OFTEN), Default(**OFTEN), None])
def test_frozen_splats_keep_every_bit_and_are_rendered(density: Guided | Default | None) -> None:
    frozen, rest = TRUTH.select(slice(0, 40)), TRUTH.select(slice(40, 60))
    before = frozen.sha256()
    config = replace(SHORT, steps=120, max_splats=25, density=density)
    start = replace(rest, means=rest.means + 0.03)
    result = fit(TRAIN, initial=start, frozen=frozen, config=config)
    assert frozen.sha256() == before == result.report.frozen_sha256
    assert result.report.frozen_splats == 40
    assert len(result.splats) <= 25
    started, ended = (mean_psnr(concatenate_splats([frozen, splats]), TEST) for splats in (start, result.splats))
    assert ended > started + 3 or isinstance(density, Default)  # whose random splits need longer to settle
    assert ended > mean_psnr(result.splats, TEST) + 3
    assert all(not values.requires_grad for values in (frozen.means, frozen.sh))


def test_frozen_splats_have_no_optimizer_and_progress_shows_all() -> None:
    frozen = TRUTH.select(slice(0, 40))
    shown: list[GaussianSplats] = []

    def look(now: Progress) -> bool:
        shown.append(now.snapshot())
        return now.done < 3

    result = fit(TRAIN, initial=TRUTH.select([50]), frozen=frozen, config=QUICK, on_progress=look)
    assert result.state is not None
    assert all(len(entry["exp_avg"]) == 1 for entry in result.state.trainable.values() if "exp_avg" in entry)
    assert [len(splats) for splats in shown] == [41, 41, 41]
    assert shown[0].select(slice(0, 40)).with_sh_degree(0).sha256() == frozen.sha256()
    assert shown[0].sha256() != shown[2].sha256()


@pytest.mark.parametrize("density", [Guided(**SOON), MCMC(**SOON), Default(reset_every=15, **SOON)])
@pytest.mark.parametrize("stop", [7, 25])
def test_a_stopped_and_resumed_fit_ends_with_the_same_bits(density: Guided | MCMC | Default, stop: int, tmp_path: Path) -> None:
    config = replace(QUICK, density=density, random_background=True, batch=2)
    frozen = TRUTH.select(slice(0, 10))
    whole = fit(TRAIN, config=config, frozen=frozen, seed=3)
    part = fit(TRAIN, config=config, frozen=frozen, seed=3, on_progress=lambda now: now.done < stop)
    assert not part.report.finished
    assert part.report.steps == stop
    assert part.state is not None
    save_state(tmp_path / "state.pt", part.state)
    resumed = fit(TRAIN, config=config, frozen=frozen, seed=3, resume=load_state(tmp_path / "state.pt"))
    assert bits(resumed) == bits(whole) != bits(part)
    assert resumed.report.loss == whole.report.loss
    assert resumed.report.steps == 40


def test_same_seed_and_any_number_of_threads_give_the_same_bits() -> None:
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(bits(fit(TRAIN, config=QUICK, seed=1)))
    finally:
        torch.set_num_threads(threads)
    assert results[0] == results[1] != bits(fit(TRAIN, config=QUICK, seed=2))


def test_an_interrupt_returns_what_was_done() -> None:
    def interrupt(now: Progress) -> None:
        if now.done == 5:
            raise KeyboardInterrupt

    result = fit(TRAIN, config=QUICK, on_progress=interrupt)
    assert result.report.steps == 5
    assert result.state is not None
    assert bits(fit(TRAIN, config=QUICK, resume=result.state)) == bits(fit(TRAIN, config=QUICK))


def test_an_interrupt_between_optimizers_cannot_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Guided, "step_post_backward", interrupt)
    result = fit(TRAIN, config=QUICK)
    assert result.state is None
    assert len(result.splats) == 60


def test_resuming_something_else_is_refused(tmp_path: Path) -> None:
    state = fit(TRAIN, config=QUICK, on_progress=lambda now: False).state
    assert state is not None
    for changes, field in (
        ({"config": replace(QUICK, steps=41)}, "steps"),
        ({"seed": 1}, "seed"),
        ({"frozen": TRUTH}, "frozen splats"),
        ({"scene": TEST}, "views"),
    ):
        arguments = {"scene": TRAIN, "config": QUICK, "seed": 0, "frozen": None, "resume": state, **changes}
        with pytest.raises(InputError, match=f"resume: {field}"):
            fit(arguments.pop("scene"), **arguments)  # type: ignore[arg-type]
    save_state(tmp_path / "whole.pt", state)
    whole = (tmp_path / "whole.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "whole.pt") as archive:  # between its entries lies padding that nobody reads
        largest = archive.read(max(archive.infolist(), key=lambda entry: entry.file_size))
    middle = whole.index(largest) + len(largest) // 2
    altered = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content, found in ((b"rubbish", "unreadable"), (b"", "0 bytes"), (whole[:-100], "unreadable"), (altered, "check sum")):
        (tmp_path / "bad.pt").write_bytes(content)
        with pytest.raises(InputError, match=found):
            load_state(tmp_path / "bad.pt")
    torch.save({"format": 1}, tmp_path / "old.pt")
    with pytest.raises(InputError, match=r"another format \(1\).*without --resume"):
        load_state(tmp_path / "old.pt")
    with pytest.raises(InputError, match="No such file"):
        load_state(tmp_path / "missing.pt")


def test_views_come_in_rounds_of_random_order() -> None:
    order = [index for step in range(1, 11) for index in views_of_step(4, 2, step, 0)]
    rounds = [order[i : i + 4] for i in range(0, 20, 4)]
    assert all(sorted(part) == [0, 1, 2, 3] for part in rounds)
    assert len({tuple(part) for part in rounds}) > 1


def test_learning_rates_follow_the_schedule() -> None:
    rates = Rates()
    first, middle, last = (rates.at(progress, 2.0) for progress in (0, 0.5, 1))
    assert first["means"] == pytest.approx(2 * rates.means_lr)
    assert last["means"] == pytest.approx(2 * rates.means_lr * rates.means_lr_final)
    assert middle["means"] == pytest.approx(math.sqrt(first["means"] * last["means"]))
    assert first["scales"] == middle["scales"] == rates.scales_lr
    assert last["scales"] == pytest.approx(rates.scales_lr * rates.lr_final)


def test_report_saves_as_json(tmp_path: Path) -> None:
    result = fit(TRAIN, config=replace(QUICK, steps=3))
    report = replace(result.report, psnr_test=math.inf)
    report.save(tmp_path / "report.json")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["steps"] == 3
    assert content["psnr_test"] is None
    assert content["config"]["max_size"] == 480
    assert content["config"]["density"]["name"] == "guided"
    assert content["versions"]["torch"]
    assert (content["width"], content["height"], content["views"]) == (48, 40, len(TRAIN))


def test_bad_input() -> None:
    nan = replace(TRUTH, means=torch.full((60, 3), math.nan))
    cases: list[tuple[dict[str, object], str]] = [
        ({"scene": Scene(tuple(replace(view, load_image=None) for view in TRAIN.views))}, "image: none"),
        ({"scene": Scene(tuple(replace(v, load_image=lambda: np.zeros((3, 3, 3), np.float32)) for v in TRAIN.views))}, "shape"),
        ({"initial": TRUTH.select([])}, "initial: no splats"),
        ({"initial": nan}, r"initial\.means"),
        ({"initial": replace(TRUTH, antialiased=True)}, "antialiased.*initial"),
        ({"frozen": replace(TRUTH, antialiased=True)}, "antialiased.*frozen"),
    ]
    for changes, found in cases:
        arguments = {"scene": TRAIN, "config": QUICK, **changes}
        with pytest.raises(InputError, match=found):
            fit(arguments.pop("scene"), **arguments)  # type: ignore[arg-type]
    for settings, option in (
        (FitConfig, {"steps": 0}),
        (FitConfig, {"sh_degree": 4}),
        (FitConfig, {"ssim_weight": 2.0}),
        (FitConfig, {"background": (0, 0, 2)}),
        (Rates, {"means_lr": -1.0}),
        (Rates, {"lr_final": 0.0}),
        (MCMC, {"noise": math.nan}),
        (Guided, {"min_opacity": 1.0}),
        (Default, {"reset_every": 0}),
    ):
        with pytest.raises(InputError, match=next(iter(option))):
            settings(**option)


@pytest.mark.cuda
def test_fits_on_cuda() -> None:
    config = replace(SHORT, steps=250, density=Guided(refine_stop=0.6, **OFTEN))
    result = fit(TRAIN, config=config, frozen=TRUTH.select(slice(0, 10)), device="cuda")
    joined = concatenate_splats([TRUTH.select(slice(0, 10)), result.splats.to("cpu")])
    assert mean_psnr(joined, TEST) > 25
