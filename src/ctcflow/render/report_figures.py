"""The figures of a run, from the results of `call` and `cluster`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys, numbers
from ctcflow.files import io
from ctcflow.records.call import Call
from ctcflow.records.cluster import Clustering
from ctcflow.records.integrate import Integrate
from ctcflow.render import copy_number, marks
from ctcflow.render.figures import atlas, barcodes, heat_map
from ctcflow.render.figures import plots as figures
from ctcflow.render.figures.quality import quality
from ctcflow.render.page import answer

if TYPE_CHECKING:
    from anndata import AnnData

_PANELS: Final = {
    keys.CLASS.key: "By class",
    keys.SAMPLE.key: "By sample",
    keys.CELL_TYPE.key: "By cell type",
    keys.BATCH.key: "By batch",
    "batch": "By batch",
}
_COUNTED: Final = ("count", "count_low", "count_high")


def drawings(
    adata: AnnData, call: AnnData, facts: Call, copies: copy_number.Judged
) -> dict[str, bytes]:
    """Draw all figures; returns files by path below the folder of the report."""
    coordinates = coordinates_of(adata)
    reason = numbers.text(io.record(adata, keys.CLUSTERING, Clustering).get("reason")) or "no map"
    panels = {name: title for name, title in _PANELS.items() if name in adata.obs}
    if keys.BATCH.key in panels:
        panels.pop("batch", None)
    draws = answer.draws_of(facts.get("draws") or [], facts.get("samples") or [])
    observed = (facts.get("calibration") or {}).get("observed") or []
    with marks.drawing():
        umap = atlas.umap(adata.obs, coordinates, panels, reason)
        records = facts.get("qc") or []
        qc = quality(records, _samples(adata, facts))
        calls = figures.evidence(evidence_of(call.obs), counts_of_draws(draws))
        mixing = figures.mixing(_metrics(io.record(adata, keys.INTEGRATE, Integrate)))
        calibration = figures.calibration(observed, "no null cells to calibrate on")
        droplets = barcodes.droplets(records)
        copied = heat_map.heat_map(copies)
        drawn = {
            "umap": umap,
            "qc": qc,
            "calls": calls,
            "mixing": mixing,
            "calibration": calibration,
            "droplets": droplets,
            "copy_number": copied,
        }
        files = {f"figures/{name}.png": marks.written(f, "png") for name, f in drawn.items()}
        return files | {"figures/umap.svg": marks.written(umap, "svg")}


def coordinates_of(adata: AnnData) -> npt.NDArray[np.float64] | None:
    """UMAP coordinates, (n_cells, 2); None if there are none."""
    coordinates = adata.obsm.get(keys.X_UMAP.key)
    if coordinates is None:
        return None
    return np.asarray(coordinates, dtype=np.float64)[:, :2]


def _samples(adata: AnnData, facts: Call) -> tuple[str, ...]:
    """Names of samples in the order of `call`, then any that only the cohort has."""
    named = [numbers.text(record.get("sample")) for record in facts.get("samples") or []]
    seen = adata.obs.get(keys.SAMPLE.key, [])
    return tuple(dict.fromkeys([*named, *sorted({str(name) for name in seen})]))


def evidence_of(obs: pd.DataFrame) -> pd.DataFrame:
    """Columns `class`, `p_identity`, `p_panel`, one row per cell; NaN where missing in `call`."""
    wanted = (keys.CLASS.key, keys.P_IDENTITY.key, keys.P_PANEL.key)
    return pd.DataFrame({name: obs.get(name, np.nan) for name in wanted}, index=obs.index)


def counts_of_draws(draws: Sequence[answer.ShownDraw]) -> pd.DataFrame:
    """Columns `name`, `count`, `count_low`, `count_high`, one row per draw."""
    rows = [
        {
            "name": " ".join(
                part
                for part in (numbers.text(draw.get("patient")), numbers.text(draw.get("draw")))
                if part
            )
            or ", ".join(draw["names"]),
            "count": numbers.number_or_none(draw.get("count")),
            "count_low": numbers.number_or_none(draw.get("count_low")),
            "count_high": numbers.number_or_none(draw.get("count_high")),
        }
        for draw in draws
    ]
    return pd.DataFrame(rows, columns=["name", *_COUNTED]).astype(dict.fromkeys(_COUNTED, float))


def _metrics(integration: Integrate) -> list[tuple[str, float, float]]:
    """Names of metrics, and their values before and after the correction."""
    metrics: list[tuple[str, float, float]] = []
    for sides in (integration.get("mixing"), integration.get("conservation")):
        if not sides:
            continue
        before: Mapping[str, float] = sides.get("before") or {}
        after: Mapping[str, float] = sides.get("after") or {}
        for name in dict.fromkeys([*before, *after]):
            values = _value(before.get(name)), _value(after.get(name))
            metrics.append((str(name).replace("_", " "), *values))
    apart = integration.get("separability")
    if apart:
        shares = _value(apart.get("before")), _value(apart.get("after"))
        metrics.append(("neighbours of CTCs that are CTCs", *shares))
    return metrics


def _value(recorded: float | None) -> float:
    value = numbers.number_or_none(recorded)
    return np.nan if value is None else value
