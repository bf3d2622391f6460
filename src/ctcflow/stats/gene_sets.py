"""Which genes of a sample belong to a set that is given by names or patterns."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pandas as pd


def in_set(
    names: npt.NDArray[np.object_], technical: pd.DataFrame, chosen: str
) -> npt.NDArray[np.bool_]:
    """Which genes belong to a technical set.

    Parameters
    ----------
    names
        (G,) symbols.
    technical
        `set`, and `gene` (a name) or `pattern` (a regular expression).
    chosen
        Name of the set.

    Returns
    -------
    (G,) True for members.
    """
    rows = technical[technical["set"] == chosen]
    member = pd.Index(names).isin(rows["gene"].dropna())
    for pattern in rows["pattern"].dropna():
        expression = re.compile(str(pattern))
        member |= np.array([expression.search(str(name)) is not None for name in names], dtype=bool)
    return np.asarray(member, dtype=bool)
