"""Genes that tell groups of cells apart: difference of means, and AUC from exact ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_BLOCK: Final = 4_000_000
_MOST_GENES: Final = 65_536
_GROUP: Final = 16
_GENE: Final = 48


def group_sums(matrix: sparse.csr_matrix, *, groups: Codes, n_groups: int) -> Matrix:
    """Sum of each column over the cells of each group, in float64.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
    groups : (n_cells,)
        Group of each cell.
    n_groups
        Number of groups.

    Returns
    -------
    (n_groups, n_genes)
    """
    n_genes = matrix.shape[1]
    rows = np.repeat(groups, np.diff(matrix.indptr))
    flat = rows * n_genes + matrix.indices
    sums = np.bincount(flat, weights=matrix.data, minlength=n_groups * n_genes)
    return np.asarray(sums).reshape(n_groups, n_genes)


def group_aucs(
    parts: Sequence[sparse.csc_matrix],
    *,
    groups: Sequence[Codes],
    n_groups: int,
) -> Matrix:
    """Probability that a cell of the group exceeds a cell of the rest, ties counted half.

    The Mann-Whitney statistic over its maximum, from mid-ranks of the stored values; zeros are one
    tie below them. Gene, value and group are packed into one whole number, so that the stored
    values are sorted once for all groups, a block of genes at a time; bits of positive float32 are
    in the order of the numbers.

    Parameters
    ----------
    parts : each (n_cells, n_genes)
        Cells in several matrices of the same genes; float32, no negative values, no value stored
        twice.
    groups : each (n_cells,)
        Group of each cell of each part, below 65,536.
    n_groups
        Number of groups.

    Returns
    -------
    (n_groups, n_genes)
        NaN for a group that is empty or has all cells.
    """
    n_genes = parts[0].shape[1] if parts else 0
    size = np.zeros(n_groups)
    for codes in groups:
        size += np.bincount(codes, minlength=n_groups)
    above = np.zeros((n_groups, n_genes))
    stored = sum((np.diff(part.indptr).astype(np.int64) for part in parts), np.zeros(n_genes, int))
    for start, stop in _blocks(stored):
        key = np.concatenate(
            [_packed(part, codes, start, stop) for part, codes in zip(parts, groups, strict=True)]
        )
        key.sort()
        above[:, start:stop] = _rank_sums(key, stop - start, size)
    pairs = (size * (size.sum() - size))[:, None]
    pairs[pairs == 0] = np.nan
    return np.asarray((above - (size * (size + 1) / 2)[:, None]) / pairs)


def _blocks(stored: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of genes with about `_BLOCK` stored values each."""
    ends, start, held = [], 0, 0
    for gene, count in enumerate(stored):
        held += int(count)
        if held >= _BLOCK or gene - start + 1 == _MOST_GENES or gene == stored.size - 1:
            ends.append((start, gene + 1))
            start, held = gene + 1, 0
    return ends


def _packed(part: sparse.csc_matrix, codes: Codes, start: int, stop: int) -> npt.NDArray[np.uint64]:
    """Gene (16 bits), value (31 bits) and group (16 bits) of the stored values of a block."""
    first, last = part.indptr[start], part.indptr[stop]
    value = np.ascontiguousarray(part.data[first:last], dtype=np.float32)
    gene = np.repeat(
        np.arange(stop - start, dtype=np.uint64), np.diff(part.indptr[start : stop + 1])
    )
    group = codes[part.indices[first:last]].astype(np.uint64)
    key = (
        (gene << np.uint64(_GENE))
        | (value.view(np.uint32).astype(np.uint64) << np.uint64(_GROUP))
        | group
    )
    return np.asarray(key[value > 0])


def _rank_sums(key: npt.NDArray[np.uint64], n_genes: int, size: Matrix) -> Matrix:
    """Sum of the mid-ranks of each group, from sorted keys."""
    n_groups = size.size
    gene = (key >> np.uint64(_GENE)).astype(np.int64)
    group = (key & np.uint64((1 << _GROUP) - 1)).astype(np.int64)
    stored = np.bincount(gene, minlength=n_genes)
    n_zero = size.sum() - stored
    value = key >> np.uint64(_GROUP)
    first = np.flatnonzero(np.concatenate([[True], value[1:] != value[:-1]])[: key.size])
    times = np.diff(first, append=key.size)
    begin = (np.cumsum(stored) - stored)[gene[first]]
    middle = n_zero[gene[first]] + (first - begin) + (times + 1) / 2
    flat = group * n_genes + gene
    cells = n_groups * n_genes
    ranks = np.bincount(flat, weights=np.repeat(middle, times), minlength=cells)
    seen = np.bincount(flat, minlength=cells).reshape(n_groups, n_genes)
    return np.asarray(ranks.reshape(n_groups, n_genes) + (size[:, None] - seen) * (n_zero + 1) / 2)
