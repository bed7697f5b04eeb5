"""Reading JSON files so that every mistake in them is one clear error."""

from __future__ import annotations

import json
import sys
from os import PathLike
from typing import Any

from scene_depth.errors import InputError
from scene_depth.io.input_files import check_input_file


def read_json(path: str | PathLike[str]) -> Any:
    """Reads a JSON file.

    Raises:
        InputError: If the file is missing, cut short or not JSON.
    """
    path = check_input_file(path, "a JSON file")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(f"line {error.lineno}, column {error.colno}", error.msg, "valid JSON", file=path) from error
    except (ValueError, RecursionError) as error:  # bytes that are no UTF-8, brackets or digits without end
        raise InputError("text", str(error), "JSON in UTF-8", file=path) from error


def read_json_object(path: str | PathLike[str]) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
        InputError: As ``read_json``; or if it holds something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError("JSON", type(value).__name__, "an object in braces", file=path)
    return value


def is_number(value: object) -> bool:
    """Whether a JSON value is a finite number that fits a float (true and false are not)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
