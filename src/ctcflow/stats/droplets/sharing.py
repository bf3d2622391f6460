"""Find pairs of libraries that share more barcodes than expected by chance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy import special

WHITELIST = 737_280
"""Size of the smallest 10x whitelist, with which chance gives the most sharing (barcodes)."""
_SEQUENCE = re.compile(r"[ACGTN]{10,}")


class Shared(NamedTuple):
    """Two samples and the barcodes in both."""

    first: str
    second: str
    barcodes: int
    expected: float
    same_counts: int


def shared_barcodes(cells: Mapping[str, pd.Series], *, alpha: float) -> list[Shared]:
    """Find pairs of samples that share more barcodes than expected by chance.

    Parameters
    ----------
    cells
        Per sample, total counts indexed by barcode. Names without a sequence (wells of plates) are
        ignored.
    alpha
        Family-wise level over all pairs (Poisson tail, Bonferroni).

    Returns
    -------
    Pairs in the order of the samples. `same_counts` is the number of barcodes that also have the
    same total: many mean that the same file was given twice; without them, barcodes may have hopped
    between libraries of one sequencing run.
    """
    names = list(cells)
    keys = [_sequences(cells[name]) for name in names]
    if len(names) < 2 or sum(map(len, keys)) == 0:
        return []
    both = [_overlaps([series.index.to_numpy(object) for series in keys])]
    joined = [
        series.index.to_numpy(object) + " " + series.astype(str).to_numpy(object) for series in keys
    ]
    both.append(_overlaps(joined))
    n_pairs = len(names) * (len(names) - 1) / 2
    pairs = []
    for row, column, count in zip(both[0].row, both[0].col, both[0].data, strict=True):
        if row >= column:
            continue
        expected = len(keys[row]) * len(keys[column]) / WHITELIST
        if special.pdtrc(count - 1, expected) < alpha / n_pairs:
            same = int(both[1].tocsr()[row, column])
            pairs.append(Shared(names[row], names[column], int(count), expected, same))
    return sorted(pairs, key=lambda pair: (names.index(pair.first), names.index(pair.second)))


def _sequences(totals: pd.Series) -> pd.Series:
    match = [_SEQUENCE.search(str(name)) for name in totals.index]
    has_sequence = np.array([hit is not None for hit in match], dtype=bool)
    kept = totals[has_sequence].copy()
    kept.index = pd.Index([hit.group() for hit in match if hit is not None], dtype=object)
    return kept[~kept.index.duplicated()]


def _overlaps(keys: list[np.ndarray]) -> sp.coo_matrix:
    codes, _ = pd.factorize(np.concatenate(keys))
    rows = np.repeat(np.arange(len(keys)), [len(key) for key in keys])
    table = sp.csr_matrix((np.ones(codes.size, dtype=np.int64), (rows, codes)))
    return (table @ table.T).tocoo()


def sentences(cells: Mapping[str, pd.Series], *, alpha: float) -> list[tuple[str, str]]:
    """Sentences for both samples of each pair on what they share; see `shared_barcodes`."""
    found = []
    for pair in shared_barcodes(cells, alpha=alpha):
        cause = (
            "the same file twice?"
            if pair.same_counts > pair.barcodes / 2
            else "index hopping, or the same cells with other genes?"
        )
        for name, other in ((pair.first, pair.second), (pair.second, pair.first)):
            sentence = (
                f"shares {pair.barcodes} barcodes with {other} ({pair.expected:.1f} expected by"
                f" chance), {pair.same_counts} with the same counts: {cause}"
            )
            found.append((name, sentence))
    return found
