"""Conversion of read counts to the scale of molecules."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ctcflow.stats.counts.reads import DEPTH, as_molecules


def test_copies_and_haemoglobin_change_nothing() -> None:
    counts = np.array([[600, 300, 100, 0, 0], [6, 3, 1, 0, 4000]])
    globin = np.array([False, False, False, False, True])
    found = as_molecules(sp.csr_matrix(counts), left_out=globin).toarray()
    np.testing.assert_array_equal(found[0], [6000, 3000, 1000, 0, 0])
    np.testing.assert_array_equal(found[1], found[0])


def test_strays_are_not_seen_and_a_cell_without_reads_stays_empty() -> None:
    counts = np.zeros((2, 4), dtype=np.int64)
    counts[0] = [5_000_000, 5, 600, 0]
    found = as_molecules(sp.csr_matrix(counts), left_out=np.zeros(4, dtype=bool))
    assert found[0].toarray().ravel().tolist() == [9999, 0, 1, 0]
    assert found[1].nnz == 0
    assert abs(found.sum() - DEPTH) <= 2
