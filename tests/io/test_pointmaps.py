"""Pointmap results: every layout is read into true cameras and depth, with the photos that belong to it, or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pointmap_samples import (
    LAYOUTS,
    RIGHT,
    Mix,
    Sample,
    make_samples,
    sampled,
    write_cut3r,
    write_da3,
    write_dust3r,
    write_glb,
    write_mapanything,
    write_mapanything_outputs,
    write_monst3r,
    write_pi3,
    write_vggt,
)

import scene_depth as sd
from scene_depth.io.pointmaps import check_pointmaps
from scene_depth.io.pointmaps.resizing import RULES, matching_resizings
from scene_depth.pointmaps import PointmapRun

LOADERS = {
    "dust3r/mast3r load_images(size=512)": ("dust3r 512", 512),
    "dust3r/mast3r load_images(size=512, square_ok=True)": ("dust3r 512 square_ok", 512),
    "dust3r load_images(size=224)": ("dust3r 224", 224),
    "vggt load_and_preprocess_images(mode='crop')": ("vggt crop", 518),
    "vggt load_and_preprocess_images(mode='pad')": ("vggt pad", 518),
    "vggt load_and_preprocess_images_square(1024) then 518 (demo_colmap)": ("vggt square", 518),
    "vggt-omega load_and_preprocess_images(mode='balanced', 512)": ("omega balanced", 512),
    "vggt-omega load_and_preprocess_images(mode='max_size', 512)": ("omega max_size", 512),
    "da3 InputProcessor(process_res=504, 'upper_bound_resize')": ("da3 upper_bound_resize", 504),
    "da3 InputProcessor(process_res=504, 'upper_bound_crop')": ("da3 upper_bound_crop", 504),
    "da3 InputProcessor(process_res=504, 'lower_bound_resize')": ("da3 lower_bound_resize", 504),
    "da3 InputProcessor(process_res=504, 'lower_bound_crop')": ("da3 lower_bound_crop", 504),
    "mapanything load_images(fixed_mapping, 518)": ("mapanything fixed_mapping", 518),
    "mapanything load_images(fixed_mapping, 512)": ("mapanything fixed_mapping", 512),
    "mapanything load_images(longest_side, 518)": ("mapanything longest_side", 518),
    "pi3 load_images_as_tensor(PIXEL_LIMIT=255000)": ("pi3", 255_000),
    "must3r get_resize_function(224)": ("must3r", 224),
    "must3r get_resize_function(512)": ("must3r", 512),
    "must3r get_resize_function(768)": ("must3r", 768),
    "cut3r load_images(512)": ("dust3r 512", 512),
    "cut3r load_images(512, square_ok=True)": ("dust3r 512 square_ok", 512),
    "monst3r load_images(512, crop=True)": ("dust3r 512", 512),
    "monst3r load_images(512, crop=False)": ("monst3r without crop", 512),
}
STORED = {
    "dust3r/scene_getters.npz": ("dust3r", (0, 2, 5)),
    "dust3r/scene.glb": ("dust3r", (0, 2, 5)),
    "vggt/predictions.npz": ("vggt", (0, 2, 5)),
    "depth_anything_3/results.npz": ("depth_anything_3", (0, 3, 5)),
    "depth_anything_3/results_mini.npz": ("depth_anything_3", (0, 3, 5)),
    "depth_anything_3/colmap/results_of_the_same_call.npz": ("depth_anything_3", (0, 3, 5)),
    "depth_anything_3/colmap": ("depth_anything_3", (0, 3, 5)),
}
Shared = Callable[[str], Path]


@pytest.mark.parametrize("loader", LOADERS)
def test_every_measured_row_of_a_loader_is_met(shared: Shared, loader: str) -> None:
    name, target = LOADERS[loader]
    rows = [row for row in json.loads(shared("parity/pointmaps/resize_crop.json").read_text())[loader] if "error" not in row]
    assert rows
    for row in rows:
        original, processed = tuple(row["original"]), tuple(row["processed"])
        found = RULES[name].resize([original], target)[0]
        assert found.size == processed
        assert matching_resizings(RULES[name], [original], [processed]) == [found]
        box = found.image_box
        for axis in (0, 1):
            scale, offset = row["original_px_per_processed_px"][axis], row["original_coord_of_processed_left_top_edge"][axis]
            for edge in (box[axis], box[axis + 2]):  # where the picture begins and ends: padding was not measured
                ours = found.offset[axis] + found.scale[axis] * edge
                assert abs(ours - offset - scale * edge) < 2e-3 * original[axis], row


@given(
    st.lists(st.tuples(st.integers(64, 5000), st.integers(64, 5000)), min_size=1, max_size=4),
    st.sampled_from([name for name, rule in RULES.items() if rule.targets]),
)
@example([(64, 2115)], "monst3r without crop")  # a strip of which nothing is left
@settings(max_examples=60)
def test_a_picture_lies_on_its_photo_and_its_sizes_tell_the_rule(photos: list[tuple[int, int]], name: str) -> None:
    rule = RULES[name]
    try:
        found = rule.resize(photos, rule.targets[0])
    except ValueError:
        return
    if any(min(entry.size) < 1 for entry in found):
        return  # a strip so thin that the loader leaves nothing
    for photo, entry in zip(photos, found, strict=True):
        left, top, right, bottom = entry.image_box
        assert 0 <= left <= right <= entry.size[0]
        assert 0 <= top <= bottom <= entry.size[1]
        for axis, (low, high) in enumerate(((left, right), (top, bottom))):
            assert entry.offset[axis] + entry.scale[axis] * low >= -0.01 * entry.scale[axis]
            assert entry.offset[axis] + entry.scale[axis] * high <= photo[axis] + 0.01 * entry.scale[axis]
    assert matching_resizings(rule, photos, [entry.size for entry in found]) is not None


@pytest.mark.parametrize("file", STORED)
def test_a_stored_run_of_the_official_code_is_read(shared: Shared, file: str) -> None:
    model, numbers = STORED[file]
    photos = [shared(f"data/nle_tower/images/{number:02d}.jpg") for number in numbers]
    run = sd.read_pointmaps(shared("parity/pointmaps") / file, photos)
    assert run.model == model
    assert [view.name for view in run.views] == [photo.name for photo in photos]
    for view in run.views:
        camera = view.photo_camera()
        assert (camera.width, camera.height) == view.photo_size
        # at the centre in the model's numbers, whose pixel centres are integers: half a processed pixel off in ours
        assert float(camera.K[0, 0, 2]) == pytest.approx(camera.width / 2 + view.scale[0] / 2, abs=0.02 * view.scale[0])
        assert float(camera.K[0, 1, 2]) == pytest.approx(camera.height / 2 + view.scale[1] / 2, abs=0.02 * view.scale[1])
    if model != "depth_anything_3":
        assert run.detected == {"poses": run.declared["poses"], "axes": "OpenCV", "depth": "z", "centers": "integer"}


def test_the_stored_files_of_one_run_agree(shared: Shared) -> None:
    folder = shared("parity/pointmaps")
    getters, scene = (sd.read_pointmaps(folder / "dust3r" / name) for name in ("scene_getters.npz", "scene.glb"))
    for first, second in zip(getters.views, scene.views, strict=True):
        np.testing.assert_allclose(first.depth, second.depth, rtol=1e-4)
        np.testing.assert_allclose(first.camera.K, second.camera.K, atol=1e-3)
        np.testing.assert_allclose(first.camera.camera_to_world, second.camera.camera_to_world, atol=1e-5)
    plain, photo = (sd.read_pointmaps(folder / "depth_anything_3" / name) for name in ("results.npz", "colmap"))
    assert any("intrinsics are those of photos of" in sentence and "768 x 1024" in sentence for sentence in photo.notes)
    for first, second in zip(plain.views, photo.views, strict=True):
        np.testing.assert_allclose(first.camera.K, second.camera.K, atol=1e-3)
    padded = sd.read_pointmaps(folder / "vggt/predictions.npz")
    assert (padded.views[1].depth[:7] == 0).all()
    assert (padded.views[1].depth[7:35] > 0).all()
    assert any("pose_enc_list" in sentence for sentence in padded.notes)


PAGE = Path(__file__).resolve().parents[2] / "docs/howto/sparse_views.md"


def functions_of_the_page() -> dict[str, Any]:
    """The converters that the page shows, as a user copies them."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    found: dict[str, Any] = {"np": np}
    for block in blocks:
        if "def save_" in block:
            exec(compile(block, PAGE.name, "exec"), found)
    return found


class StandIn:
    """A scene of DUSt3R's global aligner, or of MASt3R's: the getters that the converter uses."""

    def __init__(self, views: list[dict[str, Any]], dense: bool) -> None:
        self.imgs = [view["img"] for view in views]
        self._poses = torch.from_numpy(np.stack([view["pose"] for view in views]))
        if dense:
            self.intrinsics = [torch.from_numpy(view["K"]) for view in views]
            flat = [torch.from_numpy(view["pts3d"].reshape(-1, 3)) for view in views]
            depths, confidences = ([torch.from_numpy(view[key]) for view in views] for key in ("depth", "im_conf"))
            self.get_dense_pts3d = lambda clean_depth: (flat, [depth.reshape(-1) for depth in depths], confidences)
        else:
            self.im_conf = [torch.from_numpy(view["im_conf"]) for view in views]
            self.get_pts3d = lambda: [torch.from_numpy(view["pts3d"]).requires_grad_() for view in views]
            self.get_depthmaps = lambda: [torch.from_numpy(view["depth"]).requires_grad_() for view in views]
            self.get_intrinsics = lambda: torch.from_numpy(np.stack([view["K"] for view in views]))

    def get_im_poses(self) -> torch.Tensor:
        return self._poses


@pytest.mark.parametrize("model", ["dust3r", "mast3r"])
def test_the_converter_of_the_page_saves_what_is_read(shared: Shared, tmp_path: Path, model: str) -> None:
    scene = sd.read_pointmaps(shared("parity/pointmaps/dust3r/scene.glb"))
    with np.load(shared("parity/pointmaps/dust3r/scene_getters.npz")) as getters:
        views = [
            {
                "img": view.image,
                "pose": getters["poses"][index],
                "K": getters["intrinsics"][index],
                **{key: getters[f"{key}_{index}"] for key in ("depth", "pts3d", "im_conf")},
            }
            for index, view in enumerate(scene.views)
        ]
    names = ["00.jpg", "02.jpg", "05.jpg"]
    functions_of_the_page()["save_scene"](StandIn(views, model == "mast3r"), names, tmp_path / "scene.npz", model=model)
    run = sd.read_pointmaps(tmp_path / "scene.npz", shared("data/nle_tower/images"))
    assert run.model == model
    assert run.detected["centers"] == "integer"
    assert [view.name for view in run.views] == names
    for view, expected in zip(run.views, views, strict=True):
        np.testing.assert_array_equal(view.depth, expected["depth"])
        np.testing.assert_array_equal(view.confidence, expected["im_conf"])
        assert view.scale == pytest.approx((1024 / 96,) * 2)
    assert all(view.correlation > 0.95 for view in check_pointmaps(run).views)
    with pytest.raises(sd.InputError, match="expected a run of vggt"):
        sd.read_pointmaps(tmp_path / "scene.npz", model="vggt")


def test_outputs_of_mapanything_saved_as_on_the_page_are_read(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "photos", "mapanything longest_side", 84)
    with np.load(write_mapanything_outputs(tmp_path / "outputs.npz", samples)) as stored:
        outputs = [{key: torch.from_numpy(stored[key][index : index + 1]) for key in stored.files} for index in range(4)]
    functions_of_the_page()["save_outputs"](outputs, tmp_path / "saved.npz")
    assert_true(sd.read_pointmaps(tmp_path / "saved.npz", tmp_path / "photos"), samples)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pointmaps")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_into_true_cameras_and_depth(folder: Path, layout: str) -> None:
    write, name, *_ = LAYOUTS[layout]
    photos = folder / f"photos of {layout}"
    samples = sampled(photos, layout)
    place = folder / f"run of {layout}"
    place.mkdir()
    run = sd.read_pointmaps(write(place / name, samples), photos)
    assert run.model == layout.split()[0]
    assert_true(run, samples)
    whole = sd.read_scene(Path(__file__).resolve().parents[2] / "scenes/table").views[0].camera
    np.testing.assert_allclose(run.views[0].photo_camera().K, whole.K, atol=0.3 if layout in ("pi3", "instantsplat") else 0.02)
    check = check_pointmaps(run)
    assert check.agreement > 0.6
    assert not check.faults
    assert json.loads(check.as_json())["model"] == run.model
    assert max(map(len, check.table().splitlines())) <= 80


def assert_true(run: PointmapRun, samples: list[Sample]) -> None:
    fitted = run.model in ("pi3", "instantsplat")
    for view, sample in zip(run.views, samples, strict=True):
        assert view.name == sample.name
        known = view.depth > 0
        assert known.mean() > 0.85
        np.testing.assert_allclose(view.depth[known], sample.depth[known], rtol=2e-4)
        np.testing.assert_allclose(view.camera.K[0], sample.K, atol=0.05 if fitted else 1e-3)
        np.testing.assert_allclose(view.camera.camera_to_world[0], sample.pose, atol=1e-5)
        assert view.scale == pytest.approx(sample.resizing.scale)
        assert view.offset == pytest.approx(sample.resizing.offset)


def test_mixed_shapes_are_mapped_each_and_padded_borders_have_no_depth(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "photos", "vggt crop", 84, portrait=(1,))
    run = sd.read_pointmaps(write_vggt(tmp_path / "predictions.npz", samples), tmp_path / "photos")
    assert [view.photo_size for view in run.views] == [(320, 240), (160, 240), (320, 240), (320, 240)]
    assert (run.views[0].depth[:14] == 0).all()
    assert (run.views[0].depth[14:70] > 0).all()
    assert (run.views[1].depth > 0).all()
    assert not check_pointmaps(run).faults
    samples = make_samples(tmp_path / "photos", "dust3r 512", 96, portrait=(1,))
    run = sd.read_pointmaps(write_dust3r(tmp_path / "scene.npz", samples), tmp_path / "photos")
    assert [view.depth.shape for view in run.views] == [(64, 96), (96, 64), (64, 96), (64, 96)]
    assert_true(run, samples)


MIXES = {
    "poses": Mix(inverse=True),
    "axes": Mix(opengl=True),
    "depth": Mix(ray=True),
    "centers": Mix(half=True),
}
SAID = {
    "poses": ("camera-to-world", "world-to-camera"),
    "axes": "OpenGL axes",
    "depth": "ray depth",
    "centers": "half pixel centres",
}


@pytest.mark.parametrize("question", MIXES)
@pytest.mark.parametrize("write", [write_vggt, write_mapanything, write_dust3r])
def test_stored_points_catch_each_mix_up(folder: Path, question: str, write: Callable[..., Path]) -> None:
    rule = "vggt crop" if write is write_vggt else "dust3r 512"
    samples = make_samples(folder / f"photos of {rule}", rule, 84 if write is write_vggt else 96)
    file = write(folder / f"{write.__name__}_{question}.npz", samples, MIXES[question])
    if write is write_vggt and question == "centers":  # its versions differ: the numbers decide
        run = sd.read_pointmaps(file)
        assert run.declared["centers"] == "half"
    else:
        said = SAID[question] if isinstance(SAID[question], str) else SAID[question][write is not write_vggt]
        with pytest.raises(sd.InputError, match=rf"conventions: {said} by unprojected depth.*trust_file") as error:
            sd.read_pointmaps(file)
        assert "\n" not in str(error.value)
        run = sd.read_pointmaps(file, trust_file=True)
        assert any("taken as the numbers say" in sentence for sentence in run.notes)
    for view, sample in zip(run.views, samples, strict=True):
        known = view.depth > 0
        np.testing.assert_allclose(view.depth[known], sample.depth[known], rtol=1e-4)
        np.testing.assert_allclose(view.camera.K[0], sample.K, atol=1e-3)
        np.testing.assert_allclose(view.camera.camera_to_world[0], sample.pose, atol=1e-5)


@pytest.mark.parametrize("mix", [Mix(inverse=True), Mix(opengl=True)])
def test_points_alone_tell_direction_and_axes(tmp_path: Path, mix: Mix) -> None:
    samples = make_samples(tmp_path / "photos", "pi3", 6_000)
    file = write_pi3(tmp_path / "predictions.npz", samples, mix)
    with pytest.raises(sd.InputError, match="by points seen through a pinhole"):
        sd.read_pointmaps(file)
    assert_true(sd.read_pointmaps(file, tmp_path / "photos", trust_file=True), samples)


@pytest.fixture(scope="module")
def da3_samples(folder: Path) -> list[Sample]:
    return make_samples(folder / "photos of depth alone", "da3 upper_bound_resize", 84, count=6)


def da3_run(folder: Path, samples: list[Sample], mix: Mix = RIGHT, **options: Any) -> PointmapRun:
    return sd.read_pointmaps(write_da3(folder / "results.npz", samples, mix), **options)


def test_depth_and_cameras_alone_tell_direction_and_axes(tmp_path: Path, da3_samples: list[Sample]) -> None:
    right = da3_run(tmp_path, da3_samples)
    assert right.detected == {"poses": "world-to-camera", "axes": "OpenCV"}
    for mix, said in (
        (Mix(inverse=True), "camera-to-world by agreement of views"),
        (Mix(opengl=True), "OpenGL axes by agreement"),
    ):
        with pytest.raises(sd.InputError, match=said):
            da3_run(tmp_path, da3_samples, mix)
        taken = da3_run(tmp_path, da3_samples, mix, trust_file=True)
        np.testing.assert_allclose(taken.views[1].camera.camera_to_world[0], da3_samples[1].pose, atol=1e-5)
    check = check_pointmaps(right)
    assert check.conventions["poses"]["by"] == "agreement of views"
    assert check.conventions["centers"]["by"] == "never from depth alone"
    assert check.conventions["depth"]["by"] == "the model's name alone"


def test_depth_and_cameras_alone_tell_units_and_exchanged_views_and_hint_at_the_rest(
    tmp_path: Path, da3_samples: list[Sample]
) -> None:
    for factor in (10.0, 0.025):
        check = check_pointmaps(da3_run(tmp_path, da3_samples, Mix(translation=factor), trust_file=True))
        assert check.translation_unit == pytest.approx(1 / factor, rel=0.1)
        assert check.faults[0].startswith("translations: ")
        with pytest.raises(sd.InputError, match=r"translations.*times what the unit of the depth asks for"):
            check.require()
    write_cut3r(tmp_path / "run", make_samples(tmp_path / "photos", "dust3r 512", 96, count=6), Mix(swapped=(1, 4)))
    check = check_pointmaps(sd.read_pointmaps(tmp_path / "run", tmp_path / "photos"))
    assert any("'photo_1.png' and 'photo_4.png': depth of each fits the pose of the other" in fault for fault in check.faults)
    right = check_pointmaps(da3_run(tmp_path, da3_samples))
    ray = check_pointmaps(da3_run(tmp_path, da3_samples, Mix(ray=True), trust_file=True))
    assert any("if depth were ray distance" in hint for hint in ray.hints)
    assert not right.hints
    half = check_pointmaps(da3_run(tmp_path, da3_samples, Mix(half=True)))
    assert abs(half.agreement - right.agreement) < 0.05  # which is why it is never told


def test_focal_length_and_intrinsics_of_the_photo_are_seen(tmp_path: Path, da3_samples: list[Sample]) -> None:
    check = check_pointmaps(da3_run(tmp_path, da3_samples, Mix(focal=8.0), trust_file=True))
    assert any("focal length" in fault and "'0'" in fault for fault in check.faults)
    stretched = np.stack([sample.K for sample in da3_samples])
    stretched[:, 1, 1] *= 1.33
    check = check_pointmaps(sd.read_pointmaps(change(tmp_path / "results.npz", intrinsics=stretched), trust_file=True))
    assert any("times fy; has the photo been stretched?" in hint for hint in check.hints)
    run = sd.read_pointmaps(write_da3(tmp_path / "whole.npz", da3_samples, whole_photo=True))
    assert any("intrinsics are those of photos of 320 x 240" in sentence for sentence in run.notes)
    np.testing.assert_allclose(run.views[0].camera.K[0, 0, 0], da3_samples[0].K[0, 0], rtol=1e-5)


def test_points_that_a_demo_left_out_of_its_glb_have_no_depth(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "photos", "dust3r 512", 96)
    run = sd.read_pointmaps(write_glb(tmp_path / "scene.glb", samples), tmp_path / "photos", model="mast3r")
    assert run.model == "mast3r"
    for view, sample in zip(run.views, samples, strict=True):
        assert (view.depth > 0).mean() == pytest.approx(0.9, abs=0.02)
        known = view.depth > 0
        np.testing.assert_allclose(view.depth[known], sample.depth[known], rtol=1e-4)
    with pytest.raises(sd.InputError, match="model: vggt; expected dust3r or mast3r"):
        sd.read_pointmaps(tmp_path / "scene.glb", model="vggt")


def test_quaternions_of_monst3r_are_read_in_either_order(tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "photos", "dust3r 512", 96)
    run = sd.read_pointmaps(write_monst3r(tmp_path / "run", samples, w_last=True))
    np.testing.assert_allclose(run.views[2].camera.camera_to_world[0], samples[2].pose, atol=1e-5)
    assert any("taken w last" in sentence for sentence in run.notes)


def test_photos_are_held_against_the_pictures_that_the_model_saw(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    samples = make_samples(photos, "vggt crop", 84)
    file = write_vggt(tmp_path / "predictions.npz", samples)
    files = [photos / sample.name for sample in samples]
    with pytest.raises(sd.InputError, match=r"view 0 shows photo_0.png, not photo_1.png: another order.*trust_file"):
        sd.read_pointmaps(file, [files[1], files[0], *files[2:]])
    taken = sd.read_pointmaps(file, [files[1], files[0], *files[2:]], trust_file=True)
    assert [view.name for view in taken.views] == [sample.name for sample in samples]
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)).save(photos / "a_foreign.png")
    more = sd.read_pointmaps(file, photos)  # five photos: the colours say which four
    assert [view.name for view in more.views] == [sample.name for sample in samples]
    with pytest.raises(
        sd.InputError, match=r"view 2: a_foreign.png correlates -?0\.\d+ with what the model saw.*expected the photos"
    ):
        sd.read_pointmaps(file, [*files[:2], photos / "a_foreign.png", files[3]])
    with pytest.raises(sd.InputError, match=r"photos: 3 files; expected 4, one for each view"):
        sd.read_pointmaps(file, files[:3])
    with pytest.raises(sd.InputError, match="the folder of the photos that the model saw"):
        sd.read_pointmaps(file, tmp_path / "nowhere")


def test_another_rule_and_an_exif_turn_are_named(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    samples = make_samples(photos, "dust3r 512", 96)  # 96 x 64, cut: not what VGGT's loader does
    file = write_vggt(tmp_path / "predictions.npz", samples)
    with pytest.raises(sd.InputError, match=r"resized as by the rule 'dust3r 512' \(colours correlate 0\.9"):
        sd.read_pointmaps(file, photos)
    samples = make_samples(photos, "vggt crop", 84)
    file = write_vggt(tmp_path / "predictions.npz", samples)
    turned = tmp_path / "turned"
    turned.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    for sample in samples:  # stored sideways, shown upright by the entry: VGGT would have seen them sideways
        with Image.open(photos / sample.name) as image:
            image.transpose(Image.Transpose.ROTATE_90).save(turned / sample.name, exif=exif)
    with pytest.raises(sd.InputError, match="turned as their EXIF entry asks"):
        sd.read_pointmaps(file, turned)
    dust3r = make_samples(photos, "dust3r 512", 96)
    run = sd.read_pointmaps(write_dust3r(tmp_path / "scene.npz", dust3r), turned)
    assert all(view.photo_turned and view.photo_size == (320, 240) for view in run.views)
    assert any("EXIF entry that turns them" in sentence for sentence in run.notes)


def change(file: Path, **arrays: Any) -> Path:
    with np.load(file, allow_pickle=True) as stored:
        content = {name: stored[name] for name in stored.files}
    changed = file.with_name(f"changed_{len(list(file.parent.iterdir()))}.npz")
    np.savez(changed, **{**content, **arrays})
    return changed


def test_bad_runs_are_refused_in_one_line_that_names_the_view(tmp_path: Path, da3_samples: list[Sample]) -> None:
    file = write_da3(tmp_path / "results.npz", da3_samples)
    poses = np.linalg.inv(np.stack([sample.pose for sample in da3_samples]))[:, :3]
    broken = poses.copy()
    broken[3, 0, 3] = np.nan
    mirrored = poses.copy()
    mirrored[2, 0] *= -1
    cases = {
        "pose of view '3' is a pose that is not finite; expected finite poses": change(file, extrinsics=broken),
        "pose of view '2' is a rotation of determinant -1": change(file, extrinsics=mirrored),
        r"conf: shape \(6, 5, 5\); expected \(6, 70, 84": change(file, conf=np.ones((6, 5, 5))),
        r"conf: shape \(6, 70, 84, 0\); expected \(6, 70, 84\), a number": change(file, conf=np.ones((6, 70, 84, 0))),
    }
    for said, path in cases.items():
        with pytest.raises(sd.InputError, match=said) as error:
            sd.read_pointmaps(path)
        assert "\n" not in str(error.value)
    with pytest.raises(sd.InputError, match="views is 1; expected two or more"):
        sd.read_pointmaps(write_da3(tmp_path / "one.npz", da3_samples[:1]))
    with pytest.raises(
        sd.InputError, match=r"expected extrinsic .N,3,4., depth .N,H,W., intrinsic .* as vggt saves them.*model=depth_an"
    ):
        sd.read_pointmaps(file, model="vggt")
    with pytest.raises(sd.InputError, match="model: nerf; expected dust3r, mast3r"):
        sd.read_pointmaps(file, model="nerf")
    np.savez(tmp_path / "other.npz", depth=np.ones((4, 5)))
    with pytest.raises(sd.InputError, match=r"arrays: depth\(4,5\); expected a pointmap run"):
        sd.read_pointmaps(tmp_path / "other.npz")
    (tmp_path / "scene.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(sd.InputError, match="pickles can run code and are never opened"):
        sd.read_pointmaps(tmp_path / "scene.pkl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(sd.InputError, match="no run of a pointmap model"):
        sd.read_pointmaps(tmp_path / "empty")
    with pytest.raises(sd.InputError, match="nothing there"):
        sd.read_pointmaps(tmp_path / ("n" * 300))
    Ks = np.stack([sample.K for sample in da3_samples])
    Ks[5, 1, 1] = 0
    with pytest.raises(sd.InputError, match=r"intrinsics of view '5'.*expected finite numbers and positive focal lengths"):
        sd.read_pointmaps(change(file, intrinsics=Ks))
    with pytest.raises(sd.InputError, match="depth: complex128; expected numbers"):
        sd.read_pointmaps(change(file, depth=np.ones((6, 70, 84), complex)))
    sizes = make_samples(tmp_path / "photos", "dust3r 512", 96)
    mixed = change(write_dust3r(tmp_path / "scene.npz", sizes), pts3d_2=np.ones((3, 4, 3)))
    with pytest.raises(sd.InputError, match=r"view 2: depth_2 \(64, 96\), pts3d_2 \(3, 4, 3\).*expected maps of one size"):
        sd.read_pointmaps(mixed)


def test_the_check_names_views_of_sky_and_views_apart(tmp_path: Path, da3_samples: list[Sample]) -> None:
    file = write_da3(tmp_path / "results.npz", da3_samples)
    depth = np.stack([sample.depth for sample in da3_samples])
    empty, shell = depth.copy(), depth.copy()
    empty[1, 5:] = 0
    shell[2, 10:] = 3 * depth.max()
    check = check_pointmaps(sd.read_pointmaps(change(file, depth=empty)))
    assert any(fault.startswith("view '1': depth in 7% of its pixels") for fault in check.faults)
    check = check_pointmaps(sd.read_pointmaps(change(file, depth=shell)))
    assert any(fault.startswith("view '2': 86% of it at one largest depth") for fault in check.faults)
    poses = np.linalg.inv(np.stack([sample.pose for sample in da3_samples]))[:, :3]
    poses[4] = poses[4] @ np.diag([-1.0, 1, -1, 1]) * np.array([1, 1, 1, 50.0])  # looks away from far away
    check = check_pointmaps(sd.read_pointmaps(change(file, extrinsics=poses)))
    assert check.faults == ("view '4': overlaps with no other view, 0.0% of it is confirmed; 5% is expected",)
    with pytest.raises(sd.InputError, match=r"view '4'.*Try: trust_file"):
        check.require()
