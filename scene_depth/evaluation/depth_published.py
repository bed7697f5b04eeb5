"""Figures as papers print them, by protocol. Nothing here was measured by this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scene_depth.evaluation.priorda import SETTINGS


@dataclass(frozen=True)
class PublishedFigures:
    """One row of a published table.

    Attributes:
        method: Method and data set.
        source: Where it is printed.
        values: Measures by column (a mask of the protocol, or a data set), in the units of ``DepthErrors``: AbsRel and deltas as
            shares, RMSE and MAE in metres, iRMSE and iMAE in 1/km.
    """

    method: str
    source: str
    values: Mapping[str, Mapping[str, float]]


def _published(method: str, source: str, names: str, columns: Mapping[str, tuple[float, ...]]) -> PublishedFigures:
    """Figures by column in the order of ``names``, ratios in percent."""
    divisors = {"abs_rel": 100, "delta1": 100}
    values = {
        column: {name: value / divisors.get(name, 1) for name, value in zip(names.split(), row, strict=False)}
        for column, row in columns.items()
    }
    return PublishedFigures(method, source, values)


def _table1(method: str, *pairs: tuple[float, float]) -> PublishedFigures:
    sets = dict(zip(("NYUv2", "KITTI", "ETH3D", "ScanNet", "DIODE"), pairs, strict=True))
    return _published(method, f"{DEPTHLAB}, table 1", "abs_rel delta1", sets)


def _table3(method: str, *pairs: tuple[float, ...]) -> PublishedFigures:
    shares = dict(zip(("2 %", "5 %", "10 %", "30 %", "50 %"), pairs, strict=True))
    return _published(method, f"{DEPTHLAB}, table 3", "abs_rel delta1", shares)


DEPTHLAB, QUOTED = "DepthLab, arXiv 2412.18153", "as quoted by papers on completion"
VIOLA, BY_VIOLA = "Viola et al. 2025, zero-shot", "as measured by Viola et al. 2025"
ON_NYU, KITTI_TEST = "trained on NYUv2", "rmse mae irmse imae"
PUBLISHED: Mapping[str, tuple[PublishedFigures, ...]] = MappingProxyType(
    {
        "depthlab-masks": (
            _table1("DepthLab", (2.5, 98.8), (7.2, 95.3), (3.1, 97.9), (2.3, 98.5), (17.6, 85.6)),
            _table1("Depth Anything V2", (4.4, 98.0), (7.5, 94.8), (13.1, 86.6), (4.1, 98.2), (27.3, 76.4)),
            _table1("Marigold", (5.6, 96.4), (9.8, 91.7), (6.6, 95.9), (6.3, 95.4), (30.9, 77.2)),
        ),
        "depthlab-known-share": (
            _table3("DepthLab, NYUv2", (3.3, 98.2), (3.0, 98.3), (2.8, 98.4), (2.5, 98.8), (2.2, 98.8)),
            _table3("DepthLab, ETH3D", (3.1,), (2.9,), (2.7,), (2.3,), (2.0,)),
        ),
        "nyu500": (
            _published("bilateral", QUOTED, "rmse abs_rel", {"NYUv2": (0.479, 8.4)}),
            _published("TGV", QUOTED, "rmse abs_rel", {"NYUv2": (0.635, 12.3)}),
            _published("CSPN", f"Cheng et al. 2018, {ON_NYU}", "rmse abs_rel", {"NYUv2": (0.117, 1.6)}),
            _published(
                "Lu et al., no image", "Lu et al. 2020, trained on NYUv2", "rmse abs_rel delta1", {"NYUv2": (0.125, 3, 99.1)}
            ),
            _published("OMNI-DC v1.1", "its readme, zero-shot", "rmse abs_rel", {"NYUv2": (0.112, 1.4)}),
            _published("Marigold-DC, 10 members", VIOLA, "rmse mae", {"NYUv2": (0.124, 0.048)}),
            _published("DepthLab", f"{DEPTHLAB}, zero-shot", "rmse", {"NYUv2": (0.104,)}),
            _published("DepthLab", BY_VIOLA, "rmse mae", {"NYUv2": (0.276, 0.184)}),
        ),
        "kitti": (
            _published("Lu et al., l2 loss", "Lu et al. 2020, KITTI test", KITTI_TEST, {"KITTI": (0.90143, 0.29236, 4.92, 1.35)}),
            _published("SparseConvs", "Uhrig et al. 2017, KITTI test", KITTI_TEST, {"KITTI": (1.60133, 0.48127, 4.94, 1.78)}),
            _published("Marigold-DC, 10 members", VIOLA, "rmse mae", {"KITTI": (1.465, 0.434)}),
            _published("DepthLab", BY_VIOLA, "rmse mae", {"KITTI": (2.171, 0.921)}),
        ),
    }
)
"""By protocol. The published NYUv2 and KITTI figures are over their whole test or selected validation sets."""

PRIORDA_SOURCE = "source: tables in the repository of Prior Depth Anything v1.1 (DAv2-B + ViT-B)"
PRIORDA_NOTES = (
    "Any2Full prints no such rows: 32.2 % less AbsRel than OMNI-DC on average, its own settings (arXiv 2603.05711).",
    "DepthFM prints one figure of completion: RMSE 0.077 m on NYUv2, 2 % known, fine-tuned there (arXiv 2403.13788).",
)
_PRIORDA = """
NYUv2 | PriorDA v1.1 | 19.00 1.97 5.14 2.18 1.77 1.88 1.66 2.77 1.94 2.83 3.05
NYUv2 | Marigold-DC | 19.83 2.37 6.18 2.65 1.90 2.13 1.83 3.32 2.26 3.38 3.82
NYUv2 | OMNI-DC | 23.24 5.94 13.79 2.87 2.12 2.63 1.57 3.11 2.86 3.26 3.81
NYUv2 | DepthLab | 23.85 2.66 10.87 5.92 4.30 6.30 2.60 3.73 6.33 3.96 5.80
ScanNet | PriorDA v1.1 | 15.55 1.72 5.50 3.59 1.79 1.94 1.48 2.48 1.96 2.51 2.81
ScanNet | Marigold-DC | 17.14 1.97 6.66 4.32 1.76 2.12 1.63 2.83 2.19 2.87 3.37
ScanNet | OMNI-DC | 22.89 5.44 8.71 6.09 2.02 2.71 1.29 2.65 2.88 2.76 3.64
ScanNet | DepthLab | 21.17 2.08 10.40 9.87 3.56 5.09 1.89 3.19 5.16 3.38 5.24
ETH3D | PriorDA v1.1 | 22.84 1.59 4.78 2.90 1.60 1.40 1.98 3.81 1.45 3.84 3.97
ETH3D | Marigold-DC | 25.36 2.15 7.72 4.65 2.27 2.03 2.33 4.75 2.15 4.77 5.13
ETH3D | OMNI-DC | 29.47 4.81 17.97 2.57 1.88 1.98 1.86 4.09 2.09 4.17 4.59
ETH3D | DepthLab | 30.61 2.75 10.53 13.82 6.40 8.01 2.60 4.50 7.87 4.70 7.45
DIODE | PriorDA v1.1 | 36.11 5.79 9.54 4.79 3.56 3.48 2.99 4.22 3.56 4.28 4.58
DIODE | Marigold-DC | 39.33 7.59 18.97 8.41 5.12 4.77 4.28 6.60 4.98 6.73 7.25
DIODE | OMNI-DC | 38.83 7.75 25.43 4.99 3.96 4.13 2.81 4.71 4.23 4.80 5.40
DIODE | DepthLab | 41.01 6.51 17.17 16.67 7.45 8.66 4.42 6.16 8.83 6.40 8.62
KITTI | PriorDA v1.1 | 30.45 5.66 6.29 3.29 4.39 3.61 4.45 8.25 3.76 8.39 8.59
KITTI | Marigold-DC | 33.44 9.21 7.72 6.19 6.88 5.62 5.17 9.47 5.82 9.67 10.05
KITTI | OMNI-DC | 35.42 8.94 15.06 3.34 5.27 4.17 4.05 8.35 4.36 8.63 9.02
KITTI | DepthLab | 40.43 13.60 18.66 25.91 37.17 40.29 17.17 22.90 39.29 23.12 30.96
"""
"""Data set, method, AbsRel in percent over its whole test set, in the order of the settings without ``noise``."""

PRIORDA_SETS = tuple(dict.fromkeys(line.split(" | ")[0] for line in _PRIORDA.strip().splitlines()))


def priorda_columns(dataset: str) -> tuple[list[str], dict[str, list[float]]]:
    """Methods, and by setting what they are published with on a data set, AbsRel in percent."""
    lines = [line.split(" | ") for line in _PRIORDA.strip().splitlines()]
    chosen = [(method, values.split()) for name, method, values in lines if name == dataset]
    settings = [name for name in SETTINGS if name != "noise"]
    by_setting = {setting: [float(values[place]) for _, values in chosen] for place, setting in enumerate(settings)}
    return [method for method, _ in chosen], by_setting
