"""A person's say in an outpainting: every view is shown before it becomes part of the scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from scene_depth.errors import InputError
from scene_depth_outpaint.state import OutpaintedView

Answer = Literal["accept", "again", "undo", "stop"]


@dataclass(frozen=True)
class Proposal:
    """A view that was made and waits for an answer.

    Attributes:
        view: The view; its report says why it would be refused, if it would.
        number: Which of the planned views it is or leads to, from 0 on.
        planned: How many views are planned.
        views: Those that are there: the start's, then the accepted ones.
    """

    view: OutpaintedView
    number: int
    planned: int
    views: tuple[OutpaintedView, ...]


@dataclass(frozen=True)
class Verdict:
    """What is to become of it.

    Attributes:
        answer: "accept" it, even if it would be refused; make it "again" with another seed; "undo" the view before it, which is
            then made anew with another seed; or "stop", which keeps what was accepted.
        prompt: For "again" and "undo", what should be seen there; None for what was asked before.
    """

    answer: Answer
    prompt: str | None = None


Review = Callable[[Proposal], "Verdict | Answer"]


def ask(review: Review, proposal: Proposal) -> Verdict:
    """The verdict on a proposal.

    Raises:
        InputError: If the review gives something else.
    """
    given = review(proposal)
    verdict = given if isinstance(given, Verdict) else Verdict(given)
    if verdict.answer not in get_args(Answer):
        raise InputError("review", repr(given), f"a Verdict, or one of {', '.join(get_args(Answer))}")
    return verdict
