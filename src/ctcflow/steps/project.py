"""Map one sample onto a frozen reference: coordinates, labels with confidence, novelty."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ctcflow import bundle, keys
from ctcflow.bundle import Reference
from ctcflow.errors import CtcflowError
from ctcflow.params import ProjectParams
from ctcflow.stats import novelty, symphony
from ctcflow.stats.annotation import Scores, border_types
from ctcflow.stats.components import Components
from ctcflow.stats.components import project as on_components
from ctcflow.stats.mapped_scores import mapped_scores
from ctcflow.stats.threads import blas_threads
from ctcflow.stats.transfer import Placed, averages, place, votes

if TYPE_CHECKING:
    from anndata import AnnData

NOT_IN_REFERENCE: Final = "not in the reference"
"""Cell type of cells whose novelty is above 1."""
MIN_CELLS: Final = 20
"""Below this number of leukocytes nothing is fitted (cells)."""
_FEWEST_GENES: Final = 0.8
_LISTED: Final = 50

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.object_]


def project(adata: AnnData, reference: Reference, *, params: ProjectParams) -> AnnData:
    """Place the cells of one sample in a frozen reference (Symphony, see `stats.symphony`).

    The correction is fitted on the null leukocytes of `score`, since the classes of `call` are a
    cohort's; all other cells are moved by the mean correction of these.

    Parameters
    ----------
    adata
        Kept cells of one sample: X (n_cells, n_genes) log-normalised CSR with the slots of `qc`,
        `normalize` and `score`.
    reference
        What `freeze` left.
    params
        None: the reference says all.

    Returns
    -------
    AnnData
        obsm `X_pca`, `X_integrated` (n_cells, d), `X_umap` (n_cells, 2), float32; obs `cluster` by
        vote of the nearest reference cells, weighted by one over their distance; `cell_type` by
        vote, and among the types that have markers by those around the cell, as in `cluster`;
        `cell_type_confidence`, the share of the vote; `novelty`; uns `project` (JSON).

    Raises
    ------
    CtcflowError
        The sample lacks more than a fifth of the reference's genes, or is on another scale.
    """
    record = json.loads(str(adata.uns[keys.CTCFLOW.key]))
    target = record["steps"]["normalize"]["params"]["target_umis"]
    bundle.check_scale(reference.manifest, target)
    by_gene = _by_gene(adata)
    values, missing = _values(by_gene, adata.var_names, reference.genes)
    if _too_few(missing, reference.genes):
        raise CtcflowError(
            f"sample `{record['sample']['sample']}` lacks {len(missing)} of the"
            f" {reference.genes.size} genes of the reference (such as {', '.join(missing[:3])}),"
            f" and {_FEWEST_GENES:.0%} are needed: give counts of all genes, or a reference of such"
            " samples"
        )
    centre = Components(reference.means, reference.loadings, np.zeros(0), 0.0)
    points = on_components(values, centre)
    moved, reason = _moved(points.astype(np.float64), adata.obs, reference)
    # what is searched is what is written
    moved = moved.astype(np.float32).astype(np.float64)
    placed = place(
        values,
        moved,
        embedding=reference.embedding,
        groups=reference.group,
        group_means=reference.group_means,
        batches=np.zeros(adata.n_obs, dtype=np.intp),
        fitted=adata.obs[keys.IS_LEUKOCYTE.key].to_numpy(np.bool_),
        k=reference.manifest["n_neighbors"],
        n_threads=blas_threads(),
    )
    score = _novelty(placed, adata.obs, reference)
    adata.obsm[keys.X_PCA.key] = points
    adata.obsm[keys.X_INTEGRATED.key] = moved.astype(np.float32)
    where = averages(placed.indices, placed.shares, values=reference.umap)
    adata.obsm[keys.X_UMAP.key] = where.astype(np.float32)
    markers, lacking = _values(by_gene, adata.var_names, reference.marker_genes)
    by_markers = not _too_few(lacking, reference.marker_genes)
    around = _scores_around(markers, moved, placed, reference) if by_markers else None
    _label(adata, placed, reference, score, around)
    adata.uns[keys.PROJECT.key] = json.dumps(
        {
            "reference": {key: reference.manifest[key] for key in ("ctcflow", "cells", "samples")},
            "method": "none" if reason else reference.manifest["method"],
            "reason": reason,
            "genes": int(reference.genes.size),
            "missing_genes": len(missing),
            "missing": missing[:_LISTED],
            "missing_markers": len(lacking),
            "types_by": "markers" if by_markers else "votes",
            "novel": int((score > 1).sum()),
            "novelty_reason": ""
            if reference.manifest["limits"]["distance"]
            else "the reference has too few leukocytes for a limit",
        },
        sort_keys=True,
    )
    return adata


def _by_gene(adata: AnnData) -> sparse.csc_matrix:
    """Values by gene; a column of zeros after the last one stands in for genes that lack."""
    empty = sparse.csr_matrix((adata.n_obs, 1), dtype=np.float32)
    return sparse.hstack([sparse.csr_matrix(adata.X), empty]).tocsc()


def _values(
    by_gene: sparse.csc_matrix, names: pd.Index, genes: npt.NDArray[np.str_]
) -> tuple[sparse.csr_matrix, list[str]]:
    """Values of some genes, zero where the sample lacks one, and those that it lacks."""
    places = names.get_indexer(pd.Index(genes.astype(object)))
    missing = [str(name) for name in genes[places < 0]]
    values = by_gene[:, np.where(places >= 0, places, names.size)].tocsr()
    values.sort_indices()
    return values, missing


def _too_few(missing: list[str], genes: npt.NDArray[np.str_]) -> bool:
    return genes.size - len(missing) < _FEWEST_GENES * genes.size


def _moved(points: Matrix, obs: pd.DataFrame, reference: Reference) -> tuple[Matrix, str]:
    """Corrected points, and why they are not corrected."""
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


def _novelty(placed: Placed, obs: pd.DataFrame, reference: Reference) -> npt.NDArray[np.float64]:
    """The larger of both measures on the scale of their limits; NaN without limits."""
    limits = reference.manifest["limits"]
    if not limits["distance"]:
        return np.full(len(obs), np.nan)
    umis = obs[keys.TOTAL_COUNTS.key].to_numpy(np.float64)
    found = [
        novelty.excess(seen, umis=umis, limit=novelty.Limit(**limits[name]))
        for name, seen in (
            ("distance", placed.distances.mean(axis=1)),
            ("unexpected", placed.unexpected),
        )
    ]
    return np.maximum(*found)


def _scores_around(
    markers: sparse.csr_matrix, moved: Matrix, placed: Placed, reference: Reference
) -> Scores:
    return mapped_scores(
        np.asarray(markers @ reference.marker_loadings.astype(np.float32)),
        moved,
        placed=placed,
        of_reference=reference.type_scores,
        k=reference.manifest["n_neighbors"],
        n_threads=blas_threads(),
    )


def _label(
    adata: AnnData,
    placed: Placed,
    reference: Reference,
    score: npt.NDArray[np.float64],
    around: Scores | None,
) -> None:
    """Add the labels; without scores around the cells, types are those of the vote."""
    clusters, _ = _voted(placed, reference.cluster, reference.manifest["clusters"])
    adata.obs[keys.CLUSTER.key] = pd.Categorical(clusters)
    names = reference.manifest["cell_types"]
    label, share = _voted(placed, reference.cell_type, names)
    if around is not None:
        label = _bordered(label, np.array(reference.manifest["scored_types"], object), around)
    place_of = pd.Index(names, dtype=object).get_indexer(label)
    confidence = np.where(place_of < 0, 0.0, share[np.arange(label.size), place_of])
    new = score > 1
    label[new], confidence[new] = NOT_IN_REFERENCE, np.nan
    adata.obs[keys.CELL_TYPE.key] = pd.Categorical(label)
    adata.obs[keys.CONFIDENCE.key] = confidence
    adata.obs[keys.NOVELTY.key] = score


def _voted(placed: Placed, codes: npt.NDArray[np.int32], names: list[str]) -> tuple[Labels, Matrix]:
    """Commonest label of the nearest cells of the reference, and the shares of all."""
    share = votes(placed.indices, placed.shares, codes=codes, n_codes=len(names))
    return np.array(names, dtype=object)[share.argmax(axis=1)], share


def _bordered(voted: Labels, scored: Labels, around: Scores) -> Labels:
    """Draw the borders between types as `cluster` does; a vote for no scored type stays."""
    types = border_types(pd.Index(scored).get_indexer(voted), around)
    label = voted.copy()
    label[types >= 0] = scored[types[types >= 0]]
    return label
