"""The scale of a metric prior is told once, by the depth of the start."""

from __future__ import annotations

import numpy as np
import pytest
from box_room import PILLARED
from scene_depth_outpaint import OutpaintConfig, outpaint
from scene_depth_outpaint.prior_scale import ScaledModel, scaled_to_start
from scene_depth_outpaint.state import OutpaintedView, StepReport

from scene_depth.depth.monocular import with_prior
from scene_depth.depth.prior import MonocularMap
from scene_depth.depth.registry import load_depth_inpainter

TRUE = PILLARED.seen(PILLARED.camera())[1]
WRONG = np.exp(0.03 * np.sin(np.arange(64) / 9)[:, None] * np.cos(np.arange(64) / 7)).astype(np.float32)  # smooth


def start(known=None) -> OutpaintedView:
    rgb, depth = PILLARED.seen(PILLARED.camera())
    everywhere = np.ones(depth.shape, bool) if known is None else known
    return OutpaintedView(PILLARED.camera(), np.rint(rgb * 255).astype(np.uint8), depth, everywhere, StepReport(0, "start"))


def saying(values, space, metric=True):
    return lambda rgb: MonocularMap(values.astype(np.float32), space, metric=metric)


@pytest.mark.parametrize(
    ("space", "values"),
    [("depth", 1.3 * TRUE * WRONG), ("inverse", 1 / (1.3 * TRUE * WRONG)), ("log", np.log(1.3 * TRUE * WRONG))],
)
def test_a_wrong_scale_is_corrected_in_every_space(space: str, values) -> None:
    inpainter = with_prior(load_depth_inpainter("solver"), saying(values, space))
    scaled, factor = scaled_to_start(inpainter, [start()], 0)
    assert factor == pytest.approx(1 / 1.3, rel=0.02)
    found = scaled.inpainter.prior(np.zeros((64, 64, 3), np.float32)).values
    depth = {"depth": found, "inverse": 1 / found, "log": np.exp(found)}[space]
    assert np.median(np.abs(depth / TRUE - 1)) < 0.03
    assert scaled.name == "solver"


def test_part_of_the_start_tells_it_too() -> None:
    known = np.zeros((64, 64), bool)
    known[20:44, 8:50] = True
    _, factor = scaled_to_start(
        with_prior(load_depth_inpainter("solver"), saying(0.7 * TRUE * WRONG, "depth")), [start(known)], 0
    )
    assert factor == pytest.approx(1 / 0.7, rel=0.03)


@pytest.mark.parametrize(
    "inpainter",
    [
        load_depth_inpainter("solver"),
        load_depth_inpainter("nearest"),
        with_prior(load_depth_inpainter("solver"), saying(1.3 / TRUE + 0.4, "inverse", metric=False)),  # its shift is free
        with_prior(load_depth_inpainter("solver"), MonocularMap(1.3 * TRUE, "depth", metric=True)),  # of one view alone
    ],
)
def test_what_cannot_be_told_stays(inpainter) -> None:
    scaled, factor = scaled_to_start(inpainter, [start()], 0)
    assert factor == 1
    assert scaled is inpainter


def test_a_scale_that_is_right_stays_and_is_held_from_then_on() -> None:
    inpainter = with_prior(load_depth_inpainter("solver"), saying(TRUE * WRONG, "depth"))
    scaled, factor = scaled_to_start(inpainter, [start()], 0)
    assert factor == 1
    found = scaled.inpainter.prior(np.zeros((64, 64, 3), np.float32))
    np.testing.assert_array_equal(found.values, inpainter.inpainter.prior(None).values)
    assert found.scaled


def test_a_step_that_went_wrong_does_not_take_the_scale_with_it() -> None:
    """What is known of a view is 8 % too far: it stays, and what is new far from it is at the scale of the start."""
    inpainter = with_prior(load_depth_inpainter("solver"), saying(TRUE * WRONG, "depth"))
    scaled, _ = scaled_to_start(inpainter, [start()], 0)
    known = np.zeros((64, 64), bool)
    known[:, :28] = True
    given = np.where(known, 1.08 * TRUE, 0).astype(np.float32)
    errors = []
    for each in (inpainter, scaled):
        found = each(np.full((64, 64, 3), 0.5, np.float32), given, known).depth
        assert (found[known] == given[known]).all()
        errors.append(abs(np.median(found[:, -6:] / TRUE[:, -6:]) - 1))
    assert errors[0] > 0.05 > 0.02 > errors[1]


def test_the_uncertainty_and_the_seed_of_a_model_go_along() -> None:
    class Model:
        name, takes_seed = "of a seed", True

        def __call__(self, rgb, *, seed):
            return MonocularMap(np.full(rgb.shape[:2], np.float32(2)), "depth", np.full(rgb.shape[:2], np.float32(0.1 * seed)))

    scaled = ScaledModel(Model(), 1.5, "depth")
    assert (scaled.name, scaled.takes_seed, scaled.takes_prompt) == ("of a seed", True, False)
    found = scaled(np.zeros((4, 5, 3), np.float32), seed=2)
    assert found.values[0, 0] == 3
    assert found.uncertainty[0, 0] == pytest.approx(0.3)


def test_an_outpainting_says_so_and_goes_by_it() -> None:
    camera = PILLARED.camera(20)

    class Room:
        """A metric model that is 1.3 times too far in every view."""

        asked = 0

        def __call__(self, rgb):
            self.asked += 1
            return MonocularMap(1.3 * PILLARED.seen(PILLARED.camera() if self.asked == 1 else camera)[1], "depth", metric=True)

    config = OutpaintConfig(fit_steps=0, accept=False)
    result = outpaint(PILLARED.view(), [camera], color="membrane", prior=Room(), config=config)
    assert any("multiplied by 0.769" in note for note in result.report.notes)
    made, true = result.views[1], PILLARED.seen(camera)[1]
    assert np.median(np.abs(made.depth / true - 1)[~made.known]) < 0.02
