"""Read counts on the scale of molecules."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

DEPTH: Final = 10_000.0
"""Molecules that a cell or pool on a plate is taken to have (counts per cell)."""


def as_molecules(counts: sp.csr_matrix, *, left_out: npt.NDArray[np.bool_]) -> sp.csr_matrix:
    """Scale each cell's reads to `DEPTH` and round them.

    Reads are copies of molecules, thousands of some, and a few of what strayed from other wells: a
    count model that takes each for a molecule expects every gene everywhere and is surprised by
    nothing. After scaling a gene is seen if it makes up one count in twenty thousand (in the sense
    of quasi-UMIs, Townes & Irizarry 2020, doi:10.1186/s13059-020-02078-0, without their model).

    Parameters
    ----------
    counts
        (n, G) read counts.
    left_out
        (G,) genes that become 0 and do not count: haemoglobin, of which picked cells are full.
    """
    kept = sp.csr_matrix(counts @ sp.diags_array((~left_out).astype(np.float64)))
    total = np.asarray(kept.sum(axis=1), dtype=np.float64).ravel()
    scaled = sp.csr_matrix(sp.diags_array(DEPTH / np.maximum(total, 1.0)) @ kept)
    scaled.data = np.rint(scaled.data)
    scaled.eliminate_zeros()
    return scaled
