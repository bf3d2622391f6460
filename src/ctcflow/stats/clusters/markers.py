"""Marker genes of groups of cells: difference of means, and AUC from exact ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_BLOCK: Final = 1_000_000
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
    # in place: a sample's values as 64-bit integers are the largest array of `cluster`
    flat = np.repeat(groups * n_genes, np.diff(matrix.indptr))
    flat += matrix.indices
    sums = np.bincount(flat, weights=matrix.data, minlength=n_groups * n_genes)
    return np.asarray(sums).reshape(n_groups, n_genes)


class ByGene(NamedTuple):
    """Stored values of some cells, sorted by gene, each with the group of its cell."""

    pointers: npt.NDArray[np.integer]
    """Start of the values of each gene, (n_genes + 1,)."""
    values: npt.NDArray[np.float32]
    groups: npt.NDArray[np.integer]


def by_gene(matrix: sparse.csr_matrix, *, groups: Codes, n_groups: int) -> ByGene:
    """Sort the values of cells by gene; takes five bytes per value for up to 256 groups.

    Parameters
    ----------
    matrix : (n_cells, n_genes)
        float32, no negative values, none stored twice.
    groups : (n_cells,)
        Group of each cell.
    n_groups
        Number of groups, at most 65,536.
    """
    turned = matrix.tocsc()
    narrow = groups.astype(np.min_scalar_type(max(n_groups - 1, 0)))
    return ByGene(turned.indptr, turned.data, narrow[turned.indices])


def group_aucs(parts: Sequence[ByGene], *, sizes: npt.NDArray[np.integer]) -> Matrix:
    """Probability that a cell of the group exceeds a cell of the rest, ties counted half.

    This is the Mann-Whitney statistic over its maximum, from mid-ranks of the stored values; all
    zeros are tied below them. Gene, value and group are packed into one integer, so that the stored
    values are sorted once for all groups, a block of genes at a time. This works because the bit
    patterns of positive float32 sort like the numbers.

    Parameters
    ----------
    parts
        The cells, in several parts with the same genes.
    sizes : (n_groups,)
        Number of cells of each group, over all parts.

    Returns
    -------
    (n_groups, n_genes)
        NaN for a group that is empty or contains all cells.
    """
    n_genes = parts[0].pointers.size - 1 if parts else 0
    size = sizes.astype(np.float64)
    above = np.zeros((size.size, n_genes))
    stored = sum(
        (np.diff(part.pointers).astype(np.int64) for part in parts), np.zeros(n_genes, int)
    )
    for start, stop in _blocks(stored):
        key = np.concatenate([_packed(part, start, stop) for part in parts])
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


def _packed(part: ByGene, start: int, stop: int) -> npt.NDArray[np.uint64]:
    """Gene (16 bits), value (31 bits) and group (16 bits) of the stored values of a block."""
    first, last = part.pointers[start], part.pointers[stop]
    value = np.ascontiguousarray(part.values[first:last], dtype=np.float32)
    gene = np.repeat(
        np.arange(stop - start, dtype=np.uint64), np.diff(part.pointers[start : stop + 1])
    )
    key = (
        (gene << np.uint64(_GENE))
        | (value.view(np.uint32).astype(np.uint64) << np.uint64(_GROUP))
        | part.groups[first:last].astype(np.uint64)
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
