"""The one error that bad input raises."""

from __future__ import annotations

from os import PathLike


class InputError(ValueError):
    """Input that cannot be used, said in one line: where it is, which field, what was found, what is accepted.

    Args:
        field: Name of the argument, file field, property or option at fault.
        found: What was there, in words or as a short value.
        accepted: What would have been right.
        file: File or folder that holds the field; None for an argument of a call.

    Example:
        >>> import scene_depth as sd
        >>> try:
        ...     sd.read_scene("nowhere")
        ... except sd.InputError as error:
        ...     print(error)
        nowhere: scene: found nothing at this path; accepted: a folder or JSON file
    """

    def __init__(self, field: str, found: object, accepted: str, *, file: str | PathLike[str] | None = None):
        self.field, self.found, self.accepted, self.file = field, found, accepted, file
        place = f"{file}: " if file is not None else ""
        super().__init__(f"{place}{field}: found {found}; accepted: {accepted}")
