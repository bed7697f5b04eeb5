"""What commands show while long work runs, and how Ctrl-C ends it."""

import json
import os
import signal
from dataclasses import dataclass

import pytest

from scene_depth.cli.progress import describe_progress, end_if_stopped, print_json, watch_progress
from scene_depth.work import Progress


@dataclass(frozen=True)
class Report:
    finished: bool
    steps: int = 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_ctrl_c_stops_after_the_step_and_the_second_at_once(capsys, number):
    before = signal.getsignal(number)
    with watch_progress("fit") as on_progress:
        assert on_progress(Progress("fit", 1, 10)) is True
        os.kill(os.getpid(), number)
        assert on_progress(Progress("fit", 2, 10)) is False
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    assert "press Ctrl-C again" in capsys.readouterr().err


def test_a_stopped_report_ends_the_command():
    end_if_stopped(Report(finished=True))
    with pytest.raises(KeyboardInterrupt):
        end_if_stopped(Report(finished=False))


def test_reports_are_printed_as_json(capsys):
    print_json(Report(finished=True))
    assert json.loads(capsys.readouterr().out) == {"finished": True, "steps": 3}


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (Progress("fill", 1, 2, "view a"), "fill: view a"),
        (Progress("fit", 1, 2, measures={"loss": 0.25}), "fit: loss 0.25"),
        (Progress("", 1, 2, "view a"), "view a"),
    ],
)
def test_a_step_in_one_line(now, text):
    assert describe_progress(now) == text
