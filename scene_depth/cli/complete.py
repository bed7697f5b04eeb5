"""``scene-depth complete``: fills the gaps of depth images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from scene_depth.cli.progress import end_if_stopped, print_json, report_console, say_first, watch_progress
from scene_depth.depth.completion import CompletionSettings, complete_frames, make_completer
from scene_depth.depth.completion_files import FrameFiles, find_frame_files, find_scan_files
from scene_depth.depth.completion_report import REPORT, CompletionReport, process_share
from scene_depth.errors import InputError
from scene_depth.io.depth_units import describe_unit
from scene_depth.io.output_folder import claim_folder
from scene_depth.options import with_options

NO_PICTURE = "-"
MUCH = 4.0  # megapixels from which the time is said beforehand
SECONDS_PER_MEGAPIXEL = 5.0  # of one core, by the solver, files included; from benchmarks.scale
NAMES = ("depth", "measured", "preview", "uncertainty", "points", "frames", REPORT)


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
    calibration: Path | None = None
    """KITTI calibration that places the camera beside the scanner: an object or odometry file, a folder with one a scan, or
    the folder of calib_cam_to_cam.txt and calib_velo_to_cam.txt. Completed depth is then KITTI's 16-bit PNG."""
    settings: Annotated[CompletionSettings, tyro.conf.arg(name="how it is completed")] = CompletionSettings()  # noqa: RUF009
    """The inpainter, and what the files mean."""
    inpainter_options: tuple[str, ...] = ()
    """Parameters of the inpainter as KEY=VALUE, such as weights=FOLDER num_inference_steps=20 for depthlab."""
    fresh: bool = False
    """Compute everything anew, also what the output folder already holds."""
    overwrite: bool = False
    """Replace files in the output folder that something else wrote; never those that are read."""
    json: bool = False
    """Print the report as JSON."""

    def run(self) -> CompletionReport:
        """Runs the command.

        Raises:
            InputError: For bad input, before anything is computed; or at the end, if frames of a folder failed.
        """
        settings = replace(self.settings, inpainter=with_options(self.settings.inpainter, self.inpainter_options))
        prior_files = None if settings.prior is None else Path(settings.prior)
        if prior_files is not None and prior_files.exists():
            settings = replace(settings, prior=None)
        else:
            prior_files = None
        frames = self._find_frames(prior_files)
        read = (self.rgb, self.depth, self.mask, self.calibration, prior_files)
        inputs = [path for path in read if path is not None and str(path) != NO_PICTURE]
        claim_folder(self.output, "complete", NAMES, inputs=inputs, overwrite=self.overwrite)
        rank, _ = process_share()  # before models are loaded, each process on its device
        completer = make_completer(settings, frames)
        if rank == 0 and len(frames) > 1:
            say_first(f"{len(frames)} frames to complete, by {settings.inpainter}")
        megapixels = sum(frame.size[0] * frame.size[1] for frame in frames) / 1e6
        if rank == 0 and megapixels >= MUCH and settings.inpainter.startswith("solver"):
            seconds = SECONDS_PER_MEGAPIXEL * megapixels
            time = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
            say_first(f"{megapixels:.0f} megapixels take about {time} of one core")
        with watch_progress() as on_progress:
            report = complete_frames(frames, completer, self.output, fresh=self.fresh, on_progress=on_progress)
        if rank == 0:
            self._show(report)
        end_if_stopped(report)
        if report.failed:
            name, reason = next(iter(report.failed.items()))
            raise InputError(
                f"{len(report.failed)} of {report.planned} frames", f"{name}: {reason}", "frames that can be completed"
            )
        return report

    def _find_frames(self, prior_files: Path | None) -> list[FrameFiles]:
        rgb = None if str(self.rgb) == NO_PICTURE else self.rgb
        if self.calibration is None:
            return find_frame_files(rgb, self.depth, self.mask, prior_files, self.settings.format)
        excluded = {
            "mask": self.mask is not None,
            "prior": prior_files is not None,
            "format": self.settings.format is not None,
            "kind": self.settings.kind != "z",
            "K": self.settings.intrinsics is not None,
        }
        for option, is_given in excluded.items():
            if is_given:
                raise InputError(option, f"given beside {self.calibration}", "scans with a calibration have none of their own")
        return find_scan_files(rgb, self.depth, self.calibration, self.settings.scan_camera)

    def _show(self, report: CompletionReport) -> None:
        if self.json:
            print_json(report)
            return
        console = report_console()
        for frame in report.frames:
            low, high = frame.depth_range
            line = f"{frame.name}: {100 * frame.known_share:.1f} % known, completed from {low:.4g} to {high:.4g}"
            if frame.seam is not None:
                jump, beside = frame.seam.depth_jump, frame.seam.depth_jump_beside
                line += f", step at the seam {100 * jump:.2f} % (beside it {100 * beside:.2f} %)"
            console.print(line)
            for note in frame.details["notes"]:
                console.print(f"  {note}")
            if frame.beyond_format:
                console.print(f"  {frame.beyond_format} filled pixels were cut off at the largest depth of the file format")
        for name, reason in report.failed.items():
            console.print(f"{name} failed: {reason}", style="red")
        for unit, source in dict.fromkeys((frame.unit, frame.unit_source) for frame in report.frames):
            console.print(f"a stored 1 of depth is {describe_unit(unit)} m, {source}")
        nominal = sum(frame.intrinsics.startswith("nominal") for frame in report.frames)
        if nominal and self.settings.points:
            console.print(f"no intrinsics for {nominal} frames: points assume a horizontal field of view of 60 degrees")
        console.print(
            f"{len(report.frames)} of {report.planned} frames done ({report.resumed} before); see {self.output / REPORT}"
        )


def complete(arguments: Annotated[Complete, tyro.conf.arg(name="")]) -> None:
    """Fill what is unknown in depth images; known depth stays exactly as it is."""
    arguments.run()
