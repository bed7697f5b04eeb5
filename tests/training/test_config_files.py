"""Configurations as JSON and on the command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scene_depth.errors import InputError
from scene_depth.io.json_reports import plain
from scene_depth.io.plain_values import from_plain
from scene_depth.training.config import changed, read_config, write_config
from scene_depth.training.registry import find_training, training_config


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int] = (4, 3)
    path: Path | None = None


@dataclass(frozen=True)
class Outer:
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"
    parts: tuple[Inner, ...] = (Inner(),)
    inner: Inner = field(default_factory=Inner)
    on: bool = False


inners = st.builds(Inner, st.tuples(st.integers(), st.integers()), st.none() | st.text("abc/", min_size=1).map(Path))


@given(
    st.builds(
        Outer,
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from("ab"),
        st.lists(inners).map(tuple),
        inners,
        st.booleans(),
    )
)
def test_a_configuration_comes_back_from_json(config: Outer) -> None:
    assert from_plain(Outer, json.loads(json.dumps(plain(asdict(config))))) == config


def test_a_file_may_leave_fields_out_and_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_config(path, Outer(rate=2.0))
    assert read_config(path, Outer) == Outer(rate=2.0)
    path.write_text('{"inner": {"size": [7, 8]}}')
    assert read_config(path, Outer) == Outer(inner=Inner((7, 8)))
    for text, message in (
        ('{"rat": 1}', "rat is an unknown key; expected one of rate, kind"),
        ('{"inner": {"sise": 1}}', r"inner\.sise is an unknown key"),
        ('{"parts": [{}, {"path": 3}]}', r"parts\.1\.path is 3; expected a path"),
        ('{"kind": "c"}', "kind is 'c'; expected one of 'a', 'b'"),
        ('{"rate": "fast"}', "rate is 'fast'; expected a number"),
        ('{"rate": true}', "rate is True"),
        ('{"inner": {"size": [1]}}', "1 values; expected 2 values"),
        ('{"inner": 4}', "inner: int; expected an object"),
        ("[]", "an object in braces"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            read_config(path, Outer)
        assert caught.value.file is not None


def test_settings_replace_values_by_dotted_keys() -> None:
    new = changed(Outer(), ["rate=3", "parts.0.size=[1, 2]", "inner.path=/data/x", "on=true"])
    assert new == Outer(rate=3.0, parts=(Inner((1, 2)),), inner=Inner(path=Path("/data/x")), on=True)
    for setting, message in (
        ("rate", "KEY=VALUE"),
        ("speed=1", "'speed'; expected one of rate"),
        ("parts.1.size=[1,2]", "'1'; expected one of a number below 1"),
        ("rate.x=1", "'x'; expected nothing"),
        ("kind=c", "one of 'a', 'b'"),
    ):
        with pytest.raises(InputError, match=message):
            changed(Outer(), [setting])


def test_models_presets_and_files_are_found_by_name(tmp_path: Path) -> None:
    training = find_training("auxiliary")
    config = training_config(training, "kitti", ["train.steps=3"])
    assert config.train.steps == 3
    write_config(tmp_path / "mine.json", config)
    assert training_config(training, str(tmp_path / "mine.json")) == config
    with pytest.raises(InputError, match=r"'kity'; expected a JSON file, or one of default, kitti"):
        training_config(training, "kity")
    with pytest.raises(InputError, match=r"missing\.json"):
        training_config(training, "missing.json")
    with pytest.raises(InputError, match="training is 'auxilary'; expected one of auxiliary"):
        find_training("auxilary")
