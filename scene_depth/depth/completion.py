"""Completes depth files: in the format and unit that they came in, with preview, uncertainty, points and a report."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask
from scene_depth.cameras import Cameras
from scene_depth.depth.alignment import Fit, Space
from scene_depth.depth.completion_files import STORED_FORMAT, FrameFiles, frame_camera, known_pixels, read_scan_image
from scene_depth.depth.completion_report import CompletedFrame, CompletionReport, join_reports, part_path, process_share
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.monocular import check_takes_prior, load_prior, with_prior
from scene_depth.depth.preview import preview
from scene_depth.depth.prior import MonocularMap, MonocularModel, predict
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.geometry.depth_resampling import resize_sparse_depth
from scene_depth.io.atomic import atomic_path, check_writable
from scene_depth.io.depth_images import DEPTH_FORMATS, depth_format, read_depth, read_stored_depth, write_depth
from scene_depth.io.depth_units import DepthUnit, stored_depth_notes
from scene_depth.io.images import parse_mask_ids, read_image, read_mask, write_image
from scene_depth.io.json_reports import plain, versions
from scene_depth.io.point_ply import write_point_ply
from scene_depth.scene import PointCloud
from scene_depth.work import OnProgress, Progress, Work

HARMONIZE = {"auto": None, "on": True, "off": False}


@dataclass(frozen=True)
class CompletionSettings:
    """How depth images are completed."""

    inpainter: str = "solver"
    """Depth inpainter: solver, nearest, linear, harmonic, colorization, ip_basic, geodesic, auxiliary, depthlab,
    depthfm, refined, marigold, transformers, module:function, file.py:function, or a name that another package registers."""
    prior: str | None = None
    """Monocular prior for the solver: small, marigold, transformers, moge, da3 (NAME:CHECKPOINT, or options: NAME[fit=scale]),
    module:function or file.py:function of f(rgb) -> values, or a file or folder of predictions."""
    prior_space: Space | Literal["auto"] | None = None
    """What the prior is up to scale and shift; by default what the model says, for files what fits best."""
    prior_fit: Fit | None = None
    """What of the prior is fitted to the known depth: its scale, for metric depth, scale and shift (affine), or what carries
    farther (auto); by default what the model says."""
    mask_white: Literal["known", "fill"] = "known"
    """What white in masks means. Files of DepthLab: fill."""
    mask_id: tuple[str, ...] = ()
    """Labels that count as white in masks of several: numbers, or colours such as #ff0000."""
    format: str | None = None
    """Format of the depth: millimeters, kitti, tum, nyu, scannet, npy, npz, exr, pfm, colmap; by default by file name."""
    unit: float | None = None
    """Metres of a stored 1, in place of the format's."""
    kind: Literal["z", "ray"] = "z"
    """Whether depth is along the optical axis or along the ray."""
    intrinsics: Annotated[Path | None, tyro.conf.arg(name="K")] = None
    """File of intrinsics; by default K.json or the like beside the depth, else a field of view of 60 degrees is assumed."""
    pixel_center: float = 0.0
    """Coordinate of the first pixel's centre in intrinsics files that do not say: 0 or 0.5."""
    harmonize: Literal["auto", "on", "off"] = "auto"
    """Whether the step at the border of a hole is taken out inside the hole."""
    points: bool = True
    """Write point clouds."""
    seed: int = 0
    """Seed of all random choices."""
    scan_camera: Annotated[Literal["0", "1", "2", "3"], tyro.conf.arg(name="calibration-camera")] = "2"
    """Which camera of the calibration took the pictures."""
    hide_behind: bool = True
    """Leave out points of a scan that lie behind what the camera sees, but shine through between nearer points."""


@dataclass(frozen=True)
class Completer:
    """Settings with everything loaded that they name.

    Attributes:
        settings: The settings.
        inpainter: The inpainter, kept exact.
        model: Monocular model of the prior, if there is one.
        fit: What of the prior is fitted, if that was asked for.
    """

    settings: CompletionSettings
    inpainter: ExactInpainter
    model: MonocularModel | None = None
    fit: Fit | None = None


def make_completer(settings: CompletionSettings, frames: Sequence[FrameFiles], model: MonocularModel | None = None) -> Completer:
    """Checks the settings against all frames and loads what they name, before anything is computed.

    Args:
        settings: The settings.
        frames: From ``find_frame_files``.
        model: A loaded monocular model in place of ``settings.prior``.

    Raises:
        InputError: If a name is unknown, a model needs a picture that a frame lacks, or a declaration is missing.
    """
    if settings.mask_white not in ("known", "fill"):
        raise InputError("mask-white", repr(settings.mask_white), "known or fill")
    has_prior = settings.prior is not None or model is not None or any(frame.prior for frame in frames)
    inpainter, fit = load_depth_inpainter(settings.inpainter), settings.prior_fit
    if has_prior:
        check_takes_prior(inpainter)
    if settings.prior is not None and model is None:
        model, stated = load_prior(settings.prior)
        fit = fit or stated
    for frame in frames:
        if model is not None and frame.rgb is None:
            raise InputError("RGB", "none", "a picture, the model of the prior predicts from it", file=frame.depth)
        if frame.calibration is not None:
            continue
        camera = frame_camera(frame, settings.intrinsics, settings.pixel_center)
        if settings.kind == "ray" and camera.source.startswith("nominal"):
            raise InputError("intrinsics", "none", "a file of intrinsics, for ray distances", file=frame.depth)
    return Completer(settings, inpainter, model, fit)


def complete_frames(
    frames: Sequence[FrameFiles],
    completer: Completer,
    output: Path,
    *,
    fresh: bool = False,
    on_progress: OnProgress | None = None,
) -> CompletionReport:
    """Completes frames one by one into a folder and writes its report.

    ``depth/NAME.*`` in the input's format, ``preview/NAME.png``, ``uncertainty/NAME.npy`` (relative standard deviation),
    ``points/NAME.ply`` (camera frame), ``frames/NAME.json``; the last is written last, so a frame that has it is done.
    Frames done before with the same settings and files are skipped. A run that is stopped keeps what is done. Under
    ``torchrun`` or ``accelerate launch`` each process takes its share of the frames.

    Args:
        frames: From ``find_frame_files`` or ``find_scan_files``.
        completer: From ``make_completer``.
        output: Folder to write.
        fresh: Compute everything anew.
        on_progress: Called before every frame, between the steps of a large one, and at the end.

    Returns:
        The report. A frame that cannot be completed is listed there with its reason; a single one raises.

    Raises:
        InputError: If the folder cannot be written, or the only frame cannot be completed.
    """
    _refuse_inputs(frames, output)
    check_writable(output)
    rank, processes = process_share()
    own = frames[rank::processes]
    settings, version = plain(asdict(completer.settings)), versions()["scene-depth"]
    done: list[CompletedFrame] = []
    failed: dict[str, str] = {}
    resumed, started, work = 0, time.perf_counter(), Work(on_progress)
    with work.stage("complete"):
        for index, frame in enumerate(own):
            if not work.report(Progress("complete", index, len(own), frame.name)):
                break
            fingerprint = _fingerprint(frame, settings, version)
            before = None if fresh else _completed_before(frame, output, fingerprint)
            resumed += before is not None
            try:
                within = partial(_report_within, work, Progress("complete", index, len(own), frame.name))
                done.append(before or complete_frame(frame, completer, output, fingerprint, within))
            except InputError as error:
                if len(frames) == 1 or error.field == "output":  # of a full disk
                    raise
                failed[frame.name] = str(error)
        else:
            work.report(Progress("complete", len(own), len(own)))
    finished = len(done) + len(failed) == len(own)
    seconds = time.perf_counter() - started
    report = CompletionReport(settings, version, done, failed, len(frames), resumed, seconds, finished)
    if done or failed or processes > 1:
        report.save(part_path(output, rank, processes))
    return join_reports(report, output, rank, processes) if finished else report


def _report_within(work: Work, frame: Progress, step: Progress) -> bool:
    """Tells how far a frame is that takes long."""
    message = f"{frame.message}: {step.message}, {step.done / max(step.total, 1):.0%} done"
    return work.report(replace(frame, message=message))


def complete_frame(
    frame: FrameFiles, completer: Completer, output: Path, fingerprint: str = "", on_progress: OnProgress | None = None
) -> CompletedFrame:
    """Completes one frame and writes its files.

    Raises:
        KeyboardInterrupt: If ``on_progress`` stopped it; nothing is written then.
    """
    settings = completer.settings
    measured = _read_measured(frame, settings)
    rgb = None if frame.rgb is None else read_image(frame.rgb)
    mask = None if frame.mask is None else _read_mask(frame, settings)
    known = known_pixels(measured.depth, mask, settings.mask_white)
    if not known.any():
        raise InputError("known depth", "no pixel", f"at least one (mask-white is {settings.mask_white!r})", file=frame.depth)
    prediction = inpaint_depth(
        _with_prior(frame, completer, rgb, np.where(known, measured.depth, 0)),
        rgb,
        measured.depth,
        known,
        camera=measured.camera,
        seed=settings.seed,
        harmonize=HARMONIZE[settings.harmonize],
        on_progress=on_progress,
    )
    if not prediction.details.get("model", {}).get("finished", True):
        raise KeyboardInterrupt
    completed, beyond = _within(prediction.depth, known, _largest(frame, settings, measured.unit))
    uncertainty = prediction.uncertainty
    record = output / "frames" / f"{frame.name}.json"
    record.unlink(missing_ok=True)  # of other settings: while files are replaced, it must not vouch for them
    done = CompletedFrame(
        name=frame.name,
        inputs=[str(path) for path in frame.inputs],
        files=_write(frame, completed, known, prediction, rgb, measured, settings, output),
        width=frame.size[0],
        height=frame.size[1],
        known_share=float(known.mean()),
        depth_range=(float(completed.min()), float(completed.max())),
        mean_uncertainty=None if uncertainty is None else 0.0 if known.all() else float(uncertainty[~known].mean()),
        beyond_format=beyond,
        intrinsics=measured.intrinsics,
        seam=prediction.seam,
        details={**prediction.details, "notes": [*prediction.details.get("notes", []), *measured.notes, *_mask_notes(mask)]},
        fingerprint=fingerprint,
        scan_points=measured.scan_points,
        hidden_pixels=measured.hidden_pixels,
        unit=measured.unit.unit,
        unit_source=measured.unit.source,
    )
    done.save(record)
    return done


def _mask_notes(mask: NDArray[np.bool_] | None) -> list[str]:
    if mask is None or (mask.any() and not mask.all()):
        return []
    return [f"the mask is white {'everywhere' if mask.any() else 'nowhere'}"]


@dataclass(frozen=True)
class _Measured:
    """Depth of a depth image or a scan, its camera, and what the report says about them; see ``CompletedFrame``."""

    depth: NDArray[np.float32]
    camera: Cameras
    intrinsics: str
    unit: DepthUnit
    notes: tuple[str, ...] = ()
    scan_points: int | None = None
    hidden_pixels: int | None = None


def _read_measured(frame: FrameFiles, settings: CompletionSettings) -> _Measured:
    if frame.calibration is not None:
        scan = read_scan_image(frame, settings.scan_camera, settings.unit, settings.hide_behind)
        unit = DepthUnit(1.0, "metres, as scans have them") if settings.unit is None else DepthUnit(settings.unit, "as asked")
        return _Measured(scan.depth, scan.camera, str(frame.calibration), unit, (), scan.points, scan.hidden)
    placed = frame_camera(frame, settings.intrinsics, settings.pixel_center)
    stored = read_stored_depth(frame.depth, settings.format)
    unit = _unit_of(frame, settings, placed.unit, stored.dtype.kind)
    notes = [*placed.notes, *stored_depth_notes(stored)]
    height, width = stored.shape
    K = placed.camera.resized(width, height).K[0].numpy() if settings.kind == "ray" else None
    depth = read_depth(frame.depth, format=settings.format, unit=unit.unit, kind=settings.kind, K=K)
    if (width, height) != frame.size:
        depth = resize_sparse_depth(depth, *frame.size)
        notes.append(f"depth of {width} x {height} pixels was moved to the {frame.size[0]} x {frame.size[1]} of the picture")
    return _Measured(depth, placed.camera, placed.source, unit, tuple(notes))


def _unit_of(frame: FrameFiles, settings: CompletionSettings, stated: DepthUnit | None, kind: str) -> DepthUnit:
    """What a stored 1 is: as asked, as a file beside the depth states it for integers, as the format has it, or assumed."""
    entry = depth_format(frame.depth, settings.format)
    if settings.unit is not None:
        return DepthUnit(settings.unit, "as asked")
    if settings.format is None and stated is not None and kind in "iu":
        return stated
    if settings.format is not None:
        return DepthUnit(entry.unit, f"as asked by the format {entry.name}")
    return DepthUnit(entry.unit, f"assumed for {frame.depth.suffix} files")


def _read_mask(frame: FrameFiles, settings: CompletionSettings) -> NDArray[np.bool_]:
    """The mask at the size of the frame; one of the depth's size is enlarged with it."""
    assert frame.mask is not None
    mask = read_mask(frame.mask, parse_mask_ids(settings.mask_id))
    width, height = frame.size
    rows = np.minimum((np.arange(height) + 0.5) * mask.shape[0] / height, mask.shape[0] - 1).astype(np.intp)
    columns = np.minimum((np.arange(width) + 0.5) * mask.shape[1] / width, mask.shape[1] - 1).astype(np.intp)
    return mask[np.ix_(rows, columns)]


def _largest(frame: FrameFiles, settings: CompletionSettings, unit: DepthUnit) -> float:
    """The largest depth that the file to write can hold."""
    if frame.calibration is not None:
        return DEPTH_FORMATS[STORED_FORMAT].largest
    entry = depth_format(frame.depth, settings.format)
    return entry.largest * unit.unit / entry.unit


def _with_prior(frame: FrameFiles, completer: Completer, rgb: NDArray[np.float32] | None, depth: Array) -> ExactInpainter:
    """The inpainter, or the solver with this frame's prior."""
    space = completer.settings.prior_space
    if frame.prior is not None:
        predicted = MonocularMap(_read_prior(frame.prior), space or "auto")
    elif completer.model is not None and rgb is not None:
        predicted = predict(completer.model, rgb, completer.settings.seed, space, depth)
    else:
        return completer.inpainter
    return with_prior(completer.inpainter, predicted, completer.fit)


def _read_prior(path: Path) -> NDArray[np.float32]:
    """A prior has no unit; pixels without a value take the median."""
    values = read_depth(path, unit=1.0)
    if not (values > 0).any():
        raise InputError("prior", "no positive value", "a monocular prediction with positive values", file=path)
    return np.where(values > 0, values, np.median(values[values > 0])).astype(np.float32)


def _within(depth: Array, known: Mask, largest: float) -> tuple[Array, int]:
    """Filled depth cut off at what the file format can hold, and how many pixels that were."""
    beyond = ~known & (depth > largest)
    return np.where(beyond, largest, depth).astype(depth.dtype), int(beyond.sum())


def _write(
    frame: FrameFiles,
    completed: Array,
    known: Mask,
    prediction: DepthPrediction,
    rgb: NDArray[np.float32] | None,
    measured: _Measured,
    settings: CompletionSettings,
    output: Path,
) -> dict[str, str]:
    camera = measured.camera
    files = {"depth": Path("depth") / frame.stored_name, "preview": Path("preview") / f"{frame.name}.png"}
    if frame.calibration is not None:
        files["measured"] = Path("measured") / frame.stored_name
        write_depth(output / files["depth"], completed, format=STORED_FORMAT)
        write_depth(output / files["measured"], np.where(known, completed, 0), format=STORED_FORMAT)
    else:
        K = camera.K[0].numpy() if settings.kind == "ray" else None
        unit = measured.unit.unit
        write_depth(output / files["depth"], completed, format=settings.format, unit=unit, kind=settings.kind, K=K)
    write_image(output / files["preview"], preview(rgb, completed, known, prediction.uncertainty))
    if prediction.uncertainty is not None:
        files["uncertainty"] = Path("uncertainty") / f"{frame.name}.npy"
        with atomic_path(output / files["uncertainty"]) as path:
            np.save(path, prediction.uncertainty)
    if settings.points:
        files["points"] = Path("points") / f"{frame.name}.ply"
        write_point_ply(output / files["points"], frame_points(completed, rgb, camera))
    return {what: path.as_posix() for what, path in files.items()}


def frame_points(depth: Array, rgb: NDArray[np.float32] | None, camera: Cameras) -> PointCloud:
    """The coloured points of one frame in the camera's frame and the unit of the depth; grey without a picture."""
    xyz = camera.unproject(torch.from_numpy(np.asarray(depth, dtype=np.float64))[None])[0].reshape(-1, 3).numpy()
    colors = np.full((len(xyz), 3), 128, np.uint8) if rgb is None else np.rint(rgb.reshape(-1, 3) * 255).astype(np.uint8)
    return PointCloud(xyz, colors)


def _refuse_inputs(frames: Sequence[FrameFiles], output: Path) -> None:
    sources = {path.resolve() for frame in frames for path in frame.inputs}
    for frame in frames:
        for path in (output / "depth" / frame.stored_name, output / "preview" / f"{frame.name}.png"):
            if path.resolve() in sources:
                raise InputError("output", "the folder of the input", "another folder, the input is never overwritten", file=path)


def _fingerprint(frame: FrameFiles, settings: dict[str, Any], version: str) -> str:
    """Changes with the settings, the version and every input file."""
    files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in frame.inputs]
    return hashlib.sha256(json.dumps([version, settings, files]).encode()).hexdigest()


def _completed_before(frame: FrameFiles, output: Path, fingerprint: str) -> CompletedFrame | None:
    try:
        content = json.loads((output / "frames" / f"{frame.name}.json").read_text(encoding="utf-8"))
        done = CompletedFrame.from_dict(content)
        is_whole = done.fingerprint == fingerprint and all((output / path).is_file() for path in done.files.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return done if is_whole else None
