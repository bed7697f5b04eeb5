"""Reports of depth inpainting as tables for the terminal and for documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table

from scene_depth.evaluation.depth_protocols import check_protocol
from scene_depth.evaluation.depth_published import PUBLISHED
from scene_depth.evaluation.depth_report import DepthReport, MaskSummary
from scene_depth.evaluation.summaries import Summary


@dataclass(frozen=True)
class Measure:
    """A column of a table: a measure with its unit.

    Attributes:
        title: Heading.
        name: Field of ``DepthErrors``.
        factor: From the field's unit to the table's.
        digits: Decimals.
        statistic: Which summary over frames.
        higher_is_better: For marking the best.
    """

    title: str
    name: str
    factor: float = 1.0
    digits: int = 2
    statistic: str = "mean"
    higher_is_better: bool = False

    def show(self, summary: Summary | None) -> str:
        """The number as text, "-" if there is none."""
        value = None if summary is None else getattr(summary, self.statistic)
        return "-" if value is None else f"{self.factor * value:.{self.digits}f}"


ABS_REL = Measure("AbsRel %, geometric mean", "abs_rel", 100.0, 2, "geometric_mean")
ABS_REL_MEAN = Measure("AbsRel %", "abs_rel", 100.0)
DELTA1 = Measure("d1 %", "delta1", 100.0, 1, higher_is_better=True)
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
    protocol = check_protocol(report.protocol)
    measures = KITTI if protocol.millimetres else METRIC
    tables: list[RenderableType] = []
    if len(report.inpainters) > 1:
        tables.append(comparison_table(report, RMSE_MM if protocol.millimetres else ABS_REL))
    tables.append(detail_table(report, measures))
    overview = _overview(report)
    if overview.row_count:
        tables.append(overview)
    classes = class_table(report, (ABS_REL_MEAN, RMSE_MM if protocol.millimetres else RMSE))
    if classes.row_count:
        tables.append(classes)
    published = published_table(report.protocol)
    return Group(*tables, *([published] if published is not None else []))


def comparison_table(report: DepthReport, measure: Measure) -> Table:
    """One measure, masks down and inpainters across, the best of each row in bold."""
    names = [item.inpainter for item in report.inpainters]
    table = Table("mask", *names, "frames", title=f"{report.protocol}: {measure.title}", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for mask in dict.fromkeys(item.mask for item in report.summaries):
        summaries = [report.summary(mask, name) for name in names]
        cells = [measure.show(_headline(report, item).get(measure.name)) for item in summaries]
        best = _best(cells, measure)
        marked = [f"[bold]{cell}[/bold]" if cell == best else cell for cell in cells]
        table.add_row(mask, *marked, str(max(item.frames for item in summaries if item is not None)))
    return table


def detail_table(report: DepthReport, measures: Sequence[Measure]) -> Table:
    """All measures, one line for each mask and inpainter."""
    columns: list[tuple[str, Callable[[MaskSummary], str]]] = [
        (measure.title, lambda item, measure=measure: measure.show(_headline(report, item)[measure.name]))  # type: ignore[misc]
        for measure in measures
    ]
    columns += [
        ("seam AbsRel %", lambda item: ABS_REL_MEAN.show(item.seam["abs_rel"])),
        ("edge F1 %", lambda item: Measure("", "", 100.0, 1).show(item.boundaries["f1"])),
        ("s", lambda item: Measure("", "", 1.0, 2, "median").show(item.seconds)),
        ("MB", lambda item: Measure("", "", 1.0, 0, "median").show(item.peak_memory_mb)),
        ("frames", lambda item: f"{item.frames}" + (f" ({item.failures} failed)" if item.failures else "")),
    ]
    region = "all pixels with truth" if check_protocol(report.protocol).region == "all" else "hidden pixels"
    table = Table("mask", "inpainter", *(title for title, _ in columns), title=f"Errors over {region}", title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    previous = ""
    for item in report.summaries:
        table.add_row(item.mask if item.mask != previous else "", item.inpainter, *(show(item) for _, show in columns))
        previous = item.mask
    return table


def class_table(report: DepthReport, measures: Sequence[Measure]) -> Table:
    """Measures by semantic class, means over all masks and the frames that show the class; no rows if no frame has classes."""
    names = [item.inpainter for item in report.inpainters]
    columns = [(name, measure) for name in names for measure in measures]
    headings = [measure.title if len(names) == 1 else f"{name}: {measure.title}" for name, measure in columns]
    table = Table("class", *headings, "cases", title="Hidden pixels by class, means over frames and masks", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    kinds = sorted({kind for item in report.summaries for kind in item.classes})
    means = {kind: [_over_masks(report, name, kind, measure.name) for name, measure in columns] for kind in kinds}
    cases = {kind: max(summary.frames for summary in means[kind]) for kind in kinds}
    shown = sorted(kinds, key=lambda kind: -cases[kind])[:CLASSES_SHOWN]
    for kind in shown:
        cells = [measure.show(summary) for (_, measure), summary in zip(columns, means[kind], strict=True)]
        table.add_row(kind, *cells, str(cases[kind]))
    if len(shown) < len(kinds):
        table.caption = f"{len(kinds) - len(shown)} rarer classes are in the report as JSON"
    return table


def published_table(protocol: str) -> Table | None:
    """Figures that papers print for the protocol, on other frames; None if there are none."""
    figures = PUBLISHED.get(protocol)
    if not figures:
        return None
    columns = list(dict.fromkeys(column for row in figures for column in row.values))
    title = "Published (other frames and conditions)"
    table = Table("method", *columns, "source", title=title, title_justify="left")
    for row in figures:
        table.add_row(row.method, *(_published_cell(row.values.get(column, {})) for column in columns), row.source)
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


def _overview(report: DepthReport) -> Table:
    table = Table(
        "inpainter",
        "AbsRel %, geometric mean over masks",
        "masks",
        "uncertainty: Spearman",
        "error ratio of thirds",
        "failures",
        title="Over all masks",
        title_justify="left",
    )
    for item in report.inpainters:
        mean, spearman, ratio = item.geometric_mean_abs_rel, item.spearman, item.ratio_of_thirds
        table.add_row(
            item.inpainter,
            "-" if mean is None else f"{100 * mean:.2f}",
            str(item.masks),
            "-" if spearman is None else f"{spearman:.2f}",
            "-" if ratio is None else f"{ratio:.1f}",
            str(item.failures),
        )
    return table


def _over_masks(report: DepthReport, inpainter: str, kind: str, measure: str) -> Summary:
    """Mean of a class over all frames and masks together."""
    parts = [item.classes[kind][measure] for item in report.summaries if item.inpainter == inpainter and kind in item.classes]
    total, cases = sum((part.mean or 0.0) * part.frames for part in parts), sum(part.frames for part in parts)
    return Summary(cases, total / cases if cases else None)


def _headline(report: DepthReport, item: MaskSummary | None) -> dict[str, Summary]:
    return {} if item is None else item.headline(check_protocol(report.protocol))


def _best(cells: Sequence[str], measure: Measure) -> str | None:
    numbers = {float(cell): cell for cell in cells if cell != "-"}
    if len(numbers) < 2:
        return None
    return numbers[max(numbers) if measure.higher_is_better else min(numbers)]
