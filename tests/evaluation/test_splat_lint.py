"""The splat linter: every fault is put into sound splats and found where it was put, and repaired there alone."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from splat_samples import random_splats, same_bits
from torch import Tensor

from scene_depth.cameras import Cameras, camera_from_fov, look_at
from scene_depth.errors import InputError
from scene_depth.evaluation.splat_checks import CHECKS
from scene_depth.evaluation.splat_lint import REPAIRABLE, SH_COUNT, SplatReport, lint_file, lint_splats, repair_splats
from scene_depth.io.ply import write_ply
from scene_depth.io.splat_files import read_splats
from scene_depth.splat_transforms import euler_rotation, similarity_matrix, transform_splats
from scene_depth.splats import SH_C0, GaussianSplats, concatenate_splats

Shared = Callable[[str], Path]
BAD = torch.tensor([3, 50, 51, 399])


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def sound(count: int = 400, degree: int = 1, seed: int = 0) -> GaussianSplats:
    """Splats with nothing to say about them."""
    splats = random_splats(count, degree, seed)
    unit = torch.nn.functional.normalize(splats.quats, dim=1)
    return replace(splats, quats=unit, logit_opacities=splats.logit_opacities.clamp(-3, 3), sh=splats.sh.clamp(-3, 3))


def with_values(splats: GaussianSplats, field: str, rows: Tensor, value: float, column: int | None = None) -> GaussianSplats:
    values = getattr(splats, field).clone()
    if column is None:
        values[rows] = value
    else:
        values[rows, column] = value
    return replace(splats, **{field: values})


def names(report: SplatReport) -> dict[str, int]:
    return {finding.name: finding.count for finding in report.findings}


def untouched(before: GaussianSplats, after: GaussianSplats, rows: Tensor = BAD) -> bool:
    """All splats but those of ``rows`` are the same to the bit; those may be there or not."""
    others = torch.ones(len(before), dtype=torch.bool)
    others[rows] = False
    kept = after.select(others) if len(after) == len(before) else after
    return same_bits(kept, before.select(others))


def test_sound_splats_are_called_sound() -> None:
    report = lint_splats(sound())
    assert report.findings == ()
    assert report.clean
    repaired, repairs = repair_splats(sound())
    assert repairs == ()
    assert same_bits(repaired, sound())


FAULTS = [
    ("nan", "means", math.nan, 1),
    ("nan", "sh", math.nan, 2),
    ("nan", "log_scales", math.nan, 0),
    ("nan", "logit_opacities", math.nan, None),
    ("infinite", "means", -math.inf, 2),
    ("infinite", "sh", math.inf, 0),
    ("infinite", "quats", math.inf, 3),
    ("infinite", "log_scales", math.inf, 1),
    ("zero_quats", "quats", 0.0, None),
    ("infinite_opacity", "logit_opacities", math.inf, None),
    ("no_size", "log_scales", -math.inf, 1),
    ("giants", "log_scales", 6.0, 0),
]


@pytest.mark.parametrize(("name", "field", "value", "column"), FAULTS)
def test_a_fault_is_found_and_repaired_where_it_is(name: str, field: str, value: float, column: int | None) -> None:
    clean = sound()
    splats = with_values(clean, field, BAD, value, column)
    report = lint_splats(splats)
    assert names(report) == {name: len(BAD)}
    assert report.clean is False
    json.dumps(report.as_dict(), allow_nan=False)
    repaired, (repair,) = repair_splats(splats)
    assert (repair.name, repair.count) == (name, len(BAD))
    assert lint_splats(repaired).findings == ()
    assert untouched(clean, repaired)
    kept, repairs = repair_splats(splats, keep=(name,))
    assert (len(kept), repairs) == (400, ())


def test_a_faint_infinite_opacity_stays_faint() -> None:
    splats = with_values(sound(), "logit_opacities", BAD, -math.inf)
    repaired, _ = repair_splats(splats)
    assert repaired.opacities[BAD].tolist() == pytest.approx([1e-4] * 4, rel=0.01)


def test_a_splat_without_size_gets_a_tiny_one_on_that_axis_only() -> None:
    clean = sound()
    repaired, _ = repair_splats(with_values(clean, "log_scales", BAD, -math.inf, 1))
    assert torch.equal(repaired.log_scales[:, [0, 2]], clean.log_scales[:, [0, 2]])
    radius = lint_splats(clean).radius
    assert radius is not None
    assert repaired.scales[BAD, 1].tolist() == pytest.approx([1e-6 * radius] * 4, rel=0.05)


def test_rotations_are_normalised_and_turn_nothing() -> None:
    splats = replace(sound(), quats=sound().quats * torch.linspace(0.5, 2, 400)[:, None])
    report = lint_splats(splats)
    assert set(names(report)) == {"unnormalised_quats"}
    assert report.clean  # a note: renderers normalise
    repaired, _ = repair_splats(splats)
    torch.testing.assert_close(repaired.quats, sound().quats, rtol=0, atol=1e-6)


def test_sizes_stored_without_logarithm() -> None:
    clean = sound()
    report = lint_splats(replace(clean, log_scales=clean.scales))
    assert names(report)["linear_scales"] == 400
    assert "giants" not in names(report)
    repaired, _ = repair_splats(replace(clean, log_scales=clean.scales))
    torch.testing.assert_close(repaired.log_scales, clean.log_scales)


def test_a_scene_in_large_units_is_not_taken_for_linear_sizes() -> None:
    large = transform_splats(sound(), similarity_matrix(scale=1e4))
    assert bool((large.log_scales > 0).all())
    assert names(lint_splats(large)) == {}


def test_opacities_stored_after_the_sigmoid() -> None:
    clean = sound()
    splats = replace(clean, logit_opacities=clean.opacities)
    assert names(lint_splats(splats))["activated_opacity"] == 400
    repaired, _ = repair_splats(splats)
    torch.testing.assert_close(repaired.logit_opacities, clean.logit_opacities, rtol=1e-4, atol=1e-4)


def test_colours_stored_as_bytes() -> None:
    clean = sound()
    colors = clean.base_colors.clamp(0, 1)
    stored = torch.cat([(colors * 255)[:, None], clean.sh[:, 1:]], dim=1)
    assert names(lint_splats(replace(clean, sh=stored)))["byte_colors"] == 400
    repaired, _ = repair_splats(replace(clean, sh=stored))
    torch.testing.assert_close(repaired.base_colors, colors)


def test_colours_in_the_place_of_coefficients_are_pointed_at_and_left() -> None:
    clean = sound()
    splats = replace(clean, sh=torch.cat([clean.base_colors.clamp(0, 1)[:, None], clean.sh[:, 1:]], dim=1))
    assert names(lint_splats(splats)) == {"plain_colors": 400}
    assert same_bits(repair_splats(splats)[0], splats)


def test_wild_colours_are_counted() -> None:
    splats = with_values(sound(), "sh", BAD, 9.0, 0)
    assert 0.5 + 9 * SH_C0 > 2
    assert names(lint_splats(splats)) == {"wild_colors": 4}


def test_a_giant_is_measured_by_the_scene_and_not_by_a_few_strays() -> None:
    splats = with_values(sound(), "means", torch.tensor([0, 1]), 2e3, 0)
    splats = with_values(splats, "log_scales", torch.tensor([5]), math.log(30.0), 2)
    assert names(lint_splats(splats)) == {"giants": 1, "far_away": 2}


@given(scale=st.floats(1e-3, 1e3), angles=st.tuples(*[st.floats(-180, 180)] * 3), move=st.tuples(*[st.floats(-5, 5)] * 3))
@settings(max_examples=15)
def test_findings_do_not_depend_on_frame_and_unit(scale, angles, move) -> None:
    splats = with_values(sound(), "log_scales", BAD, 6.0, 0)
    splats = with_values(splats, "logit_opacities", torch.tensor([10, 11]), -4.0)
    splats = with_values(splats, "log_scales", torch.tensor([10, 11]), 0.5, 1)
    matrix = similarity_matrix(euler_rotation(*angles), [scale * value for value in move], scale)
    assert names(lint_splats(splats)) == {"giants": 4, "fog": 2}
    assert names(lint_splats(transform_splats(splats, matrix))) == {"giants": 4, "fog": 2}


def test_exact_copies_are_found_and_the_first_is_kept() -> None:
    clean = sound()
    splats = concatenate_splats([clean, clean.select(BAD), clean.select(BAD[:1])])
    nearly = clean.select(torch.tensor([7]))
    splats = concatenate_splats([splats, replace(nearly, means=nearly.means + 1e-6)])
    assert names(lint_splats(splats)) == {"duplicates": 5}
    repaired, _ = repair_splats(splats)
    assert len(repaired) == 401
    assert same_bits(repaired.select(slice(0, 400)), clean)


def test_empty_bands_and_invisible_splats_are_notes() -> None:
    splats = with_values(sound(), "logit_opacities", BAD, -7.0)
    splats = replace(splats, sh=torch.cat([splats.sh[:, :1], torch.zeros_like(splats.sh[:, 1:])], dim=1))
    report = lint_splats(splats)
    assert names(report) == {"empty_sh": 400, "invisible": 4}
    assert report.clean
    assert same_bits(repair_splats(splats)[0], splats)


def test_coordinates_beyond_float32() -> None:
    report = lint_splats(transform_splats(sound(), similarity_matrix(translation=(4e6, 0, 0))))
    assert report.count("coarse_coordinates") > 300


def ring(count: int = 8, radius: float = 6.0, tilt: float = 0.0) -> Cameras:
    """Cameras around the origin that look at it, held upright in a world with -y up."""
    poses = []
    for i in range(count):
        angle = 2 * math.pi * i / count
        position = torch.tensor([radius * math.cos(angle), -tilt, radius * math.sin(angle)], dtype=torch.float64)
        poses.append(look_at(position, torch.zeros(3, dtype=torch.float64), torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)))
    return camera_from_fov(torch.stack(poses), math.radians(60), 320, 240)


def test_fog_before_cameras_is_found_by_them_and_removed() -> None:
    cameras = ring()
    clean = replace(sound(), means=sound().means * 0.3)
    before = cameras.centers + 0.2 * torch.nn.functional.normalize(-cameras.centers, dim=1)
    rows = torch.arange(len(cameras))
    means = clean.means.clone()
    means[rows] = before.float()
    splats = with_values(replace(clean, means=means), "log_scales", rows, math.log(0.05))
    splats = with_values(splats, "logit_opacities", rows, -2.0)
    assert names(lint_splats(clean, cameras=cameras)) == {}
    assert names(lint_splats(splats, cameras=cameras)) == {"near_camera_fog": 8}
    repaired, _ = repair_splats(splats, cameras=cameras)
    assert same_bits(repaired, splats.select(slice(8, None)))
    behind = with_values(splats, "means", rows, 0.0)
    behind.means[rows] = (cameras.centers * 1.05).float()  # behind each camera, far before the one opposite
    assert names(lint_splats(behind, cameras=cameras)) == {}
    small = with_values(splats, "log_scales", rows, math.log(0.0005))  # a detail right before the camera
    assert names(lint_splats(small, cameras=cameras)) == {}


def floor_and_walls(up: Tensor, seed: int = 0) -> GaussianSplats:
    """A room: flat splats on a floor and a wall, clutter above the floor; ``up`` is +y turned."""
    generator = torch.Generator().manual_seed(seed)

    def patch(count: int, low: tuple[float, float, float], high: tuple[float, float, float], thin: int) -> GaussianSplats:
        span = torch.tensor(high) - torch.tensor(low)
        means = torch.tensor(low) + span * torch.rand(count, 3, generator=generator)
        log_scales = torch.full((count, 3), math.log(0.1))
        if thin >= 0:
            log_scales[:, thin] = math.log(0.003)
        quats = torch.tensor([1.0, 0, 0, 0]).expand(count, 4).clone()
        return GaussianSplats(means, quats, log_scales, torch.full((count,), 1.0), torch.randn(count, 1, 3, generator=generator))

    room = [
        patch(3000, (-3, 0, -3), (3, 0.01, 3), 1),
        patch(500, (-3, 0, -3), (-2.99, 2, 3), 0),
        patch(800, (-2, 0, -2), (2, 1.5, 2), -1),
    ]
    return transform_splats(concatenate_splats(room), similarity_matrix(up))


@pytest.mark.parametrize(
    ("angles", "expected"),
    [((0, 0, 0), "+y"), ((180, 0, 0), "-y"), ((90, 0, 0), "+z"), ((-90, 0, 0), "-z"), ((0, 0, -90), "+x"), ((0, 0, 90), "-x")],
)
def test_up_is_guessed_by_the_floor(angles: tuple[float, float, float], expected: str) -> None:
    report = lint_splats(floor_and_walls(euler_rotation(*angles)))
    assert (report.up, report.up_from) == (expected, "geometry")


def test_up_is_not_guessed_without_a_floor() -> None:
    report = lint_splats(sound(2000))
    assert (report.up, report.up_from) == (None, "unknown")


def test_up_is_told_by_a_comment_or_by_the_cameras() -> None:
    report = lint_splats(replace(sound(), comments=("Vertical Axis: z",)))
    assert (report.up, report.up_from) == ("+z", "comment")
    report = lint_splats(sound(), cameras=ring(tilt=2.0))
    assert (report.up, report.up_from) == ("-y", "cameras")


def test_measures_of_the_whole() -> None:
    splats = replace(sound(), extra={"label": torch.arange(400)}, antialiased=True)
    report = lint_splats(with_values(splats, "means", BAD, math.nan))
    finite = torch.ones(400, dtype=torch.bool)
    finite[BAD] = False
    rest = splats.select(finite)
    assert (report.splats, report.sh_degree, report.antialiased, report.extra) == (400, 1, True, ("label",))
    assert report.center == pytest.approx(rest.means.median(0).values.tolist(), abs=0.05)
    assert report.bounds is not None
    assert list(report.bounds[0]) == pytest.approx(rest.means.amin(0).tolist())
    assert report.distributions["opacity"]["max"] == pytest.approx(float(rest.opacities.max()))
    assert report.distributions["largest_size"]["min"] == pytest.approx(float(rest.scales.amax(1).min()))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_splats(count: int) -> None:
    report = lint_splats(sound(count))
    json.dumps(report.as_dict(), allow_nan=False)
    assert len(repair_splats(sound(count))[0]) == count
    broken = replace(sound(count), means=torch.full((count, 3), math.nan))
    assert lint_splats(broken).center is None
    assert len(repair_splats(broken)[0]) == 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_whatever_is_wrong_the_repair_is_clean(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    splats = sound(300, seed=seed % 1000)
    strange = torch.tensor([math.nan, math.inf, -math.inf, 0.0, 1e38, -1e38, 1e-38, 50.0])
    changed = {}
    for name in ("means", "quats", "log_scales", "logit_opacities", "sh"):
        values = getattr(splats, name).clone()
        hit = torch.rand(values.shape, generator=generator) < 0.01
        values[hit] = strange[torch.randint(len(strange), (int(hit.sum()),), generator=generator)]
        changed[name] = values
    splats = replace(splats, **changed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflow of 1e38
        repaired, _ = repair_splats(splats)
        left = {finding.name for finding in lint_splats(repaired).findings if finding.repair}
    assert not left & {"nan", "infinite", "zero_quats", "infinite_opacity", "no_size", "duplicates", "unnormalised_quats"}
    for name in changed:
        assert bool(torch.isfinite(getattr(repaired, name)).all()), name


def test_keep_names_only_what_can_be_repaired() -> None:
    with pytest.raises(InputError, match="keep is 'fogg'; expected one of nan, infinite"):
        repair_splats(sound(), keep=("fogg",))
    assert set(REPAIRABLE) < {check.name for check in CHECKS}
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_a_file_with_a_wrong_number_of_harmonics_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, sound(50, degree=3))
    text = path.read_bytes()
    for i in range(42, 45):
        text = text.replace(f"float f_rest_{i}\n".encode(), f"float spare_{i}\n".encode())
    path.write_bytes(text)
    with pytest.raises(InputError, match="f_rest: 42 properties"):
        read_splats(path)
    splats, report = lint_file(path)
    assert names(report)[SH_COUNT] == 50
    assert (splats.sh_degree, report.findings[0].severity) == (2, "error")
    assert "42 f_rest" in report.findings[0].message


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("trained_9k.ply", ".ply", {"duplicates", "fog", "unnormalised_quats"}),
        ("tile_14k.ply", ".ply", {"wild_colors", "unnormalised_quats", "empty_sh", "invisible"}),
        ("biker.spz", ".spz", {"fog", "invisible"}),
        ("biker.compressed.ply", ".compressed.ply", {"fog", "invisible"}),
    ],
)
def test_real_files(shared: Shared, name: str, kind: str, expected: set[str]) -> None:
    splats, report = lint_file(shared(f"data/splats/{name}"))
    assert (report.format, report.splats, report.file) == (kind, len(splats), str(shared(f"data/splats/{name}")))
    assert set(names(report)) == expected
    repaired, _ = repair_splats(splats)
    assert not any(finding.repair for finding in lint_splats(repaired).findings)
