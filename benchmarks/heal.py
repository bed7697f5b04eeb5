"""Heal on sample scenes and real input: delete only, two peers' ways, nearest depth, and heal, on held-out views.

    python -m benchmarks.heal [CASE ...] [--seeds N] [--quick] [--fresh] [--json FILE] [--record]
    python -m benchmarks.heal speed [--record]
    python -m benchmarks.heal --without-photos [CASE or FILE ...] [--quick] [--record]

Without a name all cases run, and not ``speed``, which wants quiet cores and is written to a section of its own. First
fits are kept in out/heal_benchmark/fits, so that only the first run of a case is slow; ``--fresh`` fits again. Strips of
pictures and all measures go to out/heal_benchmark: in rows the two views with most to repair (before, hole with its
unseen part marked, nearest depth, heal, truth) and the two worst held-out views (before, deleted, nearest depth, heal,
truth or photo). The peers are in ``heal_peers``, what bounds a heal in ``heal_bounds``. ``--seeds N`` heals with the seeds
0 to N - 1 and gives mean and spread. ``--quick`` takes small pictures and few steps, to see that everything runs.
``--record`` writes the section "Heal" of RESULTS.md (``--without-photos`` a section of its own) and, for the sample scenes,
its pictures; those of other scenes are not ours to show.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scene_depth_heal.demo import DELETE_ONLY, HEAL, NEAREST, heal_each_way
from scene_depth_heal.hole import HealView, picture_of
from scene_depth_heal.inputs import load_views
from scene_depth_heal.masks import fit_masks
from scene_depth_heal.selection import select
from scene_depth_heal.workflow import HealConfig, HealResult, heal_views

from benchmarks.heal_bounds import Truth, bounded_heals
from benchmarks.heal_cases import CASES, OUTPUT, SAMPLES, Case, fitted
from benchmarks.heal_peers import LOCAL, ONE_REFERENCE, fill_from_one_reference, fill_locally
from benchmarks.heal_speed import measure_speed, speed_lines
from benchmarks.heal_without_photos import FILES, compare_with_photos, heal_files, rows_table
from benchmarks.results import RESULTS, machine, write_section
from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.evaluation.scene_scores import SceneScore, evaluate_scene, mean_scores
from scene_depth.fitting.training_views import TrainingViews
from scene_depth.io.atomic import atomic_path
from scene_depth.io.images import read_image, write_image
from scene_depth.io.splat_files import read_splats, splats_beside
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress, Progress

BEFORE, SPEED = "before", "speed"
PICTURED = (
    "the two views with most to repair (before, hole with its unseen part marked, nearest depth, heal, truth) and the two worst "
    "held-out views (before, deleted, nearest depth, heal, truth)."
)
QUICK_STEPS, QUICK_SIZE = 400, 160
HOW_TO_READ = (
    "Held-out views; where the truth is known it has neither the object nor its shadow. Both ways of filling put depth on the "
    "planes that known pixels tell."
)
OVER_DELETE, OVER_NEAREST = 6.0, 2.0
"""What the sample scenes are to reach inside the hole, dB over deletion and over the nearest depth."""
NEEDS_TRUTH = ("psnr_hole", "ssim_hole", "depth_abs_rel", "depth_delta1", "object_left", "shadow_left")
COLUMNS = (
    ("psnr_hole", "PSNR hole", 1, 2),
    ("psnr_hole_fitted", "in fitted views", 1, 2),
    ("ssim_hole", "SSIM hole", 1, 3),
    ("psnr_outside", "PSNR outside", 1, 2),
    ("ssim_outside", "SSIM outside", 1, 3),
    ("depth_abs_rel", "AbsRel hole %", 100, 2),
    ("depth_delta1", "d1 hole %", 100, 1),
    ("seam_jump", "seam %", 100, 2),
    ("seam_jump_beside", "beside %", 100, 2),
    ("consistency", "consistent %", 100, 1),
    ("floating", "floating %", 100, 2),
    ("preservation", "preserved dB", 1, 1),
    ("object_left", "object left %", 100, 1),
    ("object_left_depth", "in free space %", 100, 1),
    ("shadow_left", "shadow left %", 100, 0),
)


def run_case(case: Case, *, fresh: bool, steps: int | None, seeds: int = 1) -> dict[str, Any]:
    """Fits, heals in each way, measures, and writes the strip of pictures."""
    splats, fit_times = fitted(case, OUTPUT / "fits", fresh=fresh, on_progress=_tell_fit(case.name))
    started = time.perf_counter()
    views, _ = fit_masks(splats, load_views(case.train, case.max_size, case.selection))
    removed = select(splats, views, case.selection)
    selecting = time.perf_counter() - started
    config = HealConfig() if steps is None else HealConfig(steps=steps)

    def tell(way: str, now: Progress) -> None:
        if now.stage != "fit" or now.done == now.total:
            _say(f"{case.name}: {way}: {now.stage} {now.done}/{now.total}: {now.message}")

    results = heal_each_way(splats, removed, views, config, on_progress=tell)
    holes = dict(case.holes) if case.holes is not None else splat_holes(case, splats, removed)
    peers, peer_seconds = _peers(splats, removed, views)
    every = {BEFORE: splats, DELETE_ONLY: results[DELETE_ONLY].splats, **peers, NEAREST: results[NEAREST].splats}
    every[HEAL] = results[HEAL].splats
    if case.truth is not None:
        every |= bounded_heals(splats, removed, views, config, Truth(case.truth, case.max_size))
    scored: dict[str, list[SceneScore]] = {}
    for way, edited in every.items():
        before = None if way == BEFORE else splats
        scored[way] = evaluate_scene(edited, case.test, holes, max_size=case.max_size, before=before)
    content = summary(case, splats, fit_times, selecting, results, scored)
    content["peer_seconds"] = {**peer_seconds, HEAL: sum(results[HEAL].report.seconds.values())}
    if case.truth is not None:
        for way, edited in every.items():
            content["measures"][way]["psnr_hole_fitted"] = fitted_views_psnr(case, edited)
    content["seeds"] = [mean_scores(scored[HEAL])]
    depth_inpainter, image_inpainter = load_depth_inpainter("solver"), load_image_inpainter("exemplar")
    for seed in range(1, seeds):
        other = heal_views(splats, removed, views, depth_inpainter, image_inpainter, replace(config, seed=seed))
        content["seeds"].append(
            mean_scores(evaluate_scene(other.splats, case.test, holes, max_size=case.max_size, before=splats))
        )
    write_image(OUTPUT / f"{case.name}.png", strips(case, splats, results, scored[HEAL], holes))
    return content


def _peers(
    splats: GaussianSplats, removed: torch.Tensor, views: list[HealView]
) -> tuple[dict[str, GaussianSplats], dict[str, float]]:
    """What other ways make of the hole, and the seconds that each took."""
    ways: dict[str, Callable[[], GaussianSplats]] = {
        LOCAL: partial(fill_locally, splats, removed),
        ONE_REFERENCE: partial(fill_from_one_reference, splats, removed, views),
    }
    found, seconds = {}, {}
    for way, fill in ways.items():
        started = time.perf_counter()
        found[way] = fill()
        seconds[way] = time.perf_counter() - started
    return found, seconds


def fitted_views_psnr(case: Case, splats: GaussianSplats) -> float:
    """Mean PSNR inside the hole of the fitted views, whose truth no fit has seen either: the object was before it."""
    assert case.truth is not None
    truth = {view.name: view for view in case.truth.views}
    showing = [view for view in case.train.views if view.load_mask is not None and view.mask().any()]
    scene = replace(case.truth, views=tuple(truth[view.name] for view in showing))
    scores = evaluate_scene(splats, scene, {view.name: view.mask() for view in showing}, max_size=case.max_size)
    return mean_scores(scores)["psnr_hole"]


def summary(
    case: Case,
    splats: GaussianSplats,
    fit_times: dict[str, float],
    selecting: float,
    results: dict[str, HealResult],
    scored: dict[str, list[SceneScore]],
) -> dict[str, Any]:
    """All measures of a case as plain values; what needs truth is left out where there is none."""
    hidden = () if case.has_truth else NEEDS_TRUTH
    means = {way: {k: v for k, v in mean_scores(rows).items() if k not in hidden} for way, rows in scored.items()}
    report = results[HEAL].report
    content: dict[str, Any] = {
        "case": case.name,
        "what": case.words,
        "views": len(case.train),
        "held_out": [row.name for row in scored[HEAL]],
        "size": [results[HEAL].states[0].camera.width, results[HEAL].states[0].camera.height],
        "splats": len(splats),
        "removed_splats": report.removed_splats,
        "shadow_splats": report.shadow_splats,
        "new_splats": report.new_splats,
        "floating_splats": report.floating_splats,
        "references": len(report.references),
        "unseen_share_of_hole": report.unseen_share_of_hole,
        "unseen_left": float(np.mean(list(report.unseen_after.values()))),
        "unseen_before": float(np.mean(list(report.unseen_before.values()))),
        "frozen_equal": {way: r.report.frozen_sha256_before == r.report.frozen_sha256_after for way, r in results.items()},
        "finished": {way: r.report.finished for way, r in results.items() if way != DELETE_ONLY},
        "seconds": {"first fit CPU": fit_times["cpu_seconds"], "select": selecting, **report.seconds},
        "measures": means,
        "outside_change": means[HEAL]["psnr_outside"] - means[BEFORE]["psnr_outside"],
        "views_scored": {way: [asdict(row) for row in rows] for way, rows in scored.items()},
        "reports": {way: result.report.as_dict() for way, result in results.items()},
    }
    if case.has_truth:
        content["gain_over_delete"] = means[HEAL]["psnr_hole"] - means[DELETE_ONLY]["psnr_hole"]
        content["gain_over_nearest"] = means[HEAL]["psnr_hole"] - means[NEAREST]["psnr_hole"]
    return content


def splat_holes(case: Case, splats: GaussianSplats, removed: torch.Tensor) -> dict[str, NDArray[np.bool_]]:
    """Where the removed splats show in the held-out views, at the size of those views  # [H, W] each"""
    sized = TrainingViews(case.test.views, case.max_size)
    views = [HealView(view.name, sized.camera(i), sized.target(i).image) for i, view in enumerate(case.test.views)]
    dry = heal_views(splats, removed, views, load_depth_inpainter("nearest"), load_image_inpainter("exemplar"), dry_run=True)
    shown, holes = {state.name: state.object_pixels.cpu() for state in dry.states}, {}
    for place, view in enumerate(case.test.views):
        nothing = torch.zeros(views[place].camera.height, views[place].camera.width)
        pixels = shown.get(view.name, nothing).float()[None, None]
        native = torch.nn.functional.interpolate(pixels, size=(view.camera.height, view.camera.width), mode="nearest")
        holes[view.name] = native[0, 0].numpy() > 0.5
    return holes


def strips(
    case: Case,
    splats: GaussianSplats,
    results: dict[str, HealResult],
    scores: list[SceneScore],
    holes: dict[str, NDArray[np.bool_]],
) -> NDArray[np.float32]:
    """Rows of pictures around the hole, all of one size  # [H, W, 3]"""
    rows = []
    truths = {view.name: i for i, view in enumerate(case.truth.views)} if case.truth is not None else {}
    truth_views = None if case.truth is None else TrainingViews(case.truth.views, case.max_size)
    for state in sorted(results[HEAL].states, key=lambda state: -state.unseen_share)[:2]:
        pictures = [picture_of(splats, state.camera), state.marked()]
        pictures += [picture_of(results[way].splats, state.camera) for way in (NEAREST, HEAL)]
        if truth_views is not None:
            pictures.append(truth_views.target(truths[state.name]).image.numpy())
        rows.append(_around(pictures, state.object_pixels.cpu().numpy()))
    test = TrainingViews(case.test.views, case.max_size)
    order = {view.name: i for i, view in enumerate(case.test.views)}
    for score in sorted(scores, key=lambda score: score.psnr_hole or 0.0)[:2]:
        index = order[score.name]
        shown = [splats, *(results[way].splats for way in (DELETE_ONLY, NEAREST, HEAL))]
        pictures = [picture_of(each, test.camera(index)) for each in shown]
        pictures.append(test.target(index).image.numpy())
        hole = torch.from_numpy(holes[score.name])[None, None].float()
        rows.append(_around(pictures, torch.nn.functional.adaptive_max_pool2d(hole, pictures[0].shape[:2])[0, 0].numpy() > 0))
    width = max(row.shape[1] for row in rows)
    return np.concatenate([np.pad(row, ((0, 6), (0, width - row.shape[1]), (0, 0))) for row in rows])


def _around(pictures: list[NDArray[np.float32]], hole: NDArray[np.bool_], margin: float = 0.4) -> NDArray[np.float32]:
    """The pictures side by side, cropped to the hole and its surroundings."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    window = []
    for places, size in ((rows, hole.shape[0]), (columns, hole.shape[1])):
        first, last = (places[0], places[-1] + 1) if len(places) else (0, size)
        beside = max(24, round(margin * (last - first)))
        window.append(slice(max(0, first - beside), min(size, last + beside)))
    return np.concatenate([np.pad(picture[tuple(window)], ((0, 0), (0, 4), (0, 0))) for picture in pictures], axis=1)


def lines(found: list[dict[str, Any]]) -> list[str]:
    """The tables."""
    fields = [column for column in COLUMNS if any(column[0] in each["measures"][HEAL] for each in found)]
    text = _row(["case", "", *(title for _, title, _, _ in fields)]) + _rule(2, len(fields))
    for each in found:
        for way, means in each["measures"].items():
            cells = [f"{factor * means[key]:.{digits}f}" if key in means else "" for key, _, factor, digits in fields]
            text += _row([each["case"] if way == BEFORE else "", way, *cells])
    stages = list(dict.fromkeys(stage for each in found for stage in each["seconds"]))
    heads = ["case", "size", "views", "splats", "removed", "of its shadow", "new", "cut as floating %", "unseen of hole %"]
    heads += ["dB over delete", "dB over nearest", "outside dB", "frozen", *(f"{stage} s" for stage in stages)]
    text += ["", *_row(heads), *_rule(1, len(heads) - 1)]
    for each in found:
        gains = [f"{each[key]:+.2f}" if key in each else "" for key in ("gain_over_delete", "gain_over_nearest")]
        cells = [each["case"], "{} x {}".format(*each["size"]), each["views"], each["splats"], each["removed_splats"]]
        cells += [each["shadow_splats"]]
        cells += [
            each["new_splats"],
            f"{100 * each['floating_splats'] / max(1, each['new_splats'] + each['floating_splats']):.1f}",
        ]
        cells += [f"{100 * each['unseen_share_of_hole']:.1f}", *gains, f"{each['outside_change']:+.3f}"]
        cells += ["equal" if all(each["frozen_equal"].values()) else "CHANGED"]
        text += _row([*cells, *(f"{each['seconds'].get(stage, 0.0):.1f}" for stage in stages)])
    return text


def spreads(found: list[dict[str, Any]]) -> list[str]:
    """Mean and spread over seeds, and the seconds of each way."""
    text = [""]
    for each in found:
        values = [
            seed["psnr_hole"]
            for seed in each["seeds"]
            if seed.get("psnr_hole") is not None and "psnr_hole" in each["measures"][HEAL]
        ]
        if len(values) > 1:
            spread = f"{np.mean(values):.2f} dB in the hole, {min(values):.2f} to {max(values):.2f}"
            text.append(f"- {each['case']}, {len(values)} seeds: {spread}, standard deviation {np.std(values, ddof=1):.2f}.")
        took = ", ".join(f"{way} {seconds:.1f} s" for way, seconds in each["peer_seconds"].items())
        text.append(f"- {each['case']}: {took}.")
    return text


def aims(found: list[dict[str, Any]]) -> list[str]:
    """How far the sample scenes came with what they are to reach."""
    gains = [
        f"{each['case']} {each['gain_over_delete']:+.1f} and {each['gain_over_nearest']:+.1f}"
        for each in found
        if each["case"] in SAMPLES
    ]
    wanted = f"{OVER_DELETE:g} dB over deletion and {OVER_NEAREST:g} dB over the nearest depth inside the hole"
    return gains and ["", f"What the sample scenes are to reach, {wanted}: {'; '.join(gains)}."]


def _row(cells: list[Any]) -> list[str]:
    return ["| " + " | ".join(str(cell) for cell in cells) + " |"]


def _rule(left: int, right: int) -> list[str]:
    return _row(["---"] * left + ["---:"] * right)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _tell_fit(name: str) -> OnProgress:
    def tell(now: Progress) -> None:
        if now.done % 500 == 0:
            _say(f"{name}: first fit {now.done}/{now.total}, loss {now.measures['loss']:.4f}")

    return tell


def main() -> int:
    """Runs the cases and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES, SPEED, *FILES], metavar="CASE", help=", ".join([*CASES, SPEED]))
    parser.add_argument("--seeds", type=int, default=1, help="seeds to heal with")
    parser.add_argument("--quick", action="store_true", help="small pictures, few steps")
    parser.add_argument("--without-photos", action="store_true", help="heal from the splats alone, beside heal")
    parser.add_argument("--fresh", action="store_true", help="fit again")
    parser.add_argument("--json", type=Path, default=None, help="file for all measures")
    parser.add_argument("--record", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    if SPEED in arguments.cases:
        if len(arguments.cases) > 1:
            parser.error("speed is measured alone")
        return _speed(arguments)
    steps = QUICK_STEPS // 8 if arguments.quick else None
    if arguments.without_photos:
        return _without_photos(arguments, HealConfig() if steps is None else HealConfig(steps=steps))
    if alone := [name for name in arguments.cases if name in FILES]:
        parser.error(f"{', '.join(alone)}: only with --without-photos")
    found = []
    for name in arguments.cases or CASES:
        case = _case(name, arguments.quick)
        found.append(run_case(case, fresh=arguments.fresh, steps=steps, seeds=arguments.seeds))
        with atomic_path(OUTPUT / f"{name}.json") as path:
            path.write_text(json.dumps(found[-1], indent=1), encoding="utf-8")
    section = [
        f"`python -m benchmarks.heal --record`, {machine()}. {HOW_TO_READ}",
        "",
        *lines(found),
        *spreads(found),
        *aims(found),
    ]
    print("\n".join(section))
    _say(f"pictures: {OUTPUT}")
    if arguments.json is not None:
        with atomic_path(arguments.json) as path:
            path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if arguments.record:
        write_section("heal", [*section, *_pictures([each["case"] for each in found])])
    return 0


def _case(name: str, quick: bool) -> Case:
    case = CASES[name]()
    if not quick:
        return case
    return replace(case, fit=replace(case.fit, steps=QUICK_STEPS, max_size=QUICK_SIZE), max_size=QUICK_SIZE)


def _without_photos(arguments: argparse.Namespace, config: HealConfig) -> int:
    rows = []
    names = arguments.cases or [*SAMPLES, *FILES]
    for name in (name for name in names if name in CASES):
        case = _case(name, arguments.quick)
        beside = splats_beside(case.train.source)
        fit = partial(fitted, case, OUTPUT / "fits", fresh=arguments.fresh, on_progress=_tell_fit(case.name))
        splats = fit()[0] if beside is None else read_splats(beside)
        rows += compare_with_photos(case, splats, config)
        _say(f"{name}: done")
    rows += heal_files([name for name in names if name in FILES], config, QUICK_SIZE if arguments.quick else 480)
    options = [*arguments.cases, *(["--quick"] if arguments.quick else [])]
    command = " ".join(["python -m benchmarks.heal --without-photos", *options])
    section = [f"`{command}`, {machine()}.", *rows_table(rows)]
    print("\n".join(section))
    if arguments.record:
        write_section("heal without photos", section)
    return 0


def _pictures(cases: list[str]) -> list[str]:
    """Puts the strips of sample scenes beside RESULTS.md, and the lines that show them."""
    folder, text = RESULTS.parent / "pictures", []
    for name in (name for name in cases if name in SAMPLES):
        folder.mkdir(exist_ok=True)
        write_image(folder / f"{name}.jpg", read_image(OUTPUT / f"{name}.png"))
        text += ["", f"![{name}: {PICTURED}]({folder.name}/{name}.jpg)"]
    return text and ["", f"Rows: {PICTURED}", *text]


def _speed(arguments: argparse.Namespace) -> int:
    found = measure_speed()
    section = [f"`python -m benchmarks.heal speed --record`, {machine()}.", *speed_lines(found)]
    print("\n".join(section))
    if arguments.json is not None:
        with atomic_path(arguments.json) as path:
            path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if arguments.record:
        write_section("heal speed", section)
    return 0


if __name__ == "__main__":
    sys.exit(main())
