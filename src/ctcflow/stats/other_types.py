"""Which non-blood type that is not a tumour a cell shows, and how surprising its markers are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ctcflow.stats import panel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

_FEWEST_MARKERS: Final = 2
_PRIOR_RATE: Final = 2e-6
"""Share of a leukocyte's counts that a marker of another type has before any was measured."""


def other_types(
    counts: sp.csr_matrix, *, markers: Mapping[str, Ints], is_leukocyte: Bools
) -> tuple[npt.NDArray[np.object_], Floats]:
    """Find the type whose markers surprise most in a leukocyte of the cell's depth.

    Parameters
    ----------
    counts
        (n, G) raw counts.
    markers
        Columns of the marker genes of each type; of equals the first type wins.
    is_leukocyte
        (n,) cells that the blood rates of the markers are measured on.

    Returns
    -------
    name
        (n,) type, empty where no type has two markers.
    p
        (n,) probability that a leukocyte of this depth shows as much of the type's markers; 1 where
        fewer than two are seen, since carcinoma cells show one here and there.
    """
    umis = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    columns = counts.tocsc()
    best, best_p = np.full(umis.size, "", dtype=object), np.ones(umis.size)
    for name, genes in markers.items():
        found = columns[:, genes].toarray().astype(np.float64)
        rate = panel.leak_rates(
            found[is_leukocyte],
            depth=umis[is_leukocyte],
            lineage=np.zeros(int(is_leukocyte.sum()), dtype=np.intp),
            n_lineages=0,
            prior=np.full(genes.size, _PRIOR_RATE),
            weight=panel.PRIOR_UMIS,
        )[-1]
        seen = found > 0
        p = panel.panel_p(seen, expected=umis[:, None] * rate, weight=panel.weights(rate))
        p[seen.sum(axis=1) < _FEWEST_MARKERS] = 1.0
        better = p < best_p
        best[better], best_p[better] = name, p[better]
    return best, best_p
