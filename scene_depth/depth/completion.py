"""Completes depth files: in the format and unit that they came in, with preview, uncertainty, points and a report."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.alignment import Space
from scene_depth.depth.completion_files import FrameFiles, frame_camera, known_pixels
from scene_depth.depth.completion_report import REPORT, CompletionReport, joined, part_path, process_share
from scene_depth.depth.completion_scans import STORED_FORMAT, ScanSettings, read_scan_image
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.monocular import MonocularMap, MonocularModel, PriorInpainter, predict
from scene_depth.depth.preview import preview
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path, check_writable
from scene_depth.io.depth_images import DEPTH_FORMATS, Kind, depth_format, read_depth, write_depth
from scene_depth.io.images import read_image, read_mask, write_image
from scene_depth.io.point_ply import write_point_ply
from scene_depth.scene import PointCloud

__all__ = [
    "REPORT",
    "Completer",
    "CompletionReport",
    "CompletionSettings",
    "complete_frame",
    "complete_frames",
    "frame_points",
    "make_completer",
]

Progress = Callable[[int, int, str], None]  # (frames done, frames in all, name of the next)


@dataclass(frozen=True)
class CompletionSettings:
    """How frames are completed.

    Attributes:
        inpainter: Name of a depth inpainter.
        prior: Name of a monocular model whose prediction the solver takes as its prior.
        prior_space: What priors are up to scale and shift; by default what the model says, for files what fits best.
        mask_white: Whether white pixels of masks are known or to be filled.
        format, unit, kind: How depth is stored, as in ``read_depth``.
        intrinsics: File of intrinsics; by default one of a usual name beside the depth.
        pixel_center: Coordinate of the first pixel's centre in intrinsics that do not say.
        harmonize: As in ``inpaint_depth``.
        points: Whether to write point clouds.
        seed: Seed of everything random.
        scan_camera, hide_behind: ``ScanSettings.camera`` and ``hide`` of LiDAR scans.
    """

    inpainter: str = "solver"
    prior: str | None = None
    prior_space: Space | Literal["auto"] | None = None
    mask_white: Literal["known", "fill"] = "known"
    format: str | None = None
    unit: float | None = None
    kind: Kind = "z"
    intrinsics: Path | None = None
    pixel_center: float = 0.0
    harmonize: bool | None = None
    points: bool = True
    seed: int = 0
    scan_camera: str = "2"
    hide_behind: bool = True


@dataclass(frozen=True)
class Completer:
    """Settings with everything loaded that they name.

    Attributes:
        settings: The settings.
        inpainter: The inpainter, kept exact.
        model: Monocular model of the prior, if there is one.
    """

    settings: CompletionSettings
    inpainter: ExactInpainter
    model: MonocularModel | None = None


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
    if has_prior and settings.inpainter != "solver":
        raise InputError("prior", f"with the inpainter {settings.inpainter!r}", "the inpainter 'solver', which takes a prior")
    if settings.prior is not None and model is None:
        from scene_depth.depth.monocular import load_monocular_model

        model = load_monocular_model(settings.prior)
    for frame in frames:
        if model is not None and frame.rgb is None:
            raise InputError("RGB", "none", "a picture, the model of the prior predicts from it", file=frame.depth)
        if frame.calibration is not None:
            continue
        _, source = frame_camera(frame.size, frame.depth, settings.intrinsics, settings.pixel_center)
        if settings.kind == "ray" and source.startswith("nominal"):
            raise InputError("intrinsics", "none", "a file of intrinsics, for ray distances", file=frame.depth)
    return Completer(settings, load_depth_inpainter(settings.inpainter), model)


def complete_frames(
    frames: Sequence[FrameFiles], completer: Completer, output: Path, *, fresh: bool = False, progress: Progress | None = None
) -> CompletionReport:
    """Completes frames one by one into a folder and writes its report.

    ``depth/NAME.*`` in the input's format, ``preview/NAME.png``, ``uncertainty/NAME.npy`` (relative standard deviation),
    ``points/NAME.ply`` (camera frame), ``frames/NAME.json``; the last is written last, so a frame that has it is done.
    Frames done before with the same settings and files are skipped. Ctrl-C keeps what is done and writes the report
    before it is raised again. Under ``torchrun`` or ``accelerate launch`` each process takes its share of the frames.

    Args:
        frames: From ``find_frame_files``.
        completer: From ``make_completer``.
        output: Folder to write.
        fresh: Compute everything anew.
        progress: Called before every frame and at the end.

    Returns:
        The report. A frame that cannot be completed is listed there with its reason; a single one raises.

    Raises:
        InputError: If the folder cannot be written, or the only frame cannot be completed.
    """
    started = time.perf_counter()
    _refuse_inputs(frames, output)
    check_writable(output)
    rank, processes = process_share()
    own = frames[rank::processes]
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(completer.settings).items()}
    report = CompletionReport(settings, _version(), planned=len(frames))
    resumed = 0
    try:
        for index, frame in enumerate(own):
            if progress is not None:
                progress(index, len(own), frame.name)
            fingerprint = _fingerprint(frame, settings)
            row = None if fresh else _row_of_before(frame, output, fingerprint)
            resumed += row is not None
            try:
                row = row or complete_frame(frame, completer, output, fingerprint)
            except InputError as error:
                if len(frames) == 1:
                    raise
                report.failed[frame.name] = str(error)
            else:
                report.frames.append(row)
        if progress is not None:
            progress(len(own), len(own), "")
    finally:
        report = CompletionReport(
            settings, report.version, report.frames, report.failed, len(frames), resumed, time.perf_counter() - started
        )
        if report.frames or report.failed or processes > 1:
            report.save(part_path(output, rank, processes))
    return joined(report, output, rank, processes)


def complete_frame(frame: FrameFiles, completer: Completer, output: Path, fingerprint: str = "") -> dict[str, Any]:
    """Completes one frame and writes its files; gives its row of the report."""
    settings = completer.settings
    depth, camera, source = _read_measured(frame, settings)
    rgb = None if frame.rgb is None else read_image(frame.rgb)
    mask = None if frame.mask is None else read_mask(frame.mask)
    known = known_pixels(depth, mask, settings.mask_white)
    if not known.any():
        raise InputError("known depth", "no pixel", f"at least one (mask-white is {settings.mask_white!r})", file=frame.depth)
    inpainter = _with_prior(frame, completer, rgb)
    prediction = inpaint_depth(inpainter, rgb, depth, known, camera=camera, seed=settings.seed, harmonize=settings.harmonize)
    completed, beyond = _within(prediction.depth, known, _largest(frame, settings))
    files = _write(frame, completed, known, prediction, rgb, camera, settings, output)
    row = {
        "name": frame.name,
        "inputs": [str(path) for path in frame.inputs],
        "files": files,
        "width": frame.size[0],
        "height": frame.size[1],
        "known_share": float(known.mean()),
        "depth_range": [float(completed.min()), float(completed.max())],
        "mean_uncertainty": None
        if prediction.uncertainty is None
        else float(prediction.uncertainty[~known].mean())
        if not known.all()
        else 0.0,
        "beyond_format": beyond,
        **source,
        "seam": None if prediction.seam is None else asdict(prediction.seam),
        "details": prediction.details,
        "fingerprint": fingerprint,
    }
    with atomic_path(output / "frames" / f"{frame.name}.json") as path:
        path.write_text(json.dumps(row, indent=1, default=_plain, allow_nan=False), encoding="utf-8")
    return row


def _read_measured(frame: FrameFiles, settings: CompletionSettings) -> tuple[NDArray[np.float32], Cameras, dict[str, Any]]:
    """Depth of a depth image or a scan, its camera, and what the report says about them."""
    if frame.calibration is not None:
        scan = read_scan_image(frame, ScanSettings(settings.scan_camera, settings.unit, settings.hide_behind))
        told = {"intrinsics": str(frame.calibration), "scan_points": scan.points, "hidden_pixels": scan.hidden}
        return scan.depth, scan.camera, told
    camera, source = frame_camera(frame.size, frame.depth, settings.intrinsics, settings.pixel_center)
    K = camera.K[0].numpy() if settings.kind == "ray" else None
    depth = read_depth(frame.depth, format=settings.format, unit=settings.unit, kind=settings.kind, K=K)
    return depth, camera, {"intrinsics": source}


def _largest(frame: FrameFiles, settings: CompletionSettings) -> float:
    own = STORED_FORMAT if frame.calibration is not None else depth_format(frame.depth, settings.format).name
    return DEPTH_FORMATS[own].largest if frame.calibration is not None or settings.unit is None else np.inf


def _with_prior(frame: FrameFiles, completer: Completer, rgb: NDArray[np.float32] | None) -> Any:
    """The inpainter, or the solver with this frame's prior."""
    space = completer.settings.prior_space
    if frame.prior is not None:
        predicted = MonocularMap(_read_prior(frame.prior), space or "auto")
    elif completer.model is not None and rgb is not None:
        predicted = predict(completer.model, rgb, completer.settings.seed, space)
    else:
        return completer.inpainter
    return ExactInpainter(PriorInpainter(predicted), completer.inpainter.name)


def _read_prior(path: Path) -> NDArray[np.float32]:
    """A prior has no unit; pixels without a value take the median."""
    values = read_depth(path, unit=1.0)
    if not (values > 0).any():
        raise InputError("prior", "no positive value", "a monocular prediction with positive values", file=path)
    return np.where(values > 0, values, np.median(values[values > 0])).astype(np.float32)


def _within(depth: NDArray[np.floating], known: NDArray[np.bool_], largest: float) -> tuple[NDArray[np.floating], int]:
    """Filled depth cut off at what the file format can hold, and how many pixels that were."""
    beyond = ~known & (depth > largest)
    return np.where(beyond, largest, depth).astype(depth.dtype), int(beyond.sum())


def _write(
    frame: FrameFiles,
    completed: NDArray[np.floating],
    known: NDArray[np.bool_],
    prediction: DepthPrediction,
    rgb: NDArray[np.float32] | None,
    camera: Cameras,
    settings: CompletionSettings,
    output: Path,
) -> dict[str, str]:
    files = {"depth": Path("depth") / frame.stored_name, "preview": Path("preview") / f"{frame.name}.png"}
    if frame.calibration is not None:
        files["measured"] = Path("measured") / frame.stored_name
        write_depth(output / files["depth"], completed, format=STORED_FORMAT)
        write_depth(output / files["measured"], np.where(known, completed, 0), format=STORED_FORMAT)
    else:
        K = camera.K[0].numpy() if settings.kind == "ray" else None
        write_depth(output / files["depth"], completed, format=settings.format, unit=settings.unit, kind=settings.kind, K=K)
    write_image(output / files["preview"], preview(rgb, completed, known, prediction.uncertainty))
    if prediction.uncertainty is not None:
        files["uncertainty"] = Path("uncertainty") / f"{frame.name}.npy"
        with atomic_path(output / files["uncertainty"]) as path:
            np.save(path, prediction.uncertainty)
    if settings.points:
        files["points"] = Path("points") / f"{frame.name}.ply"
        write_point_ply(output / files["points"], frame_points(completed, rgb, camera))
    return {what: path.as_posix() for what, path in files.items()}


def frame_points(depth: NDArray[np.floating], rgb: NDArray[np.float32] | None, camera: Cameras) -> PointCloud:
    """The coloured points of one frame in the camera's frame and the unit of the depth; grey without a picture."""
    import torch

    xyz = camera.unproject(torch.from_numpy(np.asarray(depth, dtype=np.float64))[None])[0].reshape(-1, 3).numpy()
    colors = np.full((len(xyz), 3), 128, np.uint8) if rgb is None else np.rint(rgb.reshape(-1, 3) * 255).astype(np.uint8)
    return PointCloud(xyz, colors)


def _refuse_inputs(frames: Sequence[FrameFiles], output: Path) -> None:
    sources = {path.resolve() for frame in frames for path in frame.inputs}
    for frame in frames:
        for path in (output / "depth" / frame.stored_name, output / "preview" / f"{frame.name}.png"):
            if path.resolve() in sources:
                raise InputError("output", "the folder of the input", "another folder, the input is never overwritten", file=path)


def _fingerprint(frame: FrameFiles, settings: dict[str, Any]) -> str:
    """Changes with the settings, the version and every input file."""
    files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in frame.inputs]
    return hashlib.sha256(json.dumps([_version(), settings, files], default=str).encode()).hexdigest()


def _row_of_before(frame: FrameFiles, output: Path, fingerprint: str) -> dict[str, Any] | None:
    try:
        row = json.loads((output / "frames" / f"{frame.name}.json").read_text(encoding="utf-8"))
        done = row["fingerprint"] == fingerprint and all((output / path).is_file() for path in row["files"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return row if done else None


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _version() -> str:
    try:
        return version("scene-depth")
    except PackageNotFoundError:
        return "unknown"
