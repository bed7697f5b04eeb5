"""Figures as papers print them, to be shown beside measured ones: other frames, other hardware, never "beaten"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


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


def _shares(abs_rel: tuple[float, ...], delta1: tuple[float, ...] | None = None) -> dict[str, dict[str, float]]:
    columns = ("2 %", "5 %", "10 %", "30 %", "50 %")
    rows = {column: {"abs_rel": value / 100} for column, value in zip(columns, abs_rel, strict=True)}
    for column, value in zip(columns, delta1 or (), strict=False):
        rows[column]["delta1"] = value / 100
    return rows


def _sets(**pairs: tuple[float, float]) -> dict[str, dict[str, float]]:
    return {name: {"abs_rel": abs_rel / 100, "delta1": delta1 / 100} for name, (abs_rel, delta1) in pairs.items()}


DEPTHLAB = "DepthLab, arXiv 2412.18153"
PUBLISHED: Mapping[str, tuple[PublishedFigures, ...]] = MappingProxyType(
    {
        "depthlab-masks": (
            PublishedFigures(
                "DepthLab",
                f"{DEPTHLAB}, table 1",
                _sets(NYUv2=(2.5, 98.8), KITTI=(7.2, 95.3), ETH3D=(3.1, 97.9), ScanNet=(2.3, 98.5), DIODE=(17.6, 85.6)),
            ),
            PublishedFigures(
                "Depth Anything V2",
                f"{DEPTHLAB}, table 1",
                _sets(NYUv2=(4.4, 98.0), KITTI=(7.5, 94.8), ETH3D=(13.1, 86.6), ScanNet=(4.1, 98.2), DIODE=(27.3, 76.4)),
            ),
            PublishedFigures(
                "Marigold",
                f"{DEPTHLAB}, table 1",
                _sets(NYUv2=(5.6, 96.4), KITTI=(9.8, 91.7), ETH3D=(6.6, 95.9), ScanNet=(6.3, 95.4), DIODE=(30.9, 77.2)),
            ),
        ),
        "depthlab-known-share": (
            PublishedFigures(
                "DepthLab, NYUv2",
                f"{DEPTHLAB}, table 3",
                _shares((3.3, 3.0, 2.8, 2.5, 2.2), (98.2, 98.3, 98.4, 98.8, 98.8)),
            ),
            PublishedFigures("DepthLab, ETH3D", f"{DEPTHLAB}, table 3", _shares((3.1, 2.9, 2.7, 2.3, 2.0))),
        ),
        "nyu500": (
            PublishedFigures("bilateral", "as quoted by papers on completion", {"NYUv2": {"rmse": 0.479, "abs_rel": 0.084}}),
            PublishedFigures("TGV", "as quoted by papers on completion", {"NYUv2": {"rmse": 0.635, "abs_rel": 0.123}}),
            PublishedFigures("CSPN", "Cheng et al. 2018, trained on NYUv2", {"NYUv2": {"rmse": 0.117, "abs_rel": 0.016}}),
            PublishedFigures(
                "Lu et al., no image",
                "Lu et al. 2020, trained on NYUv2",
                {"NYUv2": {"rmse": 0.125, "abs_rel": 0.03, "delta1": 0.991}},
            ),
            PublishedFigures("OMNI-DC v1.1", "its readme, zero-shot", {"NYUv2": {"rmse": 0.112, "abs_rel": 0.014}}),
            PublishedFigures("Marigold-DC, 10 members", "Viola et al. 2025, zero-shot", {"NYUv2": {"rmse": 0.124, "mae": 0.048}}),
            PublishedFigures("DepthLab", f"{DEPTHLAB}, zero-shot", {"NYUv2": {"rmse": 0.104}}),
            PublishedFigures("DepthLab", "as measured by Viola et al. 2025", {"NYUv2": {"rmse": 0.276, "mae": 0.184}}),
        ),
        "kitti": (
            PublishedFigures(
                "Lu et al., l2 loss",
                "Lu et al. 2020, KITTI test",
                {"KITTI": {"rmse": 0.90143, "mae": 0.29236, "irmse": 4.92, "imae": 1.35}},
            ),
            PublishedFigures(
                "SparseConvs",
                "Uhrig et al. 2017, KITTI test",
                {"KITTI": {"rmse": 1.60133, "mae": 0.48127, "irmse": 4.94, "imae": 1.78}},
            ),
            PublishedFigures("Marigold-DC, 10 members", "Viola et al. 2025, zero-shot", {"KITTI": {"rmse": 1.465, "mae": 0.434}}),
            PublishedFigures("DepthLab", "as measured by Viola et al. 2025", {"KITTI": {"rmse": 2.171, "mae": 0.921}}),
        ),
    }
)
"""By protocol. The published NYUv2 and KITTI figures are over their whole test or selected validation sets."""
