"""The figures of a run, from the results of `call` and `cluster`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ctcflow import keys, numbers
from ctcflow.files import io
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
    adata: AnnData, call: AnnData, found: Mapping[str, Any], copies: copy_number.Judged
) -> dict[str, bytes]:
    """Draw all figures; returns files by path below the folder of the report."""
    coordinates = coordinates_of(adata)
    reason = numbers.text(io.record(adata, keys.CLUSTERING, Clustering).get("reason")) or "no map"
    panels = {name: title for name, title in _PANELS.items() if name in adata.obs}
    if keys.BATCH.key in panels:
        panels.pop("batch", None)
    draws = answer.draws_of(found.get("draws") or [], found.get("samples") or [])
    observed = (found.get("calibration") or {}).get("observed") or []
    with marks.drawing():
        umap = atlas.umap(adata.obs, coordinates, panels, reason)
        records = found.get("qc") or []
        qc = quality(records, _samples(adata, found))
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
    found = adata.obsm.get(keys.X_UMAP.key)
    if found is None:
        return None
    return np.asarray(found, dtype=np.float64)[:, :2]


def _samples(adata: AnnData, found: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of samples in the order of `call`, then any that only the cohort has."""
    named = [numbers.text(record.get("sample")) for record in found.get("samples") or []]
    seen = adata.obs.get(keys.SAMPLE.key, [])
    return tuple(dict.fromkeys([*named, *sorted({str(name) for name in seen})]))


def evidence_of(obs: pd.DataFrame) -> pd.DataFrame:
    """Columns `class`, `p_identity`, `p_panel`, one row per cell; NaN where missing in `call`."""
    wanted = (keys.CLASS.key, keys.P_IDENTITY.key, keys.P_PANEL.key)
    return pd.DataFrame({name: obs.get(name, np.nan) for name in wanted}, index=obs.index)


def counts_of_draws(draws: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Columns `name`, `count`, `count_low`, `count_high`, one row per draw."""
    rows = [
        {
            "name": " ".join(
                part
                for part in (numbers.text(draw.get("patient")), numbers.text(draw.get("draw")))
                if part
            )
            or ", ".join(draw["names"]),
            **{key: numbers.number_or_none(draw.get(key)) for key in _COUNTED},
        }
        for draw in draws
    ]
    return pd.DataFrame(rows, columns=["name", *_COUNTED]).astype(dict.fromkeys(_COUNTED, float))


def _metrics(integration: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    found = []
    for metrics in ("mixing", "conservation"):
        sides = integration.get(metrics) or {}
        before, after = sides.get("before") or {}, sides.get("after") or {}
        for name in dict.fromkeys([*before, *after]):
            found.append((str(name).replace("_", " "), _value(before, name), _value(after, name)))
    apart = integration.get("separability")
    if apart:
        shares = (_value(apart, "before"), _value(apart, "after"))
        found.append(("neighbours of CTCs that are CTCs", *shares))
    return found


def _value(found: Mapping[str, Any], name: str) -> float:
    value = numbers.number_or_none(found.get(name))
    return np.nan if value is None else value
