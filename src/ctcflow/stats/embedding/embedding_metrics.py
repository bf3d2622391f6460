"""Metrics of an embedding: mixing of batches and conservation of labels."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ctcflow.stats.clusters.neighbors import nearest
from ctcflow.stats.embedding import conservation, mixing

Codes = npt.NDArray[np.intp]

NEIGHBORS: Final = 91
"""Number of neighbours, the cell itself included: three times the perplexity of 30 of Korsunsky
2019, and one (cells)."""
_TIED: Final = 15  # neighbours of the graph, itself included, as in `cluster`
_ALPHA: Final = 0.05


class Metrics(NamedTuple):
    """Values by name of the metric."""

    mixing: dict[str, float]
    """`iLISI` (0 one batch, 1 all equally), `batch_entropy`, `acceptance`:
    see `stats.embedding.mixing`."""
    conservation: dict[str, float]
    """`cLISI` and `graph_connectivity` (1 kept): see
    `stats.embedding.conservation`; empty below 2 labels."""


def measure(
    points: npt.NDArray[np.float64], *, batches: Codes, labels: Codes, n_threads: int
) -> Metrics:
    """Measure how well batches are mixed and labels conserved.

    Parameters
    ----------
    points : (n, d)
        Finite.
    batches, labels : (n,)
        Codes from 0, each code used; 2 batches or more.
    n_threads
        Threads of the search for neighbours; does not change results.
    """
    indices, distances = nearest(points, k=NEIGHBORS, n_threads=n_threads)
    others, distances = indices[:, 1:], distances[:, 1:]
    weights = mixing.kernel_weights(distances, perplexity=distances.shape[1] / 3)
    shares = np.bincount(batches) / batches.size
    near = batches[others]
    seen = mixing.inverse_simpson(weights, near, n_labels=shares.size)
    mixed = {
        "iLISI": float((seen.mean() - 1) / (shares.size - 1)),
        "batch_entropy": float(mixing.batch_entropy(near, shares=shares).mean()),
        "acceptance": float(mixing.acceptance(near, shares=shares, alpha=_ALPHA).mean()),
    }
    n_labels = int(labels.max()) + 1
    if n_labels < 2:
        return Metrics(mixed, {})
    seen = mixing.inverse_simpson(weights, labels[others], n_labels=n_labels)
    kept = {
        "cLISI": conservation.scaled_clisi(seen, n_labels=n_labels),
        "graph_connectivity": conservation.graph_connectivity(others[:, : _TIED - 1], labels),
    }
    return Metrics(mixed, kept)
