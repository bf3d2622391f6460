"""Convert read counts to the scale of molecules (UMIs)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

DEPTH: Final = 10_000.0
"""Number of molecules that a cell or pool on a plate is assumed to have (counts per cell)."""


def as_molecules(counts: sp.csr_matrix, *, left_out: npt.NDArray[np.bool_]) -> sp.csr_matrix:
    """Scale each cell's reads to `DEPTH` and round them.

    Reads are copies of molecules: thousands of some molecules, and a few that come from other
    wells. A model that takes each read for a molecule would expect every gene in every cell, and
    nothing would be significant. After scaling, a gene is detected if it has at least one read in
    twenty thousand. The idea is that of quasi-UMIs (Townes & Irizarry 2020,
    doi:10.1186/s13059-020-02078-0), without their model.

    Parameters
    ----------
    counts
        (n, G) read counts.
    left_out
        (G,) genes that are set to 0 and ignored: haemoglobin, which dominates picked cells.
    """
    kept = sp.csr_matrix(counts @ sp.diags_array((~left_out).astype(np.float64)))
    total = np.asarray(kept.sum(axis=1), dtype=np.float64).ravel()
    scaled = sp.csr_matrix(sp.diags_array(DEPTH / np.maximum(total, 1.0)) @ kept)
    scaled.data = np.rint(scaled.data)
    scaled.eliminate_zeros()
    return scaled
