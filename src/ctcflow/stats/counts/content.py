"""Order and seeds of cells from their counts, so that no random draw depends on names or places."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

_SEED: Final = 0
_MIXES: Final = np.uint64(0x9E3779B97F4A7C15)


def content_order(
    counts: sparse.csr_matrix, *, names: npt.NDArray[np.object_] | None
) -> npt.NDArray[np.int64]:
    """An order of the cells that depends neither on their order in the file nor on their names.

    Genes without a count do not matter either.

    Parameters
    ----------
    counts : (n_cells, n_genes)
        Whole numbers, canonical CSR.
    names : (n_genes,)
        Symbols, so that neither the order of the genes nor other cells matter. None where the genes
        are in an order that does not depend on the file: they are numbered among those with counts.

    Returns
    -------
    (n_cells,)
        Indices, sorted by a hash of the counts: effectively random with respect to cell types.
    """
    # Sums of integers modulo 2**64 are exact, so the order of terms does not matter.
    if names is None:
        shown = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]))
        weights = np.zeros(counts.shape[1], dtype=np.uint64)
        drawn = np.random.default_rng(_SEED).integers(1, 2**63, shown.size, dtype=np.uint64)
        weights[shown] = drawn
    else:
        weights = pd.util.hash_array(names.astype(object), categorize=False)
    terms = np.zeros(counts.nnz + 1, np.uint64)
    np.multiply(weights[counts.indices], counts.data.astype(np.uint64), out=terms[1:])
    sums = np.cumsum(terms, out=terms)
    hashes = sums[counts.indptr[1:]] - sums[counts.indptr[:-1]]
    # The last multiplication mixes the low bits upwards: small cells would come first otherwise.
    return np.argsort(hashes * _MIXES, kind="stable")


def content_seeds(counts: sparse.csr_matrix) -> npt.NDArray[np.int64]:
    """Two whole numbers per cell, for a seed that depends on the counts of this cell alone.

    Parameters
    ----------
    counts : (n_cells, n_genes)
        Whole numbers, not negative, canonical CSR; genes in an order that does not depend on the
        file.

    Returns
    -------
    (n_cells, 2)
        The sum of the counts; and the sum of the counts times their rank among those of the cell,
        genes in order, so that genes without a count do not matter. Cells of other genes may have
        the same numbers.
    """
    starts = counts.indptr[:-1].astype(np.int64)
    ranks = np.arange(1, counts.nnz + 1) - np.repeat(starts, np.diff(counts.indptr))
    values = counts.data.astype(np.int64)
    upto = np.zeros((counts.nnz + 1, 2), dtype=np.int64)
    np.cumsum(np.column_stack([values, values * ranks]), axis=0, out=upto[1:])
    # sums beyond 64 bits are cut, as they may be; a seed must not be negative
    return np.asarray(np.abs(upto[counts.indptr[1:]] - upto[starts]))
