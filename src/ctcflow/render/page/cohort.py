"""Sections on the whole cohort: UMAP, batches and clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd
from markupsafe import Markup

from ctcflow import numbers
from ctcflow.records.cluster import Clustering, ClusterType, Sketch
from ctcflow.records.integrate import Integrate, Separability
from ctcflow.render.page.environment import fill
from ctcflow.render.page.sections import framed
from ctcflow.render.page.table import Column, Content, table

_MARKERS: Final = 8


def maps(figure: bytes, explorer: Markup) -> Markup:
    """Write the UMAPs of the cohort: the static figures and the interactive one."""
    return fill("sections/map", picture=figure, explorer=explorer)


def mixing(record: Integrate, figure: bytes) -> Markup:
    """Write batch mixing before and after integration, from the record of `integrate`.

    It is followed by the separation of tumour cells, batches that were not corrected, and
    properties that are confounded with batch.
    """
    chance = numbers.short(record.get("iLISI_of_random"))
    reason: str | None = record.get("reason")
    batches = {} if reason else record.get("batches") or {}
    reasons = {name: numbers.text(batch.get("reason")) for name, batch in batches.items()}
    return fill(
        "sections/mixing",
        picture=figure,
        method=numbers.text(record.get("method")),
        of_random="" if chance == numbers.MISSING else chance,
        apart=_apart(record.get("separability")),
        left=[f"{name}: {why}" for name, why in reasons.items() if why],
        confounded=[numbers.text(row.get("words")) for row in record.get("confounding") or []],
    )


def _apart(separability: Separability | None) -> dict[str, str] | None:
    """Share of the neighbours of CTCs that are CTCs, formatted."""
    if not separability:
        return None
    return {
        "neighbors": numbers.count(separability.get("neighbors")),
        "cells": numbers.count(separability.get("cells")),
        "before": numbers.short(separability.get("before")),
        "after": numbers.short(separability.get("after")),
    }


def clusters(
    obs: pd.DataFrame, markers: pd.DataFrame, clustering: Clustering, resolutions: pd.DataFrame
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
    resolution = numbers.text(clustering.get("resolution")) or "none"
    named = {numbers.text(row.get("cluster")): row for row in clustering.get("cell_types") or []}
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
            f"Resolutions that were computed; {resolution} is "
            "the one that names clusters. Stability: mean adjusted Rand index of five subsamples "
            "of 80 % of the cells against all of them, 1 at best, with its standard deviation. "
            "Noise is one cloud of points without groups and of the same covariance: Leiden finds "
            "clusters there too, and a stability that is no better than its own proves no group."
            f"{_on_sketch(clustering)}",
            resolutions,
            empty="None is recorded.",
        ),
    )


def _on_sketch(clustering: Clustering) -> str:
    sketch: Sketch | None = clustering.get("sketch")
    if not sketch:
        return ""
    sizes = sketch.get("cells"), sketch.get("of")
    cells, of = (numbers.number_or_none(size) for size in sizes)
    if cells is None or of is None or cells >= of:
        return ""
    return (
        f" Clusters, map and the AUC of markers were made on {cells:,.0f} of {of:,.0f} cells; the "
        "others follow their nearest cells there."
    )


def _cluster_rows(
    obs: pd.DataFrame, markers: pd.DataFrame, named: Mapping[str, ClusterType]
) -> list[list[Content]]:
    if "cluster" not in obs or obs.empty:
        return []
    clusters = obs["cluster"].astype(object).map(numbers.text)
    genes = markers.assign(cluster=markers["cluster"].map(numbers.text))
    rows: list[tuple[int, str, list[Content]]] = []
    for name, cells in obs.groupby(clusters.to_numpy(dtype=object), observed=True):
        best = genes.loc[genes["cluster"] == name, "gene"].head(_MARKERS)
        called = cells["class"].isin(["CTC", "CTC aggregate"]).sum() if "class" in cells else None
        kind, n_of_kind = _commonest(cells)
        described = named.get(str(name))
        row: list[Content] = [
            str(name),
            kind,
            numbers.text(described.get("second")) if described else "",
            described.get("margin") if described else None,
            len(cells),
            n_of_kind,
            cells["sample"].nunique() if "sample" in cells else None,
            called,
            ", ".join(best.map(numbers.text)) or "none",
        ]
        rows.append((len(cells), str(name), row))
    return [row for _, _, row in sorted(rows, key=lambda cluster: (-cluster[0], cluster[1]))]


def _commonest(cells: pd.DataFrame) -> tuple[str, int]:
    """The most frequent type of these cells, and how many have it."""
    if "cell_type" not in cells:
        return "", 0
    counts = cells["cell_type"].astype(object).map(numbers.text).value_counts()
    if counts.empty:
        return "", 0
    most = int(counts.max())
    return str(sorted(counts[counts == most].index)[0]), most
