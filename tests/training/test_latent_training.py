"""Training of the latent models at tiny sizes: paths and targets, weights to start from, switches, learning, loading."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from scene_depth.datasets.frames import DepthFrame
from scene_depth.depth.depthfm.flow import signal_share
from scene_depth.depth.depthfm.inference import predict_log_depth
from scene_depth.depth.depthfm.network import load_depthfm
from scene_depth.depth.depthlab.networks import DepthLabModel
from scene_depth.depth.depthlab.schedule import Flow, ddim_step
from scene_depth.depth.latent.vae import encode, load_vae
from scene_depth.depth.prior import MonocularMap
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.training import depthfm, depthlab, vae
from scene_depth.training.config import write_config
from scene_depth.training.depthlab import DepthLabObjective
from scene_depth.training.depthlab_start import estimation_state, reference_state
from scene_depth.training.latent import (
    LowRankLinear,
    UNetShape,
    VaeShape,
    add_low_rank,
    drawn_known,
    masked_mean,
    merged_state,
    new_unet,
    new_vae,
    whole_cells,
)
from scene_depth.training.log import read_log
from scene_depth.training.loop import train
from scene_depth.training.objective import derived_seed
from scene_depth.training.teacher import TeacherConfig, depth_of_map

SHAPE = UNetShape(channels=(8, 16), layers=1, head_channels=4, context=4, groups=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random autoencoder in ``vae`` and room for rendered frames."""
    path = tmp_path_factory.mktemp("latent")
    torch.manual_seed(0)
    new_vae(VaeShape(channels=(4, 4, 4, 8), layers=1, groups=4)).save_pretrained(path / "vae")
    return path


def tiny(module: Any, folder: Path, **changes: Any) -> Any:
    """The tiny preset of a training with its frames kept in the folder."""
    config = module.PRESETS["tiny"]
    options = {"cache": str(folder / "frames"), "count": 4, "width": 64, "height": 64}
    sources = {
        name: tuple(replace(entry, options={**entry.options, **options}) for entry in getattr(config, name))
        for name in ("data", "held_out")
    }
    view = replace(config.view, width=64, height=64)
    own = {"shape": SHAPE, "vae": str(folder)} if module is not vae else {}
    train_config = replace(config.train, steps=2, batch_size=2, device="cpu", **changes.pop("train", {}))
    return replace(config, **sources, view=view, held_out_count=1, train=train_config, **(own | changes))


def batch_of(objective: Any, count: int = 2) -> dict[str, torch.Tensor]:
    examples = [objective.example(0, index) for index in range(count)]
    return {name: torch.stack([example[name] for example in examples]) for name in examples[0]}


def loss_of(objective: Any, model: torch.nn.Module, batch: dict[str, torch.Tensor], seed: int = 0) -> torch.Tensor:
    return objective.loss(model, batch, torch.Generator().manual_seed(seed))["loss"]


def test_depthlab_normalises_by_the_known_part(folder: Path) -> None:
    objective = DepthLabObjective(tiny(depthlab, folder, limit=1.0))
    spreads = []
    beyond = 0
    for index in range(30):
        example = objective.example(0, index)
        known = (example["mask"] == -1) & (example["valid"] > 0)
        assert set(np.unique(example["mask"])) <= {-1.0, 1.0}
        assert torch.equal(example["masked"][known], example["target"][known])
        assert torch.equal(example["fill"][known], example["target"][known])
        low, high = float(example["target"][known].min()), float(example["target"][known].max())
        assert high == pytest.approx(-low, abs=2e-3)
        spreads.append(high)
        assert float(example["target"].abs().max()) <= 1
        beyond += int((example["target"].abs() > high + 1e-3).any())
        assert example["clip"].shape == (3, 224, 224)
    assert 0.19 < min(spreads) < 0.5 < max(spreads) <= 1.001
    assert beyond > 3, "depth in holes leaves the known range now and then"


def test_the_diffusion_target_leads_back_to_the_truth(folder: Path) -> None:
    """One exact DDIM step with the right v, to no noise at all, must give the latent of the truth."""
    objective = DepthLabObjective(tiny(depthlab, folder))
    target, noise = torch.randn(3, 4, 5, 6), torch.randn(3, 4, 5, 6)
    state, step, wanted = objective._path({"target": target}, noise, torch.tensor([0.0, 0.5, 0.9999]))
    assert step.tolist() == [0, 500, 999]
    clean = replace(objective.schedule, final=1.0)
    for row in range(3):
        found = ddim_step(clean, state[row], wanted[row], int(step[row]), -1)
        assert torch.allclose(found, target[row], atol=2e-3)


@pytest.mark.parametrize(("start", "level"), [("fill", 400), ("fill", 0), ("noise", 400)])
def test_the_flow_runs_straight_from_its_start_to_the_truth(folder: Path, start: Any, level: int) -> None:
    objective = DepthLabObjective(tiny(depthlab, folder, objective="flow", flow=Flow(start, level)))
    latents = {name: torch.randn(3, 4, 5, 6) for name in ("target", "fill")}
    noise, share = torch.randn(3, 4, 5, 6), torch.tensor([0.0, 0.25, 1.0])
    state, step, wanted = objective._path(latents, noise, share)
    signal = signal_share(level) if level else 1.0
    begin = noise if start == "noise" else signal**0.5 * latents["fill"] + (1 - signal) ** 0.5 * noise
    assert torch.allclose(state[0], begin[0], atol=1e-4)
    assert torch.allclose(state[2], latents["target"][2], atol=1e-5)
    assert torch.allclose(state + (1 - share.view(-1, 1, 1, 1)) * wanted, latents["target"], atol=1e-4)
    assert step.tolist() == pytest.approx([999, 749.25, 0])


def test_both_unets_start_from_marigold(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    marigold = new_unet(SHAPE.config(8))
    marigold.save_pretrained(tmp_path / "unet")
    load_vae(folder / "vae").save_pretrained(tmp_path / "vae")
    objective = DepthLabObjective(tiny(depthlab, folder, start=str(tmp_path), vae=""))
    model: Any = objective.build()
    kernel = marigold.conv_in.weight
    assert torch.equal(model.estimation.conv_in.weight[:, :4], kernel[:, 4:])
    assert not model.estimation.conv_in.weight[:, 4:].any()
    assert torch.equal(model.reference.conv_in.weight, kernel[:, :4])
    assert torch.equal(model.estimation.conv_out.weight, marigold.conv_out.weight)
    assert not any(name.startswith("conv_out") for name in reference_state(marigold.state_dict()))
    assert estimation_state(new_unet(SHAPE.config(4)).state_dict())["conv_in.weight"].shape[1] == 12
    new_unet(SHAPE.config(9)).save_pretrained(tmp_path / "unet")
    with pytest.raises(InputError, match="U-Net of 9 channels"):
        DepthLabObjective(tiny(depthlab, folder, start=str(tmp_path), vae=""))


def test_every_parameter_of_depthlab_gets_a_gradient_with_and_without_checkpointing(folder: Path) -> None:
    objective = DepthLabObjective(tiny(depthlab, folder))
    torch.manual_seed(2)
    model: Any = objective.build()
    batch = batch_of(objective)
    gradients = []
    for checkpointing in (False, True):
        model.zero_grad()
        if checkpointing:
            model.enable_gradient_checkpointing()
        loss_of(objective, model, batch).backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*gradients, strict=True))
    picture = next(parameter for name, parameter in model.reference.named_parameters() if name == "conv_in.weight")
    assert picture.grad.any(), "the picture reaches the loss through the reference features"


@pytest.mark.parametrize("objective", ["diffusion", "flow"])
def test_depthlab_trains_goes_on_and_completes_by_name(folder: Path, tmp_path: Path, objective: Any) -> None:
    config = tiny(depthlab, folder, objective=objective, evaluation_steps=2, train={"average": 0.5})
    train(DepthLabObjective(config), config.train, tmp_path, whole_config=config, on_progress=lambda now: now.done < 1)
    made = DepthLabObjective(config)
    report = train(made, config.train, tmp_path, whole_config=config, resume=True)
    assert report.measures["abs_rel"] > 0
    assert report.measures["abs_rel_constant"] > 0
    loaded = DepthLabModel.from_pretrained(tmp_path / "weights", device="cpu", dtype="fp32")
    assert ("flow" in loaded.schedule.config) == (objective == "flow")
    frame = made.held_out[0].load()
    known = np.random.default_rng(0).random(frame.truth.shape) < 0.5
    inpainter = load_depth_inpainter("depthlab", weights=tmp_path / "weights", device="cpu", num_inference_steps=2, strength=1.0)
    found = inpainter(frame.rgb, frame.truth, known & frame.valid)
    assert np.array_equal(found.depth[known & frame.valid], frame.truth[known & frame.valid])
    assert np.isfinite(found.depth).all()


def test_two_processes_of_depthlab_end_with_the_same_weights(folder: Path, tmp_path: Path) -> None:
    config = tiny(depthlab, folder, train={"average": 0.0})
    write_config(tmp_path / "config.json", config)
    script = Path(__file__).with_name("depthlab_process.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(script), str(tmp_path / "config.json"), str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (torch.load(tmp_path / "two" / f"rank_{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    torch.manual_seed(derived_seed(config.train.seed, 0))
    start = DepthLabObjective(config).build().state_dict()
    moved = [name for name in first if not torch.equal(first[name], start[name])]
    assert len(moved) > len(first) / 2


def test_one_flow_step_of_depthlab_is_one_evaluation(folder: Path) -> None:
    """x1 = x0 + v(x0, 0), with the time step of pure noise."""
    from scene_depth.depth.depthlab.networks import predict_v, reference_features
    from scene_depth.depth.depthlab.sampler import Conditions, Sampling, sample

    config = tiny(depthlab, folder, objective="flow", flow=Flow("noise"))
    objective = DepthLabObjective(config)
    torch.manual_seed(0)
    assembled = objective._assembled(objective.build().eval(), torch.device("cpu"))
    maps = [torch.randn(1, 4, 8, 8) for _ in range(4)]
    context, noise = torch.randn(1, 1, 4), torch.randn(1, 4, 8, 8)
    conditions = Conditions(*maps, torch.ones(1, 1, 8, 8), context)
    with torch.no_grad():
        found = sample(
            assembled.networks, assembled.schedule, conditions, noise, torch.zeros_like(noise), Sampling(num_inference_steps=1)
        )
        bank = reference_features(assembled.networks.reference, maps[0], context)
        inputs = torch.cat([noise, maps[1], maps[2]], dim=1)
        expected = noise + predict_v(assembled.networks.estimation, inputs, torch.tensor([999.0]), context, bank)
    assert torch.allclose(found, expected, atol=1e-5)


def test_depthfm_flows_from_the_picture_or_from_noise(folder: Path) -> None:
    seen: list[torch.Tensor] = []

    class Watching(torch.nn.Module):
        def forward(self, rows, t, encoder_hidden_states):
            seen.extend((rows, t))
            return type("Output", (), {"sample": torch.zeros_like(rows[:, :4])})

    for coupling in ("image", "noise"):
        objective = depthfm.DepthFMObjective(tiny(depthfm, folder, coupling=coupling))
        batch = batch_of(objective)
        seen.clear()
        loss = loss_of(objective, Watching(), batch, seed=5)
        rows, t = seen
        generator = torch.Generator().manual_seed(5)
        image, target = encode(objective.vae, batch["picture"]), encode(objective.vae, batch["depth"])
        noise, mix = torch.randn(image.shape, generator=generator), torch.rand(2, generator=generator)
        share = signal_share(400)
        begin = noise if coupling == "noise" else share**0.5 * image + (1 - share) ** 0.5 * noise
        between = mix.view(-1, 1, 1, 1)
        assert torch.equal(t, mix)
        assert torch.allclose(rows[:, :4], between * target + (1 - between) * begin, atol=1e-5)
        assert torch.equal(rows[:, 4:], image)
        cells = whole_cells(batch["valid"], 8)
        assert float(loss) == pytest.approx(float(masked_mean((target - begin).square(), cells)), rel=1e-5)


@pytest.mark.parametrize("normalization", ["log", "linear"])
def test_depthfm_normalises_by_the_quantiles_of_the_data(folder: Path, normalization: Any) -> None:
    objective = depthfm.DepthFMObjective(tiny(depthfm, folder, normalization=normalization))
    depths = np.concatenate([frame.truth[frame.valid][::16] for frame in (s.load() for s in objective.stream.frames)])
    near, far = np.quantile(depths, [0.02, 0.98])
    assert objective.ends == pytest.approx((near, far), rel=0.02)
    middle = np.sqrt(near * far) if normalization == "log" else (near + far) / 2
    values = objective._normalized(np.array([objective.ends[0], middle, objective.ends[1]]), objective.ends)
    assert values == pytest.approx([-1, 0, 1], abs=0.05)


def test_a_teacher_adds_photos_in_its_share(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    (tmp_path / "photos").mkdir()
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "photos" / f"p{number}.png")
    calls = []

    def slanted(rgb: np.ndarray) -> np.ndarray:  # any plain function is a model
        calls.append(rgb.shape)
        return np.linspace(0, 1, 64)[:, None].repeat(64, axis=1)

    monkeypatch.setattr("scene_depth.training.teacher.load_monocular_model", lambda name: slanted)
    own = TeacherConfig("slanted", str(tmp_path / "photos"), str(tmp_path / "taught"), share=1.0)
    config = tiny(depthfm, folder, teacher=own)
    for _ in range(2):
        objective = depthfm.DepthFMObjective(config)
    assert len(calls) == 3, "written once, then read"
    names = [objective.stream.sample(0, index).dataset for index in range(60)]
    assert 15 < names.count("teacher") < 45
    index = names.index("teacher")
    depth = objective.example(0, index)["depth"]
    assert np.quantile(depth, [0.02, 0.98]) == pytest.approx([-1, 1], abs=0.05)
    with pytest.raises(InputError, match="depth by 'slanted'; expected depth by 'other'"):
        depthfm.DepthFMObjective(replace(config, teacher=replace(own, model="other")))
    with pytest.raises(InputError, match="pictures and folder"):
        TeacherConfig("slanted")


@pytest.mark.parametrize(
    ("space", "values"), [("log", [0.0, 1.0]), ("inverse", [1.0, 0.5]), ("inverse", [1.0, 0.0]), ("depth", [2.0, 4.0])]
)
def test_teacher_maps_become_positive_depth(space: Any, values: list[float]) -> None:
    depth = depth_of_map(MonocularMap(np.array([values], np.float32), space))
    assert (depth > 0).all()
    expected = {"log": np.e, "inverse": 2.0 if values[1] else 50.0, "depth": 2.0}[space]
    assert depth[0, 1] / depth[0, 0] == pytest.approx(expected, rel=1e-4)


def test_stable_diffusion_is_widened_so_that_nothing_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same latent in both halves the widened U-Net computes what Stable Diffusion did."""
    torch.manual_seed(3)
    start = new_unet(SHAPE.config(4)).eval()
    start.save_pretrained(tmp_path / "unet")
    monkeypatch.setattr("scene_depth.training.depthfm.empty_text", lambda folder: torch.zeros(1, 7, 4))
    objective = depthfm.DepthFMObjective(tiny(depthfm, folder, start=str(tmp_path)))
    unet, text = objective.build(), objective.text
    z, t = torch.randn(2, 4, 8, 8), torch.tensor([0.1, 0.7])
    context = text.expand(2, -1, -1)
    with torch.no_grad():
        expected = start(z, t, encoder_hidden_states=context).sample
        found = unet.eval()(torch.cat([z, z], dim=1), t, encoder_hidden_states=context).sample
    assert torch.allclose(found, expected, atol=1e-5)


def test_low_rank_layers_start_as_they_were_and_merge() -> None:
    torch.manual_seed(4)
    unet = new_unet(SHAPE.config(8)).eval()
    z, t, context = torch.randn(1, 8, 8, 8), torch.tensor([0.5]), torch.randn(1, 1, 4)
    with torch.no_grad():
        before = unet(z, t, encoder_hidden_states=context).sample
        names = set(unet.state_dict())
        add_low_rank(unet, 2)
        assert torch.allclose(unet(z, t, encoder_hidden_states=context).sample, before, atol=1e-6)
        for layer in unet.modules():
            if isinstance(layer, LowRankLinear):
                layer.up.weight.normal_(std=0.1)
        changed = unet(z, t, encoder_hidden_states=context).sample
        assert not torch.allclose(changed, before, atol=1e-3)
        state = merged_state(unet)
        assert set(state) == names
        merged = new_unet(SHAPE.config(8)).eval()
        merged.load_state_dict(state)
        assert torch.allclose(merged(z, t, encoder_hidden_states=context).sample, changed, atol=1e-5)
    trained = [name for name, parameter in unet.named_parameters() if parameter.requires_grad]
    assert all(".up." in name or ".down." in name or name.startswith("conv_in.") for name in trained)
    assert len(trained) > 10


@pytest.mark.parametrize("changes", [{}, {"completion": True}, {"low_rank": 2}, {"coupling": "noise", "normalization": "linear"}])
def test_depthfm_trains_and_loads(folder: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    config = tiny(depthfm, folder, **changes)
    report = train(depthfm.DepthFMObjective(config), config.train, tmp_path, whole_config=config)
    assert report.measures["abs_rel"] > 0
    model = load_depthfm(tmp_path / "weights", device="cpu")
    assert model.unet.config.in_channels == (16 if "completion" in changes else 8)
    assert (model.encoding is not None) == ("completion" in changes)
    assert model.noising_step == (1000 if changes.get("coupling") == "noise" else 400)
    assert model.normalization == changes.get("normalization", "log")
    if model.normalization == "linear":
        with pytest.raises(InputError, match="normalization of the weights: linear"):
            predict_log_depth(model, np.zeros((64, 64, 3), dtype=np.float32))
    if changes:
        return
    further = tiny(depthfm, folder, start=str(tmp_path / "weights"), completion=True)
    widened: Any = depthfm.DepthFMObjective(further).build()
    assert torch.equal(widened.conv_in.weight[:, :8], model.unet.conv_in.weight)
    assert not widened.conv_in.weight[:, 8:].any()


def test_a_tiny_depthlab_learns(folder: Path, tmp_path: Path) -> None:
    config = tiny(depthlab, folder, objective="flow", flow=Flow("fill", 0))
    config = replace(config, train=replace(config.train, steps=20, batch_size=4, learning_rate=1e-2, average=0.0))
    objective = DepthLabObjective(config)
    objective.held_out = []
    train(objective, config.train, tmp_path, whole_config=config)
    losses = [line["loss"] for line in read_log(tmp_path) if "loss" in line]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])


def test_the_small_autoencoder_trains_and_scales_its_latents(folder: Path, tmp_path: Path) -> None:
    config = tiny(vae, folder)
    objective = vae.VaeObjective(config)
    report = train(objective, config.train, tmp_path, whole_config=config)
    assert set(report.measures) == {"picture", "log_depth", "depth", "mask"}
    loaded = load_vae(tmp_path / "weights")
    maps = torch.stack(
        [objective._map(objective.held_out[0].load(), kind, np.random.default_rng((7, 0))) for kind in vae.KINDS[:2]]
    )
    assert float(encode(loaded, maps).std()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("module", [depthlab, depthfm, vae])
def test_worker_processes_prepare_the_same_examples(folder: Path, module: Any) -> None:
    objective = module.TRAINING.make(tiny(module, folder))
    sent = pickle.loads(pickle.dumps(objective))
    here, there = objective.example(0, 3), sent.example(0, 3)
    assert all(torch.equal(here[name], there[name]) for name in here)
    assert len(pickle.dumps(objective)) < 20_000, "networks stay here"


def test_cells_with_invalid_pixels_do_not_count() -> None:
    valid = torch.ones(1, 1, 8, 8)
    valid[0, 0, 3, 5] = 0
    cells = whole_cells(valid, 4)
    assert cells.flatten().tolist() == [1, 0, 1, 1]
    errors = torch.tensor([1.0, 100.0, 2.0, 3.0]).view(1, 1, 2, 2).expand(1, 4, 2, 2)
    assert float(masked_mean(errors, cells)) == 2
    assert float(masked_mean(errors, torch.zeros_like(cells))) == 0


def test_objects_are_hidden_whole_and_silhouettes_stand_in() -> None:
    truth, labels = np.full((64, 64), 2.0, np.float32), np.zeros((64, 64), np.int32)
    labels[10:40, 20:50] = 3
    rng = np.random.default_rng(0)
    known = drawn_known(DepthFrame("a", truth, instances=labels), ("objects",), rng)
    assert not known[10:40, 20:50].any()
    assert known.mean() > 0.6
    assert 0 < drawn_known(DepthFrame("a", truth), ("objects",), rng).mean() < 1


def test_bad_configurations_are_refused(folder: Path) -> None:
    for make, message in (
        (lambda: DepthLabObjective(tiny(depthlab, folder, vae="")), "scene-depth train vae"),
        (lambda: tiny(depthlab, folder, masks=("dots",)), "masks is 'dots'"),
        (lambda: tiny(depthlab, folder, beta=(0.5, 0.2)), "beta"),
        (lambda: tiny(depthlab, folder, flow=Flow("mud")), "flow start"),  # type: ignore[arg-type]
        (lambda: tiny(depthfm, folder, depth_range=(3.0, 1.0)), "depth_range"),
        (lambda: tiny(depthfm, folder, completion=True, normalization="linear"), "normalization"),
        (lambda: replace(SHAPE, groups=3), "groups is 3; expected a divisor"),
        (lambda: depthfm.DepthFMObjective(tiny(depthfm, folder, start=str(folder / "none.ckpt"))), "none.ckpt"),
    ):
        with pytest.raises(InputError, match=message):
            make()
