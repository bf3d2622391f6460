"""Map one sample onto a frozen reference: coordinates, labels with confidence, novelty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import keys
from ctcflow.files import io
from ctcflow.files.bundle import Reference
from ctcflow.records.project import Project
from ctcflow.records.run import RunRecord
from ctcflow.settings.params import ProjectParams
from ctcflow.stats.clusters.annotation import Scores, border_types
from ctcflow.stats.counts.missing_genes import points_of_seen, scaled_loadings, seen_share
from ctcflow.stats.embedding import novelty, symphony
from ctcflow.stats.embedding.components import Components
from ctcflow.stats.embedding.components import project as on_components
from ctcflow.stats.embedding.label_transfer import Placed, averages, place, votes
from ctcflow.stats.embedding.mapped_scores import mapped_scores
from ctcflow.stats.threads import blas_threads

if TYPE_CHECKING:
    from anndata import AnnData

NOT_MAPPED: Final = "not mapped"
"""Cell type and cluster of the cells of a sample that cannot be mapped."""
NOT_IN_REFERENCE: Final = "not in the reference"
"""Cell type of cells whose novelty is above 1."""
MIN_CELLS: Final = 20
"""Fewest leukocytes for fitting a correction (cells)."""
FEWEST_SEEN: Final = 0.5
"""Smallest share of the components that the sample's genes must cover to be mapped (fraction)."""
_FEWEST_MARKERS: Final = 0.5
_LISTED: Final = 50

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.object_]
Points = npt.NDArray[np.float32]


def project(adata: AnnData, reference: Reference, *, params: ProjectParams) -> AnnData:
    """Map the cells of one sample onto a frozen reference.

    The method is Symphony: see `stats.embedding.symphony`.

    The correction is fitted on the null leukocytes of `score`, because the classes of `call` are
    only known for a whole cohort; all other cells are moved by the mean correction of these.

    Parameters
    ----------
    adata
        Kept cells of one sample: X (n_cells, n_genes) log-normalised CSR with the slots of `qc`,
        `normalize` and `score`.
    reference
        The bundle that `freeze` made.
    params
        There are no parameters: all are taken from the reference.

    Returns
    -------
    AnnData
        obsm `X_pca`, `X_integrated` (n_cells, d), `X_umap` (n_cells, 2), float32; obs `cluster` by
        vote of the nearest reference cells, weighted by one over their distance; `cell_type` by the
        same vote, and between types that have markers by the marker scores around the cell, as in
        `cluster`; `cell_type_confidence`, the share of the vote; `novelty`; uns `project` (JSON).

        Genes of the reference that the sample's matrix lacks are treated as unknown, not as zero:
        coordinates are estimated from the other genes, and the confidence is multiplied by the
        share of the components that these cover. If this share is below a half, or values are on
        another scale, the sample is not mapped: `cell_type` and `cluster` are `not mapped`, all
        numbers NaN, and uns says why.
    """
    by_gene = _by_gene(adata)
    values, lacks = _values(by_gene, adata.var_names, reference.genes)
    share = seen_share(reference.loadings, seen=~lacks)
    report = _report(reference, lacks, share)
    report["not_mapped"] = _why_not(adata, reference, lacks, share)
    if report["not_mapped"]:
        _leave(adata, reference)
        io.write_record(adata, keys.PROJECT, report)
        return adata
    points = _points(values, reference, lacks)
    moved, reason = _moved(points.astype(np.float64), adata.obs, reference)
    # search in float32, which is what is written
    moved = moved.astype(np.float32).astype(np.float64)
    placed = _placed(values, moved, adata.obs, reference)
    score = _novelty(placed, adata.obs, reference)
    adata.obsm[keys.X_PCA.key] = points
    adata.obsm[keys.X_INTEGRATED.key] = moved.astype(np.float32)
    where = averages(placed.indices, placed.shares, values=reference.umap)
    adata.obsm[keys.X_UMAP.key] = where.astype(np.float32)
    around = _scores_around(by_gene, adata.var_names, moved, placed, reference)
    _label(adata, placed, reference, score, around, share)
    report["method"] = "none" if reason else reference.manifest["method"]
    report["reason"] = reason
    report["missing_markers"] = around.lacking
    # types without enough markers are assigned by the vote alone
    report["types_by_markers"] = list(around.types)
    report["novel"] = int((score > 1).sum())
    io.write_record(adata, keys.PROJECT, report)
    return adata


def _report(reference: Reference, lacks: Flags, share: float) -> Project:
    missing = [str(name) for name in reference.genes[lacks]]
    made = reference.manifest
    return {
        "reference": {
            "ctcflow": made["ctcflow"],
            "cells": made["cells"],
            "samples": made["samples"],
        },
        "genes": int(reference.genes.size),
        "missing_genes": len(missing),
        "missing": missing[:_LISTED],
        "seen_share": share,
        "method": "none",
        "reason": "",
        "novel": 0,
        "novelty_reason": ""
        if reference.manifest["limits"]["distance"]
        else "the reference has too few leukocytes for a limit",
    }


def _why_not(adata: AnnData, reference: Reference, lacks: Flags, share: float) -> str:
    """Say why the sample cannot be mapped; empty where it can."""
    record = io.record(adata, keys.CTCFLOW, RunRecord)
    target = record["steps"]["normalize"]["params"]["target_umis"]
    frozen = reference.manifest["target_umis"]
    if target != frozen:
        return (
            f"normalize.target_umis is {target:g}, and {frozen:g} in the reference: give the value"
            " of the reference"
        )
    if share < FEWEST_SEEN:
        return (
            f"its matrix lacks {int(lacks.sum())} of the {lacks.size} genes of the reference; the"
            f" others hold {share:.0%} of its components, and {FEWEST_SEEN:.0%} are needed: give"
            " counts of all genes, or a reference of such samples"
        )
    return ""


def _leave(adata: AnnData, reference: Reference) -> None:
    """Write every slot with missing values."""
    n, d = adata.n_obs, reference.loadings.shape[1]
    for slot, width in ((keys.X_PCA, d), (keys.X_INTEGRATED, d), (keys.X_UMAP, 2)):
        adata.obsm[slot.key] = np.full((n, width), np.nan, dtype=np.float32)
    for slot in (keys.CLUSTER, keys.CELL_TYPE):
        adata.obs[slot.key] = pd.Categorical(np.full(n, NOT_MAPPED, dtype=object))
    for slot in (keys.CONFIDENCE, keys.NOVELTY):
        adata.obs[slot.key] = np.full(n, np.nan)


def _points(values: sparse.csr_matrix, reference: Reference, lacks: Flags) -> Points:
    if lacks.any():
        seen = ~lacks
        found = points_of_seen(
            values[:, seen], means=reference.means[seen], loadings=reference.loadings[seen]
        )
        return found.astype(np.float32)
    return on_components(values, Components(reference.means, reference.loadings, np.zeros(0), 0.0))


def _by_gene(adata: AnnData) -> sparse.csc_matrix:
    """Values by gene; an extra last column of zeros stands in for missing genes."""
    empty = sparse.csr_matrix((adata.n_obs, 1), dtype=np.float32)
    return sparse.hstack([sparse.csr_matrix(adata.X), empty]).tocsc()


def _values(
    by_gene: sparse.csc_matrix, names: pd.Index, genes: npt.NDArray[np.str_]
) -> tuple[sparse.csr_matrix, Flags]:
    """Values of some genes, zero for those that the sample lacks, and which these are."""
    places = names.get_indexer(pd.Index(genes.astype(object)))
    values = by_gene[:, np.where(places >= 0, places, names.size)].tocsr()
    values.sort_indices()
    return values, np.asarray(places < 0)


def _moved(points: Matrix, obs: pd.DataFrame, reference: Reference) -> tuple[Matrix, str]:
    """Corrected points, and the reason if they could not be corrected."""
    leukocytes = obs[keys.IS_LEUKOCYTE.key].to_numpy(np.bool_)
    if not reference.cluster_sizes.size and not reference.lineages.size:
        return points, "the reference was not corrected"
    if int(leukocytes.sum()) < MIN_CELLS:
        return points, f"{int(leukocytes.sum())} leukocytes, at least {MIN_CELLS} are needed"
    if reference.cluster_sizes.size:
        moved = symphony.mapped(
            points,
            fitted=leukocytes,
            cluster_sizes=reference.cluster_sizes,
            cluster_sums=reference.cluster_sums,
        )
        return moved, ""
    names = obs[keys.LINEAGE.key].astype(str)[leukocytes]
    shift = symphony.lineage_shift(
        points[leukocytes],
        lineages=pd.Index(reference.lineages.astype(object)).get_indexer(names),
        means=reference.lineage_means,
    )
    if np.isnan(shift).any():
        return points, "no lineage in common with the reference"
    return points - shift, ""


def _placed(
    values: sparse.csr_matrix, moved: Matrix, obs: pd.DataFrame, reference: Reference
) -> Placed:
    return place(
        values,
        moved,
        embedding=reference.embedding,
        groups=reference.group,
        group_means=reference.group_means,
        batches=np.zeros(len(obs), dtype=np.intp),
        fitted=obs[keys.IS_LEUKOCYTE.key].to_numpy(np.bool_),
        k=reference.manifest["n_neighbors"],
        n_threads=blas_threads(),
    )


def _novelty(placed: Placed, obs: pd.DataFrame, reference: Reference) -> npt.NDArray[np.float64]:
    """The larger of both measures of novelty, in units of their limits; NaN without limits."""
    limits = reference.manifest["limits"]
    distance, unexpected = limits["distance"], limits["unexpected"]
    if not distance or not unexpected:
        return np.full(len(obs), np.nan)
    umis = obs[keys.TOTAL_COUNTS.key].to_numpy(np.float64)
    found = [
        novelty.excess(seen, umis=umis, limit=novelty.Limit(**limit))
        for limit, seen in (
            (distance, placed.distances.mean(axis=1)),
            (unexpected, placed.unexpected),
        )
    ]
    return np.maximum(*found)


class _Around(NamedTuple):
    """Marker scores around the cells."""

    scores: Scores
    types: Labels
    """Scored types that have enough markers here, the columns of `scores`."""
    lacking: int
    """Number of missing marker genes."""


def _scores_around(
    by_gene: sparse.csc_matrix,
    names: pd.Index,
    moved: Matrix,
    placed: Placed,
    reference: Reference,
) -> _Around:
    markers, lacks = _values(by_gene, names, reference.marker_genes)
    loadings, usable = reference.marker_loadings, np.ones(reference.type_scores.shape[1], np.bool_)
    if lacks.any():
        loadings, usable = scaled_loadings(loadings, seen=~lacks, fewest=_FEWEST_MARKERS)
    scores = mapped_scores(
        np.asarray(markers @ loadings[:, usable].astype(np.float32)),
        moved,
        placed=placed,
        of_reference=reference.type_scores[:, usable],
        k=reference.manifest["n_neighbors"],
        n_threads=blas_threads(),
    )
    scored = np.array(reference.manifest["scored_types"], dtype=object)
    return _Around(scores, scored[usable], int(lacks.sum()))


def _label(
    adata: AnnData,
    placed: Placed,
    reference: Reference,
    score: npt.NDArray[np.float64],
    around: _Around,
    seen: float,
) -> None:
    """Add labels by the vote, with borders between types refined by markers where possible.

    `seen` is the share of the components that the sample's genes cover; the confidence is reduced
    in proportion.
    """
    clusters, _ = _voted(placed, reference.cluster, reference.manifest["clusters"])
    adata.obs[keys.CLUSTER.key] = pd.Categorical(clusters)
    names = reference.manifest["cell_types"]
    label, share = _voted(placed, reference.cell_type, names)
    label = _bordered(label, around.types, around.scores)
    place_of = pd.Index(names, dtype=object).get_indexer(label)
    confidence = np.where(place_of < 0, 0.0, share[np.arange(label.size), place_of]) * seen
    new = score > 1
    label[new], confidence[new] = NOT_IN_REFERENCE, np.nan
    adata.obs[keys.CELL_TYPE.key] = pd.Categorical(label)
    adata.obs[keys.CONFIDENCE.key] = confidence
    adata.obs[keys.NOVELTY.key] = score


def _voted(placed: Placed, codes: npt.NDArray[np.int32], names: list[str]) -> tuple[Labels, Matrix]:
    """Most frequent label among the nearest reference cells, and the shares of all labels."""
    share = votes(placed.indices, placed.shares, codes=codes, n_codes=len(names))
    return np.array(names, dtype=object)[share.argmax(axis=1)], share


def _bordered(voted: Labels, scored: Labels, around: Scores) -> Labels:
    """Refine the borders between types as `cluster` does; votes for unscored types are kept."""
    types = border_types(pd.Index(scored).get_indexer(voted), around)
    label = voted.copy()
    label[types >= 0] = scored[types[types >= 0]]
    return label
