"""Reports of depth inpainting as tables for the terminal and for documents, beside figures as papers print them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from scene_depth.evaluation.depth_protocols import check_protocol
from scene_depth.evaluation.depth_published import PRIORDA_NOTES, PRIORDA_SETS, PRIORDA_SOURCE, PUBLISHED, priorda_columns
from scene_depth.evaluation.depth_report import DepthReport, MaskSummary, Summary
from scene_depth.evaluation.priorda import PRIORDA


@dataclass(frozen=True)
class Measure:
    """A column of a table: a measure with its unit.

    Attributes:
        title: Heading.
        name: Field of ``DepthErrors``.
        factor: From the field's unit to the table's.
        digits: Decimals.
        statistic: Which summary over frames.
    """

    title: str
    name: str
    factor: float = 1.0
    digits: int = 2
    statistic: str = "mean"

    def show(self, summary: Summary | None) -> str:
        """The number as text, "-" if there is none."""
        return _number(None if summary is None else getattr(summary, self.statistic), self.digits, self.factor)


ABS_REL = Measure("AbsRel % GM", "abs_rel", 100.0, 2, "geometric_mean")
ABS_REL_MEAN = Measure("AbsRel %", "abs_rel", 100.0)
DELTA1 = Measure("δ1 %", "delta1", 100.0, 1)
RMSE = Measure("RMSE m", "rmse", 1.0, 3)
MAE = Measure("MAE m", "mae", 1.0, 3)
RMSE_MM = Measure("RMSE mm", "rmse", 1000.0, 1)
MAE_MM = Measure("MAE mm", "mae", 1000.0, 1)
IRMSE = Measure("iRMSE 1/km", "irmse")
IMAE = Measure("iMAE 1/km", "imae")
CLASSES_SHOWN = 40
"""Classes in the table, those of the most frames; the JSON has all."""
METRIC = (ABS_REL, ABS_REL_MEAN, DELTA1, RMSE, MAE)
KITTI = (RMSE_MM, MAE_MM, IRMSE, IMAE, ABS_REL_MEAN, DELTA1)


def report_tables(report: DepthReport) -> RenderableType:
    """Everything that a reader wants first: errors by mask and inpainter, cost, seams, uncertainty, classes, published ones."""
    if report.protocol == "priorda":
        published = (part for name in _published_sets(report) for part in ("", priorda_table(name)))
        return Group(setting_table(report), *published, *PRIORDA_NOTES, "")
    is_metric = not check_protocol(report.protocol).millimetres
    tables = [
        comparison_table(report, ABS_REL if is_metric else RMSE_MM) if len(report.inpainters) > 1 else None,
        detail_table(report, METRIC if is_metric else KITTI),
        _overview(report),
        class_table(report, (ABS_REL_MEAN, RMSE if is_metric else RMSE_MM)),
        published_table(report.protocol),
    ]
    return Group(*(part for table in tables if table is not None for part in (table, "")))


def describe_report(report: DepthReport) -> str:
    """What came out, in one sentence."""
    errors = {item.inpainter: item.geometric_mean_abs_rel for item in report.inpainters}
    measured = sorted((error, name) for name, error in errors.items() if error is not None)
    if not measured:
        return "No inpainter gave a result that could be measured."
    (error, best), *others = measured
    means = f"geometric mean over {len({item.mask for item in report.summaries})} masks and their frames"
    if not others:
        return f"{best} is off by {100 * error:.2g} % of the true depth ({means})."
    beside = ", ".join(f"{name} {100 * worse:.2g} %" for worse, name in others)
    return f"{best} is the best, off by {100 * error:.2g} % of the true depth; {beside} ({means})."


def text_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> Table:
    """A narrow table; columns without a value are left out.

    Args:
        title: Line above it.
        headings: One a column.
        rows: Cells, "-" or "" where there is no value.
        texts: How many of the first columns are text: they stand to the left and are never left out.
    """
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, show_edge=False)
    kept = [i for i in range(len(headings)) if i < texts or any(row[i] not in ("", "-") for row in rows)]
    for i in kept:
        table.add_column(headings[i], justify="left" if i < texts else "right")
    for row in rows:
        table.add_row(*(row[i] for i in kept))
    return table


def comparison_table(report: DepthReport, measure: Measure) -> Table:
    """One error, masks down and inpainters across, the smallest of each row in bold."""
    names, rows = [item.inpainter for item in report.inpainters], []
    for mask in dict.fromkeys(item.mask for item in report.summaries):
        summaries = [report.summary(mask, name) for name in names]
        cells = [measure.show(_headline(report, item).get(measure.name)) for item in summaries]
        numbers = {float(cell): cell for cell in cells if cell != "-"}
        best = numbers[min(numbers)] if len(numbers) > 1 else None
        marked = [f"[bold]{cell}[/bold]" if cell == best else cell for cell in cells]
        rows.append([mask, *marked, str(max(item.frames for item in summaries if item is not None))])
    return text_table(f"{report.protocol}: {measure.title}", ["mask", *names, "frames"], rows)


def detail_table(report: DepthReport, measures: Sequence[Measure]) -> Table:
    """All measures, one line for each mask and inpainter."""
    seconds, memory, share = Measure("s", "", 1.0, 2, "median"), Measure("MB", "", 1.0, 0, "median"), Measure("", "", 100.0, 1)
    headings = ["mask", "inpainter", *(measure.title for measure in measures), "seam %", "edge F1 %", "s", "MB", "frames"]
    counts = {item.frames for item in report.summaries if not item.failures}
    is_even = len(counts) == 1 and not any(item.failures for item in report.summaries)
    rows, previous = [], ""
    for item in report.summaries:
        rows.append(
            [
                item.mask if item.mask != previous else "",
                item.inpainter,
                *(measure.show(_headline(report, item)[measure.name]) for measure in measures),
                ABS_REL_MEAN.show(item.seam["abs_rel"]),
                share.show(item.boundaries["f1"]),
                seconds.show(item.seconds),
                memory.show(item.peak_memory_mb),
                "-" if is_even else f"{item.frames}" + (f" ({item.failures} failed)" if item.failures else ""),
            ]
        )
        previous = item.mask
    region = "all pixels with truth" if check_protocol(report.protocol).region == "all" else "hidden pixels"
    over = f"{counts.pop()} frames, " if is_even else ""
    return text_table(f"Errors over {region} ({over}GM: geometric mean over frames)", headings, rows, texts=2)


def setting_table(report: DepthReport) -> Table:
    """What was measured, one line for each setting and inpainter, with 95 % intervals of the mean; 80 columns wide."""
    headings = ["setting", "inpainter", "known %", "AbsRel %", "95 %", "δ1 %", "RMSE m", "s", "MB", "frames"]
    share, seconds, memory = (Measure("", "", *form) for form in ((100.0, 2), (1.0, 2, "median"), (1.0, 0, "median")))
    rows, previous = [], ""
    for item in report.summaries:
        error = _headline(report, item)["abs_rel"]
        interval = "" if error.mean_interval is None else "-".join(f"{100 * bound:.1f}" for bound in error.mean_interval)
        measures = [
            ABS_REL_MEAN.show(error),
            interval,
            *(part.show(_headline(report, item)[part.name]) for part in (DELTA1, RMSE)),
        ]
        cost = [seconds.show(item.seconds), memory.show(item.peak_memory_mb)]
        counts = f"{item.frames}" + (f" ({item.failures} failed)" if item.failures else "")
        setting = item.mask.removeprefix(PRIORDA)
        named = setting if setting != previous else ""
        rows.append([named, item.inpainter, share.show(item.known_share), *measures, *cost, counts])
        previous = setting
    return text_table("Measured here: errors over hidden pixels, means over frames", headings, rows, texts=2)


def priorda_table(dataset: str) -> Table:
    """AbsRel in percent as published for a data set, settings down and methods across."""
    methods, columns = priorda_columns(dataset)
    rows = [[setting, *(f"{value:.2f}" for value in values)] for setting, values in columns.items()]
    table = text_table(f"Published, not measured here: AbsRel % on {dataset}", ["setting", *methods], rows)
    table.caption, table.caption_justify = PRIORDA_SOURCE, "left"
    return table


def _published_sets(report: DepthReport) -> list[str]:
    """The data sets with published figures that the frames belong to, or the first."""
    ours = {row.dataset.split(",")[0].split(" ")[0] for row in report.rows}
    return [name for name in PRIORDA_SETS if name in ours] or [PRIORDA_SETS[0]]


def class_table(report: DepthReport, measures: Sequence[Measure]) -> Table | None:
    """Measures by semantic class, means over all masks and the frames that show the class; None if no frame has classes."""
    names = [item.inpainter for item in report.inpainters]
    columns = [(name, measure) for name in names for measure in measures]
    kinds = sorted({kind for item in report.summaries for kind in item.classes})
    if not kinds:
        return None
    headings = [measure.title if len(names) == 1 else f"{name}: {measure.title}" for name, measure in columns]
    means = {kind: [_over_masks(report, name, kind, measure.name) for name, measure in columns] for kind in kinds}
    cases = {kind: max(summary.frames for summary in means[kind]) for kind in kinds}
    shown = sorted(kinds, key=lambda kind: -cases[kind])[:CLASSES_SHOWN]
    rows = [
        [kind, *(measure.show(mean) for (_, measure), mean in zip(columns, means[kind], strict=True)), str(cases[kind])]
        for kind in shown
    ]
    table = text_table("Hidden pixels by class, means over frames and masks", ["class", *headings, "cases"], rows)
    if len(shown) < len(kinds):
        table.caption = f"{len(kinds) - len(shown)} rarer classes are in the report as JSON"
    return table


def published_table(protocol: str) -> Table | None:
    """Figures that papers print for the protocol, on other frames; None if there are none."""
    figures = PUBLISHED.get(protocol, ())
    columns = list(dict.fromkeys(column for row in figures for column in row.values))
    rows = [[row.method, *(_published_cell(row.values.get(column, {})) for column in columns), row.source] for row in figures]
    if not rows:
        return None
    table = text_table("Published (other frames and conditions)", ["method", *columns, "source"], rows)
    table.columns[-1].justify = "left"
    return table


def _published_cell(values: Mapping[str, float]) -> str:
    shown: dict[str, Callable[[float], str]] = {
        "abs_rel": lambda value: f"{100 * value:.1f} %",
        "delta1": lambda value: f"d1 {100 * value:.1f}",
        "rmse": lambda value: f"RMSE {value:.3f} m",
        "mae": lambda value: f"MAE {value:.3f} m",
        "irmse": lambda value: f"iRMSE {value:.2f}",
        "imae": lambda value: f"iMAE {value:.2f}",
    }
    return ", ".join(shown[name](value) for name, value in values.items()) or "-"


def _overview(report: DepthReport) -> Table | None:
    headings = ["inpainter", "AbsRel % GM over masks", "masks", "uncertainty: Spearman", "error ratio of thirds", "failures"]
    rows = [
        [
            item.inpainter,
            _number(item.geometric_mean_abs_rel, 2, 100.0),
            str(item.masks),
            _number(item.spearman, 2),
            _number(item.ratio_of_thirds, 1),
            str(item.failures or "-"),
        ]
        for item in report.inpainters
    ]
    return text_table("Over all masks", headings, rows) if rows else None


def _over_masks(report: DepthReport, inpainter: str, kind: str, measure: str) -> Summary:
    """Mean of a class over all frames and masks together."""
    parts = [item.classes[kind][measure] for item in report.summaries if item.inpainter == inpainter and kind in item.classes]
    total, cases = sum((part.mean or 0.0) * part.frames for part in parts), sum(part.frames for part in parts)
    return Summary(cases, total / cases if cases else None)


def _headline(report: DepthReport, item: MaskSummary | None) -> dict[str, Summary]:
    return {} if item is None else item.headline(check_protocol(report.protocol))


def _number(value: float | None, digits: int, factor: float = 1.0) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"
