"""Splats fitted to few photos: from a refined pointmap result, from the raw one, from random points and from the truth.

    python -m benchmarks.sparse_splats [--scenes table ...] [--levels mild typical] [--views 6] [--seeds 1] [--record]

Runs are simulated (``benchmarks.sparse_runs``) from scenes with true depth. Each start is fitted with the cameras as they are and
with refined ones: those of the raw run as the cameras of any scene, those of the refined one as far as its views disagree
(``camera_refinement``). Photos in between, which the run did not have, are the test: their true cameras are carried over by the
similarity that fits the true cameras of the run's photos best to those of the fit, and are not refined, so that what is left of
pose errors counts too.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scene_depth_sparse import RefinedPointmaps, RefinedView, SparseReport, refine_pointmaps
from scene_depth_sparse.output import camera_refinement, fit_splats, refined_scene

from benchmarks.results import machine, table, write_section
from benchmarks.sparse_runs import LEVELS, SimulatedRun, simulate_run
from scene_depth.cameras import Cameras
from scene_depth.evaluation.scene_scores import score_views
from scene_depth.fitting.config import CameraRefinement, FitConfig
from scene_depth.fitting.fit import fit
from scene_depth.io.scenes import read_scene
from scene_depth.pointmaps import PointmapRun
from scene_depth.scene import Scene

SAMPLES = Path(__file__).resolve().parents[1] / "scenes"
STARTS = ("truth", "refined", "raw", "random")
TESTS = 6
WORSE = 0.1  # dB that the refined result may be below the raw one


def main() -> int:
    """Runs all and prints the table."""
    parser = argparse.ArgumentParser(description="Splats from few photos.")
    parser.add_argument("--scenes", nargs="+", default=["table"])
    parser.add_argument("--levels", nargs="+", default=["mild", "typical"], choices=list(LEVELS))
    parser.add_argument("--views", nargs="+", type=int, default=[6])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    config = FitConfig(steps=arguments.steps, max_size=arguments.size, max_splats=8000)
    rows, gains = [], []
    for name in arguments.scenes:
        scene = read_scene(SAMPLES / name)
        for level in arguments.levels:
            for count in arguments.views:
                measured = [measure(scene, level, count, seed, config) for seed in range(arguments.seeds)]
                means = {key: float(np.mean([each[key] for each in measured])) for key in measured[0]}
                gains += [means["refined", still] - means["raw", still] for still in (False, True)]
                for refine in (False, True):
                    cells = [f"{means[start, refine]:.2f}" if (start, refine) in means else "" for start in STARTS]
                    rows.append([f"{name}, {level}, {count} views", "refined" if refine else "as given", *cells])
                    print(rows[-1], flush=True)
    lines = [
        f"`python -m benchmarks.sparse_splats` on {machine()}: {arguments.steps} steps at {arguments.size} px, {arguments.seeds} "
        "seeds; PSNR in dB of photos that the run did not have.",
        "",
        *table(["run", "cameras", *(f"from {start}" for start in STARTS)], rows),
        f"Refined against raw: {min(gains):+.2f} dB at least, {np.mean(gains):+.2f} dB on the mean (required: {-WORSE:+.1f}).",
    ]
    print("\n".join(lines))
    if arguments.record:
        write_section("sparse splats", lines)
    return 0


def measure(scene: Scene, level: str, count: int, seed: int, config: FitConfig) -> dict[tuple[str, bool], float]:
    """PSNR of held-out photos by start and by whether cameras were refined."""
    simulated = simulate_run(scene, LEVELS[level], count, seed)
    refined = refine_pointmaps(simulated.run, seed=seed)
    scenes = {
        "refined": refined_scene(refined),
        "raw": refined_scene(as_given(simulated.run)),
        "truth": refined_scene(as_given(true_run(simulated))),
    }
    scenes["random"] = replace(
        scenes["raw"], points=None, views=tuple(replace(view, load_depth=None) for view in scenes["raw"].views)
    )
    taken = {view.name for view in simulated.run.views}
    others = [view for view in scene.views if view.name not in taken]
    test = replace(scene, views=tuple(others[i] for i in np.linspace(0, len(others) - 1, TESTS).round().astype(int)))
    found = {}
    for name, source in scenes.items():
        for refine in (False, True) if name != "truth" else (False,):
            if name == "random":
                cameras = CameraRefinement(focal="each") if refine else None
                result = fit(source, config=replace(config, start="random", cameras=cameras), seed=seed)
            else:
                cameras = camera_refinement(refined) if name == "refined" and refine else None
                result = fit_splats(source, config=replace(config, cameras=cameras), refine_cameras=refine, seed=seed)
            fitted = [result.cameras.get(view.name, view.camera) for view in source.views]
            carried = carry_over(test, simulated.cameras, fitted)
            scores = score_views(result.splats, carried, max_size=result.report.config["max_size"])
            found[name, refine] = float(np.mean([score.psnr for score in scores]))
    return found


def as_given(run: PointmapRun) -> RefinedPointmaps:
    """A run as if nothing were wrong with it."""
    views = tuple(
        RefinedView(
            view, view.camera, view.depth, np.full(view.depth.shape, np.float32(0.01)), np.zeros(view.depth.shape, np.uint8)
        )
        for view in run.views
    )
    return RefinedPointmaps(views, run, 1.0, False, SparseReport(run.model))


def true_run(simulated: SimulatedRun) -> PointmapRun:
    """The run with true depth and cameras."""
    truth = zip(simulated.run.views, simulated.depth, simulated.cameras, strict=True)
    views = tuple(replace(view, depth=depth, camera=camera) for view, depth, camera in truth)
    return PointmapRun(views, simulated.run.model)


def carry_over(scene: Scene, true: tuple[Cameras, ...], fitted: list[Cameras]) -> Scene:
    """The scene in the frame of fitted cameras, by the similarity that fits rotations and then centres of the true ones best."""
    a, b = (torch.cat([camera.camera_to_world for camera in cameras]).double().numpy() for cameras in (true, fitted))
    left, _, right = np.linalg.svd((b[:, :3, :3] @ a[:, :3, :3].transpose(0, 2, 1)).sum(axis=0))
    rotation: NDArray[np.float64] = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
    from_, to = (poses[:, :3, 3] - poses[:, :3, 3].mean(axis=0) for poses in (a, b))
    scale = float(((from_ @ rotation.T) * to).sum() / (from_**2).sum())
    cameras = {}
    for view in scene.views:
        pose = view.camera.camera_to_world.double().clone()
        center = scale * rotation @ (pose[0, :3, 3].numpy() - a[:, :3, 3].mean(axis=0)) + b[:, :3, 3].mean(axis=0)
        pose[0, :3, :3] = torch.from_numpy(rotation) @ pose[0, :3, :3]
        pose[0, :3, 3] = torch.from_numpy(center)
        cameras[view.name] = replace(view.camera, camera_to_world=pose)
    return scene.with_cameras(cameras)


if __name__ == "__main__":
    raise SystemExit(main())
