"""Communities of a weighted graph, and how well two partitions agree."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
from scipy import sparse

Codes = npt.NDArray[np.intp]


def leiden(graph: sparse.csr_matrix, *, resolution: float, seed: int) -> Codes:
    """Leiden communities by modularity (Traag 2019, doi:10.1038/s41598-019-41695-z).

    Runs until nothing changes any more.

    Parameters
    ----------
    graph : (n, n)
        Symmetric, positive weights, no diagonal.
    resolution
        Larger values give more communities.
    seed
        Seed of the random numbers.

    Returns
    -------
    (n,)
        Community, 0 for the largest; ties by the first member.
    """
    import igraph

    n = graph.shape[0]
    if n == 0:
        return np.zeros(0, dtype=np.intp)
    upper = sparse.triu(graph, k=1, format="coo")
    edges = np.column_stack([upper.row, upper.col])
    network = igraph.Graph(n=n, edges=edges, directed=False)
    igraph.set_random_number_generator(random.Random(seed))
    try:
        found = network.community_leiden(
            objective_function="modularity",
            weights=upper.data.astype(np.float64),
            resolution=resolution,
            n_iterations=-1,
        ).membership
    finally:
        igraph.set_random_number_generator(random)
    return by_size(np.asarray(found, dtype=np.intp))


def by_size(codes: Codes) -> Codes:
    """Renumber groups from the largest to the smallest; ties by the first member.

    Parameters
    ----------
    codes : (n,)
        Any whole numbers.

    Returns
    -------
    (n,)
        0 for the largest.
    """
    _, first, groups, sizes = np.unique(
        codes, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -sizes))
    rank = np.empty(order.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    return np.asarray(rank[groups.reshape(-1)])


def agreement(first: Codes, second: Codes) -> float:
    """Compute the adjusted Rand index (Hubert 1985, doi:10.1007/BF01908075).

    Parameters
    ----------
    first, second : (n,)
        Group of each element, from 0.

    Returns
    -------
    float
        1 for equal partitions, about 0 by chance; NaN below two elements.
    """
    n = first.size
    if n < 2:
        return float("nan")
    table = sparse.coo_matrix((np.ones(n), (first, second))).tocsr()
    pairs = float((table.data * (table.data - 1)).sum() / 2)
    rows = np.bincount(first).astype(np.float64)
    columns = np.bincount(second).astype(np.float64)
    in_first = float((rows * (rows - 1)).sum() / 2)
    in_second = float((columns * (columns - 1)).sum() / 2)
    expected = in_first * in_second / (n * (n - 1) / 2)
    largest = (in_first + in_second) / 2
    return 1.0 if largest == expected else (pairs - expected) / (largest - expected)
