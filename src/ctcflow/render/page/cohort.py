"""Sections on the whole cohort: UMAP, batches and clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
from markupsafe import Markup

from ctcflow import numbers
from ctcflow.render.page.environment import fill
from ctcflow.render.page.sections import framed
from ctcflow.render.page.table import Column, table

_MARKERS: Final = 8


def maps(figure: bytes, explorer: Markup) -> Markup:
    """Write the UMAPs of the cohort: the static figures and the interactive one."""
    return fill("sections/map", picture=figure, explorer=explorer)


def mixing(found: Mapping[str, Any], figure: bytes) -> Markup:
    """Write batch mixing before and after integration, from the record of `integrate`.

    It is followed by the separation of tumour cells, batches that were not corrected, and
    properties that are confounded with batch.
    """
    chance = numbers.short(found.get("iLISI_of_random"))
    batches = {} if found.get("reason") else found.get("batches") or {}
    reasons = {name: row.get("reason") for name, row in batches.items()}
    return fill(
        "sections/mixing",
        picture=figure,
        method=numbers.text(found.get("method")),
        of_random="" if chance == numbers.MISSING else chance,
        apart=_apart(found.get("separability")),
        left=[f"{name}: {why}" for name, why in reasons.items() if why],
        confounded=[numbers.text(row.get("words")) for row in found.get("confounding") or []],
    )


def _apart(found: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Share of the neighbours of CTCs that are CTCs, formatted."""
    if not found:
        return None
    counts = {name: numbers.count(found.get(name)) for name in ("neighbors", "cells")}
    return counts | {side: numbers.short(found.get(side)) for side in ("before", "after")}


def clusters(
    obs: pd.DataFrame, markers: pd.DataFrame, found: Mapping[str, Any], resolutions: pd.DataFrame
) -> Markup:
    """Write clusters with their cells, classes and markers, from the result of `cluster`."""
    columns = (
        Column("Cluster"),
        Column("Cell type"),
        Column("Second best type"),
        Column("Margin", "number"),
        Column("Cells", "count"),
        Column("Of this type", "count"),
        Column("Samples", "count"),
        Column("CTCs and aggregates", "count"),
        Column("Markers, best first"),
    )
    named = {numbers.text(row.get("cluster")): row for row in found.get("cell_types") or []}
    return fill(
        "sections/clusters",
        clusters=table(
            "Clusters, largest first. A small margin to the second best type means that "
            "the name is a guess. Where types share markers (naive and memory T cells), a cell "
            "takes the one whose markers are strongest around it.",
            columns,
            _cluster_rows(obs, markers, named),
            search=True,
            empty="There are none.",
        ),
        resolutions=framed(
            f"Resolutions that were computed; {numbers.text(found.get('resolution')) or 'none'} is "
            "the one that names clusters. Stability: mean adjusted Rand index of five subsamples "
            "of 80 % of the cells against all of them, 1 at best, with its standard deviation. "
            "Noise is one cloud of points without groups and of the same covariance: Leiden finds "
            "clusters there too, and a stability that is no better than its own proves no group."
            f"{_on_sketch(found)}",
            resolutions,
            empty="None is recorded.",
        ),
    )


def _on_sketch(found: Mapping[str, Any]) -> str:
    sketch = found.get("sketch") or {}
    cells, of = (numbers.number_or_none(sketch.get(key)) for key in ("cells", "of"))
    if cells is None or of is None or cells >= of:
        return ""
    return (
        f" Clusters, map and the AUC of markers were made on {cells:,.0f} of {of:,.0f} cells; the "
        "others follow their nearest cells there."
    )


def _cluster_rows(
    obs: pd.DataFrame, markers: pd.DataFrame, named: Mapping[str, Mapping[str, Any]]
) -> list[list[Any]]:
    if "cluster" not in obs or obs.empty:
        return []
    clusters = obs["cluster"].astype(object).map(numbers.text)
    genes = markers.assign(cluster=markers["cluster"].map(numbers.text))
    rows = []
    for name, cells in obs.groupby(clusters.to_numpy(dtype=object), observed=True):
        best = genes.loc[genes["cluster"] == name, "gene"].head(_MARKERS)
        called = cells["class"].isin(["CTC", "CTC aggregate"]).sum() if "class" in cells else None
        kind, n_of_kind = _commonest(cells)
        rows.append(
            [
                str(name),
                kind,
                numbers.text(named.get(str(name), {}).get("second")),
                named.get(str(name), {}).get("margin"),
                len(cells),
                n_of_kind,
                cells["sample"].nunique() if "sample" in cells else None,
                called,
                ", ".join(best.map(numbers.text)) or "none",
            ]
        )
    return sorted(rows, key=lambda row: (-row[4], row[0]))


def _commonest(cells: pd.DataFrame) -> tuple[str, int]:
    """The most frequent type of these cells, and how many have it."""
    if "cell_type" not in cells:
        return "", 0
    counts = cells["cell_type"].astype(object).map(numbers.text).value_counts()
    if counts.empty:
        return "", 0
    most = int(counts.max())
    return str(sorted(counts[counts == most].index)[0]), most
