"""One picture of an evaluation of depth inpainting: error by known share, and by distance from the known rim."""

from __future__ import annotations

from importlib.util import find_spec
from os import PathLike
from pathlib import Path

from scene_depth.errors import InputError
from scene_depth.evaluation.depth_report import DepthReport
from scene_depth.evaluation.priorda import PRIORDA
from scene_depth.io.atomic import atomic_path

SUFFIXES = (".png", ".pdf", ".svg")


def check_plot(path: str | PathLike[str]) -> None:
    """Raises InputError if a plot cannot be written under that name, or matplotlib is not there."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError("plot", Path(path).name, f"a name that ends in {', '.join(SUFFIXES)}", file=path)
    if find_spec("matplotlib") is None:
        raise InputError("plot", "matplotlib is not installed", "matplotlib; try: pip install matplotlib", file=path)


def plot_report(report: DepthReport, path: str | PathLike[str]) -> None:
    """Draws AbsRel over hidden pixels, a line for each inpainter.

    On the left every mask is a point at its mean known share; on the right errors are means over all masks, by how many pixels
    lie between a hidden pixel and the nearest known one.

    Args:
        report: What was measured.
        path: New file; .png, .pdf or .svg.

    Raises:
        InputError: See ``check_plot``.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    shares, rims = figure.subplots(1, 2)
    for name in dict.fromkeys(item.inpainter for item in report.summaries):
        own = [item for item in report.summaries if item.inpainter == name]
        points = sorted(
            (100 * item.known_share.mean, 100 * item.hidden["abs_rel"].mean, item.mask.removeprefix(PRIORDA))
            for item in own
            if item.known_share.mean and item.hidden["abs_rel"].mean
        )
        shares.plot([share for share, _, _ in points], [error for _, error, _ in points], "o", label=name, markersize=4)
        if name == report.inpainters[0].inpainter:
            for share, error, mask in points:
                shares.annotate(mask, (share, error), xytext=(3, 4), textcoords="offset points", fontsize=7)
        means: dict[float, list[float]] = {}
        for item in own:
            for border, errors in item.rim.items():
                if errors["abs_rel"].mean is not None:
                    means.setdefault(float(border.split("-")[0]), []).append(errors["abs_rel"].mean)
        near = sorted(means)
        rims.plot([max(pixels, 1.0) for pixels in near], [100 * sum(means[n]) / len(means[n]) for n in near], "o-", label=name)
    labels = (shares, "known pixels, %"), (rims, "pixels from the nearest known one, lower border")
    for axes, label in labels:
        axes.set(xscale="log", yscale="log", xlabel=label, ylabel="AbsRel of hidden pixels, %")
        axes.grid(alpha=0.3, which="both")
        if axes.lines:
            axes.legend(fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130, format=Path(path).suffix.lower().removeprefix("."))
