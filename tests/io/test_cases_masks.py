"""Masks as people have them: palettes, alpha, labels, colours, other polarity, other names; right or asked for, never wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scene_depth_heal.inputs import load_views
from scene_depth_heal.painted import read_painted
from scene_depth_heal.selection import SelectionSource
from scene_samples import sample_scene, smooth_image

from scene_depth.cli.app import main
from scene_depth.errors import InputError
from scene_depth.fitting.training_views import TrainingViews
from scene_depth.io.depth_images import read_depth, write_depth
from scene_depth.io.images import check_white_share, images_named_like, parse_mask_ids, read_mask, write_mask
from scene_depth.io.posed_views import with_mask_ids
from scene_depth.io.scenes import read_scene, write_scene

SIZE = (48, 64)


def disc(radius: float = 14, center: tuple[float, float] = (24, 30)) -> NDArray[np.bool_]:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    return (x - center[1]) ** 2 + (y - center[0]) ** 2 < radius**2


OBJECT, OTHER = disc(), disc(6, (8, 55))


def labels(first: int, second: int | None = None, dtype: type = np.uint8) -> NDArray[np.generic]:
    values = np.where(OBJECT, first, 0)
    return (values if second is None else np.where(OTHER, second, values)).astype(dtype)


def save(folder: Path, pixels: NDArray[np.generic], mode: str | None = None, name: str = "mask.png", **options: object) -> Path:
    image = Image.fromarray(pixels, mode)
    image.save(folder / name, **options)
    return folder / name


def palette(folder: Path, indices: NDArray[np.generic], colors: list[int], name: str = "mask.png") -> Path:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette(colors + [0] * (768 - len(colors)))
    image.save(folder / name)
    return folder / name


def rgba(color: object, alpha: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.dstack([np.broadcast_to(np.asarray(color, np.uint8), (*SIZE, 3)), alpha.astype(np.uint8) * 255])


# --- what one file means


@pytest.mark.parametrize("label", [1, 3, 38, 127, 128, 254, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_of_two_values_the_larger_is_white(label: int, dtype: type, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mask(save(tmp_path, labels(label, dtype=dtype))), OBJECT)


@pytest.mark.parametrize(
    "colors", [[0, 0, 0, 128, 0, 0], [0, 0, 0, 255, 255, 255], [90, 90, 90, 20, 20, 20]], ids=["red", "white", "darker"]
)
def test_palettes_are_labels(colors: list[int], tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mask(palette(tmp_path, labels(1), colors)), OBJECT)


def test_a_palette_of_black_and_white_is_a_picture(tmp_path: Path) -> None:
    """Programs that save few colours put them into a palette in any order."""
    np.testing.assert_array_equal(read_mask(palette(tmp_path, ~OBJECT, [255, 255, 255, 0, 0, 0])), OBJECT)
    image = Image.fromarray(OBJECT.astype(np.uint8) * 255).convert("RGB").quantize(2)
    image.save(tmp_path / "quantized.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "quantized.png"), OBJECT)


@pytest.mark.parametrize("color", [(255, 255, 255), (0, 0, 0), (200, 30, 90)])
@pytest.mark.parametrize("name", ["mask.png", "mask.webp", "mask.tif"])
def test_alpha_over_a_uniform_picture_is_the_mask(color: tuple[int, int, int], name: str, tmp_path: Path) -> None:
    path = save(tmp_path, rgba(color, OBJECT), name=name, **({"lossless": True} if name.endswith("webp") else {}))
    np.testing.assert_array_equal(read_mask(path), OBJECT)


def test_a_cut_out_photo_is_a_mask_by_its_alpha(tmp_path: Path) -> None:
    photo = smooth_image(*SIZE)
    np.testing.assert_array_equal(read_mask(save(tmp_path, np.dstack([photo, OBJECT.astype(np.uint8) * 255]))), OBJECT)


def test_grey_with_alpha(tmp_path: Path) -> None:
    both = np.dstack([np.full(SIZE, 255, np.uint8), OBJECT.astype(np.uint8) * 255])
    np.testing.assert_array_equal(read_mask(save(tmp_path, both)), OBJECT)
    opaque = np.dstack([OBJECT.astype(np.uint8) * 255, np.full(SIZE, 255, np.uint8)])
    np.testing.assert_array_equal(read_mask(save(tmp_path, opaque)), OBJECT)
    white_disc_on_clear_black = np.dstack([(OBJECT | OTHER).astype(np.uint8) * 255, (~OTHER).astype(np.uint8) * 255])
    np.testing.assert_array_equal(read_mask(save(tmp_path, white_disc_on_clear_black)), OBJECT & ~OTHER)


@pytest.mark.parametrize("color", [(128, 0, 0), (0, 0, 255), (255, 255, 0)])
def test_a_coloured_object_on_black_is_white(color: tuple[int, int, int], tmp_path: Path) -> None:
    pixels = np.where(OBJECT[..., None], color, 0).astype(np.uint8)
    np.testing.assert_array_equal(read_mask(save(tmp_path, pixels)), OBJECT)


def test_soft_and_compressed_edges_are_cut_in_the_middle(tmp_path: Path) -> None:
    hard = Image.fromarray(OBJECT.astype(np.uint8) * 255)
    for blurred in (hard.filter(ImageFilter.GaussianBlur(2)), hard.resize((128, 96), Image.Resampling.BICUBIC)):
        blurred.save(tmp_path / "soft.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "soft.png"), np.asarray(blurred) > 127)
    hard.save(tmp_path / "mask.jpg", quality=60)
    assert (read_mask(tmp_path / "mask.jpg") != OBJECT).mean() < 0.01
    hard.convert("RGB").save(tmp_path / "rgb.jpg", quality=60)
    assert (read_mask(tmp_path / "rgb.jpg") != OBJECT).mean() < 0.01
    Image.open(tmp_path / "mask.jpg").save(tmp_path / "from_jpg.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "from_jpg.png"), read_mask(tmp_path / "mask.jpg"))


# --- several labels


@pytest.mark.parametrize(("first", "second"), [(1, 2), (128, 255), (255, 7), (1, 255)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_several_labels_need_the_one_that_is_meant(first: int, second: int, dtype: type, tmp_path: Path) -> None:
    path = save(tmp_path, labels(first, second, dtype))
    with pytest.raises(InputError, match=r"mask\.png: mask: 3 labels \(0, \d+, \d+\); expected .*--mask-id"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, [first]), OBJECT & ~OTHER)
    np.testing.assert_array_equal(read_mask(path, [second]), OTHER)
    np.testing.assert_array_equal(read_mask(path, [first, second]), OBJECT | OTHER)
    assert not read_mask(path, [99]).any()


def test_labels_of_palettes_and_colours(tmp_path: Path) -> None:
    path = palette(tmp_path, labels(1, 2), [0, 0, 0, 128, 0, 0, 0, 128, 0])
    with pytest.raises(InputError, match=r"3 labels \(0, 1, 2\)"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, [2]), OTHER)
    pixels = np.where(OTHER[..., None], (0, 128, 0), np.where(OBJECT[..., None], (128, 0, 0), 0)).astype(np.uint8)
    path = save(tmp_path, pixels, name="colours.png")
    with pytest.raises(InputError, match=r"3 labels \(#000000, #008000, #800000\)"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, parse_mask_ids(["#008000"])), OTHER)
    with pytest.raises(InputError, match="mask_id: red; expected numbers of labels, or colours"):
        parse_mask_ids(["red"])


# --- which file belongs to which view


def masks(folder: Path, names: list[str], mask: NDArray[np.bool_] = OBJECT) -> Path:
    for name in names:
        write_mask(folder / name, mask)
    return folder


def paired(folder: Path, views: list[str], **options: bool) -> dict[str, str]:
    found = images_named_like(folder, views, what="masks", **options)
    return {view: file.relative_to(folder).as_posix() for view, file in found.items()}


def test_masks_of_a_rig_are_paired_by_their_paths(tmp_path: Path) -> None:
    masks(tmp_path, ["left/a.png", "right/a.png"])
    expected = {"left/a.jpg": "left/a.png", "right/a.jpg": "right/a.png"}
    assert paired(tmp_path, ["left/a.jpg", "right/a.jpg"]) == expected


def test_a_name_that_two_views_have_is_no_pair(tmp_path: Path) -> None:
    masks(tmp_path, ["a.png", "b.png"])
    assert paired(tmp_path, ["left/a.jpg", "right/a.jpg", "left/b.jpg"]) == {"left/b.jpg": "b.png"}


@pytest.mark.parametrize("name", ["a.png", "a.jpg.png", "a_mask.png", "mask_a.png", "A.PNG", "deep/a.mask.png", "masks-a.bmp"])
def test_names_of_masks(name: str, tmp_path: Path) -> None:
    masks(tmp_path, [name])
    assert paired(tmp_path, ["images/a.jpg"]) == {"images/a.jpg": name}


def test_photos_beside_their_masks_are_no_masks(tmp_path: Path) -> None:
    masks(tmp_path, ["a.png", "a_mask.png", "b.png", "b_mask.png"])
    assert paired(tmp_path, ["a.png", "b.png"]) == {"a.png": "a_mask.png", "b.png": "b_mask.png"}


def test_used_unused_and_missing_files_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    masks(tmp_path, ["a.png", "x.png"])
    paired(tmp_path, ["a.jpg", "b.jpg"])
    assert "masks: 1 of 2 views have a file; none has b.jpg; 1 files belong to no view (x.png)" in caplog.text


def test_order_only_on_request(tmp_path: Path) -> None:
    masks(tmp_path, ["m2.png", "m10.png"])
    views = ["frame 9.jpg", "frame 10.jpg"]
    with pytest.raises(InputError, match="masks: no file named like any view"):
        paired(tmp_path, views)
    assert paired(tmp_path, views, in_order=True) == {"frame 9.jpg": "m2.png", "frame 10.jpg": "m10.png"}
    with pytest.raises(InputError, match="masks: 2 files; expected 3, one for each view"):
        paired(tmp_path, [*views, "c.jpg"], in_order=True)


# --- what white means


def scene_with_masks(folder: Path, mask: NDArray[np.bool_]) -> Path:
    write_scene(folder / "scene", sample_scene(folder, views=3, size=(64, 48), masks=False, depth=False), format="colmap")
    for view in read_scene(folder / "scene").views:
        write_mask(folder / "scene" / "masks" / f"{view.name}.png", mask)
    return folder / "scene"


def test_masks_that_are_mostly_white_are_a_question(tmp_path: Path) -> None:
    folder = scene_with_masks(tmp_path, ~OBJECT)
    scene = read_scene(folder)
    with pytest.raises(InputError, match=r"masks: white on 80 % of nearly every picture; expected .*--mask-white keep"):
        load_views(scene, 64, SelectionSource())
    for white, expected in (("keep", OBJECT), ("object", ~OBJECT)):
        for source in (SelectionSource(mask_white=white), SelectionSource(masks=folder / "masks", mask_white=white)):
            for view in load_views(scene, 64, source):
                np.testing.assert_array_equal(view.mask, expected)


def test_masks_that_are_white_on_the_object_are_no_question(tmp_path: Path) -> None:
    scene = read_scene(scene_with_masks(tmp_path, OBJECT))
    for view in load_views(scene, 64, SelectionSource()):
        np.testing.assert_array_equal(view.mask, OBJECT)


def test_masks_without_any_white_are_said() -> None:
    with pytest.raises(InputError, match="masks: no white in any of 2"):
        check_white_share({"a": 0.0, "b": 0.0}, None, file=None)
    check_white_share({"a": 0.0, "b": 0.1}, None, file=None)
    check_white_share({"a": 0.9, "b": 0.1}, None, file=None)


def test_labels_of_a_scenes_own_masks(tmp_path: Path) -> None:
    folder = scene_with_masks(tmp_path, OBJECT)
    for view in read_scene(folder).views:
        save(folder / "masks", labels(1, 2), name=f"{view.name}.png")
    for view in load_views(read_scene(folder), 64, SelectionSource(mask_id=("2",))):
        np.testing.assert_array_equal(view.mask, OTHER)
    np.testing.assert_array_equal(with_mask_ids(read_scene(folder), [1]).views[0].mask(), OBJECT & ~OTHER)
    write_scene(tmp_path / "out", with_mask_ids(read_scene(folder), [1]), format="colmap")
    np.testing.assert_array_equal(read_scene(tmp_path / "out").views[0].mask(), OBJECT & ~OTHER)


def test_the_mask_of_a_painted_picture(tmp_path: Path) -> None:
    scene = sample_scene(tmp_path, size=(64, 48))
    picture = scene.views[0].image_path
    assert picture is not None
    name, path = scene.views[0].name, save(tmp_path, labels(7, 9))
    painted = read_painted(scene, name, picture, path, 64, mask_id=("7",))
    np.testing.assert_array_equal(painted.mask, OBJECT & ~OTHER)
    write_mask(tmp_path / "inverted.png", ~OBJECT)
    with pytest.raises(InputError, match="--mask-white keep"):
        read_painted(scene, name, picture, tmp_path / "inverted.png", 64)
    np.testing.assert_array_equal(
        read_painted(scene, name, picture, tmp_path / "inverted.png", 64, mask_white="keep").mask, OBJECT
    )


# --- what exports write, and read back


def stored_black(path: Path) -> NDArray[np.bool_]:
    """Where a mask file is black, as COLMAP and nerfstudio read it: what they leave out."""
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image) == 0


def mask_files(folder: Path, kind: str) -> dict[str, Path]:
    """The mask of each photo, by the rule of the format."""
    if kind == "colmap":
        return {path.name: folder / "masks" / f"{path.name}.png" for path in (folder / "images").iterdir()}
    frames = json.loads((folder / "transforms.json").read_text())["frames"]
    return {Path(frame["file_path"]).name: folder / frame["mask_path"] for frame in frames}


@pytest.mark.parametrize("source", ["memory", "scene", "transforms", "colmap", "object_masks"])
@pytest.mark.parametrize("kind", ["colmap", "transforms"])
def test_exports_are_black_on_the_object_and_read_back(kind: str, source: str, tmp_path: Path) -> None:
    original = scene = sample_scene(tmp_path)
    if source != "memory":  # wherever it comes from
        options = {"object_masks": True} if source == "object_masks" else {}
        write_scene(tmp_path / "in", scene, format="transforms" if source == "object_masks" else source, **options)
        scene = read_scene(tmp_path / "in")
    write_scene(tmp_path / "out", scene, format=kind)
    files, read = mask_files(tmp_path / "out", kind), read_scene(tmp_path / "out")
    assert read.masks_are_objects
    assert any(note.startswith("white in masks is what to keep, black the object, says ") for note in read.notes)
    for view, back in zip(original.views, read.views, strict=True):
        np.testing.assert_array_equal(stored_black(files[view.name]), view.mask())
        np.testing.assert_array_equal(back.mask(), view.mask())
    for view, healed in zip(original.views, load_views(read, 64, SelectionSource()), strict=True):
        np.testing.assert_array_equal(healed.mask, view.mask())


@pytest.mark.parametrize("kind", ["colmap", "transforms", "scene"])
def test_masks_whose_meaning_nobody_knows_stay_as_they_are(kind: str, tmp_path: Path) -> None:
    """Those of a scene made by others mean what they meant: white stays white, and what it is stays open."""
    scene = read_scene(scene_with_masks(tmp_path, OBJECT))
    assert not scene.masks_are_objects
    assert any("mask_white=object or mask_white=keep (--scene-options)" in note for note in scene.notes)
    write_scene(tmp_path / "out", scene, format=kind)
    read = read_scene(tmp_path / "out")
    assert not read.masks_are_objects
    for view in read.views:
        np.testing.assert_array_equal(view.mask(), OBJECT)
    if kind != "scene":
        for path in mask_files(tmp_path / "out", kind).values():
            np.testing.assert_array_equal(stored_black(path), ~OBJECT)


@pytest.mark.parametrize("white", ["object", "keep"])
def test_what_white_is_can_be_said_when_scenes_are_read(white: str, tmp_path: Path) -> None:
    folder = scene_with_masks(tmp_path, OBJECT)
    arguments = ["convert", str(folder), str(tmp_path / "out"), "--to", "transforms", "--scene-options", f"mask_white={white}"]
    assert main(arguments) == 0
    for path in mask_files(tmp_path / "out", "transforms").values():
        np.testing.assert_array_equal(stored_black(path), OBJECT if white == "object" else ~OBJECT)
    for view in read_scene(tmp_path / "out").views:
        np.testing.assert_array_equal(view.mask(), OBJECT if white == "object" else ~OBJECT)


def test_mask_white_of_heal_means_the_file(tmp_path: Path) -> None:
    """Said again, it does not turn a mask twice; said otherwise, it wins."""
    write_scene(tmp_path / "out", sample_scene(tmp_path), format="colmap")
    read = read_scene(tmp_path / "out")
    for white in ("keep", "object"):
        for view, found in zip(read.views, load_views(read, 64, SelectionSource(mask_white=white)), strict=True):
            np.testing.assert_array_equal(found.mask, view.mask() == (white == "keep"))


@pytest.mark.parametrize("use", ["keep", "ignore"])
def test_fits_use_what_is_white_in_the_file(use: str, tmp_path: Path) -> None:
    scene = sample_scene(tmp_path, views=1)
    write_scene(tmp_path / "out", scene, format="transforms")
    counts = TrainingViews(read_scene(tmp_path / "out").views, 64, mask_use=use).target(0).counts
    assert counts is not None
    np.testing.assert_array_equal(counts, scene.views[0].mask() == (use == "ignore"))  # the object is black


def test_a_meaning_that_is_none_is_an_error(tmp_path: Path) -> None:
    write_scene(tmp_path / "out", sample_scene(tmp_path), format="colmap")
    (tmp_path / "out" / "masks" / "meaning.json").write_text('{"mask_white": "sky"}')
    with pytest.raises(InputError, match=r"meaning\.json: mask_white is 'sky'; expected object or keep"):
        read_scene(tmp_path / "out")


@pytest.mark.parametrize("name", ["table", "room", "street"])
def test_sample_scenes_name_masks_that_nerfstudio_does_not_train_by(name: str) -> None:
    folder = Path(__file__).parents[2] / "scenes" / name
    frame = json.loads((folder / "transforms.json").read_text())["frames"][0]
    assert "mask_path" not in frame
    scene = read_scene(folder)
    assert scene.masks_are_objects
    np.testing.assert_array_equal(scene.views[0].mask(), ~stored_black(folder / frame["object_mask_path"]))


# --- the shared cases


@pytest.mark.parametrize("case", ["mask_palette/masks_palette", "mask_palette/masks_in_alpha", "mask_black_is_object/input"])
def test_the_masks_of_the_shared_cases(case: str, shared) -> None:
    folder, truth = shared(f"cases/{case}"), shared("cases/mask_black_is_object/input/masks")
    scene = read_scene(folder)
    inverted = case.startswith("mask_black")
    if inverted:
        with pytest.raises(InputError, match=r"white on 9\d % of nearly every picture"):
            load_views(scene, 160, SelectionSource())
    views = load_views(scene, 320, SelectionSource(mask_white="keep" if inverted else None))
    for view in views:
        np.testing.assert_array_equal(view.mask, np.asarray(Image.open(truth / view.name.replace("jpg", "png"))) == 0)


# --- complete


@pytest.mark.parametrize("kind", ["palette", "alpha", "labels"])
def test_complete_fills_what_any_mask_shows(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    write_depth(tmp_path / "depth.png", (2 + 0.01 * x + 0.02 * y).astype(np.float32))
    if kind == "palette":
        palette(tmp_path, labels(1), [0, 0, 0, 128, 0, 0])
    else:
        save(tmp_path, rgba((255, 255, 255), OBJECT) if kind == "alpha" else labels(4, 5))
    arguments = ["complete", "-", str(tmp_path / "depth.png"), "--mask", str(tmp_path / "mask.png"), "--mask-white", "fill"]
    arguments += ["--output", str(tmp_path / "out"), "--no-points", "--inpainter", "nearest"]
    arguments += ["--mask-id", "4"] if kind == "labels" else []
    assert main(arguments) == 0
    changed = read_depth(tmp_path / "out" / "depth" / "depth.png") != read_depth(tmp_path / "depth.png")
    where = OBJECT & ~OTHER if kind == "labels" else OBJECT
    assert not changed[~where].any()
    assert changed[where].mean() > 0.9
    assert f"{100 * (1 - where.mean()):.1f} % known" in capsys.readouterr().out


def test_complete_says_that_a_mask_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_depth(tmp_path / "depth.png", np.full(SIZE, 2, np.float32))
    write_mask(tmp_path / "mask.png", np.zeros(SIZE, bool))
    arguments = ["complete", "-", str(tmp_path / "depth.png"), "--mask", str(tmp_path / "mask.png"), "--mask-white", "fill"]
    assert main([*arguments, "--output", str(tmp_path / "out"), "--no-points"]) == 0
    assert "the mask is white nowhere" in capsys.readouterr().out
