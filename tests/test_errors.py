"""What the one error says: a sentence that reads well, whatever was found."""

from __future__ import annotations

import pytest

from scene_depth.errors import InputError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("steps", -5, "0 or more"), "steps is -5; expected 0 or more"),
        (InputError("size", "3 x 4", "5 x 4", file="a.png"), "a.png: size is 3 x 4; expected 5 x 4"),
        (InputError("depth", "shape (3,)", "(H, W)"), "depth: shape (3,); expected (H, W)"),
        (InputError("device", "'xpu'", "cpu or cuda"), "device is 'xpu'; expected cpu or cuda"),
        (InputError("near, far", [2, 1], "0 < near < far"), "near, far are [2, 1]; expected 0 < near < far"),
        (InputError("weights", "could not be fetched", "a folder"), "weights could not be fetched; expected a folder"),
        (InputError("weights", "not on this machine", "a folder"), "weights are not on this machine; expected a folder"),
        (InputError("frames[0]: mask_path", "a number", "a name"), "frames[0]: mask_path is a number; expected a name"),
        (InputError("frames[0]", "a number", "an object"), "frames[0] is a number; expected an object"),
        (InputError("output", "a folder", "a file"), "output is a folder; expected a file"),
        (InputError("masks", "none", "", hint="--masks DIR"), "masks: none. Try: --masks DIR"),
        (InputError("viser", "not installed", "", hint="pip install viser"), "viser is not installed. Try: pip install viser"),
    ],
)
def test_the_sentence(error: InputError, said: str) -> None:
    assert str(error) == said
