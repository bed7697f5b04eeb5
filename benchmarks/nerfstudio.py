"""nerfstudio's commands on our methods, and what depth supervision is worth.

``python -m benchmarks.nerfstudio commands`` runs the real commands one after the other on the sample scene, ``viewer`` clicks
every button of the editor in nerfstudio's viewer in a browser, ``depth`` measures. In an environment with nerfstudio they are
its ``ns-*`` scripts; elsewhere it is taken from ``SCENE_DEPTH_NERFSTUDIO``, a folder that it was installed into with what it
pins, or from ``.venv/nerfstudio``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.results import write_section
from benchmarks.shared_data import shared

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "scenes" / "table"
SCENES = ("redwood_livingroom", "hololens_office")
TRAINED, HELD_OUT, STEPS, SIZE = 8, 8, 400, 200
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage"]
PLACES = {"Select by click": [(310, 780)], "Select by rectangle": [(225, 440), (470, 990)]}
"""Where the mouse goes in the scene after a button, in pixels of the page, which begins at the sample's vase."""
PRESSED = (
    ("Select by box", "select by box:"),
    ("Grow", "grow:"),
    ("Shrink", "shrink:"),
    ("Undo", "grow:"),
    ("Redo", "shrink:"),
    ("Select by rectangle", "select by rectangle:"),
    ("Select by click", "select by click:"),
    ("Delete", "delete:"),
    ("Undo", "select by click:"),
    ("Redo", "delete:"),
    ("Heal", "heal: "),
    ("Cancel heal", "heal: cancelled"),
    ("Heal", "healed:"),
    ("Undo", "delete:"),
    ("Redo", "heal:"),
    ("Save as .ply", "written:"),
)
"""Buttons in the order in which they are clicked, and how the status then begins."""
SCRIPTS = {
    "train": "ns-train",
    "eval": "ns-eval",
    "render": "ns-render",
    "exporter": "ns-export",
    "viewer.run_viewer": "ns-viewer",
}
WAYS: dict[str, dict[str, Any]] = {
    "none, from random points": {"depth_weight": 0.0, "random_init": True, "num_random": 20_000},
    "points alone": {"depth_weight": 0.0},
    "depth": {"depth_weight": 0.2},
    "completed depth": {"depth_weight": 0.2, "depth_inpainter": "solver"},
}


def nerfstudio_environment() -> dict[str, str]:
    """Variables for a process that finds nerfstudio, the versions it pins and our methods."""
    folder = Path(os.environ.get("SCENE_DEPTH_NERFSTUDIO", ROOT / ".venv" / "nerfstudio"))
    name = "scene_depth_nerfstudio"
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), str(ROOT / "plugins")]),
        "NERFSTUDIO_METHOD_CONFIGS": f"scene-splat={name}.scene_splat:scene_splat,scene-heal={name}.scene_heal:scene_heal",
        "NERFSTUDIO_DATAPARSER_CONFIGS": f"scene-data={name}.scene_data:scene_data",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }


def command(module: str, *arguments: object) -> list[str]:
    """A command of nerfstudio: its script beside this Python, or the module that its entry point names."""
    script = Path(sys.executable).with_name(SCRIPTS[module])
    if script.is_file():
        return [str(script), *map(str, arguments)]
    return [sys.executable, "-c", f"from nerfstudio.scripts.{module} import entrypoint; entrypoint()", *map(str, arguments)]


def run_commands(folder: Path) -> list[str]:
    """Trains, stops, resumes past a densification, evaluates, renders, exports and heals; one line each with its seconds."""
    train = ["--vis", "tensorboard", "--output-dir", folder, "--experiment-name", "table", "--steps-per-eval-image", 10**6]
    small = ["scene-data", "--max-size", 160]
    said, environment = [], nerfstudio_environment()

    def run(name: str, *line: str) -> None:
        started = time.perf_counter()
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        said.append(f"{'ok' if done.returncode == 0 else 'FAILED'} {time.perf_counter() - started:6.1f} s  {name}")
        print(said[-1], flush=True)
        if done.returncode:
            raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])

    def latest(method: str) -> Path:
        return max((folder / "table" / method).iterdir(), key=lambda path: path.stat().st_mtime)

    run("ns-train --help", *command("train", "--help"))
    run("ns-train scene-splat", *command("train", "scene-splat", "--data", TABLE, "--max-num-iterations", 60, *train, *small))
    resumed = ["--load-dir", latest("scene-splat") / "nerfstudio_models", "--max-num-iterations", 120]
    run(
        "ns-train scene-splat --load-dir, past a densification",
        *command("train", "scene-splat", "--data", TABLE, *resumed, *train, *small),
    )
    config = latest("scene-splat") / "config.yml"
    run("ns-eval", *command("eval", "--load-config", config, "--output-path", folder / "eval.json"))
    run(
        "ns-render dataset",
        *command("render", "dataset", "--load-config", config, "--output-path", folder / "renders", "--split", "test"),
    )
    run(
        "ns-export gaussian-splat",
        *command("exporter", "gaussian-splat", "--load-config", config, "--output-dir", folder / "export"),
    )
    where = [
        "--pipeline.sphere",
        "0 0 0.9 0.2",
        "--pipeline.heal-max-size",
        160,
        "--pipeline.heal-steps",
        20,
        "--pipeline.check-placement",
        "False",
    ]
    run(
        "ns-train scene-heal",
        *command("train", "scene-heal", "--load-dir", config.parent, "--max-num-iterations", 10, *where, *train),
    )
    ours = [sys.executable, "-m", "scene_depth.cli.app"]
    healed = latest("scene-heal")
    convert = "import sys; from scene_depth.cli.app import main; sys.exit(main(sys.argv[1:]))"
    run("scene-depth convert RUN healed.ply", *[ours[0], "-c", convert, "convert", str(healed), str(folder / "healed.ply")])
    return said


def measure_depth(folder: Path, scenes: tuple[str, ...] = SCENES) -> list[dict[str, Any]]:
    """Held-out PSNR and relative depth error with depth, with completed depth, and without; in a process with nerfstudio.

    All but the first start from the same points on the measured depth of the training views, so that the loss alone differs.
    """
    from copy import deepcopy

    import torch
    from nerfstudio.configs.method_configs import all_methods
    from scene_depth_nerfstudio.scene_splat import model_config, optimizers, scene_splat

    import scene_depth as sd

    all_methods["scene-splat"] = scene_splat.config
    rows = []
    for name in scenes:
        scene = sd.read_scene(shared(f"data/{name}"))
        order = [round(i * (len(scene) - 1) / (TRAINED + HELD_OUT - 1)) for i in range(TRAINED + HELD_OUT)]
        chosen = scene.select(order)
        sd.write_scene(folder / name, chosen, format="transforms", held_out=[view.name for view in chosen.views[1::2]])
        for way, options in WAYS.items():
            torch.manual_seed(0)
            config = deepcopy(scene_splat.config)
            config.pipeline.model = model_config(STEPS, **options)
            config.optimizers = optimizers(STEPS)
            config.data = config.pipeline.datamanager.data = folder / name
            config.pipeline.datamanager.dataparser.max_size = SIZE
            config.vis, config.max_num_iterations, config.output_dir = "tensorboard", STEPS, folder / "outputs"
            config.steps_per_eval_image = config.steps_per_eval_all_images = 10**6
            config.experiment_name, config.timestamp = name, way.replace(" ", "_")
            config.logging.local_writer.enable = False
            started = time.perf_counter()
            trainer = config.setup(local_rank=0, world_size=1)
            trainer.setup(test_mode="test")
            trainer.train()
            seconds = time.perf_counter() - started
            measures = trainer.pipeline.get_average_eval_image_metrics()
            row = {"scene": name, "way": way, "psnr": measures["psnr"], "abs_rel": measures["depth_abs_rel"], "seconds": seconds}
            rows.append(row | {"splats": trainer.pipeline.model.num_points})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def record(rows: list[dict[str, Any]]) -> None:
    """Writes the table of the measurement into RESULTS.md."""
    lines = [
        f"`python -m benchmarks.nerfstudio depth`: `ns-train scene-splat` on {TRAINED} views, {STEPS} steps at {SIZE} pixels; "
        f"{HELD_OUT} views are held out. All ways but the first start from the same points on the measured depth, so that the "
        "loss alone differs. Depth is compared with that of the sensor.",
        "",
        "| scene | supervision | PSNR | AbsRel % |",
        "|---|---|---:|---:|",
        *(f"| {row['scene']} | {row['way']} | {row['psnr']:.2f} | {100 * row['abs_rel']:.2f} |" for row in rows),
    ]
    write_section("Depth supervision in nerfstudio", lines)


def click_in_the_viewer(folder: Path) -> list[str]:
    """Selects, deletes, undoes, heals and saves with the buttons in nerfstudio's own viewer, in a browser."""
    run = write_table_run(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = command("viewer.run_viewer", "--load-config", run / "config.yml", "--viewer.websocket-host", "127.0.0.1")
    server = subprocess.Popen([*line, "--viewer.websocket-port", str(port)], env=nerfstudio_environment())
    try:
        return click_elements(f"http://127.0.0.1:{port}", folder)
    finally:
        server.terminate()
        server.wait()


def click_elements(address: str, folder: Path) -> list[str]:
    """What the status says after each button of the editor on a page; pictures of the page are left in the folder."""
    from playwright.sync_api import Error, sync_playwright

    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    assert browser_path is not None, f"none of {', '.join(BROWSERS)} is installed"
    said: list[str] = []
    with sync_playwright() as program:
        browser = program.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport={"width": 900, "height": 1400})
        page.set_default_timeout(300_000)
        for _ in range(300):
            try:
                page.goto(address)
                break
            except Error:  # not there yet
                time.sleep(1)

        def presses(name: str, expected: str) -> None:
            page.get_by_role("button", name=name, exact=True).filter(visible=True).first.click()
            if name in PLACES:
                page.wait_for_timeout(3000)
                (x, y), *rest = PLACES[name]
                page.mouse.move(x, y)
                page.mouse.down()
                for place in rest:
                    page.mouse.move(*place, steps=4)
                page.mouse.up()
            ends, text = time.monotonic() + 400, ""
            while expected not in text:
                if time.monotonic() > ends:
                    page.screenshot(path=folder / "failed.png")
                    raise SystemExit(f"{name}: the status says {text!r}, not {expected!r}")
                page.wait_for_timeout(300)
                values = page.locator("input").evaluate_all("all => all.map(one => one.value)")
                text = next((value for value in values if ": " in value), "")
            said.append(f"{name}: {text}")
            print(said[-1], flush=True)
            page.wait_for_timeout(3000)
            page.screenshot(path=folder / f"{len(said):02} {name}.png")

        page.get_by_role("button", name="Select by box", exact=True).first.wait_for()
        for name, expected in PRESSED:
            presses(name, expected)
    return said


def write_table_run(folder: Path) -> Path:
    """A run of the sample scene's own splats, with the editor's box on its object; in a process with nerfstudio."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.nerfstudio", "write-run", str(folder)],
        env=nerfstudio_environment(), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "outputs" / "table" / "scene-splat" / "clicked"


def _write_run(folder: Path) -> None:
    from copy import deepcopy

    import torch
    from scene_depth_nerfstudio.scene_splat import scene_splat

    import scene_depth as sd
    from scene_depth.splat_transforms import transform_splats

    config = deepcopy(scene_splat.config)
    config.data = config.pipeline.datamanager.data = TABLE
    parser = config.pipeline.datamanager.dataparser
    parser.data = TABLE
    parser.max_size, parser.center_method = 160, "focus"  # a new page looks at the origin
    config.pipeline.heal_max_size, config.pipeline.heal_steps = 160, 20
    config.output_dir, config.experiment_name, config.timestamp = folder / "outputs", "table", "clicked"
    config.vis = "viewer"
    config.save_config()
    parsing = parser.setup()
    parsing.get_dataparser_outputs("train").save_dataparser_transform(config.get_base_dir() / "dataparser_transforms.json")
    splats = transform_splats(sd.read_splats(TABLE / "splats.spz"), parsing.photos_to_run)
    values = {
        "means": splats.means, "scales": splats.log_scales, "quats": splats.quats, "features_dc": splats.sh[:, 0],
        "features_rest": splats.sh[:, 1:], "opacities": splats.logit_opacities[:, None],
    }  # fmt: skip
    pipeline = {f"_model.gauss_params.{name}": value for name, value in values.items()}
    (config.get_base_dir() / "nerfstudio_models").mkdir()
    content = {"step": 3000, "pipeline": pipeline, "optimizers": {}, "schedulers": {}, "scalers": {}}
    torch.save(content, config.get_base_dir() / "nerfstudio_models" / "step-000003000.ckpt")


def main(what: str, folder: Path) -> None:
    """Runs one part; ``depth`` in a process of its own, with nerfstudio."""
    if what == "commands":
        run_commands(folder)
    elif what == "viewer":
        click_in_the_viewer(folder)
    elif what == "write-run":
        _write_run(folder)
    elif "nerfstudio" in os.environ.get("PYTHONPATH", ""):
        record(measure_depth(folder))
    else:
        line = [sys.executable, "-m", "benchmarks.nerfstudio", what, str(folder)]
        subprocess.run(line, env=nerfstudio_environment(), cwd=ROOT, check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else Path(temporary))
