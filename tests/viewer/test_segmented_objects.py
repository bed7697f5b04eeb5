"""Objects picked through pictures: what a plain function segments is lifted by its vote, and SAM 2 as transformers runs it."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from scene_depth_heal import HealView, Sam2
from scene_depth_heal.clicks import Click
from scene_depth_heal.hole import picture_of
from scene_depth_heal.segmented import select_by_segments
from scipy.ndimage import binary_dilation, label
from test_picking_objects import BLUE, FLOOR, GREY, RED, box, camera_at, overlap, pixel_of, sheet

import scene_depth as sd
from scene_depth.io.splat_files import with_origin
from scene_depth.splats import concatenate_splats

BOX, BESIDE = box((-0.4, -0.4, 0), (0.2, 0.4, 0.5), RED, hidden=3), box((0.2, -0.4, 0), (0.7, 0.4, 0.5), BLUE, 20, hidden=2)
SCENE = concatenate_splats([FLOOR, BOX, BESIDE, sheet((-1, 1.2, 0), (2, 0, 0), (0, 0, 1.5), GREY)])
NUMBER = torch.arange(len(SCENE)) - len(FLOOR)
IS_RED = (NUMBER >= 0) & (len(BOX) > NUMBER)
IS_BLUE = (NUMBER >= 0) & ~IS_RED & (len(BOX) + len(BESIDE) > NUMBER)
UNDER = (NUMBER < 0) & (SCENE.means[:, 0] - 0.15).abs().le(0.55) & SCENE.means[:, 1].abs().le(0.4)  # shows in no view
CAMERAS = [
    camera_at(x, y, 1.5).resized(480, 360)
    for x, y in ((0.6, -2.5), (-0.8, -2.4), (2.2, -1.2), (-2.2, -1.0), (1.6, 1.9), (-1.4, 2.1))
]
CAMERA = CAMERAS[0]
ON_RED, ON_BLUE = pixel_of(CAMERA, -0.1, -0.4, 0.25), pixel_of(CAMERA, 0.45, -0.4, 0.25)
VIEWS = [HealView(f"{i}", camera, torch.from_numpy(picture_of(SCENE, camera))) for i, camera in enumerate(CAMERAS)]


def right(chosen: torch.Tensor, truth: torch.Tensor) -> float:
    """Intersection over union, but for what is under the boxes, which may go or stay."""
    return overlap(chosen & ~UNDER, truth)


def connected_color(rgb, pixels, belongs):
    """The connected patches of the colours that were clicked, without those that were refused: no network, and right here."""
    mask = np.zeros(rgb.shape[:2], dtype=bool)
    for wanted in (True, False):
        for column, row in np.asarray(pixels)[np.asarray(belongs) == wanted].astype(int):
            hue = rgb[row, column] - rgb[row, column].mean()
            alike = np.abs(rgb - rgb.mean(axis=-1, keepdims=True) - hue).max(axis=-1) < 0.12
            parts, _ = label(alike)
            mask[parts == parts[row, column]] = wanted
    return mask


@pytest.mark.parametrize("views", [VIEWS, VIEWS[1:], []], ids=["photos", "clicked elsewhere", "splats alone"])
def test_masks_of_several_pictures_make_the_object(views) -> None:
    chosen = select_by_segments(SCENE, [Click(CAMERA, ON_RED)], views, connected_color)
    assert right(chosen, IS_RED) >= 0.93


def test_further_clicks_add_and_refuse_wherever_they_were_made() -> None:
    both = [Click(CAMERA, ON_RED), Click(CAMERAS[2], pixel_of(CAMERAS[2], 0.7, 0, 0.25))]
    assert right(select_by_segments(SCENE, both, VIEWS, connected_color), IS_RED | IS_BLUE) >= 0.9
    less = [*both, Click(CAMERAS[1], pixel_of(CAMERAS[1], 0.45, -0.4, 0.25), belongs=False)]
    assert right(select_by_segments(SCENE, less, VIEWS, connected_color), IS_RED) >= 0.9


def test_a_view_whose_mask_contradicts_the_clicked_picture_has_no_vote() -> None:
    clicked = VIEWS[0].rgb.numpy().tobytes()
    asked = []

    def sometimes_wrong(rgb, pixels, belongs):
        asked.append(len(pixels))
        mask = connected_color(rgb, pixels, belongs)
        if rgb.tobytes() == clicked or len(asked) not in (3, 4):
            return mask
        return binary_dilation(mask, iterations=60) if len(asked) == 3 else ~mask

    chosen = select_by_segments(SCENE, [Click(CAMERA, ON_RED)], VIEWS, sometimes_wrong)
    assert asked[0] == 1
    assert len(asked) > 4
    assert right(chosen, IS_RED) >= 0.93


def test_one_picture_alone_takes_its_first_surface() -> None:
    calls = []

    def right_once(rgb, pixels, belongs):
        calls.append(1)
        mask = connected_color(rgb, pixels, belongs)
        return mask if len(calls) == 1 else ~mask

    chosen = select_by_segments(SCENE, [Click(CAMERA, ON_RED)], VIEWS, right_once)
    assert IS_RED[chosen].float().mean() > 0.97
    assert 0.2 < right(chosen, IS_RED) < 0.8  # its back shows in no vote


def test_what_is_no_object_says_so() -> None:
    click = [Click(CAMERA, ON_RED)]
    with pytest.raises(sd.InputError, match="nothing is segmented"):
        select_by_segments(SCENE, click, VIEWS, lambda rgb, pixels, belongs: np.zeros(rgb.shape[:2], dtype=bool))
    with pytest.raises(sd.InputError, match="the whole picture"):
        select_by_segments(SCENE, click, VIEWS, lambda rgb, pixels, belongs: np.ones(rgb.shape[:2], dtype=bool))
    with pytest.raises(sd.InputError, match="segment is a mask of float64"):
        select_by_segments(SCENE, click, VIEWS, lambda rgb, pixels, belongs: np.zeros((3, 4)))
    with pytest.raises(sd.InputError, match="belong to it"):
        select_by_segments(SCENE, [Click(CAMERA, ON_RED, belongs=False)], VIEWS, connected_color)
    with pytest.raises(sd.InputError, match="segment: given without clicks"):
        sd.select(SCENE, torch.arange(5), segment=connected_color)


def test_select_takes_a_function_that_segments_pictures_of_a_shifted_scene() -> None:
    shift = torch.tensor([1e5, -2e4, 300.0], dtype=torch.float64)
    click = Click(CAMERA.translated(shift), ON_RED)
    assert right(sd.select(with_origin(SCENE, tuple(shift.tolist())), click, segment=connected_color), IS_RED) >= 0.93


@pytest.fixture(scope="module")
def tiny_sam(tmp_path_factory):
    """SAM 2 of transformers' own layout, tiny, with random weights."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    if not hasattr(transformers, "Sam2Model"):
        pytest.skip("transformers is older than SAM 2")
    torch.manual_seed(0)
    backbone = {
        "hidden_size": 8, "image_size": [64, 64], "embed_dim_per_stage": [8, 16, 32, 64], "blocks_per_stage": [1, 1, 2, 1],
        "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [4, 4, 4, 4], "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [4, 4],
    }  # fmt: skip
    vision = {
        "backbone_config": {"model_type": "sam2_hiera_det_model", **backbone}, "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]], "fpn_hidden_size": 32,
    }  # fmt: skip
    config = transformers.Sam2Config(
        vision_config={"model_type": "sam2_vision_model", **vision},
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
    )
    model = transformers.Sam2Model(config).eval()
    folder = tmp_path_factory.mktemp("sam2")
    model.save_pretrained(folder)
    return folder, model


@pytest.mark.parametrize("clicks", [1, 3])
def test_sam_2_is_asked_as_its_own_preprocessing_does(tiny_sam, clicks: int) -> None:
    folder, model = tiny_sam
    rgb = VIEWS[0].rgb.numpy()
    pixels, belongs = np.array([ON_RED, (20.0, 20.5), ON_BLUE])[:clicks], np.array([True, True, False])[:clicks]
    segment = Sam2(str(folder), device="cpu")
    mask = segment(rgb, pixels, belongs)
    height, width = rgb.shape[:2]
    square = torch.nn.functional.interpolate(
        torch.from_numpy(rgb).permute(2, 0, 1)[None], (64, 64), mode="bilinear", antialias=True
    )
    values = (square - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.no_grad():
        out = model(
            pixel_values=values,
            input_points=torch.tensor(pixels * [64 / width, 64 / height], dtype=torch.float32)[None, None],
            input_labels=torch.tensor(belongs.astype(int))[None, None],
            multimask_output=clicks == 1,
        )
    assert out.pred_masks.shape[2] == (3 if clicks == 1 else 1)
    logits = out.pred_masks[0, 0, int(out.iou_scores[0, 0].argmax())]
    expected = torch.nn.functional.interpolate(logits[None, None], (height, width), mode="bilinear")[0, 0] > 0
    assert mask.dtype == np.bool_
    assert (mask == expected.numpy()).mean() > 0.999
    assert (segment(rgb, pixels, belongs) == mask).all()


def test_features_of_a_picture_are_made_once(tiny_sam, monkeypatch) -> None:
    segment, made = Sam2(str(tiny_sam[0]), device="cpu"), []
    before = segment._model.get_image_embeddings
    monkeypatch.setattr(segment._model, "get_image_embeddings", lambda values: made.append(1) or before(values))
    for view in (VIEWS[0], VIEWS[1], VIEWS[0]):
        segment(view.rgb.numpy(), np.array([[80.0, 60.0]]), np.array([True]))
    assert len(made) == 2


def test_weights_that_are_missing_or_of_something_else_say_so(tiny_sam, tmp_path) -> None:
    transformers = pytest.importorskip("transformers")
    with pytest.raises(sd.InputError, match="no such folder"):
        Sam2(str(tmp_path / "nothing"))
    transformers.BertConfig(hidden_size=8, num_attention_heads=1).save_pretrained(tmp_path / "bert")
    with pytest.raises(sd.InputError, match="type 'bert', not SAM 2"):
        Sam2(str(tmp_path / "bert"))
    _, model = tiny_sam
    state = {name: value for name, value in model.state_dict().items() if "iou_prediction_head" not in name}
    model.save_pretrained(tmp_path / "part", state_dict=state)
    with pytest.raises(sd.InputError, match=r"weights are missing, mask_decoder\.iou_prediction_head"):
        Sam2(str(tmp_path / "part"))


def test_the_default_checkpoint_is_listed_with_its_licence() -> None:
    from scene_depth.depth.checkpoints import describe_checkpoint

    default = inspect.signature(Sam2).parameters["checkpoint"].default
    assert describe_checkpoint(default) == "about 0.2 GB, Apache-2.0"
