"""``scene-depth complete``: fills the gaps of depth images."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from scene_depth.cli.progress import progress_bar
from scene_depth.depth.completion import (
    REPORT,
    Completer,
    CompletionReport,
    CompletionSettings,
    complete_frames,
    make_completer,
)
from scene_depth.depth.completion_files import FrameFiles, find_frame_files
from scene_depth.depth.completion_report import process_share
from scene_depth.depth.completion_scans import find_scan_files
from scene_depth.errors import InputError
from scene_depth.io.atomic import check_writable
from scene_depth.options import with_options

NO_PICTURE = "-"


@dataclass(frozen=True)
class Complete:
    """Fill what is unknown in a depth image, or in every one of a folder. Known depth stays exactly as it is.

    The output folder gets depth/ in the input's format and unit, preview/, uncertainty/ (relative, .npy), points/ (.ply)
    and report.json. A run that was interrupted goes on where it stopped. Several processes share the frames of a folder:
    torchrun --nproc-per-node N -m scene_depth.cli.app complete ...
    """

    rgb: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RGB")]
    """Picture, or folder of pictures of the same names; - for none."""
    depth: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DEPTH")]
    """Depth image (png, tif, pgm, npy, npz, exr, pfm, COLMAP .bin), or a folder of them; 0, NaN and negative are unknown.
    With --calibration, a LiDAR scan (velodyne .bin) or a folder of scans."""
    output: Path
    """Folder to write."""
    mask: Path | None = None
    """Mask image or folder of masks; by default all depth in the file is known."""
    mask_white: Literal["known", "fill"] = "known"
    """What white in masks means. Files of DepthLab: fill."""
    inpainter: str = "solver"
    """Depth inpainter: solver, nearest, linear, harmonic, colorization, ip_basic, geodesic, auxiliary, depthlab,
    depthfm, refined, marigold, transformers, module:function, file.py:function, or a name that another package registers."""
    inpainter_options: tuple[str, ...] = ()
    """Parameters of the inpainter as KEY=VALUE, such as weights=FOLDER num_inference_steps=20 for depthlab."""
    prior: str | None = None
    """Monocular prior for the solver: marigold or transformers (also NAME:CHECKPOINT), module:function or
    file.py:function of f(rgb) -> values, or a file or folder of predictions."""
    prior_space: Literal["inverse", "depth", "log", "auto"] | None = None
    """What the prior is up to scale and shift; by default what the model says, for files what fits best."""
    K: Path | None = None
    """File of intrinsics; by default K.json or the like beside the depth, else a field of view of 60 degrees is assumed."""
    pixel_center: float = 0.0
    """Coordinate of the first pixel's centre in intrinsics files that do not say: 0 or 0.5."""
    format: str | None = None
    """Format of the depth: millimeters, kitti, tum, nyu, scannet, npy, npz, exr, pfm, colmap; by default by file name."""
    unit: float | None = None
    """Metres of a stored 1, in place of the format's."""
    calibration: Path | None = None
    """KITTI calibration that places the camera beside the scanner: an object or odometry file, a folder with one a scan, or
    the folder of calib_cam_to_cam.txt and calib_velo_to_cam.txt. Completed depth is then KITTI's 16-bit PNG."""
    calibration_camera: Literal["0", "1", "2", "3"] = "2"
    """Which camera of the calibration took the pictures."""
    hide_behind: bool = True
    """Leave out points of a scan that lie behind what the camera sees, but shine through between nearer points."""
    kind: Literal["z", "ray"] = "z"
    """Whether depth is along the optical axis or along the ray."""
    harmonize: Literal["auto", "on", "off"] = "auto"
    """Whether the step at the border of a hole is taken out inside the hole."""
    points: bool = True
    """Write point clouds."""
    seed: int = 0
    """Seed of everything random."""
    fresh: bool = False
    """Compute everything anew, also what the output folder already holds."""
    json: bool = False
    """Print the report as JSON."""

    def run(self) -> CompletionReport:
        """Runs the command.

        Raises:
            InputError: For bad input, before anything is computed; or at the end, if frames of a folder failed.
        """
        prior_files = self._prior_files()
        rgb = None if str(self.rgb) == NO_PICTURE else self.rgb
        frames = self._frames(rgb, prior_files)
        settings = CompletionSettings(
            inpainter=with_options(self.inpainter, self.inpainter_options),
            prior=None if prior_files else self.prior,
            prior_space=self.prior_space,
            mask_white=self.mask_white,
            format=self.format,
            unit=self.unit,
            kind=self.kind,
            intrinsics=self.K,
            pixel_center=self.pixel_center,
            harmonize={"auto": None, "on": True, "off": False}[self.harmonize],
            points=self.points,
            seed=self.seed,
            scan_camera=self.calibration_camera,
            hide_behind=self.hide_behind,
        )
        check_writable(self.output)
        rank, _ = process_share()  # before models are loaded, each process on its device
        report = self._with_progress(frames, make_completer(settings, frames))
        if rank == 0:
            self._show(report)
        if report.failed:
            name, reason = next(iter(report.failed.items()))
            raise InputError(
                f"{len(report.failed)} of {report.planned} frames", f"{name}: {reason}", "frames that can be completed"
            )
        return report

    def _frames(self, rgb: Path | None, prior_files: Path | None) -> list[FrameFiles]:
        if self.calibration is None:
            return find_frame_files(rgb, self.depth, self.mask, prior_files, self.format)
        excluded = {
            "mask": self.mask is not None,
            "prior": prior_files is not None,
            "format": self.format is not None,
            "kind": self.kind != "z",
            "K": self.K is not None,
        }
        for option, given in excluded.items():
            if given:
                raise InputError(option, f"given beside {self.calibration}", "scans with a calibration have none of their own")
        return find_scan_files(rgb, self.depth, self.calibration, self.calibration_camera)

    def _prior_files(self) -> Path | None:
        path = None if self.prior is None else Path(self.prior)
        return path if path is not None and path.exists() else None

    def _with_progress(self, frames: list[FrameFiles], completer: Completer) -> CompletionReport:
        with progress_bar() as show:
            return complete_frames(frames, completer, self.output, fresh=self.fresh, progress=show)

    def _show(self, report: CompletionReport) -> None:
        if self.json:
            print(report.as_json())
            return
        console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
        for row in report.frames:
            low, high = row["depth_range"]
            seam = row["seam"]
            step = (
                ""
                if seam is None
                else f", step at the seam {100 * seam['depth_jump']:.2f} % (beside it {100 * seam['depth_jump_beside']:.2f} %)"
            )
            console.print(f"{row['name']}: {100 * row['known_share']:.1f} % known, completed from {low:.4g} to {high:.4g}{step}")
            for note in row["details"]["notes"]:
                console.print(f"  {note}")
            if row["beyond_format"]:
                console.print(f"  {row['beyond_format']} filled pixels were cut off at the largest depth of the file format")
        for name, reason in report.failed.items():
            console.print(f"{name} failed: {reason}", style="red")
        nominal = [row["name"] for row in report.frames if row["intrinsics"].startswith("nominal")]
        if nominal and self.points:
            console.print(f"no intrinsics for {len(nominal)} frames: points assume a horizontal field of view of 60 degrees")
        console.print(
            f"{len(report.frames)} of {report.planned} frames done ({report.resumed} before); see {self.output / REPORT}"
        )


def complete(arguments: Annotated[Complete, tyro.conf.arg(name="")]) -> None:
    """Fill what is unknown in depth images; known depth stays exactly as it is."""
    arguments.run()
