"""Fields of the panel. Each tells the door what it accepts when it is made, and shows what goes wrong in its callback."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import viser

from scene_depth_viewer.door import LARGEST, Door, Rule, number, numbers, one_of, pressed, text, yes_or_no
from scene_depth_viewer.viser_versions import add_buttons, field_id

Callback = Callable[..., None]
Vector = tuple[float, float, float]


def plain_text(value: object) -> str:
    """Text for a markdown of the page: names of files and what models say are shown as they are, never as markup or code."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", line)


class Controls:
    """Makes fields of the page's panel, or of a window of one browser.

    Callbacks get the event of viser; without one, a field is only read.

    Args:
        gui: Where the fields go.
        door: What values pass through.
        guarded: Wraps callbacks, so that errors are shown on the page and changes that the program makes are ignored.
    """

    def __init__(self, gui: viser.GuiApi, door: Door, guarded: Callable[[Callback], Callback]):
        self.gui, self._door, self._guarded = gui, door, guarded

    def folder(self, label: str, open_at_first: bool = True) -> AbstractContextManager[Any]:
        """A folder for the fields that are made within it."""
        made: AbstractContextManager[Any] = self.gui.add_folder(label, expand_by_default=open_at_first)
        return made

    def button(self, label: str, clicked: Callback, **options: Any) -> Any:
        """A button; options are those of viser."""
        made = self.gui.add_button(label, **options)
        made.on_click(self._guarded(clicked))
        return self._ruled(made, pressed)

    def buttons(self, label: str, names: Sequence[str], clicked: Callback, hint: str | None = None) -> Any:
        """Buttons in a row; the callback gets the name of the one that was pressed, too."""
        return self._ruled(add_buttons(self.gui, label, names, self._guarded(clicked), hint), one_of(lambda: names))

    def dropdown(
        self, label: str, names: Sequence[str], value: str, changed: Callback | None = None, hint: str | None = None
    ) -> Any:
        """One of several names."""
        made: Any = self.gui.add_dropdown(label, options=tuple(names), initial_value=value, hint=hint)
        return self._ruled(made, one_of(lambda: made.options), changed)

    def checkbox(self, label: str, value: bool, changed: Callback | None = None, hint: str | None = None) -> Any:
        """Yes or no."""
        return self._ruled(self.gui.add_checkbox(label, initial_value=value, hint=hint), yes_or_no, changed)

    def slider(
        self,
        label: str,
        value: float,
        least: float,
        most: float,
        step: float,
        changed: Callback | None = None,
        hint: str | None = None,
    ) -> Any:
        """A number in a range, to drag."""
        made = self.gui.add_slider(label, min=least, max=most, step=step, initial_value=value, hint=hint)
        return self._ruled(made, number(least, most), changed)

    def number(
        self,
        label: str,
        value: float,
        least: float = -LARGEST,
        most: float = LARGEST,
        step: float | None = None,
        changed: Callback | None = None,
        hint: str | None = None,
    ) -> Any:
        """A number in a range, to type; whole if the value is an int."""
        bounds = {name: bound for name, bound in (("min", least), ("max", most)) if abs(bound) < LARGEST}
        made = self.gui.add_number(label, initial_value=value, step=step, hint=hint, **bounds)
        return self._ruled(made, number(least, most, whole=isinstance(value, int)), changed)

    def vector(self, label: str, value: Vector, step: float, changed: Callback | None = None, hint: str | None = None) -> Any:
        """Three numbers."""
        return self._ruled(self.gui.add_vector3(label, initial_value=value, step=step, hint=hint), numbers(3), changed)

    def text(self, label: str, value: str, hint: str | None = None) -> Any:
        """A line of text."""
        return self._ruled(self.gui.add_text(label, initial_value=value, hint=hint), text)

    def _ruled(self, made: Any, rule: Rule, changed: Callback | None = None) -> Any:
        self._door.rules[field_id(made)] = rule
        if changed is not None:
            made.on_update(self._guarded(changed))
        return made

    def remove(self, field: Any) -> None:
        """Takes a field away."""
        self._door.rules.pop(field_id(field), None)
        field.remove()
