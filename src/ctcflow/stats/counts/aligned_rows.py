"""Align sparse matrices of several samples to one set of genes, and stack their rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse


def on_genes(
    matrix: sparse.csr_matrix, *, places: npt.NDArray[np.intp], n_genes: int
) -> sparse.csr_matrix:
    """Move the columns of a matrix to their positions in another list of genes.

    Parameters
    ----------
    matrix : (n_cells, n_own)
    places : (n_own,)
        New index of each column; -1 for a column that is dropped.
    n_genes
        Number of genes.

    Returns
    -------
    (n_cells, n_genes) CSR float32, indices sorted
    """
    kept = np.flatnonzero(places >= 0)
    whole = kept.size == places.size
    kept_columns = matrix if whole else matrix[:, kept]
    target = places.astype(np.int32)[kept][kept_columns.indices]
    found = sparse.csr_matrix(
        (kept_columns.data.astype(np.float32), target, kept_columns.indptr),
        shape=(matrix.shape[0], n_genes),
    )
    found.sort_indices()
    return found


def stack(blocks: list[sparse.csr_matrix], *, n_genes: int) -> sparse.csr_matrix:
    """Stack matrices vertically, and free each as soon as it is copied.

    A million cells take 2 GB; `scipy.sparse.vstack` would need twice as much.

    Parameters
    ----------
    blocks : each (n_cells, n_genes) float32
        The list is emptied.

    Returns
    -------
    (all cells, n_genes)
    """
    stored = sum(block.nnz for block in blocks)
    lengths = [np.diff(block.indptr).astype(np.int64) for block in blocks]
    index = np.int32 if stored < np.iinfo(np.int32).max else np.int64
    data, indices = np.empty(stored, dtype=np.float32), np.empty(stored, dtype=index)
    at = 0
    blocks.reverse()
    while blocks:
        block = blocks.pop()
        data[at : at + block.nnz] = block.data
        indices[at : at + block.nnz] = block.indices
        at += block.nnz
    pointers = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *lengths]))])
    return sparse.csr_matrix(
        (data, indices, pointers.astype(index)), shape=(pointers.size - 1, n_genes)
    )
