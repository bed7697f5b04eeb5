"""A person's say in the loop: views are accepted, made again, taken back; what was said last holds after a restart, too."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from box_room import ROOM
from numpy.typing import NDArray
from scene_depth_outpaint import OutpaintConfig, OutpaintResult, Proposal, Verdict, outpaint
from test_outpaint_loop import with_a_seam

from scene_depth.errors import InputError

QUICK = OutpaintConfig(fit_steps=0)
PATH = [ROOM.camera(12), ROOM.camera(24)]


def paint(rgb: NDArray[np.float32], hole: NDArray[np.bool_], *, prompt: str = "", seed: int = 0) -> NDArray[np.float32]:
    """Another grey for every prompt and seed."""
    return np.where(hole[..., None], np.float32((seed * 37 + len(prompt) * 11) % 100 / 100), rgb)


def saying(answers: Iterable[Verdict | str]) -> tuple[list[Proposal], Callable[[Proposal], Verdict | str]]:
    """The proposals that were made, and a review that gives the answers one after the other."""
    seen: list[Proposal] = []
    given = iter(answers)

    def review(proposal: Proposal) -> Verdict | str:
        seen.append(proposal)
        return next(given)

    return seen, review


def grown(review: object, output: Path | None = None) -> OutpaintResult:
    return outpaint(ROOM.view(), PATH, color=paint, config=QUICK, review=review, output=output)  # type: ignore[arg-type]


def test_a_view_is_made_again_with_other_seeds_and_prompts_until_it_is_accepted() -> None:
    seen, review = saying(["again", Verdict("again", "a window"), "accept", "accept"])
    result = grown(review)
    assert [(p.number, p.view.report.attempt, p.view.report.prompt) for p in seen] == [
        (0, 0, ""),
        (0, 1, ""),
        (0, 2, "a window"),
        (1, 0, ""),
    ]
    assert [len(p.views) for p in seen] == [1, 1, 1, 2]
    assert {p.planned for p in seen} == {2}
    assert result.report.finished
    assert len(result.views) == 3
    np.testing.assert_array_equal(result.views[1].image, seen[2].view.image)
    for one, other in itertools.pairwise(seen[:3]):
        assert not np.array_equal(one.view.image, other.view.image)
        np.testing.assert_array_equal(one.view.known, other.view.known)


def test_the_view_before_is_taken_back_here_and_in_the_folder(tmp_path: Path) -> None:
    seen, review = saying(["accept", Verdict("undo", "a door"), "accept", "stop"])
    stopped = grown(review, tmp_path)
    assert [(p.number, p.view.report.index, p.view.report.attempt) for p in seen] == [(0, 1, 0), (1, 2, 0), (0, 1, 1), (1, 2, 0)]
    assert not stopped.report.finished
    assert [view.report.prompt for view in stopped.views] == ["", "a door"]
    assert sorted(folder.name for folder in (tmp_path / "steps").iterdir()) == ["000", "001"]
    resumed = grown(None, tmp_path)
    assert resumed.report.finished
    np.testing.assert_array_equal(resumed.views[1].image, seen[2].view.image)
    _, undo_at_once = saying(["undo", "accept", "accept"])
    assert grown(undo_at_once).report.finished  # before there is anything to take back, the view is made again


def test_a_person_may_accept_what_breaks_a_limit() -> None:
    seen, review = saying(["accept"])
    config = OutpaintConfig(fit_steps=0, retries=0, smaller_steps=0)
    result = outpaint(ROOM.view(), [ROOM.camera(24)], color="none", inpainter=with_a_seam(0.0), config=config, review=review)  # type: ignore[arg-type]
    assert "jumps by" in seen[0].view.report.refusals[0]
    assert result.report.finished
    assert result.report.refused is None
    assert result.views[1].report.refusals


def test_other_answers_are_refused() -> None:
    _, review = saying(["yes"])
    with pytest.raises(InputError, match=r"review.*'yes'.*accept, again, undo, stop"):
        grown(review)
