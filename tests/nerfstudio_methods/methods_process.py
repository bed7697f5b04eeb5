"""The methods in a process that has nerfstudio, since it pins other versions: trains, resumes, exports, heals, edits.

Imports of nerfstudio take ten seconds, so that one process does everything and writes what it found. ``test_methods`` asks.
"""

from __future__ import annotations

import json
import os
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch

TABLE = Path(__file__).resolve().parents[2] / "scenes" / "table"
VIEWS = range(0, 32, 3)
SPHERE = "0 0 0.9 0.2"
SIZE = 64


def main(folder: Path) -> dict[str, Any]:
    import nerfstudio.configs.method_configs as methods
    from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig
    from scene_depth_nerfstudio.scene_heal import scene_heal
    from scene_depth_nerfstudio.scene_splat import scene_splat

    import scene_depth as sd

    methods.all_methods.update({"scene-splat": scene_splat.config, "scene-heal": scene_heal.config})
    scene = sd.read_scene(TABLE)
    sd.write_scene(folder / "data", scene.select(VIEWS), format="transforms")
    sd.write_scene(folder / "saved", scene.select(VIEWS), format="scene")
    found: dict[str, Any] = {}
    found["train"], run = train(folder)
    found["resume"], run = resume(folder, run)
    found["tools"] = use_tools(folder, run)
    found["cuda"] = draw_as_on_cuda(run)
    stock = write_stock_run(folder, methods.method_configs["splatfacto"], NerfstudioDataParserConfig)
    found["frames"] = compare_frames(folder, stock)
    found["heal"], healed = heal(folder, stock)
    found["edit"] = edit(folder, healed)
    return found


def config_of(folder: Path, method: str, steps: int, **model: Any) -> Any:
    import nerfstudio.configs.method_configs as methods

    config = deepcopy(methods.all_methods[method])
    config.data = config.pipeline.datamanager.data = folder / "data"
    config.vis, config.max_num_iterations, config.output_dir = "tensorboard", steps, folder / "outputs"
    config.steps_per_eval_image = config.steps_per_eval_all_images = 10**6
    config.pipeline.datamanager.dataparser.max_size = SIZE
    config.experiment_name = "test"
    for name, value in {"warmup_length": 2, "refine_every": 4, "num_downscales": 0, **model}.items():
        setattr(config.pipeline.model, name, value)
    config.logging.local_writer.enable = False
    return config


def run_trainer(config: Any) -> Any:
    config.timestamp = f"{len(list(config.output_dir.rglob('config.yml')))}"
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    trainer.train()
    return trainer


def state_of(trainer: Any) -> dict[str, Any]:
    model = trainer.pipeline.model
    held = {name: trainer.optimizers.optimizers[name].param_groups[0]["params"][0] for name in model.gauss_params}
    return {
        "step": trainer.step,
        "splats": model.num_points,
        "optimized": all(held[name] is model.gauss_params[name] for name in held),
        "finite": bool(torch.isfinite(model.means).all()),
    }


def train(folder: Path) -> tuple[dict[str, Any], Path]:
    config = config_of(folder, "scene-splat", 30, depth_inpainter="harmonic", densify_grad_thresh=2e-3)
    parser = config.pipeline.datamanager.dataparser
    parser.depth, parser.masks, config.data, config.pipeline.datamanager.data = "points", "ignore", None, folder / "saved"
    trainer = run_trainer(config)
    targets = trainer.pipeline.model._targets
    depth, weight = next(iter(targets.values()))
    _, batch = trainer.pipeline.datamanager.next_train(0)
    losses = trainer.pipeline.get_train_loss_dict(11)[1]
    facts = {
        **state_of(trainer),
        "start": len(trainer.pipeline.datamanager.train_dataset.metadata["points3D_xyz"]),
        "depth_known": float((depth > 0).mean()),
        "least_weight": float(weight.min()),
        "batch": sorted(batch),
        "losses": sorted(losses),
        "lpips_loaded": trainer.pipeline.model.lpips._measure is not None,
    }
    return facts, trainer.base_dir


def resume(folder: Path, run: Path) -> tuple[dict[str, Any], Path]:
    """Past a densification, with splats of our own density control."""
    config = config_of(folder, "scene-splat", 8, densification="guided", max_splats=100_000)
    config.load_dir = run / "nerfstudio_models"
    trainer = run_trainer(config)
    return {**state_of(trainer), "start_step": trainer._start_step}, trainer.base_dir


def use_tools(folder: Path, run: Path) -> dict[str, Any]:
    from nerfstudio.scripts.eval import ComputePSNR
    from nerfstudio.scripts.exporter import ExportGaussianSplat
    from nerfstudio.scripts.render import DatasetRender

    config = run / "config.yml"
    ExportGaussianSplat(load_config=config, output_dir=folder / "export").main()
    ComputePSNR(load_config=config, output_path=folder / "eval.json").main()
    DatasetRender(load_config=config, output_path=folder / "renders", split="test").main()
    pictures = sorted(path.name for path in (folder / "renders").rglob("*.jpg"))
    return {"run": str(run), "eval": json.loads((folder / "eval.json").read_text()), "pictures": pictures}


def draw_as_on_cuda(run: Path) -> dict[str, Any]:
    """The same picture and gradients through the CUDA path, with the CPU renderer in the place of gsplat's kernels.

    The renderer's own tests hold that path against gsplat's reference; here the arguments are those of the gsplat that
    nerfstudio pins.
    """
    import inspect

    import gsplat.rendering
    from nerfstudio.utils.eval_utils import eval_setup

    import scene_depth as sd
    from scene_depth.rendering import rasterization as backends

    signature, calls = inspect.signature(gsplat.rendering.rasterization), []
    kept = gsplat.rendering.rasterization, backends._choose_backend

    def rasterization(*arguments: Any, **options: Any) -> Any:
        given = signature.bind(*arguments, **options).arguments
        calls.append(given)
        backends._choose_backend = kept[1]
        opacities, scales = given["opacities"], given["scales"]
        splats = sd.GaussianSplats(given["means"], given["quats"], scales.log(), opacities.logit(), given["colors"])
        cameras = sd.Cameras(torch.linalg.inv(given["viewmats"]), given["Ks"], given["width"], given["height"])
        probe = torch.zeros(1, len(splats), 2, requires_grad=True)
        drawn = sd.render(
            splats, cameras, background=given["backgrounds"], means2d=probe, absgrad=False, sh_degree=given["sh_degree"]
        )
        if given["absgrad"]:
            probe.absgrad = torch.ones_like(probe)
        return (
            torch.cat([drawn.rgb, drawn.depth[..., None]], dim=-1),
            drawn.alpha[..., None],
            {"means2d": probe, "radii": drawn.radii},
        )

    _, pipeline, _, _ = eval_setup(run / "config.yml", test_mode="test")
    model, (camera, batch) = pipeline.model, pipeline.datamanager.next_train(0)
    pictures = []
    try:
        for backend in ("cpu", "cuda"):
            if backend == "cuda":
                gsplat.rendering.rasterization = rasterization
                backends._choose_backend = lambda *_: "cuda"
            model.train()
            model.zero_grad()
            torch.manual_seed(0)
            outputs = model.get_outputs(camera)
            sum(model.get_loss_dict(outputs, batch).values()).backward()
            pictures.append((outputs["rgb"].detach(), outputs["depth"].detach(), model.means.grad.clone()))
    finally:
        gsplat.rendering.rasterization, backends._choose_backend = kept
    (rgb, depth, gradient), (rgb2, depth2, gradient2) = pictures
    return {
        "calls": len(calls),
        "packed": calls[0]["packed"],
        "probed": model.info["means2d"].grad is not None,
        "rgb": float((rgb - rgb2).abs().max()),
        "depth": float((depth - depth2).abs().mean() / depth.mean()),
        "gradient": float((gradient - gradient2).norm() / gradient.norm()),
    }


def write_stock_run(folder: Path, stock: Any, parser: Any) -> Path:
    """What stock splatfacto leaves of a training of the sample scene: its own configuration and frame, and LPIPS in it."""
    import scene_depth as sd
    from scene_depth.splat_transforms import transform_splats

    config = deepcopy(stock)
    config.data = config.pipeline.datamanager.data = folder / "data"
    config.output_dir, config.experiment_name, config.timestamp = folder / "outputs", "stock", "0"
    config.save_config()
    outputs = parser(data=folder / "data", load_3D_points=False).setup().get_dataparser_outputs("train")
    run = config.get_base_dir()
    outputs.save_dataparser_transform(run / "dataparser_transforms.json")
    from scene_depth.io.nerfstudio_run import CHECKPOINTS, _photos_to_run

    matrix = _photos_to_run(run / "dataparser_transforms.json", folder / "data", "nerfstudio", "transforms")
    splats = transform_splats(sd.read_splats(TABLE / "splats.spz"), matrix)
    values = {
        "means": splats.means, "scales": splats.log_scales, "quats": splats.quats, "features_dc": splats.sh[:, 0],
        "features_rest": splats.sh[:, 1:], "opacities": splats.logit_opacities[:, None],
    }  # fmt: skip
    pipeline = {f"_model.gauss_params.{name}": value for name, value in values.items()}
    pipeline["_model.lpips.net.lin0.model.1.weight"] = torch.zeros(1, 64, 1, 1)
    (run / CHECKPOINTS).mkdir()
    content = {"step": 29_999, "pipeline": pipeline, "optimizers": {}, "schedulers": {}, "scalers": {}}
    torch.save(content, run / CHECKPOINTS / "step-000029999.ckpt")
    np.savez(
        folder / "stock_cameras.npz", poses=outputs.cameras.camera_to_worlds, names=[p.name for p in outputs.image_filenames]
    )
    return run


def compare_frames(folder: Path, stock: Path) -> dict[str, Any]:
    """Our parser in the frame of the stock run against nerfstudio's own cameras of that run."""
    from scene_depth_nerfstudio.scene_data import NAMES, SceneDataParserConfig

    ours = SceneDataParserConfig(data=folder / "data", frame_of=stock / "config.yml", max_size=SIZE, eval_mode="all").setup()
    outputs = ours.get_dataparser_outputs("train")
    names = [Path(name).name for name in outputs.metadata[NAMES]]
    poses = dict(zip(names, outputs.cameras.camera_to_worlds, strict=True))
    with np.load(folder / "stock_cameras.npz") as theirs:
        pairs = [(poses[str(name)], torch.from_numpy(pose)) for name, pose in zip(theirs["names"], theirs["poses"], strict=True)]
    return {"compared": len(pairs), "difference": max(float((a - b).abs().max()) for a, b in pairs)}


def heal(folder: Path, stock: Path) -> tuple[dict[str, Any], Any]:
    from scene_depth.io.nerfstudio_run import read_nerfstudio_run

    config = config_of(folder, "scene-heal", 4)
    config.data = config.pipeline.datamanager.data = None
    config.load_dir = stock
    config.pipeline.sphere, config.pipeline.heal_steps, config.pipeline.heal_max_size = SPHERE, 2, SIZE
    config.pipeline.inpainter = "nearest"
    config.timestamp = "heal"
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    model = trainer.pipeline.model
    before = {name: values.detach().clone() for name, values in model.gauss_params.items()}
    trainer.train()
    old = read_nerfstudio_run(stock).splats(in_run=True)
    after = read_nerfstudio_run(trainer.base_dir).splats(in_run=True)
    kept = model.frozen
    rows = {row.numpy().tobytes() for row in old.means}
    facts = {
        "run": str(trainer.base_dir),
        "old": len(old),
        "frozen": kept,
        "splats": len(after),
        "kept_bits": all(torch.equal(before[name][:kept], model.gauss_params[name][:kept]) for name in before),
        "kept_rows": all(row.numpy().tobytes() in rows for row in after.means[:kept]),
        "moved": bool((before["means"][kept:] != model.means[kept:]).any()),
        "start_step": trainer._start_step,
    }
    again = config_of(folder, "scene-heal", 2)
    again.data = again.pipeline.datamanager.data = None
    again.load_dir, again.timestamp = trainer.base_dir, "again"
    resumed = again.setup(local_rank=0, world_size=1)
    resumed.setup()
    resumed.train()
    on = resumed.pipeline.model.gauss_params
    facts["goes_on_frozen"] = resumed.pipeline.model.frozen
    facts["goes_on_bits"] = all(torch.equal(before[name][:kept], on[name][:kept]) for name in before)
    facts["goes_on_moved"] = bool((model.means[kept:] != on["means"][kept:]).any())
    facts["goes_on_step"] = resumed._start_step
    return facts, trainer


def edit(folder: Path, trainer: Any) -> dict[str, Any]:
    """The elements of the viewer as the viewer calls them, without a browser."""
    from nerfstudio.viewer.utils import parse_object
    from nerfstudio.viewer.viewer_elements import ViewerClick, ViewerElement

    import scene_depth as sd

    pipeline = trainer.pipeline
    editor, model = pipeline.editor, pipeline.model
    facts: dict[str, Any] = {
        "elements": [element.name for _, element in parse_object(pipeline, ViewerElement, "Custom Elements")]
    }
    center = pipeline.parser.photos_to_run @ torch.tensor([0.35, 0.0, 0.9, 1.0], dtype=torch.float64)
    editor.e_box_center.default_value, editor.f_box_size.default_value = tuple(center[:3].tolist()), (0.3, 0.3, 0.3)
    facts["before"] = model.num_points
    editor.g_box.cb_hook(editor.g_box)
    facts["box"] = 0 if model.marked is None else int(model.marked.sum())
    editor.h_grow.cb_hook(editor.h_grow)
    facts["grown"] = 0 if model.marked is None else int(model.marked.sum())
    editor.j_delete.cb_hook(editor.j_delete)
    facts["deleted"] = model.num_points
    editor.n_undo.cb_hook(editor.n_undo)
    facts["undone"] = model.num_points
    camera, _ = pipeline.datamanager.next_train(0)
    pose = camera.camera_to_worlds[0]
    editor._pick(ViewerClick(tuple(pose[:, 3].tolist()), tuple((-pose[:, 2]).tolist()), (0.5, 0.5)))
    facts["clicked"] = 0 if model.marked is None else int(model.marked.sum())
    facts["clicked_vase"] = click_on_the_vase(pipeline.parser.photos_to_run)
    written = editor.save(folder / "edited.ply")
    facts["saved"] = len(sd.read_splats(written))
    facts["saved_like_the_run"] = float((sd.read_splats(written).means - sd.read_splats(trainer.base_dir).means).abs().max())
    return facts


def click_on_the_vase(photos_to_run: torch.Tensor) -> float:
    """Overlap of what a click on nerfstudio's page selects with what one on a photo does."""
    from nerfstudio.viewer.viewer_elements import ViewerClick
    from scene_depth_heal.clicks import select_by_clicks
    from scene_depth_nerfstudio.editor import to_click

    import scene_depth as sd
    from scene_depth.splat_transforms import transform_splats

    camera, splats = sd.read_scene(TABLE).views[0].camera, sd.read_splats(TABLE / "splats.spz")
    vase = sd.select(splats, sd.Click(camera, (156, 130)))
    ends = torch.stack([camera.centers[0].double(), torch.tensor([0.0, 0.0, 0.9], dtype=torch.float64)])
    origin, target = ends @ photos_to_run[:3, :3].T + photos_to_run[:3, 3]
    event = ViewerClick(tuple(origin.tolist()), tuple((target - origin).tolist()), (0.5, 0.5))
    found = select_by_clicks(transform_splats(splats, photos_to_run), [to_click(event)])
    return float((found & vase).sum() / (found | vase).sum())


if __name__ == "__main__":
    for optional in ("diffusers", "OpenEXR", "scene_depth_viewer"):  # nothing that nerfstudio loads may need them
        sys.modules[optional] = None  # type: ignore[assignment]
    os.environ["XDG_CACHE_HOME"] = str(Path(sys.argv[1]) / "cache")
    facts = main(Path(sys.argv[1]))
    (Path(sys.argv[1]) / "facts.json").write_text(json.dumps(facts))
