"""Phenotype of called tumour cells, from the gene programmes that each cell expresses."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Bools = npt.NDArray[np.bool_]

_ON: Final = 0.1  # smallest UCell score at which a programme is on
_EPITHELIAL: Final = "epithelial"
_MESENCHYMAL: Final = "mesenchymal_blood_safe"


def phenotypes(scores: pd.DataFrame, *, called: Bools) -> npt.NDArray[np.object_]:
    """Name the phenotype of calls.

    Parameters
    ----------
    scores
        (n, s) UCell scores, one column per programme.
    called
        (n,) tumour cells.

    Returns
    -------
    (n,) `epithelial`, `mesenchymal`, `hybrid` where both programmes are on, or empty.
    """
    epithelial, mesenchymal = _on(scores, _EPITHELIAL), _on(scores, _MESENCHYMAL)
    names = np.select(
        [epithelial & mesenchymal, mesenchymal, epithelial],
        ["hybrid", "mesenchymal", "epithelial"],
        default="",
    )
    return np.where(called, names, "").astype(object)


def against_calls(scores: pd.DataFrame, *, called: Bools) -> pd.DataFrame:
    """Scores of calls in standard deviations from the mean of all calls.

    Returns
    -------
    (n, s) of the same index and columns; NaN for other cells, with fewer than three calls, and
    where all calls score the same.
    """
    values = scores.to_numpy(np.float64)
    z = np.full(values.shape, np.nan)
    if called.sum() >= 3:
        called_values = values[called]
        spread = called_values.std(axis=0, ddof=1)
        spread[spread == 0] = np.nan
        z[called] = (called_values - called_values.mean(axis=0)) / spread
    return pd.DataFrame(z.astype(np.float32), index=scores.index, columns=scores.columns)


def _on(scores: pd.DataFrame, name: str) -> Bools:
    if name not in scores:
        return np.zeros(len(scores), dtype=bool)
    return np.asarray(scores[name].to_numpy(np.float64) >= _ON)
