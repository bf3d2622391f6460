"""Neighbours, clusters and UMAP of cells: exact for few cells, on a sketch (subsample) for many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ctcflow.records.cluster import Stability
from ctcflow.stats.clusters import sketch
from ctcflow.stats.clusters.communities import by_size, leiden
from ctcflow.stats.clusters.layout import umap_layout
from ctcflow.stats.clusters.neighbors import fuzzy_graph
from ctcflow.stats.clusters.search import search
from ctcflow.stats.clusters.stability import one_cloud, subsample_agreement

Codes = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]

EXACT: Final = 100_000
"""Largest number of cells for which neighbours are exact."""
PROBED: Final = 96
"""Lists that `search` probes per block of cells above `EXACT`."""
_PROBED_OF_SKETCH: Final = 40
_MOST_RARE: Final = 0.2
_STABILITY_CELLS: Final = 10_000
_NOISE_CELLS: Final = 4_000
_SUBSAMPLES: Final = 5
_SHARE: Final = 0.8
_EPOCHS: Final = 200


class Sketched(NamedTuple):
    """A sketch (subset) of the points with its graph, and how the other points relate to it."""

    chosen: Indices
    graph: sparse.csr_matrix
    others: Indices
    near: Indices
    """Nearest neighbours in the sketch of each point outside it, as indices into the sketch."""
    distances: Matrix


def neighbor_graph(
    points: Matrix, *, k: int, n_threads: int
) -> tuple[Indices, Matrix, sparse.csr_matrix]:
    """Nearest neighbours, distances and the fuzzy graph; approximate above `EXACT` points."""
    n_probed = None if len(points) <= EXACT else PROBED
    neighbours = search(points, points, k=k, n_probed=n_probed, same=True, n_threads=n_threads)
    return *neighbours, fuzzy_graph(*neighbours)


def sketched(
    points: Matrix,
    rare: Flags,
    *,
    graph: sparse.csr_matrix,
    size: int,
    k: int,
    seed: int,
    n_threads: int,
) -> Sketched:
    """Choose a sketch: a subset of the points that represents all, with a graph of its own.

    Parameters
    ----------
    points : (n, d)
    rare : (n,)
        Points that must be in the sketch, up to a fifth of it.
    graph : (n, n)
        Graph of all points; reused where the sketch holds all of them.
    size
        Number of points of the sketch.
    k, seed, n_threads
        Neighbours per point, seed of the random choice, and threads of the search.
    """
    chosen = sketch.choose(rare, size=size, most_rare=_MOST_RARE, seed=seed)
    others = np.setdiff1d(np.arange(len(points)), chosen, assume_unique=True)
    inside = points[chosen]
    if others.size:
        graph = neighbor_graph(inside, k=k, n_threads=n_threads)[2]
    near, distances = search(
        points[others],
        inside,
        k=k,
        n_probed=_PROBED_OF_SKETCH,
        same=False,
        n_threads=n_threads,
    )
    return Sketched(chosen, graph, others, near, distances)


def communities(
    part: Sketched, *, method: str, resolutions: Sequence[float], seed: int
) -> list[Codes]:
    """Leiden communities of the sketch; other points get that of most of their neighbours.

    Returns
    -------
    list of (n,)
        Per resolution the community, 0 for the largest.
    """
    found = []
    for inside in leiden(part.graph, method=method, resolutions=resolutions, seed=seed):
        codes = np.zeros(part.chosen.size + part.others.size, dtype=np.intp)
        codes[part.chosen] = inside
        if part.others.size:
            n_groups = int(inside.max()) + 1
            codes[part.others] = sketch.majority(inside[part.near], n_groups=n_groups)
        found.append(by_size(codes))
    return found


def stabilities(
    points: Matrix,
    rare: Flags,
    *,
    method: str,
    resolutions: Sequence[float],
    k: int,
    seed: int,
    n_threads: int,
) -> list[Stability]:
    """Stability of the communities under subsampling, compared with that of noise.

    Five times, 80 % of at most 10,000 points (a sketch) are clustered again with the ties among
    them. The noise is a multivariate normal sample of at most 4,000 points with the covariance of
    the points.

    Returns
    -------
    list
        Per resolution `resolution`, `stability` (mean adjusted Rand index), `stability_sd` and
        `stability_of_noise`; None where it cannot be measured.
    """
    chosen = sketch.choose(rare, size=_STABILITY_CELLS, most_rare=_MOST_RARE, seed=seed)
    seen = points[chosen]
    measured = [np.full((len(resolutions), _SUBSAMPLES), np.nan)] * 2
    if len(seen) > k and k > 1:
        noise = one_cloud(seen, n=min(len(seen), _NOISE_CELLS), seed=seed)
        measured = [
            subsample_agreement(
                neighbor_graph(cloud, k=k, n_threads=n_threads)[2],
                method=method,
                resolutions=resolutions,
                share=_SHARE,
                n_repeats=_SUBSAMPLES,
                seed=seed,
            )
            for cloud in (seen, noise)
        ]
    values = np.column_stack(
        [measured[0].mean(axis=1), measured[0].std(axis=1, ddof=1), measured[1].mean(axis=1)]
    )
    return [
        Stability(
            resolution=resolution,
            stability=_number(row[0]),
            stability_sd=_number(row[1]),
            stability_of_noise=_number(row[2]),
        )
        for resolution, row in zip(resolutions, values, strict=True)
    ]


def layout(
    part: Sketched, points: Matrix, *, min_dist: float, seed: int
) -> npt.NDArray[np.float32]:
    """UMAP of the sketch, with the other points placed among their neighbours; for display only.

    Returns
    -------
    (n, 2)
    """
    start = np.zeros((part.chosen.size, 2))
    start[:, : min(points.shape[1], 2)] = points[part.chosen, :2]
    inside = umap_layout(part.graph, start=start, min_dist=min_dist, n_epochs=_EPOCHS, seed=seed)
    found = np.zeros((len(points), 2), dtype=np.float32)
    found[part.chosen] = inside
    if part.others.size:
        places = inside.astype(np.float64)
        found[part.others] = sketch.beside(places, neighbors=part.near, distances=part.distances)
    return found


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
