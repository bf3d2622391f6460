"""Conservation of biology by a batch correction: labels, and separation of rare cells."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.intp]
Matrix = npt.NDArray[np.float64]

_ELEMENTS: Final = 16_000_000


def scaled_clisi(lisi: npt.NDArray[np.float64], *, n_labels: int) -> float:
    """Mean cLISI on scib's scale: (n - cLISI) / (n - 1).

    Luecken 2022, doi:10.1038/s41592-021-01336-8, but with the mean over cells instead of the
    median, so that rare labels matter.

    Parameters
    ----------
    lisi : (n,)
        Result of `mixing.inverse_simpson` for the cells' labels.
    n_labels
        Number of labels, 2 or more.

    Returns
    -------
    float
        1 where all neighbours have one label, 0 where all labels are equally near.
    """
    return float((n_labels - lisi.mean()) / (n_labels - 1))


def graph_connectivity(neighbors: Codes, labels: Codes) -> float:
    """Share of each label's cells in its largest connected component, mean over labels.

    Luecken 2022, doi:10.1038/s41592-021-01336-8: 1 if the cells of each label are connected. Two
    cells are connected if either is a neighbour of the other.

    Parameters
    ----------
    neighbors : (n, k)
        Nearest neighbours of each cell.
    labels : (n,)
        Label of each cell, codes from 0.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    n, k = neighbors.shape
    cells = np.repeat(np.arange(n), k)
    other = neighbors.ravel()
    inside = labels[cells] == labels[other]
    ties = (np.ones(int(inside.sum()), dtype=np.int8), (cells[inside], other[inside]))
    parts = connected_components(sparse.csr_matrix(ties, shape=(n, n)), directed=False)[1]
    largest = np.zeros(int(labels.max()) + 1)
    sizes = np.bincount(parts)
    np.maximum.at(largest, labels, sizes[parts])
    in_label = np.bincount(labels)
    return float((largest[in_label > 0] / in_label[in_label > 0]).mean())


def neighbor_purity(
    points: Matrix, *, members: npt.NDArray[np.bool_], rows: Codes, k: int
) -> float:
    """Share of the k nearest neighbours of some cells that are members, over all cells.

    Exact, and independent of the number of threads; only neighbours of `rows` are computed.

    Parameters
    ----------
    points : (n, d)
        Finite.
    members : (n,)
        Cells that count as members.
    rows : (m,)
        Cells whose neighbours are examined, 1 or more.
    k
        Number of neighbours, without the cell itself; 1 to n - 1.

    Returns
    -------
    float
        Mean over `rows`.
    """
    from threadpoolctl import threadpool_limits

    centred = points - points.mean(axis=0)
    norms = np.einsum("ij,ij->i", centred, centred)
    step = max(1, _ELEMENTS // points.shape[0])
    n_members = 0
    with threadpool_limits(limits=1, user_api="blas"):
        for start in range(0, rows.size, step):
            block = rows[start : start + step]
            squared = norms - 2.0 * (centred[block] @ centred.T)
            squared[np.arange(block.size), block] = np.inf
            nearest = np.argpartition(squared, k - 1, axis=1)[:, :k]
            n_members += int(members[nearest].sum())
    return n_members / (rows.size * k)
